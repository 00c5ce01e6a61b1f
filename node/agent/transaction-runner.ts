// Executes the effects of the transaction core: applies a plan's steps through the actuator, verifies their effect, and has the actuator
// confirm or undo them. A plan's promise resolves with its closed journal entry.

import { CoreRuntime } from '../../swarm/runtime/core-runtime.ts';
import { messageOf } from '../../swarm/words.ts';
import type { Machine, Snapshot } from '../action/tool.ts';
import { changeToolOf } from '../action/tools.ts';
import { type JournalEntry, type TransactionInput, type TransactionNotice, Transactions } from '../action/transaction.ts';
import type { Plan } from '../decision/plan.ts';
import type { Ports } from '../ports/ports.ts';
import type { Reporter } from '../reporter.ts';
import { type Verified, verify } from '../verification/verify.ts';
import { applyPlan } from './apply.ts';
import { settled } from './plan-words.ts';

type TimerId = `check ${string}` | `timeout ${string}` | `find ${string}`;

/** Conditions of one transaction. */
export interface Terms {
  /** As sent to the actuator. */
  authorization: Uint8Array | undefined;
  /** What is still wrong, as text: a plan helps only once nothing is. */
  stillWrong?: (() => string | undefined) | undefined;
}

export class TransactionRunner {
  readonly #ports: Ports;
  readonly #machine: Machine;
  /** Running plans, by id. */
  readonly #running = new Map<string, Terms & { finished(entry: JournalEntry): void }>();
  readonly #core: CoreRuntime<TransactionInput, never, TransactionNotice, TimerId>;

  constructor(ports: Ports, machine: Machine, failed: Reporter['failed']) {
    this.#ports = ports;
    this.#machine = machine;
    this.#core = new CoreRuntime<TransactionInput, never, TransactionNotice, TimerId>(new Transactions(), {
      clock: ports.clock,
      store: ports.store,
      send: () => undefined,
      broadcast: () => undefined,
      notice: (notice) => this.#notice(notice),
      failed,
    });
  }

  begin(plan: Plan, before: readonly Snapshot[], terms: Terms): Promise<JournalEntry> {
    return this.#run(plan.id, terms, { kind: 'begin', plan, before });
  }

  /** Resumes what a crash left open: it is verified, or undone, never repeated. */
  recover(entry: JournalEntry): Promise<JournalEntry> {
    return this.#run(entry.plan.id, { authorization: undefined }, { kind: 'recover', entry });
  }

  #run(id: string, terms: Terms, input: TransactionInput): Promise<JournalEntry> {
    return new Promise((finished) => {
      this.#running.set(id, { ...terms, finished });
      this.#core.post(input);
    });
  }

  stop(): void {
    this.#core.stop();
  }

  #notice(notice: TransactionNotice): void {
    const { entry } = notice;
    const { id } = entry.plan;
    const { actuator } = this.#ports;
    const post = (input: TransactionInput): void => this.#core.post(input);
    switch (notice.kind) {
      case 'apply':
        void settled(
          applyPlan(entry, { ...this.#ports, machine: this.#machine, authorization: this.#running.get(id)?.authorization }),
        ).then((outcome) => post({ kind: 'applied', id, outcome }));
        return;
      case 'find':
        actuator.change(id).then(
          (status) => post({ kind: 'found', id, status }),
          () => post({ kind: 'found', id, status: undefined }),
        );
        return;
      case 'check':
        this.#verify(entry).then(
          ({ holds, detail, isFinal }) => post({ kind: 'checked', id, holds, detail, isFinal }),
          (error: unknown) => post({ kind: 'checked', id, holds: false, detail: messageOf(error) }),
        );
        return;
      case 'confirm':
        void settled(actuator.confirm(id, entry.plan.tier === 'operator')).then((outcome) =>
          post({ kind: 'confirmed', id, outcome }),
        );
        return;
      case 'undo':
        void settled(actuator.undo(id, entry.reason)).then((outcome) => post({ kind: 'undone', id, outcome }));
        return;
      case 'finished':
        this.#running.get(id)?.finished(entry);
        this.#running.delete(id);
    }
  }

  /** The tools' conditions, and that the finding has cleared; for tools that help gradually, only their conditions. */
  async #verify(entry: JournalEntry): Promise<Verified> {
    const verified = await verify(entry, this.#machine);
    const gradual = entry.plan.calls.some((call) => changeToolOf(call).gradual === true);
    const wrong = gradual ? undefined : this.#running.get(entry.plan.id)?.stillWrong?.();
    return verified.holds && wrong !== undefined ? { holds: false, detail: `${verified.detail}, but still: ${wrong}` } : verified;
  }
}
