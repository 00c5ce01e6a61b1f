// A witness that signs two different votes on one claim is asked no more, by anybody, on proof alone.
import { describe, expect, it } from 'vitest';
import { equivocatorOf } from '../../consensus/vote/equivocation.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { Lie } from '../../sim/liar.ts';

const SETTLED_MS = 20_000;
const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);

async function settled(lies: readonly Lie[], seed = 1): Promise<Cluster> {
  const document = { mode: 'act', service: [{ name: 'web', command: ['web'], port: 8080 }] };
  const cluster = Cluster.of({ nodes: 8, seed, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  for (const lie of lies) cluster.node(5).profile.lies.add(lie);
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

describe('a witness with two tongues', () => {
  it('is found, and no witness any more, until it is pardoned', async () => {
    const cluster = await settled(['equivocate']);
    const liar = cluster.node(5);
    const asks = () =>
      cluster.agents().filter(({ node, agent }) => node !== liar && agent.swarm.selection.witnesses().includes(liar.peer)).length;
    expect(asks()).toBe(7);
    for (let turn = 0; turn < 4; turn++) {
      cluster.node(2).linux.services.kill('web');
      await later(cluster, 15_000);
    }
    await later(cluster, 10_000);
    expect(asks()).toBe(0);
    const [found] = cluster.node(7).agent?.swarm.consensus.decisions.state.quarantined() ?? [];
    if (found === undefined) throw new Error('nobody is in quarantine');
    expect(equivocatorOf(cluster.node(1).crypto, cluster.swarmId, found)).toBe(liar.peer);
    cluster
      .node(0)
      .agent?.swarm.consensus.decisions.decide({ kind: 'pardon', peer: liar.peer, reason: 'mended' }, 3_000)
      .catch(() => undefined);
    await later(cluster, 5_000);
    expect(asks()).toBe(7);
  });

  it('is not who is only said to be one', async () => {
    const cluster = await settled([]);
    const [victim, slanderer] = [cluster.node(3), cluster.node(4)];
    const empty = new Uint8Array([0x80]);
    const wish = { kind: 'quarantine' as const, peer: victim.peer, first: empty, second: empty };
    const outcome = slanderer.agent?.swarm.consensus.decisions.decide(wish, 3_000);
    await later(cluster, 3_000);
    expect(await outcome).toMatchObject({ ok: false, reason: 'the two votes do not conflict' });
    // Nor where a coordinator that lies has decided it.
    const nova = cluster.byPeer(victim.running?.swarm.consensus.committee.coordinator ?? '');
    const replica = nova?.running?.swarm.consensus.committee.log.current;
    replica?.propose({ v: 1, id: 'a'.repeat(32), by: slanderer.peer, atMs: 1, ...wish }, 2_000).catch(() => undefined);
    await later(cluster, 5_000);
    expect(cluster.node(6).agent?.swarm.consensus.decisions.state.quarantined().length).toBe(1);
    expect(cluster.node(6).agent?.swarm.consensus.decisions.proven.quarantined().size).toBe(0);
  });
});
