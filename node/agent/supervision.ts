// Restarts services while the disk of the state directory refuses writes. No repair can be recorded then, so none starts. A declared
// service that exited is restarted anyway, as at the agent's start: that is not a change of the machine, and needs no record.

import type { ServiceSample, ServiceSpec } from '../ports/actuator.ts';
import type { Ports } from '../ports/ports.ts';
import type { Reporter } from '../reporter.ts';
import type { Brakes } from './brakes.ts';

/** Pause between two starts of a service that keeps exiting; doubled each time. */
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 60_000;
/** The policy and tool that would repair it if the repair could be recorded: their silences and brakes apply. */
const POLICY = 'service-exited';
const TOOL = 'service.restart';

export interface SupervisionParts {
  ports: Ports;
  services: readonly ServiceSpec[];
  /** Brakes on policies are brakes here too. */
  brakes: Pick<Brakes, 'mode' | 'silence' | 'standing'>;
  reporter: Reporter;
}

export class Supervision {
  readonly #parts: SupervisionParts;
  readonly #next = new Map<string, { atMs: number; pauseMs: number }>();

  constructor(parts: SupervisionParts) {
    this.#parts = parts;
  }

  /** Once a second. */
  look(): void {
    const { ports, brakes } = this.#parts;
    if (ports.store.refusal === undefined) return this.#next.clear();
    if (brakes.mode !== 'act') return;
    for (const service of ports.actuator.services()) if (this.#isOurs(service)) this.#bringUp(service.name);
  }

  #isOurs({ name, state, onPurpose, restart, exitCode, task, unit }: ServiceSample): boolean {
    const { services, brakes } = this.#parts;
    if (state !== 'exited' || onPurpose || task || unit !== undefined) return false;
    if (restart === 'never' || (restart === 'on-failure' && exitCode === 0)) return false;
    // A service for fail-over runs where the swarm has placed it.
    if (services.some((spec) => spec.name === name && spec.failover === true)) return false;
    return (
      brakes.silence({ policy: POLICY, target: name }) === undefined &&
      brakes.standing([{ tool: TOOL, service: name }]) === undefined
    );
  }

  #bringUp(name: string): void {
    const {
      ports,
      reporter: { log, failed },
    } = this.#parts;
    const nowMs = ports.clock.monotonicMs();
    const { atMs, pauseMs } = this.#next.get(name) ?? { atMs: nowMs, pauseMs: FIRST_PAUSE_MS };
    if (nowMs < atMs) return;
    this.#next.set(name, { atMs: nowMs + pauseMs, pauseMs: Math.min(2 * pauseMs, LAST_PAUSE_MS) });
    ports.actuator.bringUp(name).then((outcome) => {
      if (outcome.ok) log('warn', `service ${name} exited and was restarted; not recorded: the state disk refuses writes`);
      else log('warn', `service ${name} exited and was not restarted: ${outcome.message}`);
    }, failed);
  }
}
