// `kalos up`: one agent in the foreground, until SIGINT or SIGTERM.
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { inspect } from 'node:util';
import { counted } from '../../swarm/words.ts';
import { type Notifier, systemdNotifier } from '../adapters/systemd-notify.ts';
import type { AgentStatus } from '../agent/agent-status.ts';
import { stateDirectory } from '../config/adapters/state-directory.ts';
import { KalosError, reasonOf } from '../errors.ts';
import type { LogFormat, LogLevel } from '../log-levels.ts';
import type { RunningNode } from '../main.ts';
import { afterFailure, FAILURES_KEY } from './again.ts';
import { AgentLog, isJournalStream } from './agent-log.ts';
import { EXIT } from './exit-codes.ts';
import { compactHeap, trim } from './memory.ts';
import { bytes, paint } from './output.ts';
import { iso } from './times.ts';

export interface UpOptions {
  dir?: string;
  config?: string;
  name?: string;
  mode?: string;
  listen?: string;
  join?: string[];
  swarmName?: string;
  rootKeys: number;
  rootThreshold?: number;
  private: boolean;
  mdns: boolean;
  page?: string;
  init?: boolean;
  user?: string;
  watchdog?: string;
  logLevel?: LogLevel;
  logFormat?: LogFormat;
}

/** The launcher starts the agent again. */
const EXIT_RESTART = 75;
/** After the start: it leaves 4 MB of garbage, which V8 would keep for hours in an idle agent. */
const COMPACT_AFTER_MS = 15_000;
/** And periodically: an idle agent's allocations are garbage within minutes, but V8 does not collect them. */
const COMPACT_EVERY_MS = 600_000;
const TRIM_EVERY_MS = 60_000;

/** The command as the user types it, for hints. */
export function commandName(): string {
  const invoked = process.env.KALOS_COMMAND;
  if (invoked === undefined || !invoked.includes('/')) return 'kalos';
  const near = relative(process.cwd(), invoked);
  return near.startsWith('..') ? 'kalos' : near;
}

export async function up(options: UpOptions): Promise<void> {
  // The launcher removes --init and starts the actuator. So --init comes here only if there is no actuator.
  if (options.init === true)
    throw new KalosError('io', 'the actuator is not built', 'install g++ and run: node scripts/build-native.mjs');
  for (const flag of ['user', 'watchdog'] as const)
    if (options[flag] !== undefined) throw new KalosError('usage', `--${flag} needs --init`);
  const ownLog = new AgentLog((line) => void process.stderr.write(line), Date.now, isJournalStream(process.env.JOURNAL_STREAM));
  const flags = { ...(options.logLevel && { level: options.logLevel }), ...(options.logFormat && { format: options.logFormat }) };
  ownLog.configure(flags);
  const { log } = ownLog;
  const failed = (error: unknown): void => {
    // It is stopping: a failure now does not restart it.
    if (signals.isEnding) return log('warn', `while stopping: ${reasonOf(error)}`);
    const where = keepFailure(stateDirectory(options.dir).path, error);
    log('error', `the agent failed: ${reasonOf(error)}${where}`);
    startAgain(log);
  };
  // From the beginning, so that a signal during the start leads to a clean stop too.
  const signals = new Signals(log, failed);
  process.on('uncaughtException', failed); // unhandled rejections too
  // An agent may outlive the terminal that started it.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => undefined);
  takeName();
  const { startNode } = await import('../main.ts'); // only this command loads libp2p
  const { dir, config, name, mode, listen, join: addresses, rootKeys } = options;
  // By default a majority.
  const rootThreshold = options.rootThreshold ?? Math.floor(rootKeys / 2) + 1;
  const node = await startNode({
    directory: dir,
    configFile: config,
    founding: { swarmName: options.swarmName, rootKeys, rootThreshold, isPrivate: options.private },
    name,
    mode,
    listen,
    join: addresses,
    mdns: options.mdns ? undefined : false, // without the flag, as configured
    page: options.page === undefined || !/^\d+$/.test(options.page) ? options.page : `127.0.0.1:${options.page}`,
    entry: process.argv[1] ?? '',
    agent_log: Object.keys(flags).length === 0 ? undefined : flags,
    log,
    ownLog,
    failed,
    restart,
  });
  if (ownLog.format === 'json') log('info', upLine(node));
  else process.stdout.write(`${welcome(node)}\n`);
  const notifier = systemdNotifier(process.env);
  notifier.ready(`agent ${node.agent.status().name}, mode ${node.agent.status().mode}`);
  signals.obey(node, notifier);
  setTimeout(compactHeap, COMPACT_AFTER_MS).unref();
  setInterval(compactHeap, COMPACT_EVERY_MS).unref();
  setInterval(trim, TRIM_EVERY_MS).unref();
}

