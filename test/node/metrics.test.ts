// Every metric of the catalogue from two samples in which no figure is like another: each is read from where it should be.
import { describe, expect, it } from 'vitest';
import type { ProcessSample, Sample } from '../../node/ports/sensors.ts';
import { METRICS, originOf, processCpu, readMetrics, unknownBecause } from '../../node/telemetry/metrics.ts';
import { describeSuspects, suspectsOf } from '../../node/telemetry/suspects.ts';

const GIB = 2 ** 30;
const process = (pid: number, given: Partial<ProcessSample> = {}): ProcessSample => ({
  pid,
  parent: 1,
  name: `p${pid}`,
  state: 'S',
  threads: 1,
  cpuTicks: 0,
  rssBytes: 1_000,
  startTicks: 50,
  ...given,
});

const COUNTERS = [
  ...[
    'network.receive',
    'network.transmit',
    'network.errors',
    'network.dropped',
    'tcp.retransmitted',
    'tcp.opens',
    'tcp.listen_drops',
  ],
  ...['forks', 'context_switches', 'major_faults', 'swap_in', 'swap_out', 'oom_kills', 'kernel.messages', 'kernel.errors'],
];
const hostOf = (after: boolean): ReadonlyMap<string, number> =>
  new Map<string, number>([
    ...COUNTERS.map((name, nth): [string, number] => [name, 1_000 + (after ? 4 * (nth + 1) : 0)]),
    ...Object.entries({
      'tcp.established': 11,
      'tcp.time_wait': 12,
      'tcp.orphans': 13,
      'tcp.in_use': 88,
      'sockets.used': 14,
      'conntrack.count': 30,
      'conntrack.max': 120,
      'ports.first': 1_001,
      'ports.last': 1_200,
      'files.open': 20,
      'files.max': 80,
      running: 15,
      'clock.offset': -0.5,
      'state.refused': 0,
      'actuator.silence': 6,
      entropy: 256,
      uptime: 100,
      'raid.degraded': 2,
      'power.online': 1,
      'power.capacity': 77,
      'temperature.milli': 45_500,
    }),
  ]);

const BEFORE: Sample = {
  monotonicMs: 10_000,
  wallMs: 0,
  cpus: 4,
  ticksPerSecond: 100,
  cpu: { user: 100, system: 200, idle: 300, iowait: 400, steal: 500 },
  load: [3, 2, 1],
  memoryTotalBytes: 10 * GIB,
  memoryAvailableBytes: 4 * GIB,
  swapTotalBytes: 8 * GIB,
  swapFreeBytes: 6 * GIB,
  pressureCpu: { someAvg10: 1.5, fullAvg10: 0 },
  pressureMemory: { someAvg10: 2.5, fullAvg10: 3.5 },
  pressureIo: { someAvg10: 4.5, fullAvg10: 5.5 },
  disks: [
    { device: 'sda', readBytes: 100, writtenBytes: 100, busyMs: 1_000 },
    { device: 'sdb', readBytes: 100, writtenBytes: 100, busyMs: 1_000 },
  ],
  mounts: [
    { path: '/', device: 'a', type: 'ext4', sizeBytes: 100, availableBytes: 60, inodes: 100, inodesFree: 10 },
    { path: '/x', device: 'b', type: 'ext4', sizeBytes: 100, availableBytes: 30, inodes: 100, inodesFree: 50 },
    { path: '/none', device: 'c', type: 'ext4', sizeBytes: 0, availableBytes: 0, inodes: 0, inodesFree: 0 },
  ],
  processes: [process(1), process(2), process(3), process(9)],
  host: { values: hostOf(false), lacks: new Map() },
};
/** Two seconds later. */
const AFTER: Sample = {
  ...BEFORE,
  monotonicMs: 12_000,
  cpu: { user: 130, system: 220, idle: 400, iowait: 440, steal: 510 },
  disks: [
    { device: 'sda', readBytes: 300, writtenBytes: 500, busyMs: 1_400 },
    { device: 'sdb', readBytes: 200, writtenBytes: 700, busyMs: 1_600 },
    { device: 'new', readBytes: 9_000, writtenBytes: 9_000, busyMs: 9_000 },
  ],
  processes: [
    process(1, { cpuTicks: 100, rssBytes: GIB, threads: 3 }),
    process(2, { cpuTicks: 150, state: 'Z' }),
    process(3, { state: 'D', threads: 2 }),
    process(4, { state: 'D', cpuTicks: 9_000 }), // came since
    process(9, { startTicks: 51, cpuTicks: 8_000 }), // another of that pid
  ],
  host: { values: hostOf(true), lacks: new Map() },
};

