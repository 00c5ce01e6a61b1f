// Machines as network namespaces on one bridge, with agents and services as real processes in them, and nft to cut the links. The host's own
// network is not touched: the bridge has its own namespace, and all of it is removed at the end.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPackage } from '../../../node/adapters/package.ts';
import type { AgentStatus } from '../../../node/agent/agent-status.ts';
import { callAgent } from '../../../node/api/client.ts';
import { KalosError } from '../../../node/errors.ts';

const execute = promisify(execFile);
const PORT = 7_700;
const UP_WITHIN_MS = 60_000;
const ANSWER_WITHIN_MS = 3_000;
const LOOK_EVERY_MS = 200;
const NFT_TABLE = `table inet kalos {
  set cut { type ipv4_addr; }
  chain loss { }
  chain input { type filter hook input priority 0; ip saddr @cut drop; jump loss; }
}`;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A service of the scenario: a program that listens on its declared port; under a `service-curse` it exits soon after its start. */
function serviceCommand(port: number | undefined, control: string): string[] {
  const script =
    `const fs = require('node:fs'); const lives = fs.existsSync('${control}') ? Number(fs.readFileSync('${control}', 'utf8')) : 0;` +
    `if (lives > 0) setTimeout(() => process.exit(1), lives);` +
    (port === undefined
      ? 'setInterval(() => undefined, 1e6);'
      : `require('node:net').createServer((s) => s.end()).listen(${port});`);
  return [process.execPath, '--max-old-space-size=32', '-e', script];
}

export interface RealService {
  name: string;
  port: number | undefined;
}

export class RealMachine {
  readonly index: number;
  readonly name: string;
  readonly address: string;
  readonly namespace: string;
  readonly directory: string;
  readonly #root: string;
  readonly #services: readonly RealService[];
  #agent: ChildProcess | undefined;
  #cuts = new Map<string, number>();
  /** Services that had a fault. */
  readonly touched = new Set<string>();
  paused = false;

  constructor(index: number, root: string, prefix: string, services: readonly RealService[]) {
    this.index = index;
    this.name = `node-${index}`;
    this.address = `10.99.${Math.floor(index / 250)}.${(index % 250) + 1}`;
    this.namespace = `${prefix}-${index}`;
    this.directory = join(root, this.name);
    this.#root = root;
    this.#services = services;
  }

  /** The pid of its agent, or 0. */
  get pid(): number {
    return this.#agent?.pid ?? 0;
  }

  get running(): boolean {
    return this.#agent !== undefined;
  }

  control(service: string): string {
    return join(this.#root, `${this.name}-${service}.lives`);
  }

  config(): string {
    const services = this.#services.map(({ name, port }) =>
      [
        '[[service]]',
        `name = "${name}"`,
        `user = "${userInfo().username}"`, // it reads the control file of the run
        `command = ${JSON.stringify(serviceCommand(port, this.control(name)))}`,
        ...(port === undefined ? [] : [`port = ${port}`]),
      ].join('\n'),
    );
    return ['mode = "act"', ...services].join('\n\n');
  }

