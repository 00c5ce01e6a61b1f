// The clock that spans are measured by: nobody can set it, it counts the time for which the machine was suspended, and after a gap
// nothing is judged by what was seen before.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SeasonalProfile } from '../../models/seasonal-profile.ts';
import { type Clocks, clockSinceBoot, SystemClock } from '../../node/adapters/clock.ts';
import { Watcher } from '../../node/agent/watcher.ts';
import type { Change } from '../../node/detection/detector.ts';
import { policySchema } from '../../node/detection/policy.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { NOTHING_DECLARED } from '../../node/telemetry/declared.ts';
import { History } from '../../node/telemetry/history.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { SimulatedActuator } from '../../sim/machine/actuator.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const HOUR_MS = 3_600_000;

/** A machine whose clocks can be moved. @param lackMs what its uptime lacks, as a container's own does. */
function machine(lackMs = 0) {
  const at = { awakeMs: 50_000, suspendedMs: 0, wallMs: 1_700_000_000_000 };
  const clocks: Clocks = {
    awakeMs: () => at.awakeMs,
    wallMs: () => at.wallMs,
    uptimeMs: () => at.awakeMs + at.suspendedMs - lackMs,
  };
  const live = (ms: number): void => {
    at.awakeMs += ms;
    at.wallMs += ms;
  };
  const suspend = (ms: number, wallMs = ms): void => {
    at.suspendedMs += ms;
    at.wallMs += wallMs;
  };
  return { at, live, suspend, clock: clockSinceBoot(clocks) };
}

describe('the time since boot', () => {
  it.each([0, 40_000])('counts suspensions, at once where the wall clock knows of them (uptime lacks %i ms)', (lackMs) => {
    const { live, suspend, clock } = machine(lackMs);
    const startMs = clock();
    live(100);
    suspend(8 * HOUR_MS);
    expect(clock() - startMs).toBe(8 * HOUR_MS + 100);
    live(700);
    suspend(60_000, 0); // a machine without a clock of its own: within a second
    live(400);
    expect(clock() - startMs).toBe(8 * HOUR_MS + 60_000 + 1_200);
  });

  it('does not see that the wall clock is set', () => {
    const { at, live, clock } = machine();
    for (const stepMs of [1_000, -1_000, 2 * HOUR_MS, -2 * HOUR_MS, 25 * HOUR_MS, -73 * HOUR_MS]) {
      const beforeMs = clock();
      at.wallMs += stepMs;
      live(10);
      expect(clock() - beforeMs).toBe(10);
    }
  });

  it('takes a wait between its looks for nothing', () => {
    const { at, live, clock } = machine();
    const startMs = clock();
    let waits = 0;
    const late = clockSinceBoot({
      awakeMs: () => at.awakeMs,
      wallMs: () => at.wallMs,
      uptimeMs: () => {
        const uptimeMs = at.awakeMs;
        if (waits++ > 0) live(30_000); // the machine is busy, just then
        return uptimeMs;
      },
    });
    expect(late()).toBe(startMs);
    live(2_000);
    late();
    expect(late()).toBeLessThanOrEqual(at.awakeMs);
  });

  it('never goes back, whatever happens', () => {
    const happening = fc.tuple(fc.constantFrom('live', 'suspend', 'set'), fc.integer({ min: -1e8, max: 1e8 }));
    fc.assert(
      fc.property(fc.array(happening), (all) => {
        const { at, live, suspend, clock } = machine();
        let lastMs = clock();
        for (const [kind, ms] of all) {
          if (kind === 'live') live(Math.abs(ms) % 5_000);
          else if (kind === 'suspend') suspend(Math.abs(ms), ms % 3 === 0 ? 0 : Math.abs(ms));
          else at.wallMs += ms;
          const nowMs = clock();
          expect(nowMs).toBeGreaterThanOrEqual(lastMs);
          lastMs = nowMs;
        }
      }),
    );
  });

  it('is this machine’s', () => {
    const clock = new SystemClock();
    const [first, second] = [clock.monotonicMs(), clock.monotonicMs()];
    expect(first).toBeGreaterThan(0);
    expect(second).toBeGreaterThanOrEqual(first);
  });
});

