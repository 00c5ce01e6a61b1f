// The normal value at each hour of the day: a mean and a spread, separate for working days and weekends. Earlier days count with a
// half-life of about a week. An hour with too few days has no score.

const HOURS = 24;
/** 24 hours of working days, then 24 of weekends. */
export const BINS = HOURS * 2;
/** An hour needs data of this many days. */
const MIN_DAYS = 3;
/** Weight of a new day: the last seven days make half of the value. */
const RATE = 0.1;
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** 1 January 1970 was a Thursday. */
const FIRST_WEEKDAY = 4;

/** Per bin: mean, mean absolute deviation, days seen. */
export type SeasonalState = [mean: number, spread: number, days: number][];

interface Current {
  bin: number;
  /** Hours since 1970. */
  hour: number;
  sum: number;
  squares: number;
  count: number;
}

export class SeasonalProfile {
  readonly #bins: SeasonalState;
  readonly #floor: number;
  #current: Current | undefined;

  /** @param floor the minimum spread, in the series' unit. @param state from `state()`, before a restart. */
  constructor(floor: number, state?: SeasonalState) {
    this.#floor = floor;
    this.#bins = Array.from({ length: BINS }, (_, i) => state?.[i] ?? [0, 0, 0]);
  }

  /** Distance from the normal value at this hour, in robust standard deviations; undefined with too few days. @param wallMs UTC. */
  z(value: number, wallMs: number): number | undefined {
    const [mean, spread, days] = this.#bins[binOf(wallMs)] ?? [0, 0, 0];
    return days < MIN_DAYS ? undefined : (value - mean) / (spread + this.#floor);
  }

  /** Learns a value as normal for its hour. An hour counts when it is over. */
  learn(value: number, wallMs: number): void {
    const hour = Math.floor(wallMs / HOUR_MS);
    // If the next hour does not follow directly, the clock was set: the hour was incomplete, and is not learned.
    if (this.#current !== undefined && hour === this.#current.hour + 1) this.#close(this.#current);
    const current = this.#current?.hour === hour ? this.#current : { bin: binOf(wallMs), hour, sum: 0, squares: 0, count: 0 };
    current.sum += value;
    current.squares += value * value;
    current.count++;
    this.#current = current;
  }

  #close({ bin, sum, squares, count }: Current): void {
    const mean = sum / count;
    const deviation = Math.sqrt(Math.max(0, squares / count - mean * mean));
    const [known, spread, days] = this.#bins[bin] ?? [0, 0, 0];
    // At first the plain average, so that the first day does not keep a large weight.
    const rate = Math.max(RATE, 1 / (days + 1));
    const apart = Math.max(deviation, days === 0 ? 0 : Math.abs(mean - known));
    this.#bins[bin] = [known + rate * (mean - known), spread + rate * (apart - spread), days + 1];
  }

  /** The state to save for a restart. */
  state(): SeasonalState {
    return this.#bins;
  }
}

function binOf(wallMs: number): number {
  const day = Math.floor(wallMs / DAY_MS);
  const weekday = (((day + FIRST_WEEKDAY) % 7) + 7) % 7; // 0 is Sunday; a clock can be set to before 1970
  const weekend = weekday === 0 || weekday === 6;
  return Math.floor((wallMs - day * DAY_MS) / HOUR_MS) + (weekend ? HOURS : 0);
}
