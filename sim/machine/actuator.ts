// The Actuator port as one agent process holds it: it ends with the process, while the machine and its armed changes go on.
import type {
  Actuator,
  ActuatorOutcome,
  ActuatorReading,
  ChangeStatus,
  Deadline,
  Reading,
  ServiceCheck,
  ServiceSample,
  Step,
} from '../../node/ports/actuator.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { Authorizations } from './authorizations.ts';
import type { FakeLinux } from './linux.ts';

/** A synced write of the actuator's, and the way there and back. */
const ROUND_TRIP_MS = 2;

export class SimulatedActuator implements Actuator {
  readonly #linux: FakeLinux;
  readonly #clock: Clock;
  readonly #leaves: Authorizations | undefined;
  #alive = true;

  /** @param clock the machine’s, which is the agent’s too. */
  constructor(linux: FakeLinux, clock: Clock, leaves?: Authorizations) {
    this.#linux = linux;
    this.#leaves = leaves;
    this.#clock = clock;
    linux.changes.agentBack();
  }

  /** The agent died: what it waits for never comes, and what it left open is undone after a while. */
  crash(): void {
    this.#alive = false;
    this.#linux.services.onExit(() => undefined);
    this.#linux.changes.agentGone();
  }

  /** The request arrives, is done, and its answer arrives, unless the process is dead by then. */
  async #ask<T>(work: () => T | Promise<T>): Promise<T> {
    const never = new Promise<never>(() => undefined);
    if (!this.#alive) return never;
    await this.#linux.delay(ROUND_TRIP_MS / 2);
    const result = await work();
    await this.#linux.delay(ROUND_TRIP_MS / 2);
    return this.#alive ? result : never;
  }

  services(): readonly ServiceSample[] {
    return this.#linux.services.all();
  }

  bringUp(name: string): Promise<ActuatorOutcome> {
    return this.#ask(() => this.#linux.services.start(name));
  }

  hold(name: string, until: Deadline, fence: number): Promise<ActuatorOutcome> {
    return this.#ask(() => {
      const leftMs = Math.min(until.monotonicMs - this.#clock.monotonicMs(), until.wallMs - this.#clock.wallMs());
      return this.#linux.services.hold(name, leftMs, fence);
    });
  }

  release(name: string): Promise<ActuatorOutcome> {
    return this.#ask(() => this.#linux.services.release(name));
  }

  check(steps: readonly Step[]): Promise<ActuatorOutcome> {
    return this.#ask(() => this.#linux.changes.check(steps));
  }

  arm(id: string, fireAfterMs: number, steps: readonly Step[], leave?: Uint8Array): Promise<ActuatorOutcome> {
    return this.#ask(() => {
      const refused = this.#leaves?.refusal(id, steps, leave, this.#clock.wallMs());
      return refused === undefined
        ? this.#linux.changes.arm(id, fireAfterMs, steps)
        : { ok: false, code: 'refused', message: refused };
    });
  }

  apply(id: string, step: number): Promise<ActuatorOutcome> {
    return this.#ask(() => this.#linux.changes.apply(id, step));
  }

  confirm(id: string, byPerson = true): Promise<ActuatorOutcome> {
    return this.#ask(() => this.#linux.changes.confirm(id, byPerson));
  }

  undo(id: string, reason: string): Promise<ActuatorOutcome> {
    return this.#ask(() => this.#linux.changes.undo(id, reason));
  }

  change(id: string): Promise<ChangeStatus> {
    return this.#ask(() => this.#linux.changes.status(id));
  }

  program(): Promise<undefined> {
    return this.#ask(() => undefined);
  }

  read(reading: Reading): Promise<ActuatorReading> {
    return this.#ask(() => this.#linux.read(reading));
  }

  checkService(name: string): Promise<ServiceCheck> {
    return this.#ask(() => this.#linux.services.check(name));
  }

  /** The model keeps no output. */
  logOf(): undefined {
    return undefined;
  }

  onExit(listener: (name: string) => void): void {
    this.#linux.services.onExit(listener);
  }

  async stalls(): Promise<readonly []> {
    return [];
  }

  silentMs(): undefined {
    return undefined;
  }

  /** The model's actuator never goes away. */
  onBack(): void {
    return undefined;
  }

  /** Nothing stays behind in memory that has to be closed. */
  async leave(): Promise<void> {
    return undefined;
  }

  async close(): Promise<void> {
    for (const { name, state } of this.services()) if (state === 'running') await this.#linux.services.stop(name);
  }
}
