// A real actuator for tests: the sanitized build, in a directory of its own, ended afterwards; and a raw client that can
// say what no honest one would.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import { findPackage } from '../../node/adapters/package.ts';
import type { ServiceSpec } from '../../node/ports/actuator.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { eventually } from './clock.ts';
import { patient } from './patience.ts';

const { root } = findPackage();

const build = (...options: string[]): void =>
  void execFileSync(process.execPath, [join(root, 'scripts', 'build-native.mjs'), ...options], { stdio: 'inherit' });
/** Builds what the tests need, once; fresh builds are left alone. */
export const buildSanitized = (): void => build('--sanitize');
/** What `new TestActuator(true)` needs. */
export const buildPlain = (): void => build();

export const FUZZER = join(root, 'native', 'build', 'fuzz');
/** Removed by who runs the tests, also where they are interrupted. */
const MEMORY = process.env.KALOS_TEST_MEMORY;
/** As it is installed: a child of it costs a tenth of one that is sanitized. */
const PLAIN = join(root, 'native', 'build', 'kalos-actuator');
const SANITIZED = join(root, 'native', 'build', 'kalos-actuator.sanitized');

/** One that does not answer by then never will: a test that waits for no more than this says so, and does not hang. */
const ANSWER_WITHIN_MS = patient(12_000);
/** Of a quick one, which answers within milliseconds. */
const QUICK_MS = 5_000;
/** Waits for what a quick actuator does at once. */
export const soon = <Value>(what: string, probe: () => Promise<Value | undefined> | Value | undefined): Promise<Value> =>
  eventually(what, probe, QUICK_MS);

export interface ActuatorStart {
  policy?: string;
  /** Put before the program: `unshare --net`, say. */
  under?: readonly string[];
  arguments?: readonly string[];
}

export class TestActuator {
  /** For the test's own files; /tmp is nobody's `.kalos`. */
  readonly directory: string;
  readonly state: string;
  readonly socket: string;
  readonly policyFile: string;
  readonly #clients: ActuatorClient[] = [];
  readonly #raw: RawClient[] = [];
  process: ChildProcess | undefined;
  errors = '';

  readonly #program: string;
  readonly #withinMs: number;

  /** @param quick not sanitized, and in memory where the run has a directory there: what is written durably costs nothing; programs may not be run from there. */
  constructor(quick = false) {
    const parent = (quick ? MEMORY : undefined) ?? tmpdir();
    this.#program = quick ? PLAIN : SANITIZED;
    this.#withinMs = quick ? patient(QUICK_MS) : ANSWER_WITHIN_MS;
    this.directory = mkdtempSync(join(parent, 'kalos-act-'));
    this.state = join(this.directory, 'state');
    this.socket = join(this.state, 'sock');
    this.policyFile = join(this.directory, 'policy');
  }

  async start({ policy, under = [], arguments: more = [] }: ActuatorStart = {}): Promise<this> {
    if (policy !== undefined) writeFileSync(this.policyFile, policy, { mode: 0o600 });
    const [program = '', ...args] = [...under, this.#program, '--state', this.state, '--policy', this.policyFile, ...more];
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' },
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    this.process = child;
    const beganMs = performance.now();
    for (;;) {
      const socket = await dial(this.socket);
      socket?.destroy();
      if (socket !== undefined) return this;
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`it ended: ${this.errors}`);
      if (performance.now() - beganMs > this.#withinMs) throw new Error('it does not listen');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async client(services: readonly ServiceSpec[] = []): Promise<ActuatorClient> {
    const logs = join(this.state, 'services');
    const log = (): undefined => undefined;
    const answerWithinMs = ANSWER_WITHIN_MS;
    const client = await ActuatorClient.open({ socket: this.socket, own: undefined, logs, services, log, answerWithinMs });
    this.#clients.push(client);
    return client;
  }

  async raw(): Promise<RawClient> {
    const socket = await eventually('a connection', () => dial(this.socket), QUICK_MS);
    const raw = new RawClient(socket, this.#withinMs);
    this.#raw.push(raw);
    return raw;
  }

  /** One that is the agent. */
  async agent(): Promise<RawClient> {
    const raw = await this.raw();
    await raw.ask('hello');
    return raw;
  }

  log(): string {
    return readFileSync(join(this.state, 'actuator.log'), 'utf8');
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    let isLate = false;
    const late = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, this.#withinMs);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
    clearTimeout(late);
    if (isLate) throw new Error(`the actuator does not end by ${signal}`);
  }

  /** Ends it in order, and fails where a sanitizer had something to say. */
  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
    for (const raw of this.#raw) raw.socket.destroy();
    await this.kill('SIGTERM');
    rmSync(this.directory, { recursive: true, force: true });
    if (/runtime error|AddressSanitizer/.test(this.errors)) throw new Error(this.errors);
  }
}

function dial(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

/** What the program says of its arguments, and its exit code. */
export function runActuator(...args: string[]): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(PLAIN, args, { encoding: 'utf8', timeout: ANSWER_WITHIN_MS });
  return { code: status, said: stdout + stderr };
}

export interface RawAnswer {
  code: number;
  message: string;
  /** Decoded; undefined where there is none. */
  value: unknown;
}

/** Frames as one likes them. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: unknown[][] = [];
  closed = false;
  readonly #withinMs: number;
  #received = Buffer.alloc(0);
  #nextId = 1;
  readonly #waiting = new Map<number, (frame: unknown[] | string) => void>();

  constructor(socket: Socket, withinMs: number) {
    this.socket = socket;
    this.#withinMs = withinMs;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
      for (const wake of this.#waiting.values()) wake('the actuator closed the connection');
    });
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const length = this.#received.readUInt32BE(0);
      if (this.#received.length < 4 + length) return;
      const frame = decodeCbor(this.#received.subarray(4, 4 + length)) as unknown[];
      this.frames.push(frame);
      this.#received = this.#received.subarray(4 + length);
      this.#waiting.get(Number(frame[1]))?.(frame);
    }
  }

  /** A head that claims a length, and whatever follows. */
  send(body: Uint8Array, length = body.length): void {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    this.socket.write(Buffer.concat([head, body]));
  }

  /** @throws Error where no answer comes. */
  async ask(operation: string, ...parameters: unknown[]): Promise<RawAnswer> {
    const id = this.#nextId++;
    const answered = new Promise<unknown[] | string>((resolve) => {
      if (this.closed) resolve('the connection is closed');
      const late = setTimeout(() => resolve('none came'), this.#withinMs);
      this.#waiting.set(id, (frame) => {
        clearTimeout(late);
        resolve(frame);
      });
    });
    this.send(encodeCbor([1, id, operation, ...parameters]));
    const frame = await answered;
    this.#waiting.delete(id);
    if (typeof frame === 'string') throw new Error(`no answer to ${operation}: ${frame}`);
    const items = frame[4] as Uint8Array;
    return { code: Number(frame[2]), message: String(frame[3]), value: items.length === 0 ? undefined : decodeCbor(items) };
  }
}
