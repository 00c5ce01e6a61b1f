// The newest signed status of every peer, merged by sequence: a grow-only register per origin, so merging is
// commutative, associative and idempotent, and any two peers that exchange what they hold agree.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../dissemination/cbor.ts';
import { type Envelope, isAuthentic, parseEnvelope } from '../dissemination/envelope.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { PeerId, Verdict } from '../ports/transport.ts';
import { decodeStatus, type Status } from './status.ts';

export const MAX_PEERS = 10_000;
/** Envelopes in one answer to a sync: below the largest message. */
const MAX_SYNC_ENVELOPES = 200;

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
  | { verdict: 'accept'; kind: 'leave'; origin: PeerId }
  | { verdict: Exclude<Verdict, 'accept'> };

const vectorSchema = z.record(z.string().max(64), z.number().int().nonnegative());
const syncAnswerSchema = z.array(z.tuple([z.instanceof(Uint8Array), z.number().nonnegative()])).max(MAX_SYNC_ENVELOPES);

/** A status as another peer holds it. */
export interface Held {
  envelope: Uint8Array;
  /** How old it is at least, by its holder's clock. */
  ageMs: number;
}

export class StatusTable {
  readonly #crypto: Crypto;
  readonly #swarmId: string;
  readonly #entries = new Map<PeerId, StatusEntry>();
  /** Highest sequence seen by origin, of left peers too: an old status must not bring one back. */
  readonly #seen = new Map<PeerId, number>();

  constructor(crypto: Crypto, swarmId: string) {
    this.#crypto = crypto;
    this.#swarmId = swarmId;
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

  /** Judges an envelope before it is passed on: `reject` forged ones, `ignore` known ones, merge the rest. */
  offer(bytes: Uint8Array, nowMs: number): Offer {
    const envelope = parseEnvelope(this.#crypto, bytes);
    if (envelope === undefined) return { verdict: 'reject' };
    const seen = this.#seen.get(envelope.origin);
    if (seen !== undefined && envelope.sequence <= seen) return { verdict: 'ignore' };
    if (seen === undefined && this.#seen.size >= MAX_PEERS) return { verdict: 'ignore' };
    if (!isAuthentic(this.#crypto, this.#swarmId, envelope)) return { verdict: 'reject' };
    return this.#merge(envelope, nowMs);
  }

  #merge(envelope: Envelope, nowMs: number): Offer {
    const { origin, sequence, bytes } = envelope;
    if (envelope.kind === 'leave') {
      this.#seen.set(origin, sequence);
      this.#entries.delete(origin);
      return { verdict: 'accept', kind: 'leave', origin };
    }
    const status = decodeStatus(envelope.payload);
    if (status === undefined) return { verdict: 'ignore' }; // signed, but of a version that we do not read
    const entry: StatusEntry = { origin, sequence, status, heardMs: nowMs, envelope: bytes };
    this.#seen.set(origin, sequence);
    this.#entries.set(origin, entry);
    return { verdict: 'accept', kind: 'status', entry };
  }

  /** The version vector, as sent in a sync request. */
  encodeVector(): Uint8Array {
    return encodeCbor(Object.fromEntries(this.#seen));
  }

  /** What the holder of `vector` lacks, with its age: the answer to a sync request. Undefined where the vector is malformed. */
  answerSync(vector: Uint8Array, nowMs: number): Uint8Array | undefined {
    const known = vectorSchema.safeParse(decodeCbor(vector));
    if (!known.success) return undefined;
    const missing = this.entries().filter((entry) => entry.sequence > (known.data[entry.origin] ?? -1));
    const held = missing.slice(0, MAX_SYNC_ENVELOPES).map(({ envelope, heardMs }) => [envelope, Math.round(nowMs - heardMs)]);
    return encodeCbor(held);
  }

  /** What a sync answer holds; empty where it is malformed. */
  static parseSync(answer: Uint8Array): Held[] {
    const parsed = syncAnswerSchema.safeParse(decodeCbor(answer));
    return parsed.success ? parsed.data.map(([envelope, ageMs]) => ({ envelope, ageMs })) : [];
  }
}
