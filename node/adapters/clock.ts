// The machine's clocks.
import { uptime } from 'node:os';
import type { Clock, Timer } from '../../swarm/ports/clock.ts';

/** The wall clock moved so far against the one that counts while the machine is awake: it was set, or the machine was suspended. */
const STEP_MS = 500;
/** The uptime is looked at so often, whatever the wall clock does: a machine without a clock of its own wakes with the same time. */
const LOOK_EVERY_MS = 1_000;

/** CLOCK_MONOTONIC: since boot, without the time for which the machine was suspended. */
const awakeMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

export interface Clocks {
  awakeMs(): number;
  wallMs(): number;
  uptimeMs(): number;
}

/**
 * Since boot, suspensions included (CLOCK_BOOTTIME): nobody can set it, and it survives restarts of the agent. Node has no such
 * clock: its uptime is one, but costs a file, and is asked only now and then, and at once when the wall clock has moved.
 */
export function clockSinceBoot({ awakeMs, wallMs, uptimeMs }: Clocks): () => number {
  let suspendedMs = 0;
  let wallAheadMs = Number.NaN;
  let lookedMs = Number.NEGATIVE_INFINITY;
  /** What the uptime lacks from the start: a container's own may begin with the container. */
  let lackMs: number | undefined;
  const look = (): void => {
    // Asked before it is compared: a wait between the two never looks like a suspension.
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

/** One for all of the process: it never goes back. */
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
