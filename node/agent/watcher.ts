// Senses the machine once a second and has the detectors judge it; at once when a supervised service ends.
import { z } from 'zod';
import { FEATURE_WINDOW_S, featuresOf } from '../../models/features.ts';
import { BINS } from '../../models/seasonal-profile.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { ServiceSample, ServiceSpec } from '../../swarm/ports/actuator.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { Ports } from '../../swarm/ports/ports.ts';
import type { Sample } from '../../swarm/ports/sensors.ts';
import { BaselineDetector } from '../detection/baseline-detector.ts';
import { type Conditions, conditionsOf } from '../detection/conditions.ts';
import type { Change, Finding, Observation, ServiceView } from '../detection/detector.ts';
import type { Policy } from '../detection/policy.ts';
import { PolicyDetector } from '../detection/policy-detector.ts';
import { targetsOf } from '../detection/targets.ts';
import type { LearnedThreshold } from '../detection/threshold.ts';
import { type Declared, type DeclaredLook, DeclaredReader } from '../telemetry/declared.ts';
import { FlightRecorder, type Recording } from '../telemetry/flight-recorder.ts';
import { History } from '../telemetry/history.ts';
import { readMetrics } from '../telemetry/metrics.ts';
import { DetailSeries } from '../telemetry/series.ts';
import { ServiceFacts } from '../telemetry/service-facts.ts';
import { describeSuspects, suspectsOf } from '../telemetry/suspects.ts';
import { type Usage, usageByProcess } from '../telemetry/usage.ts';

const DEFAULT_INTERVAL_MS = 1_000;
/** How often a service's port is tried, and for how long. */
const CHECK_EVERY_MS = 2_000;
const CHECK_TIMEOUT_MS = 1_000;
/** How often declared things are looked at, and what only the actuator can tell of services. */
const LOOK_EVERY_MS = 2_000;
const LEARNED_KEY = 'baseline/learned';
const KEEP_EVERY_SAMPLES = 3_600;
const learnedSchema = z.strictObject({
  seasons: z.record(z.string(), z.array(z.tuple([z.number(), z.number(), z.number()])).max(BINS)),
  thresholds: z.record(z.string(), z.strictObject({ median: z.number(), spread: z.number() })),
});

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
  failed(error: unknown): void;
}

export class Watcher {
  readonly #ports: Ports;
  readonly #policies: PolicyDetector;
  readonly #baselines: BaselineDetector;
  readonly #intervalMs: number;
  readonly #failed: (error: unknown) => void;
  readonly #clockBehindMs: () => number | undefined;
  readonly #onChanges: (changes: Change[]) => void;
  readonly #checks = new Map<string, { result: ServiceView['check']; atMs: number; running: boolean }>();
  readonly #declared: DeclaredReader;
  readonly #facts: ServiceFacts;
  #looked: DeclaredLook = { views: [], unknown: [] };
  #lookedMs = Number.NEGATIVE_INFINITY;
  #looking = false;
  readonly history = new History();
  readonly #detail = new DetailSeries();
  readonly #recorder = new FlightRecorder(this.history);
  #sample: Sample | undefined;
  #previous: Sample | undefined;
  #metrics: ReadonlyMap<string, number> = new Map();
  #timer: Timer | undefined;
  #samples = 0;
  #nextMs = 0;

  /** @throws PolicyError */
  constructor(
    ports: Ports,
    { policies, declared, services, intervalMs, anomalyThreshold, clockBehindMs, failed }: WatcherConfig,
    onChanges: (changes: Change[]) => void,
  ) {
    this.#ports = ports;
    this.#declared = new DeclaredReader(declared, ports);
    this.#facts = new ServiceFacts(ports, services);
    this.#policies = new PolicyDetector(policies);
    this.#baselines = new BaselineDetector(anomalyThreshold);
    this.#intervalMs = intervalMs ?? DEFAULT_INTERVAL_MS;
    this.#clockBehindMs = clockBehindMs;
    this.#failed = failed;
    this.#onChanges = onChanges;
  }

