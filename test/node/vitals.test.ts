// How an agent itself does, in figures: how late its loop is, for whose doing, and how long its disk takes to keep something.
import { describe, expect, it } from 'vitest';
import { VitalSigns } from '../../node/decisions/vitals.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { StoreOperation } from '../../swarm/ports/store.ts';
import { pass } from '../support/virtual.ts';

function world() {
  const scheduler = new Scheduler();
  const its = { lateMs: 0, writeMs: 10, waitedMs: 0 as number | undefined, refuses: undefined as Error | undefined };
  const log = { writes: [] as number[], failed: [] as unknown[], operations: [] as (readonly StoreOperation[])[] };
  const ports = {
    clock: {
      monotonicMs: () => scheduler.nowMs,
      after: (ms: number, run: () => void) => scheduler.after(ms + its.lateMs, run),
    },
    sensors: { waitedMs: () => its.waitedMs },
    store: {
      write: (operations: readonly StoreOperation[]) => {
        log.writes.push(scheduler.nowMs);
        log.operations.push(operations);
        if (its.refuses !== undefined) return Promise.reject(its.refuses);
        return new Promise<void>((resolve) => scheduler.after(its.writeMs, resolve));
      },
    },
  } as unknown as Ports;
  const vitals = new VitalSigns(ports, 'rack-1', (error) => void log.failed.push(error));
  vitals.start();
  return { vitals, its, log, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

describe('how late a loop is', () => {
  it('is nearly the worst of the last minute: three late turns of sixty are none', async () => {
    const { vitals, its, pump } = world();
    expect(vitals.now).toEqual({ lagMs: 0, diskMs: 0, domain: 'rack-1' });
    its.lateMs = 500; // from the next turn on
    await pump(1_000 + 3 * 1_500);
    its.lateMs = 0;
    await pump(1_500);
    expect(vitals.now.lagMs).toBe(500);
    await pump(55_000);
    expect(vitals.now.lagMs).toBe(500);
    const few = world();
    await few.pump(57_000);
    few.its.lateMs = 500;
    await few.pump(1_000 + 2 * 1_500);
    few.its.lateMs = 0;
    await few.pump(1_500);
    expect(few.vitals.now.lagMs).toBe(0);
    few.its.lateMs = 400;
    await few.pump(1_000);
    few.its.lateMs = 0;
    await few.pump(1_400);
    expect(few.vitals.now.lagMs).toBe(400);
    await few.pump(57_000); // forgotten after sixty
    expect(few.vitals.now.lagMs).toBe(0);
  });

  it('counts while a turn is overdue, and for fifteen turns after it; blind is more than 300 ms', async () => {
    const { vitals, its, pump } = world();
    its.lateMs = 301;
    await pump(1_000);
    expect(vitals.lateMs).toBe(0);
    await pump(1_300);
    expect([vitals.lateMs, vitals.isBlind]).toEqual([300, false]);
    its.lateMs = 0;
    await pump(1);
    expect([vitals.lateMs, vitals.isBlind]).toEqual([301, true]);
    await pump(14_500);
    expect(vitals.isBlind).toBe(true);
    await pump(1_000);
    expect([vitals.lateMs, vitals.isBlind]).toEqual([0, false]);
  });

  it.each([
    [249, false],
    [250, true],
    [undefined, false],
  ])('is the machine’s doing where it waited for a CPU for half of it: %o ms of 500 a turn', async (waits, isStarved) => {
    const { vitals, its, pump } = world();
    await pump(1_000);
    expect(vitals.isStarved).toBe(false);
    its.lateMs = 500;
    await pump(1_000);
    for (let turn = 0; turn < 10; turn++) {
      its.waitedMs = waits === undefined ? undefined : (its.waitedMs ?? 0) + waits;
      await pump(1_500);
    }
    expect(vitals.isStarved).toBe(isStarved);
  });

  it('is nobody’s doing where it is not late', async () => {
    const { vitals, its, pump } = world();
    for (let turn = 0; turn < 5; turn++) {
      its.waitedMs = (its.waitedMs ?? 0) + 900;
      await pump(1_000);
    }
    expect(vitals.isStarved).toBe(false);
  });
});

describe('how long a disk takes', () => {
  it('is tried each fifteen turns, and the median of the last five counts', async () => {
    const { vitals, its, log, pump } = world();
    await pump(1_010);
    expect([log.writes, log.operations]).toEqual([
      [1_000],
      [[{ kind: 'put', key: 'vitals', value: new TextEncoder().encode('here') }]],
    ]);
    its.writeMs = 900;
    await pump(30_000);
    expect([log.writes, vitals.now.diskMs]).toEqual([[1_000, 16_000, 31_000], 10]);
    await pump(890);
    expect(vitals.now.diskMs).toBe(900);
    its.writeMs = 10;
    await pump(15_000);
    expect(vitals.now.diskMs).toBe(10);
    await pump(30_000);
    expect(vitals.now.diskMs).toBe(10);
  });

  it('counts while a write is under way, and then no other is begun', async () => {
    const { vitals, its, log, pump } = world();
    its.writeMs = 40_000;
    await pump(36_000);
    expect([vitals.now.diskMs, log.writes.length]).toEqual([35_000, 1]);
    await pump(20_000);
    expect([vitals.now.diskMs, log.writes.length]).toEqual([40_000, 2]);
  });

  it('is said where it refuses', async () => {
    const { its, log, pump } = world();
    its.refuses = new Error('broken');
    await pump(1_000);
    expect(log.failed).toEqual([its.refuses]);
  });

  it('is not tried by an agent that stops', async () => {
    const { vitals, log, pump, scheduler } = world();
    await pump(3_010);
    vitals.stop();
    await pump(60_000);
    expect([log.writes.length, scheduler.step(Number.POSITIVE_INFINITY)]).toEqual([1, false]);
  });
});
