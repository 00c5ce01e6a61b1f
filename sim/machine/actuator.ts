// The Actuator port of one agent process: it ends with the process, while the machine and its armed changes continue.
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

/** A synced write of the actuator, and the round trip to it. */
const ROUND_TRIP_MS = 2;

export class SimulatedActuator implements Actuator {
  readonly #linux: FakeLinux;
  readonly #clock: Clock;
  readonly #authorizations: Authorizations | undefined;
  #alive = true;

  /** @param clock of the machine, which the agent uses too. */
  constructor(linux: FakeLinux, clock: Clock, authorizations?: Authorizations) {
    this.#linux = linux;
    this.#authorizations = authorizations;
    this.#clock = clock;
    linux.changes.agentBack();
  }

  /** The agent died: pending answers never arrive, and its open changes are undone after some time. */
  crash(): void {
    this.#alive = false;
    this.#linux.services.onExit(() => undefined);
    this.#linux.changes.agentGone();
  }

  /** The request arrives, is executed, and its answer arrives, unless the process is dead by then. */
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

  arm(id: string, fireAfterMs: number, steps: readonly Step[], authorization?: Uint8Array): Promise<ActuatorOutcome> {
    return this.#ask(() => {
      const refused = this.#authorizations?.refusal(id, steps, authorization, this.#clock.wallMs());
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

  /** The model has no output of services. */
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

  /** The model's actuator never disconnects. */
  onBack(): void {
    return undefined;
  }

  /** There is nothing to close. */
  async leave(): Promise<void> {
    return undefined;
  }

  async close(): Promise<void> {
    for (const { name, state } of this.services()) if (state === 'running') await this.#linux.services.stop(name);
  }
}
