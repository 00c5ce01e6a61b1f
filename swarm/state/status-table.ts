// The newest that every peer signed: its status or farewell, and its report as an observer. Merged by sequence: a grow-only
// register per origin, so merging is commutative, associative and idempotent, and any two peers that exchange what they hold agree.
import { type Envelope, isAuthentic, isOfLaterVersion, parseEnvelope } from '../dissemination/envelope.ts';
import { type Alerts, decodeReport } from '../membership/report.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { PeerId, Verdict } from '../ports/transport.ts';
import { Digest } from './digest.ts';
import { decodeStatus, type Status } from './status.ts';

/** A peer says so much a second, and so much at once: far more than any has to say. What is over is not even checked. */
const SAYS_A_SECOND = 20;
const SAYS_AT_ONCE = 100;

/** Envelopes of peers whose certificate has not come yet: it may be on its way. */
const MAX_EARLY = 256;

export interface StatusEntry {
  origin: PeerId;
  sequence: number;
  status: Status;
  /** Monotonic ms when it was first heard, here or by whoever passed it on in a pull: ages are told from this, never from the sender's clock. */
  heardMs: number;
  envelope: Uint8Array;
}

export type Offer =
  | { verdict: 'accept'; kind: 'status'; entry: StatusEntry }
  | { verdict: 'accept'; kind: 'leave'; origin: PeerId; sequence: number }
  | { verdict: 'accept'; kind: 'report'; origin: PeerId; sequence: number; alerts: Alerts }
  | { verdict: Exclude<Verdict, 'accept'> };

/** An envelope as it is held, for who lacks it. */
export interface HeldEnvelope {
  envelope: Uint8Array;
  heardMs: number;
}

/** Reports have sequences of their own, so that one does not hide a status that comes later. */
const laneOf = (kind: Envelope['kind'], origin: PeerId): string => (kind === 'report' ? `report ${origin}` : origin);

export class StatusTable {
  readonly #crypto: Crypto;
  readonly #swarmId: string;
  readonly #isMember: (peer: PeerId) => boolean;
  readonly #entries = new Map<PeerId, StatusEntry>();
  /** The farewells of those that left, for who missed them. */
  readonly #farewells = new Map<PeerId, HeldEnvelope>();
  readonly #reports = new Map<PeerId, HeldEnvelope>();
  /** What each origin may still say, and as of when: only what it truly signed counts. */
  readonly #says = new Map<PeerId, { left: number; atMs: number }>();
  readonly #early: (HeldEnvelope & { origin: PeerId })[] = [];
  /** Highest sequence seen by origin, of left peers too: an old status must not bring one back. */
  readonly digest = new Digest();

  /** @param isMember who counts: nobody else is listened to. */
  constructor(crypto: Crypto, swarmId: string, isMember: (peer: PeerId) => boolean) {
    this.#crypto = crypto;
    this.#swarmId = swarmId;
    this.#isMember = isMember;
  }

  entries(): StatusEntry[] {
    return [...this.#entries.values()];
  }

  get size(): number {
    return this.#entries.size;
  }

  get(origin: PeerId): StatusEntry | undefined {
    return this.#entries.get(origin);
  }

  /** Judges an envelope before it is passed on: `reject` forged ones, `ignore` known ones and strangers', merge the rest. */
  offer(bytes: Uint8Array, nowMs: number): Offer {
    const envelope = parseEnvelope(this.#crypto, bytes);
    // A later version's is not passed on either: those who read it do that. But whoever brought it has done nothing wrong.
    if (envelope === undefined) return { verdict: isOfLaterVersion(bytes) ? 'ignore' : 'reject' };
    if (!this.#isMember(envelope.origin)) return this.#keepEarly(envelope, nowMs);
    const seen = this.digest.seen(laneOf(envelope.kind, envelope.origin));
    if (seen !== undefined && envelope.sequence <= seen) return { verdict: 'ignore' };
    const says = this.#mayStillSay(envelope.origin, nowMs);
    if (says.left < 1) return { verdict: 'ignore' };
    if (!isAuthentic(this.#crypto, this.#swarmId, envelope)) return { verdict: 'reject' };
    says.left--;
    return this.#merge(envelope, nowMs);
  }

  #mayStillSay(origin: PeerId, nowMs: number): { left: number; atMs: number } {
    const says = this.#says.get(origin) ?? { left: SAYS_AT_ONCE, atMs: nowMs };
    this.#says.set(origin, says);
    // What a pull brings is dated back: time that was counted is not counted again.
    const elapsedMs = Math.max(0, nowMs - says.atMs);
    says.left = Math.min(SAYS_AT_ONCE, says.left + (elapsedMs / 1_000) * SAYS_A_SECOND);
    says.atMs += elapsedMs;
    return says;
  }

  /** Its certificate may come right after it: kept for a while, unchecked, and not passed on. */
  #keepEarly({ origin, bytes }: Envelope, heardMs: number): Offer {
    this.#early.push({ origin, envelope: bytes, heardMs });
    if (this.#early.length > MAX_EARLY) this.#early.shift();
    return { verdict: 'ignore' };
  }

  /** What came before its origin's certificate did. */
  takeEarly(origin: PeerId): HeldEnvelope[] {
    const kept = this.#early.filter((one) => one.origin === origin);
    if (kept.length > 0) this.#early.splice(0, this.#early.length, ...this.#early.filter((one) => one.origin !== origin));
    return kept;
  }

  #merge(envelope: Envelope, nowMs: number): Offer {
    const { kind, origin, sequence, bytes, payload } = envelope;
    const held = { envelope: bytes, heardMs: nowMs };
    if (kind === 'leave') {
      this.digest.see(origin, sequence);
      this.#entries.delete(origin);
      this.#dropReport(origin);
      this.#farewells.set(origin, held);
      return { verdict: 'accept', kind, origin, sequence };
    }
    if (kind === 'report') {
      const alerts = decodeReport(this.#crypto, payload);
      if (alerts === undefined) return { verdict: 'ignore' };
      this.digest.see(laneOf(kind, origin), sequence);
      this.#reports.set(origin, held);
      return { verdict: 'accept', kind, origin, sequence, alerts };
    }
    const status = decodeStatus(payload);
    if (status === undefined) return { verdict: 'ignore' }; // signed, but of a version that we do not read
    const entry: StatusEntry = { origin, sequence, status, ...held };
    this.digest.see(origin, sequence);
    this.#farewells.delete(origin);
    this.#entries.set(origin, entry);
    return { verdict: 'accept', kind, entry };
  }

  #dropReport(origin: PeerId): void {
    this.#reports.delete(origin);
    this.digest.forget(laneOf('report', origin));
  }

  /** Nothing of a removed member is kept, and nothing passed on. */
  forget(origin: PeerId): void {
    this.#entries.delete(origin);
    this.#farewells.delete(origin);
    this.#says.delete(origin);
    this.#dropReport(origin);
    this.digest.forget(origin);
  }

  /** All that is held, bad news first, with the keys that it has in the digest. */
  *held(): Generator<[key: string, held: HeldEnvelope]> {
    for (const [origin, held] of this.#farewells) yield [origin, held];
    for (const [origin, held] of this.#reports) yield [laneOf('report', origin), held];
    for (const [origin, held] of this.#entries) yield [origin, held];
  }
}
