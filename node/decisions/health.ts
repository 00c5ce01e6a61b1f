// The health of members, by their states and their statuses.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Status } from '../../swarm/state/status.ts';
import type { Members } from './members.ts';
import type { Proven } from './proven.ts';

/** Whether a member's status says that it, or a service of it, is not ready. */
function looksUnhealthy(status: Status | undefined): boolean {
  return status !== undefined && (status.conditions.Ready === 'False' || status.conditions.ServicesReady === 'False');
}

/** How many members there are, and how many look unhealthy, as seen from here. */
export function swarmHealth(members: Members): { members: number; sick: number } {
  const all = members.all();
  const sick = all.filter(({ peer, state }) => state !== 'alive' || looksUnhealthy(members.statusOf(peer)));
  return { members: Math.max(1, all.length), sick: sick.length };
}

/** Why a member is unhealthy, as seen from here. */
export function illnessOf(peer: PeerId, members: Members, proven: Proven): string | undefined {
  const state = members.of(peer)?.state;
  if (state !== 'alive') return `is ${state ?? 'not a member'}`;
  if (proven.drained().has(peer)) return 'is drained';
  return looksUnhealthy(members.statusOf(peer)) ? 'is not ready' : undefined;
}
