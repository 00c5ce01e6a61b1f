// What every series was: a value a second for ten minutes, and for the catalogue's metrics the mean and the highest of each
// minute for six hours. Bounded: so many series at most, those that nobody feeds any more go first; a ring grows as it fills.

const FINE_S = 600;
const MINUTE_S = 60;
const COARSE_MINUTES = 360;
const FIRST_CAPACITY = 64;
/** With rings of FINE_S floats: 10 MB at most. */
export const MAX_SERIES = 4_096;

class Ring {
  #values = new Float32Array(FIRST_CAPACITY);
  readonly #most: number;
  #count = 0;
  #next = 0;

  constructor(most: number) {
    this.#most = most;
  }

  push(value: number): void {
    if (this.#count === this.#values.length && this.#count < this.#most) this.#grow();
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#values.length;
    this.#count = Math.min(this.#values.length, this.#count + 1);
  }

  #grow(): void {
    const kept = this.last(this.#count);
    this.#values = new Float32Array(Math.min(this.#most, this.#values.length * 2));
    this.#values.set(kept);
    this.#next = this.#count;
  }

  last(count: number): number[] {
    const { length: capacity } = this.#values;
    const length = Math.min(count, this.#count);
    return Array.from({ length }, (_, i) => this.#values[(this.#next - length + i + capacity) % capacity] ?? 0);
  }

  get bytes(): number {
    return this.#values.byteLength;
  }
}

/** A minute under way. */
interface Minute {
  minute: number;
  sum: number;
  most: number;
  count: number;
}

interface Series {
  fine: Ring;
  /** The second of its last value. */
  atS: number;
  coarse: { mean: Ring; most: Ring; current: Minute } | undefined;
}

/** Values at equal distances, the newest last; null where there was none. */
export interface Past {
  stepS: number;
  /** Wall clock of the newest, in seconds. */
  atS: number;
  values: (number | null)[];
}

export class History {
  readonly #series = new Map<string, Series>();

  /** @param atS wall clock, whole seconds. @param coarse whether the minutes are kept, too. */
  record(values: Iterable<readonly [string, number]>, atS: number, coarse: boolean): void {
    for (const [name, value] of values) {
      const series = this.#seriesOf(name, atS, coarse);
      if (series === undefined || atS <= series.atS) continue; // one a second, however often the machine is sampled
      for (let gap = Math.min(FINE_S, atS - series.atS - 1); gap > 0; gap--) series.fine.push(Number.NaN);
      series.fine.push(value);
      series.atS = atS;
      if (series.coarse !== undefined) addToMinute(series.coarse, value, Math.floor(atS / MINUTE_S));
    }
  }

  #seriesOf(name: string, atS: number, coarse: boolean): Series | undefined {
    const known = this.#series.get(name);
    if (known !== undefined) return known;
    if (this.#series.size >= MAX_SERIES && !this.#evict(atS)) return undefined;
    const minute = Math.floor(atS / MINUTE_S);
    const series: Series = {
      fine: new Ring(FINE_S),
      atS: atS - 1,
      coarse: coarse
        ? {
            mean: new Ring(COARSE_MINUTES),
            most: new Ring(COARSE_MINUTES),
            current: { minute, sum: 0, most: -Infinity, count: 0 },
          }
        : undefined,
    };
    this.#series.set(name, series);
    return series;
  }

  /** Those that were not fed for as long as they reach back; false where there is none. */
  #evict(atS: number): boolean {
    const before = this.#series.size;
    for (const [name, series] of this.#series) if (atS - series.atS > FINE_S) this.#series.delete(name);
    return this.#series.size < before;
  }

  /** Up to `count` newest values of a series, oldest first, without gaps; empty where it is unknown. */
  last(name: string, count: number): number[] {
    return (
      this.#series
        .get(name)
        ?.fine.last(count)
        .filter((value) => !Number.isNaN(value)) ?? []
    );
  }

  /** Ten minutes by the second. */
  fine(name: string): Past | undefined {
    const series = this.#series.get(name);
    return series && { stepS: 1, atS: series.atS, values: series.fine.last(FINE_S).map(orNull) };
  }

  /** Six hours by the minute: means, and the highest values; undefined where they are not kept. */
  coarse(name: string): { mean: Past; most: Past } | undefined {
    const coarse = this.#series.get(name)?.coarse;
    if (coarse === undefined) return undefined;
    const past = (ring: Ring): Past => ({
      stepS: MINUTE_S,
      atS: coarse.current.minute * MINUTE_S,
      values: ring.last(COARSE_MINUTES).map(orNull),
    });
    return { mean: past(coarse.mean), most: past(coarse.most) };
  }

  names(): string[] {
    return [...this.#series.keys()].sort();
  }

  get series(): number {
    return this.#series.size;
  }

  /** Of all rings. */
  get bytes(): number {
    let sum = 0;
    for (const { fine, coarse } of this.#series.values())
      sum += fine.bytes + (coarse?.mean.bytes ?? 0) + (coarse?.most.bytes ?? 0);
    return sum;
  }
}

function addToMinute(coarse: NonNullable<Series['coarse']>, value: number, minute: number): void {
  const { current } = coarse;
  if (minute > current.minute) {
    coarse.mean.push(current.count === 0 ? Number.NaN : current.sum / current.count);
    coarse.most.push(current.count === 0 ? Number.NaN : current.most);
    for (let gap = Math.min(COARSE_MINUTES, minute - current.minute - 1); gap > 0; gap--) {
      coarse.mean.push(Number.NaN);
      coarse.most.push(Number.NaN);
    }
    coarse.current = { minute, sum: 0, most: -Infinity, count: 0 };
  }
  coarse.current.sum += value;
  coarse.current.most = Math.max(coarse.current.most, value);
  coarse.current.count++;
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
