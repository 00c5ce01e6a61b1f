// What an agent can do to its machine: a fixed table of primitives, each a step of a change whose undo is armed before the
// first step is tried. No primitive takes a shell string. The table itself is in native/actuator/primitives.cc.

/** How a service is seen to be well. */
export type ServiceCheckSpec =
  | { kind: 'tcp' }
  /** GET on the service's own port; well where the status is 200 to 399. */
  | { kind: 'http'; path: string }
  /** Well where the program ends with 0; it runs as the service does. */
  | { kind: 'exec'; command: readonly string[] }
  /** Well once a line that holds this text was written since the start. */
  | { kind: 'log'; text: string }
  /** Well while the log grew within this time. */
  | { kind: 'silence'; withinMs: number };

export const RESTART_RULES = ['always', 'on-failure', 'never'] as const;

export interface ServiceBounds {
  memoryBytes?: number | undefined;
  cpus?: number | undefined;
  processes?: number | undefined;
  /** Open file descriptors of all its processes. */
  files?: number | undefined;
  /** Written to disks, bytes a second. */
  writeBytesPerS?: number | undefined;
}

export interface ServiceSpec {
  name: string;
  /** argv: the program and its arguments. */
  command: readonly string[];
  directory?: string | undefined;
  environment?: Readonly<Record<string, string>> | undefined;
  /** A TCP port on which the service answers when it is well; its peers may probe it. */
  port?: number | undefined;
  /** The agent's own where it is not given; another needs the actuator's policy. */
  user?: string | undefined;
  check?: ServiceCheckSpec | undefined;
  /** Services that must be well before this one is started. */
  after?: readonly string[] | undefined;
  restart?: (typeof RESTART_RULES)[number] | undefined;
  /** Disruptive to touch: the risk class of its tools is R2. */
  critical?: boolean | undefined;
  limits?:
    | { files?: number | undefined; processes?: number | undefined; memoryBytes?: number | undefined; cpus?: number | undefined }
    | undefined;
  /** What it may use, with all that it started; beyond it for a while it is restarted. */
  bounds?: ServiceBounds | undefined;
  stop?: { signal?: SignalName | undefined; graceMs?: number | undefined } | undefined;
  /** The log is rotated beyond this. */
  logBytes?: number | undefined;
  /** A program that runs to its end when it is asked to; it is neither started with the others nor kept up. */
  task?: boolean | undefined;
  /** Whoever else listens on its port may be ended. */
  portExclusive?: boolean | undefined;
  /** Files that it reads at its start: what they held when it was last well is kept. */
  config?: readonly string[] | undefined;
  /** A regular expression: a line of its log that it matches is told. */
  alert?: string | undefined;
  /** A systemd unit of this name is the service: systemd starts and stops it, not the actuator. */
  unit?: string | undefined;
  /** Declared on several members, and run by one of them at a time: the one that the swarm has placed it on. */
  failover?: boolean | undefined;
}

export type ServiceState = 'stopped' | 'running' | 'exited';

/** What a look at a service found: `failed` is an answer that says it is not well, `unknown` that there was no looking. */
export type ServiceCheck = 'open' | 'refused' | 'silent' | 'failed' | 'undeclared' | 'unknown';

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
  /** The systemd unit that it is; undefined where the actuator is its parent. */
  unit: string | undefined;
  /**
   * What systemd calls the state of that unit: `active`, `inactive`, `failed`, `activating`, `deactivating`, `auto-restart`, or, where it does
   * not run, why it cannot be loaded (`masked`, `not-found`, …); `unknown` where systemd does not answer. Empty where there is no unit.
   */
  unitState: string;
  /** A person stopped it, or it is not for this machine to run: nothing starts it. */
  onPurpose: boolean;
  /** A policy stopped it: reported, and not started again while the actuator runs. */
  byPolicy: boolean;
  /** Run by one member at a time. */
  failover: boolean;
  restart: (typeof RESTART_RULES)[number];
  critical: boolean;
  bounds: ServiceBounds;
  /** CPUs that it is limited to at its start; undefined where it is not. */
  limitCpus: number | undefined;
  task: boolean;
  portExclusive: boolean;
  /** Whether there is a way to see that it is well: a port, or a check. */
  checked: boolean;
}

/** Of a unit that does not run, by what systemd calls it; else it is named as it is. */
const UNIT_STATES: Readonly<Record<string, string>> = {
  inactive: 'inactive in systemd, and no service.stop asked for it',
  activating: 'being started by systemd',
  deactivating: 'being stopped by systemd',
  'auto-restart': 'it ended, and systemd waits before it starts it again',
  masked: 'masked in systemd',
};

