// The members of the group as a node tracks them: the configuration, the matching index of each log, and the votes.
import { type ChangerLimits, type Config, NO_CONFIG, type Tracked } from './config.ts';
import { Inflights, inOrder, Progress, type ProgressMap } from './progress.ts';
import type { VoteResult } from './quorum.ts';
import type { NodeId } from './types.ts';

export class ProgressTracker implements Tracked {
  config: Config = NO_CONFIG;
  progress: ProgressMap = new Map();
  readonly #votes = new Map<NodeId, boolean>();
  readonly #limits: ChangerLimits;

  constructor(limits: ChangerLimits) {
    this.#limits = limits;
  }

  /** A term begins: no votes yet, and the progress of the others is unknown. */
  reset(self: NodeId, lastIndex: number): void {
    this.#votes.clear();
    const { maxInflight, maxInflightBytes } = this.#limits;
    this.progress = new Map(
      inOrder(this.progress).map(([id, { isLearner }]) => [
        id,
        new Progress(id === self ? lastIndex : 0, lastIndex + 1, new Inflights(maxInflight, maxInflightBytes), isLearner),
      ]),
    );
  }

  // Votes

  clearVotes(): void {
    this.#votes.clear();
  }

  /** The first vote of a member counts. */
  recordVote(id: NodeId, isGranted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, isGranted);
  }

  tallyVotes(): { granted: number; rejected: number; result: VoteResult } {
    let [granted, rejected] = [0, 0];
    // Members that were removed since do not count.
    for (const [id, { isLearner }] of this.progress) {
      const vote = this.#votes.get(id);
      if (isLearner || vote === undefined) continue;
      if (vote) granted++;
      else rejected++;
    }
    return { granted, rejected, result: this.config.voters.vote(this.#votes) };
  }

  // Quorums

  /** Whether a quorum was active since the last call. @param self its activity is not reset */
  takeActivity(self: NodeId): boolean {
    const votes = new Map(
      [...this.progress].filter(([, { isLearner }]) => !isLearner).map(([id, { recentActive }]) => [id, recentActive]),
    );
    for (const [id, progress] of this.progress) if (id !== self) progress.recentActive = false;
    return this.config.voters.vote(votes) === 'VoteWon';
  }

  /** The largest index that a quorum has. */
  get committed(): number {
    return this.config.voters.committed((id) => this.progress.get(id)?.match);
  }
}
