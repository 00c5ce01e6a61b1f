// A store that closes last: earlier operations run to their end; later ones are never answered, as in a crash, which the journal makes safe.
// So code that outlives a stop does not fail because its store is closed.
import type { Clock } from '../ports/clock.ts';
import type { RangeOptions, Store, StoreOperation } from '../ports/store.ts';

/** After this time the caller of an operation has begun its next one. */
const SETTLED_AFTER_MS = 20;
/** Operations that begin after this are not awaited. */
const DRAIN_WITHIN_MS = 5_000;

export class DrainingStore implements Store {
  readonly #store: Store;
  readonly #clock: Clock;
  #underWay = 0;
  #begun = 0;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(store: Store, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  get refusal(): string | undefined {
    return this.#store.refusal;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#do(() => this.#store.get(key));
  }

  write(operations: readonly StoreOperation[]): Promise<void> {
    return this.#do(() => this.#store.write(operations));
  }

  range(prefix: string, options: RangeOptions): Promise<[string, Uint8Array][]> {
    return this.#do(() => this.#store.range(prefix, options));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #do<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#isClosed) return unanswered();
    this.#underWay++;
    this.#begun++;
    try {
      return await operation();
    } catch (error) {
      if (this.#isClosed) return unanswered();
      throw error;
    } finally {
      this.#underWay--;
    }
  }

  async #close(): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + DRAIN_WITHIN_MS;
    for (let begun = -1; (begun !== this.#begun || this.#underWay > 0) && this.#clock.monotonicMs() < untilMs; ) {
      if (this.#store.refusal !== undefined) break; // operations that wait for the disk are not awaited
      begun = this.#begun;
      await new Promise<void>((resolve) => this.#clock.after(SETTLED_AFTER_MS, resolve));
    }
    this.#isClosed = true;
    await this.#store.close();
  }
}

const unanswered = <T>(): Promise<T> => new Promise(() => undefined);
