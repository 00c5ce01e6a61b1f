// Time as a Raft node counts it, in ticks: when a follower campaigns, how long its leader's lease lasts, and when a leader checks its quorum
// and sends heartbeats (Ongaro 2014, sections 3.4 and 6.2).

export class ElectionTimer {
  readonly #electionTicks: number;
  readonly #heartbeatTicks: number;
  readonly #randomBelow: (bound: number) => number;
  /** Since the leader was heard; of a leader, since it checked its quorum. */
  #elapsed = 0;
  #sinceHeartbeat = 0;
  /** Ticks without a leader before an election: drawn again with each reset, so that two seldom campaign at once. */
  randomizedElectionTicks = 0;

  /** @param randomBelow a whole number of [0, bound) */
  constructor(electionTicks: number, heartbeatTicks: number, randomBelow: (bound: number) => number) {
    this.#electionTicks = electionTicks;
    this.#heartbeatTicks = heartbeatTicks;
    this.#randomBelow = randomBelow;
  }

  reset(): void {
    this.#elapsed = 0;
    this.#sinceHeartbeat = 0;
    this.randomizedElectionTicks = this.#electionTicks + this.#randomBelow(this.#electionTicks);
  }

  /** The leader was heard, a vote was given, or leadership is being transferred: the time begins again. */
  restart(): void {
    this.#elapsed = 0;
  }

  /** Ticks that are left of the leader's lease: 0 or fewer where it is over. */
  get leaseTicks(): number {
    return this.#electionTicks - this.#elapsed;
  }

  /** A tick of a node that does not lead. @returns whether it campaigns now */
  isElectionDue(canCampaign: boolean): boolean {
    this.#elapsed++;
    if (!canCampaign || this.#elapsed < this.randomizedElectionTicks) return false;
    this.#elapsed = 0;
    return true;
  }

  /** A tick of a leader. @param isSilence whether it counts where others say nothing. @returns whether it checks its quorum now */
  isQuorumCheckDue(isSilence: boolean): boolean {
    if (isSilence) this.#elapsed++;
    if (this.#elapsed < this.#electionTicks) return false;
    this.#elapsed = 0;
    return true;
  }

  /** A tick of a leader. @returns whether it sends heartbeats now */
  isHeartbeatDue(): boolean {
    this.#sinceHeartbeat++;
    if (this.#sinceHeartbeat < this.#heartbeatTicks) return false;
    this.#sinceHeartbeat = 0;
    return true;
  }
}
