// What waits for a person's word: how long, how many, who is told, and that nothing is left of what was answered.
import { describe, expect, it } from 'vitest';
import { type Answer, Approvals } from '../../node/agent/approvals.ts';
import type { Plan } from '../../node/decision/plan.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { pass } from '../support/virtual.ts';

const WALL_MS = 1_700_000_000_000;
const TEN_MINUTES_MS = 600_000;
const planOf = (id: string, incident = 'inc-1'): Plan => ({
  id,
  incident,
  calls: [{ tool: 'service.restart', service: 'web' }],
  tier: 'reactive',
  reason: 'because',
});

function world() {
  const scheduler = new Scheduler();
  const approvals = new Approvals(new ProcessClock(scheduler, () => WALL_MS));
  const told: string[] = [];
  const ask = (id: string, incident?: string): void =>
    void approvals.ask(planOf(id, incident), [`diff of ${id}`]).then((answer: Answer) => told.push(`${id} ${answer}`));
  return { approvals, told, ask, pump: (ms: number) => pass(scheduler, ms) };
}

describe('an approval', () => {
  it('waits with its plan, what it would change, and when it ends', () => {
    const { approvals, ask } = world();
    ask('a');
    expect(approvals.all()).toEqual([{ plan: planOf('a'), diff: ['diff of a'], expiresMs: WALL_MS + TEN_MINUTES_MS }]);
    expect([approvals.has('a'), approvals.has('b')]).toEqual([true, false]);
  });

  it('is answered once, and expires no more', async () => {
    const { approvals, told, ask, pump } = world();
    ask('a');
    ask('b');
    expect([approvals.answer('c', 'approved'), approvals.answer('a', 'rejected'), approvals.answer('a', 'approved')]).toEqual([
      false,
      true,
      false,
    ]);
    await pump(0);
    expect([told, approvals.has('a'), approvals.has('b')]).toEqual([['a rejected'], false, true]);
    await pump(TEN_MINUTES_MS);
    expect(told).toEqual(['a rejected', 'b expired']);
  });

  it('expires after ten minutes, and not before', async () => {
    const { approvals, told, ask, pump } = world();
    ask('a');
    await pump(TEN_MINUTES_MS - 1);
    expect([told, approvals.has('a')]).toEqual([[], true]);
    await pump(1);
    expect([told, approvals.all()]).toEqual([['a expired'], []]);
  });

  it('asked again under the same id is not ended by the time of the first', async () => {
    const { approvals, told, ask, pump } = world();
    ask('a');
    await pump(TEN_MINUTES_MS - 1_000);
    approvals.answer('a', 'withdrawn');
    ask('a');
    await pump(2_000);
    expect([told, approvals.has('a')]).toEqual([['a withdrawn'], true]);
  });

  it('ends with those of its incident, or with all', async () => {
    const { approvals, told, ask, pump } = world();
    for (const [id, incident] of [
      ['a', 'inc-1'],
      ['b', 'inc-2'],
      ['c', 'inc-1'],
    ] as const)
      ask(id, incident);
    approvals.answerAll('withdrawn', 'inc-1');
    await pump(0);
    expect(told).toEqual(['a withdrawn', 'c withdrawn']);
    approvals.answerAll('halted');
    await pump(0);
    expect([told.at(-1), approvals.all()]).toEqual(['b halted', []]);
  });

  it('is one of 64 at most: one more is taken for one that nobody answered', async () => {
    const { approvals, told, ask, pump } = world();
    for (let i = 0; i < 65; i++) ask(`p${i}`);
    await pump(0);
    expect([told, approvals.all().length]).toEqual([['p64 expired'], 64]);
  });

  it('tells nobody once all has stopped', async () => {
    const { approvals, told, ask, pump } = world();
    ask('a');
    approvals.stop();
    await pump(2 * TEN_MINUTES_MS);
    expect(told).toEqual([]);
  });
});
