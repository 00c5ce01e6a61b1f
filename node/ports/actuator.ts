// The changes that an agent can make to its machine: a fixed table of primitives, each a step of a change whose undo is armed before the
// first step is tried. No primitive takes a shell string. The table itself is in native/actuator/primitives.cc.

/** The health check of a service. */
export type ServiceCheckSpec =
  | { kind: 'tcp' }
  /** GET on the service's own port; healthy if the status is 200 to 399. */
  | { kind: 'http'; path: string }
  /** Healthy if the program exits with 0; it runs as the user of the service. */
  | { kind: 'exec'; command: readonly string[] }
  /** Healthy once a line with this text was written since the start. */
  | { kind: 'log'; text: string }
  /** Healthy if the log grew within this time. */
  | { kind: 'silence'; withinMs: number };

export const RESTART_RULES = ['always', 'on-failure', 'never'] as const;

export interface ServiceBounds {
  memoryBytes?: number | undefined;
  cpus?: number | undefined;
  processes?: number | undefined;
  /** Open file descriptors of all its processes. */
  files?: number | undefined;
  /** Written to disks, bytes per second. */
  writeBytesPerS?: number | undefined;
}

export interface ServiceSpec {
  name: string;
  /** argv: the program and its arguments. */
  command: readonly string[];
  directory?: string | undefined;
  environment?: Readonly<Record<string, string>> | undefined;
  /** A TCP port on which a healthy service answers; other members may probe it. */
  port?: number | undefined;
  /** Default: the agent's user; another needs the actuator's policy. */
  user?: string | undefined;
  check?: ServiceCheckSpec | undefined;
  /** Services that must be healthy before this one is started. */
  after?: readonly string[] | undefined;
  restart?: (typeof RESTART_RULES)[number] | undefined;
  /** Changes to it are disruptive: the risk class of its tools is R2. */
  critical?: boolean | undefined;
  limits?:
    | { files?: number | undefined; processes?: number | undefined; memoryBytes?: number | undefined; cpus?: number | undefined }
    | undefined;
  /** Its limits, including its child processes; it is restarted if it exceeds them for some time. */
  bounds?: ServiceBounds | undefined;
  stop?: { signal?: SignalName | undefined; graceMs?: number | undefined } | undefined;
  /** The log is rotated beyond this. */
  logBytes?: number | undefined;
  /** A program that runs on request and exits; it is not started with the others, and not restarted. */
  task?: boolean | undefined;
  /** Another process that listens on its port may be killed. */
  portExclusive?: boolean | undefined;
  /** Files that it reads at its start: their content when it was last healthy is stored. */
  config?: readonly string[] | undefined;
  /** A regular expression: lines of its log that match are reported. */
  alert?: string | undefined;
  /** A systemd unit of this name is the service: systemd starts and stops it, not the actuator. */
  unit?: string | undefined;
  /** Declared on several members, and run by one at a time: the member that the swarm placed it on. */
  failover?: boolean | undefined;
}

export type ServiceState = 'stopped' | 'running' | 'exited';

/** The result of a check: `failed`: the service reports itself unhealthy; `unknown`: it could not be checked. */
export type ServiceCheck = 'open' | 'refused' | 'silent' | 'failed' | 'undeclared' | 'unknown';

export interface ServiceSample {
  name: string;
  state: ServiceState;
  pid: number | undefined;
  /** With the pid it identifies the process permanently; undefined until it is known. */
  startTicks: number | undefined;
  exitCode: number | undefined;
  exitSignal: string | undefined;
  /** Number of starts. */
  starts: number;
  /** Wall clock of the last change of state. */
  sinceMs: number;
  port: number | undefined;
  /** Its systemd unit; undefined if the actuator is its parent. */
  unit: string | undefined;
  /**
   * The state of that unit in systemd's words: `active`, `inactive`, `failed`, `activating`, `deactivating`, `auto-restart`, or, if it does
   * not run, why it cannot be loaded (`masked`, `not-found`, …); `unknown` if systemd does not answer. Empty without a unit.
   */
  unitState: string;
  /** A person stopped it, or it is placed on another machine: nothing starts it. */
  onPurpose: boolean;
  /** A policy stopped it: reported, and not started again while the actuator runs. */
  byPolicy: boolean;
  /** A fail-over service: run by one member at a time. */
  failover: boolean;
  restart: (typeof RESTART_RULES)[number];
  critical: boolean;
  bounds: ServiceBounds;
  /** Its CPU limit at its start; undefined without one. */
  limitCpus: number | undefined;
  task: boolean;
  portExclusive: boolean;
  /** Whether its health can be checked: it has a port or a check. */
  checked: boolean;
}

