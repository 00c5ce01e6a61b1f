// The history of every series: one value per second for ten minutes, and for the catalogue's metrics the mean and maximum of each
// minute for six hours. The number of series is limited; those without new values are removed first. Values of one second lie
// side by side, as they are written together; data that is not read does not use the CPU cache.

const FINE_S = 600;
const MINUTE_S = 60;
const COARSE_MINUTES = 360;
/** Seconds or minutes in one block. */
const BLOCK_STEPS = 60;
const COLUMNS_AT_ONCE = 32;
/** With ten minutes of floats: at most 10 MB. */
export const MAX_SERIES = 4_096;

interface Block {
  /** The first step in it. */
  from: number;
  columns: number;
  values: Float32Array;
}

/** Values by step (a second, a minute) and column; NaN without a value. */
class Grid {
  readonly #blocks: Block[] = [];
  readonly #steps: number;

  /** @param steps the number of steps kept. */
  constructor(steps: number) {
    this.#steps = steps;
  }

  set(step: number, column: number, value: number): void {
    let block = this.#blocks.at(-1);
    if (block === undefined || step >= block.from + BLOCK_STEPS) block = this.#begin(step, column);
    else if (step < block.from) block = this.#blocks.find(({ from }) => step >= from && step < from + BLOCK_STEPS);
    if (block === undefined) return;
    if (column >= block.columns) widen(block, column);
    block.values[(step - block.from) * block.columns + column] = value;
  }