  start(): void {
    this.#ports.actuator.onExit((name) => {
      this.#facts.ended(name, this.#ports.clock.monotonicMs());
      this.#judge();
    });
    this.#nextMs = this.#ports.clock.monotonicMs();
    this.#tick();
  }

  stop(): void {
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
    this.#previous = this.#sample;
    const sample = withActuator(this.#ports.sensors.sample(), this.#ports.actuator.silentMs());
    this.#sample = withClock(sample, this.#clockBehindMs());
    this.#metrics = readMetrics(this.#sample, this.#previous);
    this.#recorder.take(this.#sample, this.#previous);
    this.#samples++;
    if (this.#samples % KEEP_EVERY_SAMPLES === 0) this.#keepLearned().catch(this.#failed);
    const usage = usageByProcess(this.#sample, this.#previous);
    const services = new Map<string, Usage>();
    for (const service of this.#ports.actuator.services()) {
      const used = usage(service.pid);
      services.set(service.name, used);
      this.#checkIfDue(service);
      this.#facts.sample(service, used.pids, this.#ports.clock.monotonicMs());
    }
    const atS = Math.floor(this.#sample.atMs / 1_000);
    this.history.record(this.#metrics, atS, true);
    this.history.record(this.#detail.values(this.#sample, this.#previous, services), atS, false);
    this.#lookIfDue();
    const observation = this.#observation(this.#sample);
    this.#judgePolicies(observation, this.#baselines.observe(observation));
  }

  /** Out of turn, with the figures of the last sample and the services as they are now. */
  #judge(): void {
    if (this.#sample !== undefined) this.#judgePolicies(this.#observation(this.#sample), []);
  }

  #judgePolicies(observation: Observation, others: Change[]): void {
    this.#onChanges([...this.#policies.observe(observation), ...others]);
  }

  #observation(sample: Sample): Observation {
    const nowMs = this.#ports.clock.monotonicMs();
    return {
      nowMs,
      wallMs: sample.atMs,
      metrics: this.#metrics,
      targets: targetsOf(sample, this.services(), this.#looked.views),
    };
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
      .then((result) => Object.assign(check, { result, running: false }));
  }

  /** At declared things, every few seconds; what could not be seen is told once it changes. */
  #lookIfDue(): void {
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs - this.#lookedMs >= LOOK_EVERY_MS) this.#startLook();
  }

  #startLook(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.#lookedMs = this.#ports.clock.monotonicMs();
    const done = (): void => {
      this.#looking = false;
    };
    this.#look().then(done, done); // the actuator is out of reach: what was seen last stands
  }

  /** What was learned before a restart: of the hours, and for thresholds. */
  async recall(): Promise<void> {
    const bytes = await this.#ports.store.get(LEARNED_KEY);
    const learned = bytes === undefined ? undefined : learnedSchema.safeParse(decodeCbor(bytes)).data;
    if (learned === undefined) return;
    this.#baselines.recall(learned.seasons);
    this.#policies.recall(learned.thresholds);
  }

  /** Once an hour; what a crash loses is an hour of many days. */
  async #keepLearned(): Promise<void> {
    const learned = { seasons: this.#baselines.seasons(), thresholds: this.#policies.learned() };
    await this.#ports.store.write([{ kind: 'put', key: LEARNED_KEY, value: encodeCbor(learned) }]);
  }

  /** Looks out of turn, and judges by what it sees: something was changed just now. */
  lookAgain(): void {
    this.#startLook();
    this.#judge();
  }

  async #look(): Promise<void> {
    if (!this.#declared.empty) this.#looked = await this.#declared.look();
    for (const service of this.services()) await this.#facts.look(service, isWell(service) ? service.ageMs : undefined);
  }

  /** Declared things that cannot be seen, and why. */
  unseen(): DeclaredLook['unknown'] {
    return this.#looked.unknown;
  }

  services(): ServiceView[] {
    const wallMs = this.#ports.clock.wallMs();
    const usage = usageByProcess(this.#sample, this.#previous);
    return this.#ports.actuator.services().map((service) => {
      const process = this.#sample?.processes.find((other) => other.pid === service.pid);
      const check = service.checked ? (this.#checks.get(service.name)?.result ?? 'unknown') : 'undeclared';
      const processState = service.state === 'running' ? (process?.state ?? '') : '';
      return {
        ...service,
        check: service.state === 'running' ? check : 'unknown',
        processState,
        usage: usage(service.pid),
        facts: this.#facts.of(service.name),
        ageMs: wallMs - service.sinceMs,
      };
    });
  }

  /** Which processes the machine's load was at the last sample, in words; empty where that is not known. */
  suspects(): string {
    if (this.#sample === undefined) return '';
    return describeSuspects(suspectsOf(this.#sample, this.#previous));
  }

  /** The minute before now. */
  recording(): Recording {
    return this.#recorder.recording(this.#metrics.keys());
  }

  firing(): Finding[] {
    return [...this.#policies.firing(), ...this.#baselines.firing()];
  }

  /** Whether what was found still holds, by the last observation. */
  holds(finding: Pick<Finding, 'policy' | 'target'>): boolean {
    return this.#policies.holds(finding);
  }

  /** From now on judges by these, at once. @throws PolicyError where one is wrong: then nothing has changed. */
  setPolicies(policies: readonly Policy[]): void {
    const changes = this.#policies.replace(policies);
    if (changes.length > 0) this.#onChanges(changes);
    this.#judge();
  }

  thresholds(policy: string): Record<string, LearnedThreshold> {
    return this.#policies.thresholds(policy);
  }

  resetThresholds(policy: string): void {
    this.#policies.resetThresholds(policy);
  }

  rearm(finding: Pick<Finding, 'policy' | 'target'>): void {
    for (const detector of [this.#policies, this.#baselines]) detector.rearm(finding);
  }

  conditions(): Conditions {
    return conditionsOf(this.firing(), this.#policies.unknownConditions(), this.#samples);
  }

  /** Taken since the start. */
  get samples(): number {
    return this.#samples;
  }

  metrics(): ReadonlyMap<string, number> {
    return this.#metrics;
  }

  lastSample(): { sample: Sample | undefined; previous: Sample | undefined } {
    return { sample: this.#sample, previous: this.#previous };
  }

  /** The incident model's view of the last minute; undefined where the history is too short. */
  features(): number[] | undefined {
    return featuresOf((series) => this.history.last(series, FEATURE_WINDOW_S));
  }
}

function isWell({ state, check, processState }: ServiceView): boolean {
  return state === 'running' && processState !== 'T' && (check === 'open' || check === 'undeclared');
}

/** Without it nothing on this machine can be changed. */
function withActuator(sample: Sample, silentMs: number | undefined): Sample {
  const { values, lacks } = sample.host;
  const host =
    silentMs === undefined
      ? { values, lacks: new Map([...lacks, ['actuator.silence', 'this actuator takes no heartbeat']]) }
      : { values: new Map([...values, ['actuator.silence', silentMs / 1_000]]), lacks };
  return { ...sample, host };
}

/** What only the peers can tell of a machine. */
function withClock(sample: Sample, behindMs: number | undefined): Sample {
  const { values, lacks } = sample.host;
  const host =
    behindMs === undefined
      ? { values, lacks: new Map([...lacks, ['clock.offset', 'fewer than two peers to compare it with']]) }
      : { values: new Map([...values, ['clock.offset', behindMs / 1_000]]), lacks };
  return { ...sample, host };
}
