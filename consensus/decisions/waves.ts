// The next step of a roll-out: the canaries, then waves of members, so that only few are new, or restart, at the same time. It is rolled
// back if a member reports that it fails, or if members of the wave become unhealthy.
import type { PeerId } from '../../swarm/ports/transport.ts';
import { MAX_WAVE, type Wish } from './decision.ts';
import { isLate, missingOf, type Pushed, type RolloutState, turnOf } from './rollout.ts';

/** No wave is a larger share of all members. */
const WAVE_SHARE = 0.25;
/** A restart takes no longer than this. */
const BACK_WITHIN_MS = 45_000;
/** This many members of one wave that are unhealthy or down have one cause. */
const ILL_TOGETHER = 2;

/** A member as the coordinator sees it. */
interface Seen {
  peer: PeerId;
  isAlive: boolean;
  /** Why it is unhealthy, in words; undefined if it is healthy. */
  ill: string | undefined;
}

/** The swarm as the coordinator sees it. */
interface SwarmView {
  nowMs: number;
  self: PeerId;
  voters: readonly PeerId[];
  members: readonly Seen[];
}

/** The coordinator's next proposal: advance or roll back; undefined while it waits. */
export function nextStep(
  name: 'bundle' | 'upgrade',
  { candidate }: RolloutState<Pushed>,
  view: SwarmView,
  nameOf: (peer: PeerId) => string,
): Wish | undefined {
  if (candidate === null) return undefined;
  const { nowMs } = view;
  const { id, phase, reports, soakMs, sinceMs } = candidate;
  const back = (why: string): Wish => {
    const reason = why.slice(0, 200);
    return name === 'bundle'
      ? { kind: 'bundle-withdraw', bundle: id, reason }
      : { kind: 'upgrade-withdraw', upgrade: id, reason };
  };
  const bad = reports.find(({ ok }) => !ok);
  if (bad !== undefined) return back(`${nameOf(bad.peer)}: ${bad.reason}`);
  const turn = turnOf(candidate);
  const illOf = new Map(view.members.map(({ peer, ill }) => [peer, ill]));
  const isIll = (peer: PeerId): boolean => !illOf.has(peer) || illOf.get(peer) !== undefined;
  const ill = nowMs - sinceMs < BACK_WITHIN_MS ? [] : turn.filter(isIll);
  if (ill.length > 0 && (phase === 'canary' || ill.length >= Math.min(ILL_TOGETHER, turn.length)))
    return back(`since their wave began: ${ill.map((peer) => `${nameOf(peer)} ${illOf.get(peer) ?? 'is down'}`).join(', ')}`);
  // The roll-out does not wait for a single unhealthy member of a wave.
  const missing = missingOf(candidate).filter((peer) => phase === 'canary' || !isIll(peer));
  if (missing.length > 0) return isLate(candidate, nowMs) ? back(`${missing.map(nameOf).join(', ')} did not report`) : undefined;
  if (nowMs - sinceMs < soakMs) return undefined;
  const { canary, before = [], wave = [] } = candidate;
  const next = nextWave([...canary, ...before, ...wave], view);
  if (name === 'upgrade') return { kind: 'upgrade-advance', upgrade: id, next };
  return { kind: 'bundle-advance', bundle: id, ...(candidate.pushedMs !== undefined && { next }) };
}

/** Twice as many as before, at most a quarter of all, less than half of the voters, and the coordinator last. */
function nextWave(done: readonly PeerId[], { self, members, voters }: SwarmView): PeerId[] {
  const left = members.filter(({ peer, isAlive }) => isAlive && !done.includes(peer));
  const others = left.flatMap(({ peer, ill }) => (peer === self || ill !== undefined ? [] : [peer]));
  if (others.length === 0) return left.some(({ peer }) => peer === self) ? [self] : [];
  const most = Math.max(1, Math.min(done.length * 2, Math.floor(members.length * WAVE_SHARE), MAX_WAVE));
  let votersLeft = Math.max(1, Math.floor((voters.length - 1) / 2));
  const wave: PeerId[] = [];
  for (const peer of others.sort()) {
    if (wave.length >= most) break;
    const votes = voters.includes(peer);
    if (votes && votersLeft === 0) continue;
    if (votes) votersLeft--;
    wave.push(peer);
  }
  return wave;
}
