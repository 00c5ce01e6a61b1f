// Where one fault is made: a directory, a network and a mount namespace of its own, a service to do harm to and one that
// stands by, and an agent (or a rival) that watches over them. Whether all is well is judged from here, outside the agent.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPackage } from '../../../node/adapters/package.ts';
import type { Incident } from '../../../node/detection/incident.ts';
import type { SeededRandom } from '../../../sim/random.ts';
import { eventually } from '../clock.ts';

const { root: PACKAGE } = findPackage();
const KALOS = join(PACKAGE, 'bin', 'kalos');
const VICTIM_SOURCE = join(PACKAGE, 'test', 'support', 'faults', 'victim.cc');
const NAMES = ['web', 'api', 'queue', 'cache', 'feed', 'mail', 'index', 'gate', 'ledger', 'relay', 'vault', 'atlas'];
const UP_WITHIN_MS = 60_000;
const PID_WITHIN_MS = 6_000;

/** Compiles the victim into a directory; @returns its path. */
export function buildVictim(directory: string): string {
  const program = join(directory, 'victim');
  execFileSync('g++', ['-O1', '-std=c++17', '-pthread', '-o', program, VICTIM_SOURCE]);
  return program;
}

export interface Answer {
  status: number;
  name: string;
  pid: number;
  reloads: number;
}

interface AuditRecordText {
  kind: string;
  subject: string;
  text: string;
}

export class Place {
  readonly root = mkdtempSync(join(tmpdir(), 'kalos-fault-'));
  readonly random: SeededRandom;
  readonly victim: string;
  /** The service that harm is done to. */
  readonly service: string;
  readonly port: number;
  readonly control = join(this.root, 'control');
  readonly #bystander: { name: string; port: number; file: string };
  #holder: ChildProcess | undefined;
  #agent: ChildProcess | undefined;
  readonly #strangers: ChildProcess[] = [];
  #bystanderPid = 0;

