// What Raft reads of its stable log, and the log in memory: of what is on disk, or of a test.
import { type ConfState, type Entry, type EntryId, type HardState, limited, NO_CONF, NO_STATE, type Snapshot } from './types.ts';

/** Reads only, and answers at once: what is stable is held in memory, from the last snapshot on. */
export interface RaftStorage {
  initialState(): { state: HardState; conf: ConfState };
  /** Entries of [from, to), as many as the bytes allow, and one at least. @throws LogError */
  entries(from: number, to: number, maxBytes: number): readonly Entry[];
  /** @throws LogError */
  term(index: number): number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** @throws LogError `unavailable` where it is not made yet. */
  snapshot(): Snapshot;
}

/** `compacted`: only a snapshot has it; `unavailable`: not there, or not yet. */
export class LogError extends Error {
  readonly code: 'compacted' | 'unavailable';

  constructor(code: LogError['code']) {
    super(code === 'compacted' ? 'requested index is unavailable due to compaction' : 'requested entry at index is unavailable');
    this.code = code;
  }
}

/** What `read` gives, or undefined where the log does not have it. */
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
  /** Index and term of what lies before the first entry. */
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

  /** What was stored before. */
  protected fill(state: HardState, snapshot: Snapshot | undefined, before: EntryId, entries: readonly Entry[]): void {
    this.state = state;
    if (snapshot !== undefined) this.#snapshot = snapshot;
    this.#before = before;
    this.#entries = [...entries];
  }

  /** Takes the place of the log. */
  applySnapshot(snapshot: Snapshot): void {
    if (this.#snapshot.index >= snapshot.index) throw new RangeError('requested index is older than the existing snapshot');
    this.#snapshot = snapshot;
    this.#before = { index: snapshot.index, term: snapshot.term };
    this.#entries = [];
  }

  /** The state of the machine as of an entry that is applied. */
  createSnapshot(index: number, conf: ConfState, data: Uint8Array): Snapshot {
    if (index <= this.#snapshot.index) throw new RangeError('requested index is older than the existing snapshot');
    this.#snapshot = { index, term: this.term(index), conf, data };
    return this.#snapshot;
  }

  /** Drops entries up to an index. @throws LogError where they are gone */
  compact(index: number): void {
    if (index <= this.#before.index) throw new LogError('compacted');
    if (index > this.lastIndex) throw new RangeError(`compact ${index} is out of bound lastindex(${this.lastIndex})`);
    const term = this.term(index);
    this.#entries.splice(0, index - this.#before.index);
    this.#before = { index, term };
  }

  /** Entries take the place of those that they conflict with. */
  append(entries: readonly Entry[]): void {
    const kept = entries.filter(({ index }) => index >= this.firstIndex);
    const [first] = kept;
    if (first === undefined) return;
    if (first.index > this.lastIndex + 1)
      throw new RangeError(`missing log entry [last: ${this.lastIndex}, append at: ${first.index}]`);
    this.#entries.splice(first.index - this.firstIndex, this.#entries.length, ...kept);
  }
}
