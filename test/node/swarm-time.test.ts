// The swarm's time on a machine whose own clock is right, slow, or far off: what is dated by which, and when the difference is too much.
import { describe, expect, it } from 'vitest';
import { SwarmTime } from '../../node/link/swarm-time.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { ClockOffsets } from '../../swarm/state/clock-offsets.ts';
import { pass } from '../support/virtual.ts';

const START_MS = 1_700_000_000_000;
const HALF_HOUR_MS = 1_800_000;

async function at(correctionMs: number) {
  const scheduler = new Scheduler();
  const own = new ProcessClock(scheduler, () => START_MS);
  const asked: unknown[] = [];
  const offsets = {
    correctionMs: (...given: unknown[]) => asked.push(given) && correctionMs,
    behindMs: (...given: unknown[]) => asked.push(given) && 42,
  } as unknown as ClockOffsets;
  await pass(scheduler, 250);
  return { time: new SwarmTime(own, offsets), asked, scheduler };
}

describe('the swarm’s time', () => {
  it('is this machine’s, corrected by what its peers say; what nobody sets is its own', async () => {
    const { time, asked, scheduler } = await at(-7_000);
    expect([time.wallMs(), time.monotonicMs(), time.behindMs()]).toEqual([START_MS + 250 - 7_000, 250, 42]);
    expect(asked).toEqual([
      [START_MS + 250, 250],
      [START_MS + 250, 250],
    ]);
    let ran = 0;
    time.after(1_000, () => ran++);
    const { cancel } = time.after(1_000, () => ran++);
    expect(cancel).toBeDefined();
    await pass(scheduler, 999);
    expect(ran).toBe(0);
    await pass(scheduler, 1);
    expect(ran).toBe(2);
  });

  it.each([
    [HALF_HOUR_MS - 1, false, START_MS + 250],
    [1 - HALF_HOUR_MS, false, START_MS + 250],
    [HALF_HOUR_MS, true, START_MS + 250 + HALF_HOUR_MS],
    [-HALF_HOUR_MS, true, START_MS + 250 - HALF_HOUR_MS],
    [HALF_HOUR_MS + 0.4, true, START_MS + 250 + HALF_HOUR_MS],
  ])('that differs by %i ms is too far off: %s, and claims are dated %i', async (correctionMs, isFarOff, claimMs) => {
    const { time } = await at(correctionMs);
    expect([time.isFarOff, time.claimMs()]).toEqual([isFarOff, claimMs]);
  });
});
