// A task that runs periodically until it is stopped; runs do not overlap. A failed run is reported, and the next one follows.

import type { Clock, Timer } from '../swarm/ports/clock.ts';
import { messageOf } from '../swarm/words.ts';

export interface PeriodicTaskConfig {
  clock: Clock;
  /** From the end of one run to the next. */
  everyMs: number;
  run(): Promise<unknown>;
  failed(why: string): void;
}

export class PeriodicTask {
  readonly #config: PeriodicTaskConfig;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(config: PeriodicTaskConfig) {
    this.#config = config;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  start(): void {
    if (this.#stopped) return;
    const { clock, everyMs, run, failed } = this.#config;
    this.#timer = clock.after(everyMs, () => {
      run()
        .catch((error: unknown) => failed(messageOf(error)))
        .finally(() => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }
}
