// The watcher: when it samples and judges, what it knows of services beside their state, and what it adds to the machine's figures.
import { describe, expect, it } from 'vitest';
import { Watcher, type WatcherConfig } from '../../node/agent/watcher.ts';
import type { Change } from '../../node/detection/detector.ts';
import { type PolicyInput, policySchema } from '../../node/detection/policy.ts';
import { PolicyError } from '../../node/detection/policy-detector.ts';
import { type ActuatorReading, type Reading, type ServiceSample, stoppedService } from '../../node/ports/actuator.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { NOTHING_DECLARED } from '../../node/telemetry/declared.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { SimulatedActuator } from '../../sim/machine/actuator.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

const WALL_MS = 1_700_000_000_000;
const spec = { name: 'web', command: ['web'], port: 80 };
const EXITED: PolicyInput = {
  name: 'gone',
  scope: 'service',
  when: "service.state == 'exited'",
  summary: 'it ended',
  clear_s: 0,
};

function world(
  given: { policies?: PolicyInput[]; config?: Partial<WatcherConfig>; service?: Partial<ServiceSample>; store?: PlainStore } = {},
) {
  const scheduler = new Scheduler();
  const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [], { cpus: 2, memoryBytes: 2 ** 32 }, 0);
  const its = {
    service: {
      ...stoppedService(spec, WALL_MS - 60_000),
      state: 'running',
      pid: 7,
      starts: 1,
      ...given.service,
    } as ServiceSample,
    silentMs: 2_500 as number | undefined,
    refusal: undefined as string | undefined,
    behindMs: 1_500 as number | undefined,
    blind: false,
    checks: 0,
    check: 'open' as Awaited<ReturnType<SimulatedActuator['checkService']>>,
    /** Of a read; undefined: it never comes. */
    reading: { ok: true, value: '60' } as ActuatorReading | undefined,
    readings: [] as Reading[],
    wallStepMs: WALL_MS,
  };
  const clock = new ProcessClock(scheduler, () => its.wallStepMs);
  const store = Object.assign(given.store ?? new PlainStore(), {});
  Object.defineProperty(store, 'refusal', { get: () => its.refusal });
  let exited: (name: string) => void = () => undefined;
  const actuator = Object.assign(Object.create(new SimulatedActuator(linux, clock)), {
    services: () => [its.service],
    silentMs: () => its.silentMs,
    onExit: (listener: typeof exited) => {
      exited = listener;
    },
    checkService: async (_name: string, withinMs: number) => {
      its.checks++;
      expect(withinMs).toBe(1_000);
      return its.check;
    },
    read: async (reading: Reading) => {
      its.readings.push(reading);
      if (reading[0] === 'file.read') return { ok: false, code: 'not-found', message: '' };
      return its.reading ?? new Promise(() => undefined);
    },
  });
  const crypto = new ModelledCrypto(simulatedPeer(0, 1), new Uint8Array([1]));
  const ports = { clock, crypto, sensors: linux, actuator, store } as unknown as Ports;
  const changes: string[] = [];
  const failures: string[] = [];
  const watcher = new Watcher(
    ports,
    {
      policies: (given.policies ?? []).map((one) => policySchema.parse(one)),
      declared: NOTHING_DECLARED,
      services: [spec],
      clockBehindMs: () => its.behindMs,
      isBlind: () => its.blind,
      failed: (error) => void failures.push((error as Error).message),
      ...given.config,
    },
    (all: Change[]) => void changes.push(...all.map(({ kind, finding }) => `${kind} ${finding.policy} ${finding.target}`)),
  );
  const take = (): string[] => changes.splice(0);
  return {
    watcher,
    its,
    failures,
    take,
    store,
    scheduler,
    linux,
    ends: () => exited('web'),
    pump: (ms: number) => pass(scheduler, ms),
  };
}

