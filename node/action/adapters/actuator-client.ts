// The Actuator port on the kalos-actuator program (native/actuator/), over its Unix socket: frames of a length and a CBOR
// array. Where no actuator runs on the socket and none is the system's, the agent starts one of its own. A lost connection
// is taken up again; what was asked meanwhile has an unknown outcome, which the transaction then asks about.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../../swarm/dissemination/cbor.ts';
import type { Store } from '../../../swarm/ports/store.ts';
import { refusalOf } from '../../adapters/level-store.ts';
import {
  type Actuator,
  type ActuatorFailure,
  type ActuatorOutcome,
  type ActuatorReading,
  type ChangeStatus,
  type Deadline,
  type Reading,
  type ServiceCheck,
  type ServiceSample,
  type ServiceSpec,
  type Stall,
  type Step,
  stepToWire,
  stoppedService,
} from '../../ports/actuator.ts';
import { Heartbeat } from './heartbeat.ts';
import { ServiceChecks } from './service-checks.ts';
import { SystemdUnits } from './systemd-units.ts';

const VERSION = 1;
const HEAD_BYTES = 4;
const MAX_FRAME_BYTES = 4 * 1024 * 1024;
const CONNECT_EVERY_MS = 50;
const START_WITHIN_MS = 5_000;
const HELLO_WITHIN_MS = 10_000;
const CLOSE_WITHIN_MS = 1_000;
/** Longer than any primitive: a service's grace, a helper's time. */
const ANSWER_WITHIN_MS = 660_000;
const MAX_PROGRAMS = 256;
/** In the place of `on purpose`. */
const ON_PURPOSE = 1;
const BY_POLICY = 2;
/** Told among its capabilities: `confirm` takes whose it is, there is a heartbeat, and services run as users of their own. */
const FEATURES: readonly string[] = ['intent', 'beat', 'own-users'];
const EXEC_CHECK_MS = 5_000;
const DEFAULT_GRACE_MS = 5_000;
const DEFAULT_LOG_BYTES = 10 * 1024 * 1024;

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
/** name, state, pid, start ticks, exit code, exit signal, starts, since, who has it down (0: nobody) */
const sampleSchema = z.tuple([
  z.string(),
  z.enum(['stopped', 'running', 'exited']),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
  z.number(),
]);
const eventSchema = z.tuple([z.literal(VERSION), z.literal(0), z.literal('service'), sampleSchema, z.number()]);
/** term, boot id, owned, capabilities */
const helloSchema = z.tuple([z.number(), z.string(), z.number(), z.array(z.string())]);
/** wall ms, how long it lasted in ms, ended, in words */
const stallsSchema = z.array(z.tuple([z.number(), z.number(), z.number(), z.string()]));
const statusSchema = z.tuple([z.enum(['unknown', 'armed', 'confirmed', 'undone', 'failed']), z.number(), z.string()]);

const SIGNAL_NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

export interface ActuatorOptions {
  socket: string;
  /** How to start one where none answers; undefined where it is the system's to run. */
  own: { program: string; arguments: readonly string[] } | undefined;
  /** Where the actuator keeps the services' logs. */
  logs: string;
  services: readonly ServiceSpec[];
  /** Where systemd is asked about services that are its units. */
  systemctl?: string;
  /** Where it is kept who stopped a unit; without it that is forgotten with this client. */
  store?: Pick<Store, 'range' | 'write'>;
  /** How long an answer may take; longer than any primitive. */
  answerWithinMs?: number;
  log(level: 'info' | 'warn', text: string): void;
}

type Answer = { ok: true; value: unknown } | ActuatorFailure;

/** Only `failed` is the program's own word; one that is refused is not declared any more. */
const EXEC_CHECK: Record<ActuatorFailure['code'], ServiceCheck> = {
  failed: 'failed',
  gone: 'silent',
  unknown: 'unknown',
  refused: 'unknown',
  'not-found': 'unknown',
};

const lost: ActuatorFailure = { ok: false, code: 'unknown', message: 'the actuator does not answer' };

/** From which on everybody may bind ports: in containers often all of them. */
function firstFreePort(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  } catch {
    return 1_024;
  }
}

export class ActuatorClient implements Actuator {
  readonly #options: ActuatorOptions;
  readonly #samples = new Map<string, ServiceSample>();
  readonly #programs = new Map<string, ServiceSample>();
  readonly #pending = new Map<number, (answer: Answer) => void>();
  readonly #checks: ServiceChecks;
  readonly #units: SystemdUnits | undefined;
  #socket: Socket | undefined;
  #nextId = 1;
  #closing = false;
  #reconnecting = false;
  #owned = false;
  #usersTold = false;
  /** By this client: nothing of an earlier life can be in it. */
  #started = false;
  #onExit: (name: string) => void = () => undefined;
  #onBack: () => void = () => undefined;
  #heartbeat: Heartbeat | undefined;
  /** Features of this actuator that one before 0.4.0 does not have. */
  #features: readonly string[] = [];
  /** What the actuator's policy lets through, by kind. */
  capabilities: readonly string[] = [];

