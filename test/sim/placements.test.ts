// Services that one member at a time runs, in a simulated swarm: who may say that one is kept, and what becomes of it where its agent, its
// machine's reach or the service itself fails.
import { describe, expect, it } from 'vitest';
import { PLACEMENT_MARGIN_MS, PLACEMENT_MS } from '../../consensus/decisions/placements.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

const SETTLED_MS = 30_000;
const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);

/** With all that was started and ended: the time, the machine, the fence. */
async function settled(nodes = 5, mode = 'act') {
  const document = { mode, service: [{ name: 'db', command: ['db'], port: 5432, failover: true }] };
  const cluster = Cluster.of({ nodes, seed: 2, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  const log: { atMs: number; node: SimulatedNode; fence: number | undefined }[] = [];
  for (const node of cluster.nodes)
    node.linux.services.onFenced = (_service, fence) => log.push({ atMs: cluster.scheduler.nowMs, node, fence });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  const holder = cluster.nodes.find(({ linux }) => linux.services.all()[0]?.state === 'running');
  if (holder === undefined) throw new Error('it runs nowhere');
  return { cluster, log, holder };
}

const orderOf = (node: SimulatedNode) => {
  const consensus = node.running?.swarm.consensus;
  if (consensus === undefined) throw new Error(`${node.name} does not run`);
  return consensus;
};

describe('a service for fail-over', () => {
  it('is kept by word of the coordinator alone: who only follows knows of it, and says nothing', async () => {
    const { cluster, holder } = await settled();
    const { fence } = orderOf(holder).decisions.state.placementOf('db') ?? { fence: 0 };
    const asked = encodeCbor(['keep', [['db', fence]]]);
    const answers: string[] = [];
    for (const node of cluster.nodes)
      orderOf(node)
        .decisions.answer(holder.peer, asked)
        .then(
          (answer) => answers.push(`${node.peer === orderOf(node).committee.coordinator} ${JSON.stringify(decodeCbor(answer))}`),
          () => answers.push('none'),
        );
    await later(cluster, 5_000);
    expect(answers.sort()).toEqual(['none', 'none', 'none', 'none', 'true [true]']);
    // Nor under another fence, nor for another member.
    const nova = cluster.byPeer(orderOf(holder).committee.coordinator ?? '');
    if (nova === undefined) throw new Error('the swarm has no leader');
    const other = cluster.nodes.find((node) => node !== holder)?.peer ?? '';
    const wrong = [
      orderOf(nova).decisions.answer(holder.peer, encodeCbor(['keep', [['db', fence - 1]]])),
      orderOf(nova).decisions.answer(other, asked),
    ];
    await later(cluster, 2_000);
    expect((await Promise.all(wrong)).map(decodeCbor)).toEqual([[false], [false]]);
  });

  it('ends where its agent is dead, before it begins elsewhere under a higher fence', async () => {
    const { cluster, log, holder } = await settled();
    const before = log.length;
    const diedMs = cluster.scheduler.nowMs;
    holder.crash();
    await later(cluster, PLACEMENT_MS + PLACEMENT_MARGIN_MS + 10_000);
    const [ended, began, ...more] = log.slice(before);
    expect([ended?.node, ended?.fence, more]).toEqual([holder, undefined, []]);
    expect((ended?.atMs ?? Number.NaN) - diedMs).toBeLessThanOrEqual(PLACEMENT_MS);
    expect(began?.atMs).toBeGreaterThan(ended?.atMs ?? Number.NaN);
    expect(began?.fence).toBeGreaterThan(log[0]?.fence ?? Number.NaN);
  });

  it('goes on where its agent is back in time', async () => {
    const { cluster, log, holder } = await settled();
    const before = log.length;
    holder.crash();
    await later(cluster, 4_000);
    holder.boot();
    await later(cluster, 60_000);
    expect(log.slice(before)).toEqual([]);
  });

  it('stops everywhere while the swarm has no leader, and goes on once somebody does', async () => {
    const { cluster, log, holder } = await settled();
    const { voters = [] } = orderOf(holder).decisions.checkpoints.newest ?? {};
    const gone = cluster.nodes.filter((node) => node !== holder && voters.includes(node.peer));
    for (const node of gone) node.crash();
    await later(cluster, PLACEMENT_MS + 10_000);
    expect(log.at(-1)).toMatchObject({ fence: undefined });
    for (const node of gone) node.boot();
    await later(cluster, 40_000);
    expect(log.at(-1)?.fence).toBeGreaterThan(0);
  });

  it('is given up by who may act by itself only: not where the mode is to ask, or the swarm has paused the agent', async () => {
    const { cluster, holder } = await settled(5, 'advise');
    holder.linux.services.curse('db', 200);
    holder.linux.services.kill('db');
    await later(cluster, 60_000);
    expect(orderOf(holder).decisions.state.placementOf('db')?.peer).toBe(holder.peer);
    const paused = await settled();
    const node = paused.holder;
    orderOf(paused.cluster.node(0))
      .decisions.decide({ kind: 'pause', peer: node.peer, reason: 'wait' }, 5_000)
      .catch(() => undefined);
    await later(paused.cluster, 5_000);
    node.linux.services.curse('db', 200);
    node.linux.services.kill('db');
    await later(paused.cluster, 60_000);
    expect(orderOf(node).decisions.state.placementOf('db')?.peer).toBe(node.peer);
  });
});
