// What one who asks may hold of what there is a limited amount of, and all together, and how often one may ask: nobody takes it from the others.

export class Shares {
  readonly #each: number;
  readonly #all: number;
  readonly #held = new Map<string, number>();

  /** @param each for one. @param all for all together, but for those who are always given their own. */
  constructor(each: number, all: number) {
    this.#each = each;
    this.#all = all;
  }

  /**
   * Undefined where there is not as much left; who holds nothing yet is given even more than a share of its own.
   * @param isAlways whatever the others hold.
   * @returns gives it back.
   */
  take(asker: string, amount: number, isAlways: boolean): (() => void) | undefined {
    const own = this.#held.get(asker) ?? 0;
    const all = [...this.#held.values()].reduce((sum, one) => sum + one, 0);
    if ((own > 0 && own + amount > this.#each) || (!isAlways && all + amount > this.#all)) return undefined;
    this.#held.set(asker, own + amount);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.#held.get(asker) ?? amount) - amount;
      if (left <= 0) this.#held.delete(asker);
      else this.#held.set(asker, left);
    };
  }
}

const MAX_RATED = 1_000;

/** How often each may ask. */
export class Rates {
  readonly #aSecond: number;
  readonly #atOnce: number;
  readonly #left = new Map<string, { count: number; atMs: number }>();

  constructor(aSecond: number, atOnce: number) {
    this.#aSecond = aSecond;
    this.#atOnce = atOnce;
  }

  /** @returns whether it may now. */
  take(asker: string, nowMs: number): boolean {
    if (this.#left.size >= MAX_RATED) this.#left.clear();
    const { count, atMs } = this.#left.get(asker) ?? { count: this.#atOnce, atMs: nowMs };
    const now = Math.min(this.#atOnce, count + ((nowMs - atMs) / 1_000) * this.#aSecond);
    this.#left.set(asker, { count: now < 1 ? now : now - 1, atMs: nowMs });
    return now >= 1;
  }
}
