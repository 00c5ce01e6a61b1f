// A fake Linux that follows simple physics: processes with demands for CPU, memory and disk share what there is; what
// is not met shows as pressure. Only + - * / so that a run is the same on every processor.
import {
  type ActuatorOutcome,
  type ActuatorReading,
  type Primitive,
  type Reading,
  type ServiceCheck,
  type ServiceSample,
  type ServiceSpec,
  type SignalName,
  stoppedService,
} from '../../node/ports/actuator.ts';
import type { NewLines, ProcessDetail, Sample, Sensors } from '../../node/ports/sensors.ts';
import type { SeededRandom } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';
import { Answers } from './answers.ts';
import { type ChangeMachine, SimulatedChanges } from './changes.ts';
import { type FakeProcess, IDLE, sampleOf, type Workload } from './fake-process.ts';
import { FakeFiles } from './files.ts';

const TICKS_PER_SECOND = 100;
const MIB = 1024 * 1024;
const DISK_BYTES_PER_S = 200 * MIB;
const START_MS = 30;
const STOP_MS = 15;
/** One that finds its port taken ends so long after its start. */
const EXITS_MS = 50;
/** A machine of the model runs these beside its services. */
const SYSTEM_PROCESSES = 12;
/** Memory left below which tasks stall, as a share. */
const MEMORY_STALL_SHARE = 0.04;

const FIRST_FILES = 8;
const STOPPED = { state: 'stopped', pid: undefined, startTicks: undefined } as const;

export interface MachineSize {
  cpus: number;
  memoryBytes: number;
}

/** As the kernel comes. */
const SYSCTLS = { 'vm.swappiness': '60', 'vm.dirty_ratio': '20', 'net.core.somaxconn': '4096' };

interface HeldService {
  fence: number;
  untilMs: number;
  lapsed: boolean;
}

export class FakeLinux implements Sensors, ChangeMachine {
  readonly source = 'simulated';
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #size: MachineSize;
  readonly #wallOffsetMs: number;
  readonly #processes = new Map<number, FakeProcess>();
  readonly #services = new Map<string, ServiceSample>();
  readonly #cursed = new Map<string, number>();
  /** Of services that run on one machine of the swarm at a time. */
  readonly #held = new Map<string, HeldService>();
  readonly #sysctls = new Map<string, string>(Object.entries(SYSCTLS));
  readonly #groups = new Map<string, number>();
  readonly files: FakeFiles;
  /** The actuator's, which outlives any agent. */
  readonly changes: SimulatedChanges;
  #onExit: (name: string) => void = () => undefined;
  #nextPid = 100;
  #lastMs: number;
  #cpu = { user: 0, system: 0, idle: 0, iowait: 0, steal: 0 };
  #load = 0;
  #pressure = { cpu: 0, memory: 0, io: 0 };
  #written = 0;
  #busyMs = 0;
  #forkDebt = 0;
  readonly answers: Answers;
  /** A service for fail-over began here, under a fence, or ended. */
  onFenced: (name: string, fence: number | undefined) => void = () => undefined;
  /** What its wall clock is off, now. */
  skewMs: () => number = () => 0;
  /** Everything that was done to it, in words, for the trace. */
  onAct: (text: string) => void = () => undefined;

  constructor(
    scheduler: Scheduler,
    random: SeededRandom,
    services: readonly ServiceSpec[],
    size: MachineSize,
    wallOffsetMs: number,
  ) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#size = size;
    this.#wallOffsetMs = wallOffsetMs;
    this.#lastMs = scheduler.nowMs;
    this.files = new FakeFiles(() => this.#wallMs());
    this.changes = new SimulatedChanges(scheduler, this);
    this.answers = new Answers(
      services,
      () => this.services(),
      (name) => this.isFrozen(name),
    );
    for (let i = 0; i < SYSTEM_PROCESSES; i++)
      this.spawn(`system-${i}`, { ...IDLE, cpu: random.between(0, 0.004), rssBytes: random.between(2, 30) * MIB });
    for (const spec of services) {
      this.#services.set(spec.name, stoppedService(spec, this.#wallMs()));
      if (spec.failover === true) this.#held.set(spec.name, { fence: 0, untilMs: 0, lapsed: true });
    }
  }

