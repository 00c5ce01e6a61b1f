// A plan: typed tools on targets, with the reason in words. Arguments are references (names, ids), never text to run.
import type { Tier } from '../../models/tiers.ts';
import type { ToolCall } from '../tool-call.ts';

export interface Plan {
  /** Idempotency key: one plan is carried out at most once. */
  id: string;
  /** What it is for: an incident's id, or `operator`. */
  incident: string;
  /** Carried out in order, and undone together, the last first. No two on one target. */
  calls: readonly ToolCall[];
  /** Who decided: a tier, or a person at the command line. */
  tier: Tier | 'operator';
  reason: string;
}