/** Why a declared service is not running, for people; empty if it runs, or is a task. */
export function whyDown(service: ServiceSample): string {
  const { state, onPurpose, byPolicy, failover, unit, unitState, task, exitCode, exitSignal } = service;
  if (unitState === 'unknown') return `systemd does not say how ${unit} is`;
  if (state === 'running' || task) return '';
  if (state === 'exited') return `exited with ${exitSignal ?? `status ${exitCode ?? 'unknown'}`}`;
  if (byPolicy) return 'stopped by a policy';
  if (onPurpose) return failover ? 'not placed on this machine' : 'stopped by a person';
  if (unit === undefined) return 'not started';
  return unitState === 'not-found' ? `systemd has no unit ${unit}` : (UNIT_STATES[unitState] ?? `${unitState} in systemd`);
}

/** A declared service before its first start. */
export function stoppedService(spec: ServiceSpec, sinceMs: number): ServiceSample {
  const { name, port, unit, restart, critical, bounds, limits, task, portExclusive, check, failover } = spec;
  return {
    name,
    port,
    unit,
    limitCpus: limits?.cpus,
    task: task ?? false,
    portExclusive: portExclusive ?? false,
    checked: check !== undefined || port !== undefined,
    restart: restart ?? 'always',
    critical: critical ?? false,
    bounds: bounds ?? {},
    unitState: unit === undefined ? '' : 'unknown', // until systemd was asked
    onPurpose: failover === true, // until it is held
    byPolicy: false,
    failover: failover ?? false,
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

export const LIMIT_RESOURCES = ['nofile', 'nproc', 'as', 'core', 'fsize', 'cpu', 'memlock'] as const;
export type LimitResource = (typeof LIMIT_RESOURCES)[number];
export const CGROUP_CONTROLLERS = ['cpu', 'memory', 'freezer'] as const;
export type CgroupController = (typeof CGROUP_CONTROLLERS)[number];

type Pid = number;
type Ticks = number;

export type Primitive =
  | readonly ['service.start' | 'service.stop', string]
  | readonly ['unit', 'start' | 'stop' | 'restart' | 'reload', string]
  /** user (empty: the agent's), argv, ms to live */
  | readonly ['spawn', string, readonly string[], number]
  | readonly ['spawn.end']
  | readonly ['process.signal', Pid, Ticks, SignalName]
  /** grace in ms: TERM, after it KILL; done once it is gone */
  | readonly ['process.end', Pid, Ticks, number]
  | readonly ['process.nice', Pid, Ticks, number]
  /** class, level, as in ioprio_set(2) */
  | readonly ['process.ioprio', Pid, Ticks, number, number]
  /** soft, hard; -1 is none */
  | readonly ['process.limit', Pid, Ticks, LimitResource, number, number]
  | readonly ['sysctl.write', string, string]
  /** device, attribute, value */
  | readonly ['block.write', string, 'scheduler' | 'read_ahead_kb', string]
  /** service, controller, value: thousandths of a core, bytes, or 0 and 1; 0 lifts the limit */
  | readonly ['cgroup.write', string, CgroupController, number]
  /** path, content, mode (-1 keeps what there is) */
  | readonly ['file.replace', string, Uint8Array, number]
  | readonly ['file.remove', string]
  /** path, how many old ones are kept */
  | readonly ['file.rotate', string, number]
  /** path, the key of a change whose backup is archived */
  | readonly ['file.recall', string, string]
  /** Undo what the same step did: of file.replace and file.recall, of file.remove, of file.rotate. */
  | readonly ['file.restore' | 'file.return', string]
  | readonly ['file.unrotate', string, number]
  /** directory, names in it: all at once, without taking space or inodes */
  | readonly ['files.hide' | 'files.show', string, readonly string[]]
  | readonly ['net.block' | 'net.unblock', string];

export type Reading =
  | readonly ['process.read', Pid]
  /** Who listens on a TCP port: pid, start ticks, program, uid. */
  | readonly ['port.holder', number]
  | readonly ['sysctl.read', string]
  | readonly ['block.read', string, 'scheduler' | 'read_ahead_kb']
  | readonly ['cgroup.read', string, CgroupController]
  | readonly ['file.stat' | 'file.list' | 'file.read', string]
  /** Who has it open for writing: pid, start ticks, program, uid, service or '', bytes written to anything; a list. */
  | readonly ['file.writers', string]
  /** The content that a settled change replaced, by the change's key. */
  | readonly ['archive.read', string];

export interface Step {
  readonly do: Primitive;
  /** Leads back to what was before, however often it is done; undefined where nothing does. */
  readonly undo: Primitive | undefined;
}

/** As the actuator has it, and as it is hashed. */
export const stepToWire = (step: Step): [Primitive, Primitive | []] => [step.do, step.undo ?? []];

/**
 * Why not: the machine refused, the target is gone, it is not this agent's to touch, or, as `unknown`, nobody can tell:
 * the actuator did not answer.
 */
export type ActuatorFailure = { ok: false; code: 'not-found' | 'gone' | 'refused' | 'failed' | 'unknown'; message: string };
export type ActuatorOutcome = { ok: true } | ActuatorFailure;
/** The value as CBOR gives it: parsed by whoever asked. */
export type ActuatorReading = { ok: true; value: unknown } | ActuatorFailure;

export interface ChangeStatus {
  /** `failed`: it was to be undone, and could not be. */
  state: 'unknown' | 'armed' | 'confirmed' | 'undone' | 'failed';
  /** How many steps were tried. */
  begun: number;
  reason: string;
}

/** An agent of this machine that hung, as the actuator saw it. */
export interface Stall {
  /** Wall clock ms of when it was noticed. */
  atMs: number;
  lastedMs: number;
  /** It was killed, so that it is restarted. */
  ended: boolean;
  /** What was seen of it, and why it was not killed. */
  words: string;
}

/** By both of the agent’s clocks: whichever comes first. */
export interface Deadline {
  monotonicMs: number;
  wallMs: number;
}

export interface Actuator {
  /** All services that are declared. */
  services(): readonly ServiceSample[];
  /** Starts a declared service that does not run: what supervision means, not a repair. */
  bringUp(name: string): Promise<ActuatorOutcome>;
  /**
   * A service for fail-over is this machine's for so long: started under this fence, which it is told in `KALOS_FENCE`, and killed
   * when the time is over and nobody has held it again, whatever became of the agent.
   * @param until a minute from now at most
   * @param fence higher than any before it; or the same, to renew it
   */
  hold(name: string, until: Deadline, fence: number): Promise<ActuatorOutcome>;
  /** It is not this machine's any more: stopped, once this resolves. */
  release(name: string): Promise<ActuatorOutcome>;

  /** Whether steps could be armed now; changes nothing. */
  check(steps: readonly Step[]): Promise<ActuatorOutcome>;

  /**
   * Takes a change: every step is checked, and all is on disk when this resolves. Unless it is confirmed within
   * `fireAfterMs`, or when the agent dies, its steps are undone, the last first.
   * @param id armed at most once, ever.
   * @param leave where it is disruptive: why it may be done, as node/action/authorization.ts encodes it
   */
  arm(id: string, fireAfterMs: number, steps: readonly Step[], leave?: Uint8Array): Promise<ActuatorOutcome>;
  /** Tries a step, in order, each at most once. */
  apply(id: string, step: number): Promise<ActuatorOutcome>;
  /** It is to stay. @param byPerson what it stopped stays down until it is started again (the default); else only while the actuator runs. */
  confirm(id: string, byPerson?: boolean): Promise<ActuatorOutcome>;
  undo(id: string, reason: string): Promise<ActuatorOutcome>;
  /** @throws where the actuator cannot be asked. */
  change(id: string): Promise<ChangeStatus>;

  /** The one-off program that the step of this key (`CHANGE-STEP`) started; undefined where there is none. */
  program(key: string): Promise<Pick<ServiceSample, 'state' | 'exitCode' | 'exitSignal'> | undefined>;
  read(reading: Reading): Promise<ActuatorReading>;
  /** Looks whether a service is well, by its declared check, on this machine. */
  checkService(name: string, timeoutMs: number): Promise<ServiceCheck>;
  /** Where a service's output goes; undefined where the actuator does not keep it. */
  logOf(name: string): string | undefined;
  /** Called at once when a service ends by itself. */
  onExit(listener: (name: string) => void): void;
  /** Called when an actuator answers again: it may be another process, which has stopped or lost services. */
  onBack(listener: () => void): void;
  /** Recent stalls of this machine's agents, the oldest first; none if the actuator (before 0.4.0) does not watch for them. */
  stalls(): Promise<readonly Stall[]>;
  /** Ms for which the actuator has not answered; undefined if it takes no heartbeat. */
  silentMs(): number | undefined;
  /** The agent leaves for good. */
  close(): Promise<void>;
  /** The agent ends, and is back at once: services go on. */
  leave(): Promise<void>;
}
