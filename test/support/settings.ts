// One agent with its actuator in each of the three ways in which they run: the actuator as the agent's own, as the first process
// of a pid namespace, and as a unit of its own with a supervisor (the test) that starts each again. For tests of what becomes
// of services when either ends.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPackage } from '../../node/adapters/package.ts';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { kalos } from './agents.ts';
import { ask } from './ask.ts';
import { eventually } from './clock.ts';

export const WAYS = ['own', 'init', 'units'] as const;
export type Way = (typeof WAYS)[number];
export type Who = 'agent' | 'actuator' | 'both';
/** In the place of a boot's id: one that never was. */
const OTHER_BOOT = '00000000-0000-4000-8000-000000000000';
const { root, actuatorPath } = findPackage();
const KALOS = join(root, 'bin', 'kalos');

export class Setting {
  readonly way: Way;
  readonly place = mkdtempSync(join(tmpdir(), 'kalos-way-'));
  readonly directory = join(this.place, 'kalos');
  readonly #more: { actuator: readonly string[]; environment: Readonly<Record<string, string>> };
  #agent: ChildProcess | undefined;
  #actuator: ChildProcess | undefined;
  /** How often an agent had said to an actuator what is declared when either was ended last. */
  #declaredBefore = 0;
  said = '';

  constructor(
    way: Way,
    config: string,
    more: { actuator?: readonly string[]; environment?: Readonly<Record<string, string>> } = {},
  ) {
    this.way = way;
    this.#more = { actuator: more.actuator ?? [], environment: more.environment ?? {} };
    writeFileSync(join(this.place, 'kalos.toml'), config);
    writeFileSync(join(this.place, 'policy'), '', { mode: 0o600 });
  }

  get state(): string {
    return this.way === 'own' ? join(this.directory, 'actuator') : `${this.directory}-actuator`;
  }

