// The state of a Raft node, with etcd/raft's semantics, and its changes of role. Messages and ticks are in step.ts (by role in leader.ts and
// follower.ts, elections in election.ts); raw-node.ts hands out what must be stored, sent and applied.
import { type ChangerLimits, describeConfig, restored, type Tracked } from './config.ts';
import { ElectionTimer } from './election-timer.ts';
import { RaftLog } from './log.ts';
import { Outbox } from './outbox.ts';
import { ReadOnly, type ReadOnlyOption } from './read-only.ts';
import type { RaftStorage } from './storage.ts';
import { ProgressTracker } from './tracker.ts';
import {
  type Entry,
  type HardState,
  hex,
  isNoState,
  type Message,
  type MessageType,
  message,
  NO_DATA,
  NONE,
  type NodeId,
  payloadBytes,
  type Snapshot,
} from './types.ts';

export type StateType = 'StateFollower' | 'StatePreCandidate' | 'StateCandidate' | 'StateLeader';
export type LogLevel = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';

export interface RaftConfig extends ChangerLimits {
  id: NodeId;
  /** Ticks without a leader before an election, random in [n, 2n); and ticks between two heartbeats. */
  electionTicks: number;
  heartbeatTicks: number;
  storage: RaftStorage;
  /** The last entry that is applied already. */
  applied: number;
  maxBytesPerMessage: number;
  /** Limit of entries that are handed out and not applied yet. */
  maxApplyingBytes: number;
  /** Limit of proposals that are not committed yet; one is always accepted. */
  maxUncommittedBytes: number;
  checkQuorum: boolean;
  preVote: boolean;
  readOnly: ReadOnlyOption;
  /** Storage acknowledges by messages, not by advance(). */
  asyncStorageWrites: boolean;
  disableProposalForwarding: boolean;
  disableConfChangeValidation: boolean;
  stepDownOnRemoval: boolean;
  /** An integer in [0, bound). */
  randomBelow(bound: number): number;
  log(level: LogLevel, text: string): void;
}

const VOTES: ReadonlySet<MessageType> = new Set<MessageType>(['MsgVote', 'MsgVoteResp', 'MsgPreVote', 'MsgPreVoteResp']);

/** A leader's state for its term. */
interface Leadership {
  /** The member that leadership is being transferred to. */
  transferee: NodeId;
  /** No configuration change has a higher index than this. */
  pendingConfIndex: number;
  uncommittedBytes: number;
}

const newLeadership = (): Leadership => ({ transferee: NONE, pendingConfIndex: 0, uncommittedBytes: 0 });

export class Raft {
  readonly options: RaftConfig;
  readonly id: NodeId;
  readonly log: RaftLog;
  readonly tracker: ProgressTracker;
  readonly timer: ElectionTimer;
  readonly outbox = new Outbox();
  readonly reads: ReadOnly;
  term = 0;
  vote: NodeId = NONE;
  lead: NodeId = NONE;
  state: StateType = 'StateFollower';
  leadership = newLeadership();

  constructor(options: RaftConfig) {
    this.options = options;
    this.id = options.id;
    this.reads = new ReadOnly(options.readOnly);
    this.tracker = new ProgressTracker(options);
    this.timer = new ElectionTimer(options.electionTicks, options.heartbeatTicks, options.randomBelow);
    this.log = new RaftLog(options.storage, options.maxApplyingBytes, (text) => options.log('INFO', text));
    const { state, conf } = options.storage.initialState();
    this.switchTo(restored(conf, this.log.lastIndex, options));
    if (!isNoState(state)) {
      if (state.commit < this.log.committed || state.commit > this.log.lastIndex)
        throw new Error(`state.commit ${state.commit} is out of range [${this.log.committed}, ${this.log.lastIndex}]`);
      this.log.committed = state.commit;
      this.term = state.term;
      this.vote = state.vote;
    }
    if (options.applied > 0) this.log.appliedTo(options.applied, 0);
    this.becomeFollower(this.term, NONE);
    const { index, term } = this.log.last;
    this.say(
      'INFO',
      `newRaft ${hex(this.id)} [peers: [${this.tracker.config.voters.ids().map(hex).join(',')}], term: ${this.term}, commit: ${this.log.committed}, applied: ${this.log.applied}, lastindex: ${index}, lastterm: ${term}]`,
    );
  }

  say(level: LogLevel, text: string): void {
    this.options.log(level, text);
  }

  get hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  get promotable(): boolean {
    const own = this.tracker.progress.get(this.id);
    return own !== undefined && !own.isLearner && this.log.unstable.snapshot === undefined;
  }

