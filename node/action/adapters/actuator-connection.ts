// The connection to the actuator: frames of a length and a CBOR array over its Unix socket. If no actuator answers and the system runs
// none, one is started. A lost connection is restored; requests that it interrupted have an unknown outcome.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../../swarm/dissemination/cbor.ts';
import { refusalOf } from '../../adapters/level-store.ts';
import type { ActuatorFailure, ActuatorOutcome } from '../../ports/actuator.ts';

export const VERSION = 1;
const HEAD_BYTES = 4;
const MAX_FRAME_BYTES = 4 * 1024 * 1024;
const CONNECT_EVERY_MS = 50;
const START_WITHIN_MS = 5_000;
const HELLO_WITHIN_MS = 10_000;
const CLOSE_WITHIN_MS = 1_000;
/** Longer than any primitive: a service's grace, a helper's time. */
const ANSWER_WITHIN_MS = 660_000;

/** In the order of the actuator's codes (native/actuator/outcome.h). */
const CODES = ['ok', 'not-found', 'gone', 'refused', 'failed', 'unknown'] as const;

const answerSchema = z.tuple([
  z.literal(VERSION),
  z.number(),
  z
    .number()
    .int()
    .min(0)
    .max(CODES.length - 1),
  z.string(),
  z.instanceof(Uint8Array),
]);
export interface ConnectionOptions {
  socket: string;
  /** How to start one if none answers; undefined if the system runs it. */
  own: { program: string; arguments: readonly string[] } | undefined;
  /** How long an answer may take; longer than any primitive. */
  answerWithinMs?: number;
  log(level: 'info' | 'warn', text: string): void;
}

export type Answer = { ok: true; value: unknown } | ActuatorFailure;

/** The user of a connection. */
interface User {
  /** Connected; the value is that of the actuator's hello. @throws Error if it is of no use */
  greeted(hello: unknown): Promise<void>;
  /** A frame that may be an event: false if it is not one. */
  event(frame: unknown): boolean;
  /** Connected again after a loss. */
  back(): void;
}

export const lost: ActuatorFailure = { ok: false, code: 'unknown', message: 'the actuator does not answer' };

export class ActuatorConnection {
  readonly #options: ConnectionOptions;
  readonly #user: User;
  readonly #pending = new Map<number, (answer: Answer) => void>();
  #socket: Socket | undefined;
  #nextId = 1;
  #closing = false;
  #reconnecting = false;
  #started = false;

  constructor(options: ConnectionOptions, user: User) {
    this.#options = options;
    this.#user = user;
  }

  /** This connection started the actuator: it holds nothing of an earlier agent. */
  get started(): boolean {
    return this.#started;
  }

