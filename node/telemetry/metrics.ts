// The catalogue of metrics: values derived from two consecutive samples, with OpenTelemetry's names if it has one.

import type { CpuTimes, Pressure, ProcessSample, Sample } from '../ports/sensors.ts';
import { elapsedS, grown, shareOf, usedShare } from './counters.ts';
import { HOST_SOURCES } from './host-figures.ts';

export interface Metric {
  name: string;
  unit: '1' | 'By' | 'By/s' | '%' | 's' | 'Cel' | `{${string}}` | `{${string}}/s`;
  description: string;
  /** Undefined if the machine lacks it, or if a rate has no earlier sample yet. */
  read(sample: Sample, previous: Sample | undefined): number | undefined;
  /** The host value that it needs, which gives the reason if it is unknown. */
  figure?: string;
  /** The minimum spread above noise for a baseline; undefined: no baseline for this metric. */
  noiseFloor?: number;
}

type CpuKey = keyof CpuTimes;
const CPU_KEYS: readonly CpuKey[] = ['user', 'system', 'idle', 'iowait', 'steal'];

/**
 * The growth of each part. A part that decreased counts as zero: steal and iowait do at times, and for hours with a wrong hypervisor.
 * If idle time decreased, all time that is not accounted for was idle.
 */
function cpuShare(keys: readonly CpuKey[], sample: Sample, previous: Sample | undefined): number | undefined {
  const seconds = elapsedS(sample, previous);
  if (seconds === undefined || sample.cpu === undefined || previous?.cpu === undefined) return undefined;
  const [now, before] = [sample.cpu, previous.cpu];
  const growth = (key: CpuKey): number => grown(now[key], before[key]) ?? 0;
  const busy = CPU_KEYS.reduce((sum, key) => sum + (key === 'idle' ? 0 : growth(key)), 0);
  const idle = grown(now.idle, before.idle) ?? Math.max(0, sample.cpus * sample.ticksPerSecond * seconds - busy);
  return shareOf(
    keys.reduce((sum, key) => sum + growth(key), 0),
    busy + idle,
  );
}

function pressure(of: Pressure | undefined, key: keyof Pressure): number | undefined {
  return of?.[key];
}

/** The growth per second of each disk that was present before. */
function diskRates(key: 'readBytes' | 'writtenBytes' | 'busyMs', sample: Sample, previous: Sample | undefined): number[] {
  const seconds = elapsedS(sample, previous);
  if (seconds === undefined) return [];
  const before = new Map(previous?.disks.map((disk) => [disk.device, disk[key]]));
  return sample.disks.flatMap((disk) => {
    const growth = grown(disk[key], before.get(disk.device));
    return growth === undefined ? [] : growth / seconds;
  });
}

/** CPU share of one process between two samples, in CPUs (1 = one core). */
export function processCpu(process: ProcessSample, sample: Sample, previous: Sample | undefined): number | undefined {
  const seconds = elapsedS(sample, previous);
  const before = previous?.processes.find((other) => other.pid === process.pid && other.startTicks === process.startTicks);
  if (seconds === undefined || before === undefined) return undefined;
  return Math.max(0, (process.cpuTicks - before.cpuTicks) / sample.ticksPerSecond / seconds);
}

function topCpu(sample: Sample, previous: Sample | undefined): number | undefined {
  const seconds = elapsedS(sample, previous);
  if (seconds === undefined || previous === undefined || sample.processes.length === 0) return undefined;
  const before = new Map(previous.processes.map((process) => [process.pid, process]));
  let top = 0;
  for (const process of sample.processes) {
    const earlier = before.get(process.pid);
    if (earlier?.startTicks === process.startTicks) top = Math.max(top, process.cpuTicks - earlier.cpuTicks);
  }
  return top / sample.ticksPerSecond / seconds;
}

/** Without spreading: there may be more processes than a call accepts arguments. */
function largest(values: readonly number[]): number | undefined {
  return values.reduce<number | undefined>((most, value) => (most === undefined || value > most ? value : most), undefined);
}

function total(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
}

function countProcesses(sample: Sample, matches: (process: ProcessSample) => boolean): number | undefined {
  if (sample.processes.length === 0) return undefined;
  let count = 0;
  for (const process of sample.processes) if (matches(process)) count++;
  return count;
}

