// Runs a scenario with a seed: the same seed gives the same trace hash, on every machine.
import { agentSettings } from '../node/config/agent-config.ts';
import { resolveConfig } from '../node/config/config.ts';
import { ModelledCrypto } from './adapters/crypto.ts';
import { realMs } from './adapters/drain.ts';
import type { TraceEvent } from './adapters/trace.ts';
import type { Checker } from './check/checker.ts';
import { CoordinatorChecker, DecisionsChecker, RaftChecker } from './check/committee.ts';
import { ActionChecker, AuditChecker, BoundsChecker, HealingChecker, UnreportedChecker } from './check/machines.ts';
import { PlacementChecker } from './check/placements.ts';
import { MembershipChecker, PromiseChecker, StatusChecker } from './check/swarm.ts';
import { Cluster, type ClusterConfig } from './cluster.ts';
import { betweenRegions, everywhere, LAN, type LinkModel } from './network/links.ts';
import { brokenPromises } from './scenario/expect.ts';
import { describeFault, type PlannedFault, planFaults, scheduleFaults } from './scenario/plan.ts';
import type { Scenario } from './scenario/schema.ts';

const CHECK_EVERY_MS = 1_000;
/** A failed run has many violations: later ones add nothing. */
const MAX_VIOLATIONS = 50;
/** How many events before a violation are shown with it. */
const WINDOW_MS = 10_000;
/** Machines whose view is sampled for the report. */
const VIEWS_SAMPLED = 20;

export const makeCheckers = (): Checker[] => [
  new CoordinatorChecker(),
  new RaftChecker(),
  new DecisionsChecker(),
  new PromiseChecker(),
  new MembershipChecker(),
  new StatusChecker(),
  new PlacementChecker(),
  new ActionChecker(),
  new HealingChecker(),
  new UnreportedChecker(),
  new AuditChecker(),
  new BoundsChecker(),
];

export interface RunOptions {
  scenario: Scenario;
  nodes: number;
  seed: number;
  /** Instead of the faults of the scenario and the seed. */
  faults?: readonly PlannedFault[] | undefined;
  realCrypto?: boolean | undefined;
  protocolsOnly?: boolean | undefined;
  /** Stops after this many traced events: for a replay. */
  untilEvent?: number | undefined;
  onProgress?: ((simulatedMs: number) => void) | undefined;
}

export interface Sample {
  atMs: number;
  /** Running agents, and how many members each of them sees alive, on average. */
  running: number;
  alive: number;
  messages: number;
  bytes: number;
  openIncidents: number;
}

export interface RunReport {
  scenario: string;
  nodes: number;
  seed: number;
  simulatedMs: number;
  events: number;
  /** The number of events in the hash; events are identified by their number. */
  traced: number;
  messages: number;
  bytes: number;
  /** The CPU time of real signatures on all machines. */
  cryptoMs: number;
  /** SHA-256 of all events. */
  traceHash: string;
  /** Empty if all checks passed. */
  violations: string[];
  /** Where the first violation was found: between these events. */
  window: { fromEvent: number; toEvent: number } | undefined;
  faults: { atMs: number; text: string; nodes: readonly number[]; forMs: number }[];
  incidents: {
    id: string;
    node: string;
    policy: string;
    target: string;
    outcome: string;
    tool: string;
    certified: boolean;
    openedMs: number;
    tookMs: number;
  }[];
  samples: Sample[];
  /** For people; not part of the comparison. */
  trace: TraceEvent[];
  realMs: number;
}

/** Sets links, clocks, versions and liars as in the scenario. */
export async function makeCluster(options: RunOptions): Promise<Cluster> {
  const { scenario, nodes, seed, protocolsOnly, realCrypto } = options;
  const document = { mode: 'act', ...scenario.machine };
  const settings = agentSettings(resolveConfig([{ origin: `[machine] of ${scenario.name}`, document }]));
  const config: ClusterConfig = { nodes, seed, settings, protocolsOnly };
  const cluster = realCrypto === true ? await Cluster.withRealCrypto(config) : Cluster.of(config);
  const { regions, ...link } = scenario.network;
  const given: Partial<LinkModel> = Object.fromEntries(
    Object.entries({
      latencyMs: link.latency_ms,
      jitterMs: link.jitter_ms,
      loss: link.loss,
      duplicate: link.duplicate,
      reorder: link.reorder,
      bytesPerS: link.bytes_per_s,
    }).filter(([, value]) => value !== undefined),
  );
  cluster.network.topology = regions === undefined ? everywhere({ ...LAN, ...given }) : betweenRegions(regions, given);
  const clocks = cluster.random('clocks');
  for (const node of cluster.nodes) {
    node.clock.usualSkewMs = Math.round((2 * clocks.unit() - 1) * scenario.clocks.skew);
    node.clock.skewMs = node.clock.usualSkewMs;
    node.clock.driftPpm = (2 * clocks.unit() - 1) * scenario.clocks.drift_ppm;
    node.profile.speaksLater = scenario.later.includes(node.index);
    node.profile.version = scenario.versions[node.index % scenario.versions.length] ?? node.profile.version;
  }
  for (const { on, lies } of scenario.liar) {
    const node = cluster.node(on);
    for (const lie of lies) {
      if (lie === 'silent') cluster.network.gossip.silent.add(node.peer);
      else node.profile.lies.add(lie);
    }
  }
  return cluster;
}

