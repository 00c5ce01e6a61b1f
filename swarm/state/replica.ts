// The data of the whole swarm that every agent has: the roster, and the newest signed messages of each member. Two peers compare digests, and
// one sends what the other does not have: the roster before data that depends on it, bad news before good.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../dissemination/cbor.ts';
import { oneCopy } from '../dissemination/envelope.ts';
import { keyOfRecord, type SignedRecord, versionOf } from '../identity/record.ts';
import type { Roster } from '../identity/roster.ts';
import { Digest, isDigest } from './digest.ts';
import type { HeldEnvelope, StatusTable } from './status-table.ts';

/** The limit of one answer. The rest is pulled from other peers: a peer that all ask together could not send everything to all. */
const SYNC_BYTES = 128 * 1024;
const MAX_SYNC_ITEMS = 4_000;
/** After the digests: the bucket to begin with. */
const START_BYTES = 2;

const itemSchema = z.tuple([z.instanceof(Uint8Array), z.number().nonnegative()]);
const syncAnswerSchema = z.tuple([
  z.array(z.instanceof(Uint8Array)).max(MAX_SYNC_ITEMS),
  z.array(itemSchema).max(MAX_SYNC_ITEMS),
  z.boolean(),
]);

/** Data of a peer that this agent may not have. */
export interface Lacking {
  records: Uint8Array[];
  /** Each with its minimum age by the sender's clock. */
  envelopes: { envelope: Uint8Array; ageMs: number }[];
  /** The peer has more than fits into one answer. */
  more: boolean;
}

export class Replica {
  readonly roster: Roster;
  readonly statuses: StatusTable;
  #records = new Digest();
  #digestedVersion = -1;

  constructor(roster: Roster, statuses: StatusTable) {
    this.roster = roster;
    this.statuses = statuses;
  }

  /** The digest of the roster's records; removals are rare, so the digest is then computed from the start. */
  #recordDigest(): Digest {
    if (this.#digestedVersion === this.roster.records.version) return this.#records;
    this.#digestedVersion = this.roster.records.version;
    const records = this.roster.records.all();
    const add = (digest: Digest): Digest => {
      for (const record of records) {
        const [key, version] = [keyOfRecord(record), versionOf(record)];
        if (digest.seen(key) !== version) digest.see(key, version);
      }
      return digest;
    };
    this.#records = add(this.#records);
    if (this.#records.size > records.length) this.#records = add(new Digest());
    return this.#records;
  }

  /**
   * The request of a pull: a digest of the roster and one of the messages, of the same length, and the first bucket.
   * @param start 16 random bits, so that different peers get different parts
   */
  encodeDigests(start: number): Uint8Array {
    const records = this.#recordDigest();
    const keys = records.size;
    const [first, second] = [records.encode(keys), this.statuses.digest.encode(keys)];
    const request = new Uint8Array(first.length + second.length + START_BYTES);
    request.set(first);
    request.set(second, first.length);
    new DataView(request.buffer).setUint16(first.length + second.length, start);
    return request;
  }

  /** The content of buckets that differ from the requester's, as much as fits; it may have some of it. Undefined if the request is malformed. */
  answerSync(request: Uint8Array, nowMs: number): Uint8Array | undefined {
    const half = (request.length - START_BYTES) / 2;
    if (half < 0 || !isDigest(request.subarray(0, half))) return undefined;
    const start = new DataView(request.buffer, request.byteOffset + 2 * half).getUint16(0);
    const recordsDiffer = this.#recordDigest().differing(request.subarray(0, half));
    const statusesDiffer = this.statuses.digest.differing(request.subarray(half, 2 * half));
    const portion = new Portion(start);
    if (recordsDiffer !== undefined)
      for (const record of this.roster.records.all()) {
        const key = keyOfRecord(record);
        if (recordsDiffer(key))
          portion.add(record.body.kind === 'issuer' ? undefined : key, rankOf(record), record.bytes, record);
      }
    if (statusesDiffer !== undefined)
      for (const [key, held] of this.statuses.held()) if (statusesDiffer(key)) portion.add(key, STATUS_RANK, held.envelope, held);
    const { records, envelopes, more } = portion.taken();
    const aged = envelopes.map(({ envelope, heardMs }) => [envelope, Math.max(0, Math.round(nowMs - heardMs))]);
    return encodeCbor([records.map(({ bytes }) => bytes), aged, more]);
  }

  /** The content of a sync answer; empty if malformed. */
  static parseSync(answer: Uint8Array): Lacking {
    const parsed = syncAnswerSchema.safeParse(decodeCbor(answer)).data;
    if (parsed === undefined) return { records: [], envelopes: [], more: false };
    const [records, envelopes, more] = parsed;
    return {
      records: records.map(oneCopy),
      envelopes: envelopes.map(([envelope, ageMs]) => ({ envelope: oneCopy(envelope), ageMs })),
      more,
    };
  }
}

/** Selects as many items as fit into one answer. */
class Portion {
  readonly #start: number;
  readonly #items: { place: number; rank: number; size: number; item: SignedRecord | HeldEnvelope }[] = [];

  constructor(start: number) {
    this.#start = start;
  }

  /** @param key undefined: comes before all others. */
  add(key: string | undefined, rank: number, bytes: Uint8Array, item: SignedRecord | HeldEnvelope): void {
    const place = key === undefined ? -1 : (Digest.bucketOf(key) + this.#start) % Digest.BUCKETS;
    this.#items.push({ place, rank, size: bytes.length, item });
  }

  taken(): { records: SignedRecord[]; envelopes: HeldEnvelope[]; more: boolean } {
    const all = this.#items;
    const total = all.reduce((sum, { size }) => sum + size, 0);
    // Whole buckets, so that the next pull continues with others.
    if (total > SYNC_BYTES) all.sort((a, b) => a.place - b.place);
    let [count, bytes] = [0, 0];
    while (count < Math.min(all.length, MAX_SYNC_ITEMS) && bytes < SYNC_BYTES) bytes += all[count++]?.size ?? 0;
    const chosen = all.slice(0, count);
    chosen.sort((a, b) => a.rank - b.rank);
    const items = chosen.map(({ item }) => item);
    return {
      records: items.filter((item) => 'body' in item),
      envelopes: items.filter((item) => 'envelope' in item),
      more: chosen.length < all.length,
    };
  }
}

const STATUS_RANK = 4;
const RANKS = { issuer: 0, revocation: 1, member: 2, operator: 3, network: 3, recovery: 3 } as const;
const rankOf = ({ body }: SignedRecord): number => RANKS[body.kind];
