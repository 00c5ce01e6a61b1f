// A robust baseline for one series: median and MAD over a sliding window (Rousseeuw & Croux 1993).
// Learning is gated on normality: an outlier is not learned, unless it lasts so long that it is the new normal.

/** Samples kept: at one a second, two minutes. */
export const WINDOW = 120;
/** Fewer samples than this say nothing yet. */
const MIN_SAMPLES = 60;
/** MAD to standard deviation, for a normal distribution. */
const MAD_SCALE = 1.4826;
/** Robust z-score from which a sample is an outlier and is not learned. */
const OUTLIER_Z = 6;
/** Outliers in a row after which a shift is accepted as the new normal. */
const ACCEPT_SHIFT_AFTER = 300;

export interface BaselineScore {
  /** Distance from the median in robust standard deviations; 0 until enough was learned. */
  z: number;
  median: number;
  /** The robust standard deviation, with the floor; 0 until enough was learned. */
  spread: number;
  learned: boolean;
}

export class RobustBaseline {
  readonly #window = new Float64Array(WINDOW);
  readonly #sorted = new Float64Array(WINDOW);
  /** The smallest spread that counts, in the series' unit: below it a change is noise whatever the window says. */
  readonly #floor: number;
  #count = 0;
  #next = 0;
  #outliers = 0;

  constructor(floor: number) {
    this.#floor = floor;
  }

  /** Scores a sample against what was learned before it, then learns it if it looks normal. */
  score(value: number): BaselineScore {
    if (this.#count < MIN_SAMPLES) {
      this.#learn(value);
      return { z: 0, median: value, spread: 0, learned: false };
    }
    const median = this.#medianOf(this.#window, this.#count, 0);
    const mad = this.#medianOf(this.#window, this.#count, median);
    const spread = MAD_SCALE * mad + this.#floor;
    const z = (value - median) / spread;
    if (Math.abs(z) < OUTLIER_Z || this.#outliers >= ACCEPT_SHIFT_AFTER) {
      this.#learn(value);
      if (Math.abs(z) < OUTLIER_Z) this.#outliers = 0;
    } else {
      this.#outliers++;
    }
    return { z, median, spread, learned: true };
  }

  #learn(value: number): void {
    this.#window[this.#next] = value;
    this.#next = (this.#next + 1) % WINDOW;
    this.#count = Math.min(WINDOW, this.#count + 1);
  }

  /** Median of |x - centre| over the first `count` entries; with centre 0 and non-negative series, of x itself. */
  #medianOf(values: Float64Array, count: number, centre: number): number {
    for (let i = 0; i < count; i++) {
      const value = values[i] ?? 0;
      this.#sorted[i] = centre === 0 ? value : Math.abs(value - centre);
    }
    const sorted = this.#sorted.subarray(0, count).sort();
    const middle = count >> 1;
    return count % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  }
}
