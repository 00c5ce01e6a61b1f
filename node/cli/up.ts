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

/** The launcher starts it again. */
const EXIT_ANEW = 75;
/** Once the start is over: what it left behind is 4 MB of garbage that V8 would keep for hours in an agent at rest. */
const COMPACT_AFTER_MS = 15_000;
/** And now and then: what an agent allocates at rest is garbage within minutes, but V8 sees no need to collect it. */
const COMPACT_EVERY_MS = 600_000;
const TRIM_EVERY_MS = 60_000;

/** How the user calls this program: what hints should show. */
export function commandName(): string {
  const invoked = process.env.KALOS_COMMAND;
  if (invoked === undefined || !invoked.includes('/')) return 'kalos';
  const near = relative(process.cwd(), invoked);
  return near.startsWith('..') ? 'kalos' : near;
}

export async function up(options: UpOptions): Promise<void> {
  // The launcher hands --init over to the actuator and takes it out: it comes here only where there is none.
  if (options.init === true)
    throw new KalosError('io', 'the actuator is not built', 'install g++ and run: node scripts/build-native.mjs');
  for (const flag of ['user', 'watchdog'] as const)
    if (options[flag] !== undefined) throw new KalosError('usage', `--${flag} needs --init`);
  const ownLog = new AgentLog((line) => void process.stderr.write(line), Date.now, isJournalStream(process.env.JOURNAL_STREAM));
  const flags = { ...(options.logLevel && { level: options.logLevel }), ...(options.logFormat && { format: options.logFormat }) };
  ownLog.configure(flags);
  const { log } = ownLog;
  const failed = (error: unknown): void => {
    // It is to stop: a failure meanwhile does not restart it.
    if (signals.isEnding) return log('warn', `while stopping: ${reasonOf(error)}`);
    const kept = keepFailure(stateDirectory(options.dir).path, error);
    log('error', `the agent failed: ${reasonOf(error)}${kept}`);
    startAgain(log);
  };
  // From the very start, so that a signal during the start leads to a clean stop too.
  const signals = new Signals(log, failed);
  process.on('uncaughtException', failed); // a rejection that nobody took, too
  // An agent outlives the terminal that started it.
  for (const stream of [process.stdout, process.stderr]) stream.removeAllListeners('error').on('error', () => undefined);
  takeName();
  const { startNode } = await import('../main.ts'); // libp2p is loaded by the one command that needs it
  const { dir, config, name, mode, listen, join: addresses, rootKeys } = options;
  // More than half of them, where it is not said.
  const rootThreshold = options.rootThreshold ?? Math.floor(rootKeys / 2) + 1;
  const node = await startNode({
    directory: dir,
    configFile: config,
    founding: { swarmName: options.swarmName, rootKeys, rootThreshold, isPrivate: options.private },
    name,
    mode,
    listen,
    join: addresses,
    mdns: options.mdns ? undefined : false, // without the flag, what the configuration says
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

/** A release on trial is given up instead, by the launcher. */
function startAgain(log: AgentLog['log']): never {
  const { KALOS_LAUNCHER: launcher, KALOS_TRIAL: trial, [FAILURES_KEY]: before } = process.env;
  if (launcher === undefined || trial !== undefined) process.exit(EXIT.error);
  const failures = afterFailure(before, Date.now());
  if (failures === undefined) {
    log('error', 'the agent failed 4 times within 10 minutes: it is not restarted; see the errors above');
    process.exit(EXIT.error);
  }
  log('warn', 'the agent restarts; its services keep running');
  process.env[FAILURES_KEY] = failures;
  restart();
}

/** As what was chosen meanwhile: by the launcher, in this one’s place, or as its child where that watches over it. */
function restart(): never {
  const launcher = process.env.KALOS_LAUNCHER;
  if (launcher !== undefined && process.env.KALOS_TRIAL === undefined)
    process.execve?.(launcher, [launcher, ...process.argv.slice(2)], process.env);
  process.exit(EXIT_ANEW);
}

/** Writes the stack to a file, for a report. @returns where it is, in words. */
function keepFailure(directory: string, error: unknown): string {
  const file = join(directory, 'last-failure');
  try {
    writeFileSync(file, `${iso(Date.now())}\n${inspect(error)}\n`, { mode: 0o600 });
    return `; the stack, for a report, is in ${file}`;
  } catch {
    return '';
  }
}

/** What top and other agents show it as, in the place of Node's own `MainThread`; its arguments stay as they are. */
function takeName(): void {
  try {
    writeFileSync('/proc/self/comm', 'kalos');
  } catch {
    // a name is no reason not to start
  }
}

/** An agent that gets a signal to stop while it starts, and is not up after this, exits at once. */
const STARTED_WITHIN_MS = 10_000;

/** SIGINT and SIGTERM stop the agent cleanly, SIGHUP makes it read its configuration again; a stop during the start waits for its end. */
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

  /** It was up, and is to stop. */
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
    this.#log('info', 'stopping once the agent is up; once more to stop at once');
    setTimeout(() => (this.#node === undefined ? process.exit(EXIT.error) : undefined), STARTED_WITHIN_MS).unref();
  }

  #end(node: RunningNode): void {
    this.#notifier?.stopping();
    this.#log('info', 'stopping services and the agent; once more to stop at once');
    node.stop().then(
      () => process.exit(EXIT.ok),
      (error: unknown) => {
        this.#log('error', `stopping failed: ${reasonOf(error)}`);
        process.exit(EXIT.error);
      },
    );
  }

  /** An agent that starts reads it anyway. */
  #reload(): void {
    this.#node?.reload().then(({ taken, lines }) => {
      for (const line of lines) this.#log(taken ? 'info' : 'warn', line);
    }, this.#failed);
  }
}

/** What a program reads in place of the welcome. */
export function upLine({ agent, directory, page }: RunningNode): string {
  const { version, name, mode, swarmId, addresses } = agent.status();
  return `KALOS ${version}: agent ${name} is up in ${directory.path}, swarm ${swarmId.slice(0, 8)}, mode ${mode}, listens ${addresses[0] ?? 'nowhere'}${page === undefined ? '' : `, page ${page}`}`;
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
    ...(page === undefined ? [] : [`  page       ${page}`]),
    '',
    ...(founded
      ? [
          `A swarm begins here. Its root key lies in ${directory.rootKeys}: keep a copy elsewhere.`,
          'Join a second agent to it, from another terminal:',
          `  ${kalos} up --name second --dir ${directory.path}-second --join "$(${kalos} token create -q${here})"`,
          ...(isLoopback(address) ? ['  (for other machines start this one with --listen 0.0.0.0:7700)'] : []),
        ]
      : []),
    'Ask any of them:',
    `  ${kalos} status${here}`,
    `  ${kalos} query${here} "select node, state, cpu, memory from nodes"`,
    '',
  ].join('\n');
}

const MODE_TEXT: Record<AgentStatus['mode'], string> = {
  observe: 'observe: decides and shows; --mode act lets it repair',
  advise: 'advise: asks before it repairs (kalos approve)',
  act: 'act: repairs by itself what is reversible',
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
