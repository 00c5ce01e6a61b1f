// What every agent holds of the whole swarm: the roster, and the newest that each member signed. Two peers compare digests of it,
// and one sends what the other lacks: the roster before what counts only by it, bad news before good.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../dissemination/cbor.ts';
import { oneCopy } from '../dissemination/envelope.ts';
import { keyOfRecord, type SignedRecord, versionOf } from '../identity/record.ts';
import type { Roster } from '../identity/roster.ts';
import { Digest, isDigest } from './digest.ts';
import type { HeldEnvelope, StatusTable } from './status-table.ts';

/** In one answer: below the largest message. */
const MAX_SYNC_ITEMS = 2_000;

const itemSchema = z.tuple([z.instanceof(Uint8Array), z.number().nonnegative()]);
const syncAnswerSchema = z.tuple([
  z.array(z.instanceof(Uint8Array)).max(MAX_SYNC_ITEMS),
  z.array(itemSchema).max(MAX_SYNC_ITEMS),
]);

/** What a peer holds that this agent may lack. */
export interface Lacking {
  records: Uint8Array[];
  /** Each with how old it is at least, by its holder's clock. */
  envelopes: { envelope: Uint8Array; ageMs: number }[];
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

  /** Of the roster's records; few change, so what is gone is found by starting anew. */
  #recordDigest(): Digest {
    if (this.#digestedVersion === this.roster.version) return this.#records;
    this.#digestedVersion = this.roster.version;
    const records = this.roster.records();
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

  /** What a pull asks with: a digest of the roster and one of what was said, of the same length. */
  encodeDigests(): Uint8Array {
    const records = this.#recordDigest();
    const keys = records.size;
    const [first, second] = [records.encode(keys), this.statuses.digest.encode(keys)];
    const both = new Uint8Array(first.length + second.length);
    both.set(first);
    both.set(second, first.length);
    return both;
  }

  /** All that lies in buckets that differ from the asker's: it may know some of it. Undefined where the request is malformed. */
  answerSync(request: Uint8Array, nowMs: number): Uint8Array | undefined {
    const half = request.length / 2;
    if (!isDigest(request.subarray(0, half))) return undefined;
    const recordsDiffer = this.#recordDigest().differing(request.subarray(0, half));
    const statusesDiffer = this.statuses.digest.differing(request.subarray(half));
    const records = recordsDiffer === undefined ? [] : this.#lackingRecords(recordsDiffer);
    const envelopes = statusesDiffer === undefined ? [] : this.#lackingEnvelopes(statusesDiffer, MAX_SYNC_ITEMS - records.length);
    const aged = envelopes.map(({ envelope, heardMs }) => [envelope, Math.max(0, Math.round(nowMs - heardMs))]);
    return encodeCbor([records.map(({ bytes }) => bytes), aged]);
  }

  #lackingRecords(differs: (key: string) => boolean): SignedRecord[] {
    const lacking = this.roster.records().filter((record) => differs(keyOfRecord(record)));
    if (lacking.length <= MAX_SYNC_ITEMS) return lacking.sort((a, b) => rankOf(a) - rankOf(b));
    // Who issues must be known first; then whole buckets, so that a next pull goes on with others.
    const place = (record: SignedRecord): number =>
      record.body.kind === 'issuer' ? -1 : Digest.bucketOf(keyOfRecord(record)) * 4 + rankOf(record);
    return lacking.sort((a, b) => place(a) - place(b)).slice(0, MAX_SYNC_ITEMS);
  }

  #lackingEnvelopes(differs: (key: string) => boolean, most: number): HeldEnvelope[] {
    const lacking = [...this.statuses.held()].filter(([key]) => differs(key));
    if (lacking.length > most) lacking.sort(([a], [b]) => Digest.bucketOf(a) - Digest.bucketOf(b));
    return lacking.slice(0, Math.max(0, most)).map(([, held]) => held);
  }

  /** What a sync answer holds; nothing where it is malformed. */
  static parseSync(answer: Uint8Array): Lacking {
    const parsed = syncAnswerSchema.safeParse(decodeCbor(answer)).data;
    if (parsed === undefined) return { records: [], envelopes: [] };
    const [records, envelopes] = parsed;
    return {
      records: records.map(oneCopy),
      envelopes: envelopes.map(([envelope, ageMs]) => ({ envelope: oneCopy(envelope), ageMs })),
    };
  }
}

const RANKS = { issuer: 0, revocation: 1, member: 2, operator: 3, network: 3 } as const;
const rankOf = ({ body }: SignedRecord): number => RANKS[body.kind];
