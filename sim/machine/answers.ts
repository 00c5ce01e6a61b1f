// The answers on the ports of a simulated machine: of healthy services, of services that accept connections and send nothing or answer with
// an error, and of other processes on a service's port.
import type { ServiceCheck, ServiceSample, ServiceSpec } from '../../node/ports/actuator.ts';
import type { HttpState, PortState } from '../../swarm/ports/transport.ts';

/** A process that listens and does not serve: no answer, a status of 500, or an error for its own machine only. */
export type Sickness = 'mute' | 'failed' | 'failed-here';

export class Answers {
  readonly #checks: ReadonlyMap<string, ServiceSpec['check']>;
  readonly #services: () => readonly ServiceSample[];
  readonly #isFrozen: (service: string) => boolean;
  /** By pid: such a fault ends with its process. */
  readonly #sick = new Map<number, Sickness>();
  readonly #strangers = new Set<number>();

  constructor(specs: readonly ServiceSpec[], services: () => readonly ServiceSample[], isFrozen: (service: string) => boolean) {
    this.#checks = new Map(specs.map(({ name, check }) => [name, check]));
    this.#services = services;
    this.#isFrozen = isFrozen;
  }

  #at(port: number): ServiceSample | undefined {
    return this.#services().find((service) => service.port === port);
  }

  portState(port: number): PortState {
    // A stopped process still has its socket: the kernel accepts the connection.
    return this.#strangers.has(port) || this.#at(port)?.state === 'running' ? 'open' : 'refused';
  }

  /** @param isHere the request comes from its own machine */
  httpState(port: number, isHere = false): HttpState {
    if (this.portState(port) === 'refused') return 'refused';
    if (this.#strangers.has(port)) return 'failed';
    const service = this.#at(port);
    if (service === undefined || this.#isFrozen(service.name)) return 'mute';
    const sickness = this.#sick.get(service.pid ?? -1) ?? 'passed';
    return sickness === 'failed-here' ? (isHere ? 'failed' : 'passed') : sickness;
  }

  /** The check of a service by its own machine. */
  check({ name, port }: ServiceSample): ServiceCheck {
    if (port === undefined) return 'undeclared';
    if (this.#checks.get(name)?.kind !== 'http') return this.portState(port);
    const state = this.httpState(port, true);
    if (state === 'passed') return 'open';
    return state === 'mute' ? 'silent' : state;
  }

  // Faults

  sicken(pid: number | undefined, sickness: Sickness | 'well'): void {
    if (pid === undefined) return;
    if (sickness === 'well') this.#sick.delete(pid);
    else this.#sick.set(pid, sickness);
  }

  /** Another process takes a port: a service cannot start on it. */
  occupy(port: number): void {
    this.#strangers.add(port);
  }

  vacate(port: number): void {
    this.#strangers.delete(port);
  }

  isOccupied(port: number | undefined): boolean {
    return port !== undefined && this.#strangers.has(port);
  }
}
