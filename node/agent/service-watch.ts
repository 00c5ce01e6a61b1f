// The services of this machine, as policies and people see them: state, health check, age, and resource usage.
import type { ServiceView } from '../detection/targets.ts';
import type { ServiceSample, ServiceSpec } from '../ports/actuator.ts';
import type { Ports } from '../ports/ports.ts';
import type { Samples } from '../telemetry/samples.ts';
import { ServiceFacts } from '../telemetry/service-facts.ts';
import { type Usage, usageByProcess } from '../telemetry/usage.ts';

/** How often a service's port is tried, and for how long. */
const CHECK_EVERY_MS = 2_000;
const CHECK_TIMEOUT_MS = 1_000;
/** USER_HZ, until a sample reports it. */
const TICKS_PER_SECOND = 100;

export class ServiceWatch {
  readonly #ports: Ports;
  readonly #samples: Samples;
  readonly #isBlind: () => boolean;
  readonly #facts: ServiceFacts;
  readonly #checks = new Map<string, { result: ServiceView['check']; atMs: number; running: boolean }>();
  /** Since when each service has its state; monotonic. */
  readonly #since = new Map<string, { key: string; sinceMs: number }>();

  /** @param isBlind this agent itself is so late that a missing answer means nothing. */
  constructor(ports: Ports, services: readonly ServiceSpec[], samples: Samples, isBlind: () => boolean) {
    this.#ports = ports;
    this.#samples = samples;
    this.#isBlind = isBlind;
    this.#facts = new ServiceFacts(ports, services);
  }

  ended(name: string): void {
    this.#facts.ended(name, this.#ports.clock.monotonicMs());
  }

  /** Reads the last sample, and starts the checks that are due. @returns the usage of each service, by name */
  take(): Map<string, Usage> {
    const { sample, previous } = this.#samples.last;
    const usage = usageByProcess(sample, previous);
    const services = new Map<string, Usage>();
    for (const service of this.#ports.actuator.services()) {
      const used = usage(service.pid);
      services.set(service.name, used);
      this.#checkIfDue(service);
      this.#facts.sample(service, used.pids, this.#ports.clock.monotonicMs());
    }
    return services;
  }

  /** After a gap all results are old: each service is checked again. */
  checkAgain(): void {
    for (const check of this.#checks.values()) Object.assign(check, { result: 'unknown', atMs: Number.NEGATIVE_INFINITY });
    for (const service of this.#ports.actuator.services()) this.#checkIfDue(service);
  }

  /** Reads facts that only the actuator knows. */
  async look(): Promise<void> {
    for (const service of this.views()) await this.#facts.look(service, isHealthy(service) ? service.ageMs : undefined);
  }

  #checkIfDue(service: ServiceSample): void {
    const nowMs = this.#ports.clock.monotonicMs();
    const check = this.#checks.get(service.name) ?? { result: 'unknown', atMs: Number.NEGATIVE_INFINITY, running: false };
    this.#checks.set(service.name, check);
    if (service.state !== 'running') check.result = 'unknown';
    if (service.state !== 'running' || !service.checked || check.running || nowMs - check.atMs < CHECK_EVERY_MS) return;
    Object.assign(check, { running: true, atMs: nowMs });
    this.#ports.actuator
      .checkService(service.name, CHECK_TIMEOUT_MS)
      .catch(() => 'unknown' as const)
      .then((result) => Object.assign(check, { result: this.#inTime(result) ?? check.result, running: false }));
  }

  /** The result of a check; undefined if only its deadline passed while this agent itself was late. */
  #inTime(result: ServiceView['check']): ServiceView['check'] | undefined {
    return result === 'silent' && this.#isBlind() ? undefined : result;
  }

  /** Time in its present state. By its process if there is one: the kernel's monotonic clock cannot be set. */
  #ageMs({ name, state, starts, sinceMs, startTicks }: ServiceSample): number {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const key = `${state} ${starts} ${sinceMs}`;
    let since = this.#since.get(name);
    if (since?.key !== key) {
      // A state from before this agent's start is dated by the wall clock alone.
      since = { key, sinceMs: nowMs - Math.max(0, clock.wallMs() - sinceMs) };
      this.#since.set(name, since);
    }
    const ticksPerSecond = this.#samples.last.sample?.ticksPerSecond ?? TICKS_PER_SECOND;
    const startMs = startTicks === undefined ? undefined : (startTicks * 1_000) / ticksPerSecond;
    return Math.max(0, nowMs - (state === 'running' && startMs !== undefined ? startMs : since.sinceMs));
  }

  views(): ServiceView[] {
    const { sample, previous } = this.#samples.last;
    const usage = usageByProcess(sample, previous);
    return this.#ports.actuator.services().map((service) => {
      const process = sample?.processes.find((other) => other.pid === service.pid);
      const check = service.checked ? (this.#checks.get(service.name)?.result ?? 'unknown') : 'undeclared';
      const processState = service.state === 'running' ? (process?.state ?? '') : '';
      return {
        ...service,
        check: service.state === 'running' ? check : 'unknown',
        processState,
        usage: usage(service.pid),
        facts: this.#facts.of(service.name),
        ageMs: this.#ageMs(service),
      };
    });
  }
}

function isHealthy({ state, check, processState }: ServiceView): boolean {
  return state === 'running' && processState !== 'T' && (check === 'open' || check === 'undeclared');
}
