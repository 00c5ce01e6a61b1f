// What a witness can say of a claim from its own view: is the subject there, does the port answer me, and does the
// status that I hold of it agree. Text in a claim is compared, never interpreted.
import type { Claim, VoteReason, VoteVerdict } from '../../consensus/vote/claim.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { Transport } from '../../swarm/ports/transport.ts';
import type { StatusCondition } from '../../swarm/state/status.ts';
import type { StatusTable } from '../../swarm/state/status-table.ts';

const PROBE_TIMEOUT_MS = 800;
/** The subject's status may still be on its way when its claim arrives. */
const STATUS_WAIT_MS = 300;
/** Twice the age of statuses in a large swarm (swarm/membership/ages.ts): older ones, kept over a restart, say nothing of now. */
const MAX_STATUS_AGE_MS = 600_000;

export interface Evidence {
  verdict: VoteVerdict;
  reason: VoteReason;
  /** 0–100. */
  confidence: number;
}

export async function gatherEvidence(claim: Claim, transport: Transport, statuses: StatusTable, clock: Clock): Promise<Evidence> {
  if (claim.port !== undefined && (claim.kind === 'service-down' || claim.kind === 'service-unresponsive')) {
    const port = await transport.probePort(claim.subject, claim.port, PROBE_TIMEOUT_MS);
    if (port === 'open') return { verdict: 'no', reason: 'port-open', confidence: 90 };
    if (port === 'refused') return { verdict: 'yes', reason: 'port-refused', confidence: 95 };
    return { verdict: 'yes', reason: 'port-silent', confidence: 70 };
  }
  // The subject's own word is no reason to let it do something disruptive.
  if (claim.warrant !== undefined) return { verdict: 'abstain', reason: 'no-evidence', confidence: 0 };
  if (statusAgrees(claim, statuses, clock.monotonicMs())) return { verdict: 'yes', reason: 'status-agrees', confidence: 50 };
  await new Promise<void>((resolve) => clock.after(STATUS_WAIT_MS, resolve));
  if (statusAgrees(claim, statuses, clock.monotonicMs())) return { verdict: 'yes', reason: 'status-agrees', confidence: 50 };
  return { verdict: 'abstain', reason: 'no-evidence', confidence: 0 };
}

const BAD: readonly (readonly [StatusCondition, 'True' | 'False'])[] = [
  ['CpuPressure', 'True'],
  ['MemoryPressure', 'True'],
  ['IoPressure', 'True'],
  ['DiskPressure', 'True'],
];

/** Weak evidence: the subject's own word, but signed before the claim and held here. */
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
      return false; // what others measure
  }
}
