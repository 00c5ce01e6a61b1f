// Where one fault is made: a directory, a network and a mount namespace of its own, a service to do harm to and one that
// stands by, and an agent (or a rival) that watches over them. Whether all is well is judged from here, outside the agent.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPackage } from '../../../node/adapters/package.ts';
import type { AgentStatus } from '../../../node/agent/agent-status.ts';
import type { Incident } from '../../../node/detection/incident.ts';
import type { SeededRandom } from '../../../sim/random.ts';
import { AS_AGENT } from '../agents.ts';
import { ask } from '../ask.ts';
import { eventually } from '../clock.ts';
import { patient } from '../patience.ts';

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

/** In a swarm its witnesses are two; on the place's own network, or beyond it, from where they do not reach its services. */
export interface Around {
  agents: 1 | 3;
  reach: boolean;
}

/** Of the place, and of what is beyond. */
const HERE = '10.77.0.1';
const BEYOND = '10.77.0.2';
const PORTS = [17_701, 17_702, 17_703] as const;
const WITNESSES = ['witness1', 'witness2'] as const;

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
  readonly #around: Around;
  #holder: ChildProcess | undefined;
  /** Holds the network beyond. */
  #beyond: ChildProcess | undefined;
  #agent: ChildProcess | undefined;
  readonly #witnesses: ChildProcess[] = [];
  readonly #strangers: ChildProcess[] = [];
  #bystanderPid = 0;

  /** @param id distinct among all places of a run. */
  constructor(victim: string, random: SeededRandom, id: string, around: Around = { agents: 1, reach: true }) {
    this.#around = around;
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
    if (this.#around.agents > 1 && !this.#around.reach) await this.#openBeyond();
  }

  /** A network of its own for the witnesses, and a cable to it. */
  async #openBeyond(): Promise<void> {
    const beyond = spawn(
      'nsenter',
      ['--target', String(this.#holder?.pid), '--mount', '--', 'unshare', '--net', 'sleep', '3600'],
      {
        stdio: 'ignore',
      },
    );
    this.#beyond = beyond;
    await eventually(
      'the network beyond',
      () => readFileSync(`/proc/${beyond.pid}/comm`, 'latin1').trim() === 'sleep' || undefined,
    );
    const script = [
      `ip link add here type veth peer name beyond netns ${beyond.pid}`,
      `ip address add ${HERE}/24 dev here && ip link set here up`,
      `nsenter --target ${beyond.pid} --net sh -c 'ip address add ${BEYOND}/24 dev beyond && ip link set beyond up && ip link set lo up'`,
    ];
    const made = await this.inside('sh', '-ec', script.join('\n'));
    if (made.code !== 0) throw new Error(`no network beyond: ${made.output}`);
  }

  #enter(command: readonly string[], holder = this.#holder): [string, string[]] {
    return ['nsenter', ['--target', String(holder?.pid), '--mount', '--net', '--', ...command]];
  }

  /** Runs a program in the place; @returns its exit code and output, -1 where it was ended by a signal. */
  inside(...command: string[]): Promise<{ code: number; output: string }> {
    const [program, args] = this.#enter(command);
    return new Promise((resolve) => {
      execFile(program, args, { timeout: patient(20_000) }, (error, stdout, stderr) =>
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
      AS_AGENT.trimEnd(),
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
    return `[[service]]\nname = "${name}"\n${AS_AGENT}command = ${JSON.stringify(command)}\nport = ${port}\ncheck = { kind = "http", path = "/" }\n`;
  }

  async startAgent(toml: string, grants: string): Promise<void> {
    const state = join(this.root, 'state');
    mkdirSync(state, { mode: 0o700 });
    writeFileSync(join(state, 'actuator.policy'), grants, { mode: 0o600 });
    const config = join(this.root, 'kalos.toml');
    writeFileSync(config, `mode = "act"\nname = "agent"\n${toml}\n${this.#bystanderToml}`);
    const first = this.#around.agents > 1 ? await this.#startWitness(0) : undefined;
    const join_ = first === undefined ? [] : ['--join', first];
    const log = openSync(join(this.root, 'agent.log'), 'a');
    const [program, args] = this.#enter([KALOS, 'up', '--dir', state, '--config', config, '--listen', this.#listen(0), ...join_]);
    const agent = spawn(program, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#agent = agent;
    if (first !== undefined) await this.#startWitness(1, first);
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
    if (first !== undefined) await eventually('all to see each other', () => this.#isWhole(), UP_WITHIN_MS);
  }

  /** @param nth the agent, then its witnesses */
  #listen(nth: 0 | 1 | 2): string {
    const isBeyond = !this.#around.reach && this.#around.agents > 1;
    const host = isBeyond ? (nth === 0 ? HERE : BEYOND) : '127.0.0.1';
    return `${host}:${PORTS[nth]}`;
  }

  /** @returns a token for two, where it is the first */
  async #startWitness(nth: 0 | 1, token?: string): Promise<string> {
    const name = WITNESSES[nth];
    const state = join(this.root, name);
    const log = openSync(join(this.root, `${name}.log`), 'a');
    const flags = [
      '--name',
      name,
      '--listen',
      this.#listen(nth === 0 ? 1 : 2),
      ...(token === undefined ? [] : ['--join', token]),
    ];
    const [program, args] = this.#enter(
      [KALOS, 'up', '--dir', state, ...flags],
      this.#around.reach ? this.#holder : this.#beyond,
    );
    const environment = { ...process.env, KALOS_API_LISTEN: 'off' };
    this.#witnesses.push(spawn(program, args, { stdio: ['ignore', log, log], env: environment }));
    closeSync(log);
    if (token !== undefined) return token;
    const made = { role: 'member', ttlMs: 600_000, uses: 2 };
    return eventually('a token', async () => (await this.ask<{ token: string }>('/v1/tokens', made, name)).token, UP_WITHIN_MS);
  }

  async #isWhole(): Promise<true | undefined> {
    const { members, coordinator } = await this.ask<AgentStatus>('/v1/status');
    const alive = members.filter(({ state }) => state === 'alive').length;
    return alive === this.#around.agents && coordinator !== undefined ? true : undefined;
  }

  /** What the agent says, without a command line in between. */
  ask<Body>(path: string, body?: unknown, state = 'state'): Promise<Body> {
    return ask(join(this.root, state), path, body);
  }

  incidents(): Promise<Incident[]> {
    return this.ask<Incident[]>('/v1/incidents');
  }

  /** What a person does. */
  act(...calls: Record<string, string>[]): Promise<{ result: string; detail: string }> {
    return this.ask('/v1/actions', { calls, reason: 'the benchmark', dryRun: false });
  }

  /** Changes that the agent intended by itself. */
  async intents(state?: string): Promise<string[]> {
    const records = await this.ask<AuditRecordText[]>('/v1/audit/records/last/1000', undefined, state);
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
    if (touched !== undefined) return `an act on the bystander: ${touched}`;
    for (const name of WITNESSES.slice(0, this.#witnesses.length)) {
      const [act] = await this.intents(name);
      if (act !== undefined) return `an act by ${name}, where nothing was wrong: ${act}`;
    }
    return undefined;
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
    await Promise.all([this.#agent, ...this.#witnesses].map(ended));
    await this.inside('pkill', '-KILL', '-f', this.root);
    this.#beyond?.kill('SIGKILL');
    this.#holder?.kill('SIGKILL');
    if (!keep) rmSync(this.root, { recursive: true, force: true });
  }
}

/** In order; where it does not, at once. */
async function ended(agent: ChildProcess | undefined): Promise<void> {
  if (agent === undefined || agent.exitCode !== null || agent.signalCode !== null) return;
  const end = new Promise((resolve) => agent.once('exit', resolve));
  agent.kill('SIGTERM');
  const stuck = setTimeout(() => agent.kill('SIGKILL'), 15_000);
  await end;
  clearTimeout(stuck);
}
