// kill -9 of the agent, of the actuator, or of both, in the middle of real changes: a service, a file, a kernel setting (of
// a network namespace of the test's own), a process, and a plan of two. Used by a test and by the benchmark `transaction`.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPackage } from '../../node/adapters/package.ts';
import type { ActAnswer } from '../../node/api/routes.ts';
import type { AuditVerification } from '../../node/cli/audit.ts';
import type { SeededRandom } from '../../sim/random.ts';
import { AS_AGENT, kalos, type RealAgent, RealSwarm } from './agents.ts';
import { ask } from './ask.ts';
import { eventually } from './clock.ts';

export const VICTIMS = ['agent', 'actuator', 'both'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface KillTally {
  kills: number;
  halfMade: number;
  repeated: number;
  auditLost: number;
  /** What was wrong, in words. */
  wrong: string[];
  /** How the plans ended. */
  ended: Record<string, number>;
}

interface Deed {
  name: string;
  /** Empty where all were used too often of late. */
  target: string;
  words: string[];
  /** The machine as it is now: before or after the deed, or neither. */
  look(): string;
  /** What `look` gives after the deed; undefined where one process is as good as another. */
  after: string | undefined;
}

const FILE_BYTES = 64 * 1024;
/** A tool is used three times on a target in five minutes: so there are many. All take small numbers. */
const SETTINGS = [
  'fin_timeout',
  'keepalive_time',
  'keepalive_intvl',
  'keepalive_probes',
  'retries1',
  'retries2',
  'syn_retries',
  'synack_retries',
  'max_syn_backlog',
  'reordering',
  'orphan_retries',
  'notsent_lowat',
].map((name) => `net.ipv4.tcp_${name}`);
const SERVICES = 8;
/** As the tools declare it, with a margin. */
const RATE_USES = 3;
const RATE_WINDOW_MS = 310_000;
/** An action takes up to two seconds: kills fall before, into and after it. */
const MAX_DELAY_MS = 2_200;
const SETTLED_WITHIN_MS = 40_000;

interface AuditRecordText {
  subject: string;
  kind: string;
  text: string;
}

export class KillRange {
  readonly #place = mkdtempSync(join(tmpdir(), 'kalos-kills-'));
  readonly #data = join(this.#place, 'data');
  readonly #starts = join(this.#place, 'starts');
  readonly #state = join(this.#place, 'actuator');
  readonly #socket = join(this.#state, 'sock');
  readonly #swarm: RealSwarm;
  #actuator: ChildProcess | undefined;
  #agent: RealAgent | undefined;
  /** Keeps the network namespace. */
  #holder: ChildProcess | undefined;
  #sleeper: ChildProcess | undefined;
  /** When each target was used. */
  readonly #used = new Map<string, number[]>();
  readonly tally: KillTally = { kills: 0, halfMade: 0, repeated: 0, auditLost: 0, wrong: [], ended: {} };

  constructor() {
    this.#swarm = new RealSwarm({ KALOS_ACTUATOR: this.#socket });
  }

  get #config(): string {
    return Array.from({ length: SERVICES }, (_, i) => {
      return `[[service]]\nname = "noted-${i}"\n${AS_AGENT}command = ["sh", "-c", "echo started ${i} >> ${this.#starts}; exec sleep 600"]\n`;
    }).join('');
  }

  async start(): Promise<void> {
    mkdirSync(this.#data);
    this.#holder = spawn('unshare', ['--net', 'sleep', '3600'], { stdio: 'ignore' });
    await eventually('the namespace', () => this.#inNamespace('cat', '/proc/self/comm') === 'cat' || undefined);
    const rules = [`path ${this.#data}`, 'process sleep', ...SETTINGS.map((key) => `sysctl ${key}`)];
    writeFileSync(join(this.#place, 'policy'), rules.map((rule) => `allow ${rule}\n`).join(''));
    await this.#startActuator();
    this.#agent = await this.#swarm.start('victim', this.#config);
  }

  /** In a network namespace that the test made: its settings are nobody else's. */
  async #startActuator(): Promise<void> {
    rmSync(this.#socket, { force: true });
    const { actuatorPath } = findPackage();
    const args = [...this.#enter(), actuatorPath, '--state', this.#state, '--policy', join(this.#place, 'policy')];
    this.#actuator = spawn('nsenter', args, { stdio: 'ignore' });
    await eventually('the actuator to listen', () => readdirSync(this.#state).includes('sock') || undefined);
  }

  #enter(): string[] {
    return ['--target', String(this.#holder?.pid), '--net', '--'];
  }

  #inNamespace(...command: string[]): string {
    return execFileSync('nsenter', [...this.#enter(), ...command], { encoding: 'utf8' }).trim();
  }

  /** @param round gives each deed a target that was not used of late. */
  #deeds(round: number): Deed[] {
    const file = join(this.#data, `file-${round}`);
    writeFileSync(file, 'x'.repeat(FILE_BYTES));
    const key = this.#fresh(SETTINGS) ?? '';
    const service = this.#fresh(Array.from({ length: SERVICES }, (_, i) => `noted-${i}`)) ?? '';
    const number = 5 + (round % 9);
    const sleeper = this.#sleeper?.pid ?? 0;
    const shown = (): string => {
      const text = readFileSync(file, 'utf8');
      return text === text[0]?.repeat(FILE_BYTES) ? `whole ${text[0]}` : `mixed: ${text.slice(0, 20)}`;
    };
    const value = (): string => this.#inNamespace('cat', `/proc/sys/${key.replaceAll('.', '/')}`);
    const digit = String(round % 10);
    const write = ['fs.write', `path=${file}`, `content=@${this.#contentFile(digit.repeat(FILE_BYTES))}`];
    const set = ['sysctl.set', `key=${key}`, `value=${number}`];
    const deeds: Deed[] = [
      { name: 'fs.write', target: file, words: write, look: shown, after: `whole ${digit}` },
      { name: 'sysctl.set', target: key, words: set, look: value, after: String(number) },
      {
        name: 'process.renice',
        target: String(sleeper),
        words: ['process.renice', `pid=${sleeper}`, `nice=${number}`],
        look: () => String(getPriority(sleeper)),
        after: String(number),
      },
      {
        name: 'service.restart',
        target: service,
        words: ['service.restart', `service=${service}`],
        look: () => '',
        after: undefined,
      },
      {
        name: 'two',
        target: key,
        words: [...write, '+', ...set],
        look: () => `${shown()}, ${value()}`,
        after: `whole ${digit}, ${number}`,
      },
    ];
    return deeds.filter(({ target }) => target !== '');
  }

  /** One that was used less than three times in the last five minutes. */
  #fresh(targets: readonly string[]): string | undefined {
    const nowMs = performance.now();
    const recent = (target: string): number => (this.#used.get(target) ?? []).filter((ms) => nowMs - ms < RATE_WINDOW_MS).length;
    return targets.find((target) => recent(target) < RATE_USES);
  }

  #contentFile(content: string): string {
    const path = join(this.#place, 'content');
    writeFileSync(path, content);
    return path;
  }

  /** One life: a deed is asked for, the victim dies at a random moment, and what is left is looked at. */
  async kill(victim: Victim, random: SeededRandom, round: number): Promise<void> {
    this.#sleeper?.kill('SIGKILL');
    this.#sleeper = spawn('sleep', ['3600'], { stdio: 'ignore' });
    const deeds = this.#deeds(round);
    const deed = deeds[Math.floor(random.between(0, deeds.length))] as Deed;
    this.#used.set(deed.target, [...(this.#used.get(deed.target) ?? []), performance.now()]);
    const where = `round ${round}, ${deed.name}, ${victim}`;
    const before = deed.look();
    const starts = this.#countStarts();
    const agent = this.#agent as RealAgent;
    const acting = kalos('act', ...deed.words, '--reason', where, '--dir', agent.directory, '-o', 'json');
    await new Promise((resolve) => setTimeout(resolve, random.between(0, MAX_DELAY_MS)));
    const dying = [victim === 'actuator' ? undefined : agent.process, victim === 'agent' ? undefined : this.#actuator];
    for (const child of dying) child?.kill('SIGKILL');
    for (const child of dying)
      await eventually('the victim to be dead', () => child === undefined || child.signalCode || undefined);
    if (victim !== 'agent') await this.#startActuator();
    if (victim !== 'actuator') this.#agent = await this.#swarm.start('victim', this.#config, agent);
    const answered = await acting;
    // Refused for want of an actuator is the kill's own doing; for another reason the harness asks for the wrong thing.
    const refused = answered.code === 5 && !answered.stdout.includes('the actuator does not answer');
    if (answered.code === 2 || refused) throw new Error(`${where} was never tried: ${answered.stdout}${answered.stderr}`);
    const acknowledged = answered.code === 0 ? (JSON.parse(answered.stdout) as ActAnswer).plan : undefined;
    this.tally.kills++;
    const outcome = await this.#outcome(where);
    this.#judge(where, deed, before, outcome);
    await this.#judgeAudit(where, acknowledged);
    if (this.#countStarts() - starts > (deed.name === 'service.restart' && outcome !== undefined ? 1 : 0))
      this.#wrong('repeated', `${where}: started again`);
    await this.#judgeService(where);
  }

  #wrong(what: 'halfMade' | 'repeated' | 'auditLost', text: string): void {
    this.tally[what]++;
    this.tally.wrong.push(`${what}: ${text}`);
  }

  #records(): Promise<AuditRecordText[]> {
    return ask<AuditRecordText[]>((this.#agent as RealAgent).directory, '/v1/audit/records/last/50');
  }

  /** How the plan of this round ended; undefined where nothing of it was even intended. */
  async #outcome(where: string): Promise<string | undefined> {
    const records = await this.#records();
    const intent = records.find(({ kind, text }) => kind === 'intent' && text.endsWith(`: ${where}`));
    if (intent === undefined) return undefined;
    return eventually(
      'an outcome',
      async () => (await this.#records()).find(({ kind, subject }) => subject === intent.subject && kind !== 'intent')?.text,
      SETTLED_WITHIN_MS,
    ).catch(() => 'open');
  }

  #judge(where: string, deed: Deed, before: string, outcome: string | undefined): void {
    const phase = outcome?.replace('after a restart: ', '').split(':')[0] ?? 'not intended';
    this.tally.ended[phase] = (this.tally.ended[phase] ?? 0) + 1;
    const now = deed.look();
    const { after } = deed;
    if (after === undefined) return;
    const must = phase === 'confirmed' ? after : before;
    if (now !== must || phase === 'open')
      this.#wrong('halfMade', `${where}: ${outcome}: it was ${before}, would be ${after}, is ${now}`);
  }

  async #judgeAudit(where: string, acknowledged: string | undefined): Promise<void> {
    const verified = await this.#swarm.json<AuditVerification>(this.#agent as RealAgent, 'audit', 'verify');
    const records = await this.#records();
    const kept =
      acknowledged === undefined || records.some(({ subject, kind }) => subject === acknowledged && kind === 'outcome');
    if (!verified.ok || !kept) this.#wrong('auditLost', where);
  }

  async #judgeService(where: string): Promise<void> {
    await eventually('the service to run', async () => {
      const { services } = await this.#swarm.status(this.#agent as RealAgent);
      return services.every(({ state }) => state === 'running') || undefined;
    }).catch(() => this.#wrong('halfMade', `${where}: the service does not run`));
    const aside = readdirSync(this.#data).filter((name) => !name.startsWith('file-'));
    if (aside.length > 0) this.#wrong('halfMade', `${where}: left behind: ${aside.join(' ')}`);
  }

  /** Each step of each change was tried once, by the actuator's own log. */
  judgeLog(): void {
    const applied = readFileSync(join(this.#state, 'actuator.log'), 'utf8').match(/apply \S+ \d+: ok/g) ?? [];
    if (new Set(applied).size < applied.length) this.#wrong('repeated', 'a step was applied twice');
  }

  #countStarts(): number {
    try {
      return readFileSync(this.#starts, 'utf8').split('\n').length - 1;
    } catch {
      return 0; // it has not started yet
    }
  }

  async stop(): Promise<void> {
    await this.#swarm.stop();
    this.#sleeper?.kill('SIGKILL');
    this.#holder?.kill('SIGKILL');
    const actuator = this.#actuator;
    if (actuator !== undefined && actuator.exitCode === null && actuator.signalCode === null) {
      const ended = new Promise((resolve) => actuator.once('exit', resolve));
      actuator.kill('SIGTERM');
      await ended;
    }
    rmSync(this.#place, { recursive: true, force: true });
  }
}
