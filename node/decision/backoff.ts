// How long to wait before a remedy is tried again: longer with each attempt, and longer the less it has helped on this
// target before. A remedy that always helped is tried again soon; one that never did gives the fault time to be looked at.
import type { RemedyRecord } from './decide.ts';

const BASE_MS = 5_000;
const MIN_MS = 2_000;
const MAX_MS = 300_000;

/** @param attempt those made so far in this incident. */
export function backoffMs({ worked, failed }: RemedyRecord, attempt: number): number {
  const doubt = (failed + 1) / (worked + 1);
  return Math.min(MAX_MS, Math.max(MIN_MS, Math.round(BASE_MS * attempt * doubt)));
}
