// On which members something is tried first.
import { drawnBy } from '../../swarm/membership/observers.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Agent } from '../agent.ts';
import { peerOf } from './order-routes.ts';

const MEMBERS_PER_CANARY = 10;
const MOST_DRAWN = 5;

/** Those that are asked for, or one in ten of those that are there, drawn, not the coordinator, and five at most. @returns a text where one is unknown */
export function canariesOf(agent: Agent, named: readonly string[] | undefined): PeerId[] | string {
  const { swarm } = agent;
  if (named !== undefined) {
    const peers = named.map((one) => peerOf(agent, one));
    const unknown = named.find((_, nth) => peers[nth] === undefined);
    return unknown === undefined ? peers.flatMap((peer) => peer ?? []) : `no member is called ${unknown}: see kalos members`;
  }
  const others = swarm.alive.filter((peer) => peer !== swarm.coordinator && peer !== swarm.self);
  const most = Math.min(MOST_DRAWN, Math.max(1, Math.floor(swarm.alive.length / MEMBERS_PER_CANARY)));
  return others.length === 0 ? [swarm.self] : drawnBy('canary', String(agent.wallMs()), others, most);
}
