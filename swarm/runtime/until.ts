// Polls for a condition that has no event, without a time limit.
import type { Clock } from '../ports/clock.ts';

export async function until(clock: Clock, holds: () => boolean, withinMs: number, everyMs: number): Promise<void> {
  const untilMs = clock.monotonicMs() + withinMs;
  while (!holds() && clock.monotonicMs() < untilMs) await new Promise<void>((resolve) => clock.after(everyMs, resolve));
}
