// A fake Linux: processes that share a machine (processes.ts), services (services.ts), files and kernel settings, as the agent's sensors
// read them and its actuator changes them.
import type { ActuatorOutcome, ActuatorReading, Primitive, Reading, ServiceSpec, SignalName } from '../../node/ports/actuator.ts';
import type { NewLines, ProcessDetail, Sample, Sensors } from '../../node/ports/sensors.ts';
import type { SeededRandom } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';
import { Answers } from './answers.ts';
import { type ChangeMachine, SimulatedChanges } from './changes.ts';
import type { FakeProcess } from './fake-process.ts';
import { FakeFiles } from './files.ts';
import { KernelSettings } from './kernel-settings.ts';
import { type MachineSize, Processes } from './processes.ts';
import { Services } from './services.ts';

export class FakeLinux implements Sensors, ChangeMachine {
  readonly source = 'simulated';
  readonly #scheduler: Scheduler;
  readonly #wallMs: () => number;
  readonly processes: Processes;
  readonly services: Services;
  /** The answers on its ports. */
  readonly answers: Answers;
  readonly files: FakeFiles;
  readonly kernel = new KernelSettings();
  /** The actuator's changes, which outlive any agent. */
  readonly changes: SimulatedChanges;
  /** Name servers of the model that answer, by address. */
  readonly nameServers = new Set<string>();
  /** All actions on it, in words, for the trace. */
  onAct: (text: string) => void = () => undefined;
  /** The agent that runs here. */
  waitedMs: () => number = () => 0;

  /** @param aheadMs how far its wall clock is ahead of virtual time now */
  constructor(
    scheduler: Scheduler,
    random: SeededRandom,
    specs: readonly ServiceSpec[],
    size: MachineSize,
    aheadMs: number | (() => number),
  ) {
    this.#scheduler = scheduler;
    this.#wallMs = () => scheduler.nowMs + (typeof aheadMs === 'number' ? aheadMs : aheadMs());
    this.files = new FakeFiles(this.#wallMs);
    this.changes = new SimulatedChanges(scheduler, this);
    this.answers = new Answers(
      specs,
      () => this.services.all(),
      (name) => this.services.isFrozen(name),
    );
    this.processes = new Processes(scheduler, random, size);
    this.services = new Services(scheduler, this.processes, this.answers, specs, this.#wallMs, (text) => this.onAct(text));
  }

  // What sensors see

  sample(): Sample {
    return this.processes.sample(this.#wallMs());
  }

  detail(pid: number): ProcessDetail | undefined {
    return this.processes.detail(pid);
  }

  /** The model has no CPU controller. */
  throttling(): undefined {
    return undefined;
  }

  async newLines(path: string, pattern: string): Promise<NewLines> {
    return this.files.newLines(path, pattern);
  }

  async resolves(server: string): Promise<boolean> {
    return this.nameServers.has(server);
  }

  async servedCertificate(): Promise<undefined> {
    return undefined;
  }

  // The actuator's table

  check(primitive: Primitive): ActuatorOutcome {
    switch (primitive[0]) {
      case 'service.start':
      case 'service.stop':
      case 'cgroup.write':
        return this.services.has(primitive[1]) ? DONE : { ok: false, code: 'not-found', message: `no service ${primitive[1]}` };
      case 'process.signal':
      case 'process.end':
      case 'process.nice':
        return this.#processAt(primitive[1], primitive[2]) === undefined ? gone(primitive[1]) : DONE;
      case 'sysctl.write':
        return this.kernel.hasSysctl(primitive[1]) ? DONE : { ok: false, code: 'not-found', message: `no ${primitive[1]}` };
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
        return this.services.start(primitive[1]);
      case 'service.stop':
        return this.services.stop(primitive[1], true);
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
        this.kernel.setSysctl(primitive[1], primitive[2]);
        return DONE;
      case 'cgroup.write':
        this.kernel.setLimit(primitive[1], primitive[2], primitive[3]);
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
        const process = this.processes.get(reading[1]);
        if (process === undefined) return { ok: false, code: 'gone', message: `no process ${reading[1]}` };
        return { ok: true, value: [process.pid, process.startTicks, process.name, 0, process.nice, 0, 0] };
      }
      case 'sysctl.read':
      case 'cgroup.read':
        return this.kernel.read(reading);
      case 'port.holder':
        return { ok: false, code: 'not-found', message: 'no other process listens on the simulated machine' };
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
    const process = this.processes.get(pid);
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
    const service = this.services.all().find((one) => one.pid === pid);
    if (service === undefined) this.processes.end(pid);
    else this.services.kill(service.name);
  }

  staysDown(name: string, by: 'person' | 'policy' | 'nobody'): void {
    this.services.staysDown(name, by);
  }

  delay(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#scheduler.after(delayMs, resolve));
  }
}

const DONE: ActuatorOutcome = { ok: true };
const gone = (pid: number): ActuatorOutcome => ({ ok: false, code: 'gone', message: `pid ${pid} is not that process any more` });
