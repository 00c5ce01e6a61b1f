// Real agents as real processes on loopback, for end-to-end tests: each in a directory of its own, all ended afterwards.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { findPackage } from '../../node/adapters/package.ts';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import type { NovaAnswer } from '../../node/api/decision-routes.ts';
import type { MemberRow } from '../../node/link/membership-admin.ts';
import { ask, askRows, type Row } from './ask.ts';
import { eventually } from './clock.ts';

export const KALOS = join(findPackage().root, 'bin', 'kalos');

/** A line of a service that does what the agent's user can: reads or writes where a test looks, runs a test's own Node. */
export const AS_AGENT = `user = "${userInfo().username}"\n`;

export interface RealAgent {
  name: string;
  directory: string;
  address: string;
  port: number;
  process: ChildProcess;
  output: string[];
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export function kalos(...args: string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(KALOS, args, { maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

/** Below those that the kernel gives to whoever asks for any port (32768 and above): else one of them may take it meanwhile. */
const PORTS = { from: 20_000, to: 32_000 };

/** A port of loopback that nobody has right now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}

export class RealSwarm {
  readonly #root = mkdtempSync(join(tmpdir(), 'kalos-swarm-'));
  readonly #environment: Record<string, string>;
  readonly #namespace: string | undefined;
  readonly #founding: readonly string[];
  readonly agents: RealAgent[] = [];
  /** What a start may take. */
  patienceMs = 30_000;

  /**
   * @param environment what agents get beside this process's own.
   * @param namespace a network namespace that they run in, and listen in on all addresses.
   * @param founding flags for the first of them.
   */
  constructor(environment: Record<string, string> = {}, namespace?: string, founding: readonly string[] = []) {
    this.#founding = founding;
    // Its page's port is the machine's own agent's.
    this.#environment = { KALOS_API_LISTEN: 'off', ...environment };
    this.#namespace = namespace;
  }

  /** Starts an agent, joined to the first one where there is one; resolves once it is up. @param place its state directory, where the test has made one. */
  async start(name: string, config: string, existing?: RealAgent, place?: string): Promise<RealAgent> {
    const directory = existing?.directory ?? place ?? join(this.#root, name);
    const first = this.agents[0];
    const join_ = existing !== undefined ? [] : first === undefined ? this.#founding : ['--join', await this.token(first)];
    const configFile = join(this.#root, `${name}.toml`);
    writeFileSync(configFile, config);
    // In a namespace of its own each start has another port.
    const isHere = this.#namespace === undefined;
    const port = isHere ? (existing?.port ?? (await freePort())) : 0;
    const listen = `${isHere ? '127.0.0.1' : '0.0.0.0'}:${port}`;
    const args = [KALOS, 'up', '--dir', directory, '--name', name, '--config', configFile, '--listen', listen, ...join_];
    const within = this.#namespace === undefined ? [] : ['ip', 'netns', 'exec', this.#namespace];
    const [program = '', ...rest] = [...within, ...args];
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...this.#environment } });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => output.push(text));
    const address = await eventually(
      `${name} to be up`,
      () => {
        if (child.exitCode !== null) throw new Error(`it ended: ${output.join('')}`);
        return output.join('').match(/listens\s+(\S+)/)?.[1];
      },
      this.patienceMs,
    ).catch((error: unknown) => {
      child.kill('SIGTERM'); // nobody else knows of it
      throw error;
    });
    const agent: RealAgent = { name, directory, address, port, process: child, output };
    if (existing === undefined) this.agents.push(agent);
    else this.agents[this.agents.indexOf(existing)] = agent;
    return agent;
  }

  /** Founds it, and starts the others side by side. @param configOf by its name */
  async startAll([first, ...others]: readonly string[], configOf: (name: string) => string): Promise<void> {
    if (first !== undefined) await this.start(first, configOf(first));
    await Promise.all(others.map((name) => this.start(name, configOf(name))));
  }

  /** A token that lets one machine in. */
  async token(issuer: RealAgent, ...options: string[]): Promise<string> {
    const { stdout, stderr } = await kalos('token', 'create', '-q', '--dir', issuer.directory, ...options);
    if (stdout === '') throw new Error(stderr);
    return stdout.trim();
  }

  async json<Answer>(agent: RealAgent, ...args: string[]): Promise<Answer> {
    const { stdout, stderr } = await kalos(...args, '--dir', agent.directory, '-o', 'json');
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as Answer;
  }

  // What a test looks at until something is so: asked without a command line, which would keep a core busy all the while.

  status({ directory }: RealAgent): Promise<AgentStatus> {
    return ask<AgentStatus>(directory, '/v1/status');
  }

  members({ directory }: RealAgent): Promise<MemberRow[]> {
    return ask<MemberRow[]>(directory, '/v1/members');
  }

  nova({ directory }: RealAgent): Promise<NovaAnswer> {
    return ask<NovaAnswer>(directory, '/v1/nova/read', { read: 'local' });
  }

  rows({ directory }: RealAgent, sql: string): Promise<Row[]> {
    return askRows(directory, sql);
  }

  /** What an agent printed so far. */
  static outputOf(agent: RealAgent): string {
    return agent.output.join('');
  }

  /** As kill -9 does it. */
  async kill({ process: child }: RealAgent): Promise<void> {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    const ended = this.agents.map(
      ({ process: child }) =>
        new Promise<void>((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) return resolve();
          child.once('exit', () => resolve());
          child.kill('SIGTERM');
        }),
    );
    await Promise.all(ended);
    for (const { directory } of this.agents) await endActuator(join(directory, 'actuator'));
    rmSync(this.#root, { recursive: true, force: true });
  }

  read(agent: RealAgent, file: string): string {
    return readFileSync(join(agent.directory, file), 'utf8');
  }
}

/** An agent that was killed leaves its actuator, and that one the services: ended here, in order. */
async function endActuator(state: string): Promise<void> {
  const lives = (): number | undefined => {
    try {
      const pid = Number(readFileSync(join(state, 'lock'), 'utf8'));
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(state) ? pid : undefined;
    } catch {
      return undefined;
    }
  };
  const pid = lives();
  if (pid === undefined) return;
  process.kill(pid, 'SIGTERM');
  await eventually('the actuator to end', () => lives() === undefined || undefined);
}