describe('a watcher', () => {
  it('samples on a steady grid, a late one shortens the wait for the next, and none comes after its stop', async () => {
    const { watcher, linux, scheduler, pump } = world();
    const atMs: number[] = [];
    const sample = linux.sample.bind(linux);
    linux.sample = () => {
      atMs.push(scheduler.nowMs);
      if (atMs.length === 3) scheduler.nowMs += 2_300; // it took long
      return sample();
    };
    watcher.start();
    await pump(7_000);
    expect([atMs, watcher.samples.count]).toEqual([[0, 1_000, 2_000, 5_000, 6_000, 7_000], 6]);
    watcher.stop();
    const { executed } = scheduler;
    await pump(60_000);
    expect([watcher.samples.count, scheduler.executed]).toEqual([6, executed]);
  });

  it('judges at once where a service ends, and no more once it has stopped', async () => {
    const { watcher, its, take, ends, pump } = world({ policies: [EXITED] });
    ends();
    watcher.start();
    await pump(2_500);
    expect(take()).toEqual([]);
    its.service = { ...its.service, state: 'exited', pid: undefined };
    ends();
    expect(take()).toEqual(['fired gone web']);
    expect([
      watcher.detectors.firing().map(({ target }) => target),
      watcher.detectors.holds({ policy: 'gone', target: 'web' }),
    ]).toEqual([['web'], true]);
    watcher.stop();
    its.service = { ...its.service, state: 'running', pid: 8 };
    ends();
    expect(take()).toEqual([]);
  });

  it('judges by other policies at once, and by the ones before where one of those is wrong', async () => {
    const { watcher, its, take, pump } = world();
    its.service = { ...its.service, state: 'exited', pid: undefined };
    watcher.start();
    await pump(1_500);
    const exited = policySchema.parse(EXITED);
    watcher.setPolicies([exited]);
    expect(take()).toEqual(['fired gone web']);
    expect(() => watcher.setPolicies([{ ...exited, when: 'nonsense(' }])).toThrow(PolicyError);
    expect(watcher.detectors.firing().length).toBe(1);
    watcher.setPolicies([]);
    expect([take(), watcher.detectors.firing()]).toEqual([['cleared gone web'], []]);
  });

  it('says again what holds still after something was done about it', async () => {
    const { watcher, its, take, pump } = world({ policies: [EXITED] });
    its.service = { ...its.service, state: 'exited', pid: undefined };
    watcher.start();
    await pump(1_500);
    watcher.detectors.rearm({ policy: 'gone', target: 'other' });
    await pump(1_000);
    expect(take()).toEqual(['fired gone web']);
    watcher.detectors.rearm({ policy: 'gone', target: 'web' });
    await pump(1_000);
    expect(take()).toEqual(['fired gone web']);
  });

  it('names what it judges, and what it measures', async () => {
    const { watcher, pump } = world();
    expect(watcher.targets()).toContain('web');
    watcher.start();
    await pump(1_500);
    expect(watcher.targets()).toEqual(expect.arrayContaining(['machine', 'web', 'system.cpu.utilization']));
    expect(watcher.conditions()).toMatchObject({ CpuPressure: 'False' });
    expect(watcher.samples.metrics.get('system.memory.utilization')).toBeGreaterThan(0);
  });

  it('has nothing to say before its first sample, and features once it has half a minute', async () => {
    const { watcher, pump } = world();
    expect([
      watcher.samples.count,
      watcher.samples.suspects(),
      watcher.samples.last,
      watcher.samples.metrics.size,
      watcher.samples.features(),
    ]).toEqual([0, '', { sample: undefined, previous: undefined }, 0, undefined]);
    watcher.start();
    await pump(20_000);
    expect(watcher.samples.features()).toBeUndefined();
    await pump(20_000);
    expect(watcher.samples.features()?.length).toBe(39);
  });
});

