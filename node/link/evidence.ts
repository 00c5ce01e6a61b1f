// What a witness can verify of a claim: whether the declared check passes from here, whether a process listens on the port, and
// whether the subject's status agrees. It abstains on what it cannot verify. Text in a claim is compared, or requested from the
// subject's own port, and never interpreted.
import { type Claim, isClaimable, type RemoteCheck, type VoteReason, type VoteVerdict } from '../../consensus/vote/claim.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { HttpState, PortState, Transport } from '../../swarm/ports/transport.ts';
import type { StatusCondition } from '../../swarm/state/status.ts';
import type { StatusTable } from '../../swarm/state/status-table.ts';
import type { ServiceSpec } from '../ports/actuator.ts';

const PROBE_TIMEOUT_MS = 800;
/** The subject's status may still be on its way when its claim arrives. */
const STATUS_WAIT_MS = 300;
/** Twice the age of statuses in a large swarm (swarm/membership/ages.ts): older ones, kept over a restart, are out of date. */
const MAX_STATUS_AGE_MS = 600_000;

export interface Evidence {
  verdict: VoteVerdict;
  reason: VoteReason;
  /** 0–100. */
  confidence: number;
}

/** The declared check of a service, as its witnesses can run it; undefined if they cannot. */
export function remoteCheckOf(services: readonly ServiceSpec[], name: string): RemoteCheck | undefined {
  const spec = services.find((one) => one.name === name);
  const check = spec?.check ?? { kind: 'tcp' };
  if (spec?.port === undefined || (check.kind !== 'tcp' && check.kind !== 'http')) return undefined;
  return isClaimable(check) ? check : undefined;
}

const NOTHING: Evidence = { verdict: 'abstain', reason: 'no-evidence', confidence: 0 };

export async function gatherEvidence(claim: Claim, transport: Transport, statuses: StatusTable, clock: Clock): Promise<Evidence> {
  const seen = claim.port === undefined ? NOTHING : await look(claim, claim.port, transport);
  // The subject's own status is no reason to allow it something disruptive.
  if (seen.verdict !== 'abstain' || claim.warrant !== undefined) return seen;
  const agrees: Evidence = { verdict: 'yes', reason: 'status-agrees', confidence: 50 };
  if (statusAgrees(claim, statuses, clock.monotonicMs())) return agrees;
  await new Promise<void>((resolve) => clock.after(STATUS_WAIT_MS, resolve));
  return statusAgrees(claim, statuses, clock.monotonicMs()) ? agrees : seen;
}

async function look({ kind, subject, check }: Claim, port: number, transport: Transport): Promise<Evidence> {
  switch (kind) {
    case 'service-down':
      return ofPort(await transport.probePort(subject, port, PROBE_TIMEOUT_MS));
    case 'service-unresponsive':
      if (check?.kind === 'http') return ofHttp(await transport.probeHttp(subject, port, check.path, PROBE_TIMEOUT_MS));
      return ofPort(await transport.probePort(subject, port, PROBE_TIMEOUT_MS), check?.kind === 'tcp');
    default:
      return NOTHING; // cannot be verified on a port
  }
}

/**
 * A listener may be any process, so an open port only refutes a failed TCP check. A port that does not answer may be
 * behind a firewall.
 */
function ofPort(state: PortState, isCheck = false): Evidence {
  if (state === 'refused') return { verdict: 'yes', reason: 'port-refused', confidence: 90 };
  if (state === 'silent') return { verdict: 'abstain', reason: 'port-silent', confidence: 0 };
  return isCheck
    ? { verdict: 'no', reason: 'check-passed', confidence: 90 }
    : { verdict: 'abstain', reason: 'port-open', confidence: 0 };
}

/** The declared check, run from here. */
function ofHttp(state: HttpState): Evidence {
  switch (state) {
    case 'passed':
      return { verdict: 'no', reason: 'check-passed', confidence: 95 };
    case 'failed':
      return { verdict: 'yes', reason: 'check-failed', confidence: 95 };
    case 'mute':
      return { verdict: 'yes', reason: 'check-silent', confidence: 95 };
    case 'unknown':
      return NOTHING;
    case 'refused':
    case 'silent':
      return ofPort(state);
  }
}

const BAD: readonly (readonly [StatusCondition, 'True' | 'False'])[] = [
  ['CpuPressure', 'True'],
  ['MemoryPressure', 'True'],
  ['IoPressure', 'True'],
  ['DiskPressure', 'True'],
];

/** Weak evidence: the subject's own status, but signed and received before the claim. */
function statusAgrees(claim: Claim, statuses: StatusTable, nowMs: number): boolean {
  const held = statuses.get(claim.subject);
  if (held === undefined || nowMs - held.heardMs > MAX_STATUS_AGE_MS) return false;
  const { conditions } = held.status;
  switch (claim.kind) {
    case 'service-down':
    case 'service-unresponsive':
    case 'service-frozen':
      return conditions.ServicesReady === 'False';
    case 'pressure':
      return BAD.some(([name, value]) => conditions[name] === value);
    case 'anomaly':
      return conditions.Anomalous === 'True';
    case 'slow':
    case 'lossy':
    case 'skewed':
      return false; // these are measured by others
  }
}
