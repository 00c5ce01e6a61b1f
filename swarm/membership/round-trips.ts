// What the probes of one member measure: the round trip, smoothed as TCP does it (RFC 6298), and how many probes were not answered in time.

const MIN_TIMEOUT_MS = 500;
const MAX_TIMEOUT_MS = 3_000;
/** Before the first round trip was measured. */
const FIRST_TIMEOUT_MS = 1_500;
/** The outcome of this many probes is remembered. */
const KEPT_PROBES = 32;

export class RoundTrips {
  /** Smoothed; undefined before the first. */
  rttMs: number | undefined;
  #variationMs = 0;
  /** Of the last probes, whether they were answered in time. */
  #inTime: boolean[] = [];

  /** Of the last probes: how many, and the share that was not answered in time. */
  get losses(): { probes: number; share: number } {
    const probes = this.#inTime.length;
    return { probes, share: probes === 0 ? 0 : this.#inTime.filter((inTime) => !inTime).length / probes };
  }

  /** The time-out of a probe. */
  get timeoutMs(): number {
    if (this.rttMs === undefined) return FIRST_TIMEOUT_MS;
    return Math.min(MAX_TIMEOUT_MS, Math.max(MIN_TIMEOUT_MS, this.rttMs + 4 * this.#variationMs));
  }

  measured(rttMs: number): void {
    if (this.rttMs === undefined) {
      this.rttMs = rttMs;
      this.#variationMs = rttMs / 2;
      return;
    }
    this.#variationMs += (Math.abs(rttMs - this.rttMs) - this.#variationMs) / 4;
    this.rttMs += (rttMs - this.rttMs) / 8;
  }

  /** A probe is over: it was answered in time, or not. */
  ended(inTime: boolean): void {
    this.#inTime.push(inTime);
    if (this.#inTime.length > KEPT_PROBES) this.#inTime.shift();
  }

  forgetLosses(): void {
    this.#inTime = [];
  }
}