describe('the metrics of a sample', () => {
  it('are each what it says', () => {
    const rates = Object.fromEntries(
      [
        ...['system.network.io.receive', 'system.network.io.transmit', 'system.network.errors', 'system.network.dropped'],
        ...[
          'system.network.tcp.retransmits',
          'system.network.tcp.opens',
          'system.network.tcp.listen_drops',
          'system.processes.created',
        ],
        ...['system.context_switches', 'system.paging.faults.major', 'system.paging.swap.in', 'system.paging.swap.out'],
        ...['system.memory.oom_kills', 'system.kernel.messages', 'system.kernel.errors'],
      ].map((name, nth) => [name, 2 * (nth + 1)]),
    );
    expect(Object.fromEntries(readMetrics(AFTER, BEFORE))).toEqual({
      ...rates,
      'system.cpu.utilization': 60 / 200,
      'system.cpu.iowait': 40 / 200,
      'system.load.1m': 3,
      'system.load.per_cpu': 0.75,
      'system.memory.utilization': 0.6,
      'system.memory.available': 4 * GIB,
      'system.swap.utilization': 0.25,
      'system.psi.cpu.some': 1.5,
      'system.psi.memory.some': 2.5,
      'system.psi.memory.full': 3.5,
      'system.psi.io.some': 4.5,
      'system.psi.io.full': 5.5,
      'system.disk.read': 150,
      'system.disk.write': 500,
      'system.disk.busy': 0.3,
      'system.filesystem.utilization': 0.7,
      'system.filesystem.inodes.utilization': 0.9,
      'system.process.count': 5,
      'system.process.zombies': 1,
      'system.process.blocked': 2,
      'system.thread.count': 8,
      'system.process.top_cpu': 0.75,
      'system.process.top_memory': 0.1,
      'system.network.tcp.established': 11,
      'system.network.tcp.time_wait': 12,
      'system.network.tcp.orphans': 13,
      'system.network.sockets': 14,
      'system.network.conntrack.utilization': 0.25,
      'system.network.conntrack.max': 120,
      'system.network.ports': 200,
      'system.network.ports.utilization': 0.5,
      'system.filesystem.files.utilization': 0.25,
      'system.filesystem.files': 20,
      'system.process.running': 15,
      'kalos.clock.offset': -0.5,
      'kalos.state.refused': 0,
      'kalos.actuator.silence': 6,
      'system.entropy': 256,
      'system.uptime': 100,
      'system.raid.degraded': 2,
      'hw.power.online': 1,
      'hw.battery.charge': 77,
      'hw.temperature': 45.5,
    });
    expect(METRICS.length).toBe(58);
  });

  it('that are rates are none of one sample alone', () => {
    const alone = readMetrics(AFTER, undefined);
    const rates = METRICS.filter((metric) => originOf(metric).kind === 'rate');
    expect(rates.length).toBe(17);
    for (const { name } of [
      ...rates,
      { name: 'system.cpu.utilization' },
      { name: 'system.disk.busy' },
      { name: 'system.process.top_cpu' },
    ])
      expect(alone.has(name), name).toBe(false);
    expect(alone.size).toBe(METRICS.length - 21);
  });

  it('say where they are read', () => {
    const source = (name: string) => originOf(METRICS.find((metric) => metric.name === name) ?? expect.fail(name)).source;
    expect(
      [
        'system.cpu.iowait',
        'system.swap.utilization',
        'system.disk.busy',
        'system.process.zombies',
        'kalos.clock.offset',
        'system.uptime',
      ].map(source),
    ).toEqual(['/proc/stat', '/proc/meminfo', '/proc/diskstats', '/proc/PID/stat', 'the peers’ statuses', '/proc/uptime']);
  });

  it('say why they are unknown', () => {
    const why = (name: string, given: Partial<Sample> = {}) =>
      unknownBecause(METRICS.find((metric) => metric.name === name) ?? expect.fail(name), { ...AFTER, ...given });
    expect(why('system.psi.io.full', { pressureCpu: undefined })).toContain('boot with psi=1');
    expect(why('system.psi.io.full')).toBeUndefined();
    expect(why('system.cpu.iowait', { cpu: undefined })).toBe('/proc/stat cannot be read');
    expect(why('system.load.1m', { load: undefined })).toBe('/proc/loadavg cannot be read');
    expect(why('system.load.1m', { cpu: undefined })).toBeUndefined();
    expect(why('system.memory.utilization', { memoryAvailableBytes: 11 * GIB })).toMatch(
      /contradicts itself: MemAvailable is \d+ bytes, and MemTotal/,
    );
    expect(why('system.memory.utilization', { memoryAvailableBytes: 10 * GIB })).toBeUndefined();
    const host = { values: new Map(), lacks: new Map([['entropy', 'no file']]) };
    expect([why('system.entropy', { host }), why('system.uptime', { host })]).toEqual(['no file', undefined]);
  });

  it('of a process are of that very process', () => {
    const [first, second, , fresh, other] = AFTER.processes;
    const cpus = [first, second, fresh, other].map((one) => one && processCpu(one, AFTER, BEFORE));
    expect(cpus).toEqual([0.5, 0.75, undefined, undefined]);
    expect(first && processCpu({ ...first, cpuTicks: -5 }, AFTER, BEFORE)).toBe(0);
  });
});

