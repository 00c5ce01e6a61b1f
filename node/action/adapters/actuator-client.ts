// The Actuator port on the kalos-actuator program (native/actuator/).
import { join } from 'node:path';
import { z } from 'zod';
import type { Store } from '../../../swarm/ports/store.ts';
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
} from '../../ports/actuator.ts';
import { ActuatorConnection, type ConnectionOptions, lost, VERSION } from './actuator-connection.ts';
import { Heartbeat } from './heartbeat.ts';
import { ServiceChecks } from './service-checks.ts';
import { ServiceReports, sampleSchema, signalName } from './service-reports.ts';
import { describeUsers } from './service-users.ts';
import { SystemdUnits } from './systemd-units.ts';

/** Listed among its capabilities: `confirm` says whose change it is, there is a heartbeat, and services run as separate users. */
const FEATURES: readonly string[] = ['intent', 'beat', 'own-users'];
const EXEC_CHECK_MS = 5_000;
const DEFAULT_GRACE_MS = 5_000;
const DEFAULT_LOG_BYTES = 10 * 1024 * 1024;

const eventSchema = z.tuple([z.literal(VERSION), z.literal(0), z.literal('service'), sampleSchema, z.number()]);
/** term, boot id, owned, capabilities */
const helloSchema = z.tuple([z.number(), z.string(), z.number(), z.array(z.string())]);
/** wall ms, duration in ms, killed, description */
const stallsSchema = z.array(z.tuple([z.number(), z.number(), z.number(), z.string()]));
const statusSchema = z.tuple([z.enum(['unknown', 'armed', 'confirmed', 'undone', 'failed']), z.number(), z.string()]);

export interface ActuatorOptions extends ConnectionOptions {
  /** Where the actuator keeps the services' logs. */
  logs: string;
  services: readonly ServiceSpec[];
  /** The program that shows the state of systemd units. */
  systemctl?: string;
  /** Stores who stopped a unit; without it that is lost with this client. */
  store?: Pick<Store, 'range' | 'write'>;
}

/** Only `failed` is a result of the program; a refused one is no longer declared. */
const EXEC_CHECK: Record<ActuatorFailure['code'], ServiceCheck> = {
  failed: 'failed',
  gone: 'silent',
  unknown: 'unknown',
  refused: 'unknown',
  'not-found': 'unknown',
};

export class ActuatorClient implements Actuator {
  readonly #options: ActuatorOptions;
  readonly #connection: ActuatorConnection;
  readonly #services: ServiceReports;
  readonly #checks: ServiceChecks;
  readonly #units: SystemdUnits | undefined;
  #owned = false;
  #usersReported = false;
  #onBack: () => void = () => undefined;
  #heartbeat: Heartbeat | undefined;
  /** Features of this actuator that one before 0.4.0 does not have. */
  #features: readonly string[] = [];
  /** What the actuator's policy allows, by kind. */
  capabilities: readonly string[] = [];

