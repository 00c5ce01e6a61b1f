// Majorities, and joint majorities during a configuration change: the committed index, and the state of a vote.
import type { NodeId } from './types.ts';

export type VoteResult = 'VotePending' | 'VoteLost' | 'VoteWon';
/** The index that a member has acknowledged; undefined if none. */
export type AckedIndex = (id: NodeId) => number | undefined;

/** The largest index that a majority has; infinite for no voters, as half of a joint configuration. */
function majorityCommitted(voters: ReadonlySet<NodeId>, acked: AckedIndex): number {
  if (voters.size === 0) return Number.POSITIVE_INFINITY;
  const indexes = Float64Array.from(voters, (id) => acked(id) ?? 0).sort();
  return indexes[indexes.length - (Math.floor(indexes.length / 2) + 1)] ?? 0;
}

/** The result of a vote; won for no voters, as half of a joint configuration. */
function majorityVote(voters: ReadonlySet<NodeId>, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  if (voters.size === 0) return 'VoteWon';
  let [granted, missing] = [0, 0];
  for (const id of voters) {
    const vote = votes.get(id);
    if (vote === undefined) missing++;
    else if (vote) granted++;
  }
  const quorum = Math.floor(voters.size / 2) + 1;
  return granted >= quorum ? 'VoteWon' : granted + missing >= quorum ? 'VotePending' : 'VoteLost';
}

/** The current voters, and the previous ones while both majorities must agree. */
export class JointVoters {
  readonly incoming: ReadonlySet<NodeId>;
  readonly outgoing: ReadonlySet<NodeId>;

  constructor(incoming: Iterable<NodeId>, outgoing: Iterable<NodeId> = []) {
    this.incoming = new Set(incoming);
    this.outgoing = new Set(outgoing);
  }

  get isJoint(): boolean {
    return this.outgoing.size > 0;
  }

  has(id: NodeId): boolean {
    return this.incoming.has(id) || this.outgoing.has(id);
  }

  ids(): NodeId[] {
    return [...new Set([...this.incoming, ...this.outgoing])].sort((a, b) => a - b);
  }

  committed(acked: AckedIndex): number {
    return Math.min(majorityCommitted(this.incoming, acked), majorityCommitted(this.outgoing, acked));
  }

  vote(votes: ReadonlyMap<NodeId, boolean>): VoteResult {
    const results = [majorityVote(this.incoming, votes), majorityVote(this.outgoing, votes)];
    if (results[0] === results[1]) return results[0] as VoteResult;
    return results.includes('VoteLost') ? 'VoteLost' : 'VotePending';
  }

  toString(): string {
    const text = (ids: ReadonlySet<NodeId>): string => `(${[...ids].sort((a, b) => a - b).join(' ')})`;
    return this.isJoint ? `${text(this.incoming)}&&${text(this.outgoing)}` : text(this.incoming);
  }
}
