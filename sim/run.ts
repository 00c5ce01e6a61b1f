// Runs a scenario with a seed: the same seed gives the same trace hash, on every machine.
import { realMs } from './adapters/drain.ts';
import type { TraceEvent } from './adapters/trace.ts';
import { checkLiveness, SafetyChecker } from './checkers.ts';
import { Cluster } from './cluster.ts';
import type { Scenario } from './scenarios/scenario.ts';

const CHECK_EVERY_MS = 1_000;

export interface RunReport {
  scenario: string;
  nodes: number;
  seed: number;
  simulatedMs: number;
  events: number;
  messages: number;
  bytes: number;
  /** SHA-256 over everything that happened. */
  traceHash: string;
  /** Empty when everything held. */
  violations: string[];
  incidents: { id: string; node: string; policy: string; target: string; outcome: string; certified: boolean; tookMs: number }[];
  /** What people read; not part of the comparison. */
  trace: TraceEvent[];
  realMs: number;
}

export async function runScenario(
  scenario: Scenario,
  nodes: number,
  seed: number,
  onProgress: (simulatedMs: number) => void,
): Promise<RunReport> {
  const startedMs = realMs();
  const cluster = new Cluster({ nodes, seed, services: scenario.services, declared: scenario.declared });
  const safety = new SafetyChecker();
  cluster.start();
  scenario.schedule(cluster);
  for (let untilMs = CHECK_EVERY_MS; untilMs <= scenario.durationMs; untilMs += CHECK_EVERY_MS) {
    await cluster.runUntil(untilMs);
    safety.check(cluster);
    onProgress(untilMs);
  }
  await checkLiveness(cluster);
  return {
    scenario: scenario.name,
    nodes,
    seed,
    simulatedMs: scenario.durationMs,
    events: cluster.scheduler.executed,
    messages: cluster.network.messages,
    bytes: cluster.network.bytes,
    traceHash: cluster.trace.digest(),
    violations: [...cluster.violations, ...scenario.expect(cluster)],
    incidents: cluster.running().flatMap(({ node, agent }) =>
      agent.incidents().map(({ id, policy, target, outcome, certificate, openedMs, closedMs }) => ({
        id,
        node: node.name,
        policy,
        target,
        outcome,
        certified: certificate !== '',
        tookMs: closedMs === 0 ? 0 : Math.round(closedMs - openedMs),
      })),
    ),
    trace: cluster.trace.kept,
    realMs: Math.round(realMs() - startedMs),
  };
}
