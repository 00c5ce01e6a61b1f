// Ticks and messages, as far as they do not depend on the role: terms, votes, and acknowledgements of the node's own storage. The rest is in
// leader.ts and follower.ts.
import { Changer, type ConfChanges, confStateOf, describeConfig, encodeChanges, LEAVE_JOINT } from './config.ts';
import { hup, ignoresVote, rejectVote, voteOn } from './election.ts';
import { stepCandidate, stepFollower } from './follower.ts';
import { configurationChanged, stepLeader } from './leader.ts';
import type { Raft } from './raft.ts';
import {
  bytesOf,
  type ConfState,
  type Entry,
  hex,
  type Message,
  message,
  NONE,
  ProposalDropped,
  payloadBytes,
  type Snapshot,
} from './types.ts';

/** @param isSilence whether this tick counts towards silence of the others. */
export function tick(raft: Raft, isSilence: boolean): void {
  if (raft.state === 'StateLeader') return tickLeader(raft, isSilence);
  if (isSilence && raft.timer.isElectionDue(raft.promotable)) step(raft, message('MsgHup', { from: raft.id }));
}

function tickLeader(raft: Raft, isSilence: boolean): void {
  if (raft.timer.isQuorumCheckDue(isSilence)) {
    if (raft.options.checkQuorum) step(raft, message('MsgCheckQuorum', { from: raft.id }));
    if (raft.state !== 'StateLeader') return;
    // A transfer that has not finished by now is aborted.
    raft.leadership.transferee = NONE;
  }
  if (raft.timer.isHeartbeatDue()) step(raft, message('MsgBeat', { from: raft.id }));
}

/** @throws ProposalDropped */
export function step(raft: Raft, one: Message): void {
  if (one.term > raft.term) {
    if (!acceptsTerm(raft, one)) return;
  } else if (one.term !== 0 && one.term < raft.term) {
    return answerOldTerm(raft, one);
  }
  switch (one.type) {
    case 'MsgHup':
      return hup(raft, raft.options.preVote ? 'pre-election' : 'election');
    case 'MsgStorageAppendResp':
      if (one.index !== 0) raft.log.unstable.stableTo({ term: one.logTerm, index: one.index });
      if (one.snapshot !== undefined) appliedSnapshot(raft, one.snapshot);
      return;
    case 'MsgStorageApplyResp':
      return appliedEntries(raft, one.entries);
    case 'MsgVote':
    case 'MsgPreVote':
      return voteOn(raft, one);
    default:
      if (raft.state === 'StateLeader') stepLeader(raft, one);
      else if (raft.state === 'StateFollower') stepFollower(raft, one);
      else stepCandidate(raft, one);
  }
}

/** A message of a later term. @returns whether it counts */
function acceptsTerm(raft: Raft, one: Message): boolean {
  const { type, term, from } = one;
  if ((type === 'MsgVote' || type === 'MsgPreVote') && ignoresVote(raft, one)) return false;
  // The term of a pre-vote request has no candidate yet; the term of a granted one becomes ours with the election.
  if (type === 'MsgPreVote' || (type === 'MsgPreVoteResp' && !one.reject)) return true;
  raft.say(
    'INFO',
    `${hex(raft.id)} [term: ${raft.term}] received a ${type} message with higher term from ${hex(from)} [term: ${term}]`,
  );
  const isLeaders = type === 'MsgApp' || type === 'MsgHeartbeat' || type === 'MsgSnap';
  raft.becomeFollower(term, isLeaders ? from : NONE);
  return true;
}

function answerOldTerm(raft: Raft, one: Message): void {
  const { type, from, term } = one;
  const { checkQuorum, preVote } = raft.options;
  if ((checkQuorum || preVote) && (type === 'MsgHeartbeat' || type === 'MsgApp')) {
    // A leader that was partitioned learns the current term: else it could not rejoin.
    raft.send('MsgAppResp', from);
  } else if (type === 'MsgPreVote') {
    rejectVote(raft, one);
  } else if (type === 'MsgStorageAppendResp') {
    // Other entries may have replaced these since; a snapshot covers committed entries only.
    if (one.index !== 0)
      raft.say(
        'INFO',
        `${hex(raft.id)} [term: ${raft.term}] ignored entry appends from a ${type} message with lower term [term: ${term}]`,
      );
    if (one.snapshot !== undefined) appliedSnapshot(raft, one.snapshot);
  } else {
    raft.say(
      'INFO',
      `${hex(raft.id)} [term: ${raft.term}] ignored a ${type} message with lower term from ${hex(from)} [term: ${term}]`,
    );
  }
}

function appliedEntries(raft: Raft, entries: readonly Entry[]): void {
  const last = entries.at(-1);
  if (last === undefined) return;
  appliedTo(raft, last.index, bytesOf(entries));
  raft.leadership.uncommittedBytes = Math.max(0, raft.leadership.uncommittedBytes - payloadBytes(entries));
}

function appliedSnapshot(raft: Raft, { index }: Snapshot): void {
  raft.log.unstable.stableSnapTo(index);
  appliedTo(raft, index, 0);
}

function appliedTo(raft: Raft, index: number, bytes: number): void {
  const applied = Math.max(index, raft.log.applied);
  raft.log.appliedTo(applied, bytes);
  if (!raft.tracker.config.autoLeave || applied < raft.leadership.pendingConfIndex || raft.state !== 'StateLeader') return;
  try {
    step(
      raft,
      message('MsgProp', {
        from: raft.id,
        entries: [{ type: 'EntryConfChangeV2', data: encodeChanges(LEAVE_JOINT), term: 0, index: 0 }],
      }),
    );
    raft.say('INFO', `initiating automatic transition out of joint configuration ${describeConfig(raft.tracker.config)}`);
  } catch (error) {
    if (!(error instanceof ProposalDropped)) throw error;
    raft.say(
      'DEBUG',
      `not initiating automatic transition out of joint configuration ${describeConfig(raft.tracker.config)}: ${error.message}`,
    );
  }
}

/** Applies the configuration change of a committed entry. @throws ConfChangeError */
export function applyConfChange(raft: Raft, changes: ConfChanges): ConfState {
  raft.switchTo(new Changer(raft.tracker, raft.log.lastIndex, raft.options).change(changes));
  if (raft.state === 'StateLeader') configurationChanged(raft);
  return confStateOf(raft.tracker.config);
}
