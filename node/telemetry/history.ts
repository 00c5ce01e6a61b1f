// The last ten minutes of every metric, one value a second, in rings of fixed size.

const CAPACITY_S = 600;

class Ring {
  readonly #values = new Float32Array(CAPACITY_S);
  #count = 0;
  #next = 0;

  push(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % CAPACITY_S;
    this.#count = Math.min(CAPACITY_S, this.#count + 1);
  }

  last(count: number): number[] {
    const length = Math.min(count, this.#count);
    return Array.from({ length }, (_, i) => this.#values[(this.#next - length + i + CAPACITY_S) % CAPACITY_S] ?? 0);
  }
}

export class History {
  readonly #rings = new Map<string, Ring>();

  record(values: ReadonlyMap<string, number>): void {
    for (const [name, value] of values) {
      const ring = this.#rings.get(name) ?? new Ring();
      this.#rings.set(name, ring);
      ring.push(value);
    }
  }

  /** Up to `count` newest values of a metric, oldest first; empty where it is unknown. */
  last(name: string, count: number): number[] {
    return this.#rings.get(name)?.last(count) ?? [];
  }

  get series(): number {
    return this.#rings.size;
  }
}
