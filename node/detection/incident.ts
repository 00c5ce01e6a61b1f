// An incident: one finding from its first sample to its outcome, with every step of the loop on the way.
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
  /** Integers, enums, ids and hashes that back the text. */
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
  /** How it ended, in a word or two; empty while it is open. */
  outcome: string;
  tool: string;
  /** The incident that it belongs to: the first of the same cause and minute; empty where it is the first itself. */
  cause: string;
  /** The certificate as CBOR in base64, so that a reader can check it offline; empty where there is none. */
  certificate: string;
  steps: Step[];
}

const MAX_STEPS = 200;
/** The first steps that are kept of a long incident: after these, the newest are kept. */
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

/** Bound to the machine, to what was found there, and when: nobody else's story can bear it. */
export function incidentIdOf(
  node: PeerId,
  finding: Pick<Finding, 'policy' | 'target'>,
  openedMs: number,
  hash: Crypto['hash'],
): string {
  return `inc-${toHex(hash(encodeCbor([node, findingKey(finding), openedMs]))).slice(0, 10)}`;
}

/** Incidents of one cause open within so long of each other. */
export const TOGETHER_MS = 60_000;

/**
 * Whether two incidents belong together, and why: the same target, the same policy, or a machine that is short of something
 * that its services need. @param earlier opened before. @param apartMs so long, by a clock that nobody sets.
 */
export function relation(earlier: Incident, later: Incident, apartMs: number): string | undefined {
  if (earlier.node !== later.node || apartMs < 0 || apartMs > TOGETHER_MS) return undefined;
  if (earlier.target === later.target) return `it is on ${later.target} too`;
  if (earlier.policy === later.policy) return 'it is of the same kind';
  const short = earlier.severity === 'critical' && !earlier.policy.startsWith('service-');
  return short && later.policy.startsWith('service-') ? `the machine was short of something: ${earlier.summary}` : undefined;
}

export function addStep(incident: Incident, atMs: number, stage: Stage, text: string, data?: Step['data']): Step {
  const step: Step = data === undefined ? { atMs, stage, text } : { atMs, stage, text, data };
  if (incident.steps.length >= MAX_STEPS) incident.steps.splice(FIRST_STEPS, 1);
  incident.steps.push(step);
  return step;
}

/** A person must look; it stays open until what is wrong clears. */
export function escalate(incident: Incident): void {
  incident.state = 'escalated';
  incident.outcome = 'escalated: a person must look';
}

/** Never before it opened, where the clock was set back meanwhile. */
export function closeIncident(incident: Incident, atMs: number, state: 'resolved' | 'escalated', outcome: string): void {
  incident.state = state;
  incident.closedMs = Math.max(atMs, incident.openedMs);
  incident.outcome = outcome;
}
