// A threshold that follows the machine's own normal, within bounds that the policy's author sets: median plus so many
// robust standard deviations of a metric. Learned only while the policy does not hold, so that a fault is no normal.
import { RobustBaseline } from '../../models/robust-baseline.ts';

export interface ThresholdSpec {
  metric: string;
  /** Robust standard deviations above the median. */
  times: number;
  low: number;
  high: number;
}

export interface LearnedThreshold extends ThresholdSpec {
  value: number;
  /** Undefined until enough was seen: then it is `high`. */
  median: number | undefined;
  spread: number | undefined;
}

/** What was learned, to be kept over a restart. */
export interface ThresholdState {
  median: number;
  spread: number;
}

/** The smallest spread that counts, as a share of the bounds' distance. */
const FLOOR_SHARE = 0.01;

export class AdaptiveThreshold {
  readonly #spec: ThresholdSpec;
  #baseline: RobustBaseline;
  #learned: ThresholdState | undefined;

  constructor(spec: ThresholdSpec) {
    this.#spec = spec;
    this.#baseline = this.#fresh();
  }

  #fresh(): RobustBaseline {
    return new RobustBaseline(Math.max(Number.MIN_VALUE, (this.#spec.high - this.#spec.low) * FLOOR_SHARE));
  }

  get value(): number {
    const { times, low, high } = this.#spec;
    return this.#learned === undefined
      ? high
      : Math.min(high, Math.max(low, this.#learned.median + times * this.#learned.spread));
  }

  /** Takes what the metric is now for normal, as far as the baseline does. */
  learn(metrics: ReadonlyMap<string, number>): void {
    const now = metrics.get(this.#spec.metric);
    if (now === undefined) return;
    const { median, spread, learned } = this.#baseline.score(now);
    if (learned) this.#learned = { median, spread };
  }

  explain(): LearnedThreshold {
    return { ...this.#spec, value: this.value, median: this.#learned?.median, spread: this.#learned?.spread };
  }

  get state(): ThresholdState | undefined {
    return this.#learned;
  }

  /** Of an earlier life: it holds until enough was seen again. */
  recall(state: ThresholdState): void {
    this.#learned ??= state;
  }

  /** What it learned is forgotten. */
  reset(): void {
    this.#baseline = this.#fresh();
    this.#learned = undefined;
  }
}
