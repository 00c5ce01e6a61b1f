// The schedule of faults: those of the scenario, and those drawn from the seed, as data before the run, so that a violation can be reproduced
// with fewer of them.
import type { Cluster } from '../cluster.ts';
import type { Fault } from '../fault-history.ts';
import type { SimulatedNode } from '../node.ts';
import { SeededRandom } from '../random.ts';
import { FAULT_KINDS, FAULTS, type FaultKind } from './faults.ts';
import type { Scenario, Selector } from './schema.ts';

export interface PlannedFault extends Fault {
  atMs: number;
  kind: FaultKind;
  on: Selector;
}

/**
 * A machine is excused for this long after a fault: TCP timeouts, redials, and statuses that must arrive again. An alert that came often is
 * retracted only after 20 s of answers, and its observer may be stalled meanwhile.
 */
export const RECOVERY_MS = 45_000;
/** A random fault affects at most this many machines. */
const MAX_AT_ONCE = 3;

export function planFaults(scenario: Scenario, seed: number): PlannedFault[] {
  const given = scenario.fault.map(({ at, kind, on, for: forMs = 0, ...args }) => ({ atMs: at, kind, on, forMs, args }));
  return [...given, ...drawFaults(scenario, seed)].sort((a, b) => a.atMs - b.atMs);
}

/** Each run has its own subset of the kinds, and its own rate. */
function drawFaults({ drawn, duration, calm, machine }: Scenario, seed: number): PlannedFault[] {
  if (drawn === undefined) return [];
  const random = new SeededRandom(seed, 'faults');
  const drawable = FAULT_KINDS.filter((kind) => FAULTS[kind].draw !== undefined && (drawn.kinds ?? FAULT_KINDS).includes(kind));
  const kinds = drawable.filter(() => random.chance(0.5));
  const some = kinds.length > 0 ? kinds : drawable;
  const everyMs = drawn.every * 3 ** random.between(-1, 1);
  const services = Array.isArray(machine.service) ? machine.service.map(({ name }) => String(name)) : [];
  const endMs = duration - calm;
  const planned: PlannedFault[] = [];
  for (let atMs = drawn.from + random.unit() * everyMs; atMs < endMs; atMs += random.between(0.2, 1.8) * everyMs) {
    const kind = some[Math.floor(random.unit() * some.length)];
    const model = kind && FAULTS[kind];
    const args = model?.draw?.(random, services);
    const [minS, maxS] = model?.lastsS ?? [0, 0];
    const forMs = Math.min(Math.round(random.between(minS, maxS) * 1_000), endMs - atMs);
    const count = random.chance(0.6) ? 1 : 1 + Math.floor(random.unit() * MAX_AT_ONCE);
    const on: Selector = random.chance(0.15) ? 'coordinator' : Array.from({ length: count }, () => random.uint32() % 65_536);
    if (kind !== undefined && args !== undefined) planned.push({ atMs: Math.round(atMs), kind, on, forMs, args });
  }
  return planned;
}

export function describeFault({ kind, on, forMs, args }: Fault): string {
  const given = Object.entries(args).map(([key, value]) => ` ${key}=${JSON.stringify(value)}`);
  return `${kind} on ${Array.isArray(on) ? on.join(',') : on}${forMs > 0 ? ` for ${forMs / 1_000} s` : ''}${given.join('')}`;
}

/** Schedules the faults on a cluster. */
export function scheduleFaults(cluster: Cluster, faults: readonly PlannedFault[]): void {
  faults.forEach((fault, index) => {
    const random = cluster.random(`fault ${index}`);
    cluster.scheduler.at(fault.atMs, () => {
      const model = FAULTS[fault.kind];
      const nodes = select(cluster, fault.on, random);
      const names = nodes.map(({ name }) => name).join(' ');
      cluster.log('fault', `${describeFault(fault)}: ${names === '' ? 'no node' : names}`);
      cluster.history.faults.push({ fault, atMs: fault.atMs, nodes: nodes.map(({ index: at }) => at) });
      if (model.local !== true)
        cluster.history.excuse(model.everywhere === true ? cluster.nodes : nodes, fault.forMs + RECOVERY_MS);
      const end = model.begin({ cluster, nodes, forMs: fault.forMs, random }, fault.args);
      if (end === undefined || fault.forMs <= 0) return;
      cluster.scheduler.after(fault.forMs, () => {
        end();
        cluster.log('fault', `${fault.kind} ended: ${names}`);
        if (model.local !== true) cluster.history.excuse(model.everywhere === true ? cluster.nodes : nodes, RECOVERY_MS);
      });
    });
  });
}

function select(cluster: Cluster, on: Selector, random: SeededRandom): SimulatedNode[] {
  const peer = cluster.running()[0]?.running.swarm.consensus.committee.coordinator;
  const coordinator = peer === undefined ? undefined : cluster.byPeer(peer)?.index;
  return selectFrom(cluster.nodes.length, on, random, coordinator).map((index) => cluster.node(index));
}

/** Indices of the selected machines, of `count`. */
export function selectFrom(count: number, on: Selector, random: SeededRandom, coordinator: number | undefined): number[] {
  const all = Array.from({ length: count }, (_, index) => index);
  const drawn = (wanted: number): number[] => {
    const rest = [...all];
    return Array.from({ length: Math.min(wanted, count) }, () => rest.splice(Math.floor(random.unit() * rest.length), 1)).flat();
  };
  const at = (index: number): number => (index < 0 ? Math.max(0, count + index) : index % count);
  if (typeof on === 'number') return [at(on)];
  if (Array.isArray(on)) return [...new Set(on.map(at))];
  switch (on) {
    case 'all':
      return all;
    case 'any':
      return drawn(1);
    case 'coordinator':
      return coordinator === undefined ? [] : [coordinator];
    case 'minority':
      return all.slice(count - Math.floor((count - 1) / 2));
    case 'half':
      return drawn(Math.ceil(count / 2));
    default:
      return drawn(Math.max(1, Math.round((count * Number.parseInt(on, 10)) / 100)));
  }
}
