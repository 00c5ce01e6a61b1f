// Members that are neither well nor down, in a simulated swarm: those that watch them agree, and nothing depends on them any more.
import { describe, expect, it } from 'vitest';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';

const SETTLED_MS = 60_000;

async function settled(nodes: number, seed = 7): Promise<Cluster> {
  const document = { mode: 'act', service: [{ name: 'db', command: ['db'], port: 5432, failover: true }] };
  const cluster = Cluster.of({ nodes, seed, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
const stateOf = (node: SimulatedNode) => node.agent?.swarm.consensus.decisions;
const drainedIn = (cluster: Cluster, by: number) => [...(stateOf(cluster.node(by))?.proven.drained().keys() ?? [])];
const whereIs = (cluster: Cluster) => stateOf(cluster.node(0))?.state.placementOf('db')?.peer;

describe('a member that is', () => {
  it.each([
    ['slow', (node: SimulatedNode, cluster: Cluster) => Object.assign(cluster.network.hostOf(node.peer), { lagMs: 700 })],
    ['lossy', (node: SimulatedNode, cluster: Cluster) => Object.assign(cluster.network.hostOf(node.peer), { loss: 0.11 })],
    ['skewed', (node: SimulatedNode) => Object.assign(node.clock, { skewMs: 20_000 })],
  ])(
    '%s is drained by those that watch it: what it runs goes elsewhere, it does not vote, and it comes back',
    async (kind, harm) => {
      const cluster = await settled(8);
      const owner = cluster.byPeer(whereIs(cluster) ?? '') ?? expect.fail('db runs nowhere');
      const observer = cluster.nodes.find(({ peer, index }) => peer !== owner.peer && index > 0) ?? expect.fail();
      harm(owner, cluster);
      await later(cluster, 150_000);
      expect(drainedIn(cluster, observer.index)).toEqual([owner.peer]);
      const drain = stateOf(observer)?.proven.drained().get(owner.peer);
      expect(drain?.reason).toMatch(new RegExp(`^${kind}: \\d of \\d witnesses measure the same$`));
      await later(cluster, 200_000);
      expect(whereIs(cluster)).not.toBe(owner.peer);
      expect(whereIs(cluster)).toBeTruthy();
      const nova = cluster.byPeer(observer.running?.swarm.consensus.committee.coordinator ?? '');
      expect(nova?.running?.swarm.consensus.committee.seats.voters()).not.toContain(owner.peer);
      const story = owner.agent?.parts.memory.incidents().find(({ policy }) => policy === 'gray-failure');
      expect(story?.steps.map(({ stage }) => stage)).toEqual(['detect', 'vote', 'act']);
      expect(story?.certificate).not.toBe('');
      Object.assign(cluster.network.hostOf(owner.peer), { lagMs: 0, loss: 0 });
      owner.clock.skewMs = 0;
      await later(cluster, 900_000);
      expect(drainedIn(cluster, observer.index)).toEqual([]);
      expect(owner.agent?.parts.memory.incidents().find(({ policy }) => policy === 'gray-failure')?.outcome).toBe(
        'the drain has ended',
      );
    },
  );

  it('stalled by its disk has itself drained, and does not coordinate', async () => {
    const cluster = await settled(7);
    const nova =
      cluster.byPeer(cluster.node(3).running?.swarm.consensus.committee.coordinator ?? '') ??
      expect.fail('the swarm has no leader');
    nova.disk.writeMs = 1_500;
    await later(cluster, 200_000);
    const other = cluster.nodes.find((node) => node !== nova) ?? expect.fail();
    expect(other.running?.swarm.consensus.committee.coordinator).not.toBe(nova.peer);
    expect(drainedIn(cluster, other.index)).toEqual([nova.peer]);
    expect(stateOf(other)?.proven.drained().get(nova.peer)?.reason).toMatch(/^stalled: disk latency 15\d\d ms/);
  });
});

describe('an agent whose loop stalls', () => {
  it('is drained, and then restarts, once: its services go on', async () => {
    const cluster = await settled(7);
    const node = cluster.node(4);
    const stalls = (): void => {
      if (cluster.scheduler.nowMs > 1_200_000) return;
      node.pause(900);
      cluster.scheduler.after(1_300, stalls);
    };
    stalls();
    await later(cluster, 110_000);
    expect([node.past.starts, drainedIn(cluster, 2)]).toEqual([1, [node.peer]]);
    await later(cluster, 90_000);
    expect(node.past.starts).toBe(2);
    // It did not help: not again.
    await later(cluster, 600_000);
    expect(node.past.starts).toBe(2);
    const story = node.agent?.parts.memory.incidents().find(({ policy }) => policy === 'gray-failure');
    expect(story?.steps.map(({ text }) => text).join('\n')).toMatch(/event loop lag is \d+ ms: the agent restarts/);
    expect(cluster.violations).toEqual([]);
  });
});

describe('nobody is drained', () => {
  it('where all are slow, or the one that looks is', async () => {
    const cluster = await settled(7);
    for (const { peer } of cluster.nodes) Object.assign(cluster.network.hostOf(peer), { lagMs: 600 });
    await later(cluster, 300_000);
    expect(cluster.nodes.flatMap(({ index }) => drainedIn(cluster, index))).toEqual([]);
  });

  it('where members crash, are away for a while, and come back', async () => {
    const cluster = await settled(8);
    for (let turn = 0; turn < 6; turn++) {
      const node = cluster.node(1 + (turn % 7));
      node.crash();
      await later(cluster, turn % 2 === 0 ? 5_000 : 90_000);
      node.boot();
      await later(cluster, 60_000);
      expect(cluster.nodes.flatMap(({ index }) => drainedIn(cluster, index))).toEqual([]);
    }
  });

  it('by a member that lies, nor by a coordinator that does', async () => {
    const cluster = await settled(7);
    const nova =
      cluster.byPeer(cluster.node(3).running?.swarm.consensus.committee.coordinator ?? '') ??
      expect.fail('the swarm has no leader');
    const victim = cluster.nodes.find((node) => node !== nova) ?? expect.fail();
    const liar = cluster.nodes.find((node) => node !== nova && node !== victim && node.index > 0) ?? expect.fail();
    const refused = liar.agent?.swarm.consensus.decisions.drain(victim.peer, 600_000, 'because', 3_000);
    refused?.catch(() => undefined);
    await later(cluster, 3_000);
    expect(await refused).toMatchObject({ ok: false, reason: expect.stringContaining('has no witness certificate') });
    const wish = {
      kind: 'drain',
      peer: victim.peer,
      forMs: 600_000,
      wishedMs: 0,
      members: 7,
      isOrdered: true,
      reason: 'forged',
    } as const;
    const atMs = Math.round(nova.wallMs());
    nova.running?.swarm.consensus.committee.log.current
      ?.propose({ v: 1, id: 'f'.repeat(32), by: cluster.node(0).peer, atMs, ...wish, proof: new Uint8Array(64) }, 3_000)
      .catch(() => undefined);
    await later(cluster, 5_000);
    expect(stateOf(victim)?.state.drains.all(victim.wallMs())).toHaveLength(1);
    expect(cluster.nodes.flatMap(({ index }) => drainedIn(cluster, index))).toEqual([]);
  });
});

describe('a person', () => {
  it('drains a member for maintenance, and ends that', async () => {
    const cluster = await settled(5);
    const owner = cluster.byPeer(whereIs(cluster) ?? '') ?? expect.fail('db runs nowhere');
    const issuer = cluster.node(0).agent?.swarm.consensus.decisions;
    issuer?.drain(owner.peer, 3_600_000, 'new memory', 3_000).catch(() => undefined);
    await later(cluster, 40_000);
    expect(drainedIn(cluster, 2)).toEqual([owner.peer]);
    expect([whereIs(cluster) === owner.peer, whereIs(cluster) == null]).toEqual([false, false]);
    issuer?.decide({ kind: 'undrain', peer: owner.peer, reason: 'done' }, 3_000).catch(() => undefined);
    await later(cluster, 5_000);
    expect(drainedIn(cluster, 2)).toEqual([]);
  });
});