  #wallMs(): number {
    return this.#scheduler.nowMs + this.#wallOffsetMs + this.skewMs();
  }

  // Physics

  spawn(name: string, workload: Workload): number {
    const pid = this.#nextPid++;
    const startTicks = Math.floor((this.#scheduler.nowMs / 1000) * TICKS_PER_SECOND);
    this.#processes.set(pid, {
      pid,
      name,
      startTicks,
      stopped: false,
      nice: 0,
      workload,
      rssBytes: workload.rssBytes,
      cpuTicks: 0,
      files: FIRST_FILES,
      writtenBytes: 0,
    });
    return pid;
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
    this.#written += Math.min(writes, DISK_BYTES_PER_S) * seconds;
    this.#busyMs += ioShare * seconds * 1000;
    const towards = (from: number, to: number, overS: number): number => from + (to - from) * Math.min(1, seconds / overS);
    this.#load = towards(this.#load, wanted + iowait, 60);
    const free = this.memoryFree() / this.#size.memoryBytes;
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

  memoryFree(): number {
    let used = this.#size.memoryBytes * 0.1;
    for (const process of this.#processes.values()) used += process.rssBytes;
    return Math.max(0, this.#size.memoryBytes - used);
  }

  sample(): Sample {
    this.#advance();
    const { cpus, memoryBytes } = this.#size;
    return {
      monotonicMs: this.#scheduler.nowMs,
      wallMs: this.#wallMs(),
      cpus,
      ticksPerSecond: TICKS_PER_SECOND,
      cpu: { ...this.#cpu },
      load: [this.#load, this.#load, this.#load],
      memoryTotalBytes: memoryBytes,
      memoryAvailableBytes: this.memoryFree(),
      swapTotalBytes: 0,
      swapFreeBytes: 0,
      pressureCpu: { someAvg10: this.#pressure.cpu, fullAvg10: undefined },
      pressureMemory: { someAvg10: this.#pressure.memory, fullAvg10: this.#pressure.memory * 0.7 },
      pressureIo: { someAvg10: this.#pressure.io, fullAvg10: this.#pressure.io * 0.8 },
      disks: [{ device: 'vda', readBytes: 0, writtenBytes: this.#written, busyMs: this.#busyMs }],
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

  /** The model has no CPU controller. */
  throttling(): undefined {
    return undefined;
  }

  newLines = async (path: string, pattern: string): Promise<NewLines> => this.files.newLines(path, pattern);

  /** Name servers of the model that answer, by address. */
  readonly nameServers = new Set<string>();

  async resolves(server: string): Promise<boolean> {
    return this.nameServers.has(server);
  }

  async servedCertificate(): Promise<undefined> {
    return undefined;
  }
  /** Of the agent that runs here. */
  waitedMs: () => number = () => 0;

  /** What of the kernel's other figures the model has. */
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

  // Services

  services(): readonly ServiceSample[] {
    return [...this.#services.values()];
  }

  onExit(listener: (name: string) => void): void {
    this.#onExit = listener;
  }

  /** What systemd shows of a service that is a unit. */
  unitIs(name: string, unitState: string): void {
    const service = this.#services.get(name);
    if (service?.unit === undefined) throw new Error(`${name} is no unit`);
    this.#set(name, { ...service, unitState, state: unitState === 'active' ? 'running' : 'stopped', sinceMs: this.#wallMs() });
  }

  startService(name: string): Promise<ActuatorOutcome> {
    return this.#later(START_MS, () => {
      const service = this.#services.get(name);
      if (service === undefined) return { ok: false, code: 'not-found', message: `no service ${name}` };
      if (service.state === 'running') return { ok: true };
      if ((this.#held.get(name)?.untilMs ?? Number.POSITIVE_INFINITY) <= this.#scheduler.nowMs)
        return { ok: false, code: 'refused', message: `${name} is not placed on this machine` };
      const pid = this.spawn(name, IDLE);
      const startTicks = this.#processes.get(pid)?.startTicks;
      this.#set(name, {
        ...service,
        state: 'running',
        pid,
        startTicks,
        starts: service.starts + 1,
        onPurpose: false,
        byPolicy: false,
        sinceMs: this.#wallMs(),
      });
      this.onAct(`started ${name}`);
      const livesMs = this.answers.isOccupied(service.port) ? EXITS_MS : this.#cursed.get(name);
      if (livesMs !== undefined) this.#scheduler.after(livesMs, () => this.#services.get(name)?.pid === pid && this.kill(name));
      return { ok: true };
    });
  }

  /** @param onPurpose a change stopped it, or it is not placed here; else it ends with its supervisor. */
  stopService(name: string, onPurpose = this.#held.has(name)): Promise<ActuatorOutcome> {
    return this.#later(STOP_MS, () => {
      const service = this.#services.get(name);
      if (service === undefined) return { ok: false, code: 'not-found', message: `no service ${name}` };
      if (service.pid !== undefined) this.#processes.delete(service.pid);
      this.#set(name, { ...service, ...STOPPED, onPurpose, sinceMs: this.#wallMs() });
      this.onAct(`stopped ${name}`);
      return { ok: true };
    });
  }

  staysDown(name: string, by: 'person' | 'policy' | 'nobody'): void {
    const service = this.#services.get(name);
    if (service?.state !== 'stopped' || this.#held.has(name)) return;
    this.#set(name, { ...service, onPurpose: by === 'person', byPolicy: by === 'policy' });
  }

  /** As the actuator does it: killed when the time is over, whatever became of the agent. */
  async holdService(name: string, forMs: number, fence: number): Promise<ActuatorOutcome> {
    const held = this.#held.get(name);
    const service = this.#services.get(name);
    if (held === undefined || service === undefined) return { ok: false, code: 'not-found', message: `no such service ${name}` };
    if (forMs < 1) return { ok: false, code: 'refused', message: 'that time is over' };
    if (fence < held.fence || (fence > held.fence && service.state === 'running'))
      return { ok: false, code: 'refused', message: `${name} was held under fence ${held.fence}` };
    const starts = fence > held.fence || held.lapsed;
    const untilMs = this.#scheduler.nowMs + forMs;
    this.#held.set(name, { fence, untilMs, lapsed: false });
    this.#scheduler.after(forMs, () => this.#held.get(name)?.untilMs === untilMs && this.#lapse(name));
    return starts ? this.startService(name) : { ok: true };
  }

  async releaseService(name: string): Promise<ActuatorOutcome> {
    const held = this.#held.get(name);
    if (held === undefined) return { ok: false, code: 'not-found', message: `no such service ${name}` };
    held.lapsed = true;
    const stopped = await this.stopService(name);
    if (held.lapsed) held.untilMs = 0;
    return stopped;
  }

  #lapse(name: string): void {
    const service = this.#services.get(name);
    this.#held.set(name, { fence: this.#held.get(name)?.fence ?? 0, untilMs: 0, lapsed: true });
    if (service === undefined) return;
    if (service.pid !== undefined) this.#processes.delete(service.pid);
    const sinceMs = this.#wallMs();
    this.#set(name, { ...service, ...STOPPED, onPurpose: true, sinceMs });
    this.onAct(`${name} is held no longer`);
  }

  /** The one way in which a service comes to be in another state. */
  #set(name: string, service: ServiceSample): void {
    const wasRunning = this.#services.get(name)?.state === 'running';
    const isRunning = service.state === 'running';
    this.#services.set(name, service);
    const held = this.#held.get(name);
    if (held !== undefined && wasRunning !== isRunning) this.onFenced(name, isRunning ? held.fence : undefined);
  }

  // The actuator's table

  check(primitive: Primitive): ActuatorOutcome {
    switch (primitive[0]) {
      case 'service.start':
      case 'service.stop':
      case 'cgroup.write':
        return this.#services.has(primitive[1]) ? DONE : { ok: false, code: 'not-found', message: `no service ${primitive[1]}` };
      case 'process.signal':
      case 'process.end':
      case 'process.nice':
        return this.#processAt(primitive[1], primitive[2]) === undefined ? gone(primitive[1]) : DONE;
      case 'sysctl.write':
        return this.#sysctls.has(primitive[1]) ? DONE : { ok: false, code: 'not-found', message: `no ${primitive[1]}` };
      case 'file.replace':
      case 'file.remove':
      case 'file.rotate':
      case 'file.recall':
      case 'file.restore':
      case 'file.return':
      case 'file.unrotate':
      case 'files.hide':
      case 'files.show':
        return DONE;
      default:
        return { ok: false, code: 'refused', message: `${primitive[0]}: not on the simulated machine` };
    }
  }

  async run(primitive: Primitive, key: string): Promise<ActuatorOutcome> {
    const checked = this.check(primitive);
    if (!checked.ok) return checked;
    switch (primitive[0]) {
      case 'service.start':
        return this.startService(primitive[1]);
      case 'service.stop':
        return this.stopService(primitive[1], true);
      default:
        this.onAct(primitive.filter((part) => typeof part !== 'object').join(' '));
        return this.#runAtOnce(primitive, key);
    }
  }

  #runAtOnce(primitive: Primitive, key: string): ActuatorOutcome {
    switch (primitive[0]) {
      case 'process.signal':
        return this.#signal(primitive[1], primitive[2], primitive[3]);
      case 'process.end':
        return this.#signal(primitive[1], primitive[2], 'TERM');
      case 'process.nice': {
        const process = this.#processAt(primitive[1], primitive[2]);
        if (process !== undefined) process.nice = primitive[3];
        return DONE;
      }
      case 'sysctl.write':
        this.#sysctls.set(primitive[1], primitive[2]);
        return DONE;
      case 'cgroup.write':
        this.#groups.set(`${primitive[1]} ${primitive[2]}`, primitive[3]);
        return DONE;
      case 'file.replace':
      case 'file.remove':
      case 'file.rotate':
      case 'file.recall':
      case 'file.restore':
      case 'file.return':
      case 'file.unrotate':
      case 'files.hide':
      case 'files.show':
        return this.files.run(primitive, key);
      default:
        return { ok: false, code: 'refused', message: `${primitive[0]}: not on the simulated machine` };
    }
  }

  settle(primitive: Primitive, key: string): void {
    if (primitive[0].startsWith('file')) this.files.settle(key);
  }

  read(reading: Reading): ActuatorReading {
    switch (reading[0]) {
      case 'process.read': {
        const process = this.#processes.get(reading[1]);
        if (process === undefined) return { ok: false, code: 'gone', message: `no process ${reading[1]}` };
        return { ok: true, value: [process.pid, process.startTicks, process.name, 0, process.nice, 0, 0] };
      }
      case 'sysctl.read': {
        const value = this.#sysctls.get(reading[1]);
        return value === undefined ? { ok: false, code: 'not-found', message: `no ${reading[1]}` } : { ok: true, value };
      }
      case 'cgroup.read':
        return { ok: true, value: this.#groups.get(`${reading[1]} ${reading[2]}`) ?? 0 };
      case 'port.holder':
        return { ok: false, code: 'not-found', message: 'nobody else listens on the simulated machine' };
      case 'block.read':
        return { ok: false, code: 'not-found', message: 'no block devices here' };
      case 'archive.read':
        return this.files.archived(reading[1]);
      case 'file.writers':
        return { ok: true, value: [] };
      case 'file.stat':
      case 'file.list':
      case 'file.read':
        return this.files.read([reading[0], reading[1]]);
    }
  }

  #processAt(pid: number, startTicks: number): FakeProcess | undefined {
    const process = this.#processes.get(pid);
    return process?.startTicks === startTicks ? process : undefined;
  }

  #signal(pid: number, startTicks: number, signal: SignalName): ActuatorOutcome {
    const process = this.#processAt(pid, startTicks);
    if (process === undefined) return gone(pid);
    if (signal === 'STOP' || signal === 'CONT') process.stopped = signal === 'STOP';
    else if (signal !== 'HUP') this.#end(pid);
    return DONE;
  }

  #end(pid: number): void {
    const service = this.services().find((one) => one.pid === pid);
    if (service === undefined) this.#processes.delete(pid);
    else this.kill(service.name);
  }

  async checkService(name: string): Promise<ServiceCheck> {
    const service = this.#services.get(name);
    return service === undefined ? 'undeclared' : this.answers.check(service);
  }

  delay(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#scheduler.after(delayMs, resolve));
  }

  #later(delayMs: number, act: () => ActuatorOutcome): Promise<ActuatorOutcome> {
    return new Promise((resolve) => this.#scheduler.after(delayMs, () => resolve(act())));
  }

  // Faults

  /** Something outside KALOS ends a service's process. */
  kill(name: string, exitCode?: number): void {
    const service = this.#services.get(name);
    if (service?.pid === undefined) return;
    this.#processes.delete(service.pid);
    const exitSignal = exitCode === undefined ? 'SIGKILL' : undefined;
    this.#set(name, { ...service, ...STOPPED, state: 'exited', exitCode, exitSignal, sinceMs: this.#wallMs() });
    this.#onExit(name);
  }

  /** Somebody sets a kernel parameter by hand. */
  setSysctl(key: string, value: string): void {
    this.#sysctls.set(key, value);
  }

  /** Something outside KALOS starts a service, at once. */
  revive(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined || service.state === 'running') return;
    const pid = this.spawn(name, IDLE);
    const startTicks = this.#processes.get(pid)?.startTicks;
    this.#set(name, { ...service, state: 'running', pid, startTicks, sinceMs: this.#wallMs() });
  }

  /** From now on a service ends by itself this long after each start. */
  curse(name: string, livesMs: number): void {
    this.#cursed.set(name, livesMs);
  }

  bless(name: string): void {
    this.#cursed.delete(name);
  }

  /** From now on a service's process wants more: until it is another process. */
  burden(name: string, workload: Partial<Workload>): void {
    const process = this.#processes.get(this.#services.get(name)?.pid ?? -1);
    if (process !== undefined) process.workload = { ...process.workload, ...workload };
  }

  isFrozen(name: string): boolean {
    return this.#processes.get(this.#services.get(name)?.pid ?? -1)?.stopped ?? false;
  }

  freeze(name: string): void {
    const process = this.#processes.get(this.#services.get(name)?.pid ?? -1);
    if (process !== undefined) process.stopped = true;
  }
}

const DONE: ActuatorOutcome = { ok: true };
const gone = (pid: number): ActuatorOutcome => ({ ok: false, code: 'gone', message: `pid ${pid} is not that process any more` });
