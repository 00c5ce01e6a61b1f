// H agreeing votes over one claim: proof that anyone can check offline, given who the witnesses were.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { drawnBy, MAX_OBSERVERS } from '../../swarm/membership/observers.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { certificateQuorum } from '../quorum.ts';
import { type Claim, claimFromWire, claimIdOf, claimToWire, type Vote, voteBytes, voteFromWire, voteToWire } from './claim.ts';

const CERTIFICATE_VERSION = 1;
const MAX_VOTES = 64;
/** Fewer witnesses bear no liar. */
export const MIN_DRAWN = 4;
/** Where some of those who would watch it are away, the next ones do. */
const AWAY = 3;
/** Who makes the claim may not be asked; one more may be gone. */
const MISSING = 2;

export interface Certificate {
  claim: Claim;
  /** Who was asked. The verifier compares it with its own roster. */
  witnesses: readonly PeerId[];
  /** The `yes` votes, in order of witness. */
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

/** Checks everything but expiry, which depends on when it is used: distinct witnesses, quorum, signatures, one claim. */
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
    if (vote.claimId !== claimId || vote.verdict !== 'yes') return { valid: false, reason: 'a vote is for something else' };
    if (!witnesses.includes(vote.witness)) return { valid: false, reason: 'a voter was no witness' };
    if (!crypto.verify(vote.witness, voteBytes(swarmId, vote), vote.signature))
      return { valid: false, reason: 'a signature is wrong' };
  }
  return { valid: true, signatures: votes.length };
}

/** Those that watch a member, and the next ones, who do where some of these are away. */
export const drawnFor = (subject: PeerId, members: readonly PeerId[]): PeerId[] =>
  drawnBy('observer', subject, members, MAX_OBSERVERS + AWAY);

/** Those that were asked are those that watch it, as good as all of them: who makes a claim does not choose who votes. */
export function areDrawn(subject: PeerId, witnesses: readonly PeerId[], members: readonly PeerId[]): boolean {
  const drawn = new Set(drawnFor(subject, members));
  const least = Math.min(MAX_OBSERVERS, members.length - 1) - MISSING;
  return witnesses.length >= Math.max(MIN_DRAWN, least) && witnesses.every((one) => drawn.has(one));
}