  // Sending

  /** Vote messages carry the term of the vote. */
  send(type: MessageType, to: NodeId, rest: Partial<Message> = {}): void {
    const term = VOTES.has(type) ? (rest.term ?? 0) : type === 'MsgProp' || type === 'MsgReadIndex' ? 0 : this.term;
    this.outbox.add(message(type, { ...rest, to, from: rest.from || this.id, term }));
  }

  // Roles

  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = NONE;
    }
    this.lead = NONE;
    this.timer.reset();
    this.tracker.reset(this.id, this.log.lastIndex);
    this.leadership = newLeadership();
    this.reads.reset();
  }

  becomeFollower(term: number, lead: NodeId): void {
    this.#reset(term);
    this.lead = lead;
    this.state = 'StateFollower';
    this.say('INFO', `${hex(this.id)} became follower at term ${this.term}`);
  }

  becomeCandidate(): void {
    this.#reset(this.term + 1);
    this.vote = this.id;
    this.state = 'StateCandidate';
    this.say('INFO', `${hex(this.id)} became candidate at term ${this.term}`);
  }

  /** Changes neither its term nor its vote: it only asks whether it could win. */
  becomePreCandidate(): void {
    this.tracker.clearVotes();
    this.lead = NONE;
    this.state = 'StatePreCandidate';
    this.say('INFO', `${hex(this.id)} became pre-candidate at term ${this.term}`);
  }

  becomeLeader(): void {
    this.#reset(this.term);
    this.lead = this.id;
    this.state = 'StateLeader';
    const own = this.tracker.progress.get(this.id);
    own?.becomeReplicate();
    if (own !== undefined) own.recentActive = true;
    // Any earlier entry may be a configuration change: until all are applied, no new one is accepted.
    this.leadership.pendingConfIndex = this.log.lastIndex;
    if (!this.append([{ type: 'EntryNormal', data: NO_DATA }])) throw new Error('empty entry was dropped');
    this.say('INFO', `${hex(this.id)} became leader at term ${this.term}`);
  }

  // The log

  /** Appends proposals to the log. @returns whether there was room for them */
  append(proposed: readonly Pick<Entry, 'type' | 'data'>[]): boolean {
    const { lastIndex } = this.log;
    const entries = proposed.map(({ type, data }, i): Entry => ({ type, data, term: this.term, index: lastIndex + 1 + i }));
    const bytes = payloadBytes(entries);
    const { uncommittedBytes } = this.leadership;
    if (uncommittedBytes > 0 && bytes > 0 && uncommittedBytes + bytes > this.options.maxUncommittedBytes) {
      this.say(
        'WARN',
        `${hex(this.id)} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
      );
      return false;
    }
    this.leadership.uncommittedBytes += bytes;
    // They count as its own once they are stored.
    this.send('MsgAppResp', this.id, { index: this.log.append(entries) });
    return true;
  }

  /** @returns whether the snapshot replaced the log */
  restore(snapshot: Snapshot): boolean {
    const { index, term, conf } = snapshot;
    if (index <= this.log.committed) return false;
    if (this.state !== 'StateFollower') {
      this.say('WARN', `${hex(this.id)} attempted to restore snapshot as leader; should never happen`);
      this.becomeFollower(this.term + 1, NONE);
      return false;
    }
    // Members of learners_next are voters of the outgoing half.
    if (![conf.voters, conf.learners, conf.votersOutgoing].some((ids) => ids.includes(this.id))) {
      this.say(
        'WARN',
        `${hex(this.id)} attempted to restore snapshot but it is not in the ConfState ${JSON.stringify(conf)}; should never happen`,
      );
      return false;
    }
    const before = (): string => {
      const { index: lastIndex, term: lastTerm } = this.log.last;
      return `${hex(this.id)} [commit: ${this.log.committed}, lastindex: ${lastIndex}, lastterm: ${lastTerm}]`;
    };
    if (this.log.matches({ index, term })) {
      this.say('INFO', `${before()} fast-forwarded commit to snapshot [index: ${index}, term: ${term}]`);
      this.log.commitTo(index);
      return false;
    }
    this.log.restore(snapshot);
    this.switchTo(restored(conf, this.log.lastIndex, this.options));
    this.say('INFO', `${before()} restored snapshot [index: ${index}, term: ${term}]`);
    return true;
  }

  /** A new configuration is in force. */
  switchTo({ config, progress }: Tracked): void {
    this.tracker.config = config;
    this.tracker.progress = progress;
    this.say('INFO', `${hex(this.id)} switched to configuration ${describeConfig(config)}`);
  }
}