  #begin(step: number, column: number): Block {
    const from = step - (step % BLOCK_STEPS);
    const columns = Math.max(this.#blocks.at(-1)?.columns ?? 0, roomFor(column));
    const block: Block = { from, columns, values: new Float32Array(BLOCK_STEPS * columns).fill(Number.NaN) };
    this.#blocks.push(block);
    while ((this.#blocks[0]?.from ?? from) + BLOCK_STEPS <= step - this.#steps) this.#blocks.shift();
    return block;
  }

  /** At most `count` values that end with a step, oldest first, from the first known value. */
  last(step: number, column: number, count: number): number[] {
    const values: number[] = [];
    let index = 0;
    for (let at = Math.max(step - count + 1, this.#blocks[0]?.from ?? step); at <= step; at++) {
      while (at >= (this.#blocks[index]?.from ?? at) + BLOCK_STEPS) index++;
      const value = valueAt(this.#blocks[index], at, column);
      if (values.length > 0 || !Number.isNaN(value)) values.push(value);
    }
    return values;
  }

  clear(column: number): void {
    for (const { columns, values } of this.#blocks)
      for (let at = column; at < values.length && column < columns; at += columns) values[at] = Number.NaN;
  }

  get bytes(): number {
    return this.#blocks.reduce((sum, { values }) => sum + values.byteLength, 0);
  }
}

function valueAt(block: Block | undefined, step: number, column: number): number {
  if (block === undefined || step < block.from || column >= block.columns) return Number.NaN;
  return block.values[(step - block.from) * block.columns + column] ?? Number.NaN;
}

function roomFor(column: number): number {
  return (Math.floor(column / COLUMNS_AT_ONCE) + 1) * COLUMNS_AT_ONCE;
}

function widen(block: Block, column: number): void {
  const columns = roomFor(column);
  const values = new Float32Array(BLOCK_STEPS * columns).fill(Number.NaN);
  for (let row = 0; row < BLOCK_STEPS; row++)
    values.set(block.values.subarray(row * block.columns, (row + 1) * block.columns), row * columns);
  Object.assign(block, { columns, values });
}

/** The current minute. */
interface Minute {
  minute: number;
  sum: number;
  most: number;
  count: number;
}

interface Series {
  name: string;
  column: number;
  /** The second of its last value. */
  atS: number;
  /** Also kept by minute. */
  current: Minute | undefined;
}

/** Values at equal distances, newest last; null without a value. */
export interface Past {
  stepS: number;
  /** Time of the newest value, in seconds by the current wall clock. */
  atS: number;
  values: (number | null)[];
}

export class History {
  readonly #series = new Map<string, Series>();
  readonly #fine = new Grid(FINE_S);
  readonly #means = new Grid(COARSE_MINUTES);
  readonly #peaks = new Grid(COARSE_MINUTES);
  readonly #free: number[] = [];
  /** The series of the last calls, in their order: the next call nearly always has the same order. */
  readonly #expected: { coarse: (Series | undefined)[]; fine: (Series | undefined)[] } = { coarse: [], fine: [] };
  /** The difference of the wall clock, which can be set at any time, to the monotonic clock of the steps. */
  #wallAheadS = 0;

  /**
   * A value that is not a number is ignored.
   * @param atS monotonic, whole seconds. @param coarse whether minutes are kept too. @param wallS that second by the wall clock.
   */
  record(values: Iterable<readonly [string, number]>, atS: number, coarse: boolean, wallS = atS): void {
    this.#wallAheadS = wallS - atS;
    const expected = coarse ? this.#expected.coarse : this.#expected.fine;
    let index = 0;
    for (const [name, value] of values) {
      let series = expected[index];
      if (series?.name !== name) {
        series = this.#seriesOf(name, atS, coarse);
        expected[index] = series;
      }
      index++;
      if (series === undefined || atS <= series.atS || !Number.isFinite(value)) continue; // one value per second, at any sample rate
      this.#fine.set(atS, series.column, value);
      series.atS = atS;
      if (series.current !== undefined) this.#addToMinute(series, series.current, value, Math.floor(atS / MINUTE_S));
    }
    expected.length = index;
  }

  #seriesOf(name: string, atS: number, coarse: boolean): Series | undefined {
    const known = this.#series.get(name);
    if (known !== undefined) return known;
    if (this.#series.size >= MAX_SERIES && !this.#evict(atS)) return undefined;
    const current = coarse ? { minute: Math.floor(atS / MINUTE_S), sum: 0, most: -Infinity, count: 0 } : undefined;
    const series: Series = { name, column: this.#free.pop() ?? this.#series.size, atS: atS - 1, current };
    this.#series.set(name, series);
    return series;
  }

  /** Removes series without values in the whole kept time; false if there is none. */
  #evict(atS: number): boolean {
    const before = this.#series.size;
    for (const [name, series] of this.#series) {
      if (atS - series.atS <= FINE_S) continue;
      this.#series.delete(name);
      this.#free.push(series.column);
      for (const grid of [this.#fine, this.#means, this.#peaks]) grid.clear(series.column);
      for (const expected of Object.values(this.#expected)) expected.length = 0;
    }
    return this.#series.size < before;
  }

  #addToMinute({ column }: Series, current: Minute, value: number, minute: number): void {
    if (minute > current.minute) {
      if (current.count > 0) {
        this.#means.set(current.minute, column, current.sum / current.count);
        this.#peaks.set(current.minute, column, current.most);
      }
      Object.assign(current, { minute, sum: 0, most: -Infinity, count: 0 });
    }
    current.sum += value;
    current.most = Math.max(current.most, value);
    current.count++;
  }

  /** At most `count` newest values of a series, oldest first, without gaps; empty if it is unknown. */
  last(name: string, count: number): number[] {
    const series = this.#series.get(name);
    if (series === undefined) return [];
    return this.#fine.last(series.atS, series.column, count).filter((value) => !Number.isNaN(value));
  }

  /** Ten minutes by second. */
  fine(name: string): Past | undefined {
    const series = this.#series.get(name);
    return (
      series && {
        stepS: 1,
        atS: series.atS + this.#wallAheadS,
        values: this.#fine.last(series.atS, series.column, FINE_S).map(orNull),
      }
    );
  }

  /** What a series was; undefined where it is unknown. */
  past(name: string): { fine: Past; coarse: { mean: Past; most: Past } | undefined } | undefined {
    const fine = this.fine(name);
    return fine && { fine, coarse: this.coarse(name) };
  }

  /** Six hours by minute: means and maxima; undefined if they are not kept. */
  coarse(name: string): { mean: Past; most: Past } | undefined {
    const series = this.#series.get(name);
    if (series?.current === undefined) return undefined;
    const { column, current } = series;
    const past = (grid: Grid): Past => ({
      stepS: MINUTE_S,
      atS: current.minute * MINUTE_S + this.#wallAheadS,
      values: grid.last(current.minute - 1, column, COARSE_MINUTES).map(orNull),
    });
    return { mean: past(this.#means), most: past(this.#peaks) };
  }

  names(): string[] {
    return [...this.#series.keys()].sort();
  }

  get series(): number {
    return this.#series.size;
  }

  /** Bytes of all values. */
  get bytes(): number {
    return this.#fine.bytes + this.#means.bytes + this.#peaks.bytes;
  }
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}
