// The plain reader replaces the native sampler if the addon is missing: the same values from the same files of /proc (proc(5)).
import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { monotonicMs } from '../../adapters/clock.ts';
import type {
  CpuTimes,
  DiskSample,
  MountSample,
  NewLines,
  Pressure,
  ProcessDetail,
  ProcessSample,
  Sample,
  Sensors,
  Throttling,
} from '../../ports/sensors.ts';
import { bottomDisks } from '../counters.ts';
import { HostReader } from './host-reader.ts';
import type { LogReader } from './log-reader.ts';
import { processDetail, resolves, servedCertificate, throttling, waitedMs } from './process-detail.ts';

const TICKS_PER_SECOND = 100; // USER_HZ, fixed in the kernel's ABI on every architecture that Node runs on
const PAGE_BYTES = 4096;
const SECTOR_BYTES = 512;
const MAX_PROCESSES = 20_000;

const MAX_DISKS = 2_048;
const MAX_MOUNTS = 256;
/** The limit of the native sampler's records. */
const MAX_MOUNT_BYTES = 255;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // absent on this kernel, or the process has exited
  }
}

/** A kernel counter is never below zero. */
const isCount = (value: number): boolean => Number.isFinite(value) && value >= 0;

/** NaN if it is not a number: an empty string is not 0. */
const number = (text: string | undefined): number => (text === undefined || text === '' ? Number.NaN : Number(text));

/** proc(5): columns after idle are 0 on kernels without them. */
function cpuTimes(stat: string | undefined): CpuTimes | undefined {
  const line = stat?.split('\n', 1)[0];
  if (line === undefined || !line.startsWith('cpu ')) return undefined;
  const ticks = line.trim().split(/ +/).slice(1).map(Number);
  const [user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0] = ticks;
  if (user === undefined || nice === undefined || system === undefined || idle === undefined || !ticks.every(isCount))
    return undefined;
  return { user: user + nice, system: system + irq + softirq, idle, iowait, steal };
}

function meminfo(text: string | undefined): Map<string, number> {
  const values = new Map<string, number>();
  for (const match of text?.matchAll(/^(\w+):[ \t]*(\d+)/gm) ?? []) values.set(match[1] ?? '', Number(match[2]) * 1024);
  return values;
}

function pressure(text: string | undefined): Pressure | undefined {
  const some = text?.match(/^some avg10=(\d[\d.]*)/m);
  const full = text?.match(/^full avg10=(\d[\d.]*)/m);
  return some ? { someAvg10: Number(some[1]), fullAvg10: full ? Number(full[1]) : undefined } : undefined;
}

function load(text: string | undefined): [number, number, number] | undefined {
  const [one = Number.NaN, five = Number.NaN, fifteen = Number.NaN] = text?.trim().split(/\s+/).map(number) ?? [];
  return [one, five, fifteen].every(isCount) ? [one, five, fifteen] : undefined;
}

function disks(text: string | undefined): DiskSample[] {
  const samples: DiskSample[] = [];
  for (const line of text?.split('\n') ?? []) {
    const fields = line.trim().split(/ +/);
    const device = fields[2];
    if (device === undefined || samples.length >= MAX_DISKS) continue;
    const [readSectors = 0, writtenSectors = 0, busyMs = 0] = [fields[5], fields[9], fields[12]].map(number);
    if (![readSectors, writtenSectors, busyMs].every(isCount)) continue;
    samples.push({ device, readBytes: readSectors * SECTOR_BYTES, writtenBytes: writtenSectors * SECTOR_BYTES, busyMs });
  }
  return bottomDisks(samples);
}

const FILE_SYSTEMS = new Set(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'f2fs', 'zfs', 'vfat', 'tmpfs', 'overlay']);

function mounts(text: string | undefined, root: string): MountSample[] {
  const samples: MountSample[] = [];
  const seen = new Set<string>(); // a device mounted twice counts once; read-only mounts cannot fill
  for (const line of text?.split('\n') ?? []) {
    if (samples.length >= MAX_MOUNTS) break;
    const [rawDevice = '', rawPath = '', type = '', options] = line.split(' ');
    const [device, path] = [unescaped(rawDevice), unescaped(rawPath)];
    const key = type === 'tmpfs' || type === 'overlay' ? path : device;
    if (options === undefined || !FILE_SYSTEMS.has(type) || seen.has(key) || options.split(',').includes('ro')) continue;
    if (Buffer.byteLength(path) > MAX_MOUNT_BYTES) continue;
    try {
      const fs = statfsSync(`${root}${path}`);
      samples.push({
        path,
        device,
        type,
        sizeBytes: fs.blocks * fs.bsize,
        availableBytes: fs.bavail * fs.bsize,
        inodes: fs.files,
        inodesFree: fs.ffree,
      });
      seen.add(key);
    } catch {
      // unmounted since, or not readable
    }
  }
  return samples;
}

