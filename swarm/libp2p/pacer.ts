// Splits bursts of work into portions: promises alone never return to the event loop, and all other work would wait.

const PORTION_MS = 10;

export class Pacer {
  /** When the last turn of the event loop began, as far as known. */
  #turnedMs = Number.NEGATIVE_INFINITY;

  /** Returns to the event loop if the portion is used up. */
  async pause(): Promise<void> {
    if (performance.now() - this.#turnedMs < PORTION_MS) return;
    await new Promise((resolve) => setImmediate(resolve));
    this.#turnedMs = performance.now();
  }
}
