// The newest signed messages of every peer: its status or farewell, and its report as an observer. Merged by sequence: a grow-only register
// per origin, so merging is commutative, associative and idempotent, and two peers that exchange their tables agree.
import { type Envelope, isAuthentic, isOfLaterVersion, parseEnvelope } from '../dissemination/envelope.ts';
import { type Alerts, decodeReport } from '../membership/report.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { PeerId, Verdict } from '../ports/transport.ts';
import { Digest } from './digest.ts';
import { decodeStatus, type Status } from './status.ts';

/** The rate and the burst of one peer's messages: far more than any needs. Messages beyond that are not even checked. */
const MESSAGES_A_SECOND = 20;
const MAX_BURST = 100;

/** Envelopes of peers whose certificate has not arrived yet. */
const MAX_EARLY = 256;

export interface StatusEntry {
  origin: PeerId;
  sequence: number;
  status: Status;
  /** Monotonic ms when it first arrived, here or at the peer that sent it in a pull: ages are computed from this, never from the sender's clock. */
  heardMs: number;
  envelope: Uint8Array;
}

export type Offer =
  | { verdict: 'accept'; kind: 'status'; entry: StatusEntry }
  | { verdict: 'accept'; kind: 'leave'; origin: PeerId; sequence: number }
  | { verdict: 'accept'; kind: 'report'; origin: PeerId; sequence: number; alerts: Alerts }
  | { verdict: Exclude<Verdict, 'accept'> };

/** An envelope as it is stored, for peers that do not have it. */
export interface HeldEnvelope {
  envelope: Uint8Array;
  heardMs: number;
}

/** Reports have their own sequences, so that a report does not hide a later status. */
const laneOf = (kind: Envelope['kind'], origin: PeerId): string => (kind === 'report' ? `report ${origin}` : origin);

export class StatusTable {
  readonly #crypto: Crypto;
  readonly #swarmId: string;
  readonly #isMember: (peer: PeerId) => boolean;
  readonly #entries = new Map<PeerId, StatusEntry>();
  /** The farewells of members that left, for peers that missed them. */
  readonly #farewells = new Map<PeerId, HeldEnvelope>();
  readonly #reports = new Map<PeerId, HeldEnvelope>();
  /** The remaining budget of each origin: only messages with its valid signature count. */
  readonly #budgets = new Map<PeerId, { left: number; atMs: number }>();
  readonly #early: (HeldEnvelope & { origin: PeerId })[] = [];
  /** The highest sequence of each origin, also of peers that left: an old status must not bring one back. */
  readonly digest = new Digest();

  /** @param isMember messages of others are not merged */
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

  /** Decides on an envelope before it is forwarded: `reject` forged ones, `ignore` known ones and strangers', merge the rest. */
  offer(bytes: Uint8Array, nowMs: number): Offer {
    const envelope = parseEnvelope(this.#crypto, bytes);
    // An envelope of a later version is not forwarded either: peers that can read it do so. But its sender has done nothing wrong.
    if (envelope === undefined) return { verdict: isOfLaterVersion(bytes) ? 'ignore' : 'reject' };
    if (!this.#isMember(envelope.origin)) return this.#keepEarly(envelope, nowMs);
    const seen = this.digest.seen(laneOf(envelope.kind, envelope.origin));
    if (seen !== undefined && envelope.sequence <= seen) return { verdict: 'ignore' };
    const budget = this.#budgetOf(envelope.origin, nowMs);
    if (budget.left < 1) return { verdict: 'ignore' };
    if (!isAuthentic(this.#crypto, this.#swarmId, envelope)) return { verdict: 'reject' };
    budget.left--;
    return this.#merge(envelope, nowMs);
  }

  #budgetOf(origin: PeerId, nowMs: number): { left: number; atMs: number } {
    const budget = this.#budgets.get(origin) ?? { left: MAX_BURST, atMs: nowMs };
    this.#budgets.set(origin, budget);
    // Messages of a pull are dated back: elapsed time must not count twice.
    const elapsedMs = Math.max(0, nowMs - budget.atMs);
    budget.left = Math.min(MAX_BURST, budget.left + (elapsedMs / 1_000) * MESSAGES_A_SECOND);
    budget.atMs += elapsedMs;
    return budget;
  }

  /** Its certificate may arrive soon: kept for some time, unchecked, and not forwarded. */
  #keepEarly({ origin, bytes }: Envelope, heardMs: number): Offer {
    this.#early.push({ origin, envelope: bytes, heardMs });
    if (this.#early.length > MAX_EARLY) this.#early.shift();
    return { verdict: 'ignore' };
  }

  /** Takes out the envelopes that arrived before their origin's certificate. */
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
    if (status === undefined) return { verdict: 'ignore' }; // signed, but of an unsupported version
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

  /** Drops all messages of a removed member. */
  forget(origin: PeerId): void {
    this.#entries.delete(origin);
    this.#farewells.delete(origin);
    this.#budgets.delete(origin);
    this.#dropReport(origin);
    this.digest.forget(origin);
  }

  /** All envelopes, bad news first, with their keys in the digest. */
  *held(): Generator<[key: string, held: HeldEnvelope]> {
    for (const [origin, held] of this.#farewells) yield [origin, held];
    for (const [origin, held] of this.#reports) yield [laneOf('report', origin), held];
    for (const [origin, held] of this.#entries) yield [origin, held];
  }
}
