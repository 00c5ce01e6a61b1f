// The members of the committee: the leader's next step towards one, three, five or seven voters, all of them alive. One step at a time:
// invite, add as a learner, and, once all that are wanted have caught up, one change to the new set of voters.
import type { PeerId } from '../../swarm/ports/transport.ts';
import { majority } from '../quorum.ts';
import type { ConfChange } from '../raft/config.ts';
import type { ConfState, NodeId } from '../raft/types.ts';

export const MAX_VOTERS = 7;
/** Up to this size a member of any age may vote, or the first failure would end the committee. Beyond it, only members with a long uptime. */
const AT_ANY_AGE = 3;
export const PROVEN_MS = 600_000;
/** A member that is away for this long is replaced. */
export const GONE_MS = 120_000;
/** A learner that has followed for this long may vote, if there are enough voters to wait for it. */
const STABLE_MS = 60_000;
/** A learner whose connection closed is waited for. */
const LEARNER_PATIENCE_MS = 10_000;
/** If this many members have the role, only they may vote. */
const ENOUGH_WITH_ROLE = 3;
/** A learner with more missing entries than this does not become a voter yet. */
const CLOSE_BEHIND = 100;

export interface AutopilotMember {
  peer: PeerId;
  /** Its certificate says that it is for the committee. */
  hasRole: boolean;
  isAlive: boolean;
  /** For how long it has been alive, or not, as the leader sees it. */
  forMs: number;
  /** Its Raft id, and its uptime when it reported that; undefined if it was not asked. */
  known: { id: NodeId; upMs: number } | undefined;
  /** Its failure domain; empty if unknown. */
  domain: string;
  /** Its loop or its disk has been too slow for long, or it is drained. */
  isUnfit: boolean;
}

/** What the leader knows of a member of the Raft group. */
export interface AutopilotSeat {
  id: NodeId;
  peer: PeerId | undefined;
  /** Heard within an election's time. */
  isActive: boolean;
  /** Entries that it does not have. */
  behind: number;
  /** For how long it has been active and close behind. */
  stableMs: number;
}

export interface AutopilotView {
  self: PeerId;
  /** The leader itself leaves. */
  isLeaving: boolean;
  /** Without those that left. */
  members: readonly AutopilotMember[];
  conf: ConfState;
  seats: ReadonlyMap<NodeId, AutopilotSeat>;
}

export type AutopilotStep =
  /** Ask them for their Raft ids. */
  { kind: 'invite'; peers: PeerId[] } | { kind: 'change'; changes: ConfChange[] };

const oddUpTo = (count: number): number => Math.max(1, count - ((count + 1) % 2));

/** How many voters a swarm needs: an odd number up to seven. Members that are gone count up to three only. */
export function committeeSize(members: number, gone: number): number {
  const lasting = oddUpTo(Math.min(MAX_VOTERS, members - gone));
  return Math.max(lasting, oddUpTo(Math.min(AT_ANY_AGE, members)));
}

/** The next step; undefined: none, or none yet. */
export function autopilot(view: AutopilotView): AutopilotStep | undefined {
  const { conf } = view;
  if (conf.votersOutgoing.length > 0) return undefined; // a change is in progress
  const { wanted, uninvited } = choose(view);
  const present = new Set([...conf.voters, ...conf.learners]);
  const useless = conf.learners.find((id) => !wanted.includes(id));
  if (useless !== undefined) return change([{ type: 'ConfChangeRemoveNode', node: useless }]);
  const newcomer = wanted.find((id) => !present.has(id));
  if (newcomer !== undefined) return change([{ type: 'ConfChangeAddLearnerNode', node: newcomer }]);
  return toVoters(view, wanted) ?? (uninvited.length > 0 ? { kind: 'invite', peers: uninvited } : undefined);
}

const change = (changes: ConfChange[]): AutopilotStep => ({ kind: 'change', changes });
const isGone = ({ isAlive, forMs }: AutopilotMember): boolean => !isAlive && forMs >= GONE_MS;

