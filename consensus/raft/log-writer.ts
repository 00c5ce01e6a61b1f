// The writer of a log: one write at a time, with all that waits. If the disk fails it tries again; messages that depend on the write wait.
import type { Clock } from '../../swarm/ports/clock.ts';
import { messageOf } from '../../swarm/words.ts';
import type { DurableLog } from './durable-log.ts';
import type { Entry, HardState, Message, Snapshot } from './types.ts';

const DISK_AGAIN_MS = 1_000;

export interface WriterEvents {
  /** Appends are on disk: messages that depend on them may be sent. */
  written(appends: readonly Message[]): void;
  /** undefined: it works again. */
  diskFails(why: string | undefined): void;
}

export class LogWriter {
  readonly #log: DurableLog;
  readonly #clock: Clock;
  readonly #keptEntries: number;
  readonly #events: WriterEvents;
  /** Appends to write, in order. */
  #appends: Message[] = [];
  /**
   * The hard state to write with the next entries. A commit alone may wait for them, but no longer: the commit of a configuration change
   * must be on disk with the entries that the new configuration commits, or an old majority could elect a leader without them.
   */
  #hard: HardState;
  /** A snapshot to write. */
  #due: Snapshot | undefined;
  #isWriting = false;
  #isFailing = false;
  #stopped = false;

  /** @param keptEntries entries before a snapshot that stay in the log */
  constructor(log: DurableLog, clock: Clock, keptEntries: number, events: WriterEvents) {
    this.#log = log;
    this.#clock = clock;
    this.#keptEntries = keptEntries;
    this.#events = events;
    this.#hard = log.state;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Whether the last write failed and is being retried. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  append(one: Message): void {
    this.#appends.push(one);
  }

  /** Writes a snapshot, instead of one that still waits. */
  keep(snapshot: Snapshot): void {
    this.#due = snapshot;
  }

  /** Whether there is work, and no write is running. */
  get isDue(): boolean {
    return !this.#isWriting && this.#hasWork;
  }

  get #hasWork(): boolean {
    return this.#appends.length > 0 || this.#due !== undefined;
  }

  async write(): Promise<void> {
    this.#isWriting = true;
    while (this.#hasWork && !this.#stopped) {
      await this.#keepSnapshot();
      const batch = this.#batch();
      for (const { term, vote, commit } of batch) if (term !== 0) this.#hard = { term, vote, commit };
      if (batch.some((one) => this.#mustWrite(one))) await this.#save(batch);
      if (this.#stopped) return;
      this.#events.written(batch);
    }
    this.#isWriting = false;
  }

  /** Called by the writer only: no other write may run meanwhile. */
  async #keepSnapshot(): Promise<void> {
    const due = this.#due;
    this.#due = undefined;
    // A newer snapshot of the leader may have come since.
    if (due === undefined || due.index <= this.#log.kept.index) return;
    await this.#untilWritten(() => this.#log.snapshotAt(due.index, due.conf, due.data, due.index - this.#keptEntries));
  }

  /** Appends up to the next snapshot, which is written alone. */
  #batch(): Message[] {
    const at = this.#appends.findIndex(({ snapshot }) => snapshot !== undefined);
    return this.#appends.splice(0, at < 0 ? this.#appends.length : Math.max(1, at));
  }

  #mustWrite({ entries, snapshot, term, vote }: Message): boolean {
    const written = this.#log.state;
    return entries.length > 0 || snapshot !== undefined || (term !== 0 && (term !== written.term || vote !== written.vote));
  }

  async #save(batch: readonly Message[]): Promise<void> {
    // Later entries replace earlier ones with the same index.
    const entries: Entry[] = [];
    for (const one of batch) {
      const [first] = one.entries;
      if (first === undefined) continue;
      const from = entries.findIndex(({ index }) => index >= first.index);
      if (from >= 0) entries.splice(from);
      entries.push(...one.entries);
    }
    const snapshot = batch.find((one) => one.snapshot !== undefined)?.snapshot;
    await this.#untilWritten(() => this.#log.save(this.#hard, entries, snapshot));
  }

  async #untilWritten(write: () => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      try {
        await write();
        if (this.#isFailing) this.#events.diskFails(undefined);
        this.#isFailing = false;
        return;
      } catch (error) {
        if (!this.#isFailing) this.#events.diskFails(messageOf(error));
        this.#isFailing = true;
      }
      await new Promise<void>((resolve) => this.#clock.after(DISK_AGAIN_MS, resolve));
    }
  }
}
