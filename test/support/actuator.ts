// A real actuator for tests: the sanitized build, in a directory of its own, ended afterwards; and a raw client that can
// say what no honest one would.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import { findPackage } from '../../node/adapters/package.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { ServiceSpec } from '../../swarm/ports/actuator.ts';
import { eventually } from './clock.ts';

const { root } = findPackage();

/** Builds what the tests need, once; fresh builds are left alone. */
export function buildSanitized(): void {
  execFileSync(process.execPath, [join(root, 'scripts', 'build-native.mjs'), '--sanitize'], { stdio: 'inherit' });
}

export const FUZZER = join(root, 'native', 'build', 'fuzz');
const SANITIZED = join(root, 'native', 'build', 'kalos-actuator.sanitized');

export interface ActuatorStart {
  policy?: string;
  /** Put before the program: `unshare --net`, say. */
  under?: readonly string[];
  arguments?: readonly string[];
}

export class TestActuator {
  /** For the test's own files; /tmp is nobody's `.kalos`. */
  readonly directory = mkdtempSync(join(tmpdir(), 'kalos-act-'));
  readonly state = join(this.directory, 'state');
  readonly socket = join(this.state, 'sock');
  readonly policyFile = join(this.directory, 'policy');
  readonly #clients: ActuatorClient[] = [];
  readonly #raw: RawClient[] = [];
  process: ChildProcess | undefined;
  errors = '';

  async start({ policy, under = [], arguments: more = [] }: ActuatorStart = {}): Promise<this> {
    if (policy !== undefined) writeFileSync(this.policyFile, policy, { mode: 0o600 });
    const [program = '', ...args] = [...under, SANITIZED, '--state', this.state, '--policy', this.policyFile, ...more];
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' },
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text;
    });
    this.process = child;
    await eventually('the actuator to listen', async () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${this.errors}`);
      const socket = await dial(this.socket);
      socket?.destroy();
      return socket;
    });
    return this;
  }

  async client(services: readonly ServiceSpec[] = []): Promise<ActuatorClient> {
    const logs = join(this.state, 'services');
    const client = await ActuatorClient.open({ socket: this.socket, own: undefined, logs, services, log: () => undefined });
    this.#clients.push(client);
    return client;
  }

  async raw(): Promise<RawClient> {
    const socket = await eventually('a connection', () => dial(this.socket));
    const raw = new RawClient(socket);
    this.#raw.push(raw);
    return raw;
  }

  log(): string {
    return readFileSync(join(this.state, 'actuator.log'), 'utf8');
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.process;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
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

/** Frames as one likes them. */
export class RawClient {
  readonly socket: Socket;
  readonly frames: unknown[][] = [];
  closed = false;
  #received = Buffer.alloc(0);
  #nextId = 1;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const length = this.#received.readUInt32BE(0);
      if (this.#received.length < 4 + length) return;
      this.frames.push(decodeCbor(this.#received.subarray(4, 4 + length)) as unknown[]);
      this.#received = this.#received.subarray(4 + length);
    }
  }

  /** A head that claims a length, and whatever follows. */
  send(body: Uint8Array, length = body.length): void {
    const head = Buffer.alloc(4);
    head.writeUInt32BE(length);
    this.socket.write(Buffer.concat([head, body]));
  }

  /** @returns the code and the message of the answer. */
  async ask(operation: string, ...parameters: unknown[]): Promise<{ code: number; message: string }> {
    const id = this.#nextId++;
    this.send(encodeCbor([1, id, operation, ...parameters]));
    const frame = await eventually(`the answer to ${operation}`, () => this.frames.find((one) => one[1] === id));
    return { code: Number(frame[2]), message: String(frame[3]) };
  }
}
