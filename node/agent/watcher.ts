// Samples the machine once a second and runs the detectors; also as soon as a supervised service exits.
import type { Timer } from '../../swarm/ports/clock.ts';
import type { Conditions } from '../detection/conditions.ts';
import type { Change, Observation } from '../detection/detector.ts';
import { Detectors } from '../detection/detectors.ts';
import type { Policy } from '../detection/policy.ts';
import { targetsOf } from '../detection/targets.ts';
import type { ServiceSpec } from '../ports/actuator.ts';
import type { Ports } from '../ports/ports.ts';
import type { Sample } from '../ports/sensors.ts';
import type { Declared } from '../telemetry/declared.ts';
import { Samples } from '../telemetry/samples.ts';
import { Looks } from './looks.ts';
import { ServiceWatch } from './service-watch.ts';

const DEFAULT_INTERVAL_MS = 1_000;
/** Learned data is stored once an hour; a crash loses at most an hour of many days. */
const KEEP_EVERY_SAMPLES = 3_600;

/** Settings of `[policy_engine]` and `[ai_engine]`; undefined: the default. */
export interface EngineConfig {
  intervalMs?: number | undefined;
  maxRules?: number | undefined;
  maxConcurrent?: number | undefined;
  anomalyThreshold?: number | undefined;
}

export interface WatcherConfig extends EngineConfig {
  policies: readonly Policy[];
  declared: Declared;
  services: readonly ServiceSpec[];
  /** How far this machine's clock is behind its peers'; undefined with too few peers. */
  clockBehindMs(): number | undefined;
  /** Whether this agent itself is so late that a missing answer means nothing. */
  isBlind(): boolean;
  failed(error: unknown): void;
}

export class Watcher {
  readonly #ports: Ports;
  readonly samples: Samples;
  readonly services: ServiceWatch;
  readonly looks: Looks;
  readonly detectors: Detectors;
  readonly #intervalMs: number;
  readonly #failed: (error: unknown) => void;
  readonly #onChanges: (changes: Change[]) => void;
  #timer: Timer | undefined;
  #nextMs = 0;
  #stopped = false;

  /** @throws PolicyError */
  constructor(
    ports: Ports,
    { policies, declared, services, intervalMs, anomalyThreshold, clockBehindMs, isBlind, failed }: WatcherConfig,
    onChanges: (changes: Change[]) => void,
  ) {
    this.#ports = ports;
    this.#intervalMs = intervalMs ?? DEFAULT_INTERVAL_MS;
    this.samples = new Samples(ports, this.#intervalMs, clockBehindMs);
    this.services = new ServiceWatch(ports, services, this.samples, isBlind);
    this.looks = new Looks(ports, declared, this.services, isBlind);
    this.detectors = new Detectors(policies, anomalyThreshold);
    this.#failed = failed;
    this.#onChanges = onChanges;
  }

  start(): void {
    this.#ports.actuator.onExit((name) => {
      this.services.ended(name);
      this.#detectAgain();
    });
    this.#nextMs = this.#ports.clock.monotonicMs();
    this.#tick();
  }

  /** From now on an exit of a service belongs to the clean stop. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** At fixed times: a late tick shortens the wait for the next, and missed ticks are skipped. */
  #tick(): void {
    this.#take();
    const nowMs = this.#ports.clock.monotonicMs();
    while (this.#nextMs <= nowMs) this.#nextMs += this.#intervalMs;
    this.#timer = this.#ports.clock.after(this.#nextMs - nowMs, () => this.#tick());
  }

  #take(): void {
    const { sample, unseenMs } = this.samples.take();
    if (this.samples.count % KEEP_EVERY_SAMPLES === 0) this.detectors.keep(this.#ports.store).catch(this.#failed);
    this.samples.record(sample, this.services.take());
    if (unseenMs > 0) return this.#wake(unseenMs);
    this.looks.beginIfDue();
    this.#onChanges(this.detectors.observe(this.#observation(sample)));
  }

  /** After a gap all observations are old: they are repeated before detection, and no condition counts as lasting through it. */
  #wake(unseenMs: number): void {
    this.services.checkAgain();
    this.detectors.skip(unseenMs);
    this.looks.begin();
  }

  /** An extra run, with the last sample and the present state of the services. */
  #detectAgain(): void {
    const { sample } = this.samples.last;
    if (sample !== undefined && !this.#stopped) this.#onChanges(this.detectors.observePolicies(this.#observation(sample)));
  }

  #observation(sample: Sample): Observation {
    return {
      nowMs: this.#ports.clock.monotonicMs(),
      wallMs: sample.wallMs,
      metrics: this.samples.metrics,
      targets: targetsOf(sample, this.services.views(), this.looks.views),
    };
  }

  /** Names of the targets of policies on this machine, and of its metrics. */
  targets(): string[] {
    const targets = targetsOf(this.samples.last.sample, this.services.views(), this.looks.views);
    return [...[...targets.values()].flatMap((some) => some.map(({ name }) => name)), ...this.samples.history.names()];
  }

  /** Observes and detects immediately: something was just changed. */
  lookAgain(): void {
    this.looks.begin();
    this.#detectAgain();
  }

  /** Uses these policies from now on. @throws PolicyError if one is invalid: then nothing has changed. */
  setPolicies(policies: readonly Policy[]): void {
    const changes = this.detectors.replace(policies);
    if (changes.length > 0) this.#onChanges(changes);
    this.#detectAgain();
  }

  conditions(): Conditions {
    return this.detectors.conditions(this.samples.count);
  }
}
