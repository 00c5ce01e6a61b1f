// A simulated disk: writes become durable after a delay and survive a crash; those still under way are lost with it.
import type { RangeOptions, Store, StoreOperation } from '../swarm/ports/store.ts';
import type { Scheduler } from './scheduler.ts';

/** A synced write on an ordinary SSD. */
const WRITE_MS = 2;

/** What is on the disk: outlives the process that wrote it. */
export class Disk {
  readonly content = new Map<string, Uint8Array>();
}

export class SimulatedStore implements Store {
  readonly #disk: Disk;
  readonly #scheduler: Scheduler;
  #open = true;

  constructor(disk: Disk, scheduler: Scheduler) {
    this.#disk = disk;
    this.#scheduler = scheduler;
  }

  /** The process died: what it had under way never happens, and nobody is told. */
  crash(): void {
    this.#open = false;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#disk.content.get(key);
  }

  write(operations: readonly StoreOperation[]): Promise<void> {
    return new Promise((resolve) => {
      this.#scheduler.after(WRITE_MS, () => {
        if (!this.#open) return;
        for (const operation of operations) {
          if (operation.kind === 'put') this.#disk.content.set(operation.key, operation.value);
          else this.#disk.content.delete(operation.key);
        }
        resolve();
      });
    });
  }

  async range(prefix: string, { limit, reverse }: RangeOptions): Promise<[string, Uint8Array][]> {
    const found = [...this.#disk.content].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1));
    return (reverse === true ? found.reverse() : found).slice(0, limit);
  }

  async close(): Promise<void> {
    this.#open = false;
  }
}