describe('what a watcher keeps', () => {
  it('is each second by what people call it, and minutes for what is of the machine as a whole', async () => {
    const { watcher, pump, linux } = world();
    // FakeLinux is of virtual time since its start; people date it by the wall.
    const sample = linux.sample.bind(linux);
    linux.sample = () => ({ ...sample(), wallMs: WALL_MS + sample().monotonicMs });
    watcher.start();
    await pump(5_500);
    const [whole, detail] = ['system.memory.utilization', 'kalos.service.process.count{web}'];
    expect(watcher.samples.history.fine(whole)?.atS).toBe(WALL_MS / 1_000 + 5);
    expect(watcher.samples.history.fine(detail)?.atS).toBe(WALL_MS / 1_000 + 5);
    expect([watcher.samples.history.coarse(whole) !== undefined, watcher.samples.history.coarse(detail)]).toEqual([
      true,
      undefined,
    ]);
    const { atMs, top, metrics } = watcher.samples.recording();
    expect([atMs, top.length, metrics[whole]?.length]).toEqual([WALL_MS + 5_000, 6, expect.any(Number)]);
  });

  it('is looked at again after a gap, before anything is judged', async () => {
    const { watcher, its, take, pump, linux } = world({ policies: [EXITED] });
    let aheadMs = 0;
    const sample = linux.sample.bind(linux);
    linux.sample = () => ({ ...sample(), monotonicMs: sample().monotonicMs + aheadMs });
    watcher.start();
    await pump(3_500);
    const before = its.checks;
    for (const [ms, gap] of [
      [9_000, false],
      [9_001, true],
    ] as const) {
      aheadMs += ms;
      its.service = { ...its.service, state: 'exited', pid: undefined };
      await pump(1_000); // one second more than what passed for it
      expect(take()).toEqual(gap ? [] : ['fired gone web']);
      its.service = { ...its.service, state: 'running', pid: 7 };
      await pump(1_000);
      take();
    }
    expect(its.checks).toBeGreaterThan(before);
  });
});

describe('what the agent adds to the figures of its machine', () => {
  const host = async (change: Partial<ReturnType<typeof world>['its']>) => {
    const { watcher, its, pump } = world();
    Object.assign(its, change);
    watcher.start();
    await pump(500);
    const { values, lacks } = watcher.samples.last.sample?.host ?? expect.fail('no sample');
    const of = (name: string): unknown => values.get(name) ?? lacks.get(name);
    return ['actuator.silence', 'state.refused', 'clock.offset'].map(of);
  };

  it.each([
    ['all', {}, [2.5, 0, 1.5]],
    ['a disk that refuses writes', { refusal: 'ENOSPC' }, [2.5, 1, 1.5]],
    ['no heartbeat', { silentMs: undefined }, ['this actuator (before 0.4.0) answers no heartbeat', 0, 1.5]],
    ['few peers', { behindMs: undefined }, [2.5, 0, 'fewer than two peers to compare it with']],
  ])('%s', async (_what, change, figures) => {
    expect(await host(change)).toEqual(figures);
  });
});

