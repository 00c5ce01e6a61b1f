// The part of a log that is not on disk yet, and how much of it is being written.
import type { Entry, EntryId, Snapshot } from './types.ts';

export class Unstable {
  snapshot: Snapshot | undefined;
  #entries: Entry[] = [];
  /** The index of the first unstable entry. */
  offset: number;
  #isSnapshotInProgress = false;
  /** Entries below it are being written. */
  offsetInProgress: number;
  readonly #log: (text: string) => void;

  constructor(offset: number, log: (text: string) => void) {
    this.offset = offset;
    this.offsetInProgress = offset;
    this.#log = log;
  }

  get length(): number {
    return this.#entries.length;
  }

  get firstIndex(): number | undefined {
    return this.snapshot && this.snapshot.index + 1;
  }

  get lastIndex(): number | undefined {
    return this.#entries.length > 0 ? this.offset + this.#entries.length - 1 : this.snapshot?.index;
  }

  term(index: number): number | undefined {
    if (index < this.offset) return this.snapshot?.index === index ? this.snapshot.term : undefined;
    return this.#entries[index - this.offset]?.term;
  }

  /** Entries that are not being written yet. */
  nextEntries(): Entry[] {
    return this.#entries.slice(this.offsetInProgress - this.offset);
  }

  nextSnapshot(): Snapshot | undefined {
    return this.#isSnapshotInProgress ? undefined : this.snapshot;
  }

  acceptInProgress(): void {
    if (this.#entries.length > 0) this.offsetInProgress = this.offset + this.#entries.length;
    if (this.snapshot !== undefined) this.#isSnapshotInProgress = true;
  }

  /** Entries up to this one are on disk, unless others have replaced them since. */
  stableTo({ term, index }: EntryId): void {
    const known = this.term(index);
    if (known === undefined) return this.#log(`entry at index ${index} missing from unstable log; ignoring`);
    if (index < this.offset) return this.#log(`entry at index ${index} matched unstable snapshot; ignoring`);
    if (known !== term)
      return this.#log(
        `entry at (index,term)=(${index},${term}) mismatched with entry at (${index},${known}) in unstable log; ignoring`,
      );
    this.#entries.splice(0, index + 1 - this.offset);
    this.offset = index + 1;
    this.offsetInProgress = Math.max(this.offsetInProgress, this.offset);
  }

  stableSnapTo(index: number): void {
    if (this.snapshot?.index !== index) return;
    this.snapshot = undefined;
    this.#isSnapshotInProgress = false;
  }

  restore(snapshot: Snapshot): void {
    this.offset = snapshot.index + 1;
    this.offsetInProgress = this.offset;
    this.#entries = [];
    this.snapshot = snapshot;
    this.#isSnapshotInProgress = false;
  }

  truncateAndAppend(entries: readonly Entry[]): void {
    const from = entries[0]?.index ?? Number.NaN;
    if (from === this.offset + this.#entries.length) {
      for (const entry of entries) this.#entries.push(entry);
    } else if (from <= this.offset) {
      this.#log(`replace the unstable entries from index ${from}`);
      this.#entries = [...entries];
      this.offset = from;
      this.offsetInProgress = from;
    } else {
      this.#log(`truncate the unstable entries before index ${from}`);
      this.#entries = [...this.slice(this.offset, from), ...entries];
      this.offsetInProgress = Math.min(this.offsetInProgress, from);
    }
  }

  /** Entries of [from, to). */
  slice(from: number, to: number): Entry[] {
    if (from < this.offset || to > this.offset + this.#entries.length || from > to)
      throw new Error(`unstable.slice[${from},${to}) out of bound [${this.offset},${this.offset + this.#entries.length}]`);
    return this.#entries.slice(from - this.offset, to - this.offset);
  }
}
