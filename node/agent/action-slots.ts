// What actions are under way on: one at a time on a target, or the undo of one would undo the other too; and so many at a time on the machine.
import { changeToolOf } from '../action/tools.ts';
import { MAX_OPEN } from '../action/transaction.ts';
import type { ToolCall } from '../tool-call.ts';

const targetsOf = (calls: readonly ToolCall[]): string[] => calls.map((call) => changeToolOf(call).target(call));

export class ActionSlots {
  readonly #max: number;
  readonly #busy = new Set<string>();
  #underWay = 0;

  /** @param max actions at a time; no more than the transaction core runs. */
  constructor(max = MAX_OPEN) {
    this.#max = max;
  }

  /** Why these calls cannot begin now; undefined where they can. */
  refusal(calls: readonly ToolCall[]): string | undefined {
    const taken = targetsOf(calls).find((target) => this.#busy.has(target));
    if (taken !== undefined) return `another action on ${taken} is under way`;
    return this.#underWay >= this.#max ? `${this.#max} actions are under way already` : undefined;
  }

  /** @returns what gives their targets back; to be called once. */
  take(calls: readonly ToolCall[]): () => void {
    const targets = targetsOf(calls);
    for (const target of targets) this.#busy.add(target);
    this.#underWay++;
    return () => {
      for (const target of targets) this.#busy.delete(target);
      this.#underWay--;
    };
  }
}
