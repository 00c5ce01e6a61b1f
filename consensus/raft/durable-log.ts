// Raft's log on a Store: hard state, snapshot and entries, each with a checksum, synced before they are acknowledged. Reads are served from
// memory. Damaged records are found when the log is opened: then none of it is used, since a vote or an acknowledged entry may be missing.
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Store, StoreOperation } from '../../swarm/ports/store.ts';
import { MemoryStorage } from './storage.ts';
import { type ConfState, type Entry, type EntryId, type HardState, isNoState, NO_STATE, type Snapshot } from './types.ts';
import { decodeEntry, decodeHardState, decodeSnapshot, encodeEntry, encodeHardState, encodeSnapshot } from './wire.ts';

const STATE_KEY = 'raft/state';
const SNAPSHOT_KEY = 'raft/snapshot';
/** The entry before the first one. */
const BEFORE_KEY = 'raft/before';
const ENTRY_PREFIX = 'raft/entry/';
const DIGITS = 16;
const CHECKSUM_BYTES = 8;
const MAX_ENTRIES = 1_000_000;

/** The start of a group, the same on all its first voters: empty, or the state of an earlier group. */
export interface Beginning {
  voters: readonly number[];
  index?: number;
  term?: number;
  data?: Uint8Array;
}

export class CorruptLog extends Error {
  constructor(what: string) {
    super(`the Raft log is damaged: ${what}; it no longer votes: revoke this member, then join it with a new token`);
  }
}

const keyOf = (index: number): string => `${ENTRY_PREFIX}${String(index).padStart(DIGITS, '0')}`;

export class DurableLog extends MemoryStorage {
  readonly #store: Store;
  readonly #hash: Crypto['hash'];
  /** The current state, for a member that needs entries that are compacted: an older state might not know that member. */
  present: (() => Snapshot) | undefined;

  private constructor(store: Store, hash: Crypto['hash']) {
    super();
    this.#store = store;
    this.#hash = hash;
  }

  /** @param begins the start of a new group, or its voters alone; undefined: the log exists, or a leader sends it. @throws CorruptLog */
  static async open(
    store: Store,
    { hash }: Pick<Crypto, 'hash'>,
    begins: Beginning | readonly number[] | undefined,
  ): Promise<DurableLog> {
    const log = new DurableLog(store, hash);
    const isThere = await log.#load();
    if (!isThere && begins !== undefined) {
      const { voters, index = 1, term = 1, data = new Uint8Array() } = 'voters' in begins ? begins : { voters: begins };
      // All first voters start with the same snapshot.
      const conf = { voters: [...voters], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
      await log.save({ term, vote: 0, commit: index }, [], { index, term, conf, data });
    }
    return log;
  }

  override snapshot(): Snapshot {
    return this.present?.() ?? this.kept;
  }

  /** The snapshot on disk. */
  get kept(): Snapshot {
    return super.snapshot();
  }

  async #load(): Promise<boolean> {
    const state = await this.#read(STATE_KEY, decodeHardState);
    const snapshot = await this.#read(SNAPSHOT_KEY, decodeSnapshot);
    const before = await this.#read(BEFORE_KEY, decodeHardState);
    const entries: Entry[] = [];
    for (const [key, framed] of await this.#store.range(ENTRY_PREFIX, { limit: MAX_ENTRIES })) {
      const entry = decodeEntry(this.#checked(key, framed));
      const expected = (before?.commit ?? 0) + entries.length + 1;
      if (entry === undefined || entry.index !== expected || key !== keyOf(expected))
        throw new CorruptLog(`${key} is not entry ${expected}`);
      entries.push(entry);
    }
    if (state === undefined) {
      if (snapshot !== undefined || entries.length > 0) throw new CorruptLog(`${STATE_KEY} is missing`);
      return false;
    }
    const last = (before?.commit ?? 0) + entries.length;
    if (state.commit > last || (snapshot?.index ?? 0) > last)
      throw new CorruptLog(`it ends at ${last}, before commit ${state.commit}`);
    this.fill(state, snapshot, { index: before?.commit ?? 0, term: before?.term ?? 0 }, entries);
    return true;
  }

  async #read<T>(key: string, decode: (bytes: Uint8Array) => T | undefined): Promise<T | undefined> {
    const framed = await this.#store.get(key);
    if (framed === undefined) return undefined;
    const value = decode(this.#checked(key, framed));
    if (value === undefined) throw new CorruptLog(`${key} cannot be read`);
    return value;
  }

  #checksum(key: string, value: Uint8Array): Uint8Array {
    const name = new TextEncoder().encode(key);
    const all = new Uint8Array(name.length + value.length);
    all.set(name);
    all.set(value, name.length);
    return this.#hash(all).subarray(0, CHECKSUM_BYTES);
  }

