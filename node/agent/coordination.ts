// What this member does for the swarm: services for fail-over, policies and releases for all members, gray members, and the role NOVA
// while it is the leader.
import { GrayWatch } from '../coordination/gray.ts';
import { Nova } from '../coordination/nova.ts';
import { isOfMachine, openOn } from '../coordination/open-elsewhere.ts';
import { PlacedServices } from '../coordination/placed-services.ts';
import { SwarmPolicies } from '../coordination/swarm-policies.ts';
import { SwarmUpgrades } from '../coordination/swarm-upgrades.ts';
import type { SwarmLink } from '../link/swarm-link.ts';
import type { Memory } from '../memory/memory.ts';
import type { Ports } from '../ports/ports.ts';
import type { Reporter } from '../reporter.ts';
import type { AgentConfig, AgentEvents } from './agent-config.ts';
import type { Brakes } from './brakes.ts';
import type { PolicySet } from './policies.ts';
import type { Queries } from './queries.ts';
import type { Watcher } from './watcher.ts';

export interface CoordinationParts {
  ports: Ports;
  link: SwarmLink;
  watcher: Watcher;
  policies: PolicySet;
  memory: Memory;
  brakes: Brakes;
  queries: Queries;
  reporter: Reporter & Pick<AgentEvents, 'restart'>;
}

export interface Coordination {
  placed: PlacedServices;
  swarmPolicies: SwarmPolicies;
  upgrades: SwarmUpgrades;
  gray: GrayWatch;
  nova: Nova;
}

export const makeCoordination = (config: AgentConfig, parts: CoordinationParts): Coordination => ({
  placed: placedServices(config, parts),
  swarmPolicies: swarmPolicies(config, parts),
  upgrades: swarmUpgrades(config, parts),
  gray: grayWatch(parts),
  nova: nova(parts),
});

function placedServices(
  { services }: AgentConfig,
  { ports, link, watcher, brakes, reporter }: CoordinationParts,
): PlacedServices {
  const names = services.flatMap(({ name, failover }) => (failover === true ? [name] : []));
  const { members, consensus } = link;
  const drained = (): string | undefined => {
    const drain = consensus.decisions.proven.drained().get(members.self);
    return drain && `this member is drained: ${drain.reason}`;
  };
  return new PlacedServices(ports, consensus.decisions, members, names, {
    mayNotTake: () => brakes.halted ?? brakes.paused ?? drained(),
    mustGiveUp: drained,
    mayNotMove: () => (brakes.mode === 'act' ? (brakes.halted ?? brakes.paused) : `mode is ${brakes.mode}`),
    isSick: () => watcher.conditions().Ready === 'False',
    ...reporter,
    noted: (service, text) => reporter.noted(text, service),
  });
}

function swarmPolicies({ swarmId }: AgentConfig, parts: CoordinationParts): SwarmPolicies {
  const { ports, link, watcher, policies, memory, reporter } = parts;
  return new SwarmPolicies(ports, swarmId, link.consensus.decisions, link.members, {
    follow: (bundle, inputs) => policies.follow(bundle, inputs),
    bundle: () => policies.bundle,
    names: () => policies.ofSwarm,
    incidents: () => memory.incidents(),
    isReady: () => watcher.conditions().Ready !== 'False',
    ...reporter,
  });
}

function swarmUpgrades({ swarmId }: AgentConfig, { ports, link, watcher, memory, reporter }: CoordinationParts): SwarmUpgrades {
  const { committee, decisions } = link.consensus;
  return new SwarmUpgrades(ports, swarmId, decisions, link.members, {
    ask: (peer, body, withinMs) => link.messenger.ask(peer, 'release', body, withinMs),
    coordinator: () => committee.coordinator,
    incidents: () => memory.incidents().filter(isOfMachine),
    isReady: () => watcher.conditions().Ready !== 'False',
    ...reporter,
  });
}

function grayWatch({ ports, link, memory, reporter }: CoordinationParts): GrayWatch {
  const { members, selection, ballots, consensus } = link;
  return new GrayWatch(ports, consensus.decisions, members, selection, consensus.vitals, {
    vote: (claim, witnesses) => ballots.vote(claim, witnesses),
    save: (incident) => memory.save(incident),
    ...reporter,
  });
}

function nova({ ports, link, memory, queries, reporter }: CoordinationParts): Nova {
  return new Nova(ports, link.members, link.consensus, {
    openOn: (peers) => openOn(peers, queries.sources),
    save: (incident) => memory.save(incident),
    ...reporter,
  });
}
