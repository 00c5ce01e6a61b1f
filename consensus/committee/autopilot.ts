// Who sits in the committee: what its leader does next so that it has one, three, five or seven voters, all of them there. One step
// at a time: invite, take in as a learner, and, once all that are wanted have caught up, one change to the new set of voters.
import type { PeerId } from '../../swarm/ports/transport.ts';
import { majority } from '../quorum.ts';
import type { ConfChange } from '../raft/config.ts';
import type { ConfState, NodeId } from '../raft/types.ts';

export const MAX_VOTERS = 7;
/** Up to so many anybody is taken in, or the first failure would end it; beyond, only who has been up for long. */
const AT_ANY_AGE = 3;
export const PROVEN_MS = 600_000;
/** Who is away for so long is replaced. */
export const GONE_MS = 120_000;
/** A learner that has followed for so long may vote, where there are voters enough to wait for it. */
const STABLE_MS = 60_000;
/** A learner whose connection closed is waited for. */
const LEARNER_PATIENCE_MS = 10_000;
/** Where so many members have the role, only they are taken. */
const ENOUGH_WITH_ROLE = 3;
/** A learner that is so far behind is not asked to vote yet. */
const CLOSE_BEHIND = 100;

export interface AutopilotMember {
  peer: PeerId;
  /** Its certificate says that it is for the committee. */
  hasRole: boolean;
  isAlive: boolean;
  /** For how long it has been so, as the leader sees it. */
  forMs: number;
  /** What it goes by in Raft, and for how long it was up when it said so; undefined where it was not asked. */
  known: { id: NodeId; upMs: number } | undefined;
  /** What fails together with it; empty where that is not known. */
  domain: string;
  /** Its loop or its disk has been too slow for long, or it is drained. */
  isUnfit: boolean;
}

/** What the leader knows of one that is in the group. */
export interface AutopilotSeat {
  id: NodeId;
  peer: PeerId | undefined;
  /** Heard within an election's time. */
  isActive: boolean;
  /** Entries that it lacks. */
  behind: number;
  /** For how long it has been active and close behind. */
  stableMs: number;
}

export interface AutopilotView {
  self: PeerId;
  /** The leader itself goes. */
  isLeaving: boolean;
  /** Whoever left is not among them. */
  members: readonly AutopilotMember[];
  conf: ConfState;
  seats: ReadonlyMap<NodeId, AutopilotSeat>;
}

export type AutopilotStep =
  /** Ask them what they go by. */
  { kind: 'invite'; peers: PeerId[] } | { kind: 'change'; changes: ConfChange[] };

const oddUpTo = (count: number): number => Math.max(1, count - ((count + 1) % 2));

/** How many voters a swarm wants: of seven members up to all, as an odd number; members that are gone count no further than to three. */
export function committeeSize(members: number, gone: number): number {
  const lasting = oddUpTo(Math.min(MAX_VOTERS, members - gone));
  return Math.max(lasting, oddUpTo(Math.min(AT_ANY_AGE, members)));
}

/** What is to be done next; undefined: nothing, or nothing yet. */
export function autopilot(view: AutopilotView): AutopilotStep | undefined {
  const { conf } = view;
  if (conf.votersOutgoing.length > 0) return undefined; // a change is under way
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

/** Who is to vote in the end, and who has to be asked first what it goes by. */
function choose({ self, isLeaving, members, conf, seats }: AutopilotView): { wanted: NodeId[]; uninvited: PeerId[] } {
  const present = members.filter(({ peer }) => !(isLeaving && peer === self));
  const withRole = present.filter(({ hasRole }) => hasRole);
  const eligible = withRole.length >= ENOUGH_WITH_ROLE ? withRole : present;
  const size = committeeSize(eligible.length, eligible.filter(isGone).length);
  const memberOf = new Map(eligible.map((member) => [member.peer, member]));
  const seated = (ids: readonly NodeId[]) =>
    ids.flatMap((id) => {
      const member = memberOf.get(seats.get(id)?.peer ?? '');
      // Its log is another one now.
      return member === undefined || (member.known !== undefined && member.known.id !== id) ? [] : [{ id, member }];
    });
  const voters = seated(conf.voters);
  const lasting = voters.filter(({ member }) => !isGone(member));
  // The leader first, then who is there.
  const rank = ({ id, member }: { id: NodeId; member: AutopilotMember }): number =>
    member.peer === self ? 0 : seats.get(id)?.isActive === true ? 1 : 2;
  const seatedPeers = new Set(lasting.map(({ member }) => member.peer));
  // A voter that is there and says nothing may have lost its log.
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
  // Who is to make room, where somebody can take the place: unfit ones, and one of those that share a domain.
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
  // What is not known of a newcomer's domain is asked, where it might be a better one.
  if (shared.length > 0) uninvited.push(...candidates.flatMap(({ peer, known }) => (known === undefined ? [peer] : [])));
  // Where nobody takes their place they keep it: they may come back.
  for (const { id } of weak) if (wanted.length < size) wanted.push(id);
  // A weak one too many is let go of, rather than a newcomer not taken.
  if (wanted.length % 2 === 0 && weak.some(({ id }) => id === wanted.at(-1))) wanted.pop();
  for (const { id, member } of voters) if (wanted.length < size && isGone(member)) wanted.push(id);
  return { wanted: odd(wanted, conf), uninvited: [...new Set(uninvited)].slice(0, MAX_VOTERS) };
}

/** Two voters, or four, bear no more failures than one, or three: the last newcomer waits for another. */
function odd(wanted: NodeId[], { voters }: ConfState): NodeId[] {
  const last = wanted.findLast((id) => !voters.includes(id));
  return wanted.length % 2 === 1 || last === undefined ? wanted : wanted.filter((id) => id !== last);
}

/** The change to those voters, once all newcomers among them can be relied on. */
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
