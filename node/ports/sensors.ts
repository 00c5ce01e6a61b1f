// What an agent can read of its machine, once a second. A figure the machine lacks is undefined, never zero.

/** Pressure stall information: shares of wall time in percent, averaged over 10 s. */
export interface Pressure {
  someAvg10: number;
  /** Undefined for the CPU on kernels that do not report it. */
  fullAvg10: number | undefined;
}

export interface CpuTimes {
  /** Jiffies since boot, all CPUs together. */
  user: number;
  system: number;
  idle: number;
  iowait: number;
  steal: number;
}

export interface DiskSample {
  device: string;
  readBytes: number;
  writtenBytes: number;
  /** Milliseconds during which the device was busy, since boot. */
  busyMs: number;
}

export interface MountSample {
  path: string;
  device: string;
  type: string;
  sizeBytes: number;
  availableBytes: number;
  inodes: number;
  inodesFree: number;
}

export interface ProcessSample {
  pid: number;
  parent: number;
  name: string;
  /** One letter as in proc(5): R S D T Z … */
  state: string;
  threads: number;
  /** User plus system jiffies since start. */
  cpuTicks: number;
  rssBytes: number;
  /** Start time in jiffies since boot: with the pid it names a process for good. */
  startTicks: number;
}

export interface Sample {
  /** When the sample was taken, by the clock that nobody sets: rates and series go by it. */
  monotonicMs: number;
  /** And by the wall clock, for people. */
  wallMs: number;
  /** CPUs online. */
  cpus: number;
  /** Jiffies per second. */
  ticksPerSecond: number;
  cpu: CpuTimes | undefined;
  /** Load averages over 1, 5 and 15 minutes. */
  load: readonly [number, number, number] | undefined;
  memoryTotalBytes: number | undefined;
  memoryAvailableBytes: number | undefined;
  swapTotalBytes: number | undefined;
  swapFreeBytes: number | undefined;
  pressureCpu: Pressure | undefined;
  pressureMemory: Pressure | undefined;
  pressureIo: Pressure | undefined;
  disks: readonly DiskSample[];
  mounts: readonly MountSample[];
  processes: readonly ProcessSample[];
  /** Other figures of the kernel's, by name (node/telemetry/host-figures.ts), and why one is not known. */
  host: { values: ReadonlyMap<string, number>; lacks: ReadonlyMap<string, string> };
}

/** What costs more than the scan, of one process; what may not be read is undefined. */
export interface ProcessDetail {
  /** Open file descriptors. */
  files: number | undefined;
  /** To and from disks since its start. */
  readBytes: number | undefined;
  writtenBytes: number | undefined;
}

/** Of the CPU controller's group that a process is in, since it was made. */
export interface Throttling {
  periods: number;
  throttled: number;
}

/** What was written to a log since the last look: how many lines, and the newest that match; bytes that were too many are skipped. */
export type NewLines = { ok: true; lines: number; matching: string[]; skippedBytes: number } | { ok: false; reason: string };

/** The reason where there is nothing to read, and no mistake in that. */
export const NO_SUCH_FILE = 'there is no such file';

export interface Sensors {
  /** `native` (the addon) or `proc` (the plain reader) or `simulated`. */
  readonly source: 'native' | 'proc' | 'simulated';
  sample(): Sample;
  /** Undefined where the process is gone. */
  detail(pid: number): ProcessDetail | undefined;
  /** Undefined where its group has no limit, or cannot be read. */
  throttling(pid: number): Throttling | undefined;
  /**
   * Of a file that the agent may read; the first look begins at its end. It never waits for a file system that hangs.
   * @param pattern a regular expression, which the configuration has tried.
   */
  newLines(path: string, pattern: string): Promise<NewLines>;
  /** Whether a name server answers, with whatever answer. @param server an IP address. */
  resolves(server: string, name: string, timeoutMs: number): Promise<boolean>;
  /** The certificate that a TLS server hands out, DER; undefined where none answers so. @param name what a client asks for (SNI) */
  servedCertificate(host: string, port: number, name: string | undefined, timeoutMs: number): Promise<Uint8Array | undefined>;
  /** Ms for which this agent was ready to run and got no CPU, since it began; undefined where the kernel does not say. */
  waitedMs(): number | undefined;
}
