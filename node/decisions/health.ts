// How members do, by their states and by what they say of themselves.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Status } from '../../swarm/state/status.ts';
import type { Members } from './members.ts';
import type { Proven } from './proven.ts';

/** What a member says of itself: that it is not ready, or that a service of its own is not. */
function looksSick(status: Status | undefined): boolean {
  return status !== undefined && (status.conditions.Ready === 'False' || status.conditions.ServicesReady === 'False');
}

/** How many members there are, and how many look sick, as this one sees it. */
export function swarmHealth(members: Members): { members: number; sick: number } {
  const all = members.all();
  const sick = all.filter(({ peer, state }) => state !== 'alive' || looksSick(members.statusOf(peer)));
  return { members: Math.max(1, all.length), sick: sick.length };
}

/** What is wrong with a member, as this one sees it. */
export function illnessOf(peer: PeerId, members: Members, proven: Proven): string | undefined {
  const state = members.of(peer)?.state;
  if (state !== 'alive') return `is ${state ?? 'gone'}`;
  if (proven.drained().has(peer)) return 'is drained';
  return looksSick(members.statusOf(peer)) ? 'is not ready' : undefined;
}