  /** @param through a machine of the swarm; undefined for the first one, and for one that was a member before */
  async start(through: RealMachine | undefined): Promise<void> {
    if (this.#agent !== undefined) return;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    const config = join(this.#root, `${this.name}.toml`);
    writeFileSync(config, this.config());
    const joining = through === undefined ? [] : ['--join', await through.token()];
    const up = [
      'up',
      '--dir',
      this.directory,
      '--name',
      this.name,
      '--config',
      config,
      '--listen',
      `${this.address}:${PORT}`,
      ...joining,
    ];
    const log = openSync(this.log, 'a');
    const child = spawn('ip', ['netns', 'exec', this.namespace, join(findPackage().root, 'bin', 'kalos'), ...up], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#agent = child;
    for (const untilMs = performance.now() + UP_WITHIN_MS; ; await pause(LOOK_EVERY_MS)) {
      if (child.exitCode !== null)
        throw new KalosError('io', `${this.name} did not start:\n${readFileSync(this.log, 'utf8').slice(-2_000)}`);
      if ((await this.status()) !== undefined) return;
      if (performance.now() > untilMs) throw new KalosError('io', `${this.name} was not up within ${UP_WITHIN_MS / 1_000} s`);
    }
  }

  get log(): string {
    return join(this.#root, `${this.name}.log`);
  }

  /** Creates a token for one machine. */
  async token(): Promise<string> {
    return (await callAgent<{ token: string }>(this.directory, 'POST', '/v1/tokens', {})).token;
  }

  /** Undefined if it does not answer soon. */
  async ask<Answer>(path: string): Promise<Answer | undefined> {
    const answer = callAgent<Answer>(this.directory, 'GET', path).catch(() => undefined);
    return Promise.race([answer, pause(ANSWER_WITHIN_MS).then(() => undefined)]);
  }

  status(): Promise<AgentStatus | undefined> {
    return this.ask<AgentStatus>('/v1/status');
  }

  // Faults

  crash(): void {
    this.#agent?.kill('SIGKILL');
    this.#agent = undefined;
    this.paused = false;
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#agent?.kill(signal);
    this.paused = signal === 'SIGSTOP';
  }

  async leave(): Promise<void> {
    const agent = this.#agent;
    if (agent === undefined) return;
    this.#agent = undefined;
    const ended = new Promise((resolve) => agent.once('exit', resolve));
    agent.kill('SIGTERM');
    await Promise.race([ended, pause(20_000)]);
  }

  async servicePid(name: string): Promise<number | undefined> {
    const pid = (await this.status())?.services.find((service) => service.name === name)?.pid;
    return pid !== undefined && pid !== null && pid > 1 ? pid : undefined;
  }

  async nft(...words: string[]): Promise<void> {
    await execute('ip', ['netns', 'exec', this.namespace, 'nft', ...words]);
  }

  /** Drops all traffic from another machine. Cuts add up: each one must be ended. */
  async cut(from: RealMachine): Promise<void> {
    const cuts = (this.#cuts.get(from.address) ?? 0) + 1;
    this.#cuts.set(from.address, cuts);
    if (cuts === 1) await this.nft('add', 'element', 'inet', 'kalos', 'cut', `{ ${from.address} }`);
  }

  async mend(from: RealMachine): Promise<void> {
    const cuts = (this.#cuts.get(from.address) ?? 0) - 1;
    this.#cuts.set(from.address, Math.max(0, cuts));
    if (cuts === 0) await this.nft('delete', 'element', 'inet', 'kalos', 'cut', `{ ${from.address} }`);
  }

  async link(up: boolean): Promise<void> {
    await execute('ip', ['-n', this.namespace, 'link', 'set', 'eth0', up ? 'up' : 'down']);
  }
}

export class RealMachines {
  readonly root = mkdtempSync(join(tmpdir(), 'kalos-real-'));
  readonly #prefix = `kalos-${process.pid}`;
  readonly all: RealMachine[];

  /** @throws KalosError if this machine cannot do it. */
  constructor(count: number, services: readonly RealService[]) {
    if (process.getuid?.() !== 0) throw new KalosError('usage', 'kalos sim real needs root to create network namespaces');
    for (const program of ['ip', 'nft'])
      try {
        execFileSync(program, ['-V'], { stdio: 'ignore' });
      } catch {
        throw new KalosError('usage', `kalos sim real needs ${program}`, 'install iproute2 and nftables');
      }
    this.all = Array.from({ length: count }, (_, index) => new RealMachine(index, this.root, this.#prefix, services));
  }

  get #hub(): string {
    return `${this.#prefix}-hub`;
  }

  async build(): Promise<void> {
    const ip = (...words: string[]) => execute('ip', words);
    await ip('netns', 'add', this.#hub);
    await ip('-n', this.#hub, 'link', 'add', 'br0', 'type', 'bridge');
    await ip('-n', this.#hub, 'link', 'set', 'br0', 'up');
    for (const machine of this.all) {
      const { namespace, address, index } = machine;
      await ip('netns', 'add', namespace);
      await ip('-n', this.#hub, 'link', 'add', `m${index}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
      await ip('-n', this.#hub, 'link', 'set', `m${index}`, 'master', 'br0', 'up');
      await ip('-n', namespace, 'addr', 'add', `${address}/16`, 'dev', 'eth0');
      await ip('-n', namespace, 'link', 'set', 'lo', 'up');
      await machine.link(true);
      await machine.nft(NFT_TABLE);
    }
  }

  /** Bytes that each machine has sent so far, with all headers including Ethernet's. */
  async sentBytes(): Promise<number[]> {
    const { stdout } = await execute('ip', ['-n', this.#hub, '-s', '-j', 'link']);
    const links = JSON.parse(stdout) as { ifname: string; stats64: { rx: { bytes: number } } }[];
    return this.all.map(({ index }) => links.find(({ ifname }) => ifname === `m${index}`)?.stats64.rx.bytes ?? 0);
  }

  /** Ends all processes in the namespaces, and removes the namespaces. */
  async remove(): Promise<void> {
    for (const machine of this.all) machine.signal('SIGCONT');
    await Promise.all(this.all.map((machine) => machine.leave()));
    for (const namespace of [...this.all.map((machine) => machine.namespace), this.#hub]) {
      const { stdout } = await execute('ip', ['netns', 'pids', namespace]).catch(() => ({ stdout: '' }));
      for (const pid of stdout.split('\n').map(Number)) if (pid > 1) process.kill(pid, 'SIGKILL');
      await execute('ip', ['netns', 'delete', namespace]).catch(() => undefined);
    }
    rmSync(this.root, { recursive: true, force: true });
  }
}