/** A release on trial is not restarted: the launcher abandons it. */
function startAgain(log: AgentLog['log']): never {
  const { KALOS_LAUNCHER: launcher, KALOS_TRIAL: trial, [FAILURES_KEY]: before } = process.env;
  if (launcher === undefined || trial !== undefined) process.exit(EXIT.error);
  const failures = afterFailure(before, Date.now());
  if (failures === undefined) {
    log('error', 'the agent failed 4 times in 10 minutes and is not restarted; see the errors above');
    process.exit(EXIT.error);
  }
  log('warn', 'the agent restarts; its services keep running');
  process.env[FAILURES_KEY] = failures;
  restart();
}

/** Restarts with the release that is now chosen: executes the launcher in this process, or exits for a launcher that waits. */
function restart(): never {
  const launcher = process.env.KALOS_LAUNCHER;
  if (launcher !== undefined && process.env.KALOS_TRIAL === undefined)
    process.execve?.(launcher, [launcher, ...process.argv.slice(2)], process.env);
  process.exit(EXIT_RESTART);
}

/** Writes the stack to a file, for a report. @returns a text with the path. */
function keepFailure(directory: string, error: unknown): string {
  const file = join(directory, 'last-failure');
  try {
    writeFileSync(file, `${iso(Date.now())}\n${inspect(error)}\n`, { mode: 0o600 });
    return `; the stack is in ${file}: please report it`;
  } catch {
    return '';
  }
}

/** Sets the process name that top shows, instead of Node's `MainThread`; the arguments stay. */
function takeName(): void {
  try {
    writeFileSync('/proc/self/comm', 'kalos');
  } catch {
    // the agent starts without it
  }
}

/** An agent that is stopped during its start exits after this time, even if it is not up. */
const STARTED_WITHIN_MS = 10_000;

/** SIGINT and SIGTERM stop the agent cleanly, SIGHUP reloads its configuration. A stop during the start waits until the agent is up. */
class Signals {
  readonly #log: AgentLog['log'];
  readonly #failed: (error: unknown) => void;
  #node: RunningNode | undefined;
  #notifier: Notifier | undefined;
  #isToStop = false;

