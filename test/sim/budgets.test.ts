// How many changes policies may make on a machine, as the swarm decides it: binding at once, over restarts too, on each machine that has no
// budget of its own.
import { describe, expect, it } from 'vitest';
import type { Wish } from '../../consensus/decisions/decision.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';

const SETTLED_MS = 20_000;
const HOUR_MS = 3_600_000;
const FREEZE = { kind: 'budget', peer: null, changes: 1, withinMs: HOUR_MS, reason: 'a freeze' } as const;

async function settled(): Promise<Cluster> {
  const document = { mode: 'act', service: [{ name: 'web', command: ['web'], port: 8080 }] };
  const cluster = Cluster.of({ nodes: 5, seed: 4, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
const isUp = (node: SimulatedNode): boolean => node.linux.services.all().find(({ name }) => name === 'web')?.state === 'running';
const storyOf = (node: SimulatedNode): string =>
  (node.agent?.parts.memory.incidents() ?? []).flatMap(({ steps }) => steps.map(({ text }) => text)).join('\n');

async function decided(cluster: Cluster, wish: Wish, by = 0): Promise<unknown> {
  const outcome = cluster.node(by).running?.swarm.consensus.decisions.decide(wish, 3_000);
  outcome?.catch(() => undefined);
  await later(cluster, 3_000);
  return outcome;
}

async function killed(cluster: Cluster, node: SimulatedNode): Promise<boolean> {
  node.linux.services.kill('web');
  await later(cluster, 40_000);
  return isUp(node);
}

describe('a budget', () => {
  it('bounds what policies do on each machine that has none of its own, over a restart too, until it is lifted', async () => {
    const cluster = await settled();
    const [, own, other] = cluster.nodes as [SimulatedNode, SimulatedNode, SimulatedNode];
    expect(await decided(cluster, FREEZE)).toMatchObject({ ok: true });
    expect(await decided(cluster, { ...FREEZE, peer: own.peer, changes: 0 })).toMatchObject({ ok: true });
    expect([await killed(cluster, own), await killed(cluster, other)]).toEqual([false, true]);
    expect(storyOf(own)).toContain('the budget allows policies 0 changes here in 60 minutes: a freeze (kalos budget list)');
    other.crash();
    other.boot();
    await later(cluster, 10_000);
    expect(await killed(cluster, other)).toBe(false);
    expect(storyOf(other)).toContain('the budget allows policies 1 change here');
    expect(await decided(cluster, { kind: 'unbudget', peer: null, reason: 'over' })).toMatchObject({ ok: true });
    expect(await decided(cluster, { kind: 'unbudget', peer: null, reason: 'over' })).toMatchObject({
      ok: false,
      reason: 'there is no such budget',
    });
    const third = cluster.node(3);
    expect([await killed(cluster, third), await killed(cluster, third), isUp(own)]).toEqual([true, true, false]);
    expect(cluster.node(4).running?.swarm.consensus.decisions.state.budgets.all()).toMatchObject([
      { peer: own.peer, changes: 0 },
    ]);
  });

  it('is for issuers to set', async () => {
    const cluster = await settled();
    expect(await decided(cluster, FREEZE, 2)).toMatchObject({
      ok: false,
      reason: expect.stringContaining('it is not an issuer'),
    });
  });
});