describe('a service as it is seen', () => {
  it('has its check, its process and its age', async () => {
    const { watcher, its, pump, linux } = world();
    const sample = linux.sample.bind(linux);
    const process = { ...(sample().processes[0] as object), pid: 7, name: 'web', state: 'T' };
    linux.sample = () => ({ ...sample(), processes: [process] as never });
    watcher.start();
    await pump(2_500);
    expect(watcher.services.views()[0]).toMatchObject({ name: 'web', check: 'open', processState: 'T', ageMs: 62_500 });
    its.service = { ...its.service, state: 'exited' };
    expect(watcher.services.views()[0]).toMatchObject({ check: 'unknown', processState: '', ageMs: 0 + 62_500 });
    its.service = { ...its.service, checked: false, state: 'running' };
    expect(watcher.services.views()[0]).toMatchObject({ check: 'undeclared' });
  });

  it.each<[string, Partial<ServiceSample>, number]>([
    ['by when its process started', { startTicks: 150 }, 4_000],
    [
      'by since when it is as it is, where it does not run',
      { startTicks: 150, state: 'exited', sinceMs: WALL_MS - 5_000 },
      10_500,
    ],
    ['by since when it is as it is, where that is all that is known', { sinceMs: WALL_MS - 5_000 }, 10_500],
    ['as new, where that lies ahead', { sinceMs: WALL_MS + 3_600_000 }, 5_500],
    ['as none, where its process started later than now', { startTicks: 10_000 }, 0],
  ])('is dated %s', async (_how, service, ageMs) => {
    const { watcher, pump } = world({ service });
    watcher.start();
    watcher.services.views();
    await pump(5_500);
    expect(watcher.services.views()[0]?.ageMs).toBe(ageMs);
  });

  it('is no older or younger because the wall clock is set, and new once it is another', async () => {
    const { watcher, its, pump } = world();
    watcher.start();
    watcher.services.views();
    its.wallStepMs += 3_600_000;
    await pump(1_000);
    expect(watcher.services.views()[0]?.ageMs).toBe(61_000);
    its.service = { ...its.service, starts: 2, sinceMs: WALL_MS + 3_600_000 + 500 };
    expect(watcher.services.views()[0]?.ageMs).toBe(500);
  });

  it('is checked every two seconds while it runs and has a check', async () => {
    const { watcher, its, pump } = world();
    watcher.start();
    await pump(10_500);
    expect(its.checks).toBe(6);
    its.service = { ...its.service, checked: false };
    await pump(10_000);
    expect(its.checks).toBe(6);
  });
});

describe('an agent that is late itself', () => {
  it('learns nothing from checks that did not come in time, and all from those that did', async () => {
    const { watcher, its, pump } = world();
    const check = () => watcher.services.views()[0]?.check;
    watcher.start();
    await pump(500);
    Object.assign(its, { check: 'silent', blind: true });
    await pump(4_000);
    expect(check()).toBe('open');
    its.check = 'failed';
    await pump(2_000);
    expect(check()).toBe('failed');
    Object.assign(its, { check: 'silent', blind: false });
    await pump(2_000);
    expect(check()).toBe('silent');
  });

  it('keeps what it saw of name servers before, where they did not answer it, and nothing else', async () => {
    const resolver = { path: '/etc/resolv.conf', servers: [], probe: 'a.example' };
    const sysctls = [{ key: 'vm.swappiness', value: '10' }];
    const declared = { ...NOTHING_DECLARED, resolvers: [resolver], sysctls };
    const silent: PolicyInput = { name: 'silent', scope: 'resolver', when: 'resolver.answers == false', summary: 'no answer' };
    const swaps: PolicyInput = { name: 'swaps', scope: 'sysctl', when: "sysctl.value == '90'", summary: 'it swaps', clear_s: 0 };
    const { watcher, its, take, pump } = world({ config: { declared }, policies: [silent, swaps] });
    watcher.start();
    its.blind = true;
    await pump(2_500);
    expect(take()).toEqual([]);
    its.reading = { ok: true, value: '90' };
    await pump(4_000);
    expect(take()).toEqual(['fired swaps vm.swappiness']);
    its.blind = false;
    await pump(4_000);
    expect(take()).toEqual(['fired silent /etc/resolv.conf']);
    its.blind = true;
    await pump(4_000);
    expect([take(), watcher.detectors.firing().length]).toEqual([[], 2]); // as it was seen last
  });
});