describe('a gap between two samples', () => {
  /** A machine that is suspended: its clock since boot goes on, and nothing else does. */
  function watched(policy: Record<string, unknown>) {
    const scheduler = new Scheduler();
    const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [], { cpus: 2, memoryBytes: 2 ** 32 }, 0);
    const gap = { ms: 0 };
    const inner = new ProcessClock(scheduler);
    const clock = {
      wallMs: () => inner.wallMs() + gap.ms,
      monotonicMs: () => inner.monotonicMs() + gap.ms,
      after: (ms: number, run: () => void) => inner.after(ms, run),
    };
    const sensors = {
      ...linux,
      sample: () => ({ ...linux.sample(), monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }),
    };
    const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));
    const ports = { clock, crypto, sensors, actuator: new SimulatedActuator(linux, inner), store: new PlainStore() };
    const changes: Change[] = [];
    const config = {
      policies: [policySchema.parse(policy)],
      declared: NOTHING_DECLARED,
      services: [],
      clockBehindMs: () => undefined,
      isBlind: () => false,
      failed: (error: unknown): never => {
        throw error;
      },
    };
    const watcher = new Watcher(ports as unknown as Ports, config, (all) => void changes.push(...all));
    watcher.start();
    return { scheduler, watcher, changes, gap, linux };
  }

  it('is no time through which a finding lasted', async () => {
    const policy = { name: 'used', when: "metrics['system.memory.utilization'] > 0.0", summary: 'used', for_s: 30 };
    const { scheduler, changes, gap, watcher } = watched(policy);
    await pass(scheduler, 20_000);
    gap.ms += 8 * HOUR_MS;
    await pass(scheduler, 3_000);
    expect(changes).toEqual([]);
    await pass(scheduler, 6_000);
    expect(changes.map(({ kind }) => kind)).toEqual([]);
    await pass(scheduler, 6_000);
    expect(changes.map(({ kind }) => kind)).toEqual(['fired']);
    watcher.stop();
  });

  it('is no interval that a rate is of', async () => {
    const policy = { name: 'never', when: 'false', summary: 'never' };
    const { scheduler, gap, watcher } = watched(policy);
    await pass(scheduler, 5_000);
    expect(watcher.samples.metrics.has('system.cpu.utilization')).toBe(true);
    gap.ms += HOUR_MS;
    await pass(scheduler, 1_000);
    expect(watcher.samples.metrics.has('system.cpu.utilization')).toBe(false);
    expect(watcher.samples.metrics.has('system.memory.utilization')).toBe(true);
    await pass(scheduler, 1_000);
    expect(watcher.samples.metrics.has('system.cpu.utilization')).toBe(true);
    watcher.stop();
  });
});

describe('the past', () => {
  it.each([1, -1, 7_200, -7_200, 90_000, -262_800])(
    'goes on being written when the clock is set by %i s, and is dated by it',
    (stepS) => {
      const history = new History();
      const wallS = 1_700_000_000;
      const record = (atS: number, aheadS: number): void => history.record([['x', atS]], atS, true, atS + aheadS);
      for (let atS = 0; atS < 300; atS++) record(atS, wallS);
      for (let atS = 300; atS < 600; atS++) record(atS, wallS + stepS);
      expect(history.last('x', 600)).toEqual(Array.from({ length: 600 }, (_, i) => i));
      expect(history.fine('x')?.atS).toBe(599 + wallS + stepS);
      expect(history.coarse('x')?.mean.values.length).toBe(9);
      expect(history.coarse('x')?.mean.atS).toBe(540 + wallS + stepS);
    },
  );
});

describe('what is normal at an hour', () => {
  it('is not learned from one that was cut short because the clock was set', () => {
    const profile = new SeasonalProfile(0.01);
    const start = 1_700_000_000_000 - (1_700_000_000_000 % HOUR_MS);
    for (let i = 0; i < 200; i++) profile.learn(0.5, start + (i % 2) * 25 * HOUR_MS); // back and forth
    expect(profile.state().every(([, , days]) => days === 0)).toBe(true);
    profile.learn(0.5, start);
    profile.learn(0.5, start + HOUR_MS);
    expect(profile.state().filter(([, , days]) => days > 0).length).toBe(1);
    expect(() => profile.learn(0.5, -5 * HOUR_MS)).not.toThrow(); // before 1970
  });
});
