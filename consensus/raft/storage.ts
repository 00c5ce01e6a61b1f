// The stable log as Raft reads it, and its implementation in memory: a copy of the disk, or for tests.
import { type ConfState, type Entry, type EntryId, type HardState, limited, NO_CONF, NO_STATE, type Snapshot } from './types.ts';

/** Synchronous reads only: the stable log is in memory, from the last snapshot on. */
export interface RaftStorage {
  initialState(): { state: HardState; conf: ConfState };
  /** Entries of [from, to), as many as the bytes allow, and one at least. @throws LogError */
  entries(from: number, to: number, maxBytes: number): readonly Entry[];
  /** @throws LogError */
  term(index: number): number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** @throws LogError `unavailable` if there is none yet. */
  snapshot(): Snapshot;
}

/** `compacted`: only a snapshot has it. `unavailable`: it does not exist, or not yet. */
export class LogError extends Error {
  readonly code: 'compacted' | 'unavailable';

  constructor(code: LogError['code']) {
    super(code === 'compacted' ? 'requested index is unavailable due to compaction' : 'requested entry at index is unavailable');
    this.code = code;
  }
}

/** The result of `read`; undefined if the log does not have it. */
export function orMissing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof LogError) return undefined;
    throw error;
  }
}

export class MemoryStorage implements RaftStorage {
  state: HardState = NO_STATE;
  #snapshot: Snapshot = { index: 0, term: 0, conf: NO_CONF, data: new Uint8Array() };
  /** Index and term of the entry before the first one. */
  #before = { index: 0, term: 0 };
  #entries: Entry[] = [];

  initialState(): { state: HardState; conf: ConfState } {
    return { state: this.state, conf: this.#snapshot.conf };
  }

  get firstIndex(): number {
    return this.#before.index + 1;
  }

  get lastIndex(): number {
    return this.#before.index + this.#entries.length;
  }

  term(index: number): number {
    if (index < this.#before.index) throw new LogError('compacted');
    if (index === this.#before.index) return this.#before.term;
    const entry = this.#entries[index - this.firstIndex];
    if (entry === undefined) throw new LogError('unavailable');
    return entry.term;
  }

  entries(from: number, to: number, maxBytes: number): readonly Entry[] {
    if (from < this.firstIndex) throw new LogError('compacted');
    if (to > this.lastIndex + 1) throw new RangeError(`entries' hi(${to}) is out of bound lastindex(${this.lastIndex})`);
    return limited(this.#entries.slice(from - this.firstIndex, to - this.firstIndex), maxBytes);
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Fills the log with what the disk had at the start. */
  protected fill(state: HardState, snapshot: Snapshot | undefined, before: EntryId, entries: readonly Entry[]): void {
    this.state = state;
    if (snapshot !== undefined) this.#snapshot = snapshot;
    this.#before = before;
    this.#entries = [...entries];
  }

  /** Replaces the log by a snapshot. */
  applySnapshot(snapshot: Snapshot): void {
    if (this.#snapshot.index >= snapshot.index) throw new RangeError('requested index is older than the existing snapshot');
    this.#snapshot = snapshot;
    this.#before = { index: snapshot.index, term: snapshot.term };
    this.#entries = [];
  }

  /** Stores a snapshot of the state machine as of an applied entry. */
  createSnapshot(index: number, conf: ConfState, data: Uint8Array): Snapshot {
    if (index <= this.#snapshot.index) throw new RangeError('requested index is older than the existing snapshot');
    this.#snapshot = { index, term: this.term(index), conf, data };
    return this.#snapshot;
  }

  /** Drops entries up to an index. @throws LogError if they are compacted already */
  compact(index: number): void {
    if (index <= this.#before.index) throw new LogError('compacted');
    if (index > this.lastIndex) throw new RangeError(`compact ${index} is out of bound lastindex(${this.lastIndex})`);
    const term = this.term(index);
    this.#entries.splice(0, index - this.#before.index);
    this.#before = { index, term };
  }

  /** Appends entries; they replace those that they conflict with. */
  append(entries: readonly Entry[]): void {
    const kept = entries.filter(({ index }) => index >= this.firstIndex);
    const [first] = kept;
    if (first === undefined) return;
    if (first.index > this.lastIndex + 1)
      throw new RangeError(`missing log entry [last: ${this.lastIndex}, append at: ${first.index}]`);
    this.#entries.splice(first.index - this.firstIndex, this.#entries.length, ...kept);
  }
}
