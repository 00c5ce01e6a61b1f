// One interface for everything that notices: policies, baselines, later models. A detector turns observations into findings.
import type { ClaimKind } from '../../consensus/vote/claim.ts';
import type { StatusCondition } from '../../swarm/state/status.ts';
import { whyDown } from '../ports/actuator.ts';
import type { ToolCall } from '../tool-call.ts';
import type { Severity } from './policy.ts';
import type { ServiceView, Targets } from './targets.ts';

/** A service as people are shown it; `why`: why it does not run, in words. */
export const serviceRow = (service: ServiceView) => ({
  name: service.name,
  state: service.state,
  pid: service.pid ?? null,
  health: service.check,
  why: whyDown(service),
});
export type ServiceRow = ReturnType<typeof serviceRow>;

export interface Observation {
  /** Monotonic ms. */
  nowMs: number;
  wallMs: number;
  metrics: ReadonlyMap<string, number>;
  /** What could be seen, by scope. */
  targets: Targets;
}

export interface Finding {
  /** The policy or detector that found it; with the target it names the finding. */
  policy: string;
  /** A service, mount or metric; `machine` for the whole. */
  target: string;
  severity: Severity;
  summary: string;
  condition: StatusCondition | undefined;
  claim: ClaimKind;
  /** The policy's remedies on this target as it is now, in the order in which they are tried; each a plan of calls. */
  remedies: readonly (readonly ToolCall[])[];
  /** The figures that made it fire. */
  evidence: Readonly<Record<string, string | number | boolean>>;
}

export type Change = { kind: 'fired'; finding: Finding } | { kind: 'cleared'; finding: Finding };

export interface Detector {
  /** Changes since the last observation. */
  observe(observation: Observation): Change[];
  /** All findings that fire now. */
  firing(): Finding[];
  /** Forgets that a finding fires: something was done about it, and if it still holds it must be said again. */
  rearm(finding: Pick<Finding, 'policy' | 'target'>): void;
}

export function findingKey(finding: Pick<Finding, 'policy' | 'target'>): string {
  return `${finding.policy} ${finding.target}`;
}
