// Whatever the kernel's counters do (fall, jump, wrap, vanish, come back, contradict each other): no exception, no share outside
// 0…1, no negative rate or age, nothing that is no number, and nothing where the machine gave none.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { targetsOf } from '../../node/detection/targets.ts';
import type { DiskSample, Sample } from '../../node/ports/sensors.ts';
import { bottomDisks, grown, shareOf, usedShare } from '../../node/telemetry/counters.ts';
import { History } from '../../node/telemetry/history.ts';
import { PER_DEVICE } from '../../node/telemetry/host-figures.ts';
import { METRICS, readMetrics, unknownBecause } from '../../node/telemetry/metrics.ts';
import { countedDevices, NetworkTotals } from '../../node/telemetry/network-totals.ts';
import { DetailSeries } from '../../node/telemetry/series.ts';
import { describeSuspects, suspectsOf } from '../../node/telemetry/suspects.ts';
import { usageByProcess } from '../../node/telemetry/usage.ts';

const PLAIN: Sample = {
  monotonicMs: 1_000,
  wallMs: 1_700_000_000_000,
  cpus: 4,
  ticksPerSecond: 100,
  cpu: { user: 1_000, system: 100, idle: 10_000, iowait: 50, steal: 10 },
  load: [1, 1, 1],
  memoryTotalBytes: 2 ** 30,
  memoryAvailableBytes: 2 ** 29,
  swapTotalBytes: 0,
  swapFreeBytes: 0,
  pressureCpu: undefined,
  pressureMemory: undefined,
  pressureIo: undefined,
  disks: [],
  mounts: [],
  processes: [],
  host: { values: new Map(), lacks: new Map() },
};
const later = (sample: Sample, change: Partial<Sample>, ms = 1_000): Sample => ({
  ...sample,
  monotonicMs: sample.monotonicMs + ms,
  ...change,
});
const cpu = (user: number, system: number, idle: number, iowait: number, steal: number): Partial<Sample> => ({
  cpu: { user, system, idle, iowait, steal },
});
const disk = (device: string, bytes: number, busyMs = 0): DiskSample => ({
  device,
  readBytes: bytes,
  writtenBytes: bytes,
  busyMs,
});
const metric = (name: string, sample: Sample, previous?: Sample): number | undefined => readMetrics(sample, previous).get(name);

/** Units of '1' that are no shares: loads, and CPUs of a process. */
const NO_SHARES = ['system.load.1m', 'system.load.per_cpu', 'system.process.top_cpu', 'hw.power.online'];
/** Of what can lie below zero. */
const SIGNED = ['kalos.clock.offset', 'hw.temperature'];

describe('the share of the CPUs in use', () => {
  const share = (...now: [number, number, number, number, number]): number | undefined =>
    metric('system.cpu.utilization', later(PLAIN, cpu(...now)), PLAIN);

  it('is what grew of all that grew', () => {
    expect(share(1_100, 100, 10_300, 50, 10)).toBe(0.25);
  });

  it('goes by the CPUs’ time where idle time went back', () => {
    expect(share(1_150, 100, 9_900, 50, 10)).toBe(150 / 400);
  });

  it('is known while steal falls for hours', () => {
    let before = PLAIN;
    for (let second = 0; second < 7_200; second++) {
      const times = before.cpu ?? { user: 0, system: 0, idle: 0, iowait: 0, steal: 0 };
      const next = { ...times, user: times.user + 100, idle: times.idle + 300, steal: times.steal - 150 };
      const now = later(before, { cpu: next });
      expect(metric('system.cpu.utilization', now, before)).toBe(0.25);
      before = now;
    }
  });

  it('is all at most, and unknown where nothing grew', () => {
    expect(share(1_900, 900, 10_000, 50, 900)).toBe(1);
    expect(share(900, 50, 10_000, 10, 0)).toBe(undefined);
  });
});

describe('shares and growth', () => {
  it('of memory are unknown, with the reason, where more is available than there is', () => {
    const sample = { ...PLAIN, memoryAvailableBytes: 2 ** 32 };
    expect(metric('system.memory.utilization', sample)).toBeUndefined();
    const utilization = METRICS.find(({ name }) => name === 'system.memory.utilization');
    expect(utilization && unknownBecause(utilization, sample)).toContain(
      'MemAvailable is 4294967296 bytes, and MemTotal 1073741824',
    );
  });

  it('are between 0 and 1, or unknown', () => {
    const any = fc.option(fc.oneof(fc.double(), fc.integer(), fc.constantFrom(0, 2 ** 32, 2 ** 63, 2 ** 64)), { nil: undefined });
    fc.assert(
      fc.property(any, any, (a, b) => {
        for (const share of [shareOf(a, b), usedShare(a, b)])
          if (share !== undefined) expect(share >= 0 && share <= 1).toBe(true);
        const growth = grown(a, b);
        if (growth !== undefined) expect(growth >= 0).toBe(true);
      }),
    );
  });

  it('of a file system of which more is free than there is are unknown, and no field of its target', () => {
    const mount = { path: '/x', device: 'd', type: 'ext4', sizeBytes: 10, availableBytes: 2 ** 64, inodes: 10, inodesFree: 5 };
    const sample = { ...PLAIN, mounts: [mount] };
    expect(metric('system.filesystem.utilization', sample)).toBeUndefined();
    expect(metric('system.filesystem.inodes.utilization', sample)).toBe(0.5);
    expect(targetsOf(sample, [], []).get('mount')?.[0]?.fields).toEqual({ path: '/x', type: 'ext4', inodes_utilization: 0.5 });
  });
});

