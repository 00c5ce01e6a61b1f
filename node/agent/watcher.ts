// Senses the machine once a second and has the detectors judge it; at once when a supervised service ends.
import { z } from 'zod';
import { FEATURE_WINDOW_S, featuresOf } from '../../models/features.ts';
import { BINS } from '../../models/seasonal-profile.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import { BaselineDetector } from '../detection/baseline-detector.ts';
import { type Conditions, conditionsOf } from '../detection/conditions.ts';
import type { Change, Finding, Observation } from '../detection/detector.ts';
import type { Policy } from '../detection/policy.ts';
import { PolicyDetector } from '../detection/policy-detector.ts';
import type { ServiceView } from '../detection/targets.ts';
import { targetsOf } from '../detection/targets.ts';
import type { LearnedThreshold } from '../detection/threshold.ts';
import type { ServiceSample, ServiceSpec } from '../ports/actuator.ts';
import type { Ports } from '../ports/ports.ts';
import type { Sample } from '../ports/sensors.ts';
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
/** Between two samples: longer, and the machine was suspended, or the agent hung. So many intervals, and no less than this. */
const GAP_INTERVALS = 5;
const GAP_MS = 10_000;
/** USER_HZ, until a sample says it. */
const TICKS_PER_SECOND = 100;
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
  /** This agent is so late itself that an answer which did not come in time says nothing. */
  isBlind(): boolean;
  failed(error: unknown): void;
}

export class Watcher {
  readonly #ports: Ports;
  readonly #policies: PolicyDetector;
  readonly #baselines: BaselineDetector;
  readonly #intervalMs: number;
  readonly #failed: (error: unknown) => void;
  readonly #clockBehindMs: () => number | undefined;
  readonly #isBlind: () => boolean;
  readonly #onChanges: (changes: Change[]) => void;
  readonly #checks = new Map<string, { result: ServiceView['check']; atMs: number; running: boolean }>();
  /** Since when each service is as it is; monotonic. */
  readonly #since = new Map<string, { key: string; sinceMs: number }>();
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
  #stopped = false;