  /** @param id distinct among all places of a run. */
  constructor(victim: string, random: SeededRandom, id: string) {
    this.victim = victim;
    this.random = random;
    const word = this.pick(NAMES);
    this.service = `${word}-${id}`;
    this.port = this.whole(2_000, 20_000);
    this.#bystander = { name: `by-${id}`, port: this.port + 1 + this.whole(0, 5_000), file: join(this.root, 'bystander.txt') };
    writeFileSync(this.#bystander.file, `precious ${id}\n`);
  }

  // Draws

  pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.random.unit() * items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  whole(low: number, high: number): number {
    return Math.floor(this.random.between(low, high + 1));
  }

  /** A directory or file name. */
  word(): string {
    return `${this.pick(NAMES)}${this.whole(10, 99)}`;
  }

  // The machine

  path(...parts: string[]): string {
    const path = join(this.root, ...parts);
    mkdirSync(join(path, '..'), { recursive: true });
    return path;
  }

  async open(): Promise<void> {
    const holder = spawn('unshare', ['--mount', '--net', 'sleep', '3600'], { stdio: 'ignore' });
    this.#holder = holder;
    const name = (): string => readFileSync(`/proc/${holder.pid}/comm`, 'latin1').trim();
    await eventually('the namespaces', () => name() === 'sleep' || undefined);
    await this.inside('ip', 'link', 'set', 'lo', 'up');
  }

  #enter(command: readonly string[]): [string, string[]] {
    return ['nsenter', ['--target', String(this.#holder?.pid), '--mount', '--net', '--', ...command]];
  }

  /** Runs a program in the place; @returns its exit code and output, -1 where it was ended by a signal. */
  inside(...command: string[]): Promise<{ code: number; output: string }> {
    const [program, args] = this.#enter(command);
    return new Promise((resolve) => {
      execFile(program, args, { timeout: 20_000 }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: `${stdout}${stderr}` }),
      );
    });
  }

  /** Starts a program that stays, as somebody else's. */
  stranger(...command: string[]): number {
    const [program, args] = this.#enter(command);
    const child = spawn(program, args, { stdio: 'ignore' });
    this.#strangers.push(child);
    return child.pid ?? 0;
  }

  /** Has the service do something, once. */
  tell(order: string): void {
    writeFileSync(this.control, order);
  }

  async http(port = this.port): Promise<Answer | undefined> {
    const script = `exec 3<>/dev/tcp/127.0.0.1/${port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
    const { output } = await this.inside('timeout', '2', 'bash', '-c', script);
    const [, status, name = '', pid, reloads] = output.match(/^HTTP\/1.0 (\d+)[^\n]*\r\n(?:.*\r\n)*\r\n(\S+) (\d+) (\d+)/) ?? [];
    return status === undefined ? undefined : { status: Number(status), name, pid: Number(pid), reloads: Number(reloads) };
  }

  /** Undefined where the service answers well; else what is wrong. */
  async answers(): Promise<string | undefined> {
    const answer = await this.http();
    if (answer === undefined) return 'the service does not answer';
    if (answer.name !== this.service) return `somebody else answers: ${answer.name}`;
    return answer.status === 200 ? undefined : `the service answers ${answer.status}`;
  }

  /** Of the service that answers; 0 where none does. */
  async pid(): Promise<number> {
    return eventually('an answer', async () => (await this.http())?.pid, PID_WITHIN_MS).catch(() => 0);
  }

  signal(pid: number, signal: NodeJS.Signals): void {
    if (pid > 1) process.kill(pid, signal);
  }

  // The agent

  /** The declaration of the service, in TOML. @param keys lines beside its name, command and port. */
  declared(keys: readonly string[] = [], config?: string): string {
    const command = [
      this.victim,
      'serve',
      String(this.port),
      this.service,
      this.control,
      ...(config === undefined ? [] : [config]),
    ];
    return [
      '[[service]]',
      `name = "${this.service}"`,
      `command = ${JSON.stringify(command)}`,
      `port = ${this.port}`,
      ...(keys.some((key) => key.startsWith('check')) ? [] : ['check = { kind = "http", path = "/" }']),
      ...keys,
      '',
    ].join('\n');
  }

  get #bystanderToml(): string {
    const { name, port } = this.#bystander;
    const command = [this.victim, 'serve', String(port), name, join(this.root, 'nobody')];
    return `[[service]]\nname = "${name}"\ncommand = ${JSON.stringify(command)}\nport = ${port}\ncheck = { kind = "http", path = "/" }\n`;
  }

  async startAgent(toml: string, grants: string): Promise<void> {
    const state = join(this.root, 'state');
    mkdirSync(state, { mode: 0o700 });
    writeFileSync(join(state, 'actuator.policy'), grants, { mode: 0o600 });
    const config = join(this.root, 'kalos.toml');
    writeFileSync(config, `mode = "act"\nname = "agent"\n${toml}\n${this.#bystanderToml}`);
    const log = openSync(join(this.root, 'agent.log'), 'a');
    const [program, args] = this.#enter([KALOS, 'up', '--dir', state, '--config', config]);
    const agent = spawn(program, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#agent = agent;
    await eventually(
      'the agent and its services to be up',
      async () => {
        if (agent.exitCode !== null) throw new Error(readFileSync(join(this.root, 'agent.log'), 'utf8'));
        const bystander = existsSync(join(state, 'agent.sock')) ? await this.http(this.#bystander.port) : undefined;
        this.#bystanderPid = bystander?.pid ?? 0;
        return bystander !== undefined && (await this.answers()) === undefined ? true : undefined;
      },
      UP_WITHIN_MS,
    );
  }

  /** What the agent says, without a command line in between. */
  ask<Body>(path: string, body?: unknown): Promise<Body> {
    const socketPath = join(this.root, 'state', 'agent.sock');
    const method = body === undefined ? 'GET' : 'POST';
    return new Promise((resolve, reject) => {
      const call = request({ socketPath, path, method, headers: { 'content-type': 'application/json' } }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve(JSON.parse(text) as Body));
      });
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  incidents(): Promise<Incident[]> {
    return this.ask<Incident[]>('/v1/incidents');
  }

  /** What a person does. */
  act(...calls: Record<string, string>[]): Promise<{ result: string; detail: string }> {
    return this.ask('/v1/actions', { calls, reason: 'the benchmark', dryRun: false });
  }

  /** Changes that the agent intended by itself. */
  async intents(): Promise<string[]> {
    const records = await this.ask<AuditRecordText[]>('/v1/audit/records/last/1000');
    return records.filter(({ kind, subject }) => kind === 'intent' && subject.startsWith('inc-')).map(({ text }) => text);
  }

  /** What became of those that had nothing to do with it; undefined where nothing did. */
  async harm(): Promise<string | undefined> {
    const { name, port, file } = this.#bystander;
    if (!existsSync(file) || !readFileSync(file, 'utf8').startsWith('precious')) return 'the bystander’s file was touched';
    // On a busy machine an answer may come late; another process never turns back.
    const answer = await eventually('the bystander to answer', () => this.http(port)).catch(() => undefined);
    if (answer === undefined) return 'the bystander does not answer';
    if (answer.pid !== this.#bystanderPid || answer.name !== name) return 'the bystander was touched';
    const touched = (await this.intents()).find((text) => text.includes(name));
    return touched === undefined ? undefined : `an act on the bystander: ${touched}`;
  }

  log(): string {
    return readFileSync(join(this.root, 'agent.log'), 'utf8');
  }

  // The rival

  /** monit with a configuration of its own; it starts the service itself. */
  async startMonit(rules: string): Promise<void> {
    const config = join(this.root, 'monitrc');
    const wrapper = join(this.root, 'start.sh');
    writeFileSync(
      config,
      `set daemon 2\nset pidfile ${this.root}/monit.pid\nset idfile ${this.root}/monit.id\nset statefile ${this.root}/monit.state\nset log ${this.root}/agent.log\n${rules}\n`,
      { mode: 0o600 },
    );
    const log = openSync(join(this.root, 'service.log'), 'a');
    closeSync(log);
    if (!existsSync(wrapper)) this.writeStarter();
    const [program, args] = this.#enter(['monit', '-I', '-c', config]);
    this.#agent = spawn(program, args, { stdio: 'ignore' });
    await eventually('the service to be up', async () => ((await this.answers()) === undefined ? true : undefined), UP_WITHIN_MS);
  }

  /** Scripts that start and stop the service for monit, with a pid file. */
  writeStarter(config?: string): { start: string; stop: string; pidFile: string } {
    const pidFile = join(this.root, 'service.pid');
    const [start, stop] = [join(this.root, 'start.sh'), join(this.root, 'stop.sh')];
    const command = [this.victim, 'serve', this.port, this.service, this.control, config ?? ''].join(' ');
    writeFileSync(start, `#!/bin/sh\nsetsid ${command} >> ${this.root}/service.log 2>&1 < /dev/null &\necho $! > ${pidFile}\n`, {
      mode: 0o755,
    });
    writeFileSync(stop, `#!/bin/sh\np=$(cat ${pidFile})\n/bin/kill -KILL -- -$p 2>/dev/null || kill -KILL $p\n`, { mode: 0o755 });
    return { start, stop, pidFile };
  }

  async close(keep = false): Promise<void> {
    for (const child of this.#strangers) child.kill('SIGKILL');
    const agent = this.#agent;
    if (agent !== undefined && agent.exitCode === null && agent.signalCode === null) {
      const ended = new Promise((resolve) => agent.once('exit', resolve));
      agent.kill('SIGTERM');
      const stuck = setTimeout(() => agent.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(stuck);
    }
    await this.inside('pkill', '-KILL', '-f', this.root);
    this.#holder?.kill('SIGKILL');
    if (!keep) rmSync(this.root, { recursive: true, force: true });
  }
}
