// Time as a port. Reality reads the machine's clocks; the simulator reads a virtual one.

/** A timer that was set; cancelling one that fired does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time in ms since the Unix epoch; may jump. For records people read, never for intervals. */
  wallMs(): number;
  /**
   * Monotonic time in ms since the machine booted, suspensions included: it continues over restarts of the agent, and a machine that
   * resumes knows how old its views are. For intervals and deadlines.
   */
  monotonicMs(): number;
  after(delayMs: number, run: () => void): Timer;
}
