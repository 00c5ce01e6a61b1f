// Test helpers: a hand-driven instant, and a wait for a condition that names what it waited for.
import type { Instant } from '../../swarm/runtime/effects.ts';
import { patient } from './patience.ts';

export const at = (ms: number): Instant => ({ monotonicMs: ms, wallMs: 1_700_000_000_000 + ms });

/**
 * Polls until `probe` gives a value; fails saying what was awaited and seen last.
 *
 * @param timeoutMs what it may take on two idle cores
 */
export async function eventually<Value>(
  what: string,
  probe: () => Promise<Value | undefined> | Value | undefined,
  timeoutMs = 30_000,
): Promise<Value> {
  const deadline = performance.now() + patient(timeoutMs);
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const value = await probe();
      if (value !== undefined && value !== (false as unknown)) return value;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`never came: ${what}${last === undefined ? '' : ` (${String(last)})`}`);
}
