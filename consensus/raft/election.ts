// Elections: campaigns, requests for votes, and their counts (Ongaro 2014, section 3.4; pre-votes: section 9.6; leader leases, during which
// no other candidate gets a vote: section 6.4.1).

import type { VoteResult } from './quorum.ts';
import type { Raft } from './raft.ts';
import { hex, type Message, type MessageType, NONE } from './types.ts';

export type CampaignType = 'pre-election' | 'election' | 'transfer';

/** The context of vote requests that the leader itself initiated (leadership transfer): its lease does not count then. */
const TRANSFER = 'CampaignTransfer';
const VOTE_RESPONSES: Partial<Record<MessageType, MessageType>> = { MsgVote: 'MsgVoteResp', MsgPreVote: 'MsgPreVoteResp' };
const responseTo = (type: MessageType): MessageType => VOTE_RESPONSES[type] ?? type;

export function hup(raft: Raft, type: CampaignType): void {
  if (raft.state === 'StateLeader') return raft.say('DEBUG', `${hex(raft.id)} ignoring MsgHup because already leader`);
  if (!raft.promotable) return raft.say('WARN', `${hex(raft.id)} is unpromotable and can not campaign`);
  if (raft.log.hasUnappliedChange)
    return raft.say(
      'WARN',
      `${hex(raft.id)} cannot campaign at term ${raft.term} since there are still pending configuration changes to apply`,
    );
  raft.say('INFO', `${hex(raft.id)} is starting a new election at term ${raft.term}`);
  campaign(raft, type);
}

export function campaign(raft: Raft, type: CampaignType): void {
  if (!raft.promotable) raft.say('WARN', `${hex(raft.id)} is unpromotable; campaign() should have been called`);
  if (type === 'pre-election') raft.becomePreCandidate();
  else raft.becomeCandidate();
  const asks: MessageType = type === 'pre-election' ? 'MsgPreVote' : 'MsgVote';
  const term = type === 'pre-election' ? raft.term + 1 : raft.term;
  const { index, term: logTerm } = raft.log.last;
  for (const id of raft.tracker.config.voters.ids()) {
    // Its own vote counts once it is stored.
    if (id === raft.id) {
      raft.send(responseTo(asks), id, { term });
      continue;
    }
    raft.say(
      'INFO',
      `${hex(raft.id)} [logterm: ${logTerm}, index: ${index}] sent ${asks} request to ${hex(id)} at term ${raft.term}`,
    );
    raft.send(asks, id, { term, index, logTerm, context: type === 'transfer' ? TRANSFER : '' });
  }
}

/** Counts an answer to a vote or pre-vote request. */
export function countVote(raft: Raft, { from, type, reject }: Message): VoteResult {
  raft.say('INFO', `${hex(raft.id)} received ${type}${reject ? ' rejection' : ''} from ${hex(from)} at term ${raft.term}`);
  raft.tracker.recordVote(from, !reject);
  const { granted, rejected, result } = raft.tracker.tallyVotes();
  raft.say('INFO', `${hex(raft.id)} has received ${granted} ${type} votes and ${rejected} vote rejections`);
  return result;
}

/** Whether a vote request of a later term is ignored, because the leader's lease has not expired. */
export function ignoresVote(raft: Raft, one: Message): boolean {
  const { leaseTicks } = raft.timer;
  if (!raft.options.checkQuorum || raft.lead === NONE || leaseTicks <= 0 || one.context === TRANSFER) return false;
  raft.say('INFO', `${describeVote(raft, one, 'ignored', 'from')}: lease is not expired (remaining ticks: ${leaseTicks})`);
  return true;
}

/** Rejects a pre-vote of an earlier term. */
export function rejectVote(raft: Raft, one: Message): void {
  raft.say('INFO', describeVote(raft, one, 'rejected', 'from'));
  raft.send(responseTo(one.type), one.from, { term: raft.term, reject: true });
}

function describeVote(raft: Raft, { type, from, logTerm, index }: Message, does: string, preposition: string): string {
  const last = raft.log.last;
  return `${hex(raft.id)} [logterm: ${last.term}, index: ${last.index}, vote: ${hex(raft.vote)}] ${does} ${type} ${preposition} ${hex(from)} [logterm: ${logTerm}, index: ${index}] at term ${raft.term}`;
}

export function voteOn(raft: Raft, one: Message): void {
  const { type, from, term, index, logTerm } = one;
  const canVote = raft.vote === from || (raft.vote === NONE && raft.lead === NONE) || (type === 'MsgPreVote' && term > raft.term);
  if (!canVote || !raft.log.isUpToDate({ index, term: logTerm })) return rejectVote(raft, one);
  raft.say('INFO', describeVote(raft, one, 'cast', 'for'));
  // The term of the request, not our own: a pre-candidate would take ours for an old one.
  raft.send(responseTo(type), from, { term });
  if (type !== 'MsgVote') return;
  raft.timer.restart();
  raft.vote = from;
}
