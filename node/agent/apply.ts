// Applies a plan's steps in order. The undo is armed before the first. Each step waits for the one before it, and each call for the effect
// of the call before it: for example, a server reloads a file after the task that writes it has succeeded.

import type { Clock } from '../../swarm/ports/clock.ts';
import type { Condition, Machine } from '../action/tool.ts';
import { changeToolOf, describeCall } from '../action/tools.ts';
import { CHECK_EVERY_MS, fireAfterMs, type JournalEntry, stepsOf } from '../action/transaction.ts';
import type { Actuator, ActuatorOutcome } from '../ports/actuator.ts';
import { verifyCall } from '../verification/verify.ts';

/** Conditions that are true when the step returns. */
const IMMEDIATE: ReadonlySet<Condition> = new Set(['as-intended', 'files-gone']);

export interface ApplyParts {
  actuator: Pick<Actuator, 'arm' | 'apply'>;
  clock: Pick<Clock, 'monotonicMs' | 'after'>;
  machine: Machine;
  /** As sent to the actuator. */
  authorization: Uint8Array | undefined;
}

export async function applyPlan(entry: JournalEntry, parts: ApplyParts): Promise<ActuatorOutcome> {
  const { actuator, authorization } = parts;
  const { id, calls } = entry.plan;
  const armed = await actuator.arm(id, fireAfterMs(entry), stepsOf(entry), authorization);
  if (!armed.ok) return armed;
  let step = 0;
  for (const [i, call] of calls.entries()) {
    const unmet = i === 0 ? undefined : await effectOf(entry, i - 1, parts);
    if (unmet !== undefined) return { ok: false, code: 'failed', message: unmet };
    for (const _ of changeToolOf(call).steps(call, entry.before[i] ?? {})) {
      const outcome = await actuator.apply(id, step++);
      if (!outcome.ok) return outcome;
    }
  }
  return { ok: true };
}

/** Waits until a call's condition is true. @returns why it is not */
async function effectOf(entry: JournalEntry, index: number, { clock, machine }: ApplyParts): Promise<string | undefined> {
  const call = entry.plan.calls[index];
  if (call === undefined) return undefined;
  const { condition, windowMs } = changeToolOf(call).verification;
  if (IMMEDIATE.has(condition)) return undefined;
  const deadlineMs = clock.monotonicMs() + windowMs;
  for (;;) {
    const { holds, detail, isFinal } = await verifyCall(entry, index, machine);
    if (holds) return undefined;
    if (isFinal === true || clock.monotonicMs() >= deadlineMs) return `${describeCall(call)} did not succeed: ${detail}`;
    await new Promise<void>((resolve) => clock.after(CHECK_EVERY_MS, resolve));
  }
}
