// Machines that are short of CPU: every agent runs for moments only, with pauses in between, and nothing is wrong with any of them. Nobody
// says so, whoever coordinates goes on doing so, and no more is said than on machines at rest.
import { describe, expect, it } from 'vitest';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import { SeededRandom } from '../../sim/random.ts';
import { integerBelow } from '../../swarm/ports/random.ts';

const SETTLED_MS = 60_000;
const FOR_MS = 300_000;
const settings = agentSettings(resolveConfig([{ origin: 'test', document: { mode: 'act' } }]));

interface Seen {
  changes: string[];
  held: string[];
  findings: string[];
  bytes: number;
}

/** @param mostMs how long an agent may not run at all; 0: it always does. */
async function lived(nodes: number, seed: number, mostMs: number): Promise<Seen> {
  const cluster = Cluster.of({ nodes, seed, settings });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  const random = new SeededRandom(seed, 'starved');
  const starve = (node: (typeof cluster.nodes)[number]): void => {
    if (mostMs === 0) return;
    node.process.starve(100 + integerBelow(random, mostMs));
    cluster.scheduler.after(100 + mostMs + integerBelow(random, 400), () => starve(node));
  };
  for (const node of cluster.nodes) starve(node);
  const seen: Seen = { changes: [], held: [], findings: [], bytes: 0 };
  const sent = (): number =>
    cluster.nodes.reduce(
      (sum, { agent }) => sum + [...(agent?.traffic().values() ?? [])].reduce((all, { bytes }) => all + bytes, 0),
      0,
    );
  const sentBefore = sent();
  const log = cluster.log.bind(cluster);
  cluster.log = (node, text) => {
    if (/coordinates$/.test(text)) seen.changes.push(`${node} ${text}`);
    if (/ is (unreachable|down)$/.test(text)) seen.held.push(`${node} ${text}`);
    log(node, text);
  };
  await cluster.runUntil(SETTLED_MS + FOR_MS);
  for (const { agent } of cluster.nodes)
    for (const { policy, target, openedMs } of agent?.incidents() ?? [])
      if (openedMs > 1_767_225_600_000 + SETTLED_MS) seen.findings.push(`${policy} ${target}`);
  seen.bytes = sent() - sentBefore;
  return seen;
}

describe('agents that run for moments only', () => {
  it.each([
    [3, 1],
    [3, 2],
    [5, 3],
    [7, 4],
  ])('%i of them keep their coordinator and find nothing (seed %i)', { timeout: 60_000 }, async (nodes, seed) => {
    for (const mostMs of [800, 1_600, 2_500]) {
      const seen = await lived(nodes, seed, mostMs);
      console.log(nodes, seed, mostMs, JSON.stringify(seen).slice(0, 1500));
      expect(seen).toMatchObject({ changes: [], findings: [] });
    }
  });
});