describe('what is written to disks', () => {
  it('is counted once: not again on what is stacked on them', () => {
    const names = ['sda', 'sda1', 'sdb', 'md0', 'dm-0', 'loop0', 'zram0', 'ram0', 'bcache0', 'drbd0', 'sr0', 'zd0'];
    expect(bottomDisks(names.map((name) => disk(name, 1))).map(({ device }) => device)).toEqual(['sda', 'sdb']);
    const others = ['nvme0n1', 'nvme0n1p1', 'nvme0c0n1', 'mmcblk0', 'mmcblk0p2', 'mmcblk0boot0', 'hda', 'dasda', 'dasda1'];
    const more = ['vda', 'vda15', 'xvdb', 'nbd0', 'nbd0p1', 'rbd1', 'pmem0', 'cciss/c0d0', 'cciss/c0d0p1', 'ubda'];
    expect(bottomDisks([...others, ...more].map((name) => disk(name, 1))).map(({ device }) => device)).toEqual([
      'nvme0n1',
      'mmcblk0',
      'hda',
      'dasda',
      'vda',
      'xvdb',
      'nbd0',
      'rbd1',
      'pmem0',
      'cciss/c0d0',
      'ubda',
    ]);
  });

  it('is counted of a partition where its disk is not there', () => {
    expect(bottomDisks([disk('xvda1', 1), disk('xvdb', 1), disk('xvdb1', 1)]).map(({ device }) => device)).toEqual([
      'xvda1',
      'xvdb',
    ]);
  });

  it('is no growth where a disk is plugged in, vanishes, comes back or begins again', () => {
    const write = (now: DiskSample[], before: DiskSample[]): number | undefined =>
      metric('system.disk.write', later(PLAIN, { disks: now }), { ...PLAIN, disks: before });
    expect(write([disk('sda', 150), disk('sdb', 1e12)], [disk('sda', 100)])).toBe(50);
    expect(write([disk('sda', 150)], [disk('sda', 100), disk('sdb', 1e12)])).toBe(50);
    expect(write([disk('sda', 150), disk('sdb', 3)], [disk('sda', 100), disk('sdb', 2 ** 32 - 1)])).toBe(50);
    expect(write([disk('sdb', 3)], [disk('sda', 100)])).toBeUndefined();
    expect(write([], [])).toBeUndefined();
  });

  it('keeps them busy for all of the time at most', () => {
    const now = later(PLAIN, { disks: [disk('sda', 1, 1_004), disk('sdb', 1, 300)] });
    expect(metric('system.disk.busy', now, { ...PLAIN, disks: [disk('sda', 1, 0), disk('sdb', 1, 0)] })).toBe(1);
  });
});

describe('what goes over the network', () => {
  const device = (name: string, isHardware = false, lowers: string[] = [], uppers: string[] = []) => ({
    name,
    isHardware,
    lowers,
    uppers,
  });

  it('is counted once: bonds, VLANs, bridges and pairs of virtual devices show it again', () => {
    const machine = [
      device('lo'),
      device('eth0', true, [], ['bond0']),
      device('eth1', true, [], ['bond0']),
      device('bond0', false, ['eth0', 'eth1'], ['bond0.100', 'br0']),
      device('bond0.100', false, ['bond0']),
      device('br0', false, ['bond0', 'veth1']),
      device('veth1', false, [], ['br0']),
      device('wg0'),
    ];
    expect([...countedDevices(machine)]).toEqual(['eth0', 'eth1']);
  });

  it('of a virtual function under the device that stands for it is counted once', () => {
    expect([...countedDevices([device('eth0', true, ['enP1'], []), device('enP1', true, [], ['eth0'])])]).toEqual(['eth0']);
  });

  it('of a container, which has no hardware, is counted of what is stacked on nothing', () => {
    expect([...countedDevices([device('lo'), device('eth0'), device('eth0.5', false, ['eth0'])])]).toEqual(['eth0']);
  });

  it('only grows, whatever is plugged in, vanishes and begins again', () => {
    const totals = new NetworkTotals();
    const receive = (of: Record<string, number>, counted?: string[]): number | undefined =>
      totals
        .take(new Map(Object.entries(of).map(([name, value]) => [`network.receive|${name}`, value])), counted && new Set(counted))
        .get('network.receive');
    expect(receive({ eth0: 1_000, br0: 1_000 }, ['eth0'])).toBe(0);
    expect(receive({ eth0: 1_500, br0: 1_500 }, ['eth0'])).toBe(500);
    expect(receive({ eth0: 1_600, usb0: 1e12 }, ['eth0', 'usb0'])).toBe(600);
    expect(receive({ eth0: 10, usb0: 1e12 + 5 }, ['eth0', 'usb0'])).toBe(605);
    expect(receive({ eth0: 20 }, ['eth0'])).toBe(615);
    expect(receive({ eth0: 30, usb0: 1e12 + 100 }, ['eth0', 'usb0'])).toBe(625);
    expect(receive({}, ['eth0'])).toBeUndefined();
    expect(new NetworkTotals().take(new Map(), undefined).size).toBe(0);
  });
});

