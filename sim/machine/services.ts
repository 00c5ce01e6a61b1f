// The services of a simulated machine: the actuator starts, stops and holds them, and faults affect them. A service for fail-over runs only
// while it is held under a fence.
import {
  type ActuatorOutcome,
  type ServiceCheck,
  type ServiceSample,
  type ServiceSpec,
  stoppedService,
} from '../../node/ports/actuator.ts';
import type { Scheduler } from '../scheduler.ts';
import type { Answers } from './answers.ts';
import { type FakeProcess, IDLE, type Workload } from './fake-process.ts';
import type { Processes } from './processes.ts';

const START_MS = 30;
const STOP_MS = 15;
/** A service whose port is in use exits this long after its start. */
const EXITS_MS = 50;
const STOPPED = { state: 'stopped', pid: undefined, startTicks: undefined } as const;

interface HeldService {
  fence: number;
  untilMs: number;
  lapsed: boolean;
}

export class Services {
  readonly #scheduler: Scheduler;
  readonly #processes: Processes;
  readonly #answers: Answers;
  readonly #wallMs: () => number;
  readonly #act: (text: string) => void;
  readonly #services = new Map<string, ServiceSample>();
  readonly #cursed = new Map<string, number>();
  /** Holds of services that run on one machine of the swarm at a time. */
  readonly #held = new Map<string, HeldService>();
  #onExit: (name: string) => void = () => undefined;
  /** A service for fail-over started here, under a fence, or stopped. */
  onFenced: (name: string, fence: number | undefined) => void = () => undefined;

  /** @param act records an action on a service, in words */
  constructor(
    scheduler: Scheduler,
    processes: Processes,
    answers: Answers,
    specs: readonly ServiceSpec[],
    wallMs: () => number,
    act: (text: string) => void,
  ) {
    this.#scheduler = scheduler;
    this.#processes = processes;
    this.#answers = answers;
    this.#wallMs = wallMs;
    this.#act = act;
    for (const spec of specs) {
      this.#services.set(spec.name, stoppedService(spec, wallMs()));
      if (spec.failover === true) this.#held.set(spec.name, { fence: 0, untilMs: 0, lapsed: true });
    }
  }

  all(): readonly ServiceSample[] {
    return [...this.#services.values()];
  }

  has(name: string): boolean {
    return this.#services.has(name);
  }

  #processOf(name: string): FakeProcess | undefined {
    return this.#processes.get(this.#services.get(name)?.pid);
  }

  onExit(listener: (name: string) => void): void {
    this.#onExit = listener;
  }

  /** What systemd shows of a service that is a unit. */
  unitIs(name: string, unitState: string): void {
    const service = this.#services.get(name);
    if (service?.unit === undefined) throw new Error(`no unit ${name}`);
    this.#set(name, { ...service, unitState, state: unitState === 'active' ? 'running' : 'stopped', sinceMs: this.#wallMs() });
  }

  start(name: string): Promise<ActuatorOutcome> {
    return this.#later(START_MS, () => {
      const service = this.#services.get(name);
      if (service === undefined) return { ok: false, code: 'not-found', message: `no service ${name}` };
      if (service.state === 'running') return { ok: true };
      if ((this.#held.get(name)?.untilMs ?? Number.POSITIVE_INFINITY) <= this.#scheduler.nowMs)
        return { ok: false, code: 'refused', message: `${name} is not placed on this machine` };
      const { pid, startTicks } = this.#processes.spawn(name, IDLE);
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
      this.#act(`started ${name}`);
      const livesMs = this.#answers.isOccupied(service.port) ? EXITS_MS : this.#cursed.get(name);
      if (livesMs !== undefined) this.#scheduler.after(livesMs, () => this.#services.get(name)?.pid === pid && this.kill(name));
      return { ok: true };
    });
  }

