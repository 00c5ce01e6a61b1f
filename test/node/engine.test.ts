// Each key of [policy_engine] and [ai_engine] changes what an agent does.
import { describe, expect, it } from 'vitest';
import { PolicySet } from '../../node/agent/policies.ts';
import { Watcher } from '../../node/agent/watcher.ts';
import { shippedPolicies } from '../../node/detection/adapters/shipped-policies.ts';
import { BaselineDetector } from '../../node/detection/baseline-detector.ts';
import { stoppedService } from '../../node/ports/actuator.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { NOTHING_DECLARED } from '../../node/telemetry/declared.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { SimulatedActuator } from '../../sim/machine/actuator.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

describe('policy_engine.evaluation_interval', () => {
  it.each([
    [undefined, 11],
    [5_000, 3],
    [500, 21],
  ])('%s ms: %s samples in ten seconds', async (intervalMs, samples) => {
    const scheduler = new Scheduler();
    const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [], { cpus: 2, memoryBytes: 2 ** 32 }, 0);
    const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));
    const clock = new ProcessClock(scheduler);
    const ports = {
      clock,
      crypto,
      sensors: linux,
      actuator: new SimulatedActuator(linux, clock),
      store: new PlainStore(),
    } as unknown as Ports;
    const config = {
      policies: [],
      declared: NOTHING_DECLARED,
      services: [],
      intervalMs,
      isBlind: () => false,
      clockBehindMs: () => undefined,
    };
    const failed = (error: unknown): never => {
      throw error;
    };
    const watcher = new Watcher(ports, { ...config, failed }, () => undefined);
    watcher.start();
    await pass(scheduler, 10_000);
    expect(watcher.samples.count).toBe(samples);
    watcher.stop();
  });
});

describe('the declared check of a service', () => {
  /** A watcher of one service, whose state and whose answer can be set. */
  function world() {
    const scheduler = new Scheduler();
    const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [], { cpus: 2, memoryBytes: 2 ** 32 }, 0);
    const clock = new ProcessClock(scheduler);
    const spec = { name: 'web', command: ['web'], port: 80 };
    const its = { service: stoppedService(spec, 0), answer: 'open' as string | Error, blind: false, asked: [] as number[] };
    const actuator = Object.assign(Object.create(new SimulatedActuator(linux, clock)), {
      services: () => [its.service],
      silentMs: () => 0,
      onExit: () => undefined,
      checkService: async () => {
        its.asked.push(clock.monotonicMs());
        if (its.answer instanceof Error) throw its.answer;
        return its.answer;
      },
    });
    const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));
    const ports = { clock, crypto, sensors: linux, actuator, store: new PlainStore() } as unknown as Ports;
    const config = { policies: [], declared: NOTHING_DECLARED, services: [], intervalMs: 500, isBlind: () => its.blind };
    const failed = (error: unknown): never => {
      throw error;
    };
    const watcher = new Watcher(ports, { ...config, clockBehindMs: () => undefined, failed }, () => undefined);
    watcher.start();
    const run = (pid: number): void => void Object.assign(its.service, { state: 'running', pid, starts: pid });
    return { its, run, seen: () => watcher.services.views()[0]?.check, pump: (ms: number) => pass(scheduler, ms) };
  }

  it('is run every two seconds while the service runs, and known by its newest answer', async () => {
    const { its, run, seen, pump } = world();
    await pump(3_000);
    expect([its.asked, seen()]).toEqual([[], 'unknown']);
    run(1);
    await pump(6_100);
    expect(its.asked.length).toBe(3);
    expect(seen()).toBe('open');
    its.answer = 'silent';
    await pump(2_000);
    expect(seen()).toBe('silent');
    its.answer = new Error('no actuator');
    await pump(2_000);
    expect(seen()).toBe('unknown');
  });

  it('says nothing of a process that came after it', async () => {
    const { its, run, seen, pump } = world();
    run(1);
    its.answer = 'silent';
    await pump(2_600);
    expect(seen()).toBe('silent');
    Object.assign(its.service, { state: 'exited', pid: undefined });
    expect(seen()).toBe('unknown');
    await pump(500);
    run(2);
    expect(seen()).toBe('unknown');
    await pump(400); // not asked again yet
    expect(seen()).toBe('unknown');
    its.answer = 'open';
    await pump(3_000);
    expect(seen()).toBe('open');
  });

  it('that was too late counts for nothing where this agent was late itself', async () => {
    const { its, run, seen, pump } = world();
    run(1);
    await pump(1_000);
    expect(seen()).toBe('open');
    Object.assign(its, { answer: 'silent', blind: true });
    await pump(3_000);
    expect(seen()).toBe('open');
    its.answer = 'refused';
    await pump(3_000);
    expect(seen()).toBe('refused');
  });
});

describe('policy_engine.max_rules', () => {
  const policy = (name: string) => ({ name, when: 'true', summary: name });

  it('bounds all policies together, live ones too', async () => {
    const taken: number[] = [];
    const owner = { judge: (policies: unknown[]) => void taken.push(policies.length), noted: async () => undefined };
    const set = new PolicySet(new PlainStore(), [], owner, 2);
    await set.apply([policy('a'), policy('b')]);
    await expect(set.apply([policy('c')])).rejects.toThrow('policy limit: 3 policies, but policy_engine.max_rules is 2');
    await set.apply([policy('b')]);
    expect(taken).toEqual([2, 2]);
    expect(() => new PolicySet(new PlainStore(), set.all(), owner, 1)).toThrow('max_rules is 1');
  });
});

describe('ai_engine.anomaly_threshold', () => {
  it('is how far from its normal a metric must be', () => {
    const fired = (threshold: number | undefined): number => {
      const detector = new BaselineDetector(threshold);
      let count = 0;
      for (let second = 0; second < 200; second++) {
        const metrics = new Map([['system.cpu.utilization', second < 120 ? 0.1 : 0.8]]);
        count += detector.observe({ nowMs: second * 1_000, wallMs: second * 1_000, metrics, targets: new Map() }).length;
      }
      return count;
    };
    expect([fired(undefined), fired(10), fired(20)]).toEqual([1, 1, 0]);
  });
});

describe('what was learned', () => {
  it('of the hours and for thresholds is kept over a restart', async () => {
    const scheduler = new Scheduler();
    const store = new PlainStore();
    const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [], { cpus: 2, memoryBytes: 2 ** 32 }, 0);
    const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));
    const failed = (error: unknown): never => {
      throw error;
    };
    const start = (): Watcher => {
      const clock = new ProcessClock(scheduler);
      const ports = { clock, crypto, sensors: linux, actuator: new SimulatedActuator(linux, clock), store };
      const config = {
        policies: shippedPolicies(),
        declared: NOTHING_DECLARED,
        services: [],
        isBlind: () => false,
        clockBehindMs: () => undefined,
        failed,
      };
      return new Watcher(ports as unknown as Ports, config, () => undefined);
    };
    const first = start();
    first.start();
    await pass(scheduler, 3_700_000);
    first.stop();
    const { busy } = first.detectors.thresholds('cpu-pressure');
    expect(busy?.median).toBeDefined();
    const second = start();
    expect(second.detectors.thresholds('cpu-pressure').busy?.value).toBe(85);
    await second.detectors.recall(store);
    expect(second.detectors.thresholds('cpu-pressure').busy?.value).toBe(busy?.value);
  });
});
