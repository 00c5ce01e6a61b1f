// Limits of a shared resource per client and in all, and a rate limit per client: no client can take it from the others.

export class Shares {
  readonly #each: number;
  readonly #all: number;
  readonly #held = new Map<string, number>();

  /** @param each limit of one client. @param all limit of all clients, except those that are always served. */
  constructor(each: number, all: number) {
    this.#each = each;
    this.#all = all;
  }

  /**
   * Undefined if too little is left. A client that holds nothing gets its amount even if it is more than one share.
   * @param isAlways the limit of all clients does not apply.
   * @returns a function that releases the amount.
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

/** A rate limit for each client. */
export class Rates {
  readonly #aSecond: number;
  readonly #atOnce: number;
  readonly #left = new Map<string, { count: number; atMs: number }>();

  constructor(aSecond: number, atOnce: number) {
    this.#aSecond = aSecond;
    this.#atOnce = atOnce;
  }

  /** @returns whether the request is within the limit. */
  take(asker: string, nowMs: number): boolean {
    if (this.#left.size >= MAX_RATED) this.#left.clear();
    const { count, atMs } = this.#left.get(asker) ?? { count: this.#atOnce, atMs: nowMs };
    const now = Math.min(this.#atOnce, count + ((nowMs - atMs) / 1_000) * this.#aSecond);
    this.#left.set(asker, { count: now < 1 ? now : now - 1, atMs: nowMs });
    return now >= 1;
  }
}
