// The plain reader: what the native sampler gives, from the same files of /proc (proc(5)), where the addon is missing.
import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type {
  CpuTimes,
  DiskSample,
  MountSample,
  NewLines,
  Pressure,
  ProcessSample,
  Sample,
  Sensors,
} from '../../../swarm/ports/sensors.ts';
import { HostReader } from './host-reader.ts';
import type { LogReader } from './log-reader.ts';
import { processDetail, resolves, throttling } from './process-detail.ts';

const TICKS_PER_SECOND = 100; // USER_HZ, fixed in the kernel's ABI on every architecture that Node runs on
const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;
const MAX_PROCESSES = 20_000;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // absent on this kernel, or the process has gone since
  }
}

function cpuTimes(stat: string | undefined): CpuTimes | undefined {
  const line = stat?.split('\n', 1)[0];
  if (line === undefined || !line.startsWith('cpu ')) return undefined;
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = line
    .trim()
    .split(/ +/)
    .slice(1)
    .map(Number);
  return { user: user + nice, system: system + irq + softirq, idle, iowait, steal };
}

function meminfo(text: string | undefined): Map<string, number> {
  const values = new Map<string, number>();
  for (const match of text?.matchAll(/^(\w+): +(\d+) kB$/gm) ?? []) values.set(match[1] ?? '', Number(match[2]) * 1024);
  return values;
}

function pressure(resource: 'cpu' | 'memory' | 'io'): Pressure | undefined {
  const text = read(`/proc/pressure/${resource}`);
  const some = text?.match(/^some avg10=([\d.]+)/m);
  const full = text?.match(/^full avg10=([\d.]+)/m);
  return some ? { someAvg10: Number(some[1]), fullAvg10: full ? Number(full[1]) : undefined } : undefined;
}

function load(text: string | undefined): [number, number, number] | undefined {
  const [one, five, fifteen] = text?.split(' ').map(Number) ?? [];
  return one === undefined || five === undefined || fifteen === undefined ? undefined : [one, five, fifteen];
}

/** Whole disks, as the native sampler: no partitions, loop or RAM devices. */
const DISK = /^(sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+|mmcblk\d+|md\d+)$/;

function disks(text: string | undefined): DiskSample[] {
  const samples: DiskSample[] = [];
  for (const line of text?.split('\n') ?? []) {
    const fields = line.trim().split(/ +/);
    const device = fields[2];
    if (device === undefined || !DISK.test(device)) continue;
    const [readSectors = 0, writtenSectors = 0, busyMs = 0] = [fields[5], fields[9], fields[12]].map(Number);
    samples.push({ device, readBytes: readSectors * SECTOR_BYTES, writtenBytes: writtenSectors * SECTOR_BYTES, busyMs });
  }
  return samples;
}

const FILE_SYSTEMS = new Set(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'f2fs', 'zfs', 'vfat', 'tmpfs', 'overlay']);

function mounts(text: string | undefined): MountSample[] {
  const samples: MountSample[] = [];
  const seen = new Set<string>(); // a device mounted twice counts once; read-only mounts cannot fill
  for (const line of text?.split('\n') ?? []) {
    const [device = '', rawPath = '', type = '', options = ''] = line.split(' ');
    const path = rawPath.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
    const key = type === 'tmpfs' || type === 'overlay' ? path : device;
    if (!FILE_SYSTEMS.has(type) || seen.has(key) || options.split(',').includes('ro')) continue;
    seen.add(key);
    try {
      const fs = statfsSync(path);
      samples.push({
        path,
        device,
        type,
        sizeBytes: fs.blocks * fs.bsize,
        availableBytes: fs.bavail * fs.bsize,
        inodes: fs.files,
        inodesFree: fs.ffree,
      });
    } catch {
      // unmounted since, or not ours to see
    }
  }
  return samples;
}

/** One process from /proc/PID/stat; the name may hold spaces and parentheses, so the last ')' ends it. */
export function parseStat(text: string): ProcessSample | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return undefined;
  const fields = text.slice(close + 2).split(' ');
  const number = (index: number): number => Number(fields[index] ?? 0);
  return {
    pid: Number(text.slice(0, open)),
    name: text.slice(open + 1, close),
    state: fields[0] ?? '?',
    parent: number(1),
    cpuTicks: number(11) + number(12),
    threads: number(17),
    startTicks: number(19),
    rssBytes: number(21) * PAGE_BYTES,
  };
}

/** For so long a slice of the scan may hold the event loop; the rest goes on in its next turn. */
const SLICE_MS = 2;

function* processes(): Generator<ProcessSample> {
  let count = 0;
  for (const entry of readdirSync('/proc')) {
    if (entry.charCodeAt(0) > 57 || entry.charCodeAt(0) < 48 || count >= MAX_PROCESSES) continue;
    const text = read(`/proc/${entry}/stat`);
    const sample = text === undefined ? undefined : parseStat(text);
    if (sample === undefined) continue;
    count++;
    yield sample;
  }
}

/**
 * The scan in slices: a sample shows the processes of the last whole one, which the sample before it began. Only the first
 * is done at once.
 */
class ProcessScan {
  #last: readonly ProcessSample[] | undefined;
  #running = false;

  take(): readonly ProcessSample[] {
    if (this.#last === undefined) this.#last = [...processes()];
    else if (!this.#running) this.#later(processes(), []);
    return this.#last;
  }

  #later(rest: Generator<ProcessSample>, found: ProcessSample[]): void {
    this.#running = true;
    setImmediate(() => this.#slice(rest, found));
  }

  #slice(rest: Generator<ProcessSample>, found: ProcessSample[]): void {
    const untilMs = performance.now() + SLICE_MS;
    for (let next = rest.next(); ; next = rest.next()) {
      if (next.done === true) break;
      found.push(next.value);
      if (performance.now() < untilMs) continue;
      return this.#later(rest, found);
    }
    this.#last = found;
    this.#running = false;
  }
}

export class ProcReader implements Sensors {
  readonly source = 'proc';
  readonly #scan = new ProcessScan();
  readonly #host = new HostReader();
  readonly detail = processDetail;
  readonly throttling = throttling;
  readonly resolves = resolves;
  readonly #logs: LogReader | undefined;

  constructor(logs?: LogReader) {
    this.#logs = logs;
  }

  async newLines(path: string, pattern: string): Promise<NewLines> {
    return this.#logs?.newLines(path, pattern) ?? { ok: false, reason: 'nobody reads logs here' };
  }

  sample(): Sample {
    const memory = meminfo(read('/proc/meminfo'));
    return {
      atMs: Date.now(),
      cpus: availableParallelism(),
      ticksPerSecond: TICKS_PER_SECOND,
      cpu: cpuTimes(read('/proc/stat')),
      load: load(read('/proc/loadavg')),
      memoryTotalBytes: memory.get('MemTotal'),
      memoryAvailableBytes: memory.get('MemAvailable'),
      swapTotalBytes: memory.get('SwapTotal'),
      swapFreeBytes: memory.get('SwapFree'),
      pressureCpu: pressure('cpu'),
      pressureMemory: pressure('memory'),
      pressureIo: pressure('io'),
      disks: disks(read('/proc/diskstats')),
      mounts: mounts(read('/proc/self/mounts')),
      processes: this.#scan.take(),
      host: this.#host.read(Date.now()),
    };
  }
}
