// Disruptive changes in a simulated swarm: certified by witnesses and under a lease they are made without a person; without either,
// on the smaller side of a partition or in a small swarm, a person is asked; never more at once than there are leases; never twice.
import { describe, expect, it } from 'vitest';
import { decodeCertificate, verifyCertificate } from '../../consensus/vote/certificate.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';

const SETTLED_MS = 20_000;

async function settled(nodes: number, seed = 1): Promise<Cluster> {
  const document = { mode: 'act', service: [{ name: 'web', command: ['web'], port: 8080, critical: true }] };
  const cluster = Cluster.of({ nodes, seed, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
const storyOf = (node: SimulatedNode): string =>
  (node.agent?.incidents() ?? []).flatMap(({ steps }) => steps.map(({ text }) => text)).join('\n');
const waitsAt = (node: SimulatedNode): number => node.agent?.executor.approvals().length ?? 0;
const isWell = (node: SimulatedNode): boolean => node.agent?.conditions().ServicesReady === 'True';

describe('a critical service that is killed', () => {
  it('is started again by leave of its witnesses and of the swarm, and the certificate is there for anybody to check', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const cluster = await settled(8, seed);
      const node = cluster.node(3);
      node.linux.kill('web');
      await later(cluster, 40_000);
      expect([isWell(node), waitsAt(node)], `seed ${seed}: ${storyOf(node)}`).toEqual([true, 0]);
      expect(storyOf(node)).toContain('its witnesses and the swarm allow it');
      const [incident] = node.agent?.incidents() ?? [];
      const certificate = decodeCertificate(Uint8Array.from(atob(incident?.certificate ?? ''), (char) => char.charCodeAt(0)));
      if (certificate === undefined) throw new Error('no certificate');
      expect(verifyCertificate(cluster.node(5).crypto, cluster.swarmId, certificate).valid).toBe(true);
      expect(certificate.claim.warrant?.plan).toContain(incident?.id);
      // What was leased is given back.
      expect(node.running?.swarm.order.decisions.state.leases(node.wallMs())).toEqual([]);
      expect(cluster.violations).toEqual([]);
    }
  });

  it('waits for a person where there are fewer than four witnesses, and says so', async () => {
    const cluster = await settled(4);
    const node = cluster.node(2);
    node.linux.kill('web');
    await later(cluster, 40_000);
    expect([isWell(node), waitsAt(node)]).toEqual([false, 1]);
    expect(storyOf(node)).toContain('3 witnesses are too few to certify it');
  });

  it('waits for a person on the smaller side of a partition', async () => {
    const cluster = await settled(9);
    const voters = cluster.node(0).running?.swarm.order.decisions.checkpoint?.voters ?? [];
    // Without a majority of those who order: enough witnesses alone are no leave.
    const side = cluster.nodes.filter(({ peer }) => !voters.includes(peer)).slice(0, 5);
    const [node] = side;
    if (node === undefined) throw new Error('nobody is there');
    const peers = side.map(({ peer }) => peer);
    cluster.network.partition([peers, cluster.nodes.map(({ peer }) => peer).filter((peer) => !peers.includes(peer))]);
    await later(cluster, 20_000);
    node.linux.kill('web');
    await later(cluster, 60_000);
    expect([isWell(node), waitsAt(node)], storyOf(node)).toEqual([false, 1]);
    expect(storyOf(node)).toMatch(/there is no lease|do not certify it/);
  });

  it('on many machines at once is mended one after the other, and not at all while most look sick', async () => {
    const cluster = await settled(9);
    const leases = new Set<number>();
    const watch = (): void => {
      const state = cluster.node(0).running?.swarm.order.decisions.state;
      leases.add(state?.leases(cluster.node(0).wallMs()).length ?? 0);
      cluster.scheduler.after(20, watch);
    };
    watch();
    for (const node of cluster.nodes.slice(1, 4)) node.linux.kill('web');
    await later(cluster, 120_000);
    expect(Math.max(...leases)).toBe(1);
    expect(cluster.nodes.filter((node) => !isWell(node) && waitsAt(node) === 0).map(({ name }) => name)).toEqual([]);
    expect(cluster.nodes.slice(1, 4).filter(isWell).length).toBeGreaterThan(0);

    const sick = await settled(9, 2);
    for (const node of sick.nodes.slice(0, 7)) node.linux.kill('web');
    await later(sick, 60_000);
    expect(sick.nodes.slice(0, 7).map(storyOf).join('\n')).toContain('members look sick: nothing disruptive is done');
  });
});
