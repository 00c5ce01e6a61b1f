// The log of a node: its stable and unstable parts, its commit index, and its applied index.
import { LogError, orMissing, type RaftStorage } from './storage.ts';
import { bytesOf, type Entry, type EntryId, limited, type Snapshot } from './types.ts';
import { Unstable } from './unstable.ts';

export class RaftLog {
  readonly storage: RaftStorage;
  readonly unstable: Unstable;
  committed: number;
  /** The last entry that was handed out to apply, and the last one that was applied. */
  applying: number;
  applied: number;
  readonly #log: (text: string) => void;
  /** The limit of bytes that are handed out and not applied yet. */
  readonly #maxApplyingBytes: number;
  #applyingBytes = 0;
  #isApplyingPaused = false;

  constructor(storage: RaftStorage, maxApplyingBytes: number, log: (text: string) => void) {
    this.storage = storage;
    this.#log = log;
    this.#maxApplyingBytes = maxApplyingBytes;
    this.committed = storage.firstIndex - 1;
    this.applying = this.committed;
    this.applied = this.committed;
    this.unstable = new Unstable(storage.lastIndex + 1, log);
  }

  toString(): string {
    const { committed, applied, applying, unstable } = this;
    return `committed=${committed}, applied=${applied}, applying=${applying}, unstable.offset=${unstable.offset}, unstable.offsetInProgress=${unstable.offsetInProgress}, len(unstable.Entries)=${unstable.length}`;
  }

  get firstIndex(): number {
    return this.unstable.firstIndex ?? this.storage.firstIndex;
  }

  get lastIndex(): number {
    return this.unstable.lastIndex ?? this.storage.lastIndex;
  }

  get last(): EntryId {
    return { index: this.lastIndex, term: this.term(this.lastIndex) };
  }

  /** @throws LogError */
  term(index: number): number {
    const unstable = this.unstable.term(index);
    if (unstable !== undefined) return unstable;
    if (index + 1 < this.firstIndex) throw new LogError('compacted');
    if (index > this.lastIndex) throw new LogError('unavailable');
    return this.storage.term(index);
  }

  /** 0 if the log has no such entry. */
  termOrZero(index: number): number {
    return this.#termOf(index) ?? 0;
  }

