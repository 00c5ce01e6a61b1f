// One run of an agent: what it waits for comes later while it is paused, and never once it is dead.
import type { Scheduler } from '../scheduler.ts';

export class Process {
  readonly #scheduler: Scheduler;
  #resumesMs = 0;
  dead = false;
  waitedMs = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** SIGSTOP, and SIGCONT after a while: the kernel goes on for it, and hands over what came when it runs again. */
  pause(forMs: number): void {
    this.#resumesMs = Math.max(this.#resumesMs, this.#scheduler.nowMs + forMs);
  }

  /** It is ready to run, and others do for that long. */
  starve(forMs: number): void {
    this.pause(forMs);
    this.waitedMs += forMs;
  }

  get paused(): boolean {
    return this.#resumesMs > this.#scheduler.nowMs;
  }

  /** Runs now, or when the process runs again, in the order in which things came. */
  run(work: () => void): void {
    if (this.dead) return;
    if (this.paused) this.#scheduler.at(this.#resumesMs, () => this.run(work));
    else work();
  }
}
