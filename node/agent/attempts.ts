// The repairs tried in one incident, and when they may be tried again: a circuit breaker, half open after growing intervals.

/** A repair that did not help is tried again after this; the pause doubles each time. */
const TRIAL_AFTER_MS = 60_000;
const MAX_TRIAL_AFTER_MS = 1_800_000;

export class Attempts {
  /** How often each remedy failed, by its tools. */
  readonly #failed = new Map<string, number>();
  /** When a repair last failed; at first, when the incident opened. */
  #lastMs: number;
  /** Trials that the breaker allowed, and that were executed. */
  #trials = 0;
  #isTrial = false;
  #made = 0;

  /** @param nowMs monotonic */
  constructor(nowMs: number) {
    this.#lastMs = nowMs;
  }

  /** The number of the next plan, executed or not: each has a different id. */
  next(): number {
    return ++this.#made;
  }

  get made(): number {
    return this.#made;
  }

  /** Whether a repair has failed. */
  get hasFailed(): boolean {
    return this.#failed.size > 0;
  }

  failuresOf(tools: string): number {
    return this.#failed.get(tools) ?? 0;
  }

  /** Whether a failed repair may be tried again. */
  isTrialDue(nowMs: number): boolean {
    return nowMs - this.#lastMs >= Math.min(TRIAL_AFTER_MS * 2 ** this.#trials, MAX_TRIAL_AFTER_MS);
  }

  /** @param isTrial whether the plan that was decided on is a trial */
  decided(isTrial: boolean): void {
    this.#isTrial = isTrial;
  }

  /** A repair was executed and did not help. A blocked or postponed plan does not count. */
  failed(tools: string, nowMs: number): void {
    this.#failed.set(tools, this.failuresOf(tools) + 1);
    this.#lastMs = nowMs;
    if (this.#isTrial) this.#trials++;
  }
}
