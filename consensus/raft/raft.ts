// A Raft node as a state machine, with etcd/raft's semantics: ticks and messages in, messages and a log out. It does nothing itself;
// raw-node.ts hands out what is to be stored, sent and applied. The steps of a leader are in leader.ts, of others in follower.ts.
import {
  Changer,
  type ConfChanges,
  type Config,
  confStateOf,
  describeConfig,
  encodeChanges,
  LEAVE_JOINT,
  NO_CONFIG,
  restored,
  type Tracked,
} from './config.ts';
import { RaftLog } from './log.ts';
import { Inflights, inOrder, Progress, type ProgressMap } from './progress.ts';
import type { VoteResult } from './quorum.ts';
import { ReadOnly, type ReadOnlyOption, type ReadState } from './read-only.ts';
import type { RaftStorage } from './storage.ts';
import {
  bytesOf,
  type ConfState,
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
  ProposalDropped,
  payloadBytes,
  type Snapshot,
} from './types.ts';

export type StateType = 'StateFollower' | 'StatePreCandidate' | 'StateCandidate' | 'StateLeader';
export type LogLevel = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';
export type CampaignType = 'pre-election' | 'election' | 'transfer';

/** In the context of votes that a leader asked for itself: its lease does not count then. */
export const TRANSFER = 'CampaignTransfer';

export interface RaftConfig {
  id: NodeId;
  /** Ticks without a leader before an election, drawn again from [n, 2n); and between two heartbeats. */
  electionTicks: number;
  heartbeatTicks: number;
  storage: RaftStorage;
  /** The last entry that is applied already. */
  applied: number;
  maxBytesPerMessage: number;
  /** Of entries that are handed out and not applied yet. */
  maxApplyingBytes: number;
  /** Of proposals that are not committed yet; one is always taken. */
  maxUncommittedBytes: number;
  maxInflight: number;
  /** 0: any. */
  maxInflightBytes: number;
  checkQuorum: boolean;
  preVote: boolean;
  readOnly: ReadOnlyOption;
  /** What is stored is acknowledged by messages, not by advance(). */
  asyncStorageWrites: boolean;
  disableProposalForwarding: boolean;
  disableConfChangeValidation: boolean;
  stepDownOnRemoval: boolean;
  /** A whole number of [0, bound). */
  randomBelow(bound: number): number;
  log(level: LogLevel, text: string): void;
}

const VOTE_RESPONSES: Partial<Record<MessageType, MessageType>> = { MsgVote: 'MsgVoteResp', MsgPreVote: 'MsgPreVoteResp' };
/** What must not be sent before the log and the hard state that it speaks of are stored. */
const AFTER_APPEND: ReadonlySet<MessageType> = new Set<MessageType>(['MsgAppResp', 'MsgVoteResp', 'MsgPreVoteResp']);
const VOTES: ReadonlySet<MessageType> = new Set<MessageType>(['MsgVote', 'MsgVoteResp', 'MsgPreVote', 'MsgPreVoteResp']);

/** What a node does by its role: leader.ts and follower.ts have it, which know this file. */
export interface Roles {
  leader(raft: Raft, one: Message): void;
  follower(raft: Raft, one: Message): void;
  candidate(raft: Raft, one: Message): void;
  /** A leader's majority is another one. */
  majorityChanged(raft: Raft): void;
}

