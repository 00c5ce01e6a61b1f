// The native sampler: one call into native/build/kalos.node fills an array of doubles (native/sampler_layout.h).
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { monotonicMs } from '../../adapters/clock.ts';
import type {
  DiskSample,
  MountSample,
  NewLines,
  ProcessDetail,
  ProcessSample,
  Sample,
  Sensors,
  Throttling,
} from '../../ports/sensors.ts';
import { bottomDisks } from '../counters.ts';
import { HostReader } from './host-reader.ts';
import { LogReader } from './log-reader.ts';
import { ProcReader } from './proc-reader.ts';
import { processDetail, resolves, servedCertificate, throttling, waitedMs } from './process-detail.ts';

const LAYOUT_VERSION = 1;
const HEADER = 24;
const DISK = { doubles: 7, nameBytes: 32 };
const MOUNT = { doubles: 46, pathBytes: 256, deviceBytes: 64, typeBytes: 16 };
const PROCESS = { doubles: 15, nameBytes: 64 };
const FIRST_CAPACITY = 16_384;

interface Addon {
  readonly layoutVersion: number;
  /** @param root directory with another machine's /proc. */
  sample(into: Float64Array, root?: string): number;
  /** Returns unused memory of malloc to the machine. */
  trim(): void;
}

function known(value: number | undefined): number | undefined {
  return value === undefined || Number.isNaN(value) ? undefined : value;
}

export class NativeSampler implements Sensors {
  readonly source = 'native';
  readonly #addon: Addon;
  readonly #host: HostReader;
  readonly #root: string;
  readonly resolves = resolves;
  readonly servedCertificate = servedCertificate;
  readonly waitedMs = waitedMs;
  readonly #logs: LogReader | undefined;
  #data = new Float64Array(FIRST_CAPACITY);
  #bytes = Buffer.from(this.#data.buffer);

  /** @param root directory with another machine's files, for tests. */
  constructor(addon: Addon, logs?: LogReader, root = '') {
    this.#logs = logs;
    this.#root = root;
    this.#host = new HostReader(root);
    if (addon.layoutVersion !== LAYOUT_VERSION) throw new Error(`layout ${addon.layoutVersion}, expected ${LAYOUT_VERSION}`);
    this.#addon = addon;
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
    // The addon of an older package takes no root.
    const take = (): number => this.#addon.sample(this.#data, ...(this.#root === '' ? [] : [this.#root]));
    for (let needed = take(); needed > this.#data.length; needed = take()) {
      this.#data = new Float64Array(needed * 2);
      this.#bytes = Buffer.from(this.#data.buffer);
    }
    const [, cpus, ticks, user, system, idle, iowait, steal, load1, load5, load15] = this.#data;
    const [memoryTotal, memoryAvailable, swapTotal, swapFree, cpuSome, cpuFull, memorySome, memoryFull, ioSome, ioFull] =
      this.#data.subarray(11, 21);
    const [disks = 0, mounts = 0, processes = 0] = this.#data.subarray(21, HEADER);
    const mountsAt = HEADER + disks * DISK.doubles;
    const processesAt = mountsAt + mounts * MOUNT.doubles;
    return {
      monotonicMs: nowMs,
      wallMs: Date.now(),
      cpus: cpus ?? 1,
      ticksPerSecond: ticks ?? 100,
      cpu:
        known(user) === undefined
          ? undefined
          : { user: user ?? 0, system: system ?? 0, idle: idle ?? 0, iowait: iowait ?? 0, steal: steal ?? 0 },
      load: known(load1) === undefined ? undefined : [load1 ?? 0, load5 ?? 0, load15 ?? 0],
      memoryTotalBytes: known(memoryTotal),
      memoryAvailableBytes: known(memoryAvailable),
      swapTotalBytes: known(swapTotal),
      swapFreeBytes: known(swapFree),
      pressureCpu: this.#pressure(cpuSome, cpuFull),
      pressureMemory: this.#pressure(memorySome, memoryFull),
      pressureIo: this.#pressure(ioSome, ioFull),
      disks: bottomDisks(Array.from({ length: disks }, (_, i) => this.#disk(HEADER + i * DISK.doubles))),
      mounts: Array.from({ length: mounts }, (_, i) => this.#mount(mountsAt + i * MOUNT.doubles)),
      processes: Array.from({ length: processes }, (_, i) => this.#process(processesAt + i * PROCESS.doubles)),
      host: this.#host.read(nowMs),
    };
  }

  #pressure(some: number | undefined, full: number | undefined): Sample['pressureCpu'] {
    const someAvg10 = known(some);
    return someAvg10 === undefined ? undefined : { someAvg10, fullAvg10: known(full) };
  }

  #text(at: number, size: number): string {
    const end = this.#bytes.indexOf(0, at * 8);
    return this.#bytes.toString('utf8', at * 8, Math.min(end < 0 ? at * 8 + size : end, at * 8 + size));
  }

  #at(index: number): number {
    return this.#data[index] ?? 0;
  }

  #disk(at: number): DiskSample {
    const rest = at + DISK.nameBytes / 8;
    return {
      device: this.#text(at, DISK.nameBytes),
      readBytes: this.#at(rest),
      writtenBytes: this.#at(rest + 1),
      busyMs: this.#at(rest + 2),
    };
  }

  #mount(at: number): MountSample {
    const deviceAt = at + MOUNT.pathBytes / 8;
    const typeAt = deviceAt + MOUNT.deviceBytes / 8;
    const rest = typeAt + MOUNT.typeBytes / 8;
    return {
      path: this.#text(at, MOUNT.pathBytes),
      device: this.#text(deviceAt, MOUNT.deviceBytes),
      type: this.#text(typeAt, MOUNT.typeBytes),
      sizeBytes: this.#at(rest),
      availableBytes: this.#at(rest + 1),
      inodes: this.#at(rest + 2),
      inodesFree: this.#at(rest + 3),
    };
  }

  #process(at: number): ProcessSample {
    const rest = at + PROCESS.nameBytes / 8;
    return {
      name: this.#text(at, PROCESS.nameBytes),
      pid: this.#at(rest),
      parent: this.#at(rest + 1),
      state: String.fromCharCode(this.#at(rest + 2)),
      threads: this.#at(rest + 3),
      cpuTicks: this.#at(rest + 4),
      rssBytes: this.#at(rest + 5),
      startTicks: this.#at(rest + 6),
    };
  }
}

/** Returns free memory of the C heap; does nothing without the addon. */
export function trimMemory(addonPath: string): void {
  if (existsSync(addonPath)) (createRequire(import.meta.url)(addonPath) as Addon).trim();
}

/**
 * The native sampler if the addon is built and loads, else the plain reader, with the reason.
 * @param entry the `kalos` entry, which reads logs in its own process; without it they are not read.
 */
export function openSensors(addonPath: string, entry?: string) {
  const logs = entry === undefined ? undefined : new LogReader(entry);
  try {
    const addon = createRequire(import.meta.url)(addonPath) as Addon;
    return { sensors: new NativeSampler(addon, logs) as Sensors, logs, fallbackReason: undefined };
  } catch (error) {
    const fallbackReason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return { sensors: new ProcReader(logs) as Sensors, logs, fallbackReason };
  }
}
