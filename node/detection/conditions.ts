// The machine's conditions in Kubernetes form, from the findings: all start Unknown. `Ready` and `ServicesReady` are good
// when True; the pressures and `Anomalous` are good when False.
import { type ConditionStatus, STATUS_CONDITIONS, type StatusCondition, unknownConditions } from '../../swarm/state/status.ts';
import type { Finding } from './detector.ts';

export type Conditions = Record<StatusCondition, ConditionStatus>;

const GOOD_WHEN_TRUE: ReadonlySet<StatusCondition> = new Set(['Ready', 'ServicesReady']);

/** @param samples the number of observations: with 0, all conditions are Unknown. */
export function conditionsOf(firing: readonly Finding[], unknown: ReadonlySet<StatusCondition>, samples: number): Conditions {
  if (samples === 0) return unknownConditions();
  const conditions = unknownConditions();
  for (const name of STATUS_CONDITIONS) {
    const bad = name === 'Ready' ? firing.some((f) => f.severity === 'critical') : firing.some((f) => f.condition === name);
    if (bad) conditions[name] = GOOD_WHEN_TRUE.has(name) ? 'False' : 'True';
    else if (!unknown.has(name)) conditions[name] = GOOD_WHEN_TRUE.has(name) ? 'True' : 'False';
  }
  return conditions;
}
