// A robust baseline for one series: median and MAD over a sliding window (Rousseeuw & Croux 1993).
// An outlier is not learned, unless it lasts so long that it is the new normal.

/** Samples kept: two minutes at one per second. */
export const WINDOW = 120;
/** With fewer samples the score is 0. */
const MIN_SAMPLES = 60;
/** Factor from MAD to standard deviation, for a normal distribution. */
const MAD_SCALE = 1.4826;
/** Robust z-score from which a sample is an outlier and is not learned. */
const OUTLIER_Z = 6;
/** After this many outliers in a row the shift is the new normal. */
const ACCEPT_SHIFT_AFTER = 300;

export interface BaselineScore {
  /** Distance from the median in robust standard deviations; 0 with too few samples. */
  z: number;
  median: number;
  /** The robust standard deviation plus the floor; 0 with too few samples. */
  spread: number;
  learned: boolean;
}

export class RobustBaseline {
  /** The samples in order of arrival, and sorted. */
  readonly #window = new Float64Array(WINDOW);
  readonly #sorted = new Float64Array(WINDOW);
  /** The minimum spread, in the series' unit: a smaller change is always noise. */
  readonly #floor: number;
  #count = 0;
  #next = 0;
  #outliers = 0;

  constructor(floor: number) {
    this.#floor = floor;
  }

  /** Scores a sample against the earlier ones, then learns it if it is normal. */
  score(value: number): BaselineScore {
    if (this.#count < MIN_SAMPLES) {
      this.#learn(value);
      return { z: 0, median: value, spread: 0, learned: false };
    }
    const median = this.#median();
    const spread = MAD_SCALE * this.#deviation(median) + this.#floor;
    const z = (value - median) / spread;
    if (Math.abs(z) < OUTLIER_Z || this.#outliers >= ACCEPT_SHIFT_AFTER) {
      this.#learn(value);
      if (Math.abs(z) < OUTLIER_Z) this.#outliers = 0;
    } else {
      this.#outliers++;
    }
    return { z, median, spread, learned: true };
  }

  /** Adds a sample; if the window is full, the oldest is removed. */
  #learn(value: number): void {
    const sorted = this.#sorted;
    if (this.#count === WINDOW) {
      const from = this.#place(this.#window[this.#next] ?? 0);
      sorted.copyWithin(from, from + 1, this.#count--);
    }
    const at = this.#place(value);
    sorted.copyWithin(at + 1, at, this.#count++);
    sorted[at] = value;
    this.#window[this.#next] = value;
    this.#next = (this.#next + 1) % WINDOW;
  }

  /** The index of the first entry that is not smaller. */
  #place(value: number): number {
    let low = 0;
    for (let high = this.#count; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #median(): number {
    const middle = this.#count >> 1;
    const upper = this.#sorted[middle] ?? 0;
    return this.#count % 2 === 1 ? upper : ((this.#sorted[middle - 1] ?? 0) + upper) / 2;
  }

  /** The median of all distances from the median. They are visited in order of size, from the middle outwards. */
  #deviation(median: number): number {
    const sorted = this.#sorted;
    const half = this.#count >> 1;
    let above = this.#place(median);
    let below = above - 1;
    let [last, before] = [0, 0];
    for (let taken = 0; taken <= half; taken++) {
      const up = above < this.#count ? (sorted[above] ?? 0) - median : Number.POSITIVE_INFINITY;
      const down = below >= 0 ? median - (sorted[below] ?? 0) : Number.POSITIVE_INFINITY;
      before = last;
      last = Math.min(up, down);
      if (up <= down) above++;
      else below--;
    }
    return this.#count % 2 === 1 ? last : (before + last) / 2;
  }
}