/** fstab(5): blanks and similar characters are octal. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** The last field that is read; a line without it is not a process. */
const RSS_FIELD = 21;

/** One process from /proc/PID/stat; the name may hold spaces and parentheses, so the last ')' ends it. */
export function parseStat(text: string): ProcessSample | undefined {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return undefined;
  const fields = text.slice(close + 2).split(' ');
  if (fields.length <= RSS_FIELD || text.charAt(close + 1) !== ' ') return undefined;
  const number = (index: number): number => Number(fields[index] || Number.NaN);
  const numbers = {
    pid: Number(text.slice(0, open)),
    parent: number(1),
    cpuTicks: number(11) + number(12),
    threads: number(17),
    startTicks: number(19),
    rssBytes: number(RSS_FIELD) * PAGE_BYTES,
  };
  if (!Object.values(numbers).every(isCount) || numbers.pid === 0) return undefined;
  return { ...numbers, name: text.slice(open + 1, close), state: fields[0] ?? '?' };
}

/** Maximum time of a slice of the scan on the event loop; the rest runs in its next turn. */
const SLICE_MS = 2;

function* processes(root: string): Generator<ProcessSample> {
  let count = 0;
  for (const entry of listed(`${root}/proc`)) {
    if (entry.charCodeAt(0) > 57 || entry.charCodeAt(0) < 48 || count >= MAX_PROCESSES) continue;
    const text = read(`${root}/proc/${entry}/stat`);
    const sample = text === undefined ? undefined : parseStat(text);
    if (sample === undefined) continue;
    count++;
    yield sample;
  }
}

function listed(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // a chroot without /proc
  }
}

/**
 * The scan in slices: a sample shows the processes of the last complete scan, which the previous sample started. Only the first
 * scan is synchronous.
 */
class ProcessScan {
  #last: readonly ProcessSample[] | undefined;
  #running = false;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  take(): readonly ProcessSample[] {
    if (this.#last === undefined) this.#last = [...processes(this.#root)];
    else if (!this.#running) this.#later(processes(this.#root), []);
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
  readonly #scan: ProcessScan;
  readonly #host: HostReader;
  readonly #root: string;
  readonly resolves = resolves;
  readonly servedCertificate = servedCertificate;
  readonly waitedMs = waitedMs;
  readonly #logs: LogReader | undefined;

  /** @param root directory with another machine's files, for tests. */
  constructor(logs?: LogReader, root = '') {
    this.#logs = logs;
    this.#root = root;
    this.#scan = new ProcessScan(root);
    this.#host = new HostReader(root);
  }

  detail(pid: number): ProcessDetail | undefined {
    return processDetail(pid, this.#root);
  }

  throttling(pid: number): Throttling | undefined {
    return throttling(pid, this.#root);
  }

  async newLines(path: string, pattern: string): Promise<NewLines> {
    return this.#logs?.newLines(path, pattern) ?? { ok: false, reason: 'logs are not read in this process' };
  }

  sample(): Sample {
    const nowMs = monotonicMs();
    const of = (path: string): string | undefined => read(`${this.#root}${path}`);
    const memory = meminfo(of('/proc/meminfo'));
    return {
      monotonicMs: nowMs,
      wallMs: Date.now(),
      cpus: availableParallelism(),
      ticksPerSecond: TICKS_PER_SECOND,
      cpu: cpuTimes(of('/proc/stat')),
      load: load(of('/proc/loadavg')),
      memoryTotalBytes: memory.get('MemTotal'),
      memoryAvailableBytes: memory.get('MemAvailable'),
      swapTotalBytes: memory.get('SwapTotal'),
      swapFreeBytes: memory.get('SwapFree'),
      pressureCpu: pressure(of('/proc/pressure/cpu')),
      pressureMemory: pressure(of('/proc/pressure/memory')),
      pressureIo: pressure(of('/proc/pressure/io')),
      disks: disks(of('/proc/diskstats')),
      mounts: mounts(of('/proc/self/mounts'), this.#root),
      processes: this.#scan.take(),
      host: this.#host.read(nowMs),
    };
  }
}
