// Proof of equivocation: two different votes on one claim, both signed by one witness. Any member can check it.
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { decodeVoteMessage, type Vote, voteBytes } from './claim.ts';

/** Votes as they were sent. */
export interface Equivocation {
  first: Uint8Array;
  second: Uint8Array;
}

const voteIn = (bytes: Uint8Array): Vote | undefined => {
  const message = decodeVoteMessage(bytes);
  return message?.type === 'vote' ? message.vote : undefined;
};

/** The witness that it convicts; undefined if it proves nothing. */
export function equivocatorOf(crypto: Pick<Crypto, 'verify'>, swarmId: string, proof: Equivocation): PeerId | undefined {
  const [first, second] = [voteIn(proof.first), voteIn(proof.second)];
  if (first === undefined || second === undefined || first.claimId !== second.claimId || first.witness !== second.witness)
    return undefined;
  const same = first.verdict === second.verdict && first.reason === second.reason && first.confidence === second.confidence;
  const isSigned = (vote: Vote): boolean => crypto.verify(vote.witness, voteBytes(swarmId, vote), vote.signature);
  return !same && isSigned(first) && isSigned(second) ? first.witness : undefined;
}
