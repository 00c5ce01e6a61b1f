// Messages at a leader, and the replication of its log.
import { type ConfChanges, changesOf, describeConfig } from './config.ts';
import { inOrder, type Progress } from './progress.ts';
import type { Raft } from './raft.ts';
import { contextOf } from './read-only.ts';
import { orMissing } from './storage.ts';
import { type Entry, hex, type Message, message, NO_DATA, NONE, type NodeId, ProposalDropped, payloadBytes } from './types.ts';

export function stepLeader(raft: Raft, one: Message): void {
  switch (one.type) {
    case 'MsgBeat':
      return broadcastHeartbeat(raft, raft.reads.newest);
    case 'MsgCheckQuorum':
      return checkQuorum(raft);
    case 'MsgProp':
      return propose(raft, one.entries);
    case 'MsgReadIndex':
      return readIndex(raft, one);
    case 'MsgForgetLeader':
      return;
  }
  const progress = raft.tracker.progress.get(one.from);
  if (progress === undefined) return raft.say('DEBUG', `${hex(raft.id)} no progress available for ${hex(one.from)}`);
  switch (one.type) {
    case 'MsgAppResp':
      return appendAnswered(raft, one, progress);
    case 'MsgHeartbeatResp':
      return heartbeatAnswered(raft, one, progress);
    case 'MsgSnapStatus':
      return snapshotSent(raft, one, progress);
    case 'MsgUnreachable':
      // Appends may be lost: send one at a time until one is answered.
      if (progress.state === 'StateReplicate') progress.becomeProbe();
      return raft.say(
        'DEBUG',
        `${hex(raft.id)} failed to send message to ${hex(one.from)} because it is unreachable [${progress}]`,
      );
    case 'MsgTransferLeader':
      return transfer(raft, one.from, progress);
  }
}

function checkQuorum(raft: Raft): void {
  if (raft.tracker.takeActivity(raft.id)) return;
  raft.say('WARN', `${hex(raft.id)} stepped down to follower since quorum is not active`);
  raft.becomeFollower(raft.term, NONE);
}

// Proposals

/** @throws ProposalDropped */
function propose(raft: Raft, entries: readonly Entry[]): void {
  if (entries.length === 0) throw new Error('stepped empty MsgProp');
  // It was removed from the configuration and has not stepped down yet.
  if (!raft.tracker.progress.has(raft.id)) throw new ProposalDropped();
  if (raft.leadership.transferee !== NONE) {
    raft.say(
      'DEBUG',
      `${hex(raft.id)} [term ${raft.term}] transfer leadership to ${hex(raft.leadership.transferee)} is in progress; dropping proposal`,
    );
    throw new ProposalDropped();
  }
  const { lastIndex } = raft.log;
  const accepted = entries.map((entry, i) => {
    if (entry.type === 'EntryNormal') return entry;
    const changes = changesOf(entry);
    const failed = refusal(raft, changes);
    if (failed !== '' && !raft.options.disableConfChangeValidation) {
      raft.say(
        'INFO',
        `${hex(raft.id)} ignoring conf change ${describe(changes)} at config ${describeConfig(raft.tracker.config)}: ${failed}`,
      );
      return { type: 'EntryNormal' as const, data: NO_DATA };
    }
    raft.leadership.pendingConfIndex = lastIndex + i + 1;
    return entry;
  });
  if (!raft.append(accepted)) throw new ProposalDropped();
  broadcastAppend(raft);
}

function refusal(raft: Raft, { changes }: ConfChanges): string {
  const isLeave = changes.length === 0;
  if (raft.leadership.pendingConfIndex > raft.log.applied)
    return `possible unapplied conf change at index ${raft.leadership.pendingConfIndex} (applied to ${raft.log.applied})`;
  if (raft.tracker.config.voters.isJoint && !isLeave) return 'must transition out of joint config first';
  return !raft.tracker.config.voters.isJoint && isLeave ? 'not in joint state; refusing empty conf change' : '';
}

const describe = ({ transition, changes }: ConfChanges): string =>
  [`transition:${transition}`, ...changes.map(({ type, node }) => `changes:{type:${type} node_id:${node}}`)].join(' ');

// Replication

/** After a configuration change: the leader may be removed, a smaller quorum may commit more, and new members are sent missing entries. */
export function configurationChanged(raft: Raft): void {
  const { progress, config } = raft.tracker;
  if (progress.get(raft.id)?.isLearner !== false) {
    if (raft.options.stepDownOnRemoval) raft.becomeFollower(raft.term, NONE);
    return;
  }
  if (config.voters.incoming.size === 0) return;
  if (maybeCommit(raft)) broadcastAppend(raft);
  else for (const [id] of inOrder(progress)) if (id !== raft.id) maybeSendAppend(raft, id, false);
  const { transferee } = raft.leadership;
  if (transferee !== NONE && !config.voters.has(transferee)) raft.leadership.transferee = NONE;
}