/** A host value. */
function gauge(name: string, figure: string, unit: Metric['unit'], description: string): Metric {
  return { name, unit, description, figure, read: ({ host }) => host.values.get(figure) };
}

/** The rate of a host counter; undefined if the counter decreased, which means a reset. */
function rate(name: string, figure: string, unit: Metric['unit'], description: string): Metric {
  return {
    name,
    unit,
    description,
    figure,
    read: (sample, previous) => {
      const seconds = elapsedS(sample, previous);
      const growth = grown(sample.host.values.get(figure), previous?.host.values.get(figure));
      return seconds === undefined || growth === undefined ? undefined : growth / seconds;
    },
  };
}

/** A value as a share of another. */
function share(name: string, figure: string, of: string, description: string): Metric {
  return {
    name,
    unit: '1',
    description,
    figure,
    read: ({ host }) => shareOf(host.values.get(figure), host.values.get(of)),
  };
}

const HOST_METRICS: readonly Metric[] = [
  rate(
    'system.network.io.receive',
    'network.receive',
    'By/s',
    'Received; bonds, VLANs, bridges and tunnels are not counted again',
  ),
  rate('system.network.io.transmit', 'network.transmit', 'By/s', 'Sent; bonds, VLANs, bridges and tunnels are not counted again'),
  rate('system.network.errors', 'network.errors', '{error}/s', 'Errors of the counted network devices'),
  rate('system.network.dropped', 'network.dropped', '{packet}/s', 'Packets dropped by the counted network devices'),
  gauge('system.network.tcp.established', 'tcp.established', '{connection}', 'Established TCP connections'),
  gauge('system.network.tcp.time_wait', 'tcp.time_wait', '{connection}', 'TCP connections in TIME_WAIT'),
  gauge('system.network.tcp.orphans', 'tcp.orphans', '{connection}', 'Orphaned TCP connections'),
  gauge('system.network.sockets', 'sockets.used', '{socket}', 'Sockets of all kinds'),
  rate('system.network.tcp.retransmits', 'tcp.retransmitted', '{segment}/s', 'TCP segments retransmitted'),
  rate('system.network.tcp.opens', 'tcp.opens', '{connection}/s', 'TCP connections opened by this machine'),
  rate(
    'system.network.tcp.listen_drops',
    'tcp.listen_drops',
    '{connection}/s',
    'Connections dropped because the accept queue was full',
  ),
  share('system.network.conntrack.utilization', 'conntrack.count', 'conntrack.max', 'Use of the connection tracking table'),
  gauge('system.network.conntrack.max', 'conntrack.max', '{connection}', 'Size of the connection tracking table'),
  {
    name: 'system.network.ports',
    unit: '{port}',
    description: 'Ephemeral ports',
    figure: 'ports.last',
    read: ({ host: { values } }) => {
      const [first, last] = [values.get('ports.first'), values.get('ports.last')];
      return first === undefined || last === undefined || last < first ? undefined : last - first + 1;
    },
  },
  {
    name: 'system.network.ports.utilization',
    unit: '1',
    description: 'TCP sockets as a share of the ephemeral ports',
    figure: 'ports.last',
    read: ({ host: { values } }) => {
      const [first, last, used] = [values.get('ports.first'), values.get('ports.last'), values.get('tcp.in_use')];
      const waiting = values.get('tcp.time_wait') ?? 0;
      return first === undefined || last === undefined || used === undefined
        ? undefined
        : shareOf(used + waiting, last - first + 1);
    },
  },
  share('system.filesystem.files.utilization', 'files.open', 'files.max', 'Open files as a share of the kernel’s limit'),
  gauge('system.filesystem.files', 'files.open', '{file}', 'Open files of all processes'),
  rate('system.processes.created', 'forks', '{process}/s', 'Processes and threads started'),
  gauge('system.process.running', 'running', '{process}', 'Running or runnable tasks'),
  rate('system.context_switches', 'context_switches', '{switch}/s', 'Context switches'),
  rate('system.paging.faults.major', 'major_faults', '{fault}/s', 'Major page faults'),
  rate('system.paging.swap.in', 'swap_in', '{page}/s', 'Pages read from swap'),
  rate('system.paging.swap.out', 'swap_out', '{page}/s', 'Pages written to swap'),
  rate('system.memory.oom_kills', 'oom_kills', '{kill}/s', 'Processes killed by the OOM killer'),
  rate('system.kernel.messages', 'kernel.messages', '{message}/s', 'Messages of the kernel log'),
  rate('system.kernel.errors', 'kernel.errors', '{message}/s', 'Kernel log messages of level error or worse'),
  {
    name: 'kalos.clock.offset',
    unit: 's',
    description: 'How far this clock is behind the median of its peers’; negative if it is ahead',
    figure: 'clock.offset',
    read: ({ host }) => host.values.get('clock.offset'),
  },
  gauge('kalos.state.refused', 'state.refused', '1', '1 while the disk of the state directory refuses writes, else 0'),
  gauge(
    'kalos.actuator.silence',
    'actuator.silence',
    's',
    'Time since the actuator last answered; 0 while it answers within 5 s',
  ),
  gauge('system.entropy', 'entropy', '{bit}', 'Available entropy of the kernel'),
  gauge('system.uptime', 'uptime', 's', 'Uptime'),
  gauge('system.raid.degraded', 'raid.degraded', '{array}', 'Degraded RAID arrays'),
  gauge('hw.power.online', 'power.online', '1', '1 on AC power, 0 on battery'),
  gauge('hw.battery.charge', 'power.capacity', '%', 'Charge of the first battery'),
  {
    name: 'hw.temperature',
    unit: 'Cel',
    description: 'Temperature of the first thermal zone',
    figure: 'temperature.milli',
    read: ({ host }) => {
      const milli = host.values.get('temperature.milli');
      return milli === undefined ? undefined : milli / 1_000;
    },
  },
];