  /** @param onPurpose a change stopped it, or it is not placed here; else it ends with its supervisor. */
  stop(name: string, onPurpose = this.#held.has(name)): Promise<ActuatorOutcome> {
    return this.#later(STOP_MS, () => {
      const service = this.#services.get(name);
      if (service === undefined) return { ok: false, code: 'not-found', message: `no service ${name}` };
      this.#processes.end(service.pid);
      this.#set(name, { ...service, ...STOPPED, onPurpose, sinceMs: this.#wallMs() });
      this.#act(`stopped ${name}`);
      return { ok: true };
    });
  }

  staysDown(name: string, by: 'person' | 'policy' | 'nobody'): void {
    const service = this.#services.get(name);
    if (service?.state !== 'stopped' || this.#held.has(name)) return;
    this.#set(name, { ...service, onPurpose: by === 'person', byPolicy: by === 'policy' });
  }

  /** As in the actuator: the service is killed when the time has passed, whether the agent runs or not. */
  async hold(name: string, forMs: number, fence: number): Promise<ActuatorOutcome> {
    const held = this.#held.get(name);
    const service = this.#services.get(name);
    if (held === undefined || service === undefined) return { ok: false, code: 'not-found', message: `no such service ${name}` };
    if (forMs < 1) return { ok: false, code: 'refused', message: 'that time has passed' };
    if (fence < held.fence || (fence > held.fence && service.state === 'running'))
      return { ok: false, code: 'refused', message: `${name} was held under fence ${held.fence}` };
    const starts = fence > held.fence || held.lapsed;
    const untilMs = this.#scheduler.nowMs + forMs;
    this.#held.set(name, { fence, untilMs, lapsed: false });
    this.#scheduler.after(forMs, () => this.#held.get(name)?.untilMs === untilMs && this.#lapse(name));
    return starts ? this.start(name) : { ok: true };
  }

  async release(name: string): Promise<ActuatorOutcome> {
    const held = this.#held.get(name);
    if (held === undefined) return { ok: false, code: 'not-found', message: `no such service ${name}` };
    held.lapsed = true;
    const stopped = await this.stop(name);
    if (held.lapsed) held.untilMs = 0;
    return stopped;
  }

  #lapse(name: string): void {
    const service = this.#services.get(name);
    this.#held.set(name, { fence: this.#held.get(name)?.fence ?? 0, untilMs: 0, lapsed: true });
    if (service === undefined) return;
    this.#processes.end(service.pid);
    const sinceMs = this.#wallMs();
    this.#set(name, { ...service, ...STOPPED, onPurpose: true, sinceMs });
    this.#act(`the hold of ${name} has expired`);
  }

  /** The only function that changes the state of a service. */
  #set(name: string, service: ServiceSample): void {
    const wasRunning = this.#services.get(name)?.state === 'running';
    const isRunning = service.state === 'running';
    this.#services.set(name, service);
    const held = this.#held.get(name);
    if (held !== undefined && wasRunning !== isRunning) this.onFenced(name, isRunning ? held.fence : undefined);
  }

  async check(name: string): Promise<ServiceCheck> {
    const service = this.#services.get(name);
    return service === undefined ? 'undeclared' : this.#answers.check(service);
  }

  #later(delayMs: number, act: () => ActuatorOutcome): Promise<ActuatorOutcome> {
    return new Promise((resolve) => this.#scheduler.after(delayMs, () => resolve(act())));
  }

  // Faults

  /** A process outside KALOS ends a service's process. */
  kill(name: string, exitCode?: number): void {
    const service = this.#services.get(name);
    if (service?.pid === undefined) return;
    this.#processes.end(service.pid);
    const exitSignal = exitCode === undefined ? 'SIGKILL' : undefined;
    this.#set(name, { ...service, ...STOPPED, state: 'exited', exitCode, exitSignal, sinceMs: this.#wallMs() });
    this.#onExit(name);
  }

  /** A process outside KALOS starts a service, immediately. */
  revive(name: string): void {
    const service = this.#services.get(name);
    if (service === undefined || service.state === 'running') return;
    const { pid, startTicks } = this.#processes.spawn(name, IDLE);
    this.#set(name, { ...service, state: 'running', pid, startTicks, sinceMs: this.#wallMs() });
  }

  /** From now on a service exits this long after each start. */
  curse(name: string, livesMs: number): void {
    this.#cursed.set(name, livesMs);
  }

  bless(name: string): void {
    this.#cursed.delete(name);
  }

  /** From now on a service's process needs more resources, until it is replaced. */
  burden(name: string, workload: Partial<Workload>): void {
    const process = this.#processOf(name);
    if (process !== undefined) process.workload = { ...process.workload, ...workload };
  }

  isFrozen(name: string): boolean {
    return this.#processOf(name)?.stopped ?? false;
  }

  freeze(name: string): void {
    const process = this.#processOf(name);
    if (process !== undefined) process.stopped = true;
  }
}
