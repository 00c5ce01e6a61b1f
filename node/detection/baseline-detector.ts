// Robust baselines over the metrics whose catalogue entry declares a noise floor: fires when a metric stays far above
// its own normal, and above the normal of this hour if that is known. Its findings have no remedy; the higher tiers classify them.
import { RobustBaseline } from '../../models/robust-baseline.ts';
import { SeasonalProfile, type SeasonalState } from '../../models/seasonal-profile.ts';
import { METRICS } from '../telemetry/metrics.ts';
import type { Change, Detector, Finding, Observation } from './detector.ts';

/** Robust standard deviations above the median. */
const DEFAULT_FIRE_Z = 8;
/** Samples in a row: a burst of a few seconds is not an anomaly. */
const FIRE_AFTER = 15;
const CLEAR_AFTER = 10;

/** The policy name in findings of this detector. */
const POLICY = 'baseline';

interface Watched {
  baseline: RobustBaseline;
  season: SeasonalProfile;
  above: number;
  below: number;
  finding: Finding | undefined;
}

export class BaselineDetector implements Detector {
  readonly #watched = new Map<string, Watched>();

  readonly #fireZ: number;

  /** @param fireZ robust standard deviations above the median from which a value is an anomaly; it ends below half of that. */
  constructor(fireZ = DEFAULT_FIRE_Z) {
    this.#fireZ = fireZ;
    for (const metric of METRICS) {
      if (metric.noiseFloor === undefined) continue;
      this.#watched.set(metric.name, {
        baseline: new RobustBaseline(metric.noiseFloor),
        season: new SeasonalProfile(metric.noiseFloor),
        above: 0,
        below: 0,
        finding: undefined,
      });
    }
  }

  firing(): Finding[] {
    return [...this.#watched.values()].flatMap(({ finding }) => finding ?? []);
  }

  rearm({ policy, target }: Pick<Finding, 'policy' | 'target'>): void {
    const watched = policy === POLICY ? this.#watched.get(target) : undefined;
    if (watched !== undefined) watched.finding = undefined;
  }

  /** The learned values by hour and metric, to be stored over a restart. */
  seasons(): Record<string, SeasonalState> {
    return Object.fromEntries([...this.#watched].map(([name, { season }]) => [name, season.state()]));
  }

  recall(seasons: Readonly<Record<string, SeasonalState>>): void {
    for (const metric of METRICS) {
      const watched = this.#watched.get(metric.name);
      if (watched !== undefined && metric.noiseFloor !== undefined)
        watched.season = new SeasonalProfile(metric.noiseFloor, seasons[metric.name]);
    }
  }

  observe({ metrics, wallMs }: Observation): Change[] {
    const changes: Change[] = [];
    for (const [name, watched] of this.#watched) {
      const value = metrics.get(name);
      if (value === undefined) continue;
      const { z, median, learned } = watched.baseline.score(value);
      const atThisHour = watched.season.z(value, wallMs);
      const unusual = atThisHour === undefined || atThisHour >= this.#fireZ / 2;
      // Learned only while all is normal: a fault is not a daily pattern.
      if (watched.finding === undefined && z < this.#fireZ) watched.season.learn(value, wallMs);
      watched.above = learned && unusual && z >= this.#fireZ ? watched.above + 1 : 0;
      watched.below = z < this.#fireZ / 2 ? watched.below + 1 : 0;
      if (watched.finding === undefined && watched.above >= FIRE_AFTER) {
        watched.finding = findingOf(name, value, median, z);
        changes.push({ kind: 'fired', finding: watched.finding });
      } else if (watched.finding !== undefined && watched.below >= CLEAR_AFTER) {
        changes.push({ kind: 'cleared', finding: watched.finding });
        watched.finding = undefined;
      }
    }
    return changes;
  }
}

function findingOf(metric: string, value: number, median: number, z: number): Finding {
  return {
    policy: POLICY,
    target: metric,
    severity: 'info',
    summary: 'a metric stays far above its normal value',
    condition: 'Anomalous',
    claim: 'anomaly',
    remedies: [],
    evidence: { value, median, z: Math.round(z * 10) / 10 },
  };
}
