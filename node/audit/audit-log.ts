// The append-only record of intents and outcomes: a Merkle log (RFC 6962). Every append writes the
// record, the subtrees that it completes and a signed head in one synced batch, so that a crash leaves the log intact;
// any edit, removal, truncation or reordering is found and located, and an entry can be proven to others.
import { z } from 'zod';
import { decodeCbor, encodeCbor, equalBytes } from '../../swarm/dissemination/cbor.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import { type Crypto, HASH_BYTES, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { Store, StoreOperation } from '../../swarm/ports/store.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { consistencyProof, inclusionProof, leafHash, nodeHash, rangeHash, type SubtreeHash } from './merkle.ts';

const RECORD_PREFIX = 'audit/record/';
const NODE_PREFIX = 'audit/node/';
/** The key of the head, which exists from the first record on. */
export const HEAD_KEY = 'audit/head';
const HEAD_DOMAIN = 'kalos/audit-head/1';
const INDEX_DIGITS = 12;
const MAX_TAIL = 1_000;

const recordSchema = z.strictObject({
  index: z.number().int(),
  atMs: z.number().int(),
  kind: z.enum(['start', 'intent', 'outcome', 'refused', 'control']),
  /** The incident, plan or agent of the record. */
  subject: z.string(),
  text: z.string(),
});
export type AuditRecord = z.infer<typeof recordSchema>;

const bytesOf = (length: number) => z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length);

export const headSchema = z.strictObject({
  size: z.number().int().positive(),
  root: bytesOf(HASH_BYTES),
  atMs: z.number().int(),
  signer: z.string(),
  signature: bytesOf(SIGNATURE_BYTES),
});
/** Size and root of a log at a time, signed by its agent. */
export type SignedHead = z.infer<typeof headSchema>;

export type AuditCheck =
  | { ok: true; records: number; root: Uint8Array | undefined }
  | { ok: false; index: number; reason: string };

export interface InclusionProof {
  record: AuditRecord;
  head: SignedHead;
  path: Uint8Array[];
}

export interface ConsistencyProof {
  oldSize: number;
  oldRoot: Uint8Array;
  head: SignedHead;
  path: Uint8Array[];
}

const recordKey = (index: number): string => `${RECORD_PREFIX}${String(index).padStart(INDEX_DIGITS, '0')}`;
const nodeKey = (level: number, index: number): string => `${NODE_PREFIX}${level}/${index}`;

/** The bytes that a leaf is the hash of. */
export function recordBytes(record: AuditRecord): Uint8Array {
  return encodeCbor([record.index, record.atMs, record.kind, record.subject, record.text]);
}

export function headBytes(head: Omit<SignedHead, 'signature'>): Uint8Array {
  return encodeCbor([HEAD_DOMAIN, head.signer, head.size, head.root, head.atMs]);
}

/** The log is not as this agent wrote it. */
export class AuditDamaged extends Error {}

export class AuditLog {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #crypto: Crypto;
  #head: SignedHead | undefined;
  /** Appends are serialized: a root covers all records before it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(store: Store, clock: Clock, crypto: Crypto) {
    this.#store = store;
    this.#clock = clock;
    this.#crypto = crypto;
  }

  /** Finds the end of the log. Call once before the first append. @throws if the head is not readable or not this agent's. */
  async open(): Promise<void> {
    const bytes = await this.#store.get(HEAD_KEY);
    if (bytes === undefined) {
      const [stray] = await this.#store.range(RECORD_PREFIX, { limit: 1 });
      if (stray !== undefined) throw new AuditDamaged('the audit log has records but no head: it was tampered with');
      return;
    }
    const head = headSchema.safeParse(decodeCbor(bytes));
    if (!head.success) throw new AuditDamaged('the head of the audit log cannot be read');
    if (!this.#isOwn(head.data)) throw new AuditDamaged('the head of the audit log is not signed by this agent');
    this.#head = head.data;
  }

  #isOwn(head: SignedHead): boolean {
    return head.signer === this.#crypto.self && this.#crypto.verify(head.signer, headBytes(head), head.signature);
  }

  get records(): number {
    return this.#head?.size ?? 0;
  }

  get head(): SignedHead | undefined {
    return this.#head;
  }

  /** Durable, and under a signed head, once it resolves. */
  append(kind: AuditRecord['kind'], subject: string, text: string): Promise<AuditRecord> {
    const appended = this.#last.then(() => this.#write(kind, subject, text));
    this.#last = appended.catch(() => undefined);
    return appended;
  }

