// Senses the machine once a second and has the detectors judge it; at once when a supervised service ends.
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
/** What was learned is kept once an hour; what a crash loses is an hour of many days. */
const KEEP_EVERY_SAMPLES = 3_600;

/** What `[policy_engine]` and `[ai_engine]` set; undefined: as it comes. */
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
  /** How far this machine's clock is behind its peers'; undefined with too few of them. */
  clockBehindMs(): number | undefined;
  /** This agent is so late itself that an answer which did not come in time says nothing. */
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
      this.#judgeAgain();
    });
    this.#nextMs = this.#ports.clock.monotonicMs();
    this.#tick();
  }

  /** Services that end from now on are ended in order. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  /** On a steady grid: a late tick shortens the wait for the next, and missed ones are skipped, not made up for. */
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

  /** All that was seen is of before the gap: it is looked at again before anything is judged, and nothing lasted through it. */
  #wake(unseenMs: number): void {
    this.services.checkAgain();
    this.detectors.skip(unseenMs);
    this.looks.begin();
  }

  /** Out of turn, with the figures of the last sample and the services as they are now. */
  #judgeAgain(): void {
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

  /** Names of what policies judge on this machine, and of its metrics. */
  targets(): string[] {
    const judged = targetsOf(this.samples.last.sample, this.services.views(), this.looks.views);
    return [...[...judged.values()].flatMap((some) => some.map(({ name }) => name)), ...this.samples.history.names()];
  }

  /** Looks out of turn, and judges by what it sees: something was changed just now. */
  lookAgain(): void {
    this.looks.begin();
    this.#judgeAgain();
  }

  /** From now on judges by these, at once. @throws PolicyError where one is wrong: then nothing has changed. */
  setPolicies(policies: readonly Policy[]): void {
    const changes = this.detectors.replace(policies);
    if (changes.length > 0) this.#onChanges(changes);
    this.#judgeAgain();
  }

  conditions(): Conditions {
    return this.detectors.conditions(this.samples.count);
  }
}
