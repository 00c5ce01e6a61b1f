// A simulated disk: writes become durable after a delay, in order, and survive a crash. What was under way is kept up to some
// write, as the file system got to it; that one is torn or corrupt, which the log's checksum finds, so it and the rest are gone.
import type { RangeOptions, Store, StoreOperation } from '../../swarm/ports/store.ts';
import type { SeededRandom } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';
import { Process } from './process.ts';

/** A synced write on an ordinary SSD. */
const WRITE_MS = 2;
/** A refused write is tried again so often. */
const TRY_EVERY_MS = 2_000;

/** What is on the disk: outlives the process that wrote it. */
export class Disk {
  readonly content = new Map<string, Uint8Array>();
  /** Without it, all that is under way is lost in a crash. */
  readonly random: SeededRandom | undefined;
  writeMs = WRITE_MS;
  /** What a read takes: nothing, where what is read is in memory. */
  readMs = 0;
  /** It takes no write: they wait until it does. */
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
  /** In order: whoever asks it after that has outlived its agent. */
  #closed = false;
  /** When the last write under way is done: a slower one before it holds up those after. */
  #doneMs = 0;

  constructor(disk: Disk, scheduler: Scheduler, process = new Process(scheduler)) {
    this.#disk = disk;
    this.#scheduler = scheduler;
    this.#process = process;
  }

  /** The process died, or the power went: nobody is told what became of what it had under way. */
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
