// Time as a Raft node counts it, in ticks: when a follower campaigns, how long its leader's lease lasts, and when a leader checks its quorum
// and sends heartbeats (Ongaro 2014, sections 3.4 and 6.2).

export class ElectionTimer {
  readonly #electionTicks: number;
  readonly #heartbeatTicks: number;
  readonly #randomBelow: (bound: number) => number;
  /** Ticks since the last message of the leader; on a leader, since its last quorum check. */
  #elapsed = 0;
  #sinceHeartbeat = 0;
  /** Ticks without a leader before an election: random, new with each reset, so that two members seldom campaign at the same time. */
  randomizedElectionTicks = 0;

  /** @param randomBelow an integer in [0, bound) */
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

  /** Restarts the time: on a message of the leader, a granted vote or a leadership transfer. */
  restart(): void {
    this.#elapsed = 0;
  }

  /** Ticks left of the leader's lease: 0 or fewer if it has expired. */
  get leaseTicks(): number {
    return this.#electionTicks - this.#elapsed;
  }

  /** A tick of a node that is not leader. @returns whether it campaigns now */
  isElectionDue(canCampaign: boolean): boolean {
    this.#elapsed++;
    if (!canCampaign || this.#elapsed < this.randomizedElectionTicks) return false;
    this.#elapsed = 0;
    return true;
  }

  /** A tick of a leader. @param isSilence whether it counts towards silence of the others. @returns whether it checks its quorum now */
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
