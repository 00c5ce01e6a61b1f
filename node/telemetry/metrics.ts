// The catalogue: which figures an agent derives from two samples in a row, named after OpenTelemetry where it has a name.
import type { CpuTimes, Pressure, ProcessSample, Sample } from '../../swarm/ports/sensors.ts';

export interface Metric {
  name: string;
  unit: '1' | 'By' | 'By/s' | '%' | '{process}' | '{thread}';
  description: string;
  /** Undefined where the machine lacks it, or where a rate has no earlier sample yet. */
  read(sample: Sample, previous: Sample | undefined): number | undefined;
  /** The smallest spread that a baseline takes for more than noise; undefined: no baseline watches this metric. */
  noiseFloor?: number;
}

type CpuKey = keyof CpuTimes;
const CPU_KEYS: readonly CpuKey[] = ['user', 'system', 'idle', 'iowait', 'steal'];

function cpuShare(keys: readonly CpuKey[], sample: Sample, previous: Sample | undefined): number | undefined {
  if (sample.cpu === undefined || previous?.cpu === undefined) return undefined;
  const { cpu } = sample;
  const before = previous.cpu;
  const total = CPU_KEYS.reduce((sum, key) => sum + cpu[key] - before[key], 0);
  if (total <= 0) return undefined;
  return Math.max(0, keys.reduce((sum, key) => sum + cpu[key] - before[key], 0) / total);
}

function usedShare(total: number | undefined, free: number | undefined): number | undefined {
  return total === undefined || free === undefined || total === 0 ? undefined : (total - free) / total;
}

function pressure(of: Pressure | undefined, key: keyof Pressure): number | undefined {
  return of?.[key];
}

function elapsedS(sample: Sample, previous: Sample | undefined): number | undefined {
  if (previous === undefined || sample.atMs <= previous.atMs) return undefined;
  return (sample.atMs - previous.atMs) / 1000;
}

function diskRate(
  key: 'readBytes' | 'writtenBytes' | 'busyMs',
  sample: Sample,
  previous: Sample | undefined,
): number | undefined {
  const seconds = elapsedS(sample, previous);
  if (seconds === undefined || sample.disks.length === 0) return undefined;
  const before = new Map(previous?.disks.map((disk) => [disk.device, disk[key]]));
  let sum = 0;
  for (const disk of sample.disks) sum += Math.max(0, disk[key] - (before.get(disk.device) ?? disk[key]));
  return sum / seconds;
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
  if (seconds === undefined || previous === undefined) return undefined;
  const before = new Map(previous.processes.map((process) => [process.pid, process]));
  let top = 0;
  for (const process of sample.processes) {
    const earlier = before.get(process.pid);
    if (earlier?.startTicks === process.startTicks) top = Math.max(top, process.cpuTicks - earlier.cpuTicks);
  }
  return top / sample.ticksPerSecond / seconds;
}

function largest(values: readonly number[]): number | undefined {
  return values.length === 0 ? undefined : Math.max(...values);
}

function countProcesses(sample: Sample, matches: (process: ProcessSample) => boolean): number | undefined {
  if (sample.processes.length === 0) return undefined;
  let count = 0;
  for (const process of sample.processes) if (matches(process)) count++;
  return count;
}

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
  { name: 'system.disk.read', unit: 'By/s', description: 'Read from all disks', read: (s, p) => diskRate('readBytes', s, p) },
  {
    name: 'system.disk.write',
    unit: 'By/s',
    description: 'Written to all disks',
    read: (s, p) => diskRate('writtenBytes', s, p),
  },
  {
    name: 'system.disk.busy',
    unit: '1',
    description: 'Share of time that the disks were busy, together',
    read: (sample, previous) => {
      const busyMsPerS = diskRate('busyMs', sample, previous);
      return busyMsPerS === undefined ? undefined : busyMsPerS / 1000;
    },
  },
  {
    name: 'system.filesystem.utilization',
    unit: '1',
    description: 'Use of the fullest file system',
    read: (s) => largest(s.mounts.filter((m) => m.sizeBytes > 0).map((m) => 1 - m.availableBytes / m.sizeBytes)),
  },
  {
    name: 'system.filesystem.inodes.utilization',
    unit: '1',
    description: 'Use of inodes on the file system with the fewest left',
    read: (s) => largest(s.mounts.filter((m) => m.inodes > 0).map((m) => 1 - m.inodesFree / m.inodes)),
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
    description: 'Zombies',
    read: (s) => countProcesses(s, (process) => process.state === 'Z'),
  },
  {
    name: 'system.process.blocked',
    unit: '{process}',
    description: 'Uninterruptible',
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
    read: (s) => {
      const top = largest(s.processes.map((process) => process.rssBytes));
      return top === undefined || s.memoryTotalBytes === undefined ? undefined : top / s.memoryTotalBytes;
    },
  },
];

/** All metrics of a sample by name; the unknown ones are absent. */
export function readMetrics(sample: Sample, previous: Sample | undefined): Map<string, number> {
  const values = new Map<string, number>();
  for (const metric of METRICS) {
    const value = metric.read(sample, previous);
    if (value !== undefined && Number.isFinite(value)) values.set(metric.name, value);
  }
  return values;
}
