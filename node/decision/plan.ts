// A plan: one typed tool on one target, with the reason in words. Arguments are references (names, ids), never text to run.
import type { Tier } from '../../models/tiers.ts';
import type { SignalName } from '../../swarm/ports/actuator.ts';

export type ToolCall =
  | { tool: 'service.restart'; service: string }
  | { tool: 'process.signal'; service: string; signal: SignalName };

export interface Plan {
  /** Idempotency key: one plan is carried out at most once. */
  id: string;
  incident: string;
  call: ToolCall;
  tier: Tier;
  reason: string;
}