describe('who keeps a machine busy', () => {
  const sample = (...processes: ProcessSample[]): Sample => ({ ...AFTER, processes });
  const busy = (pid: number, cpus: number, given: Partial<ProcessSample> = {}) =>
    process(pid, { cpuTicks: cpus * 200, startTicks: 2_000, ...given });
  const before: Sample = { ...BEFORE, processes: [1, 2, 3, 4, 5].map((pid) => process(pid, { startTicks: 2_000 })) };

  it('are the three that use most, from a tenth of a CPU or a fiftieth of the memory on, and those that are blocked', () => {
    const all = sample(
      busy(1, 0.1),
      busy(2, 0.09),
      busy(3, 2),
      busy(4, 1, { rssBytes: 10 * GIB * 0.02, state: 'D' }),
      busy(5, 3, { rssBytes: 2 * GIB }),
      process(6, { rssBytes: 10 * GIB * 0.02 - 1, state: 'D' }),
    );
    const { busiest, largest, blocked } = suspectsOf(all, before);
    expect(busiest.map(({ process: { pid }, cpus, ageS }) => [pid, cpus, ageS])).toEqual([
      [5, 3, 80],
      [3, 2, 80],
      [4, 1, 80],
    ]);
    expect(suspectsOf(sample(busy(1, 0.1), busy(2, 0.09)), before).busiest.map(({ process: { pid } }) => pid)).toEqual([1]);
    expect([largest.map(({ process: { pid } }) => pid), blocked.map(({ pid }) => pid)]).toEqual([
      [5, 4],
      [4, 6],
    ]);
    expect(describeSuspects({ busiest: busiest.slice(0, 1), largest: largest.slice(0, 1), blocked: blocked.slice(0, 1) })).toBe(
      'busiest: p5 (pid 5, for 80 s) 3.0 CPUs; largest: p5 (pid 5, for 80 s) 2048 MiB; blocked: p4 (pid 4)',
    );
  });

  it('are nobody where nothing stands out, and without an age where the machine does not say', () => {
    expect(describeSuspects(suspectsOf(sample(process(1)), before))).toBe('');
    const host = { values: new Map(), lacks: new Map() };
    expect(describeSuspects(suspectsOf({ ...sample(busy(1, 1)), host }, before))).toBe('busiest: p1 (pid 1) 1.0 CPUs');
    expect(suspectsOf({ ...sample(busy(1, 1, { rssBytes: GIB })), memoryTotalBytes: undefined }, before).largest).toEqual([]);
  });
});
