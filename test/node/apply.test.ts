// The steps of a plan, in order: armed as a whole first, each call after the effect of the one before it, and none after one that failed.
import { describe, expect, it } from 'vitest';
import { fireAfterMs, type JournalEntry, stepsOf } from '../../node/action/transaction.ts';
import { applyPlan } from '../../node/agent/apply.ts';
import type { ActuatorOutcome } from '../../node/ports/actuator.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { pass } from '../support/virtual.ts';

const AUTHORIZATION = Uint8Array.of(1);
const calls = ['web', 'db'].map((service) => ({ tool: 'service.stop', service }));
const restarts = { tool: 'service.restart', service: 'web' };
const before = ['web', 'db'].map((name) => ({ name, state: 'running', pid: 7, critical: 0, onPurpose: 0 }));

function world(given: Partial<Pick<JournalEntry['plan'], 'calls'>> = {}) {
  const scheduler = new Scheduler();
  const states = new Map([
    ['web', 'running'],
    ['db', 'running'],
  ]);
  const its = { arm: { ok: true } as ActuatorOutcome, refused: -1 };
  const log = { armed: [] as unknown[], applied: [] as [number, string, number][] };
  const actuator = {
    services: () => [...states].map(([name, state]) => ({ name, state })),
    checkService: async () => 'undeclared',
    arm: async (...asked: unknown[]) => {
      log.armed.push(asked);
      return its.arm;
    },
    apply: async (id: string, step: number): Promise<ActuatorOutcome> => {
      log.applied.push([scheduler.nowMs, id, step]);
      return step === its.refused ? { ok: false, code: 'failed', message: 'no' } : { ok: true };
    },
  };
  const plan = { id: 'act-1', incident: 'operator', calls, tier: 'operator', reason: 'x', ...given } as const;
  const entry: JournalEntry = { plan, before, phase: 'intent', atMs: 0, reason: '' };
  let outcome: ActuatorOutcome | undefined;
  const parts = { actuator, clock: new ProcessClock(scheduler), machine: { actuator }, authorization: AUTHORIZATION } as never;
  const run = (): void =>
    void applyPlan(entry, parts).then((done) => {
      outcome = done;
    });
  return { entry, states, its, log, run, outcome: () => outcome, pump: (ms: number) => pass(scheduler, ms) };
}

describe('a plan', () => {
  it('is armed with all its steps, and its second call waits for the effect of the first', async () => {
    const { entry, states, log, run, outcome, pump } = world();
    run();
    await pump(3_000);
    expect(log.armed).toEqual([['act-1', fireAfterMs(entry), stepsOf(entry), AUTHORIZATION]]);
    expect([log.applied, outcome()]).toEqual([[[0, 'act-1', 0]], undefined]);
    states.set('web', 'stopped');
    await pump(250);
    expect([log.applied.slice(1), outcome()]).toEqual([[[3_250, 'act-1', 1]], { ok: true }]);
  });

  it('ends where the effect of a call does not come within its time', async () => {
    const { log, run, outcome, pump } = world();
    run();
    await pump(9_999);
    expect(outcome()).toBeUndefined();
    await pump(1);
    expect(outcome()).toEqual({
      ok: false,
      code: 'failed',
      message: expect.stringMatching(/^service\.stop.*web.* did not succeed: the service is running$/),
    });
    expect(log.applied.length).toBe(1);
  });

  it('is not begun where it cannot be armed', async () => {
    const { its, log, run, outcome, pump } = world();
    its.arm = { ok: false, code: 'refused', message: 'no authorization' } as ActuatorOutcome;
    run();
    await pump(0);
    expect([outcome(), log.applied]).toEqual([its.arm, []]);
  });

  it.each([0, 1, 2])('ends with step %i where that fails', async (refused) => {
    const { its, log, run, outcome, pump } = world({ calls: [restarts, ...calls.slice(1)] });
    its.refused = refused;
    run();
    await pump(0);
    expect(outcome()).toEqual({ ok: false, code: 'failed', message: 'no' });
    expect(log.applied.map(([, , step]) => step)).toEqual([0, 1, 2].slice(0, refused + 1));
  });
});