export function broadcastAppend(raft: Raft): void {
  for (const [id] of inOrder(raft.tracker.progress)) if (id !== raft.id) maybeSendAppend(raft, id, true);
}

/** Sends missing entries, or nothing while it waits for an answer. @returns whether a message was sent */
function maybeSendAppend(raft: Raft, to: NodeId, evenIfEmpty: boolean): boolean {
  const progress = raft.tracker.progress.get(to);
  if (progress === undefined || progress.isPaused) return false;
  const index = progress.next - 1;
  const logTerm = orMissing(() => raft.log.term(index));
  if (logTerm === undefined) return maybeSendSnapshot(raft, to, progress);
  // If the in-flight limit is reached, an empty append is still sent: its answer shows which entries were lost.
  const isThrottled = progress.state === 'StateReplicate' && progress.inflights.isFull;
  const entries = isThrottled ? [] : orMissing(() => raft.log.entries(progress.next, raft.options.maxBytesPerMessage));
  if ((entries?.length ?? 0) === 0 && !evenIfEmpty) return false;
  if (entries === undefined) return maybeSendSnapshot(raft, to, progress);
  const commit = raft.log.committed;
  raft.send('MsgApp', to, { index, logTerm, entries, commit });
  progress.sentEntries(entries.length, payloadBytes(entries));
  progress.sentCommit(commit);
  return true;
}

function maybeSendSnapshot(raft: Raft, to: NodeId, progress: Progress): boolean {
  if (!progress.recentActive) {
    raft.say('DEBUG', `ignore sending snapshot to ${hex(to)} since it is not recently active`);
    return false;
  }
  const snapshot = orMissing(() => raft.log.snapshot());
  if (snapshot === undefined) {
    raft.say('DEBUG', `${hex(raft.id)} failed to send snapshot to ${hex(to)} because snapshot is temporarily unavailable`);
    return false;
  }
  if (snapshot.index === 0) throw new Error('need non-empty snapshot');
  const { index, term } = snapshot;
  raft.say(
    'DEBUG',
    `${hex(raft.id)} [firstindex: ${raft.log.firstIndex}, commit: ${raft.log.committed}] sent snapshot[index: ${index}, term: ${term}] to ${hex(to)} [${progress}]`,
  );
  progress.becomeSnapshot(index);
  raft.say('DEBUG', `${hex(raft.id)} paused sending replication messages to ${hex(to)} [${progress}]`);
  raft.send('MsgSnap', to, { snapshot });
  return true;
}

function broadcastHeartbeat(raft: Raft, context: string): void {
  for (const [id, progress] of inOrder(raft.tracker.progress)) {
    if (id === raft.id) continue;
    // Not beyond what it certainly has: it may have lost the entries after that.
    const commit = Math.min(progress.match, raft.log.committed);
    raft.send('MsgHeartbeat', id, { commit, context });
    progress.sentCommit(commit);
  }
}

function maybeCommit(raft: Raft): boolean {
  return raft.log.maybeCommit({ index: raft.tracker.committed, term: raft.term });
}

function appendAnswered(raft: Raft, one: Message, progress: Progress): void {
  progress.recentActive = true;
  if (one.reject) return appendRejected(raft, one, progress);
  const { from, index } = one;
  if (!progress.update(index) && !(progress.match === index && progress.state === 'StateProbe')) return;
  if (progress.state === 'StateProbe') {
    progress.becomeReplicate();
  } else if (progress.state === 'StateSnapshot' && progress.match + 1 >= raft.log.firstIndex) {
    raft.say(
      'DEBUG',
      `${hex(raft.id)} recovered from needing snapshot, resumed sending replication messages to ${hex(from)} [${progress}]`,
    );
    progress.becomeProbe();
    progress.becomeReplicate();
  } else if (progress.state === 'StateReplicate') {
    progress.inflights.freeTo(index);
  }
  const isOther = from !== raft.id;
  if (maybeCommit(raft)) {
    releasePostponedReads(raft);
    broadcastAppend(raft);
  } else if (isOther && progress.canBumpCommit(raft.log.committed)) {
    maybeSendAppend(raft, from, true);
  }
  // There may be room for several messages now.
  while (isOther && maybeSendAppend(raft, from, false));
  if (from === raft.leadership.transferee && progress.match === raft.log.lastIndex) {
    raft.say('INFO', `${hex(raft.id)} sent MsgTimeoutNow to ${hex(from)} after received MsgAppResp`);
    raft.send('MsgTimeoutNow', from);
  }
}