  async #write(kind: AuditRecord['kind'], subject: string, text: string): Promise<AuditRecord> {
    const index = this.records;
    const record: AuditRecord = { index, atMs: Math.round(this.#clock.wallMs()), kind, subject, text };
    const completed = await this.#complete(index, leafHash(recordBytes(record), this.#crypto.hash));
    const subtree: SubtreeHash = async (level, at) => completed.get(nodeKey(level, at)) ?? this.#node(level, at);
    const root = await rangeHash(0, index + 1, subtree, this.#crypto.hash);
    // The time of heads never decreases, even if the clock does: a shorter log that is signed later was cut.
    const atMs = Math.max(record.atMs, this.#head?.atMs ?? 0);
    const unsigned = { size: index + 1, root, atMs, signer: this.#crypto.self };
    const head: SignedHead = { ...unsigned, signature: this.#crypto.sign(headBytes(unsigned)) };
    const puts: StoreOperation[] = [...completed].map(([key, value]) => ({ kind: 'put', key, value }));
    puts.push(
      { kind: 'put', key: recordKey(index), value: encodeCbor(record) },
      { kind: 'put', key: HEAD_KEY, value: encodeCbor(head) },
    );
    await this.#store.write(puts);
    this.#head = head;
    return record;
  }

  /** The leaf and every perfect subtree that it is the last leaf of. */
  async #complete(index: number, leaf: Uint8Array): Promise<Map<string, Uint8Array>> {
    const nodes = new Map([[nodeKey(0, index), leaf]]);
    let node = leaf;
    for (let level = 0, at = index; at % 2 === 1; level++, at = (at - 1) / 2) {
      node = nodeHash(await this.#node(level, at - 1), node, this.#crypto.hash);
      nodes.set(nodeKey(level + 1, (at - 1) / 2), node);
    }
    return nodes;
  }

  readonly #node: SubtreeHash = async (level, index) => {
    const bytes = await this.#store.get(nodeKey(level, index));
    if (bytes === undefined) throw new Error(`the audit log has no subtree ${level}/${index}`);
    return bytes;
  };

  /** Reads the whole log again, rebuilds the tree from the records alone, and returns the first record that does not match. */
  async verify(): Promise<AuditCheck> {
    const bytes = await this.#store.get(HEAD_KEY);
    const head = headSchema.safeParse(bytes && decodeCbor(bytes));
    if (bytes === undefined && this.records === 0) return { ok: true, records: 0, root: undefined };
    if (!head.success || !this.#isOwn(head.data))
      return { ok: false, index: 0, reason: 'the head cannot be read or is not signed by this agent' };
    if (head.data.size < this.records)
      return { ok: false, index: head.data.size, reason: 'the log was cut back to an older head' };
    const leaves: Uint8Array[] = [];
    for (let index = 0; index < head.data.size; index++) {
      const leaf = await this.#checkedLeaf(index);
      if (typeof leaf === 'string') return { ok: false, index, reason: leaf };
      leaves.push(leaf);
    }
    const stray = await this.#store.get(recordKey(head.data.size));
    if (stray !== undefined) return { ok: false, index: head.data.size, reason: 'a record is beyond the head' };
    const root = await rangeHash(0, leaves.length, (level, index) => this.#rebuild(leaves, level, index), this.#crypto.hash);
    if (!equalBytes(root, head.data.root))
      return { ok: false, index: leaves.length - 1, reason: 'the records do not match the signed root' };
    return { ok: true, records: leaves.length, root };
  }

  async #checkedLeaf(index: number): Promise<Uint8Array | string> {
    const bytes = await this.#store.get(recordKey(index));
    if (bytes === undefined) return 'the record is missing';
    const record = recordSchema.safeParse(decodeCbor(bytes));
    if (!record.success || record.data.index !== index) return 'the record cannot be read or is out of place';
    const leaf = leafHash(recordBytes(record.data), this.#crypto.hash);
    const stored = await this.#store.get(nodeKey(0, index));
    return stored !== undefined && equalBytes(stored, leaf) ? leaf : 'the record was changed';
  }

  async #rebuild(leaves: readonly Uint8Array[], level: number, index: number): Promise<Uint8Array> {
    if (level === 0) return leaves[index] ?? new Uint8Array();
    const left = await this.#rebuild(leaves, level - 1, index * 2);
    return nodeHash(left, await this.#rebuild(leaves, level - 1, index * 2 + 1), this.#crypto.hash);
  }

  /** Proof that record `index` is under the newest head; undefined if there is no such record. */
  async prove(index: number): Promise<InclusionProof | undefined> {
    const head = this.#head;
    const bytes = head !== undefined && index < head.size ? await this.#store.get(recordKey(index)) : undefined;
    const record = recordSchema.safeParse(bytes && decodeCbor(bytes));
    if (head === undefined || !record.success) return undefined;
    return { record: record.data, head, path: await inclusionProof(index, head.size, this.#node, this.#crypto.hash) };
  }

  /** Proof that the log extends that of `oldSize` records; undefined if it never had that size. */
  async proveConsistency(oldSize: number): Promise<ConsistencyProof | undefined> {
    const head = this.#head;
    if (head === undefined || oldSize < 1 || oldSize > head.size) return undefined;
    const oldRoot = await rangeHash(0, oldSize, this.#node, this.#crypto.hash);
    return { oldSize, oldRoot, head, path: await consistencyProof(oldSize, head.size, this.#node, this.#crypto.hash) };
  }

  /** The newest records, oldest first; at most a thousand. */
  async tail(limit: number): Promise<AuditRecord[]> {
    const entries = await this.#store.range(RECORD_PREFIX, { limit: Math.min(limit, MAX_TAIL), reverse: true });
    return entries.flatMap(([, bytes]) => recordSchema.safeParse(decodeCbor(bytes)).data ?? []).reverse();
  }

  /** The agent whose log this is. */
  get signer(): PeerId {
    return this.#crypto.self;
  }
}
