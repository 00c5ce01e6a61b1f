// The faults of a simulated swarm so far, and the machines that they excuse for some time: checks of views skip an excused machine.
import type { Scheduler } from './scheduler.ts';

/** A fault of some machines. */
export interface Fault {
  kind: string;
  /** Machines, as the scenario names them. */
  on: number | string | readonly number[];
  /** 0: it has no end. */
  forMs: number;
  args: Readonly<Record<string, unknown>>;
}

/** A machine, by its index. */
interface Numbered {
  readonly index: number;
}

export class FaultHistory {
  /** Faults so far, and their machines. */
  readonly faults: { fault: Fault; atMs: number; nodes: readonly number[] }[] = [];
  readonly #scheduler: Scheduler;
  /** By machine: until when it is excused. */
  readonly #excusedMs = new Map<number, number>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** For some time from now on, the views of other members on these machines are not checked. */
  excuse(nodes: readonly Numbered[], forMs: number): void {
    const untilMs = this.#scheduler.nowMs + forMs;
    for (const { index } of nodes) this.#excusedMs.set(index, Math.max(this.#excusedMs.get(index) ?? 0, untilMs));
  }

  isExcused({ index }: Numbered): boolean {
    return (this.#excusedMs.get(index) ?? 0) > this.#scheduler.nowMs;
  }
}
