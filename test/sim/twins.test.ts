// A state directory that was copied, and both started: two agents of one key, in a simulated swarm.
import { describe, expect, it } from 'vitest';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import { SimulatedNode } from '../../sim/node.ts';

const settings = agentSettings(resolveConfig([{ origin: 'test', document: { mode: 'act' } }]));
const SETTLED_MS = 40_000;

async function settled(nodes: number): Promise<Cluster> {
  const cluster = Cluster.of({ nodes, seed: 9, settings });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

/** `cp -a` of a machine's disk to another machine. */
function copyOf(node: SimulatedNode, cluster: Cluster): SimulatedNode {
  const copy = new SimulatedNode(node.index, cluster, node.crypto);
  copy.disk.apply([...node.disk.content].map(([key, value]) => ({ kind: 'put', key, value })));
  copy.profile.join = node.profile.join;
  copy.past.starts = 100; // it draws other numbers
  return copy;
}

const twinOf = (node: SimulatedNode): string | null | undefined => node.agent?.status().twin;
const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);

describe('a copy of an agent', () => {
  it.each([3, 7])('of %i is found within seconds; neither acts, until one of them stops', async (nodes) => {
    const cluster = await settled(nodes);
    const original = cluster.node(1);
    const copy = copyOf(original, cluster);
    copy.boot();
    await later(cluster, 10_000);
    for (const one of [original, copy]) {
      expect(twinOf(one)).toMatch(/^two agents have this key/);
      expect(one.agent?.parts.executor.brakes.paused).toMatch(/^two agents have this key/);
    }
    const rows = cluster.node(2).agent?.parts.membershipAdmin.members(false) ?? [];
    expect(rows.filter(({ twin }) => twin !== null).map(({ peer }) => peer)).toEqual([original.peer]);
    // The one that was there stays a member like any other.
    expect(cluster.node(2).running?.swarm.members.alive()).toContain(original.peer);
    copy.leave();
    await later(cluster, 90_000);
    expect(twinOf(original)).toBeNull();
    expect(original.agent?.parts.executor.brakes.paused).toBeUndefined();
    expect(cluster.violations).toEqual([]);
  });

  it('that starts while the original is down is found when that comes back', async () => {
    const cluster = await settled(4);
    const original = cluster.node(1);
    original.crash();
    const copy = copyOf(original, cluster);
    copy.boot();
    await later(cluster, 20_000);
    expect(twinOf(copy)).toBeNull();
    original.boot();
    await later(cluster, 10_000);
    for (const one of [original, copy]) expect(twinOf(one)).toMatch(/^two agents have this key/);
  });
});

describe('an agent that starts again', () => {
  it.each(['crashed', 'left', 'was cut off'])('is no second one, after it %s', async (how) => {
    const cluster = await settled(5);
    const node = cluster.node(3);
    const rest = cluster.nodes.filter((one) => one !== node).map(({ peer }) => peer);
    for (let turn = 0; turn < 5; turn++) {
      if (how === 'was cut off') cluster.network.partition([rest, [node.peer]]);
      if (how === 'left') node.leave();
      else node.crash();
      await later(cluster, turn * 700);
      cluster.network.heal();
      await later(cluster, 300);
      node.boot();
      await later(cluster, 15_000);
      for (const one of cluster.nodes) expect(twinOf(one)).toBeNull();
      for (const one of cluster.nodes) expect(one.running?.swarm.members.alive()).toContain(node.peer);
    }
    expect(cluster.violations).toEqual([]);
  });
});