function appendRejected(raft: Raft, { from, index, rejectHint, logTerm }: Message, progress: Progress): void {
  raft.say(
    'DEBUG',
    `${hex(raft.id)} received MsgAppResp(rejected, hint: (index ${rejectHint}, term ${logTerm})) from ${hex(from)} for index ${index}`,
  );
  // Entries with a higher term than the hint's cannot match either.
  const next = logTerm > 0 ? raft.log.conflictByTerm(rejectHint, logTerm).index : rejectHint;
  if (!progress.decrease(index, next)) return;
  raft.say('DEBUG', `${hex(raft.id)} decreased progress of ${hex(from)} to [${progress}]`);
  if (progress.state === 'StateReplicate') progress.becomeProbe();
  maybeSendAppend(raft, from, true);
}

function heartbeatAnswered(raft: Raft, { from, context }: Message, progress: Progress): void {
  progress.recentActive = true;
  progress.isFlowPaused = false;
  // Also if it has all entries and is in the probe state: its answer to an empty append returns it to replication.
  if (progress.match < raft.log.lastIndex || progress.state === 'StateProbe') maybeSendAppend(raft, from, true);
  if (raft.reads.option !== 'safe' || context === '') return;
  if (raft.tracker.config.voters.vote(raft.reads.acknowledge(from, context)) !== 'VoteWon') return;
  for (const { request, index } of raft.reads.advance(context)) answerRead(raft, request, index);
}

function snapshotSent(raft: Raft, { from, reject }: Message, progress: Progress): void {
  if (progress.state !== 'StateSnapshot') return;
  if (reject) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  const does = reject ? 'failed' : 'succeeded';
  raft.say('DEBUG', `${hex(raft.id)} snapshot ${does}, resumed sending replication messages to ${hex(from)} [${progress}]`);
  // If the snapshot was sent, its answer comes; if not, wait for an answer to a heartbeat before the next attempt.
  progress.isFlowPaused = true;
}

function transfer(raft: Raft, to: NodeId, progress: Progress): void {
  if (progress.isLearner) return raft.say('DEBUG', `${hex(to)} is learner. Ignored transferring leadership`);
  const at = `${hex(raft.id)} [term ${raft.term}]`;
  if (raft.leadership.transferee !== NONE) {
    if (raft.leadership.transferee === to)
      return raft.say('INFO', `${at} transfer leadership to ${hex(to)} is in progress, ignores request to same node ${hex(to)}`);
    raft.say('INFO', `${at} abort previous transferring leadership to ${hex(raft.leadership.transferee)}`);
    raft.leadership.transferee = NONE;
  }
  if (to === raft.id) return raft.say('DEBUG', `${hex(raft.id)} is already leader. Ignored transferring leadership to self`);
  raft.say('INFO', `${at} starts to transfer leadership to ${hex(to)}`);
  // The transfer should take less than an election timeout.
  raft.timer.restart();
  raft.leadership.transferee = to;
  if (progress.match !== raft.log.lastIndex) {
    maybeSendAppend(raft, to, true);
    return;
  }
  raft.say('INFO', `${hex(raft.id)} sends MsgTimeoutNow to ${hex(to)} immediately as ${hex(to)} already has up-to-date log`);
  raft.send('MsgTimeoutNow', to);
}

// Reads

function readIndex(raft: Raft, one: Message): void {
  const { voters } = raft.tracker.config;
  if (voters.incoming.size === 1 && !voters.isJoint) return answerRead(raft, one, raft.log.committed);
  // With its first own commit a leader knows what earlier leaders have committed.
  if (hasCommittedThisTerm(raft)) askForRead(raft, one);
  else raft.reads.postpone(one);
}

function askForRead(raft: Raft, one: Message): void {
  if (raft.reads.option === 'lease-based') return answerRead(raft, one, raft.log.committed);
  raft.reads.add(raft.log.committed, one);
  raft.reads.acknowledge(raft.id, contextOf(one));
  broadcastHeartbeat(raft, contextOf(one));
}

function releasePostponedReads(raft: Raft): void {
  if (!hasCommittedThisTerm(raft)) return;
  for (const one of raft.reads.takePostponed()) askForRead(raft, one);
}

/** Whether a read may be answered from the current log. */
const hasCommittedThisTerm = ({ log, term }: Raft): boolean => log.termOrZero(log.committed) === term;

function answerRead(raft: Raft, request: Message, index: number): void {
  if (request.from === NONE || request.from === raft.id) raft.reads.allow({ index, context: contextOf(request) });
  else raft.send('MsgReadIndexResp', request.from, { index, entries: request.entries });
}

/** A proposal of data. */
export const proposal = (id: NodeId, data: Uint8Array): Message =>
  message('MsgProp', { from: id, entries: [{ type: 'EntryNormal', data, term: 0, index: 0 }] });
