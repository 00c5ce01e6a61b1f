// The pause before a remedy is retried: longer with each attempt, and longer the less it has helped on this
// target before. A remedy that always helped is retried soon; one that never helped leaves time for a person.
import type { RemedyRecord } from './decide.ts';

const BASE_MS = 5_000;
const MIN_MS = 2_000;
const MAX_MS = 300_000;

/** @param attempt number of attempts so far in this incident. */
export function backoffMs({ worked, failed }: RemedyRecord, attempt: number): number {
  const doubt = (failed + 1) / (worked + 1);
  return Math.min(MAX_MS, Math.max(MIN_MS, Math.round(BASE_MS * attempt * doubt)));
}
