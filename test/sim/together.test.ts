// What is wrong with several machines at once, in a simulated swarm: one incident of the coordinator's, with what they have in common.
import { describe, expect, it } from 'vitest';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';

const SETTLED_MS = 40_000;

async function settled(nodes: number, domainOf: (index: number) => string): Promise<Cluster> {
  const document = { mode: 'observe', service: [{ name: 'db', command: ['db'], port: 5432 }] };
  const cluster = Cluster.of({ nodes, seed: 11, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  for (const node of cluster.nodes) node.profile.domain = domainOf(node.index);
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
const together = (cluster: Cluster) =>
  cluster.agents().flatMap(({ agent }) => agent.parts.memory.incidents().filter(({ policy }) => policy === 'together'));

describe('machines that are unwell together', () => {
  it('are one incident of the rack that they share, which ends with it', async () => {
    const cluster = await settled(9, (index) => `rack-${index % 3}`);
    for (const index of [1, 4, 7]) cluster.node(index).linux.services.kill('db');
    await later(cluster, 30_000);
    const [incident, ...others] = together(cluster);
    expect(others).toEqual([]);
    expect(incident).toMatchObject({ target: 'domain rack-1', state: 'escalated' });
    expect(incident?.summary).toBe('3 of 9 machines are unhealthy; probable cause: failure domain rack-1 (3 machines)');
    const told = incident?.steps.map(({ text }) => text).join('\n') ?? '';
    for (const index of [1, 4, 7]) expect(told).toMatch(new RegExp(`inc-\\w+ on node-${index} is part of this incident: db`));
    for (const index of [1, 4, 7]) void cluster.node(index).linux.services.start('db');
    await later(cluster, 90_000);
    expect(together(cluster)).toMatchObject([{ state: 'resolved', outcome: 'ended: fewer machines are unhealthy' }]);
  });

  it('are told by the next coordinator where the first one dies', async () => {
    const cluster = await settled(9, (index) => `rack-${index % 3}`);
    for (const index of [2, 5, 8]) cluster.node(index).linux.services.kill('db');
    await later(cluster, 30_000);
    const nova =
      cluster.byPeer(cluster.node(3).running?.swarm.consensus.committee.coordinator ?? '') ??
      expect.fail('the swarm has no leader');
    expect(nova.agent?.parts.memory.incidents().some(({ policy }) => policy === 'together')).toBe(true);
    nova.crash();
    await later(cluster, 60_000);
    const next = cluster.byPeer(
      cluster.nodes.find((node) => node !== nova)?.running?.swarm.consensus.committee.coordinator ?? '',
    );
    expect(next?.agent?.parts.memory.incidents().find(({ policy }) => policy === 'together')?.target).toBe('domain rack-2');
  });

  it('are a service that fails where nothing else explains it', async () => {
    const cluster = await settled(9, () => '');
    for (const index of [1, 3, 8]) cluster.node(index).linux.services.kill('db');
    await later(cluster, 40_000);
    expect(together(cluster)).toMatchObject([{ target: 'service db' }]);
  });
});
