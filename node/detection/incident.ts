// An incident: one finding from its first sample to its outcome, with every step of the loop.
import { encodeCbor, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { type Finding, findingKey } from './detector.ts';
import type { Severity } from './policy.ts';

export const STAGES = ['detect', 'vote', 'decide', 'act', 'verify', 'undo', 'remember'] as const;
export type Stage = (typeof STAGES)[number];

export interface Step {
  atMs: number;
  stage: Stage;
  text: string;
  /** Integers, enums, ids and hashes that support the text. */
  data?: Record<string, string | number | boolean | null>;
}

export type IncidentState = 'open' | 'waiting' | 'acting' | 'watching' | 'resolved' | 'escalated';

export interface Incident {
  /** `inc-` and 10 hex digits, distinct across the swarm. */
  id: string;
  node: PeerId;
  nodeName: string;
  policy: string;
  target: string;
  severity: Severity;
  summary: string;
  state: IncidentState;
  openedMs: number;
  /** 0 while it is open. */
  closedMs: number;
  /** Its outcome in a few words; empty while it is open. */
  outcome: string;
  tool: string;
  /** The root incident of its group: the first of the same cause and minute; empty for the root itself. */
  cause: string;
  /** The certificate as CBOR in base64, so that a reader can check it offline; empty if there is none. */
  certificate: string;
  steps: Step[];
}

const MAX_STEPS = 200;
/** A long incident keeps its first steps and its newest ones: number of first steps. */
const FIRST_STEPS = 20;

type Found = Pick<Finding, 'policy' | 'target' | 'severity' | 'summary'>;

export function openIncident(finding: Found, node: PeerId, nodeName: string, nowMs: number, hash: Crypto['hash']): Incident {
  const id = incidentIdOf(node, finding, nowMs, hash);
  return {
    id,
    node,
    nodeName,
    policy: finding.policy,
    target: finding.target,
    severity: finding.severity,
    summary: finding.summary,
    state: 'open',
    openedMs: nowMs,
    closedMs: 0,
    outcome: '',
    tool: '',
    cause: '',
    certificate: '',
    steps: [],
  };
}

/** A hash over the machine, the finding and the time: no incident of another machine has the same id. */
export function incidentIdOf(
  node: PeerId,
  finding: Pick<Finding, 'policy' | 'target'>,
  openedMs: number,
  hash: Crypto['hash'],
): string {
  return `inc-${toHex(hash(encodeCbor([node, findingKey(finding), openedMs]))).slice(0, 10)}`;
}

/** Incidents of one cause open within this time of each other. */
export const TOGETHER_MS = 60_000;

/**
 * Why two incidents belong together: the same target, the same policy, or a machine that lacks a resource
 * that its services need. @param earlier the one that opened first. @param apartMs the time between them, by the monotonic clock.
 */
export function relation(earlier: Incident, later: Incident, apartMs: number): string | undefined {
  if (earlier.node !== later.node || apartMs < 0 || apartMs > TOGETHER_MS) return undefined;
  if (earlier.target === later.target) return `same target ${later.target}`;
  if (earlier.policy === later.policy) return 'same policy';
  const short = earlier.severity === 'critical' && !earlier.policy.startsWith('service-');
  return short && later.policy.startsWith('service-') ? `the machine lacked a resource: ${earlier.summary}` : undefined;
}

export function addStep(incident: Incident, atMs: number, stage: Stage, text: string, data?: Step['data']): Step {
  const step: Step = data === undefined ? { atMs, stage, text } : { atMs, stage, text, data };
  if (incident.steps.length >= MAX_STEPS) incident.steps.splice(FIRST_STEPS, 1);
  incident.steps.push(step);
  return step;
}

/** Escalates to a person; the incident stays open until the finding clears. */
export function escalate(incident: Incident): void {
  incident.state = 'escalated';
  incident.outcome = 'escalated to a person';
}

/** The time of closing is never before that of opening, even if the clock was set back. */
export function closeIncident(incident: Incident, atMs: number, state: 'resolved' | 'escalated', outcome: string): void {
  incident.state = state;
  incident.closedMs = Math.max(atMs, incident.openedMs);
  incident.outcome = outcome;
}