export async function runScenario(options: RunOptions): Promise<RunReport> {
  const startedMs = realMs();
  const { scenario, nodes, seed, onProgress, untilEvent = Number.POSITIVE_INFINITY } = options;
  const cluster = await makeCluster(options);
  const checkers = makeCheckers();
  for (const checker of checkers) checker.begin?.(cluster);
  cluster.start();
  scheduleFaults(cluster, options.faults ?? planFaults(scenario, seed));
  cluster.scheduler.at(scenario.duration - scenario.calm, () => cluster.calm());
  const samples: Sample[] = [];
  let window: RunReport['window'];
  for (let untilMs = CHECK_EVERY_MS; untilMs <= scenario.duration; untilMs += CHECK_EVERY_MS) {
    const fromEvent = cluster.trace.count;
    await cluster.runUntil(untilMs);
    for (const checker of checkers) checker.each?.(cluster);
    if (untilMs === scenario.duration) {
      for (const checker of checkers) await checker.end?.(cluster);
      cluster.violations.push(...brokenPromises(cluster, scenario));
    }
    samples.push(sampleOf(cluster));
    if (window === undefined && cluster.violations.length > 0) window = { fromEvent, toEvent: cluster.trace.count };
    if (cluster.violations.length >= MAX_VIOLATIONS || cluster.trace.count >= untilEvent) break;
    onProgress?.(untilMs);
  }
  const { scheduler, network, trace } = cluster;
  return {
    scenario: scenario.name,
    nodes,
    seed,
    simulatedMs: scheduler.nowMs,
    events: scheduler.executed,
    traced: trace.count,
    messages: network.messages,
    bytes: network.bytes,
    cryptoMs: Math.round(
      cluster.nodes.reduce((sum, { crypto }) => sum + (crypto instanceof ModelledCrypto ? crypto.costMs : 0), 0),
    ),
    traceHash: trace.digest(),
    violations: cluster.violations.slice(0, MAX_VIOLATIONS),
    window,
    faults: cluster.history.faults.map(({ fault, atMs, nodes: on }) => ({
      atMs,
      text: describeFault(fault),
      nodes: on,
      forMs: fault.forMs,
    })),
    incidents: incidentsOf(cluster),
    samples,
    trace: trace.kept,
    realMs: Math.round(realMs() - startedMs),
  };
}

function sampleOf(cluster: Cluster): Sample {
  const agents = cluster.running();
  const views = agents.slice(0, VIEWS_SAMPLED).map(({ running }) => running.swarm.members.alive().length);
  const open = cluster
    .agents()
    .map(({ agent }) => agent.parts.memory.incidents().filter(({ closedMs }) => closedMs === 0).length);
  return {
    atMs: cluster.scheduler.nowMs,
    running: agents.length,
    alive: views.reduce((sum, count) => sum + count, 0) / Math.max(1, views.length),
    messages: cluster.network.messages,
    bytes: cluster.network.bytes,
    openIncidents: open.reduce((sum, count) => sum + count, 0),
  };
}

function incidentsOf(cluster: Cluster): RunReport['incidents'] {
  return cluster.agents().flatMap(({ node, agent }) =>
    agent.parts.memory.incidents().map(({ id, policy, target, outcome, tool, certificate, openedMs, closedMs }) => ({
      id,
      node: node.name,
      policy,
      target,
      outcome,
      tool,
      certified: certificate !== '',
      openedMs: Math.round(openedMs),
      tookMs: closedMs === 0 ? 0 : Math.round(closedMs - openedMs),
    })),
  );
}

/** The readable events just before and in a window. */
export function windowOf({ trace, window, violations }: RunReport): TraceEvent[] {
  if (window === undefined || violations.length === 0) return [];
  const last = trace.filter(({ event }) => event <= window.toEvent).at(-1);
  return trace.filter(({ event, atMs }) => event <= window.toEvent && atMs >= (last?.atMs ?? 0) - WINDOW_MS);
}
