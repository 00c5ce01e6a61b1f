// What was tried in one incident, and when it may be tried again: a circuit breaker, half open after growing intervals.

/** What did not help is tried once more after this, and each time later. */
const TRIAL_AFTER_MS = 60_000;
const MAX_TRIAL_AFTER_MS = 1_800_000;

export class Attempts {
  /** How often each remedy failed, by its tools. */
  readonly #failed = new Map<string, number>();
  /** When one failed last; at first, when the incident was opened. */
  #lastMs: number;
  /** Trials that the breaker let through, and were carried out. */
  #trials = 0;
  #isTrial = false;
  #made = 0;

  /** @param nowMs monotonic */
  constructor(nowMs: number) {
    this.#lastMs = nowMs;
  }

  /** The number of the next plan, carried out or not: each has an id of its own. */
  next(): number {
    return ++this.#made;
  }

  get made(): number {
    return this.#made;
  }

  /** Whether anything was tried in vain. */
  get hasFailed(): boolean {
    return this.#failed.size > 0;
  }

  failuresOf(tools: string): number {
    return this.#failed.get(tools) ?? 0;
  }

  /** Whether what failed may be tried once more. */
  isTrialDue(nowMs: number): boolean {
    return nowMs - this.#lastMs >= Math.min(TRIAL_AFTER_MS * 2 ** this.#trials, MAX_TRIAL_AFTER_MS);
  }

  /** @param isTrial whether the plan that was decided on is a trial */
  decided(isTrial: boolean): void {
    this.#isTrial = isTrial;
  }

  /** It was carried out, and did not help: what was held back, or gave way to others, is no attempt. */
  failed(tools: string, nowMs: number): void {
    this.#failed.set(tools, this.failuresOf(tools) + 1);
    this.#lastMs = nowMs;
    if (this.#isTrial) this.#trials++;
  }
}
