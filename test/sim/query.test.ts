// Asking many, simulated: how long the slowest answer takes at LAN and WAN latencies, what a peer that was cut off for an hour knows
// soon after, and that nobody takes a status for younger than it is.
import { describe, expect, it } from 'vitest';
import { Cluster } from '../../sim/cluster.ts';
import { betweenRegions, everywhere, LAN, type Topology } from '../../sim/network/links.ts';

const SETTLED_MS = 60_000;
/** What a push may be under way. */
const TRANSIT_MS = 1_000;

async function settled(nodes: number, topology: Topology = everywhere(LAN)): Promise<Cluster> {
  const cluster = Cluster.of({ nodes, seed: 3, protocolsOnly: true });
  cluster.network.topology = topology;
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

describe('a question to a hundred', () => {
  it.each([
    ['a LAN', everywhere(LAN)],
    // Round trips of 24 to 145 ms; whom the asker is not connected with it dials first.
    [
      'two continents that lose one in a hundred',
      betweenRegions(['us-east', 'us-west', 'eu-west', 'eu-central'], { loss: 0.01 }),
    ],
  ])('is answered by all within 0.8 s over %s, 99 times of 100', async (_name, link) => {
    const cluster = await settled(100, link);
    const peers = cluster.nodes.map(({ peer }) => peer);
    const took: number[] = [];
    for (let turn = 0; turn < 50; turn++) {
      const asking = cluster.node((turn * 17) % 100).running?.swarm;
      const startMs = cluster.scheduler.nowMs;
      let answered = 0;
      const options = { timeoutMs: 5_000, maxBytes: 1_000_000, take: () => void answered++ };
      void asking?.messenger
        .askAll(peers, 'table', new Uint8Array([1]), options)
        .then(() => took.push(cluster.scheduler.nowMs - startMs));
      await cluster.runUntil(startMs + 6_000);
      expect(answered).toBe(99);
    }
    took.sort((a, b) => a - b);
    expect(took[Math.floor(took.length * 0.99)]).toBeLessThanOrEqual(800);
  });
});

/** Asks all; how long that took, who answered, and why the others did not. */
async function asked(cluster: Cluster): Promise<{ tookMs: number; answered: number; reasons: string[] }> {
  const startMs = cluster.scheduler.nowMs;
  let answered = 0;
  const options = { timeoutMs: 5_000, maxBytes: 1_000_000, take: () => void answered++ };
  const peers = cluster.nodes.map(({ peer }) => peer);
  let came: { tookMs: number; reasons: string[] } | undefined;
  void cluster
    .node(0)
    .running?.swarm.messenger.askAll(peers, 'table', new Uint8Array([1]), options)
    .then((missing) => {
      came = { tookMs: cluster.scheduler.nowMs - startMs, reasons: missing.map(({ reason }) => reason) };
    });
  await cluster.runUntil(startMs + 6_000);
  if (came === undefined) throw new Error('nothing came');
  return { ...came, answered };
}

describe('a member that hangs', () => {
  it.each([3, 5, 9, 30])('costs a question to %i two probes, and none once it is known', async (nodes) => {
    const cluster = await settled(nodes);
    cluster.node(nodes - 1).pause(600_000);
    const first = await asked(cluster);
    expect(first.reasons).toHaveLength(1);
    expect(first.answered).toBe(nodes - 2);
    // Whom it is not connected with it dials, which may take as long as the others take to see it.
    expect(first.tookMs).toBeLessThanOrEqual(nodes <= 16 ? 2_000 : 4_000);
    await cluster.runUntil(cluster.scheduler.nowMs + 20_000);
    const later = await asked(cluster);
    expect(later).toMatchObject({ answered: nodes - 2 });
    expect(['down', 'unreachable']).toContain(later.reasons[0]);
    expect(later.tookMs).toBeLessThanOrEqual(100);
  });

  it('is not the one that answers late', async () => {
    const cluster = await settled(5);
    const slow = cluster.node(4);
    const [{ running } = {}] = cluster.running().filter(({ node }) => node === slow);
    if (running === undefined) throw new Error('it does not run');
    cluster.network.hostOf(slow.peer).lagMs = 300;
    expect(await asked(cluster)).toMatchObject({ answered: 4, reasons: [] });
  });
});

describe('what a peer knows of others', () => {
  it('is current within ten seconds after an hour without them, and never taken for younger than it is', async () => {
    const cluster = await settled(12);
    const hermit = cluster.node(4);
    const rest = cluster.nodes.filter((node) => node !== hermit);
    /** When each status was first held by its own origin. */
    const saidMs = new Map<string, number>();
    const look = (): void => {
      for (const { node, running } of cluster.running()) {
        const own = running.swarm.members.statuses.get(node.peer);
        if (own !== undefined && !saidMs.has(`${node.peer} ${own.sequence}`))
          saidMs.set(`${node.peer} ${own.sequence}`, own.heardMs);
      }
      for (const { node, running } of cluster.running())
        for (const { origin, sequence, heardMs } of running.swarm.members.statuses.entries()) {
          const said = saidMs.get(`${origin} ${sequence}`);
          if (said !== undefined && origin !== node.peer) expect(heardMs - said).toBeLessThanOrEqual(TRANSIT_MS);
        }
    };
    cluster.network.partition([rest.map(({ peer }) => peer), [hermit.peer]]);
    for (let second = 1; second <= 3_600; second += 20) {
      await cluster.runUntil(SETTLED_MS + second * 1_000);
      look();
    }
    cluster.network.heal();
    const healedMs = cluster.scheduler.nowMs;
    await cluster.runUntil(healedMs + 10_000);
    look();
    for (const { peer } of rest) {
      const [mine, theirs] = [hermit, rest.find((node) => node.peer !== peer)].map((node) =>
        node?.running?.swarm.members.statuses.get(peer),
      );
      expect(mine?.sequence).toBeGreaterThanOrEqual((theirs?.sequence ?? Number.NaN) - 1);
      expect(cluster.scheduler.nowMs - (mine?.heardMs ?? 0)).toBeLessThan(45_000);
    }
    expect(hermit.running?.swarm.members.alive().length).toBe(12);
  });

  it('is still there after a restart with nobody within reach, and as old as it is', async () => {
    const cluster = Cluster.of({ nodes: 4, seed: 3 });
    cluster.start();
    await cluster.runUntil(400_000);
    const [lone, ...rest] = cluster.nodes;
    if (lone === undefined) throw new Error('no node');
    const heldMs = new Map(lone.running?.swarm.members.statuses.entries().map(({ origin, heardMs }) => [origin, heardMs]));
    cluster.network.partition([rest.map(({ peer }) => peer), [lone.peer]]);
    lone.crash();
    await cluster.runUntil(1_000_000);
    lone.boot();
    await cluster.runUntil(1_020_000);
    const statuses = lone.running?.swarm.members.statuses;
    for (const { peer } of rest) {
      const ageMs = cluster.scheduler.nowMs - (statuses?.get(peer)?.heardMs ?? Number.NaN);
      // A crash loses what was heard since they were last kept, five minutes at most.
      expect(ageMs).toBeGreaterThanOrEqual(cluster.scheduler.nowMs - (heldMs.get(peer) ?? 0) - TRANSIT_MS);
      expect(ageMs).toBeLessThan(cluster.scheduler.nowMs - (heldMs.get(peer) ?? 0) + 300_000);
    }
    cluster.network.heal();
    await cluster.runUntil(1_060_000);
    for (const { peer } of rest)
      expect(cluster.scheduler.nowMs - (statuses?.get(peer)?.heardMs ?? Number.NaN)).toBeLessThan(45_000);
  });
});
