// The machine's clocks.
import { uptime } from 'node:os';
import type { Clock, Timer } from '../../swarm/ports/clock.ts';

/** A difference of the wall clock to CLOCK_MONOTONIC from which the wall clock was set, or the machine was suspended. */
const STEP_MS = 500;
/** Interval of reading the uptime, independent of the wall clock: a machine without a hardware clock resumes with the same time. */
const LOOK_EVERY_MS = 1_000;

/** CLOCK_MONOTONIC: since boot, without suspensions. */
const awakeMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

export interface Clocks {
  awakeMs(): number;
  wallMs(): number;
  uptimeMs(): number;
}

/**
 * Since boot, with suspensions (CLOCK_BOOTTIME): it cannot be set, and continues over restarts of the agent. Node has no such
 * clock. Its uptime is equivalent, but reads a file, so it is read rarely, and immediately after the wall clock has moved.
 */
export function clockSinceBoot({ awakeMs, wallMs, uptimeMs }: Clocks): () => number {
  let suspendedMs = 0;
  let wallAheadMs = Number.NaN;
  let lookedMs = Number.NEGATIVE_INFINITY;
  /** Offset of the uptime at the start: in a container the uptime may begin with the container. */
  let lackMs: number | undefined;
  const look = (): void => {
    // Read before it is compared, so that a delay between the two never counts as a suspension.
    const aheadMs = uptimeMs() - awakeMs();
    lackMs ??= Math.min(0, aheadMs);
    if (aheadMs - lackMs >= suspendedMs + STEP_MS) suspendedMs = aheadMs - lackMs;
  };
  return () => {
    const nowMs = awakeMs();
    const aheadMs = wallMs() - nowMs;
    if (!(Math.abs(aheadMs - wallAheadMs) < STEP_MS) || nowMs - lookedMs >= LOOK_EVERY_MS) {
      [wallAheadMs, lookedMs] = [aheadMs, nowMs];
      look();
    }
    return nowMs + suspendedMs;
  };
}

/** One clock for the whole process: it never decreases. */
export const monotonicMs = clockSinceBoot({ awakeMs, wallMs: Date.now, uptimeMs: () => uptime() * 1_000 });

export class SystemClock implements Clock {
  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return monotonicMs();
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  }
}
