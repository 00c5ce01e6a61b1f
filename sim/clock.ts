// The virtual clock as one process sees it: its timers end with it.
import type { Clock, Timer } from '../swarm/ports/clock.ts';
import type { Scheduler } from './scheduler.ts';

export class ProcessClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #offsetMs: () => number;
  /** Set when the process dies: no timer of it runs any more. */
  dead = false;

  /** @param offsetMs what its wall clock is ahead of virtual time, now. */
  constructor(scheduler: Scheduler, offsetMs: () => number = () => 0) {
    this.#scheduler = scheduler;
    this.#offsetMs = offsetMs;
  }

  wallMs(): number {
    return this.#scheduler.nowMs + this.#offsetMs();
  }

  monotonicMs(): number {
    return this.#scheduler.nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const event = this.#scheduler.after(delayMs, () => {
      if (!this.dead) run();
    });
    return {
      cancel: () => {
        event.cancelled = true;
      },
    };
  }
}
