// The result of a plan, as the API answers it.
import type { Performed } from '../agent/executor.ts';

export function outcomeOf(performed: Performed): { result: string; detail: string } {
  if (performed.kind === 'held') return { result: performed.verdict.kind, detail: performed.verdict.reason };
  return { result: performed.entry.phase, detail: performed.entry.reason };
}
