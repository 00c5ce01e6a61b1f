// Targets of running actions: one action at a time on a target, else the undo of one would undo the other too. The machine has a limit too.
import { changeToolOf } from '../action/tools.ts';
import { MAX_OPEN } from '../action/transaction.ts';
import type { ToolCall } from '../tool-call.ts';

const targetsOf = (calls: readonly ToolCall[]): string[] => calls.map((call) => changeToolOf(call).target(call));

export class ActionSlots {
  readonly #max: number;
  readonly #busy = new Set<string>();
  #running = 0;

  /** @param max actions at a time; no more than the transaction core runs. */
  constructor(max = MAX_OPEN) {
    this.#max = max;
  }

  /** Why these calls cannot start now; undefined if they can. */
  refusal(calls: readonly ToolCall[]): string | undefined {
    const taken = targetsOf(calls).find((target) => this.#busy.has(target));
    if (taken !== undefined) return `another action on ${taken} is running`;
    return this.#running >= this.#max ? `${this.#max} actions are running already` : undefined;
  }

  /** @returns a function that releases their targets; call it once. */
  take(calls: readonly ToolCall[]): () => void {
    const targets = targetsOf(calls);
    for (const target of targets) this.#busy.add(target);
    this.#running++;
    return () => {
      for (const target of targets) this.#busy.delete(target);
      this.#running--;
    };
  }
}
