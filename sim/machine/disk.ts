// A simulated disk: writes become durable after a delay, in order, and survive a crash. Of pending writes some are kept, up to one that the
// file system had not finished; that one is torn or corrupt, which the log's checksum finds, so it and the rest are lost.
import type { RangeOptions, Store, StoreOperation } from '../../swarm/ports/store.ts';
import type { SeededRandom } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';
import { Process } from './process.ts';

/** A synced write on an ordinary SSD. */
const WRITE_MS = 2;
/** The interval between attempts of a refused write. */
const TRY_EVERY_MS = 2_000;

/** The content of the disk: it outlives the process that wrote it. */
export class Disk {
  readonly content = new Map<string, Uint8Array>();
  /** Without it, all pending writes are lost in a crash. */
  readonly random: SeededRandom | undefined;
  writeMs = WRITE_MS;
  /** The time of a read: 0 if the data is in memory. */
  readMs = 0;
  /** It refuses writes: they wait until it accepts them. */
  full = false;
  /** Writes by their outcome in crashes, for reports. */
  lost = 0;
  kept = 0;

  constructor(random?: SeededRandom) {
    this.random = random;
  }

  apply(operations: readonly StoreOperation[]): void {
    for (const operation of operations) {
      if (operation.kind === 'put') this.content.set(operation.key, operation.value);
      else this.content.delete(operation.key);
    }
  }
}

export class SimulatedStore implements Store {
  readonly #disk: Disk;
  readonly #scheduler: Scheduler;
  readonly #process: Process;
  readonly #underWay: (readonly StoreOperation[])[] = [];
  readonly #refused: { operations: readonly StoreOperation[]; resolve(): void }[] = [];
  #open = true;
  /** An orderly close: a later call comes from code that has outlived its agent. */
  #closed = false;
  /** When the last pending write is done: a slow one delays those after it. */
  #doneMs = 0;

  constructor(disk: Disk, scheduler: Scheduler, process = new Process(scheduler)) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#process = process;
  }

  /** The process died, or the power failed: pending writes get no answer. */
  crash(): void {
    this.#open = false;
    const { random } = this.#disk;
    const kept = random === undefined ? 0 : Math.floor(random.unit() * (this.#underWay.length + 1));
    this.#disk.kept += kept;
    this.#disk.lost += this.#underWay.length - kept;
    for (const operations of this.#underWay.splice(0).slice(0, kept)) this.#disk.apply(operations);
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    await this.#read();
    return this.#disk.content.get(key);
  }

  get refusal(): string | undefined {
    return this.#refused.length > 0 ? 'No space left on device' : undefined;
  }

  write(operations: readonly StoreOperation[]): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('Database is not open'));
    return new Promise((resolve) => {
      if (this.#refused.length === 0 && !this.#disk.full) return this.#write(operations, resolve);
      this.#refused.push({ operations, resolve });
      if (this.#refused.length === 1) this.#tryLater();
    });
  }

  #tryLater(): void {
    this.#scheduler.after(TRY_EVERY_MS, () => {
      if (!this.#open) return;
      if (this.#disk.full) return this.#tryLater();
      for (const { operations, resolve } of this.#refused.splice(0)) this.#write(operations, resolve);
    });
  }

  #write(operations: readonly StoreOperation[], resolve: () => void): void {
    this.#underWay.push(operations);
    this.#doneMs = Math.max(this.#doneMs, this.#scheduler.nowMs + this.#disk.writeMs);
    this.#scheduler.at(this.#doneMs, () => {
      if (!this.#open) return;
      this.#underWay.shift();
      this.#disk.apply(operations);
      this.#process.run(resolve);
    });
  }

  async range(prefix: string, { limit, reverse }: RangeOptions): Promise<[string, Uint8Array][]> {
    await this.#read();
    const found = [...this.#disk.content].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
    return (reverse === true ? found.reverse() : found).slice(0, limit);
  }

  async #read(): Promise<void> {
    const { readMs } = this.#disk;
    if (readMs > 0) await new Promise<void>((resolve) => this.#scheduler.after(readMs, () => this.#process.run(resolve)));
    if (this.#closed) throw new Error('Database is not open');
  }

  async close(): Promise<void> {
    this.#open = false;
    this.#closed = true;
  }
}
