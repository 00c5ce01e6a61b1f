// What has come upon a simulated swarm, and whom it excuses for a while: an excused machine may be where nobody expects it.
import type { Scheduler } from './scheduler.ts';

/** What comes upon machines. */
export interface Fault {
  kind: string;
  /** Machines, as the scenario names them. */
  on: number | string | readonly number[];
  /** 0: it has no end of its own. */
  forMs: number;
  args: Readonly<Record<string, unknown>>;
}

/** Of the swarm's machines. */
interface Numbered {
  readonly index: number;
}

export class FaultHistory {
  /** Faults that came, and the machines that they came upon. */
  readonly faults: { fault: Fault; atMs: number; nodes: readonly number[] }[] = [];
  readonly #scheduler: Scheduler;
  /** By machine: until when it is excused. */
  readonly #excusedMs = new Map<number, number>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** From now on, for a while, nobody wonders that machines are not where they should be in the eyes of others. */
  excuse(nodes: readonly Numbered[], forMs: number): void {
    const untilMs = this.#scheduler.nowMs + forMs;
    for (const { index } of nodes) this.#excusedMs.set(index, Math.max(this.#excusedMs.get(index) ?? 0, untilMs));
  }

  isExcused({ index }: Numbered): boolean {
    return (this.#excusedMs.get(index) ?? 0) > this.#scheduler.nowMs;
  }
}
