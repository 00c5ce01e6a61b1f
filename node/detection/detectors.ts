// The detectors of a machine together: its policies and its baselines. What both have learned is kept over a restart.
import { z } from 'zod';
import { BINS } from '../../models/seasonal-profile.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store } from '../../swarm/ports/store.ts';
import { BaselineDetector } from './baseline-detector.ts';
import { type Conditions, conditionsOf } from './conditions.ts';
import type { Change, Finding, Observation } from './detector.ts';
import type { Policy } from './policy.ts';
import { PolicyDetector } from './policy-detector.ts';
import type { LearnedThreshold } from './threshold.ts';

const LEARNED_KEY = 'baseline/learned';
const learnedSchema = z.strictObject({
  seasons: z.record(z.string(), z.array(z.tuple([z.number(), z.number(), z.number()])).max(BINS)),
  thresholds: z.record(z.string(), z.strictObject({ median: z.number(), spread: z.number() })),
});

export class Detectors {
  readonly #policies: PolicyDetector;
  readonly #baselines: BaselineDetector;

  /** @throws PolicyError */
  constructor(policies: readonly Policy[], anomalyThreshold: number | undefined) {
    this.#policies = new PolicyDetector(policies);
    this.#baselines = new BaselineDetector(anomalyThreshold);
  }

  /** By all of them: of a new sample. */
  observe(observation: Observation): Change[] {
    const anomalies = this.#baselines.observe(observation);
    return [...this.#policies.observe(observation), ...anomalies];
  }

  /** By policies alone: of a sample that was judged before, with services as they are now. */
  observePolicies(observation: Observation): Change[] {
    return this.#policies.observe(observation);
  }

  /** Nobody looked for so long: nothing lasted through it. */
  skip(unseenMs: number): void {
    this.#policies.skip(unseenMs);
  }

  firing(): Finding[] {
    return [...this.#policies.firing(), ...this.#baselines.firing()];
  }

  /** Whether what was found still holds, by the last observation. */
  holds(finding: Pick<Finding, 'policy' | 'target'>): boolean {
    return this.#policies.holds(finding);
  }

  /** A finding that still holds fires again. */
  rearm(finding: Pick<Finding, 'policy' | 'target'>): void {
    for (const detector of [this.#policies, this.#baselines]) detector.rearm(finding);
  }

  /** @param samples taken since the start */
  conditions(samples: number): Conditions {
    return conditionsOf(this.firing(), this.#policies.unknownConditions(), samples);
  }

  /** @returns what cleared by it. @throws PolicyError where one is wrong: then nothing has changed. */
  replace(policies: readonly Policy[]): Change[] {
    return this.#policies.replace(policies);
  }

  thresholds(policy: string): Record<string, LearnedThreshold> {
    return this.#policies.thresholds(policy);
  }

  resetThresholds(policy: string): void {
    this.#policies.resetThresholds(policy);
  }

  /** What was learned before a restart: of the hours, and for thresholds. */
  async recall(store: Store): Promise<void> {
    const bytes = await store.get(LEARNED_KEY);
    const learned = bytes === undefined ? undefined : learnedSchema.safeParse(decodeCbor(bytes)).data;
    if (learned === undefined) return;
    this.#baselines.recall(learned.seasons);
    this.#policies.recall(learned.thresholds);
  }

  async keep(store: Store): Promise<void> {
    const learned = { seasons: this.#baselines.seasons(), thresholds: this.#policies.learned() };
    await store.write([{ kind: 'put', key: LEARNED_KEY, value: encodeCbor(learned) }]);
  }
}
