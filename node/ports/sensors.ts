// The values that an agent reads from its machine once a second. A value that the machine lacks is undefined, never zero.

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
  /** Start time in jiffies since boot: with the pid it identifies a process permanently. */
  startTicks: number;
}

export interface Sample {
  /** Time of the sample by the monotonic clock, for rates and series. */
  monotonicMs: number;
  /** Time by the wall clock, for people. */
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
  /** Other values of the kernel, by name (node/telemetry/host-figures.ts), and why one is unknown. */
  host: { values: ReadonlyMap<string, number>; lacks: ReadonlyMap<string, string> };
}

/** Details of one process that cost more than the scan; undefined if not readable. */
export interface ProcessDetail {
  /** Open file descriptors. */
  files: number | undefined;
  /** Bytes from and to disks since its start. */
  readBytes: number | undefined;
  writtenBytes: number | undefined;
}

/** Of the CPU control group of a process, since the group was created. */
export interface Throttling {
  periods: number;
  throttled: number;
}

/** The new lines of a log since the last read: their number, and the newest that match; bytes above the limit are skipped. */
export type NewLines = { ok: true; lines: number; matching: string[]; skippedBytes: number } | { ok: false; reason: string };

/** The reason if the file does not exist, which is not an error. */
export const NO_SUCH_FILE = 'there is no such file';

export interface Sensors {
  /** `native` (the addon) or `proc` (the plain reader) or `simulated`. */
  readonly source: 'native' | 'proc' | 'simulated';
  sample(): Sample;
  /** Undefined if the process has exited. */
  detail(pid: number): ProcessDetail | undefined;
  /** Undefined if its group has no limit, or is not readable. */
  throttling(pid: number): Throttling | undefined;
  /**
   * The new lines of a file that the agent may read; the first read begins at its end. It never waits for a hung file system.
   * @param pattern a regular expression, which the configuration has tried.
   */
  newLines(path: string, pattern: string): Promise<NewLines>;
  /** Whether a DNS server answers, with any answer. @param server an IP address. */
  resolves(server: string, name: string, timeoutMs: number): Promise<boolean>;
  /** The certificate that a TLS server presents, DER; undefined without an answer. @param name the requested server name (SNI) */
  servedCertificate(host: string, port: number, name: string | undefined, timeoutMs: number): Promise<Uint8Array | undefined>;
  /** Ms since its start in which this agent was runnable and got no CPU; undefined if the kernel has no such value. */
  waitedMs(): number | undefined;
}
