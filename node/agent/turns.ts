// Something that is done again and again, one turn after the other, until it is stopped. A turn that fails is told, and the next one comes.
import type { Clock, Timer } from '../../swarm/ports/clock.ts';

export interface TurnsConfig {
  clock: Clock;
  /** From the end of a turn to the next one. */
  everyMs: number;
  turn(): Promise<unknown>;
  failed(why: string): void;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export class Turns {
  readonly #config: TurnsConfig;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(config: TurnsConfig) {
    this.#config = config;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  start(): void {
    if (this.#stopped) return;
    const { clock, everyMs, turn, failed } = this.#config;
    this.#timer = clock.after(everyMs, () => {
      turn()
        .catch((error: unknown) => failed(messageOf(error)))
        .finally(() => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }
}
