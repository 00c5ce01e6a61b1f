// Selects the canaries: the members that get a bundle or a release before the others.
import { drawnBy } from '../../swarm/membership/observers.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Agent } from '../agent/agent.ts';
import { memberNamed } from './known.ts';
import type { Failure } from './route.ts';

const MEMBERS_PER_CANARY = 10;
const MAX_DRAWN = 5;

/** The named members; else one in ten of the live members, at most five, drawn without the leader and this member. @returns the failure if a name is unknown. */
export function canariesOf(agent: Agent, named: readonly string[] | undefined): PeerId[] | Failure<404> {
  if (named !== undefined) {
    const members = named.map((one) => memberNamed(agent, one));
    const unknown = members.find((one) => 'unknown' in one);
    return unknown === undefined ? members.flatMap((one) => ('peer' in one ? [one.peer] : [])) : unknown.unknown;
  }
  const { self } = agent.swarm.members;
  const alive = agent.swarm.members.alive();
  const others = alive.filter((peer) => peer !== agent.committee.coordinator && peer !== self);
  const most = Math.min(MAX_DRAWN, Math.max(1, Math.floor(alive.length / MEMBERS_PER_CANARY)));
  return others.length === 0 ? [self] : drawnBy('canary', String(agent.wallMs()), others, most);
}
