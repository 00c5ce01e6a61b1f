// Messages at followers and candidates.

import { campaign, countVote, hup } from './election.ts';
import { broadcastAppend } from './leader.ts';
import type { Raft } from './raft.ts';
import { contextOf } from './read-only.ts';
import { hex, type Message, NONE, ProposalDropped } from './types.ts';

export function stepCandidate(raft: Raft, one: Message): void {
  const own = raft.state === 'StatePreCandidate' ? 'MsgPreVoteResp' : 'MsgVoteResp';
  switch (one.type) {
    case 'MsgProp':
      raft.say('INFO', `${hex(raft.id)} no leader at term ${raft.term}; dropping proposal`);
      throw new ProposalDropped();
    case 'MsgApp':
      raft.becomeFollower(one.term, one.from);
      return handleAppend(raft, one);
    case 'MsgHeartbeat':
      raft.becomeFollower(one.term, one.from);
      return handleHeartbeat(raft, one);
    case 'MsgSnap':
      raft.becomeFollower(one.term, one.from);
      return handleSnapshot(raft, one);
    case own: {
      const result = countVote(raft, one);
      if (result === 'VoteLost') return raft.becomeFollower(raft.term, NONE);
      if (result === 'VotePending') return;
      if (raft.state === 'StatePreCandidate') return campaign(raft, 'election');
      raft.becomeLeader();
      return broadcastAppend(raft);
    }
    case 'MsgTimeoutNow':
      raft.say('DEBUG', `${hex(raft.id)} [term ${raft.term} state ${raft.state}] ignored MsgTimeoutNow from ${hex(one.from)}`);
  }
}

export function stepFollower(raft: Raft, one: Message): void {
  switch (one.type) {
    case 'MsgProp':
      return forwardProposal(raft, one);
    case 'MsgApp':
    case 'MsgHeartbeat':
    case 'MsgSnap':
      raft.timer.restart();
      raft.lead = one.from;
      if (one.type === 'MsgApp') return handleAppend(raft, one);
      return one.type === 'MsgHeartbeat' ? handleHeartbeat(raft, one) : handleSnapshot(raft, one);
    case 'MsgTransferLeader':
      if (raft.lead === NONE)
        return raft.say('INFO', `${hex(raft.id)} no leader at term ${raft.term}; dropping leader transfer msg`);
      return raft.send('MsgTransferLeader', raft.lead, { ...one });
    case 'MsgForgetLeader':
      if (raft.reads.option === 'lease-based') return raft.say('ERROR', 'ignoring MsgForgetLeader due to ReadOnlyLeaseBased');
      if (raft.lead === NONE) return;
      raft.say('INFO', `${hex(raft.id)} forgetting leader ${hex(raft.lead)} at term ${raft.term}`);
      raft.lead = NONE;
      return;
    case 'MsgTimeoutNow':
      raft.say(
        'INFO',
        `${hex(raft.id)} [term ${raft.term}] received MsgTimeoutNow from ${hex(one.from)} and starts an election to get leadership.`,
      );
      // The leader itself requests it: a pre-vote would be of no use.
      return hup(raft, 'transfer');
    case 'MsgReadIndex':
      if (raft.lead === NONE)
        return raft.say('INFO', `${hex(raft.id)} no leader at term ${raft.term}; dropping index reading msg`);
      return raft.send('MsgReadIndex', raft.lead, { ...one });
    case 'MsgReadIndexResp':
      if (one.entries.length !== 1)
        return raft.say(
          'ERROR',
          `${hex(raft.id)} invalid format of MsgReadIndexResp from ${hex(one.from)}, entries count: ${one.entries.length}`,
        );
      raft.reads.allow({ index: one.index, context: contextOf(one) });
  }
}

function forwardProposal(raft: Raft, one: Message): void {
  if (raft.lead === NONE) {
    raft.say('INFO', `${hex(raft.id)} no leader at term ${raft.term}; dropping proposal`);
    throw new ProposalDropped();
  }
  if (raft.options.disableProposalForwarding) {
    raft.say('INFO', `${hex(raft.id)} not forwarding to leader ${hex(raft.lead)} at term ${raft.term}; dropping proposal`);
    throw new ProposalDropped();
  }
  raft.send('MsgProp', raft.lead, { ...one });
}

function handleAppend(raft: Raft, { from, index, logTerm, entries, commit }: Message): void {
  const { log } = raft;
  if (index < log.committed) return raft.send('MsgAppResp', from, { index: log.committed });
  const last = log.maybeAppend({ index, term: logTerm }, entries, commit);
  if (last !== undefined) return raft.send('MsgAppResp', from, { index: last });
  raft.say(
    'DEBUG',
    `${hex(raft.id)} [logterm: ${log.termOrZero(index)}, index: ${index}] rejected MsgApp [logterm: ${logTerm}, index: ${index}] from ${hex(from)}`,
  );
  // The last entry that can match, so that the leader need not probe entries of higher terms one by one.
  const hint = log.conflictByTerm(Math.min(index, log.lastIndex), logTerm);
  raft.send('MsgAppResp', from, { index, reject: true, rejectHint: hint.index, logTerm: hint.term });
}

function handleHeartbeat(raft: Raft, { from, commit, context }: Message): void {
  raft.log.commitTo(commit);
  raft.send('MsgHeartbeatResp', from, { context });
}

function handleSnapshot(raft: Raft, { from, snapshot }: Message): void {
  if (snapshot === undefined) return;
  const isRestored = raft.restore(snapshot);
  const { index, term } = snapshot;
  const does = isRestored ? 'restored' : 'ignored';
  raft.say('INFO', `${hex(raft.id)} [commit: ${raft.log.committed}] ${does} snapshot [index: ${index}, term: ${term}]`);
  raft.send('MsgAppResp', from, { index: isRestored ? raft.log.lastIndex : raft.log.committed });
}
