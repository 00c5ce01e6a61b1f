// The swarm's time: the median of its members' clocks. What the swarm has decided begins and ends by it, however wrong a machine's own
// clock is: else leases, grants and silences would end early there, or never, and its claims would have expired on arrival.
import { CLOCK_TOLERANCE_MS } from '../../consensus/vote/voting.ts';
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import type { ClockOffsets } from '../../swarm/state/clock-offsets.ts';

export class SwarmTime implements Clock {
  readonly #own: Clock;
  readonly #offsets: ClockOffsets;

  constructor(own: Clock, offsets: ClockOffsets) {
    this.#own = own;
    this.#offsets = offsets;
  }

  wallMs(): number {
    const ownMs = this.#own.wallMs();
    return ownMs + this.#offsets.correctionMs(ownMs, this.#own.monotonicMs());
  }

  monotonicMs(): number {
    return this.#own.monotonicMs();
  }

  after(delayMs: number, run: () => void): Timer {
    return this.#own.after(delayMs, run);
  }

  /** Ms that this machine's clock is behind its peers'; undefined with too few of them. */
  behindMs(): number | undefined {
    return this.#offsets.behindMs(this.#own.wallMs(), this.#own.monotonicMs());
  }

  /**
   * When a claim is made: by this machine's clock, which its actuator judges by, while witnesses bear with it; else by theirs, for no
   * claim at all would be certified.
   */
  claimMs(): number {
    return Math.round(this.isFarOff ? this.wallMs() : this.#own.wallMs());
  }

  /** Whether this clock is so wrong that what is dated by it, or for it, is believed on one side alone. */
  get isFarOff(): boolean {
    return Math.abs(this.wallMs() - this.#own.wallMs()) >= CLOCK_TOLERANCE_MS / 2;
  }
}