  #termOf(index: number): number | undefined {
    return orMissing(() => this.term(index));
  }

  matches({ index, term }: EntryId): boolean {
    return this.#termOf(index) === term;
  }

  /** Whether a log with this last entry has all entries that are committed here. */
  isUpToDate(theirs: EntryId): boolean {
    const { index, term } = this.last;
    return theirs.term > term || (theirs.term === term && theirs.index >= index);
  }

  /** Appends entries after one of this log. @returns the index of the last one; undefined if the log does not have that entry */
  maybeAppend(before: EntryId, entries: readonly Entry[], committed: number): number | undefined {
    if (!this.matches(before)) return undefined;
    const last = before.index + entries.length;
    const conflict = this.#conflict(entries);
    if (conflict !== undefined) {
      if (conflict <= this.committed)
        throw new Error(`entry ${conflict} conflict with committed entry [committed(${this.committed})]`);
      this.append(entries.slice(conflict - before.index - 1));
    }
    this.commitTo(Math.min(committed, last));
    return last;
  }

  append(entries: readonly Entry[]): number {
    const [first] = entries;
    if (first !== undefined) {
      if (first.index - 1 < this.committed)
        throw new Error(`after(${first.index - 1}) is out of range [committed(${this.committed})]`);
      this.unstable.truncateAndAppend(entries);
    }
    return this.lastIndex;
  }

  /** The first entry that this log does not have, or has with another term. */
  #conflict(entries: readonly Entry[]): number | undefined {
    for (const { index, term } of entries) {
      if (this.matches({ index, term })) continue;
      if (index <= this.lastIndex)
        this.#log(`found conflict at index ${index} [existing term: ${this.termOrZero(index)}, conflicting term: ${term}]`);
      return index;
    }
    return undefined;
  }

  /** The last entry up to an index whose term is not higher: it may match another log. Its term is 0 if unknown. */
  conflictByTerm(from: number, term: number): EntryId {
    for (let index = from; index > 0; index--) {
      const ours = this.#termOf(index);
      if (ours === undefined) return { index, term: 0 };
      if (ours <= term) return { index, term: ours };
    }
    return { index: 0, term: 0 };
  }

  // Committed and applied

  commitTo(index: number): void {
    if (index <= this.committed) return;
    if (index > this.lastIndex)
      throw new Error(
        `tocommit(${index}) is out of range [lastIndex(${this.lastIndex})]. Was the raft log corrupted, truncated, or lost?`,
      );
    this.committed = index;
  }

  /** Only an entry of the current term is committed by counting replicas. */
  maybeCommit(at: EntryId): boolean {
    if (at.term === 0 || at.index <= this.committed || !this.matches(at)) return false;
    this.commitTo(at.index);
    return true;
  }

  /** Committed entries that are not being applied yet. @param allowUnstable whether entries that are not on disk may be applied */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (this.#isApplyingPaused || this.unstable.snapshot !== undefined) return [];
    const [from, to] = [this.applying + 1, this.#maxAppliable(allowUnstable) + 1];
    return from >= to ? [] : this.slice(from, to, this.#maxApplyingBytes - this.#applyingBytes);
  }

  hasNextCommitted(allowUnstable: boolean): boolean {
    return !this.#isApplyingPaused && this.unstable.snapshot === undefined && this.applying < this.#maxAppliable(allowUnstable);
  }

  #maxAppliable(allowUnstable: boolean): number {
    return allowUnstable ? this.committed : Math.min(this.committed, this.unstable.offset - 1);
  }

  /** Whether a configuration change is committed and not applied yet. */
  get hasUnappliedChange(): boolean {
    for (let from = this.applied + 1; from <= this.committed; ) {
      const entries = this.slice(from, this.committed + 1, this.#maxApplyingBytes);
      if (entries.some(({ type }) => type !== 'EntryNormal')) return true;
      from += entries.length;
    }
    return false;
  }

  acceptApplying(index: number, bytes: number, allowUnstable: boolean): void {
    if (this.committed < index) throw new Error(`applying(${index}) is out of range [committed(${this.committed})]`);
    this.applying = index;
    this.#applyingBytes += bytes;
    // Entries were held back for the limit of bytes, or none is left.
    this.#isApplyingPaused = this.#applyingBytes >= this.#maxApplyingBytes || index < this.#maxAppliable(allowUnstable);
  }

  appliedTo(index: number, bytes: number): void {
    if (this.committed < index || index < this.applied)
      throw new Error(`applied(${index}) is out of range [prevApplied(${this.applied}), committed(${this.committed})]`);
    this.applied = index;
    this.applying = Math.max(this.applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#isApplyingPaused = this.#applyingBytes >= this.#maxApplyingBytes;
  }

  // Stable and unstable

  /** @throws LogError `unavailable` */
  snapshot(): Snapshot {
    return this.unstable.snapshot ?? this.storage.snapshot();
  }

  restore(snapshot: Snapshot): void {
    this.#log(`log [${this}] starts to restore snapshot [index: ${snapshot.index}, term: ${snapshot.term}]`);
    this.committed = snapshot.index;
    this.unstable.restore(snapshot);
  }

  /** @throws LogError `compacted` */
  entries(from: number, maxBytes: number): readonly Entry[] {
    return from > this.lastIndex ? [] : this.slice(from, this.lastIndex + 1, maxBytes);
  }

  /** Entries of [from, to), as many as the bytes allow, and one at least. @throws LogError */
  slice(from: number, to: number, maxBytes: number): readonly Entry[] {
    if (from < this.firstIndex) throw new LogError('compacted');
    if (from === to) return [];
    const { offset } = this.unstable;
    if (from >= offset) return limited(this.unstable.slice(from, to), maxBytes);
    const cut = Math.min(to, offset);
    const stable = this.storage.entries(from, cut, maxBytes);
    if (to <= offset || stable.length < cut - from) return stable;
    const bytes = bytesOf(stable);
    if (bytes >= maxBytes) return stable;
    const rest = limited(this.unstable.slice(offset, to), maxBytes - bytes);
    return rest.length === 1 && bytes + bytesOf(rest) > maxBytes ? stable : [...stable, ...rest];
  }
}
