// What an agent can do to its machine: a fixed table of primitives. No primitive takes a shell string.

export interface ServiceSpec {
  name: string;
  /** argv: the program and its arguments. */
  command: readonly string[];
  directory?: string | undefined;
  environment?: Readonly<Record<string, string>> | undefined;
  /** A TCP port on which the service answers when it is well; its peers may probe it. */
  port?: number | undefined;
}

export type ServiceState = 'stopped' | 'running' | 'exited';

export interface ServiceSample {
  name: string;
  state: ServiceState;
  pid: number | undefined;
  /** Names the process for good, together with the pid; undefined until it is known. */
  startTicks: number | undefined;
  exitCode: number | undefined;
  exitSignal: string | undefined;
  /** How often it was started. */
  starts: number;
  /** Wall clock of the last change of state. */
  sinceMs: number;
  port: number | undefined;
}

/** A declared service before its first start. */
export function stoppedService({ name, port }: ServiceSpec, sinceMs: number): ServiceSample {
  return {
    name,
    port,
    state: 'stopped',
    pid: undefined,
    startTicks: undefined,
    exitCode: undefined,
    exitSignal: undefined,
    starts: 0,
    sinceMs,
  };
}

export const SIGNALS = ['TERM', 'KILL', 'STOP', 'CONT', 'HUP', 'INT', 'USR1', 'USR2'] as const;
export type SignalName = (typeof SIGNALS)[number];

/** `done`, or why not: the machine refused, the target is gone, or it is not this agent's to touch. */
export type ActuatorOutcome = { ok: true } | { ok: false; code: 'not-found' | 'gone' | 'refused' | 'failed'; message: string };

export interface Actuator {
  /** All services that the agent supervises. */
  services(): readonly ServiceSample[];
  startService(name: string): Promise<ActuatorOutcome>;
  /** SIGTERM, then SIGKILL after a grace; resolves once the process is gone. */
  stopService(name: string): Promise<ActuatorOutcome>;
  /** Signals the process of a supervised service, and only if it is still the one that started at `startTicks`. */
  signalService(name: string, pid: number, startTicks: number, signal: SignalName): Promise<ActuatorOutcome>;
  /** Connects by TCP to the service's own declared port on this machine. */
  checkService(name: string, timeoutMs: number): Promise<'open' | 'refused' | 'silent' | 'undeclared'>;
  /** Called at once when a supervised process ends. */
  onExit(listener: (name: string) => void): void;
  close(): Promise<void>;
}