  #spawn(command: readonly string[], more: Readonly<Record<string, string>> = {}): ChildProcess {
    const [program = '', ...args] = command;
    const environment = { KALOS_API_LISTEN: 'off', KALOS_ACTUATOR_POLICY: join(this.place, 'policy'), ...this.#more.environment };
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment, ...more } });
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
      });
    return child;
  }

  /** Starts what does not run. What the agent tells afterwards is of the actuator that runs now. */
  async up(): Promise<void> {
    await this.#startAll();
    await eventually('the agent to have its actuator', () => this.#declared() > this.#declaredBefore || undefined);
  }

  #declared(): number {
    return existsSync(join(this.state, 'actuator.log')) ? (this.log().match(/ declare \d+ services: ok/g) ?? []).length : 0;
  }

  async #startAll(): Promise<void> {
    const config = join(this.place, 'kalos.toml');
    const up = ['up', '--dir', this.directory, '--config', config, '--name', 'one', '--listen', '127.0.0.1:0'];
    const options = ['--state', this.state, '--policy', join(this.place, 'policy'), ...this.#more.actuator];
    const before = this.said.length;
    if (this.way === 'units' && !runs(this.#actuator)) this.#actuator = this.#spawn([actuatorPath, ...options]);
    if (runs(this.#agent)) return;
    if (this.way === 'init')
      this.#agent = this.#spawn([
        ...['unshare', '--pid', '--fork', '--mount-proc', '--kill-child', actuatorPath, '--init', ...options, '--', KALOS, ...up],
      ]);
    else this.#agent = this.#spawn([KALOS, ...up], this.way === 'units' ? { KALOS_ACTUATOR: join(this.state, 'sock') } : {});
    const child = this.#agent;
    await eventually('the agent to be up', () => {
      if (!runs(child)) throw new Error(`it ended: ${this.said.slice(before)}`);
      return /is up, swarm/.test(this.said.slice(before)) || undefined;
    });
  }

  /** As this namespace numbers them. */
  pidOf(who: 'agent' | 'actuator'): number {
    if (who === 'agent' && this.way !== 'init') return this.#agent?.pid ?? 0;
    const first = Number(readFileSync(join(this.state, 'lock'), 'utf8'));
    if (this.way !== 'init') return first;
    const init = childrenOf(this.#agent?.pid ?? 0)[0] ?? 0;
    return who === 'actuator' ? init : (childrenOf(init).find((pid) => commandOf(pid).includes(' up ')) ?? 0);
  }

  /** Signals one or both, and waits until what has to end with them has ended. */
  async end(who: Who, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const pids: number[] = [];
    for (const one of who === 'both' ? (['agent', 'actuator'] as const) : [who]) {
      // One that has just been ended may not have been started again yet; 0 would be the test itself.
      pids.push(await eventually(`the ${one} to run`, () => [this.pidOf(one)].find((pid) => pid > 1 && lives(pid))));
    }
    this.#declaredBefore = this.#declared();
    for (const pid of pids) process.kill(pid, signal);
    for (const pid of pids) await eventually(`the end of ${pid}`, () => !lives(pid) || undefined);
    // As the first process, a stop in order of the agent is one of both.
    const whole = this.way === 'init' ? who !== 'agent' || signal === 'SIGTERM' : who !== 'actuator';
    const children = [...(whole ? [this.#agent] : []), ...(who === 'agent' ? [] : [this.#actuator])];
    await eventually('it to be known', () => !children.some(runs) || undefined);
  }

  /** Whatever runs is gone at once, services too, and the next start is another boot's. */
  async reboot(): Promise<void> {
    this.#declaredBefore = this.#declared();
    const services = existsSync(join(this.state, 'services')) ? this.#records() : [];
    const pids = this.way === 'init' ? [] : services.map(({ record }) => Number(record[2])).filter((pid) => pid > 1);
    for (const who of this.way === 'init' ? (['actuator'] as const) : (['agent', 'actuator'] as const)) {
      const pid = this.pidOf(who);
      if (pid > 1 && lives(pid)) process.kill(pid, 'SIGKILL');
      await eventually('its end', () => !lives(pid) || undefined);
    }
    await eventually('it to be known', () => ![this.#agent, this.#actuator].some(runs) || undefined);
    for (const pid of pids) if (lives(pid)) process.kill(-pid, 'SIGKILL');
    this.rewrite((record) => record.with(1, OTHER_BOOT));
  }

  /** Ends a service's process, by the number that the agent knows it by. */
  kill(pid: number): void {
    const isIt = (child: number): boolean =>
      this.way === 'init' ? readFileSync(`/proc/${child}/status`, 'latin1').includes(`\t${pid}\nNSpgid`) : child === pid;
    const found = childrenOf(this.pidOf('actuator')).find(isIt);
    if (found === undefined) throw new Error(`no service with pid ${pid}`);
    process.kill(found, 'SIGKILL');
  }

  /** Has the swarm, which is this agent, take a release. @param meanwhile once the agent before it has begun to end */
  async upgrade(release: { file: string; version: string }, meanwhile: () => void): Promise<void> {
    const before = this.said.length;
    const begins = eventually('it to restart', () => this.said.slice(before).match(/restarting as release/) ?? undefined);
    const pushed = kalos('upgrade', 'push', release.file, '--soak', '5', '--canary', 'one', '--dir', this.directory);
    await Promise.race([begins, pushed]);
    meanwhile();
    const { code, stdout, stderr } = await pushed;
    if (code !== 0) throw new Error(stdout + stderr);
    const { version } = await this.status();
    if (version !== release.version) throw new Error(`it runs ${version}`);
  }

  /** The records of services, as something else would have left them. */
  rewrite(change: (record: unknown[]) => unknown[]): void {
    for (const { file, record } of this.#records()) writeFileSync(file, encodeCbor(change(record)), { mode: 0o600 });
  }

  #records(): { file: string; record: unknown[] }[] {
    const directory = join(this.state, 'services');
    return readdirSync(directory)
      .filter((name) => name.endsWith('.run'))
      .map((name) => join(directory, name))
      .map((file) => ({ file, record: decodeCbor(readFileSync(file)) as unknown[] }));
  }

  status(): Promise<AgentStatus> {
    return ask<AgentStatus>(this.directory, '/v1/status');
  }

  log(): string {
    return readFileSync(join(this.state, 'actuator.log'), 'utf8');
  }

  async close(): Promise<void> {
    for (const who of ['agent', 'actuator'] as const) {
      const pid = existsSync(join(this.state, 'lock')) ? this.pidOf(who) : 0;
      if (pid > 1 && lives(pid)) process.kill(pid, 'SIGCONT'); // a frozen one would never see it
      if (pid > 1 && lives(pid)) process.kill(pid, 'SIGTERM');
      await eventually('its end', () => !lives(pid) || undefined);
    }
    this.#agent?.kill('SIGKILL');
    this.#actuator?.kill('SIGKILL');
    rmSync(this.place, { recursive: true, force: true });
  }
}

const runs = (child: ChildProcess | undefined): boolean =>
  child !== undefined && child.exitCode === null && child.signalCode === null;

const commandOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ');

export function lives(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number);
  } catch {
    return [];
  }
}
