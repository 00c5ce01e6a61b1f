// A plan: one typed tool on one target, with the reason in words. Arguments are references (names, ids), never text to run.
import type { Tier } from '../../models/tiers.ts';
import type { SignalName } from '../../swarm/ports/actuator.ts';

export type ToolCall =
  | { tool: 'service.start' | 'service.stop' | 'service.restart'; service: string }
  | { tool: 'process.signal'; service: string; signal: SignalName };

export interface Plan {
  /** Idempotency key: one plan is carried out at most once. */
  id: string;
  /** What it is for: an incident's id, or `operator`. */
  incident: string;
  call: ToolCall;
  /** Who decided: a tier, or a person at the command line. */
  tier: Tier | 'operator';
  reason: string;
}