  private constructor(options: ActuatorOptions) {
    this.#options = options;
    for (const spec of options.services) this.#samples.set(spec.name, stoppedService(spec, Date.now()));
    const units = options.services.filter(({ unit }) => unit !== undefined);
    if (units.length > 0)
      this.#units = new SystemdUnits({
        systemctl: options.systemctl ?? '/usr/bin/systemctl',
        services: units,
        store: options.store,
        changed: (name, { signal, ...change }, exits) => {
          this.#update(name, { ...change, exitSignal: signalName(signal ?? 0) });
          for (let n = 0; n < exits; n++) this.#onExit(name); // and systemd has started it again
        },
      });
    this.#checks = new ServiceChecks(options.logs, async (name, command) => {
      const answer = await this.#ask('check', name, command, EXEC_CHECK_MS);
      return answer.ok ? 'open' : EXEC_CHECK[answer.code];
    });
  }

  /** @throws Error where there is no actuator, and none can be started. */
  static async open(options: ActuatorOptions): Promise<ActuatorClient> {
    const client = new ActuatorClient(options);
    try {
      await client.#connect();
      await client.#units?.open();
      return client;
    } catch (error) {
      await client.leave(); // nobody has it who could; services that an actuator before it had go on
      throw error;
    }
  }

  // The connection

  async #connect(): Promise<void> {
    const deadlineMs = performance.now() + START_WITHIN_MS;
    let started = false;
    for (;;) {
      const socket = await dial(this.#options.socket);
      if (this.#closing) {
        socket?.destroy(); // the agent leaves: nobody must be taken for it
        return;
      }
      if (socket !== undefined) return this.#greet(socket);
      if (!started && this.#options.own !== undefined) this.#start(this.#options.own);
      started = true;
      if (performance.now() > deadlineMs) throw new Error(`no actuator answers on ${this.#options.socket}`);
      await new Promise((resolve) => setTimeout(resolve, CONNECT_EVERY_MS));
    }
  }

  /** It outlives the agent: services go on, and open changes are undone. */
  #start({ program, arguments: args }: NonNullable<ActuatorOptions['own']>): void {
    this.#started = true;
    mkdirSync(dirname(this.#options.socket), { recursive: true, mode: 0o700 });
    const errors = errorsOf(dirname(this.#options.socket));
    const child = spawn(program, args, { detached: true, stdio: ['ignore', 'ignore', errors], env: {} });
    if (errors !== 'ignore') closeSync(errors);
    child.on('error', (error) => this.#options.log('warn', `the actuator cannot be started: ${error.message}`));
    child.unref();
  }

  async #greet(socket: Socket): Promise<void> {
    this.#socket = socket;
    let received: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      received = this.#take(received);
    });
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => this.#lost(socket));
    const hello = await this.#within(HELLO_WITHIN_MS, this.#ask('hello'));
    if (!hello.ok) {
      this.#socket = undefined; // one that does not answer may do so later, or be another
      socket.destroy();
      throw new Error(`the actuator refuses this agent: ${hello.message}`);
    }
    const [, , owned, capabilities] = helloSchema.parse(hello.value);
    this.#owned = owned === 1;
    this.#features = capabilities.filter((name) => FEATURES.includes(name));
    this.capabilities = capabilities.filter((name) => !FEATURES.includes(name));
    const declared = await this.#ask('declare', this.#options.services.filter(({ unit }) => unit === undefined).map(wireSpec));
    if (!declared.ok) throw new Error(`the actuator refuses the services: ${declared.message}`);
    if (this.#features.includes('beat')) this.#heartbeat ??= new Heartbeat((flags) => this.#ask('beat', flags));
    const services = await this.#ask('services');
    this.#tellUsers();
    if (services.ok) for (const sample of z.array(sampleSchema).parse(services.value)) this.#changed(sample, true);
  }

  /** Once: whom the services run as that say nothing of it. */
  #tellUsers(): void {
    const plain = this.#options.services.filter(({ unit, user }) => unit === undefined && user === undefined);
    if (this.#usersTold || plain.length === 0) return;
    this.#usersTold = true;
    const names = plain.map(({ name }) => name).join(', ');
    if (!this.#features.includes('own-users')) {
      const why = "as the actuator is not root's or is older than 0.4.0";
      return this.#options.log(
        'info',
        `services without \`user\` run as the agent's user and can do what it can, ${why}: ${names}`,
      );
    }
    const remedy = 'one that needs more must name its `user` (docs/CONFIG.md, "Who a service runs as")';
    this.#options.log('info', `services without \`user\` run as users of their own, with no files: ${names}; ${remedy}`);
    const free = firstFreePort();
    for (const { name, port } of plain)
      if (port !== undefined && port < free)
        this.#options.log('warn', `${name}: its own user can bind no port below ${free}, but its \`port\` is ${port}: ${remedy}`);
  }

  #lost(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = undefined;
    for (const answer of this.#pending.values()) answer(lost);
    this.#pending.clear();
    if (this.#closing) return;
    this.#options.log('warn', 'the actuator is gone: connecting again');
    this.#reconnect();
  }

  /** Once at a time: a connection that is lost before it was greeted is lost to the attempt, too. */
  #reconnect(): void {
    if (this.#reconnecting) return;
    this.#reconnecting = true;
    this.#connect().then(
      () => {
        this.#reconnecting = false;
        if (this.#closing) return;
        if (this.#socket === undefined) return this.#reconnect(); // lost again while it was greeted
        this.#options.log('info', 'the actuator answers again');
        this.#onBack();
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

  /** Takes whole frames off the front; what is left begins the next. */
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
    const event = eventSchema.safeParse(frame);
    if (event.success) return this.#changed(event.data[3], event.data[4] === 1);
    const [, id, code, message, bytes] = answerSchema.parse(frame);
    const answer = this.#pending.get(id);
    this.#pending.delete(id);
    const name = CODES[code] ?? 'failed';
    answer?.(
      name === 'ok' ? { ok: true, value: bytes.length === 0 ? message : decodeCbor(bytes) } : { ok: false, code: name, message },
    );
  }

  #ask(operation: string, ...parameters: unknown[]): Promise<Answer> {
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

  /** What is answered at once by one whose loop turns. */
  async #within(ms: number, answer: Promise<Answer>): Promise<Answer> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<Answer>((resolve) => {
      timer = setTimeout(() => resolve(lost), ms);
    });
    return Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }

  async #do(operation: string, ...parameters: unknown[]): Promise<ActuatorOutcome> {
    const answer = await this.#ask(operation, ...parameters);
    return answer.ok ? { ok: true } : answer;
  }

  // Services

  #changed(wire: z.infer<typeof sampleSchema>, mayHaveEnded: boolean): void {
    const [name, state, pid, startTicks, exitCode, exitSignal, starts, sinceMs, onPurpose] = wire;
    const before = this.#samples.get(name);
    const change = {
      state,
      pid: pid === 0 ? undefined : pid,
      startTicks: pid === 0 ? undefined : startTicks,
      exitCode: exitCode === -1 ? undefined : exitCode,
      exitSignal: signalName(exitSignal),
      starts,
      sinceMs,
      onPurpose: onPurpose === ON_PURPOSE,
      byPolicy: onPurpose === BY_POLICY,
    };
    if (before === undefined) {
      this.#programs.set(name, { ...stoppedService({ name, command: [] }, sinceMs), ...change });
      if (this.#programs.size > MAX_PROGRAMS) this.#programs.delete(this.#programs.keys().next().value ?? '');
      return;
    }
    this.#update(name, change, mayHaveEnded);
  }

  #update(name: string, change: Partial<ServiceSample>, mayHaveEnded = true): void {
    const before = this.#samples.get(name);
    if (before === undefined) return;
    this.#samples.set(name, { ...before, ...change });
    if (mayHaveEnded && change.state === 'exited' && before.state === 'running') this.#onExit(name);
  }

  services(): readonly ServiceSample[] {
    return [...this.#samples.values()];
  }

  onExit(listener: (name: string) => void): void {
    this.#onExit = listener;
  }

  onBack(listener: () => void): void {
    this.#onBack = listener;
  }

  bringUp(name: string): Promise<ActuatorOutcome> {
    return this.#do('up', name);
  }

  hold(name: string, { monotonicMs, wallMs }: Deadline, fence: number): Promise<ActuatorOutcome> {
    return this.#do('hold', name, Math.floor(monotonicMs), Math.floor(wallMs), fence);
  }

  release(name: string): Promise<ActuatorOutcome> {
    return this.#do('release', name);
  }

  async program(key: string): Promise<ServiceSample | undefined> {
    return this.#programs.get(`spawn.${key}`);
  }

  logOf(name: string): string | undefined {
    const spec = this.#options.services.find((service) => service.name === name);
    return spec === undefined || spec.unit !== undefined ? undefined : join(this.#options.logs, `${name}.log`);
  }

  async checkService(name: string, timeoutMs: number): Promise<ServiceCheck> {
    const spec = this.#options.services.find((service) => service.name === name);
    const sample = this.#samples.get(name);
    return spec === undefined || sample === undefined ? 'undeclared' : this.#checks.look(spec, sample, timeoutMs);
  }

  // Changes

  check(steps: readonly Step[]): Promise<ActuatorOutcome> {
    return this.#do('try', steps.map(stepToWire));
  }

  arm(id: string, fireAfterMs: number, steps: readonly Step[], leave?: Uint8Array): Promise<ActuatorOutcome> {
    // An actuator of a version before 0.3.0 takes none, nor one that nobody judges for.
    const shown = leave !== undefined && this.capabilities.includes('leave') ? [leave] : [];
    this.#units?.armed(id, fireAfterMs, steps);
    return this.#do('arm', id, fireAfterMs, steps.map(stepToWire), ...shown);
  }

  async apply(id: string, step: number): Promise<ActuatorOutcome> {
    const outcome = await this.#do('apply', id, step);
    await this.#units?.look();
    return outcome;
  }

  async confirm(id: string, byPerson = true): Promise<ActuatorOutcome> {
    await this.#units?.confirmed(id, byPerson);
    // To an actuator before 0.4.0 every stop is a person's.
    return this.#do('confirm', id, ...(this.#features.includes('intent') ? [byPerson ? 1 : 0] : []));
  }

  undo(id: string, reason: string): Promise<ActuatorOutcome> {
    this.#units?.undone(id);
    return this.#do('undo', id, reason);
  }

  async change(id: string): Promise<ChangeStatus> {
    const answer = await this.#ask('state', id);
    if (!answer.ok) throw new Error(answer.message);
    const [state, begun, reason] = statusSchema.parse(answer.value);
    return { state, begun, reason };
  }

  read(reading: Reading): Promise<ActuatorReading> {
    return this.#ask('read', reading);
  }

  async stalls(): Promise<readonly Stall[]> {
    const answer = this.#features.includes('beat') ? await this.#ask('stalls') : lost;
    const stalls = answer.ok ? stallsSchema.parse(answer.value) : [];
    return stalls.map(([atMs, lastedMs, ended, words]) => ({ atMs, lastedMs, ended: ended === 1, words }));
  }

  silentMs(): number | undefined {
    return this.#heartbeat?.silentMs();
  }

  /** One of the agent's own ends with it, after the services; the system's goes on, and the services with it. */
  async close(): Promise<void> {
    await this.#end(this.#owned);
  }

  async leave(): Promise<void> {
    await this.#end(false);
  }

  /** Its agent does not come up: one that was started for it ends, one that was there goes on. */
  async giveUp(): Promise<void> {
    await this.#end(this.#owned && this.#started);
  }

  async #end(whole: boolean): Promise<void> {
    this.#closing = true;
    this.#units?.close();
    const socket = this.#socket;
    if (socket === undefined) return this.#heartbeat?.stop();
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    // An actuator that does not answer is not waited for: its own supervisor kills it.
    const asked = whole ? await this.#within(HELLO_WITHIN_MS, this.#ask('shutdown')) : lost;
    if (!whole) socket.end();
    const late = asked.ok ? undefined : setTimeout(() => socket.destroy(), CLOSE_WITHIN_MS);
    await closed; // services may take their time: until then this loop turns, and says so
    clearTimeout(late);
    this.#heartbeat?.stop();
  }
}

/** Where an actuator tells why it cannot start; a disk that refuses writes is no reason to be without one. */
function errorsOf(directory: string): number | 'ignore' {
  try {
    return openSync(join(directory, 'errors'), 'a', 0o600);
  } catch (error) {
    if (refusalOf(error) === undefined) throw error;
    return 'ignore';
  }
}

function signalName(number: number): string | undefined {
  return number === 0 ? undefined : (SIGNAL_NAMES.get(number) ?? `SIG${number}`);
}

function dial(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

/** As the actuator takes it (native/actuator/services.h). */
function wireSpec(spec: ServiceSpec): unknown[] {
  const { files, processes, memoryBytes = 0, cpus = 0 } = spec.limits ?? {};
  const limits = [
    ...(files === undefined ? [] : [['nofile', files]]),
    ...(processes === undefined ? [] : [['nproc', processes]]),
  ];
  return [
    spec.name,
    spec.command,
    spec.directory ?? '',
    Object.entries(spec.environment ?? {}).map(([key, value]) => `${key}=${value}`),
    spec.user ?? '',
    limits,
    Math.round(cpus * 1_000),
    memoryBytes,
    spec.stop?.signal ?? 'TERM',
    spec.stop?.graceMs ?? DEFAULT_GRACE_MS,
    spec.logBytes ?? DEFAULT_LOG_BYTES,
    ...(spec.failover === true ? [1] : []),
  ];
}