/** The voters that are wanted in the end, and the members that must be asked for their Raft ids first. */
function choose({ self, isLeaving, members, conf, seats }: AutopilotView): { wanted: NodeId[]; uninvited: PeerId[] } {
  const present = members.filter(({ peer }) => !(isLeaving && peer === self));
  const withRole = present.filter(({ hasRole }) => hasRole);
  const eligible = withRole.length >= ENOUGH_WITH_ROLE ? withRole : present;
  const size = committeeSize(eligible.length, eligible.filter(isGone).length);
  const memberOf = new Map(eligible.map((member) => [member.peer, member]));
  const seated = (ids: readonly NodeId[]) =>
    ids.flatMap((id) => {
      const member = memberOf.get(seats.get(id)?.peer ?? '');
      // It has a new log now.
      return member === undefined || (member.known !== undefined && member.known.id !== id) ? [] : [{ id, member }];
    });
  const voters = seated(conf.voters);
  const lasting = voters.filter(({ member }) => !isGone(member));
  // The leader first, then active members.
  const rank = ({ id, member }: { id: NodeId; member: AutopilotMember }): number =>
    member.peer === self ? 0 : seats.get(id)?.isActive === true ? 1 : 2;
  const seatedPeers = new Set(lasting.map(({ member }) => member.peer));
  // A voter that is alive and does not answer may have lost its log.
  const uninvited = lasting.flatMap(({ id, member }) =>
    seats.get(id)?.isActive === false && member.isAlive && member.peer !== self && member.known === undefined
      ? [member.peer]
      : [],
  );
  const learners = new Set(seated(conf.learners).map(({ member }) => member.peer));
  const waits = ({ peer, isAlive, forMs }: AutopilotMember): boolean =>
    isAlive || (learners.has(peer) && forMs < LEARNER_PATIENCE_MS);
  const lastingMembers = lasting.map(({ member }) => member);
  const crowd = (domain: string): number => lastingMembers.filter((other) => domain !== '' && other.domain === domain).length;
  const candidates = eligible
    .filter((member) => !seatedPeers.has(member.peer) && !member.isUnfit && waits(member))
    .sort(
      (a, b) =>
        Number(learners.has(b.peer)) - Number(learners.has(a.peer)) ||
        crowd(a.domain) - crowd(b.domain) ||
        (a.peer < b.peer ? -1 : 1),
    );
  const isProven = ({ peer, known }: AutopilotMember): boolean =>
    known !== undefined && (known.upMs >= PROVEN_MS || learners.has(peer));
  // Voters that make room if another member can take the place: unfit ones, and one of those that share a domain.
  const weak = lasting.filter(({ member }) => member.isUnfit && member.peer !== self);
  const shared = lasting.filter(({ member }) => member.peer !== self && !member.isUnfit && crowd(member.domain) > 1);
  const spreads = candidates.some((one) => isProven(one) && one.domain !== '' && crowd(one.domain) === 0);
  if (weak.length === 0 && spreads && lasting.length >= size) weak.push(...shared.slice(-1));
  const wanted = lasting
    .filter((one) => !weak.includes(one))
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, size)
    .map(({ id }) => id);
  for (const member of candidates) {
    if (wanted.length >= size) break;
    const { peer, known } = member;
    if (known === undefined) uninvited.push(peer);
    else if (isProven(member) || wanted.length < AT_ANY_AGE) wanted.push(known.id);
  }
  // A newcomer whose domain is unknown is asked for it, if that might be a better one.
  if (shared.length > 0) uninvited.push(...candidates.flatMap(({ peer, known }) => (known === undefined ? [peer] : [])));
  // If no member can take their place they keep it: they may come back.
  for (const { id } of weak) if (wanted.length < size) wanted.push(id);
  // Rather remove a weak voter than reject a newcomer.
  if (wanted.length % 2 === 0 && weak.some(({ id }) => id === wanted.at(-1))) wanted.pop();
  for (const { id, member } of voters) if (wanted.length < size && isGone(member)) wanted.push(id);
  return { wanted: odd(wanted, conf), uninvited: [...new Set(uninvited)].slice(0, MAX_VOTERS) };
}

/** Two voters tolerate no more failures than one, and four no more than three: the last newcomer waits for another. */
function odd(wanted: NodeId[], { voters }: ConfState): NodeId[] {
  const last = wanted.findLast((id) => !voters.includes(id));
  return wanted.length % 2 === 1 || last === undefined ? wanted : wanted.filter((id) => id !== last);
}

/** The change to those voters, once all newcomers among them have been stable for long enough. */
function toVoters({ isLeaving, conf, seats }: AutopilotView, wanted: readonly NodeId[]): AutopilotStep | undefined {
  const added = wanted.filter((id) => !conf.voters.includes(id));
  const removed = conf.voters.filter((id) => !wanted.includes(id));
  if (wanted.length === 0 || (added.length === 0 && removed.length === 0)) return undefined;
  const stableMs = conf.voters.length < AT_ANY_AGE || isLeaving ? 0 : STABLE_MS;
  const isReady = (id: NodeId): boolean => {
    const seat = seats.get(id);
    return seat?.isActive === true && seat.behind <= CLOSE_BEHIND && seat.stableMs >= stableMs;
  };
  const active = wanted.filter((id) => seats.get(id)?.isActive === true).length;
  if (!added.every(isReady) || active < majority(wanted.length)) return undefined;
  return change([
    ...added.map((node): ConfChange => ({ type: 'ConfChangeAddNode', node })),
    ...removed.map((node): ConfChange => ({ type: 'ConfChangeRemoveNode', node })),
  ]);
}
