// The processes of a simulated machine, and what they share: CPU, memory and the disk's bandwidth. Unmet demand shows as load and pressure. Only
// + - * / so that a run is the same on every processor.
import type { ProcessDetail, Sample } from '../../node/ports/sensors.ts';
import type { SeededRandom } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';
import { type FakeProcess, IDLE, sampleOf, type Workload } from './fake-process.ts';

const TICKS_PER_SECOND = 100;
const MIB = 1024 * 1024;
const DISK_BYTES_PER_S = 200 * MIB;
/** A machine of the model runs these beside its services. */
const SYSTEM_PROCESSES = 12;
/** Memory left below which tasks stall, as a share. */
const MEMORY_STALL_SHARE = 0.04;
const FIRST_FILES = 8;

export interface MachineSize {
  cpus: number;
  memoryBytes: number;
}

export class Processes {
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #size: MachineSize;
  readonly #processes = new Map<number, FakeProcess>();
  #nextPid = 100;
  /** The time up to which the processes have run. */
  #lastMs: number;
  #cpu = { user: 0, system: 0, idle: 0, iowait: 0, steal: 0 };
  #load = 0;
  #pressure = { cpu: 0, memory: 0, io: 0 };
  #disk = { writtenBytes: 0, busyMs: 0 };
  #forkDebt = 0;

  constructor(scheduler: Scheduler, random: SeededRandom, size: MachineSize) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#size = size;
    this.#lastMs = scheduler.nowMs;
    for (let i = 0; i < SYSTEM_PROCESSES; i++)
      this.spawn(`system-${i}`, { ...IDLE, cpu: random.between(0, 0.004), rssBytes: random.between(2, 30) * MIB });
  }

  spawn(name: string, workload: Workload): FakeProcess {
    const process: FakeProcess = {
      pid: this.#nextPid++,
      name,
      startTicks: Math.floor((this.#scheduler.nowMs / 1000) * TICKS_PER_SECOND),
      stopped: false,
      nice: 0,
      workload,
      rssBytes: workload.rssBytes,
      cpuTicks: 0,
      files: FIRST_FILES,
      writtenBytes: 0,
    };
    this.#processes.set(process.pid, process);
    return process;
  }

  get(pid: number | undefined): FakeProcess | undefined {
    return pid === undefined ? undefined : this.#processes.get(pid);
  }

  end(pid: number | undefined): void {
    if (pid !== undefined) this.#processes.delete(pid);
  }

  #advance(): void {
    const seconds = (this.#scheduler.nowMs - this.#lastMs) / 1000;
    if (seconds <= 0) return;
    this.#lastMs = this.#scheduler.nowMs;
    const running = [...this.#processes.values()].filter((process) => !process.stopped);
    const wanted = running.reduce((sum, process) => sum + process.workload.cpu * this.#random.between(0.8, 1.2), 0);
    const share = wanted > this.#size.cpus ? this.#size.cpus / wanted : 1;
    let used = 0;
    let writes = 0;
    for (const process of running) {
      const cpu = process.workload.cpu * share;
      used += cpu;
      const written = process.workload.writeBytesPerS * this.#random.between(0.8, 1.2);
      writes += written;
      process.writtenBytes += written * seconds;
      process.files += process.workload.filesPerS * seconds;
      process.cpuTicks += cpu * seconds * TICKS_PER_SECOND;
      process.rssBytes += process.workload.rssGrowthBytesPerS * seconds;
      this.#forkDebt += process.workload.forksPerS * seconds;
    }
    for (; this.#forkDebt >= 1; this.#forkDebt--) this.spawn('child', { ...IDLE, cpu: 0.002, rssBytes: 3 * MIB });
    this.#account(seconds, Math.min(used, this.#size.cpus), wanted, writes);
  }

  #account(seconds: number, used: number, wanted: number, writes: number): void {
    const ticks = seconds * TICKS_PER_SECOND;
    const ioShare = Math.min(1, writes / DISK_BYTES_PER_S);
    const idle = this.#size.cpus - used;
    const iowait = Math.min(idle, ioShare * 0.8);
    this.#cpu.user += used * 0.8 * ticks;
    this.#cpu.system += used * 0.2 * ticks;
    this.#cpu.iowait += iowait * ticks;
    this.#cpu.idle += (idle - iowait) * ticks;
    this.#disk.writtenBytes += Math.min(writes, DISK_BYTES_PER_S) * seconds;
    this.#disk.busyMs += ioShare * seconds * 1000;
    const towards = (from: number, to: number, overS: number): number => from + (to - from) * Math.min(1, seconds / overS);
    this.#load = towards(this.#load, wanted + iowait, 60);
    const free = this.#memoryFree() / this.#size.memoryBytes;
    this.#pressure.cpu = towards(
      this.#pressure.cpu,
      wanted > this.#size.cpus ? (100 * (wanted - this.#size.cpus)) / wanted : 0,
      10,
    );
    this.#pressure.memory = towards(
      this.#pressure.memory,
      free < MEMORY_STALL_SHARE ? 100 * (1 - free / MEMORY_STALL_SHARE) : 0,
      10,
    );
    this.#pressure.io = towards(this.#pressure.io, writes > DISK_BYTES_PER_S * 0.7 ? 100 * ioShare : 0, 10);
  }

  #memoryFree(): number {
    let used = this.#size.memoryBytes * 0.1;
    for (const process of this.#processes.values()) used += process.rssBytes;
    return Math.max(0, this.#size.memoryBytes - used);
  }

  /** The machine as a sampler sees it. @param wallMs its wall clock */
  sample(wallMs: number): Sample {
    this.#advance();
    const { cpus, memoryBytes } = this.#size;
    return {
      monotonicMs: this.#scheduler.nowMs,
      wallMs,
      cpus,
      ticksPerSecond: TICKS_PER_SECOND,
      cpu: { ...this.#cpu },
      load: [this.#load, this.#load, this.#load],
      memoryTotalBytes: memoryBytes,
      memoryAvailableBytes: this.#memoryFree(),
      swapTotalBytes: 0,
      swapFreeBytes: 0,
      pressureCpu: { someAvg10: this.#pressure.cpu, fullAvg10: undefined },
      pressureMemory: { someAvg10: this.#pressure.memory, fullAvg10: this.#pressure.memory * 0.7 },
      pressureIo: { someAvg10: this.#pressure.io, fullAvg10: this.#pressure.io * 0.8 },
      disks: [{ device: 'vda', readBytes: 0, ...this.#disk }],
      mounts: [
        {
          path: '/',
          device: '/dev/vda',
          type: 'ext4',
          sizeBytes: 100 * 1024 * MIB,
          availableBytes: 60 * 1024 * MIB,
          inodes: 1e6,
          inodesFree: 9e5,
        },
      ],
      processes: [...this.#processes.values()].map(sampleOf),
      host: this.#host(),
    };
  }

  detail(pid: number): ProcessDetail | undefined {
    const process = this.#processes.get(pid);
    return process && { files: Math.floor(process.files), readBytes: 0, writtenBytes: Math.floor(process.writtenBytes) };
  }

  /** Other figures of the kernel that the model has. */
  #host(): Sample['host'] {
    const values = new Map([
      ['running', [...this.#processes.values()].filter(({ stopped }) => !stopped).length],
      ['forks', this.#nextPid],
      ['files.open', 32 * this.#processes.size],
      ['files.max', 1e6],
      ['uptime', this.#scheduler.nowMs / 1000],
    ]);
    return { values, lacks: new Map([['entropy', 'not on the simulated machine']]) };
  }
}