  #checked(key: string, framed: Uint8Array): Uint8Array {
    const value = framed.subarray(CHECKSUM_BYTES);
    const checksum = this.#checksum(key, value);
    if (framed.length < CHECKSUM_BYTES || checksum.some((byte, i) => byte !== framed[i]))
      throw new CorruptLog(`the checksum of ${key} is wrong`);
    return value;
  }

  #put(key: string, value: Uint8Array): StoreOperation {
    const framed = new Uint8Array(CHECKSUM_BYTES + value.length);
    framed.set(this.#checksum(key, value));
    framed.set(value, CHECKSUM_BYTES);
    return { kind: 'put', key, value: framed };
  }

  #putBefore({ index, term }: EntryId): StoreOperation {
    return this.#put(BEFORE_KEY, encodeHardState({ term, vote: 0, commit: index }));
  }

  #deletes(from: number, to: number): StoreOperation[] {
    return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => ({ kind: 'delete', key: keyOf(from + i) }));
  }

  /** Writes what Raft wants on stable storage; it is durable once this resolves. @throws the error of the disk; then nothing is written */
  async save(state: HardState, entries: readonly Entry[], snapshot: Snapshot | undefined): Promise<void> {
    const operations: StoreOperation[] = [];
    if (!isNoState(state)) operations.push(this.#put(STATE_KEY, encodeHardState(state)));
    if (snapshot !== undefined)
      operations.push(
        ...this.#deletes(this.firstIndex, this.lastIndex),
        this.#put(SNAPSHOT_KEY, encodeSnapshot(snapshot)),
        this.#putBefore(snapshot),
      );
    const [first] = entries;
    if (first !== undefined && snapshot === undefined)
      operations.push(...this.#deletes(first.index + entries.length, this.lastIndex));
    for (const entry of entries) operations.push(this.#put(keyOf(entry.index), encodeEntry(entry)));
    if (operations.length > 0) await this.#store.write(operations);
    if (!isNoState(state)) this.state = state;
    if (snapshot !== undefined) this.applySnapshot(snapshot);
    this.append(entries);
  }

  /** Stores a snapshot of the state machine as of an applied entry, and drops entries up to `keepFrom`. */
  async snapshotAt(index: number, conf: ConfState, data: Uint8Array, keepFrom: number): Promise<void> {
    const snapshot = { index, term: this.term(index), conf, data };
    const dropTo = Math.min(index, keepFrom - 1);
    const operations = [this.#put(SNAPSHOT_KEY, encodeSnapshot(snapshot))];
    // A snapshot covers only committed entries, even if that commit is not on disk yet.
    const state = { ...(isNoState(this.state) ? NO_STATE : this.state), commit: Math.max(this.state.commit, index) };
    operations.push(this.#put(STATE_KEY, encodeHardState(state)));
    if (dropTo >= this.firstIndex)
      operations.push(...this.#deletes(this.firstIndex, dropTo), this.#putBefore({ index: dropTo, term: this.term(dropTo) }));
    await this.#store.write(operations);
    this.state = state;
    this.createSnapshot(index, conf, data);
    if (dropTo >= this.firstIndex) this.compact(dropTo);
  }
}