export const METRICS: readonly Metric[] = [
  {
    name: 'system.cpu.utilization',
    unit: '1',
    description: 'Share of all CPUs in use',
    read: (sample, previous) => cpuShare(['user', 'system', 'steal'], sample, previous),
    noiseFloor: 0.05,
  },
  {
    name: 'system.cpu.iowait',
    unit: '1',
    description: 'Share of all CPUs waiting for I/O',
    read: (sample, previous) => cpuShare(['iowait'], sample, previous),
  },
  { name: 'system.load.1m', unit: '1', description: 'Load average over one minute', read: (sample) => sample.load?.[0] },
  {
    name: 'system.load.per_cpu',
    unit: '1',
    description: 'One-minute load average for each CPU',
    read: (sample) => (sample.load === undefined ? undefined : sample.load[0] / Math.max(1, sample.cpus)),
  },
  {
    name: 'system.memory.utilization',
    unit: '1',
    description: 'Share of memory that is not available to new work',
    read: (sample) => usedShare(sample.memoryTotalBytes, sample.memoryAvailableBytes),
    noiseFloor: 0.01,
  },
  {
    name: 'system.memory.available',
    unit: 'By',
    description: 'Memory available to new work',
    read: (sample) => sample.memoryAvailableBytes,
  },
  {
    name: 'system.swap.utilization',
    unit: '1',
    description: 'Share of swap in use',
    read: (sample) => usedShare(sample.swapTotalBytes, sample.swapFreeBytes),
  },
  {
    name: 'system.psi.cpu.some',
    unit: '%',
    description: 'Time some task waited for a CPU',
    read: (s) => pressure(s.pressureCpu, 'someAvg10'),
  },
  {
    name: 'system.psi.memory.some',
    unit: '%',
    description: 'Time some task waited for memory',
    read: (s) => pressure(s.pressureMemory, 'someAvg10'),
  },
  {
    name: 'system.psi.memory.full',
    unit: '%',
    description: 'Time all tasks waited for memory',
    read: (s) => pressure(s.pressureMemory, 'fullAvg10'),
  },
  {
    name: 'system.psi.io.some',
    unit: '%',
    description: 'Time some task waited for I/O',
    read: (s) => pressure(s.pressureIo, 'someAvg10'),
  },
  {
    name: 'system.psi.io.full',
    unit: '%',
    description: 'Time all tasks waited for I/O',
    read: (s) => pressure(s.pressureIo, 'fullAvg10'),
  },
  {
    name: 'system.disk.read',
    unit: 'By/s',
    description: 'Read from all disks',
    read: (s, p) => total(diskRates('readBytes', s, p)),
  },
  {
    name: 'system.disk.write',
    unit: 'By/s',
    description: 'Written to all disks',
    read: (s, p) => total(diskRates('writtenBytes', s, p)),
  },
  {
    name: 'system.disk.busy',
    unit: '1',
    description: 'Share of time that the busiest disk was busy',
    read: (s, p) => shareOf(largest(diskRates('busyMs', s, p)), 1_000),
  },
  {
    name: 'system.filesystem.utilization',
    unit: '1',
    description: 'Use of the fullest file system',
    read: (s) => largest(s.mounts.flatMap((m) => usedShare(m.sizeBytes, m.availableBytes) ?? [])),
  },
  {
    name: 'system.filesystem.inodes.utilization',
    unit: '1',
    description: 'Use of inodes on the file system with the fewest left',
    read: (s) => largest(s.mounts.flatMap((m) => usedShare(m.inodes, m.inodesFree) ?? [])),
  },
  {
    name: 'system.process.count',
    unit: '{process}',
    description: 'Processes',
    read: (sample) => countProcesses(sample, () => true),
    noiseFloor: 5,
  },
  {
    name: 'system.process.zombies',
    unit: '{process}',
    description: 'Zombie processes',
    read: (s) => countProcesses(s, (process) => process.state === 'Z'),
  },
  {
    name: 'system.process.blocked',
    unit: '{process}',
    description: 'Processes in uninterruptible sleep',
    read: (s) => countProcesses(s, (process) => process.state === 'D'),
  },
  {
    name: 'system.thread.count',
    unit: '{thread}',
    description: 'Threads of all processes',
    read: (s) => (s.processes.length === 0 ? undefined : s.processes.reduce((sum, process) => sum + process.threads, 0)),
  },
  { name: 'system.process.top_cpu', unit: '1', description: 'CPUs used by the busiest process', read: topCpu },
  {
    name: 'system.process.top_memory',
    unit: '1',
    description: 'Share of memory held by the largest process',
    read: (s) => shareOf(largest(s.processes.map((process) => process.rssBytes)), s.memoryTotalBytes),
  },
  ...HOST_METRICS,
];

