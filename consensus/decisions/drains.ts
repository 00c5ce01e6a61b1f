// Drained members: nothing may depend on them for some time. They run no placed service, do not vote in the committee, and are no canaries.
// The member itself, a person, or its observers request it. Each request carries a proof, so that a leader that lies can drain no member.
import { z } from 'zod';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { areDrawn, decodeCertificate, verifyCertificate } from '../vote/certificate.ts';
import { type ClaimKind, isGray } from '../vote/claim.ts';

const DOMAIN = 'kalos/drain/1';
export const MAX_DRAIN_MS = 86_400_000;
/** The longest drain that observers may request: then they check again. */
export const CERTIFIED_MS = 600_000;
const MAX_PROOF_BYTES = 4_096;
/** The share of members that may be drained without a person: more, and something else is wrong. */
const MAX_SHARE = 0.2;
const MAX_DRAINS = 1_000;
/** How old a proof may be: an older one could bring back a drain that has ended. */
const FRESH_MS = 300_000;

export const drainShape = {
  peer: z.string().min(1).max(100),
  forMs: z.number().int().positive().max(MAX_DRAIN_MS),
  /** When it was requested, by that member's clock: signed. */
  wishedMs: z.number().int().nonnegative(),
  /** The signature of the member that requested it, or a certificate of the observers. */
  proof: z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= MAX_PROOF_BYTES),
};
const drainSchema = z.strictObject({ by: z.string(), atMs: z.number(), reason: z.string(), ...drainShape });
export type Drain = z.infer<typeof drainSchema>;
export const drainsSchema = z.array(drainSchema);

type Wished = Pick<Drain, 'by' | 'peer' | 'forMs' | 'wishedMs'>;

export const drainBytes = (swarmId: string, { by, peer, forMs, wishedMs }: Wished): Uint8Array =>
  encodeCbor([DOMAIN, swarmId, by, peer, forMs, wishedMs]);

/** What a drain is checked against. */
export interface Believed {
  mayDecide(peer: PeerId): boolean;
  members(): readonly PeerId[];
  liars: ReadonlySet<PeerId>;
}

/** Whether the proof of a drain is valid. */
export function isProven(crypto: Crypto, swarmId: string, drain: Drain, { mayDecide, members, liars }: Believed): boolean {
  const { by, peer, forMs, proof, atMs, wishedMs } = drain;
  const isFresh = (ms: number): boolean => Math.abs(atMs - ms) <= FRESH_MS;
  if (proof.length === SIGNATURE_BYTES)
    return isFresh(wishedMs) && (by === peer || mayDecide(by)) && crypto.verify(by, drainBytes(swarmId, drain), proof);
  const certificate = decodeCertificate(proof);
  if (certificate === undefined || certificate.claim.subject !== peer || !isGray(certificate.claim.kind)) return false;
  const { witnesses, claim } = certificate;
  if (forMs > CERTIFIED_MS || !isFresh(claim.fromMs)) return false;
  if (witnesses.some((one) => liars.has(one)) || !areDrawn(peer, witnesses, members())) return false;
  return verifyCertificate(crypto, swarmId, certificate).valid;
}

/** What the observers have found; undefined if a member requested the drain. */
export function foundBy({ proof }: Drain): { kind: ClaimKind; certificate: Uint8Array } | undefined {
  const certificate = proof.length === SIGNATURE_BYTES ? undefined : decodeCertificate(proof);
  return certificate && { kind: certificate.claim.kind, certificate: proof };
}

export class Drains {
  #byPeer = new Map<PeerId, Drain>();

  of(peer: PeerId, nowMs: number): Drain | undefined {
    const drain = this.#byPeer.get(peer);
    return drain !== undefined && endMs(drain) > nowMs ? drain : undefined;
  }

  all(nowMs: number): Drain[] {
    return [...this.#byPeer.values()].filter((one) => endMs(one) > nowMs);
  }

  get isBlank(): boolean {
    return this.#byPeer.size === 0;
  }

  /** Both @return a refusal, after which nothing has changed; undefined if it was applied. */
  drain({
    by,
    atMs,
    reason,
    peer,
    forMs,
    wishedMs,
    proof,
    members,
    isOrdered,
  }: Drain & { members: number; isOrdered: boolean }): string | undefined {
    for (const one of [...this.#byPeer.values()]) if (endMs(one) <= atMs) this.#byPeer.delete(one.peer);
    const others = [...this.#byPeer.keys()].filter((one) => one !== peer).length;
    const most = isOrdered ? MAX_DRAINS : Math.max(1, Math.floor(members * MAX_SHARE));
    if (others >= most) return `${others} of ${members} members are drained already`;
    this.#byPeer.set(peer, { by, atMs, reason, peer, forMs, wishedMs, proof });
    return undefined;
  }

  undrain(peer: PeerId): string | undefined {
    return this.#byPeer.delete(peer) ? undefined : 'the member is not drained';
  }

  encodable(): Drain[] {
    return [...this.#byPeer.values()].sort((a, b) => (a.peer < b.peer ? -1 : 1));
  }

  restore(drains: readonly Drain[]): void {
    this.#byPeer = new Map(drains.map((one) => [one.peer, one]));
  }
}

export const endMs = ({ atMs, forMs }: Drain): number => atMs + forMs;