  /** @throws Error if no actuator runs and none can be started. */
  async connect(): Promise<void> {
    const deadlineMs = performance.now() + START_WITHIN_MS;
    let started = false;
    for (;;) {
      const socket = await dial(this.#options.socket);
      if (this.#closing) {
        socket?.destroy(); // the agent ends: the actuator must not see a new connection of it
        return;
      }
      if (socket !== undefined) return this.#adopt(socket);
      if (!started && this.#options.own !== undefined) this.#start(this.#options.own);
      started = true;
      if (performance.now() > deadlineMs) throw new Error(`no actuator answers on ${this.#options.socket}`);
      await new Promise((resolve) => setTimeout(resolve, CONNECT_EVERY_MS));
    }
  }

  /** It outlives the agent: services keep running, and open changes are undone. */
  #start({ program, arguments: args }: NonNullable<ConnectionOptions['own']>): void {
    this.#started = true;
    mkdirSync(dirname(this.#options.socket), { recursive: true, mode: 0o700 });
    const errors = errorsOf(dirname(this.#options.socket));
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', errors], env: {} });
    if (errors !== 'ignore') closeSync(errors);
    child.on('error', (error) => this.#options.log('warn', `the actuator cannot be started: ${error.message}`));
    child.unref();
  }

  async #adopt(socket: Socket): Promise<void> {
    this.#socket = socket;
    let received: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      received = this.#take(received);
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.#lost(socket));
    const hello = await this.#within(HELLO_WITHIN_MS, this.ask('hello'));
    if (!hello.ok) {
      this.#socket = undefined; // it may answer later, or be another one
      socket.destroy();
      throw new Error(`the actuator rejects this agent: ${hello.message}`);
    }
    await this.#user.greeted(hello.value);
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    for (const answer of this.#pending.values()) answer(lost);
    this.#pending.clear();
    if (this.#closing) return;
    this.#options.log('warn', 'lost the actuator: reconnecting');
    this.#reconnect();
  }

  /** One attempt at a time: a connection that is lost before its greeting belongs to the running attempt. */
  #reconnect(): void {
    if (this.#reconnecting) return;
    this.#reconnecting = true;
    this.connect().then(
      () => {
        this.#reconnecting = false;
        if (this.#closing) return;
        if (this.#socket === undefined) return this.#reconnect(); // lost again during the greeting
        this.#options.log('info', 'the actuator answers again');
        this.#user.back();
      },
      (error: unknown) => {
        if (this.#closing) return;
        this.#options.log('warn', String(error));
        setTimeout(() => {
          this.#reconnecting = false;
          this.#reconnect();
        }, START_WITHIN_MS);
      },
    );
  }

  /** Handles complete frames; returns the rest. */
  #take(received: Buffer): Buffer {
    let rest = received;
    while (rest.length >= HEAD_BYTES) {
      const length = rest.readUInt32BE(0);
      if (length > MAX_FRAME_BYTES) {
        this.#socket?.destroy();
        return Buffer.alloc(0);
      }
      if (rest.length < HEAD_BYTES + length) break;
      this.#receive(decodeCbor(rest.subarray(HEAD_BYTES, HEAD_BYTES + length)));
      rest = rest.subarray(HEAD_BYTES + length);
    }
    return rest;
  }

  #receive(frame: unknown): void {
    if (this.#user.event(frame)) return;
    const [, id, code, message, bytes] = answerSchema.parse(frame);
    const answer = this.#pending.get(id);
    this.#pending.delete(id);
    const name = CODES[code] ?? 'failed';
    answer?.(
      name === 'ok' ? { ok: true, value: bytes.length === 0 ? message : decodeCbor(bytes) } : { ok: false, code: name, message },
    );
  }

  ask(operation: string, ...parameters: unknown[]): Promise<Answer> {
    const socket = this.#socket;
    if (socket === undefined) return Promise.resolve(lost);
    const id = this.#nextId++;
    const body = encodeCbor([VERSION, id, operation, ...parameters]);
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt32BE(body.length);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        resolve(lost);
      }, this.#options.answerWithinMs ?? ANSWER_WITHIN_MS);
      timer.unref();
      this.#pending.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      socket.write(Buffer.concat([head, body]));
    });
  }

  /** For requests that a responsive actuator answers immediately. */
  async #within(ms: number, answer: Promise<Answer>): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Answer>((resolve) => {
      timer = setTimeout(() => resolve(lost), ms);
    });
    return Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }

  /** For requests that are answered with an outcome alone. */
  async do(operation: string, ...parameters: unknown[]): Promise<ActuatorOutcome> {
    const answer = await this.ask(operation, ...parameters);
    return answer.ok ? { ok: true } : answer;
  }

  /** @param shutdown the actuator ends too; waits for it, as services may take long, unless it does not answer. */
  async end(shutdown: boolean): Promise<void> {
    this.#closing = true;
    const socket = this.#socket;
    if (socket === undefined) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    // An actuator that does not answer is not waited for: its own supervisor kills it.
    const asked = shutdown ? await this.#within(HELLO_WITHIN_MS, this.ask('shutdown')) : lost;
    if (!shutdown) socket.end();
    const late = asked.ok ? undefined : setTimeout(() => socket.destroy(), CLOSE_WITHIN_MS);
    await closed; // meanwhile this loop runs, and the heartbeat shows it
    clearTimeout(late);
  }
}

/** The file for start errors of the actuator; it is started even if the disk refuses writes. */
function errorsOf(directory: string): number | 'ignore' {
  try {
    return openSync(join(directory, 'errors'), 'a', 0o600);
  } catch (error) {
    if (refusalOf(error) === undefined) throw error;
    return 'ignore';
  }
}

function dial(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}
