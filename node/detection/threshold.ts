// A threshold that follows the machine's normal values, within bounds that the policy's author sets: median plus a number of
// robust standard deviations of a metric. Learned only while the policy is not true, so that a fault does not become normal.
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
  /** Undefined until enough values were seen: until then the threshold is `high`. */
  median: number | undefined;
  spread: number | undefined;
}

/** The learned values, to be stored over a restart. */
export interface ThresholdState {
  median: number;
  spread: number;
}

/** The minimum spread, as a share of the distance of the bounds. */
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

  /** Adds the current value of the metric to the baseline. */
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

  /** Restores values from before a restart: they are used until enough new values were seen. */
  recall(state: ThresholdState): void {
    this.#learned ??= state;
  }

  /** Resets the learned values. */
  reset(): void {
    this.#baseline = this.#fresh();
    this.#learned = undefined;
  }
}