describe('any history of counters', () => {
  const counter = fc.oneof(
    fc.nat(),
    fc.constantFrom(0, 2 ** 31, 2 ** 32 - 1, 2 ** 53, 2 ** 63, 2 ** 64),
    fc.double({ min: 0, max: 2 ** 64, noNaN: true }),
  );
  const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined, freq: 4 });
  const figure = fc.constantFrom(
    ...[
      // But what the agent itself says of itself.
      ...METRICS.flatMap(({ figure: name }) => (name === undefined || name === 'state.refused' ? [] : [name])),
      'ports.first',
      'conntrack.max',
      'files.max',
      'tcp.in_use',
      'tcp.time_wait',
    ],
    ...['network.receive|eth0', 'cgroup.cpu|/a', 'cgroup.memory|/a'],
  );
  const sampled = fc.record({
    passedMs: fc.constantFrom(-5, 0, 1, 900, 1_000, 30_000),
    cpus: fc.constantFrom(1, 4, 0),
    cpu: maybe(fc.record({ user: counter, system: counter, idle: counter, iowait: counter, steal: counter })),
    load: maybe(fc.tuple(counter, counter, counter)),
    memoryTotalBytes: maybe(counter),
    memoryAvailableBytes: maybe(counter),
    swapTotalBytes: maybe(counter),
    swapFreeBytes: maybe(counter),
    disks: fc.uniqueArray(
      fc.record({ device: fc.constantFrom('sda', 'sdb', 'nvme0n1'), readBytes: counter, writtenBytes: counter, busyMs: counter }),
      { selector: ({ device }) => device },
    ),
    mounts: fc.array(
      fc.record({
        path: fc.constantFrom('/', '/a'),
        device: fc.constant('d'),
        type: fc.constant('ext4'),
        sizeBytes: counter,
        availableBytes: counter,
        inodes: counter,
        inodesFree: counter,
      }),
      { maxLength: 3 },
    ),
    processes: fc.array(
      fc.record({
        pid: fc.integer({ min: 1, max: 4 }),
        parent: fc.integer({ min: 0, max: 4 }),
        name: fc.constant('p'),
        state: fc.constantFrom('R', 'D', 'Z'),
        threads: fc.nat(),
        cpuTicks: counter,
        rssBytes: counter,
        startTicks: fc.constantFrom(1, 2, 2 ** 60),
      }),
      { maxLength: 5 },
    ),
    figures: fc.array(fc.tuple(figure, counter)),
  });

  it('gives shares within 0…1, and rates and ages that are numbers and not negative', () => {
    fc.assert(
      fc.property(fc.array(sampled, { minLength: 2, maxLength: 5 }), (all) => {
        const history = new History();
        const detail = new DetailSeries();
        let previous: Sample | undefined;
        let nowMs = 1_000;
        for (const { passedMs, figures, ...rest } of all) {
          nowMs = Math.max(0, nowMs + passedMs);
          const host = { values: new Map(figures), lacks: new Map<string, string>() };
          const sample: Sample = { ...PLAIN, ...rest, monotonicMs: nowMs, host };
          const metrics = readMetrics(sample, previous);
          for (const { name, unit } of METRICS) checked(name, unit, metrics.get(name));
          const services = new Map([['web', usageByProcess(sample, previous)(sample.processes[0]?.pid)]]);
          const values = detail.values(sample, previous, services);
          for (const [name, value] of values)
            checked(name, name.includes('filesystem') || name.includes('busy') ? '1' : '', value);
          history.record([...metrics, ...values], Math.floor(nowMs / 1_000), true);
          for (const name of history.names()) for (const value of history.last(name, 60)) expect(value).not.toBeNaN();
          expect(describeSuspects(suspectsOf(sample, previous))).not.toMatch(/NaN|Infinity|for -/);
          previous = sample;
        }
      }),
      { numRuns: 500 },
    );
  });

  function checked(name: string, unit: string, value: number | undefined): void {
    if (value === undefined) return;
    expect(Number.isFinite(value), `${name} is ${value}`).toBe(true);
    if (!SIGNED.includes(name)) expect(value, name).toBeGreaterThanOrEqual(0);
    if (unit === '1' && !NO_SHARES.includes(name)) expect(value, name).toBeLessThanOrEqual(1);
  }

  it('has no figure of a device that would be read as another’s', () => {
    expect('network.receive|a|b'.match(PER_DEVICE)?.[2]).toBe('a|b');
  });
});
