// H agreeing votes on one claim: a proof that can be checked offline, given the list of witnesses.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { drawnBy, MAX_OBSERVERS } from '../../swarm/membership/observers.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { certificateQuorum } from '../quorum.ts';
import { type Claim, claimFromWire, claimIdOf, claimToWire, type Vote, voteBytes, voteFromWire, voteToWire } from './claim.ts';

const CERTIFICATE_VERSION = 1;
const MAX_VOTES = 64;
/** Fewer witnesses tolerate no liar. */
export const MIN_DRAWN = 4;
/** If some observers are away, the next members in order take their place. */
const AWAY = 3;
/** The claimant itself is not asked; one more may be down. */
const MISSING = 2;

export interface Certificate {
  claim: Claim;
  /** The members that were asked. The verifier compares them with its own roster. */
  witnesses: readonly PeerId[];
  /** The `yes` votes, ordered by witness. */
  votes: readonly Vote[];
}

const schema = z.tuple([
  z.literal(CERTIFICATE_VERSION),
  z.unknown(),
  z.array(z.string().max(64)).max(MAX_VOTES),
  z.array(z.unknown()).max(MAX_VOTES),
]);

export function encodeCertificate(certificate: Certificate): Uint8Array {
  const votes = certificate.votes.map(voteToWire);
  return encodeCbor([CERTIFICATE_VERSION, claimToWire(certificate.claim), certificate.witnesses, votes]);
}

export function decodeCertificate(bytes: Uint8Array): Certificate | undefined {
  const wire = schema.safeParse(decodeCbor(bytes));
  const claim = wire.success ? claimFromWire(wire.data[1]) : undefined;
  if (!wire.success || claim === undefined) return undefined;
  const votes = wire.data[3].map(voteFromWire).filter((vote) => vote !== undefined);
  return votes.length === wire.data[3].length ? { claim, witnesses: wire.data[2], votes } : undefined;
}

export type CertificateCheck = { valid: true; signatures: number } | { valid: false; reason: string };

/** Checks all but the expiry, which depends on the time of use: distinct witnesses, quorum, signatures, one claim. */
export function verifyCertificate(
  crypto: Pick<Crypto, 'verify' | 'hash'>,
  swarmId: string,
  certificate: Certificate,
): CertificateCheck {
  const { claim, witnesses, votes } = certificate;
  const claimId = claimIdOf(swarmId, claim, crypto.hash);
  if (new Set(witnesses).size !== witnesses.length) return { valid: false, reason: 'a witness is listed twice' };
  if (witnesses.includes(claim.subject)) return { valid: false, reason: 'the subject is its own witness' };
  if (new Set(votes.map((vote) => vote.witness)).size !== votes.length) return { valid: false, reason: 'a witness voted twice' };
  const needed = certificateQuorum(witnesses.length);
  if (needed === 0 || votes.length < needed) return { valid: false, reason: `${votes.length} votes, ${needed} needed` };
  for (const vote of votes) {
    if (vote.claimId !== claimId || vote.verdict !== 'yes') return { valid: false, reason: 'a vote is for another claim' };
    if (!witnesses.includes(vote.witness)) return { valid: false, reason: 'a voter is not a witness' };
    if (!crypto.verify(vote.witness, voteBytes(swarmId, vote), vote.signature))
      return { valid: false, reason: 'a signature is wrong' };
  }
  return { valid: true, signatures: votes.length };
}

/** The observers of a member, and the next members in order, which stand in for observers that are away. */
export const drawnFor = (subject: PeerId, members: readonly PeerId[]): PeerId[] =>
  drawnBy('observer', subject, members, MAX_OBSERVERS + AWAY);

/** Whether the members that were asked are the observers, nearly all of them: a claimant does not choose who votes. */
export function areDrawn(subject: PeerId, witnesses: readonly PeerId[], members: readonly PeerId[]): boolean {
  const drawn = new Set(drawnFor(subject, members));
  const least = Math.min(MAX_OBSERVERS, members.length - 1) - MISSING;
  return witnesses.length >= Math.max(MIN_DRAWN, least) && witnesses.every((one) => drawn.has(one));
}