describe('declared things', () => {
  const declared = { ...NOTHING_DECLARED, sysctls: [{ key: 'vm.swappiness', value: '10' }] };
  const OFF: PolicyInput = {
    name: 'off',
    scope: 'sysctl',
    when: 'sysctl.value != sysctl.wanted',
    summary: 'it is not as declared',
  };

  it('are looked at every two seconds, one look at a time, and out of turn where something was changed', async () => {
    const { watcher, its, pump } = world({ config: { declared } });
    watcher.start();
    await pump(6_500);
    expect(its.readings.length).toBe(4);
    watcher.lookAgain();
    watcher.lookAgain();
    await pump(0);
    expect(its.readings.length).toBe(5);
    its.reading = undefined;
    await pump(60_000);
    expect(its.readings.length).toBe(6);
  });

  it('are looked at again at once after a gap', async () => {
    const { watcher, its, linux, pump } = world({ config: { declared } });
    let aheadMs = 0;
    const sample = linux.sample.bind(linux);
    linux.sample = () => ({ ...sample(), monotonicMs: sample().monotonicMs + aheadMs });
    watcher.start();
    await pump(2_500);
    expect(its.readings.length).toBe(2);
    aheadMs = 60_000;
    await pump(1_000); // they were due a second later
    expect(its.readings.length).toBe(3);
  });

  it('are judged at once where something was changed, and services with them', async () => {
    const { watcher, its, take, pump } = world({ config: { declared }, policies: [EXITED] });
    watcher.start();
    await pump(500);
    its.service = { ...its.service, state: 'exited', pid: undefined };
    watcher.lookAgain();
    expect(take()).toEqual(['fired gone web']);
  });

  it('that cannot be seen are named, with why', async () => {
    const { watcher, its, pump } = world({ config: { declared } });
    its.reading = { ok: false, code: 'refused', message: 'not allowed here' };
    watcher.start();
    await pump(2_500);
    expect(watcher.looks.unseen).toEqual([{ name: 'vm.swappiness', reason: 'not allowed here' }]);
    expect(watcher.targets()).not.toContain('vm.swappiness');
    its.reading = { ok: true, value: '10' };
    await pump(2_500);
    expect([watcher.looks.unseen, watcher.targets().includes('vm.swappiness')]).toEqual([[], true]);
  });

  it('are judged, also out of turn', async () => {
    const { watcher, its, take, pump } = world({
      config: { declared },
      policies: [{ ...OFF, when: "sysctl.key == 'vm.swappiness'" }],
    });
    watcher.start();
    await pump(1_500);
    expect(take()).toEqual(['fired off vm.swappiness']);
    expect(its.readings[0]).toEqual(['sysctl.read', 'vm.swappiness']);
  });

  it('stay as they were seen last while the actuator is out of reach, and are looked at again', async () => {
    const { watcher, its, pump } = world({ config: { declared } });
    watcher.start();
    await pump(2_500);
    its.reading = Promise.reject(new Error('out of reach')) as never;
    (its.reading as unknown as Promise<unknown>).catch(() => undefined);
    await pump(4_000);
    const { length } = its.readings;
    expect([watcher.targets().includes('vm.swappiness'), length >= 4]).toEqual([true, true]);
    await pump(2_000);
    expect(its.readings.length).toBe(length + 1);
  });
});

describe('what was learned', () => {
  it('is written once an hour of samples', async () => {
    const { watcher, store, pump } = world();
    watcher.start();
    await pump(3_598_000);
    expect([watcher.samples.count, store.content.has('baseline/learned')]).toEqual([3_599, false]);
    await pump(1_000);
    const { seasons, thresholds } = decodeCbor(store.content.get('baseline/learned') as Uint8Array) as Record<string, object>;
    expect([Object.keys(seasons ?? {}).length > 0, thresholds]).toEqual([true, {}]);
  });

  it('that cannot be read is as nothing', async () => {
    const store = new PlainStore();
    store.content.set('baseline/learned', encodeCbor({ seasons: 'none' }));
    const { watcher } = world({ store });
    await watcher.detectors.recall(store);
    const busy: PolicyInput = {
      name: 'busy',
      when: "metrics['system.cpu.utilization'] > threshold.busy",
      summary: 'busy',
      threshold: { busy: { metric: 'system.cpu.utilization', low: 0.5, high: 0.9 } },
    };
    watcher.setPolicies([policySchema.parse(busy)]);
    expect(watcher.detectors.thresholds('busy').busy?.value).toBe(0.9);
    watcher.detectors.resetThresholds('busy');
    expect(watcher.detectors.thresholds('busy').busy?.value).toBe(0.9);
  });
});
