// The actuator's armed changes, modelled: the twin of native/actuator/changes.cc on the virtual clock. It outlives the agent: a change that is
// not confirmed is undone at its deadline, or when the agent has been disconnected for some time.
import type { ActuatorOutcome, ChangeStatus, Primitive, Step } from '../../node/ports/actuator.ts';
import type { Scheduled, Scheduler } from '../scheduler.ts';

/** As in changes.cc. */
const GRACE_MS = 5_000;
const MAX_OPEN = 64;
const MAX_STEPS = 64;

interface Change extends ChangeStatus {
  steps: readonly Step[];
  deadline: Scheduled | undefined;
  undoing: Promise<ActuatorOutcome> | undefined;
}

export interface ChangeMachine {
  /** Why a primitive cannot run, or that it can. Changes nothing. */
  check(primitive: Primitive): ActuatorOutcome;
  /** @param key names the step; an undo has the key of what it undoes. */
  run(primitive: Primitive, key: string): Promise<ActuatorOutcome>;
  /** On whose behalf a service that a change stopped stays down, once that is confirmed; `nobody` if it was undone. */
  staysDown(name: string, by: 'person' | 'policy' | 'nobody'): void;
  /** The step is final. */
  settle(primitive: Primitive, key: string): void;
}

/** Events of changes, for checkers. */
export type ChangeEvent =
  | { kind: 'armed'; id: string; steps: readonly Step[] }
  | { kind: 'ran'; key: string; primitive: Primitive; undo: boolean }
  | { kind: 'finished'; id: string; state: ChangeStatus['state'] };

const refused = (message: string): ActuatorOutcome => ({ ok: false, code: 'refused', message });

export class SimulatedChanges {
  readonly #scheduler: Scheduler;
  readonly #machine: ChangeMachine;
  readonly #changes = new Map<string, Change>();
  #grace: Scheduled | undefined;
  onEvent: (event: ChangeEvent) => void = () => undefined;

  constructor(scheduler: Scheduler, machine: ChangeMachine) {
    this.#scheduler = scheduler;
    this.#machine = machine;
  }

  check(steps: readonly Step[]): ActuatorOutcome {
    if (steps.length === 0 || steps.length > MAX_STEPS) return refused('a change has 1 to 64 steps');
    for (const step of steps) {
      for (const primitive of [step.do, ...(step.undo === undefined ? [] : [step.undo])]) {
        const checked = this.#machine.check(primitive);
        if (!checked.ok) return checked;
      }
    }
    return { ok: true };
  }

  arm(id: string, fireAfterMs: number, steps: readonly Step[]): ActuatorOutcome {
    if (this.#changes.has(id)) return refused(`${id}: replayed; a change is armed once`);
    const open = [...this.#changes.values()].filter(({ state }) => state === 'armed').length;
    if (open >= MAX_OPEN) return refused('64 changes are open already');
    const checked = this.check(steps);
    if (!checked.ok) return checked;
    const deadline = this.#scheduler.after(fireAfterMs, () => void this.undo(id, 'its deadline has passed'));
    this.onEvent({ kind: 'armed', id, steps });
    this.#changes.set(id, { state: 'armed', begun: 0, reason: '', steps, deadline, undoing: undefined });
    return { ok: true };
  }

  async apply(id: string, step: number): Promise<ActuatorOutcome> {
    const change = this.#changes.get(id);
    if (change?.state !== 'armed' || change.undoing !== undefined) return refused(`${id}: no such change is armed`);
    const primitive = change.steps[step]?.do;
    if (step !== change.begun || primitive === undefined) return refused(`${id}: replayed; step ${change.begun} is next`);
    change.begun++;
    return this.#run(primitive, `${id}-${step}`, false);
  }

  confirm(id: string, byPerson: boolean): ActuatorOutcome {
    const change = this.#changes.get(id);
    if (change === undefined) return { ok: false, code: 'not-found', message: `${id}: no such change` };
    if (change.state === 'confirmed') return { ok: true };
    if (change.state !== 'armed' || change.undoing !== undefined) return refused(`${id}: ${change.reason}`);
    this.#finish(id, change, 'confirmed', 'confirmed');
    for (let i = 0; i < change.begun; i++) {
      const step = change.steps[i];
      if (step === undefined) continue;
      if (step.do[0] === 'service.stop') this.#machine.staysDown(step.do[1], byPerson ? 'person' : 'policy');
      this.#machine.settle(step.do, `${id}-${i}`);
    }
    return { ok: true };
  }

  async undo(id: string, reason: string): Promise<ActuatorOutcome> {
    const change = this.#changes.get(id);
    if (change === undefined) return { ok: false, code: 'not-found', message: `${id}: no such change` };
    if (change.state === 'undone') return { ok: true };
    if (change.state !== 'armed') return refused(`${id}: ${change.reason}`);
    change.undoing ??= this.#undoAll(id, change, reason);
    return change.undoing;
  }

  async #undoAll(id: string, change: Change, reason: string): Promise<ActuatorOutcome> {
    change.reason = reason;
    const problems: string[] = [];
    for (let i = change.begun - 1; i >= 0; i--) {
      const primitive = change.steps[i]?.undo;
      const outcome = primitive === undefined ? undefined : await this.#run(primitive, `${id}-${i}`, true);
      if (outcome?.ok === false && outcome.code !== 'gone') problems.push(outcome.message);
    }
    for (const step of change.steps.slice(0, change.begun))
      for (const primitive of [step.do, step.undo])
        if (primitive?.[0] === 'service.stop') this.#machine.staysDown(primitive[1], 'nobody');
    const message = problems.join('; ');
    this.#finish(
      id,
      change,
      message === '' ? 'undone' : 'failed',
      message === '' ? reason : `${reason}; the undo failed: ${message}`,
    );
    return message === '' ? { ok: true } : { ok: false, code: 'failed', message };
  }

  #run(primitive: Primitive, key: string, undo: boolean): Promise<ActuatorOutcome> {
    this.onEvent({ kind: 'ran', key, primitive, undo });
    return this.#machine.run(primitive, key);
  }

  #finish(id: string, change: Change, state: ChangeStatus['state'], reason: string): void {
    this.onEvent({ kind: 'finished', id, state });
    change.state = state;
    change.reason = reason;
    if (change.deadline !== undefined) change.deadline.cancel();
  }

  status(id: string): ChangeStatus {
    const { state, begun, reason } = this.#changes.get(id) ?? { state: 'unknown', begun: 0, reason: '' };
    return { state, begun, reason };
  }

  /** Those that are neither confirmed nor undone. */
  open(): string[] {
    return [...this.#changes].filter(([, { state }]) => state === 'armed').map(([id]) => id);
  }

  /** The actuator's own disk is new: it does not know the changes that it had armed. */
  forget(): void {
    for (const [id, change] of this.#changes)
      if (change.state === 'armed') this.#finish(id, change, 'unknown', 'its record was lost');
    this.#changes.clear();
  }

  /** The agent's connection closed. */
  agentGone(): void {
    this.agentBack();
    this.#grace = this.#scheduler.after(GRACE_MS, () => {
      for (const [id, { state }] of [...this.#changes].reverse()) if (state === 'armed') void this.undo(id, 'the agent is gone');
    });
  }

  agentBack(): void {
    if (this.#grace !== undefined) this.#grace.cancel();
  }
}
