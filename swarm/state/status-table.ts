// The newest signed status of every peer, merged by sequence: a grow-only register per origin, so merging is
// commutative, associative and idempotent, and any two peers that exchange what they hold agree.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../dissemination/cbor.ts';
import { type Envelope, isAuthentic, isOfLaterVersion, oneCopy, parseEnvelope } from '../dissemination/envelope.ts';
import { hashOf, mixed } from '../membership/observers.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { PeerId, Verdict } from '../ports/transport.ts';
import { decodeStatus, type Status } from './status.ts';

export const MAX_PEERS = 10_000;
/** Envelopes in one answer to a sync: below the largest message. */
const MAX_SYNC_ENVELOPES = 2_000;

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
  | { verdict: Exclude<Verdict, 'accept'> };

/** Origins are spread over so many buckets, so that a pull costs no more than what differs. */
const BUCKETS = 64;
/** Two sums of 32 bits for each. */
const DIGEST_BYTES = BUCKETS * 8;
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
  /** The farewells of those that left, for who missed them. */
  readonly #farewells = new Map<PeerId, { envelope: Uint8Array; heardMs: number }>();
  /** By bucket, sums over what was seen: equal where the same was. */
  readonly #sums = new Uint32Array(BUCKETS * 2);

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
    // A later version's is not passed on either: those who read it do that. But whoever brought it has done nothing wrong.
    if (envelope === undefined) return { verdict: isOfLaterVersion(bytes) ? 'ignore' : 'reject' };
    const seen = this.#seen.get(envelope.origin);
    if (seen !== undefined && envelope.sequence <= seen) return { verdict: 'ignore' };
    if (seen === undefined && this.#seen.size >= MAX_PEERS) return { verdict: 'ignore' };
    if (!isAuthentic(this.#crypto, this.#swarmId, envelope)) return { verdict: 'reject' };
    return this.#merge(envelope, nowMs);
  }

  #merge(envelope: Envelope, nowMs: number): Offer {
    const { origin, sequence, bytes } = envelope;
    if (envelope.kind === 'leave') {
      this.#see(origin, sequence);
      this.#entries.delete(origin);
      this.#farewells.set(origin, { envelope: bytes, heardMs: nowMs });
      return { verdict: 'accept', kind: 'leave', origin, sequence };
    }
    const status = decodeStatus(envelope.payload);
    if (status === undefined) return { verdict: 'ignore' }; // signed, but of a version that we do not read
    const entry: StatusEntry = { origin, sequence, status, heardMs: nowMs, envelope: bytes };
    this.#see(origin, sequence);
    this.#farewells.delete(origin);
    this.#entries.set(origin, entry);
    return { verdict: 'accept', kind: 'status', entry };
  }

  #see(origin: PeerId, sequence: number): void {
    const hash = hashOf(origin);
    const bucket = bucketOf(hash);
    const before = this.#seen.get(origin);
    for (const half of [0, 1]) {
      const at = bucket * 2 + half;
      if (before !== undefined) this.#sums[at] = (this.#sums[at] ?? 0) - termOf(hash, before, half);
      this.#sums[at] = (this.#sums[at] ?? 0) + termOf(hash, sequence, half);
    }
    this.#seen.set(origin, sequence);
  }

  /** What a pull asks with: a digest of all that was seen, 512 bytes however many they are. */
  encodeDigest(): Uint8Array {
    const digest = new DataView(new ArrayBuffer(DIGEST_BYTES));
    this.#sums.forEach((sum, index) => void digest.setUint32(index * 4, sum));
    return new Uint8Array(digest.buffer);
  }

  /** All that lies in buckets that differ from the asker's, with its age: it may know some of it. Undefined where the digest is malformed. */
  answerSync(digest: Uint8Array, nowMs: number): Uint8Array | undefined {
    if (digest.length !== DIGEST_BYTES) return undefined;
    const theirs = new DataView(digest.buffer, digest.byteOffset, DIGEST_BYTES);
    const differs = Array.from({ length: BUCKETS }, (_, bucket) =>
      [0, 1].some((half) => theirs.getUint32(bucket * 8 + half * 4) !== this.#sums[bucket * 2 + half]),
    );
    if (!differs.includes(true)) return encodeCbor([]);
    const lacking: { bucket: number; held: [Uint8Array, number] }[] = [];
    for (const table of [this.#farewells, this.#entries])
      for (const [origin, { envelope, heardMs }] of table) {
        const bucket = bucketOf(hashOf(origin));
        const held: [Uint8Array, number] = [envelope, Math.max(0, Math.round(nowMs - heardMs))];
        if (differs[bucket] === true) lacking.push({ bucket, held });
      }
    // Whole buckets, so that a next pull goes on with others where this one is not enough.
    lacking.sort((a, b) => a.bucket - b.bucket);
    return encodeCbor(lacking.slice(0, MAX_SYNC_ENVELOPES).map(({ held }) => held));
  }

  /** What a sync answer holds; empty where it is malformed. */
  static parseSync(answer: Uint8Array): Held[] {
    const parsed = syncAnswerSchema.safeParse(decodeCbor(answer));
    return parsed.success ? parsed.data.map(([envelope, ageMs]) => ({ envelope: oneCopy(envelope), ageMs })) : [];
  }
}

const bucketOf = (hash: number): number => mixed(hash) % BUCKETS;

/** What one origin adds to a sum of its bucket. */
function termOf(hash: number, sequence: number, half: number): number {
  return mixed(mixed(hash + half) ^ mixed(sequence) ^ Math.floor(sequence / 2 ** 32));
}
