// The swarm's time: the median of its members' clocks. Decisions begin and end by it, even if a machine's own clock is wrong. Otherwise
// leases, grants and silences would end early there, or never, and its claims would have expired on arrival.
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

  /** Ms that this machine's clock is behind its peers' clocks; undefined with too few peers. */
  behindMs(): number | undefined {
    return this.#offsets.behindMs(this.#own.wallMs(), this.#own.monotonicMs());
  }

  /**
   * The time of a new claim: by this machine's clock, which its actuator uses, as long as witnesses accept it; otherwise by the swarm's
   * time, for witnesses would certify no claim.
   */
  claimMs(): number {
    return Math.round(this.isFarOff ? this.wallMs() : this.#own.wallMs());
  }

  /** Whether this clock is so wrong that either this machine or the others reject the times of claims. */
  get isFarOff(): boolean {
    return Math.abs(this.wallMs() - this.#own.wallMs()) >= CLOCK_TOLERANCE_MS / 2;
  }
}