  /** @throws PolicyError */
  constructor(
    ports: Ports,
    { policies, declared, services, intervalMs, anomalyThreshold, clockBehindMs, isBlind, failed }: WatcherConfig,
    onChanges: (changes: Change[]) => void,
  ) {
    this.#ports = ports;
    this.#declared = new DeclaredReader(declared, ports);
    this.#facts = new ServiceFacts(ports, services);
    this.#policies = new PolicyDetector(policies);
    this.#baselines = new BaselineDetector(anomalyThreshold);
    this.#intervalMs = intervalMs ?? DEFAULT_INTERVAL_MS;
    this.#clockBehindMs = clockBehindMs;
    this.#isBlind = isBlind;
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
    const before = this.#sample;
    const sample = withActuator(this.#ports.sensors.sample(), this.#ports.actuator.silentMs());
    this.#sample = withOwn(sample, this.#clockBehindMs(), this.#ports.store.refusal);
    const unseenMs = this.#unseenMs(this.#sample, before);
    this.#previous = unseenMs > 0 ? undefined : before;
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
    const [atS, wallS] = [Math.floor(this.#sample.monotonicMs / 1_000), Math.floor(this.#sample.wallMs / 1_000)];
    this.history.record(this.#metrics, atS, true, wallS);
    this.history.record(this.#detail.values(this.#sample, this.#previous, services), atS, false, wallS);
    if (unseenMs > 0) return this.#wake(unseenMs);
    this.#lookIfDue();
    const observation = this.#observation(this.#sample);
    this.#judgePolicies(observation, this.#baselines.observe(observation));
  }

  /** How long a gap lies before a sample, in which nobody looked; 0 where there is none. */
  #unseenMs(sample: Sample, before: Sample | undefined): number {
    const passedMs = before === undefined ? 0 : sample.monotonicMs - before.monotonicMs;
    return passedMs > Math.max(GAP_MS, GAP_INTERVALS * this.#intervalMs) ? passedMs : 0;
  }

  /** All that was seen is of before the gap: it is looked at again before anything is judged, and nothing lasted through it. */
  #wake(unseenMs: number): void {
    for (const check of this.#checks.values()) Object.assign(check, { result: 'unknown', atMs: Number.NEGATIVE_INFINITY });
    for (const service of this.#ports.actuator.services()) this.#checkIfDue(service);
    this.#policies.skip(unseenMs);
    this.#startLook();
  }

  /** Out of turn, with the figures of the last sample and the services as they are now. */
  #judge(): void {
    if (this.#sample !== undefined && !this.#stopped) this.#judgePolicies(this.#observation(this.#sample), []);
  }

  #judgePolicies(observation: Observation, others: Change[]): void {
    this.#onChanges([...this.#policies.observe(observation), ...others]);
  }

  #observation(sample: Sample): Observation {
    const nowMs = this.#ports.clock.monotonicMs();
    return {
      nowMs,
      wallMs: sample.wallMs,
      metrics: this.#metrics,
      targets: targetsOf(sample, this.services(), this.#looked.views),
    };
  }

  /** Names of what policies judge on this machine, and of its metrics. */
  targets(): string[] {
    const judged = targetsOf(this.#sample, this.services(), this.#looked.views);
    return [...[...judged.values()].flatMap((some) => some.map(({ name }) => name)), ...this.history.names()];
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

  /** What a check found; undefined where only its deadline passed, and this agent was late itself. */
  #inTime(result: ServiceView['check']): ServiceView['check'] | undefined {
    return result === 'silent' && this.#isBlind() ? undefined : result;
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
    if (!this.#declared.empty) {
      const looked = await this.#declared.look();
      this.#looked = this.#isBlind() ? withoutLate(looked, this.#looked) : looked;
    }
    for (const service of this.services()) await this.#facts.look(service, isWell(service) ? service.ageMs : undefined);
  }

  /** Declared things that cannot be seen, and why. */
  unseen(): DeclaredLook['unknown'] {
    return this.#looked.unknown;
  }

  /** Since it came to be as it is. By its process where there is one: the kernel's clock is nobody's to set. */
  #ageMs({ name, state, starts, sinceMs, startTicks }: ServiceSample): number {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const key = `${state} ${starts} ${sinceMs}`;
    let since = this.#since.get(name);
    if (since?.key !== key) {
      // What was so before this agent came is dated by the wall clock alone.
      since = { key, sinceMs: nowMs - Math.max(0, clock.wallMs() - sinceMs) };
      this.#since.set(name, since);
    }
    const startMs =
      startTicks === undefined ? undefined : (startTicks * 1_000) / (this.#sample?.ticksPerSecond ?? TICKS_PER_SECOND);
    return Math.max(0, nowMs - (state === 'running' && startMs !== undefined ? startMs : since.sinceMs));
  }

  services(): ServiceView[] {
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
        ageMs: this.#ageMs(service),
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

/** Name servers that did not answer in time to one who is late itself: what was seen of them before stands. */
function withoutLate(looked: DeclaredLook, before: DeclaredLook): DeclaredLook {
  const views = looked.views.flatMap((view) => {
    if (view.kind !== 'resolver' || view.fields.answers === true) return [view];
    return before.views.filter(({ kind, name }) => kind === view.kind && name === view.name);
  });
  return { ...looked, views };
}

function isWell({ state, check, processState }: ServiceView): boolean {
  return state === 'running' && processState !== 'T' && (check === 'open' || check === 'undeclared');
}

/** Without it nothing on this machine can be changed. */
function withActuator(sample: Sample, silentMs: number | undefined): Sample {
  const { values, lacks } = sample.host;
  const host =
    silentMs === undefined
      ? { values, lacks: new Map([...lacks, ['actuator.silence', 'this actuator (before 0.4.0) answers no heartbeat']]) }
      : { values: new Map([...values, ['actuator.silence', silentMs / 1_000]]), lacks };
  return { ...sample, host };
}

/** What only the peers can tell of a machine, and what the agent itself meets. */
function withOwn(sample: Sample, behindMs: number | undefined, refusal: string | undefined): Sample {
  const { values, lacks } = sample.host;
  const own = new Map([...values, ['state.refused', refusal === undefined ? 0 : 1]]);
  const host =
    behindMs === undefined
      ? { values: own, lacks: new Map([...lacks, ['clock.offset', 'fewer than two peers to compare it with']]) }
      : { values: own.set('clock.offset', behindMs / 1_000), lacks };
  return { ...sample, host };
}
