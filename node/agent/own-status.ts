// The status that an agent publishes to all members: a few figures, its conditions, and its role in the swarm.

import type { Status } from '../../swarm/state/status.ts';
import type { Mode } from '../action/guard.ts';
import type { Consensus } from '../decisions/consensus.ts';
import type { Members } from '../decisions/members.ts';
import type { Conditions } from '../detection/conditions.ts';
import type { Ports } from '../ports/ports.ts';

export interface OwnState {
  metrics: ReadonlyMap<string, number>;
  conditions: Conditions;
  openIncidents: number;
  isHalted: boolean;
}

export function ownStatus(
  { transport, clock }: Ports,
  { version, mode }: { version: string; mode: Mode },
  members: Members,
  { committee, decisions, vitals }: Pick<Consensus, 'committee' | 'decisions' | 'vitals'>,
  { metrics, conditions, openIncidents, isHalted }: OwnState,
): Status {
  const scaled = (name: string, by: number): number | undefined => {
    const value = metrics.get(name);
    return value === undefined ? undefined : value * by;
  };
  return {
    name: members.nameOf(members.self),
    version,
    atMs: clock.wallMs(),
    zone: vitals.zone,
    address: transport.addresses()[0]?.replace(/\/p2p\/[^/]+$/, '') ?? '',
    loadCenti: scaled('system.load.1m', 100),
    memoryPermille: scaled('system.memory.utilization', 1000),
    cpuPermille: scaled('system.cpu.utilization', 1000),
    pressureCenti: ['cpu', 'memory', 'io'].map((resource) => scaled(`system.psi.${resource}.some`, 100)),
    conditions,
    openIncidents,
    term: committee.term,
    coordinator: committee.coordinator === members.self,
    decided: decisions.state.index,
    mode: isHalted ? 'halted' : mode,
  };
}