  private constructor(options: ActuatorOptions) {
    this.#options = options;
    this.#services = new ServiceReports(options.services, Date.now());
    this.#connection = new ActuatorConnection(options, {
      greeted: (hello) => this.#greeted(hello),
      event: (frame) => {
        const { success, data } = eventSchema.safeParse(frame);
        if (success) this.#services.take(data[3], data[4] === 1);
        return success;
      },
      back: () => this.#onBack(),
    });
    const units = options.services.filter(({ unit }) => unit !== undefined);
    if (units.length > 0)
      this.#units = new SystemdUnits({
        systemctl: options.systemctl ?? '/usr/bin/systemctl',
        services: units,
        store: options.store,
        changed: (name, { signal, ...change }, exits) => {
          this.#services.update(name, { ...change, exitSignal: signalName(signal ?? 0) });
          for (let n = 0; n < exits; n++) this.#services.onExit(name); // and systemd restarted it
        },
      });
    this.#checks = new ServiceChecks(options.logs, async (name, command) => {
      const answer = await this.#connection.ask('check', name, command, EXEC_CHECK_MS);
      return answer.ok ? 'open' : EXEC_CHECK[answer.code];
    });
  }

  /** @throws Error if no actuator runs and none can be started. */
  static async open(options: ActuatorOptions): Promise<ActuatorClient> {
    const client = new ActuatorClient(options);
    try {
      await client.#connection.connect();
      await client.#units?.open();
      return client;
    } catch (error) {
      await client.leave(); // no caller has it to close; services of an earlier actuator keep running
      throw error;
    }
  }

  async #greeted(hello: unknown): Promise<void> {
    const { services, log } = this.#options;
    const [, , owned, capabilities] = helloSchema.parse(hello);
    this.#owned = owned === 1;
    this.#features = capabilities.filter((name) => FEATURES.includes(name));
    this.capabilities = capabilities.filter((name) => !FEATURES.includes(name));
    const declared = await this.#connection.ask('declare', services.filter(({ unit }) => unit === undefined).map(wireSpec));
    if (!declared.ok) throw new Error(`the actuator rejects the services: ${declared.message}`);
    if (this.#features.includes('beat')) this.#heartbeat ??= new Heartbeat((flags) => this.#connection.ask('beat', flags));
    const reported = await this.#connection.ask('services');
    if (!this.#usersReported)
      for (const { level, text } of describeUsers(services, this.#features.includes('own-users'))) log(level, text);
    this.#usersReported = true;
    if (reported.ok) for (const sample of z.array(sampleSchema).parse(reported.value)) this.#services.take(sample, true);
  }

  services(): readonly ServiceSample[] {
    return this.#services.all();
  }

  onExit(listener: (name: string) => void): void {
    this.#services.onExit = listener;
  }

  onBack(listener: () => void): void {
    this.#onBack = listener;
  }

  bringUp(name: string): Promise<ActuatorOutcome> {
    return this.#connection.do('up', name);
  }

  hold(name: string, { monotonicMs, wallMs }: Deadline, fence: number): Promise<ActuatorOutcome> {
    return this.#connection.do('hold', name, Math.floor(monotonicMs), Math.floor(wallMs), fence);
  }

  release(name: string): Promise<ActuatorOutcome> {
    return this.#connection.do('release', name);
  }

  async program(key: string): Promise<ServiceSample | undefined> {
    return this.#services.program(key);
  }

  logOf(name: string): string | undefined {
    const spec = this.#options.services.find((service) => service.name === name);
    return spec === undefined || spec.unit !== undefined ? undefined : join(this.#options.logs, `${name}.log`);
  }

  async checkService(name: string, timeoutMs: number): Promise<ServiceCheck> {
    const spec = this.#options.services.find((service) => service.name === name);
    const sample = this.#services.of(name);
    return spec === undefined || sample === undefined ? 'undeclared' : this.#checks.look(spec, sample, timeoutMs);
  }

  // Changes

  check(steps: readonly Step[]): Promise<ActuatorOutcome> {
    return this.#connection.do('try', steps.map(stepToWire));
  }

  arm(id: string, fireAfterMs: number, steps: readonly Step[], authorization?: Uint8Array): Promise<ActuatorOutcome> {
    // An actuator before 0.3.0, or one without a checker, takes no authorization.
    const shown = authorization !== undefined && this.capabilities.includes('leave') ? [authorization] : [];
    this.#units?.armed(id, fireAfterMs, steps);
    return this.#connection.do('arm', id, fireAfterMs, steps.map(stepToWire), ...shown);
  }

  async apply(id: string, step: number): Promise<ActuatorOutcome> {
    const outcome = await this.#connection.do('apply', id, step);
    await this.#units?.look();
    return outcome;
  }

  async confirm(id: string, byPerson = true): Promise<ActuatorOutcome> {
    await this.#units?.confirmed(id, byPerson);
    // An actuator before 0.4.0 treats every stop as a person's.
    return this.#connection.do('confirm', id, ...(this.#features.includes('intent') ? [byPerson ? 1 : 0] : []));
  }

  undo(id: string, reason: string): Promise<ActuatorOutcome> {
    this.#units?.undone(id);
    return this.#connection.do('undo', id, reason);
  }

  async change(id: string): Promise<ChangeStatus> {
    const answer = await this.#connection.ask('state', id);
    if (!answer.ok) throw new Error(answer.message);
    const [state, begun, reason] = statusSchema.parse(answer.value);
    return { state, begun, reason };
  }

  read(reading: Reading): Promise<ActuatorReading> {
    return this.#connection.ask('read', reading);
  }

  async stalls(): Promise<readonly Stall[]> {
    const answer = this.#features.includes('beat') ? await this.#connection.ask('stalls') : lost;
    const stalls = answer.ok ? stallsSchema.parse(answer.value) : [];
    return stalls.map(([atMs, lastedMs, ended, words]) => ({ atMs, lastedMs, ended: ended === 1, words }));
  }

  silentMs(): number | undefined {
    return this.#heartbeat?.silentMs();
  }

  /** An actuator that the agent started ends with it, after its services; the system's actuator and its services keep running. */
  async close(): Promise<void> {
    await this.#end(this.#owned);
  }

  async leave(): Promise<void> {
    await this.#end(false);
  }

  /** The agent failed to start: an actuator that was started for it ends, one that already ran keeps running. */
  async giveUp(): Promise<void> {
    await this.#end(this.#owned && this.#connection.started);
  }

  async #end(shutdown: boolean): Promise<void> {
    this.#units?.close();
    await this.#connection.end(shutdown);
    this.#heartbeat?.stop();
  }
}

/** In the actuator's format (native/actuator/services.h). */
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
