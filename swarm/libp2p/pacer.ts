// Work that comes in heaps is done in portions: promises alone never let the event loop turn, and everything else would wait.

const PORTION_MS = 10;

export class Pacer {
  /** When the loop last turned, as far as is known here. */
  #turnedMs = Number.NEGATIVE_INFINITY;

  /** Lets others have their turn where the portion is done. */
  async pause(): Promise<void> {
    if (performance.now() - this.#turnedMs < PORTION_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#turnedMs = performance.now();
  }
}
