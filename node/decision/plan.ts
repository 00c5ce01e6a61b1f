// A plan: typed tools on targets, with the reason as text. Arguments are references (names, ids), never text to run.
import type { Tier } from '../../models/tiers.ts';
import type { ToolCall } from '../tool-call.ts';

export interface Plan {
  /** Idempotency key: a plan is executed at most once. */
  id: string;
  /** Its origin: an incident's id, or `operator`. */
  incident: string;
  /** Executed in order, and undone together, the last first. No two on one target. */
  calls: readonly ToolCall[];
  /** The deciding tier, or a person at the command line. */
  tier: Tier | 'operator';
  reason: string;
}
