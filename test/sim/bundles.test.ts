// Policies for all machines, in a simulated swarm: tried on a few, taken by all, and taken back where they do harm; whoever coordinates.
import { describe, expect, it } from 'vitest';
import { newBundles } from '../../consensus/decisions/bundles.ts';
import { type Decision, type Wish, wished } from '../../consensus/decisions/decision.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';

const SETTLED_MS = 20_000;
const SOAK_MS = 20_000;
const QUIET = {
  name: 'too-hot',
  scope: 'machine',
  severity: 'warning',
  summary: 'never',
  when: `metrics['system.cpu.utilization'] > 2.0`,
};
/** Takes what is well for wrong, on every machine, and restarts it. */
const HARMFUL = {
  name: 'restless',
  scope: 'service',
  severity: 'warning',
  summary: 'it runs',
  when: `service.state == 'running'`,
  remedy: { tool: 'service.restart', service: '$target' },
};

async function settled(nodes: number, own: object[] = []): Promise<Cluster> {
  const document = { mode: 'act', service: [{ name: 'web', command: ['web'], port: 8080 }], policy: own };
  const cluster = Cluster.of({ nodes, seed: 3, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
const bundlesOf = (node: SimulatedNode) => node.agent?.swarm.consensus.decisions.state.bundles.state;
const originOf = (node: SimulatedNode, name: string) =>
  node.agent?.parts.policies.all().find(({ policy }) => policy.name === name)?.origin;
const startsOf = (node: SimulatedNode) => node.linux.services.all().find(({ name }) => name === 'web')?.starts;

function push(cluster: Cluster, policies: object[], canary: number[]) {
  const by = cluster.node(0).agent;
  const peers = canary.map((index) => cluster.node(index).peer);
  const outcome = by?.parts.swarmPolicies.push(policies, { canary: peers, soakMs: SOAK_MS, findings: 0 });
  outcome?.catch(() => undefined);
  return outcome;
}

/** Waves of one member each, in a swarm as small as these. */
async function everywhere(cluster: Cluster): Promise<void> {
  for (let turn = 0; turn <= cluster.nodes.length; turn++) await later(cluster, SOAK_MS + 3_000);
}

describe('a bundle of policies', () => {
  it('that does no harm is on the canaries first, then on all, and is kept over a restart', async () => {
    const cluster = await settled(7);
    push(cluster, [QUIET], [3, 4]);
    await later(cluster, 5_000);
    expect(cluster.nodes.map((node) => originOf(node, 'too-hot') === 'swarm')).toEqual(
      [0, 1, 2, 3, 4, 5, 6].map((n) => n === 3 || n === 4),
    );
    // One member after the other: never more than a quarter at once.
    await later(cluster, SOAK_MS);
    expect(cluster.nodes.filter((node) => originOf(node, 'too-hot') === 'swarm')).toHaveLength(3);
    await everywhere(cluster);
    expect(cluster.nodes.map((node) => originOf(node, 'too-hot'))).toEqual(Array(7).fill('swarm'));
    expect(bundlesOf(cluster.node(5))).toMatchObject({ candidate: null, ended: { outcome: 'everywhere' } });
    cluster.node(6).crash();
    cluster.node(6).boot();
    await later(cluster, 1_500);
    expect(originOf(cluster.node(6), 'too-hot')).toBe('swarm');
  });

  it('that does harm is seen on the canary, taken back, and the last good one is in force', async () => {
    const cluster = await settled(7);
    push(cluster, [QUIET], [3]);
    await everywhere(cluster);
    const good = bundlesOf(cluster.node(1))?.good?.id;
    expect(good).toBeDefined();
    push(cluster, [HARMFUL], [5]);
    await later(cluster, 4 * SOAK_MS);
    expect(bundlesOf(cluster.node(1))).toMatchObject({ good: { id: good }, candidate: null, ended: { outcome: 'back' } });
    expect(bundlesOf(cluster.node(1))?.ended?.reason).toMatch(/^node-5: .*restless/);
    // Seen before anything was done by it: no machine was touched, and the canary has the last good ones too.
    expect(cluster.nodes.map(startsOf)).toEqual(Array(7).fill(1));
    expect(cluster.nodes.map((node) => [originOf(node, 'restless'), originOf(node, 'too-hot')])).toEqual(
      Array(7).fill([undefined, 'swarm']),
    );
  });

  it('whose canary dies of it goes no further', async () => {
    const cluster = await settled(5);
    push(cluster, [QUIET], [2]);
    await later(cluster, 2_000);
    cluster.node(2).crash();
    await later(cluster, 200_000);
    expect(bundlesOf(cluster.node(1))).toMatchObject({
      good: null,
      ended: { outcome: 'back', reason: 'since their wave began: node-2 is down' },
    });
    expect(originOf(cluster.node(3), 'too-hot')).toBeUndefined();
  });

  it('goes on though the coordinator dies in the middle, twice', async () => {
    const cluster = await settled(7);
    push(cluster, [QUIET], [5]);
    for (let turn = 0; turn < 2; turn++) {
      await later(cluster, SOAK_MS);
      const nova = cluster.byPeer(cluster.node(6).running?.swarm.consensus.committee.coordinator ?? '');
      nova?.crash();
      await later(cluster, 3_000);
      nova?.boot();
    }
    await everywhere(cluster);
    expect(bundlesOf(cluster.node(6))).toMatchObject({ candidate: null, ended: { outcome: 'everywhere' } });
    expect(cluster.nodes.map((node) => originOf(node, 'too-hot'))).toEqual(Array(7).fill('swarm'));
  });

  it('that nobody has signed who may is taken by nobody, though the coordinator says that it was decided', async () => {
    const cluster = await settled(5);
    const nova = cluster.byPeer(cluster.node(4).running?.swarm.consensus.committee.coordinator ?? '');
    const decisions = nova?.agent?.swarm.consensus.decisions;
    const policies = JSON.stringify([QUIET]);
    const canary = [cluster.node(3).peer];
    // Signed by a member that is no issuer; and in an issuer’s name, by another.
    const plain = cluster.node(2);
    const bytes = newBundles().kind.bytesOf(cluster.swarmId, { by: plain.peer, policies });
    const refused = plain.agent?.swarm.consensus.decisions.decide(
      { kind: 'bundle', policies, signature: plain.crypto.sign(bytes), canary, soakMs: SOAK_MS, findings: 0 },
      3_000,
    );
    await later(cluster, 3_000);
    expect(await refused).toMatchObject({ ok: false, reason: expect.stringContaining('it is not an issuer') });
    decisions
      ?.decide({ kind: 'bundle', policies, signature: new Uint8Array(64), canary, soakMs: SOAK_MS, findings: 0 }, 3_000)
      .catch(() => undefined);
    await later(cluster, 2 * SOAK_MS);
    expect(cluster.nodes.map((node) => originOf(node, 'too-hot'))).toEqual(Array(5).fill(undefined));
    expect(bundlesOf(cluster.node(1))?.ended?.reason).toContain('is not signed by the member that pushed it');
  });

  it('that was taken back is not taken again, though the coordinator has it decided again', async () => {
    const cluster = await settled(5);
    push(cluster, [HARMFUL], [3]);
    await later(cluster, 2 * SOAK_MS);
    const { ended } = bundlesOf(cluster.node(1)) ?? {};
    expect(ended?.reason).toMatch(/^node-3: .*restless/);
    const nova = cluster.byPeer(cluster.node(4).running?.swarm.consensus.committee.coordinator ?? '');
    const replica = nova?.agent?.swarm.consensus.committee.log.current;
    const old = cluster
      .node(1)
      .agent?.swarm.consensus.decisions.state.recent()
      .find(({ decision }) => decision.id === ended?.id);
    const again = { ...(old?.decision as Decision), id: 'c'.repeat(32), canary: [cluster.node(2).peer] } as Decision;
    const [outcome] = await Promise.all([replica?.propose(again, 3_000), later(cluster, 4_000)]);
    expect(outcome).toMatchObject({ ok: false, reason: 'it is older than the newest one pushed' });
    // As if a coordinator that lies had given them what it says that is decided.
    for (const node of cluster.nodes) {
      const { bundles } = node.running?.swarm.consensus.decisions.state ?? expect.fail('it is down');
      bundles.restore({ ...bundles.state, newestMs: undefined });
    }
    replica?.propose({ ...again, atMs: nova?.wallMs() ?? 0 }, 3_000).catch(() => undefined);
    await later(cluster, 2 * SOAK_MS);
    expect(bundlesOf(cluster.node(1))?.ended).toMatchObject({
      id: again.id,
      reason: 'node-2: it is older than the newest one seen here',
    });
    expect(cluster.nodes.map((node) => originOf(node, 'restless'))).toEqual(Array(5).fill(undefined));
  });

  it('is not kept away for good by one that a coordinator says was pushed in a thousand years', async () => {
    const cluster = await settled(5);
    const nova =
      cluster.byPeer(cluster.node(4).running?.swarm.consensus.committee.coordinator ?? '') ??
      expect.fail('the swarm has no leader');
    const forged: Wish = {
      kind: 'bundle',
      policies: JSON.stringify([HARMFUL]),
      pushedMs: Number.MAX_SAFE_INTEGER,
      signature: new Uint8Array(64),
      canary: [cluster.node(2).peer],
      soakMs: SOAK_MS,
      findings: 0,
    };
    const decision = wished(forged, cluster.node(0).peer, 'd'.repeat(32), nova.wallMs());
    nova.agent?.swarm.consensus.committee.log.current?.propose(decision, 3_000).catch(() => undefined);
    await later(cluster, 2 * SOAK_MS);
    expect(bundlesOf(cluster.node(1))?.ended).toMatchObject({ id: decision.id, outcome: 'back' });
    push(cluster, [QUIET], [3]);
    await everywhere(cluster);
    expect(cluster.nodes.map((node) => originOf(node, 'too-hot'))).toEqual(Array(5).fill('swarm'));
  });

  it('yields to what a machine declares itself', async () => {
    const cluster = await settled(4, [{ ...QUIET, summary: 'its own' }]);
    push(cluster, [QUIET], [2]);
    await everywhere(cluster);
    expect(bundlesOf(cluster.node(1))).toMatchObject({ ended: { outcome: 'everywhere' } });
    expect(cluster.nodes.map((node) => originOf(node, 'too-hot'))).toEqual(Array(4).fill('own'));
  });
});