/** Text for states of a unit that is not running; another state is shown as it is. */
const UNIT_STATES: Readonly<Record<string, string>> = {
  inactive: 'inactive in systemd, but not stopped by service.stop',
  activating: 'being started by systemd',
  deactivating: 'being stopped by systemd',
  'auto-restart': 'it exited; systemd will restart it',
  masked: 'masked in systemd',
};

/** Why a declared service is not running, for people; empty if it runs, or is a task. */
export function whyDown(service: ServiceSample): string {
  const { state, onPurpose, byPolicy, failover, unit, unitState, task, exitCode, exitSignal } = service;
  if (unitState === 'unknown') return `systemd reports no state for ${unit}`;
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
    unitState: unit === undefined ? '' : 'unknown', // until systemd answers
    onPurpose: failover === true, // until it is placed here
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
  /** grace in ms: TERM, then KILL; done once the process has exited */
  | readonly ['process.end', Pid, Ticks, number]
  | readonly ['process.nice', Pid, Ticks, number]
  /** class, level, as in ioprio_set(2) */
  | readonly ['process.ioprio', Pid, Ticks, number, number]
  /** soft, hard; -1 is none */
  | readonly ['process.limit', Pid, Ticks, LimitResource, number, number]
  | readonly ['sysctl.write', string, string]
  /** device, attribute, value */
  | readonly ['block.write', string, 'scheduler' | 'read_ahead_kb', string]
  /** service, controller, value: thousandths of a core, bytes, or 0 and 1; 0 removes the limit */
  | readonly ['cgroup.write', string, CgroupController, number]
  /** path, content, mode (-1 keeps the current one) */
  | readonly ['file.replace', string, Uint8Array, number]
  | readonly ['file.remove', string]
  /** path, number of old files to keep */
  | readonly ['file.rotate', string, number]
  /** path, the key of a change whose backup is archived */
  | readonly ['file.recall', string, string]
  /** Undo of the same step: of file.replace and file.recall, of file.remove, of file.rotate. */
  | readonly ['file.restore' | 'file.return', string]
  | readonly ['file.unrotate', string, number]
  /** directory, names in it: atomic for all, uses no space and no inodes */
  | readonly ['files.hide' | 'files.show', string, readonly string[]]
  | readonly ['net.block' | 'net.unblock', string];

export type Reading =
  | readonly ['process.read', Pid]
  /** The process that listens on a TCP port: pid, start ticks, program, uid. */
  | readonly ['port.holder', number]
  | readonly ['sysctl.read', string]
  | readonly ['block.read', string, 'scheduler' | 'read_ahead_kb']
  | readonly ['cgroup.read', string, CgroupController]
  | readonly ['file.stat' | 'file.list' | 'file.read', string]
  /** Processes that have it open for writing: a list of pid, start ticks, program, uid, service or '', bytes written to any file. */
  | readonly ['file.writers', string]
  /** The content that a settled change replaced, by the change's key. */
  | readonly ['archive.read', string];

export interface Step {
  readonly do: Primitive;
  /** Restores the state before; idempotent. Undefined if there is no undo. */
  readonly undo: Primitive | undefined;
}

/** In the actuator's form, which is also hashed. */
export const stepToWire = (step: Step): [Primitive, Primitive | []] => [step.do, step.undo ?? []];

/**
 * The reason: the machine refused, the target is gone, this agent has no permission, or `unknown`:
 * the actuator did not answer.
 */
export type ActuatorFailure = { ok: false; code: 'not-found' | 'gone' | 'refused' | 'failed' | 'unknown'; message: string };
export type ActuatorOutcome = { ok: true } | ActuatorFailure;
/** The decoded CBOR value: the caller parses it. */
export type ActuatorReading = { ok: true; value: unknown } | ActuatorFailure;

export interface ChangeStatus {
  /** `failed`: the undo failed. */
  state: 'unknown' | 'armed' | 'confirmed' | 'undone' | 'failed';
  /** Number of steps tried. */
  begun: number;
  reason: string;
}

/** An agent of this machine that hung, as the actuator saw it. */
export interface Stall {
  /** Wall clock ms when it was noticed. */
  atMs: number;
  lastedMs: number;
  /** Whether it was killed, so that it is restarted. */
  ended: boolean;
  /** What was observed, and why it was not killed. */
  words: string;
}

/** By both of the agent’s clocks: the first to reach it counts. */
export interface Deadline {
  monotonicMs: number;
  wallMs: number;
}

export interface Actuator {
  /** All declared services. */
  services(): readonly ServiceSample[];
  /** Starts a declared service that is not running. This is supervision, not a repair. */
  bringUp(name: string): Promise<ActuatorOutcome>;
  /**
   * Runs a fail-over service on this machine until a time: it gets the fencing token in `KALOS_FENCE`, and is killed
   * when the time is over without a renewal, even if the agent is dead.
   * @param until at most a minute from now
   * @param fence higher than any before it; or the same, to renew it
   */
  hold(name: string, until: Deadline, fence: number): Promise<ActuatorOutcome>;
  /** Stops a fail-over service that is no longer placed on this machine; it is stopped once this resolves. */
  release(name: string): Promise<ActuatorOutcome>;

  /** Whether steps could be armed now; has no side effects. */
  check(steps: readonly Step[]): Promise<ActuatorOutcome>;

  /**
   * Arms a change: every step is checked, and all is on disk when this resolves. Unless it is confirmed within
   * `fireAfterMs`, or if the agent dies, its steps are undone, the last first.
   * @param id can be armed only once.
   * @param authorization for a disruptive change, as node/action/authorization.ts encodes it
   */
  arm(id: string, fireAfterMs: number, steps: readonly Step[], authorization?: Uint8Array): Promise<ActuatorOutcome>;
  /** Tries a step. Steps run in order, each at most once. */
  apply(id: string, step: number): Promise<ActuatorOutcome>;
  /** Makes the change permanent. @param byPerson a service that it stopped stays down until it is started again (the default); else only while the actuator runs. */
  confirm(id: string, byPerson?: boolean): Promise<ActuatorOutcome>;
  undo(id: string, reason: string): Promise<ActuatorOutcome>;
  /** @throws if the actuator is unreachable. */
  change(id: string): Promise<ChangeStatus>;

  /** The one-off program that the step of this key (`CHANGE-STEP`) started; undefined if there is none. */
  program(key: string): Promise<Pick<ServiceSample, 'state' | 'exitCode' | 'exitSignal'> | undefined>;
  read(reading: Reading): Promise<ActuatorReading>;
  /** Checks whether a service is healthy, by its declared check, on this machine. */
  checkService(name: string, timeoutMs: number): Promise<ServiceCheck>;
  /** The file with a service's output; undefined if the actuator does not keep it. */
  logOf(name: string): string | undefined;
  /** Called immediately when a service exits by itself. */
  onExit(listener: (name: string) => void): void;
  /** Called when the actuator answers again: it may be a new process, which has stopped or lost services. */
  onBack(listener: () => void): void;
  /** Recent stalls of this machine's agents, the oldest first; none if the actuator (before 0.4.0) does not watch for them. */
  stalls(): Promise<readonly Stall[]>;
  /** Ms for which the actuator has not answered; undefined if it takes no heartbeat. */
  silentMs(): number | undefined;
  /** The agent stops. */
  close(): Promise<void>;
  /** The agent restarts: services keep running. */
  leave(): Promise<void>;
}
