// The interface of detectors (policies, baselines, later models). A detector turns observations into findings.
import type { ClaimKind } from '../../consensus/vote/claim.ts';
import type { StatusCondition } from '../../swarm/state/status.ts';
import { whyDown } from '../ports/actuator.ts';
import type { ToolCall } from '../tool-call.ts';
import type { Severity } from './policy.ts';
import type { ServiceView, Targets } from './targets.ts';

/** A service as shown to people; `why`: why it is not running. */
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
  /** The observed targets, by scope. */
  targets: Targets;
}

export interface Finding {
  /** The policy or detector that found it; with the target it names the finding. */
  policy: string;
  /** A service, mount or metric; `machine` for the whole machine. */
  target: string;
  severity: Severity;
  summary: string;
  condition: StatusCondition | undefined;
  claim: ClaimKind;
  /** The policy's remedies for this target in its current state, in the order in which they are tried; each a plan of calls. */
  remedies: readonly (readonly ToolCall[])[];
  /** The values that made it fire. */
  evidence: Readonly<Record<string, string | number | boolean>>;
}

export type Change = { kind: 'fired'; finding: Finding } | { kind: 'cleared'; finding: Finding };

export interface Detector {
  /** Changes since the last observation. */
  observe(observation: Observation): Change[];
  /** All current findings. */
  firing(): Finding[];
  /** Forgets that a finding fires: a repair was made, and if the condition is still true, the finding fires again. */
  rearm(finding: Pick<Finding, 'policy' | 'target'>): void;
}

export function findingKey(finding: Pick<Finding, 'policy' | 'target'>): string {
  return `${finding.policy} ${finding.target}`;
}