const SOURCES: readonly (readonly [prefix: string, source: string])[] = [
  ['system.cpu.', '/proc/stat'],
  ['system.load.', '/proc/loadavg'],
  ['system.memory.', '/proc/meminfo'],
  ['system.swap.', '/proc/meminfo'],
  ['system.psi.', '/proc/pressure'],
  ['system.disk.', '/proc/diskstats'],
  ['system.filesystem.', 'statfs(2)'],
  ['system.process.', '/proc/PID/stat'],
  ['system.thread.', '/proc/PID/stat'],
  ['system.kernel.', '/dev/kmsg'],
  ['kalos.clock.', 'the peers’ statuses'],
];

/** The kind of a metric and its source; all are read once a second, in one pass. */
export function originOf({ name, unit, figure }: Metric): { kind: 'gauge' | 'rate'; source: string } {
  const file = figure === undefined ? undefined : HOST_SOURCES.find(({ figures }) => figures.includes(figure))?.file;
  const source = file ?? SOURCES.find(([prefix]) => name.startsWith(prefix))?.[1] ?? '';
  return { kind: unit.endsWith('/s') ? 'rate' : 'gauge', source };
}

/** Why a metric has no value; undefined if only an earlier sample is missing. */
export function unknownBecause({ figure, name }: Metric, sample: Sample): string | undefined {
  const { host, cpu, load, pressureCpu, memoryTotalBytes: all = 0, memoryAvailableBytes: available = 0 } = sample;
  if (figure !== undefined) return host.lacks.get(figure);
  if (name.startsWith('system.psi.') && pressureCpu === undefined) return 'this kernel has no PSI (boot with psi=1)';
  if (name.startsWith('system.cpu.') && cpu === undefined) return '/proc/stat cannot be read';
  if (name.startsWith('system.load.') && load === undefined) return '/proc/loadavg cannot be read';
  if (name === 'system.memory.utilization' && available > all)
    return `/proc/meminfo contradicts itself: MemAvailable is ${available} bytes, and MemTotal ${all}`;
  return undefined;
}

/** All metrics of a sample by name; the unknown ones are absent. */
export function readMetrics(sample: Sample, previous: Sample | undefined): Map<string, number> {
  const values = new Map<string, number>();
  for (const metric of METRICS) {
    const value = metric.read(sample, previous);
    if (value !== undefined && Number.isFinite(value)) values.set(metric.name, value);
  }
  return values;
}
