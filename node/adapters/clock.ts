// The machine's clocks.
import type { Clock, Timer } from '../../swarm/ports/clock.ts';

export class SystemClock implements Clock {
  wallMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return Number(process.hrtime.bigint() / 1_000n) / 1_000; // CLOCK_MONOTONIC: since boot
  }

  after(delayMs: number, run: () => void): Timer {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  }
}
