// A committee that has lost its majority for good begins again by root keys: with what was decided, under one coordinator, though members of
// the old one come back late.
import { describe, expect, it } from 'vitest';
import { CoordinatorChecker } from '../../sim/check/committee.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';
import { signRecord } from '../../swarm/identity/record.ts';

const SETTLED_MS = 30_000;
const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
const orderOf = (node: SimulatedNode) => {
  const consensus = node.running?.swarm.consensus;
  if (consensus === undefined) throw new Error(`${node.name} does not run`);
  return consensus;
};
const coordinatorsOf = (cluster: Cluster): (string | undefined)[] => [
  ...new Set(cluster.running().map(({ running }) => running.swarm.consensus.committee.coordinator)),
];

/** Nine members, of whom most of the committee are gone. */
async function lost(seed: number): Promise<{ cluster: Cluster; gone: SimulatedNode[]; left: SimulatedNode[] }> {
  const cluster = Cluster.of({ nodes: 9, seed, protocolsOnly: true });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  orderOf(cluster.node(0))
    .decisions.decide({ kind: 'pause', peer: cluster.node(8).peer, reason: 'to be kept' }, 5_000)
    .catch(() => undefined);
  await later(cluster, 10_000);
  const { voters = [] } = orderOf(cluster.node(0)).decisions.checkpoints.newest ?? {};
  const members = voters.flatMap((peer) => cluster.byPeer(peer) ?? []);
  const gone = members.filter(({ index }) => index !== 0).slice(0, Math.ceil(members.length / 2));
  for (const node of gone) node.crash();
  await later(cluster, 40_000);
  return { cluster, gone, left: cluster.nodes.filter((node) => !gone.includes(node)) };
}

/** As `kalos recover` does it, by the root keys that founded the swarm. */
async function recover(cluster: Cluster, founder: SimulatedNode, epoch = 1): Promise<void> {
  const statuses = cluster.running().map(({ running }) => running.swarm.consensus.decisions.state.index);
  const nowMs = founder.wallMs();
  const body = {
    kind: 'recovery',
    subject: founder.peer,
    epoch,
    fromMs: nowMs,
    untilMs: nowMs,
    index: Math.max(...statuses) + 1_000,
    term: 1_000,
  } as const;
  const record = signRecord(founder.crypto, cluster.swarmId, body, [cluster.credentials.root]);
  founder.running?.swarm.admission.store.publish(record).catch((error: unknown) => cluster.violation(String(error)));
}

describe('a committee that has lost its majority', () => {
  it('begins again by root keys, with what was decided; those who come back late belong to the new one', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const { cluster, gone, left } = await lost(seed);
      const coordinators = new CoordinatorChecker();
      expect(coordinatorsOf(cluster), `seed ${seed}`).toEqual([undefined]);
      await recover(cluster, left[3] as SimulatedNode);
      for (let second = 0; second < 60; second++) {
        await later(cluster, 1_000);
        coordinators.each(cluster);
        if (second === 30) for (const node of gone) node.boot();
      }
      const all = coordinatorsOf(cluster);
      expect([all.length, all[0] !== undefined, cluster.violations], `seed ${seed}`).toEqual([1, true, []]);
      // What was decided before holds, what is decided now is known to all, and there are voters enough.
      const told = left[2] as SimulatedNode;
      const outcome = orderOf(cluster.node(0)).decisions.decide(
        { kind: 'pause', peer: cluster.node(7).peer, reason: 'restart' },
        5_000,
      );
      await later(cluster, 10_000);
      expect(await outcome).toMatchObject({ ok: true });
      for (const { node } of cluster.running())
        expect(
          orderOf(node)
            .decisions.state.paused()
            .map(({ reason }) => reason)
            .sort(),
          `${node.name} of seed ${seed}`,
        ).toEqual(['restart', 'to be kept']);
      expect(orderOf(told).decisions.checkpoints.newest?.voters.length).toBeGreaterThanOrEqual(3);
    }
  });

  it('does not by anybody else’s keys, nor twice by the same record', async () => {
    const { cluster, left } = await lost(7);
    const [founder, other] = [left[3] as SimulatedNode, left[4] as SimulatedNode];
    const nowMs = founder.wallMs();
    const body = {
      kind: 'recovery',
      subject: founder.peer,
      epoch: 1,
      fromMs: nowMs,
      untilMs: nowMs,
      index: 5_000,
      term: 500,
    } as const;
    const forged = signRecord(founder.crypto, cluster.swarmId, body, [founder.crypto]);
    await expect(founder.running?.swarm.admission.store.publish(forged)).rejects.toThrow('this agent may not sign this record');
    await later(cluster, 20_000);
    expect(coordinatorsOf(cluster)).toEqual([undefined]);
    await recover(cluster, founder);
    await later(cluster, 20_000);
    const first = founder.running?.swarm.consensus.decisions.state.index;
    founder.crash();
    other.crash();
    founder.boot();
    other.boot();
    await later(cluster, 30_000);
    expect(coordinatorsOf(cluster).length).toBe(1);
    expect(founder.running?.swarm.consensus.decisions.state.index).toBeGreaterThanOrEqual(first ?? 0);
  });
});
