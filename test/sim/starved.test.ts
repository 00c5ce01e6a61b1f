// Machines that are short of CPU: every agent runs for moments only, with pauses in between, and nothing is wrong with any of them. Nobody
// says so, whoever coordinates goes on doing so, and no more is said than on machines at rest.
import { describe, expect, it } from 'vitest';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import { SeededRandom } from '../../sim/random.ts';
import { integerBelow } from '../../swarm/ports/random.ts';

const SETTLED_MS = 60_000;
const FOR_MS = 180_000;
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
  const before = cluster.network.bytes;
  const log = cluster.log.bind(cluster);
  cluster.log = (node, text) => {
    if (/leader is \S+$/.test(text)) seen.changes.push(`${node} ${text}`);
    if (/ is (unreachable|down)$/.test(text)) seen.held.push(`${node} ${text}`);
    log(node, text);
  };
  await cluster.runUntil(SETTLED_MS + FOR_MS);
  for (const { agent } of cluster.nodes)
    for (const { policy, target, openedMs } of agent?.parts.memory.incidents() ?? [])
      if (openedMs > 1_767_225_600_000 + SETTLED_MS) seen.findings.push(`${policy} ${target}`);
  seen.bytes = cluster.network.bytes - before;
  return seen;
}

describe('agents that run for moments only', () => {
  it.each([
    [3, 1],
    [5, 3],
    [7, 4],
  ])('%i of them keep their coordinator, find nothing and say no more (seed %i)', async (nodes, seed) => {
    const calm = await lived(nodes, seed, 0);
    for (const mostMs of [800, 2_500]) {
      const seen = await lived(nodes, seed, mostMs);
      expect(seen).toMatchObject({ changes: [], findings: [] });
      expect(seen.bytes).toBeLessThan(calm.bytes * 1.1);
      if (mostMs < 1_000) expect(seen.held).toEqual([]);
    }
  });
});

/** What thirty send in three minutes. @param mostMs how long each may not run, now and then, with figures that are others each second. */
async function sent(mostMs: number): Promise<number> {
  const cluster = Cluster.of({ nodes: 30, seed: 5, protocolsOnly: true });
  cluster.start();
  await cluster.runUntil(90_000);
  const random = new SeededRandom(5, 'noise');
  const figure = (): number => integerBelow(random, 10_000);
  const disturb = (node: (typeof cluster.nodes)[number]): void => {
    node.profile.says = { pressureCenti: [figure(), figure(), figure()], loadCenti: figure(), cpuPermille: figure() / 10 };
    node.process.starve(20 + integerBelow(random, mostMs));
    cluster.scheduler.after(50 + mostMs + integerBelow(random, 1_000), () => disturb(node));
  };
  if (mostMs > 0) for (const node of cluster.nodes) disturb(node);
  const before = cluster.network.bytes;
  await cluster.runUntil(270_000);
  return cluster.network.bytes - before;
}

describe('thirty at rest', () => {
  it('send the same whatever noise their machines make', async () => {
    const calm = await sent(0);
    // Figures have more digits than none.
    for (const mostMs of [150, 1_000]) expect((await sent(mostMs)) / calm).toBeLessThan(1.1);
  });
});
