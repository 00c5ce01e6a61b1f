// What waits for a person: how long, how many at once, and what each of them is answered.
import { describe, expect, it } from 'vitest';
import { type Answer, Approvals } from '../../node/agent/approvals.ts';
import type { Plan } from '../../node/decision/plan.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { pass } from '../support/virtual.ts';

const START_MS = 1_700_000_000_000;
const planOf = (id: string, incident = 'inc-1'): Plan => ({ id, incident, calls: [], tier: 'reactive', reason: 'x' }) as Plan;

function world() {
  const scheduler = new Scheduler();
  const reporter = { log: () => undefined, noted: async () => undefined, failed: () => undefined };
  const approvals = new Approvals(new ProcessClock(scheduler, () => START_MS), reporter);
  const answers: [string, Answer][] = [];
  const ask = (plan: Plan): void =>
    void approvals.ask(plan, [`diff of ${plan.id}`]).then((answer) => answers.push([plan.id, answer]));
  return { approvals, answers, ask, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

describe('what waits for a person', () => {
  it('is shown with its diff and its end, and answered once', async () => {
    const { approvals, answers, ask, scheduler, pump } = world();
    ask(planOf('a'));
    expect(approvals.all()).toEqual([{ plan: planOf('a'), diff: ['diff of a'], expiresMs: START_MS + 600_000 }]);
    expect([approvals.has('a'), approvals.has('b'), approvals.answer('b', 'approved')]).toEqual([true, false, false]);
    expect([approvals.answer('a', 'approved'), approvals.answer('a', 'rejected'), approvals.has('a')]).toEqual([
      true,
      false,
      false,
    ]);
    await pump(0);
    expect([answers, approvals.all(), scheduler.step(Number.POSITIVE_INFINITY)]).toEqual([[['a', 'approved']], [], false]);
  });

  it('ends after ten minutes', async () => {
    const { approvals, answers, ask, pump } = world();
    ask(planOf('a'));
    await pump(599_999);
    expect(answers).toEqual([]);
    await pump(1);
    expect([answers, approvals.has('a')]).toEqual([[['a', 'expired']], false]);
  });

  it('is answered together, all of it or that of one incident', async () => {
    const { approvals, answers, ask, pump } = world();
    for (const [id, incident] of [
      ['a', 'inc-1'],
      ['b', 'inc-2'],
      ['c', 'inc-1'],
    ] as const)
      ask(planOf(id, incident));
    approvals.answerAll('withdrawn', 'inc-1');
    await pump(0);
    expect(answers).toEqual([
      ['a', 'withdrawn'],
      ['c', 'withdrawn'],
    ]);
    approvals.answerAll('halted');
    await pump(0);
    expect(answers.at(-1)).toEqual(['b', 'halted']);
  });

  it('is no more than sixty-four at once, and nobody is told after the end', async () => {
    const { approvals, answers, ask, scheduler, pump } = world();
    for (let nth = 1; nth <= 65; nth++) ask(planOf(`p-${nth}`));
    await pump(0);
    expect([answers, approvals.all().length]).toEqual([[['p-65', 'expired']], 64]);
    approvals.stop();
    expect([scheduler.step(Number.POSITIVE_INFINITY), answers.length]).toEqual([false, 1]);
  });
});