export class Raft {
  readonly options: RaftConfig;
  readonly #roles: Roles;
  readonly id: NodeId;
  readonly log: RaftLog;
  term = 0;
  vote: NodeId = NONE;
  lead: NodeId = NONE;
  state: StateType = 'StateFollower';
  config: Config = NO_CONFIG;
  progress: ProgressMap = new Map();
  readonly votes = new Map<NodeId, boolean>();
  /** Sent at once; sent when what is unstable is stored. */
  messages: Message[] = [];
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];
  readOnly: ReadOnly;
  /** Reads that wait for a first commit of this term. */
  pendingReads: Message[] = [];
  /** Whom leadership is being handed to. */
  leadTransferee: NodeId = NONE;
  /** No change of the configuration lies beyond this index. */
  pendingConfIndex = 0;
  uncommittedBytes = 0;
  electionElapsed = 0;
  #heartbeatElapsed = 0;
  randomizedElectionTicks = 0;

  constructor(options: RaftConfig, roles: Roles) {
    this.#roles = roles;
    this.options = options;
    this.id = options.id;
    this.readOnly = new ReadOnly(options.readOnly);
    this.log = new RaftLog(options.storage, options.maxApplyingBytes, (text) => options.log('INFO', text));
    const { state, conf } = options.storage.initialState();
    this.#switchTo(restored(conf, this.log.lastIndex, this.options));
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
      `newRaft ${hex(this.id)} [peers: [${this.config.voters.ids().map(hex).join(',')}], term: ${this.term}, commit: ${this.log.committed}, applied: ${this.log.applied}, lastindex: ${index}, lastterm: ${term}]`,
    );
  }

  say(level: LogLevel, text: string): void {
    this.options.log(level, text);
  }

  get hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  get promotable(): boolean {
    const own = this.progress.get(this.id);
    return own !== undefined && !own.isLearner && !this.log.hasSnapshot;
  }

  // Sending

  send(type: MessageType, to: NodeId, rest: Partial<Message> = {}): void {
    const term = VOTES.has(type) ? (rest.term ?? 0) : type === 'MsgProp' || type === 'MsgReadIndex' ? 0 : this.term;
    this.post(message(type, { ...rest, to, from: rest.from || this.id, term }));
  }

  /** Of votes, what is sent has the term that the vote is of. */
  post(one: Message): void {
    (AFTER_APPEND.has(one.type) ? this.messagesAfterAppend : this.messages).push(one);
  }

  // Roles

  #reset(term: number): void {
    if (this.term !== term) {
      this.term = term;
      this.vote = NONE;
    }
    this.lead = NONE;
    this.electionElapsed = 0;
    this.#heartbeatElapsed = 0;
    const { electionTicks, randomBelow, maxInflight, maxInflightBytes } = this.options;
    this.randomizedElectionTicks = electionTicks + randomBelow(electionTicks);
    this.leadTransferee = NONE;
    this.votes.clear();
    const { lastIndex } = this.log;
    this.progress = new Map(
      inOrder(this.progress).map(([id, { isLearner }]) => [
        id,
        new Progress(id === this.id ? lastIndex : 0, lastIndex + 1, new Inflights(maxInflight, maxInflightBytes), isLearner),
      ]),
    );
    this.pendingConfIndex = 0;
    this.uncommittedBytes = 0;
    this.readOnly = new ReadOnly(this.options.readOnly);
  }

  becomeFollower(term: number, lead: NodeId): void {
    this.#reset(term);
    this.lead = lead;
    this.state = 'StateFollower';
    this.say('INFO', `${hex(this.id)} became follower at term ${this.term}`);
  }

  #becomeCandidate(): void {
    this.#reset(this.term + 1);
    this.vote = this.id;
    this.state = 'StateCandidate';
    this.say('INFO', `${hex(this.id)} became candidate at term ${this.term}`);
  }

  /** Neither its term nor its vote changes: it only asks whether it could win. */
  #becomePreCandidate(): void {
    this.votes.clear();
    this.lead = NONE;
    this.state = 'StatePreCandidate';
    this.say('INFO', `${hex(this.id)} became pre-candidate at term ${this.term}`);
  }

  becomeLeader(): void {
    this.#reset(this.term);
    this.lead = this.id;
    this.state = 'StateLeader';
    const own = this.progress.get(this.id);
    own?.becomeReplicate();
    if (own !== undefined) own.recentActive = true;
    // There may be a change of the configuration anywhere before; until all is applied none is taken.
    this.pendingConfIndex = this.log.lastIndex;
    if (!this.append([{ type: 'EntryNormal', data: NO_DATA }])) throw new Error('empty entry was dropped');
    this.say('INFO', `${hex(this.id)} became leader at term ${this.term}`);
  }

  // Time

  /** @param isSilence whether this stretch of time counts where others say nothing. */
  tick(isSilence = true): void {
    if (this.state === 'StateLeader') return this.#tickLeader(isSilence);
    if (!isSilence) return;
    this.electionElapsed++;
    if (!this.promotable || this.electionElapsed < this.randomizedElectionTicks) return;
    this.electionElapsed = 0;
    this.step(message('MsgHup', { from: this.id }));
  }

  #tickLeader(isSilence: boolean): void {
    this.#heartbeatElapsed++;
    if (isSilence) this.electionElapsed++;
    if (this.electionElapsed >= this.options.electionTicks) {
      this.electionElapsed = 0;
      if (this.options.checkQuorum) this.step(message('MsgCheckQuorum', { from: this.id }));
      // Who did not take over by now does not.
      if (this.state === 'StateLeader') this.leadTransferee = NONE;
    }
    if (this.state !== 'StateLeader' || this.#heartbeatElapsed < this.options.heartbeatTicks) return;
    this.#heartbeatElapsed = 0;
    this.step(message('MsgBeat', { from: this.id }));
  }

  // Elections

  hup(type: CampaignType): void {
    if (this.state === 'StateLeader') return this.say('DEBUG', `${hex(this.id)} ignoring MsgHup because already leader`);
    if (!this.promotable) return this.say('WARN', `${hex(this.id)} is unpromotable and can not campaign`);
    if (this.#hasUnappliedChanges())
      return this.say(
        'WARN',
        `${hex(this.id)} cannot campaign at term ${this.term} since there are still pending configuration changes to apply`,
      );
    this.say('INFO', `${hex(this.id)} is starting a new election at term ${this.term}`);
    this.campaign(type);
  }

  #hasUnappliedChanges(): boolean {
    const { applied, committed } = this.log;
    for (let from = applied + 1; from <= committed; ) {
      const entries = this.log.slice(from, committed + 1, this.options.maxApplyingBytes);
      if (entries.some(({ type }) => type !== 'EntryNormal')) return true;
      from += entries.length;
    }
    return false;
  }

  campaign(type: CampaignType): void {
    if (!this.promotable) this.say('WARN', `${hex(this.id)} is unpromotable; campaign() should have been called`);
    if (type === 'pre-election') this.#becomePreCandidate();
    else this.#becomeCandidate();
    const asks: MessageType = type === 'pre-election' ? 'MsgPreVote' : 'MsgVote';
    const term = type === 'pre-election' ? this.term + 1 : this.term;
    const { index, term: logTerm } = this.log.last;
    for (const id of this.config.voters.ids()) {
      // Its own vote counts once it is stored.
      if (id === this.id) {
        this.send(responseTo(asks), id, { term });
        continue;
      }
      this.say(
        'INFO',
        `${hex(this.id)} [logterm: ${logTerm}, index: ${index}] sent ${asks} request to ${hex(id)} at term ${this.term}`,
      );
      this.send(asks, id, { term, index, logTerm, context: type === 'transfer' ? TRANSFER : '' });
    }
  }

  poll(from: NodeId, type: MessageType, isGranted: boolean): { granted: number; rejected: number; result: VoteResult } {
    const rejection = isGranted ? '' : ' rejection';
    this.say('INFO', `${hex(this.id)} received ${type}${rejection} from ${hex(from)} at term ${this.term}`);
    if (!this.votes.has(from)) this.votes.set(from, isGranted);
    let [granted, rejected] = [0, 0];
    // Who was removed since does not count.
    for (const [id, { isLearner }] of this.progress) {
      const vote = this.votes.get(id);
      if (isLearner || vote === undefined) continue;
      if (vote) granted++;
      else rejected++;
    }
    return { granted, rejected, result: this.config.voters.vote(this.votes) };
  }

  // Messages

  /** @throws ProposalDropped */
  step(one: Message): void {
    if (one.term > this.term) {
      if (!this.#acceptsTerm(one)) return;
    } else if (one.term !== 0 && one.term < this.term) {
      return this.#answerOldTerm(one);
    }
    switch (one.type) {
      case 'MsgHup':
        return this.hup(this.options.preVote ? 'pre-election' : 'election');
      case 'MsgStorageAppendResp':
        if (one.index !== 0) this.log.unstable.stableTo({ term: one.logTerm, index: one.index });
        if (one.snapshot !== undefined) this.#appliedSnapshot(one.snapshot);
        return;
      case 'MsgStorageApplyResp':
        return this.#appliedEntries(one.entries);
      case 'MsgVote':
      case 'MsgPreVote':
        return this.#voteOn(one);
      default:
        if (this.state === 'StateLeader') this.#roles.leader(this, one);
        else if (this.state === 'StateFollower') this.#roles.follower(this, one);
        else this.#roles.candidate(this, one);
    }
  }

  /** A message of a later term. @returns whether it counts */
  #acceptsTerm(one: Message): boolean {
    const { type, term, from, context } = one;
    if (type === 'MsgVote' || type === 'MsgPreVote') {
      const { electionTicks, checkQuorum } = this.options;
      const inLease = checkQuorum && this.lead !== NONE && this.electionElapsed < electionTicks;
      if (context !== TRANSFER && inLease) {
        const left = electionTicks - this.electionElapsed;
        this.say('INFO', `${this.#onVote(one, 'ignored', 'from')}: lease is not expired (remaining ticks: ${left})`);
        return false;
      }
    }
    // A term that is only asked about is nobody's yet; one that was granted becomes ours with the election.
    if (type === 'MsgPreVote' || (type === 'MsgPreVoteResp' && !one.reject)) return true;
    this.say(
      'INFO',
      `${hex(this.id)} [term: ${this.term}] received a ${type} message with higher term from ${hex(from)} [term: ${term}]`,
    );
    const isLeaders = type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap';
    this.becomeFollower(term, isLeaders ? from : NONE);
    return true;
  }

  #onVote({ type, from, logTerm, index }: Message, does: string, preposition: string): string {
    const last = this.log.last;
    return `${hex(this.id)} [logterm: ${last.term}, index: ${last.index}, vote: ${hex(this.vote)}] ${does} ${type} ${preposition} ${hex(from)} [logterm: ${logTerm}, index: ${index}] at term ${this.term}`;
  }

  #answerOldTerm(one: Message): void {
    const { type, from, term } = one;
    const { checkQuorum, preVote } = this.options;
    if ((checkQuorum || preVote) && (type === 'MsgHeartbeat' || type === 'MsgApp')) {
      // A leader that was cut off learns of the term that there is now: else it could not be joined again.
      this.send('MsgAppResp', from);
    } else if (type === 'MsgPreVote') {
      this.say('INFO', this.#onVote(one, 'rejected', 'from'));
      this.send('MsgPreVoteResp', from, { term: this.term, reject: true });
    } else if (type === 'MsgStorageAppendResp') {
      // Others may have taken the entries' place since; a snapshot is of what is committed.
      if (one.index !== 0)
        this.say(
          'INFO',
          `${hex(this.id)} [term: ${this.term}] ignored entry appends from a ${type} message with lower term [term: ${term}]`,
        );
      if (one.snapshot !== undefined) this.#appliedSnapshot(one.snapshot);
    } else {
      this.say(
        'INFO',
        `${hex(this.id)} [term: ${this.term}] ignored a ${type} message with lower term from ${hex(from)} [term: ${term}]`,
      );
    }
  }

  #voteOn(one: Message): void {
    const { type, from, term, index, logTerm } = one;
    const canVote =
      this.vote === from || (this.vote === NONE && this.lead === NONE) || (type === 'MsgPreVote' && term > this.term);
    if (!canVote || !this.log.isUpToDate({ index, term: logTerm })) {
      this.say('INFO', this.#onVote(one, 'rejected', 'from'));
      return this.send(responseTo(type), from, { term: this.term, reject: true });
    }
    this.say('INFO', this.#onVote(one, 'cast', 'for'));
    // The term that is asked for, not ours: to a pre-candidate ours would be an old one.
    this.send(responseTo(type), from, { term });
    if (type !== 'MsgVote') return;
    this.electionElapsed = 0;
    this.vote = from;
  }

  // The log

  /** Takes proposals into the log. @returns whether there was room for them */
  append(proposed: readonly Pick<Entry, 'type' | 'data'>[]): boolean {
    const { lastIndex } = this.log;
    const entries = proposed.map(({ type, data }, i): Entry => ({ type, data, term: this.term, index: lastIndex + 1 + i }));
    const bytes = payloadBytes(entries);
    if (this.uncommittedBytes > 0 && bytes > 0 && this.uncommittedBytes + bytes > this.options.maxUncommittedBytes) {
      this.say(
        'WARN',
        `${hex(this.id)} appending new entries to log would exceed uncommitted entry size limit; dropping proposal`,
      );
      return false;
    }
    this.uncommittedBytes += bytes;
    // It has them itself once they are stored.
    this.send('MsgAppResp', this.id, { index: this.log.append(entries) });
    return true;
  }

  #appliedEntries(entries: readonly Entry[]): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    this.#appliedTo(last.index, bytesOf(entries));
    this.uncommittedBytes = Math.max(0, this.uncommittedBytes - payloadBytes(entries));
  }

  #appliedSnapshot({ index }: Snapshot): void {
    this.log.unstable.stableSnapTo(index);
    this.#appliedTo(index, 0);
  }

  #appliedTo(index: number, bytes: number): void {
    const applied = Math.max(index, this.log.applied);
    this.log.appliedTo(applied, bytes);
    if (!this.config.autoLeave || applied < this.pendingConfIndex || this.state !== 'StateLeader') return;
    try {
      this.step(
        message('MsgProp', {
          from: this.id,
          entries: [{ type: 'EntryConfChangeV2', data: encodeChanges(LEAVE_JOINT), term: 0, index: 0 }],
        }),
      );
      this.say('INFO', `initiating automatic transition out of joint configuration ${describeConfig(this.config)}`);
    } catch (error) {
      if (!(error instanceof ProposalDropped)) throw error;
      this.say(
        'DEBUG',
        `not initiating automatic transition out of joint configuration ${describeConfig(this.config)}: ${error.message}`,
      );
    }
  }

  /** @returns whether it took the place of the log */
  restore(snapshot: Snapshot): boolean {
    const { index, term, conf } = snapshot;
    if (index <= this.log.committed) return false;
    if (this.state !== 'StateFollower') {
      this.say('WARN', `${hex(this.id)} attempted to restore snapshot as leader; should never happen`);
      this.becomeFollower(this.term + 1, NONE);
      return false;
    }
    // Learners of the outgoing half are voters of it.
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
    this.#switchTo(restored(conf, this.log.lastIndex, this.options));
    this.say('INFO', `${before()} restored snapshot [index: ${index}, term: ${term}]`);
    return true;
  }

  // The configuration

  /** @throws ConfChangeError */
  applyConfChange(changes: ConfChanges): ConfState {
    const changer = new Changer({ config: this.config, progress: this.progress }, this.log.lastIndex, this.options);
    this.#switchTo(changer.change(changes));
    return confStateOf(this.config);
  }

  #switchTo({ config, progress }: Tracked): void {
    this.config = config;
    this.progress = progress;
    this.say('INFO', `${hex(this.id)} switched to configuration ${describeConfig(config)}`);
    const own = progress.get(this.id);
    if (this.state !== 'StateLeader') return;
    if (own === undefined || own.isLearner) {
      if (this.options.stepDownOnRemoval) this.becomeFollower(this.term, NONE);
      return;
    }
    if (config.voters.incoming.size === 0) return;
    this.#roles.majorityChanged(this);
    if (this.leadTransferee !== NONE && !config.voters.has(this.leadTransferee)) this.leadTransferee = NONE;
  }

  /** Whether the log can be read as of now: something of this term is committed. */
  get hasCommittedThisTerm(): boolean {
    return this.log.termOrZero(this.log.committed) === this.term;
  }
}

const responseTo = (type: MessageType): MessageType => VOTE_RESPONSES[type] ?? type;
