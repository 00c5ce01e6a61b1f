// A periodic task: each turn begins a while after the end of the one before, also where that one failed, until it is stopped.
import { describe, expect, it } from 'vitest';
import { PeriodicTask } from '../../node/periodic-task.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { pass } from '../support/virtual.ts';

function world(turn: (clock: ProcessClock, nth: number) => Promise<unknown>) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler);
  const log = { began: [] as number[], failed: [] as string[] };
  const turns = new PeriodicTask({
    clock,
    everyMs: 1_000,
    run: () => {
      log.began.push(clock.monotonicMs());
      return turn(clock, log.began.length);
    },
    failed: (why) => void log.failed.push(why),
  });
  return { turns, log, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

describe('a periodic task', () => {
  it('comes a while after the end of the turn before', async () => {
    const { turns, log, pump } = world((clock) => new Promise((resolve) => clock.after(300, () => resolve(undefined))));
    turns.start();
    await pump(4_000);
    expect([log.began, turns.isStopped]).toEqual([[1_000, 2_300, 3_600], false]);
  });

  it('says what failed, and goes on', async () => {
    const { turns, log, pump } = world((_clock, nth) => Promise.reject(nth === 1 ? new Error('no') : 'text'));
    turns.start();
    await pump(2_500);
    expect([log.began, log.failed]).toEqual([
      [1_000, 2_000],
      ['no', 'text'],
    ]);
  });

  it('stops before its next turn, or within one, and does not begin again', async () => {
    const before = world(() => Promise.resolve());
    before.turns.start();
    before.turns.stop();
    expect([before.turns.isStopped, before.scheduler.step(Number.POSITIVE_INFINITY)]).toEqual([true, false]);
    const within = world(async () => within.turns.stop());
    within.turns.start();
    await within.pump(5_000);
    within.turns.start();
    await within.pump(5_000);
    expect(within.log.began).toEqual([1_000]);
  });
});
