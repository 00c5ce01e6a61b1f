// The virtual clock as one process sees it: its timers end with it, wait while it is paused, and run at the rate of its crystal.
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import type { Scheduler } from '../scheduler.ts';
import { Process } from './process.ts';

export class ProcessClock implements Clock {
  readonly #scheduler: Scheduler;
  readonly #process: Process;
  readonly #offsetMs: () => number;
  /** Its seconds for one of the world's. */
  readonly #rate: number;

  /** @param offsetMs how far its wall clock is ahead of virtual time now. @param driftPpm how much too fast it runs. */
  constructor(scheduler: Scheduler, offsetMs: () => number = () => 0, process = new Process(scheduler), driftPpm = 0) {
    this.#scheduler = scheduler;
    this.#process = process;
    this.#offsetMs = offsetMs;
    this.#rate = 1 + driftPpm / 1e6;
  }

  wallMs(): number {
    return this.monotonicMs() + this.#offsetMs();
  }

  monotonicMs(): number {
    return this.#scheduler.nowMs * this.#rate;
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#scheduler.after(delayMs / this.#rate, () => this.#process.run(run));
  }
}