  constructor(log: AgentLog['log'], failed: (error: unknown) => void) {
    this.#log = log;
    this.#failed = failed;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => this.#stop());
    process.on('SIGHUP', () => this.#reload());
  }

  /** It was up, and is stopping. */
  get isEnding(): boolean {
    return this.#isToStop && this.#node !== undefined;
  }

  obey(node: RunningNode, notifier: Notifier): void {
    [this.#node, this.#notifier] = [node, notifier];
    if (this.#isToStop) this.#end(node);
  }

  #stop(): void {
    if (this.#isToStop) process.exit(EXIT.error);
    this.#isToStop = true;
    if (this.#node !== undefined) return this.#end(this.#node);
    this.#log('info', 'will stop when the agent is up; repeat the signal (^C) to stop now');
    setTimeout(() => (this.#node === undefined ? process.exit(EXIT.error) : undefined), STARTED_WITHIN_MS).unref();
  }

  #end(node: RunningNode): void {
    this.#notifier?.stopping();
    this.#log('info', 'stopping services and the agent; repeat the signal (^C) to stop now');
    node.stop().then(
      () => process.exit(EXIT.ok),
      (error: unknown) => {
        this.#log('error', `stopping failed: ${reasonOf(error)}`);
        process.exit(EXIT.error);
      },
    );
  }

  /** An agent that is starting reads the configuration anyway. */
  #reload(): void {
    this.#node?.reload().then(({ taken, lines }) => {
      for (const line of lines) this.#log(taken ? 'info' : 'warn', line);
    }, this.#failed);
  }
}

/** Logged instead of the welcome if the log is JSON. */
export function upLine({ agent, directory, page }: RunningNode): string {
  const { version, name, mode, swarmId, addresses } = agent.status();
  return `KALOS ${version}: agent ${name} is up in ${directory.path}, swarm ${swarmId.slice(0, 8)}, mode ${mode}, listens ${addresses[0] ?? 'on no address'}${page === undefined ? '' : `, web UI ${page}`}`;
}

export function welcome({ agent, directory, sensorFallback, page, founded }: RunningNode): string {
  const status = agent.status();
  const kalos = commandName();
  const address = status.addresses[0] ?? '(no address)';
  const here = directory.path === stateDirectory(undefined).path ? '' : ` --dir ${directory.path}`;
  return [
    `${paint('bold', `KALOS ${status.version}`)}  agent ${paint('bold', status.name)} is up, swarm ${status.swarmId.slice(0, 8)}`,
    `  state      ${directory.path}`,
    `  sees       ${seen(status)}${sensorFallback === undefined ? '' : ` (plain reader: ${sensorFallback})`}`,
    `  services   ${services(status, directory.configFile)}`,
    `  mode       ${MODE_TEXT[status.mode]}`,
    `  listens    ${address}`,
    ...(page === undefined ? [] : [`  web UI     ${page}`]),
    '',
    ...(founded
      ? [
          `Created a new swarm. Its root key is in ${directory.rootKeys}: keep a copy elsewhere.`,
          'Join a second agent to it, from another terminal:',
          `  ${kalos} up --name second --dir ${directory.path}-second --join "$(${kalos} token create -q${here})"`,
          ...(isLoopback(address) ? ['  (for other machines start this one with --listen 0.0.0.0:7700)'] : []),
        ]
      : []),
    'Then query any agent:',
    `  ${kalos} status${here}`,
    `  ${kalos} query${here} "select node, state, cpu, memory from nodes"`,
    '',
  ].join('\n');
}

const MODE_TEXT: Record<AgentStatus['mode'], string> = {
  observe: 'observe: proposes only; --mode act lets it repair',
  advise: 'advise: asks before it repairs (kalos approve)',
  act: 'act: makes reversible repairs by itself',
};

function isLoopback(address: string): boolean {
  return address.includes('/127.') || address.includes('/::1/');
}

function seen({ metrics, sensors }: AgentStatus): string {
  const has = (name: string, text: (value: number) => string): string[] =>
    metrics[name] === undefined ? [] : [text(metrics[name])];
  return [
    ...has('system.load.1m', (value) => `load ${value.toFixed(2)}`),
    ...has('system.memory.available', (value) => `${bytes(value)} memory available`),
    ...has('system.process.count', (value) => `${value} processes`),
    ...has('system.filesystem.utilization', (value) => `fullest file system ${Math.round(value * 100)} %`),
    ...has('system.psi.cpu.some', () => 'PSI'),
    `${counted(Object.keys(metrics).length, 'metric')}, ${sensors} sensors`,
  ].join(', ');
}

function services(status: AgentStatus, configFile: string): string {
  if (status.services.length === 0) return `none; declare some as [[service]] in ${configFile}`;
  return status.services.map(({ name, state, pid }) => `${name} (${state}${pid === null ? '' : `, pid ${pid}`})`).join(', ');
}
