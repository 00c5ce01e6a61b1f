// The Actuator port on child processes of the agent: the services it supervises itself. Programs start from argv,
// never through a shell; a signal goes only to the process that is still the one that was meant (pid and start time).
// The C++ actuator takes this place with the work on safe action; the port stays.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { probeTcp } from '../../../swarm/adapters/tcp-probe.ts';
import {
  type Actuator,
  type ActuatorOutcome,
  type ServiceSample,
  type ServiceSpec,
  type SignalName,
  stoppedService,
} from '../../../swarm/ports/actuator.ts';

const STOP_GRACE_MS = 5_000;
const MAX_LOG_BYTES = 10 * 1024 * 1024;
/** A program that ends sooner than this did not start. */
const SPAWN_SETTLE_MS = 50;

interface Supervised {
  spec: ServiceSpec;
  sample: ServiceSample;
  child: ChildProcess | undefined;
  /** Set while the agent itself ends it: then its end is no fault. */
  stopping: boolean;
}

/** Start time in jiffies since boot, from /proc/PID/stat; undefined where the process is gone. */
export function startTicksOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return undefined;
  }
}

export class Supervisor implements Actuator {
  readonly #directory: string;
  readonly #services = new Map<string, Supervised>();
  #onExit: (name: string) => void = () => undefined;

  /** @param directory for the services' logs and the pids of those that run. */
  constructor(specs: readonly ServiceSpec[], directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    for (const spec of specs)
      this.#services.set(spec.name, { spec, sample: stoppedService(spec, Date.now()), child: undefined, stopping: false });
  }

  services(): readonly ServiceSample[] {
    return [...this.#services.values()].map(({ sample }) => sample);
  }

  onExit(listener: (name: string) => void): void {
    this.#onExit = listener;
  }

  async startService(name: string): Promise<ActuatorOutcome> {
    const service = this.#services.get(name);
    if (service === undefined) return { ok: false, code: 'not-found', message: `no service ${name}` };
    if (service.sample.state === 'running') return { ok: true };
    await this.#endLeftover(name);
    const child = this.#spawn(service.spec);
    const failure = await new Promise<Error | undefined>((resolve) => {
      child.once('error', resolve);
      child.once('spawn', () => setTimeout(() => resolve(undefined), SPAWN_SETTLE_MS));
    });
    if (failure !== undefined) {
      this.#update(service, { state: 'exited', pid: undefined, startTicks: undefined });
      return { ok: false, code: 'failed', message: `${service.spec.command[0]}: ${failure.message}` };
    }
    this.#started(service, child);
    return { ok: true };
  }

  #started(service: Supervised, child: ChildProcess): void {
    const { pid } = child;
    const startTicks = pid === undefined ? undefined : startTicksOf(pid);
    service.child = child;
    service.stopping = false;
    this.#update(service, {
      state: 'running',
      pid,
      startTicks,
      exitCode: undefined,
      exitSignal: undefined,
      starts: service.sample.starts + 1,
    });
    writeFileSync(this.#pidFile(service.spec.name), JSON.stringify({ pid, startTicks }));
    if (child.exitCode !== null || child.signalCode !== null) this.#ended(service, child);
    else child.once('exit', () => this.#ended(service, child));
  }

  #ended(service: Supervised, child: ChildProcess): void {
    if (service.child !== child) return;
    service.child = undefined;
    const state = service.stopping ? 'stopped' : 'exited';
    this.#update(service, {
      state,
      pid: undefined,
      startTicks: undefined,
      exitCode: child.exitCode ?? undefined,
      exitSignal: child.signalCode ?? undefined,
    });
    if (state === 'exited') this.#onExit(service.spec.name);
  }

  #update(service: Supervised, change: Partial<ServiceSample>): void {
    service.sample = { ...service.sample, ...change, sinceMs: Date.now() };
  }

  #spawn(spec: ServiceSpec): ChildProcess {
    const [program = '', ...args] = spec.command;
    const log = this.#openLog(spec.name);
    try {
      return spawn(program, args, {
        cwd: spec.directory,
        env: { ...minimalEnvironment(), ...spec.environment },
        stdio: ['ignore', log, log],
        shell: false,
        detached: true, // a group of its own: a terminal's ^C is the agent's to handle
      });
    } finally {
      closeSync(log);
    }
  }

  #openLog(name: string): number {
    const path = join(this.#directory, `${name}.log`);
    try {
      if (statSync(path).size > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
    } catch {
      // there is none yet
    }
    return openSync(path, 'a', 0o640);
  }

  #pidFile(name: string): string {
    return join(this.#directory, `${name}.pid`);
  }

  /** A process of a former agent that died without stopping it: ended first, or its port stays taken. */
  async #endLeftover(name: string): Promise<void> {
    let recorded: { pid?: number; startTicks?: number };
    try {
      recorded = JSON.parse(readFileSync(this.#pidFile(name), 'utf8'));
    } catch {
      return;
    }
    const { pid, startTicks } = recorded;
    if (pid === undefined || startTicks === undefined || startTicksOf(pid) !== startTicks) return;
    await endProcess(pid, startTicks);
  }

  async stopService(name: string): Promise<ActuatorOutcome> {
    const service = this.#services.get(name);
    if (service === undefined) return { ok: false, code: 'not-found', message: `no service ${name}` };
    const { child, sample } = service;
    service.stopping = true;
    if (child === undefined || sample.pid === undefined || sample.startTicks === undefined) {
      this.#update(service, { state: 'stopped' });
      return { ok: true };
    }
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    await endProcess(sample.pid, sample.startTicks);
    await ended;
    return { ok: true };
  }

  async signalService(name: string, pid: number, startTicks: number, signal: SignalName): Promise<ActuatorOutcome> {
    const service = this.#services.get(name);
    if (service === undefined) return { ok: false, code: 'not-found', message: `no service ${name}` };
    const same = service.sample.pid === pid && startTicksOf(pid) === startTicks;
    if (!same) return { ok: false, code: 'gone', message: `pid ${pid} is not ${name} any more` };
    process.kill(pid, `SIG${signal}`);
    return { ok: true };
  }

  async checkService(name: string, timeoutMs: number): Promise<'open' | 'refused' | 'silent' | 'undeclared'> {
    const port = this.#services.get(name)?.spec.port;
    return port === undefined ? 'undeclared' : probeTcp('127.0.0.1', port, timeoutMs);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#services.keys()].map((name) => this.stopService(name)));
  }
}

/** Services get a clean environment: nothing of the agent's own, its secret least of all. */
function minimalEnvironment(): Record<string, string> {
  const { PATH = '/usr/local/bin:/usr/bin:/bin', HOME = '/', LANG = 'C.UTF-8' } = process.env;
  return { PATH, HOME, LANG };
}

/** SIGTERM (and SIGCONT, or a frozen one never sees it), then SIGKILL after the grace; resolves once it is gone. */
async function endProcess(pid: number, startTicks: number): Promise<void> {
  const lives = (): boolean => startTicksOf(pid) === startTicks && !isZombie(pid);
  const send = (signal: NodeJS.Signals): void => {
    try {
      if (lives()) process.kill(pid, signal);
    } catch {
      // it ended in between
    }
  };
  send('SIGTERM');
  send('SIGCONT');
  for (let waitedMs = 0; lives(); waitedMs += SPAWN_SETTLE_MS) {
    if (waitedMs >= STOP_GRACE_MS) send('SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, SPAWN_SETTLE_MS));
  }
}

function isZombie(pid: number): boolean {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text[text.lastIndexOf(')') + 2] === 'Z';
  } catch {
    return true;
  }
}
