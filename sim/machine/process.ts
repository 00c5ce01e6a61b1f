// One run of an agent: events wait while it is paused, and never arrive once it is dead.
import type { Scheduler } from '../scheduler.ts';

export class Process {
  readonly #scheduler: Scheduler;
  #resumesMs = 0;
  dead = false;
  waitedMs = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** SIGSTOP, and SIGCONT after some time: the kernel continues, and delivers what arrived when it runs again. */
  pause(forMs: number): void {
    this.#resumesMs = Math.max(this.#resumesMs, this.#scheduler.nowMs + forMs);
  }

  /** It is ready to run, but other processes run for this long. */
  starve(forMs: number): void {
    this.pause(forMs);
    this.waitedMs += forMs;
  }

  get paused(): boolean {
    return this.#resumesMs > this.#scheduler.nowMs;
  }

  /** Runs now, or when the process runs again, in order of arrival. */
  run(work: () => void): void {
    if (this.dead) return;
    if (this.paused) this.#scheduler.at(this.#resumesMs, () => this.run(work));
    else work();
  }
}
