// The append-only record of what was intended and what came of it. Each record carries the hash of the one before, so
// an edit, a removal or a reordering shows. (The Merkle tree of RFC 6962 takes this place with the transaction work.)
import { z } from 'zod';
import { decodeCbor, encodeCbor, equalBytes, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import { type Crypto, HASH_BYTES } from '../../swarm/ports/crypto.ts';
import type { Store } from '../../swarm/ports/store.ts';

const PREFIX = 'audit/';
const DOMAIN = 'kalos/audit/1';
const INDEX_DIGITS = 12;
const VERIFY_BATCH = 1_000;

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === HASH_BYTES);

const recordSchema = z.strictObject({
  index: z.number().int(),
  atMs: z.number().int(),
  kind: z.enum(['intent', 'outcome', 'refused', 'start']),
  /** The incident, plan or agent that it is about. */
  subject: z.string(),
  text: z.string(),
  previous: bytes,
  hash: bytes,
});
export type AuditRecord = z.infer<typeof recordSchema>;

export type AuditCheck = { ok: true; records: number; head: string } | { ok: false; index: number; reason: string };

const keyOf = (index: number): string => `${PREFIX}${String(index).padStart(INDEX_DIGITS, '0')}`;

export class AuditLog {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #crypto: Crypto;
  #next = 0;
  #head: Uint8Array = new Uint8Array(HASH_BYTES);
  /** Appends follow each other: a record must know the hash of the one before. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Store, clock: Clock, crypto: Crypto) {
    this.#store = store;
    this.#clock = clock;
    this.#crypto = crypto;
  }

  /** Finds the end of the log. Call once before the first append. */
  async open(): Promise<void> {
    const [newest] = await this.#store.range(PREFIX, { limit: 1, reverse: true });
    const record = newest && recordSchema.safeParse(decodeCbor(newest[1]));
    if (!record) return;
    if (!record.success) throw new Error(`the newest audit record, ${newest[0]}, cannot be read`);
    this.#next = record.data.index + 1;
    this.#head = record.data.hash;
  }

  get records(): number {
    return this.#next;
  }

  /** Durable once it resolves. */
  append(kind: AuditRecord['kind'], subject: string, text: string): Promise<AuditRecord> {
    const appended = this.#last.then(() => this.#write(kind, subject, text));
    this.#last = appended.catch(() => undefined);
    return appended;
  }

  async #write(kind: AuditRecord['kind'], subject: string, text: string): Promise<AuditRecord> {
    const unhashed = { index: this.#next, atMs: Math.round(this.#clock.wallMs()), kind, subject, text, previous: this.#head };
    const record: AuditRecord = { ...unhashed, hash: this.#hashOf(unhashed) };
    await this.#store.write([{ kind: 'put', key: keyOf(record.index), value: encodeCbor(record) }]);
    this.#next++;
    this.#head = record.hash;
    return record;
  }

  #hashOf({ index, atMs, kind, subject, text, previous }: Omit<AuditRecord, 'hash'>): Uint8Array {
    return this.#crypto.hash(encodeCbor([DOMAIN, index, atMs, kind, subject, text, previous]));
  }

  /** Reads the whole log again and names the first record that does not fit. */
  async verify(): Promise<AuditCheck> {
    let previous: Uint8Array = new Uint8Array(HASH_BYTES);
    for (let index = 0; index < this.#next; index++) {
      const bytes = await this.#store.get(keyOf(index));
      if (bytes === undefined) return { ok: false, index, reason: 'the record is missing' };
      const record = recordSchema.safeParse(decodeCbor(bytes));
      if (!record.success || record.data.index !== index) return { ok: false, index, reason: 'the record cannot be read' };
      if (!equalBytes(record.data.previous, previous)) return { ok: false, index, reason: 'it does not follow the one before' };
      if (!equalBytes(record.data.hash, this.#hashOf(record.data))) return { ok: false, index, reason: 'it was changed' };
      previous = record.data.hash;
    }
    return { ok: true, records: this.#next, head: toHex(previous) };
  }

  /** The newest records, oldest first. */
  async tail(limit: number): Promise<AuditRecord[]> {
    const entries = await this.#store.range(PREFIX, { limit: Math.min(limit, VERIFY_BATCH), reverse: true });
    return entries.flatMap(([, bytes]) => recordSchema.safeParse(decodeCbor(bytes)).data ?? []).reverse();
  }
}
