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
  (node.agent?.parts.memory.incidents() ?? []).flatMap(({ steps }) => steps.map(({ text }) => text)).join('\n');
const waitsAt = (node: SimulatedNode): number => node.agent?.parts.executor.approvals.all().length ?? 0;
const isWell = (node: SimulatedNode): boolean => node.agent?.parts.watcher.conditions().ServicesReady === 'True';

describe('a critical service that is killed', () => {
  it('is started again by leave of its witnesses and of the swarm, and the certificate is there for anybody to check', async () => {
    for (let seed = 1; seed <= 5; seed++) {
      const cluster = await settled(8, seed);
      const node = cluster.node(3);
      node.authorizations.certified = new Set(['web']);
      node.linux.services.kill('web');
      await later(cluster, 40_000);
      expect([node.authorizations.given, node.authorizations.refused]).toEqual([1, []]);
      expect([isWell(node), waitsAt(node)], `seed ${seed}: ${storyOf(node)}`).toEqual([true, 0]);
      expect(storyOf(node)).toContain('witnesses and the swarm allow it');
      const [incident] = node.agent?.parts.memory.incidents() ?? [];
      const certificate = decodeCertificate(Uint8Array.from(atob(incident?.certificate ?? ''), (char) => char.charCodeAt(0)));
      if (certificate === undefined) throw new Error('no certificate');
      expect(verifyCertificate(cluster.node(5).crypto, cluster.swarmId, certificate).valid).toBe(true);
      expect(certificate.claim.warrant?.plan).toContain(incident?.id);
      // What was leased is given back.
      expect(node.running?.swarm.order.decisions.state.leases(node.wallMs())).toEqual([]);
      expect(cluster.violations).toEqual([]);
    }
  });

  it('is not started by an agent that gives itself leave: its actuator asks the witnesses’ signatures', async () => {
    const cluster = await settled(8);
    const node = cluster.node(3);
    node.authorizations.certified = new Set(['web']);
    // By its own word, a person wants it.
    const executor = node.agent?.parts.executor ?? expect.fail('it is down');
    const plan = executor.operatorPlan([{ tool: 'service.restart', service: 'web' }], 'an agent that was taken over');
    const performed = executor.perform(plan, 'operator');
    await later(cluster, 40_000);
    expect(await performed).toMatchObject({
      kind: 'done',
      entry: { phase: 'failed', reason: 'not applied: it takes leave: certify service web; nothing was done' },
    });
    expect(node.linux.services.all().find(({ name }) => name === 'web')?.starts).toBe(1);
  });

  it('waits for a person where there are fewer than four witnesses, and says so', async () => {
    const cluster = await settled(4);
    const node = cluster.node(2);
    node.linux.services.kill('web');
    await later(cluster, 40_000);
    expect([isWell(node), waitsAt(node)]).toEqual([false, 1]);
    expect(storyOf(node)).toContain('3 witnesses cannot certify a change: 4 are needed');
  });

  it('waits for a person on the smaller side of a partition', async () => {
    const cluster = await settled(9);
    const voters = cluster.node(0).running?.swarm.order.decisions.checkpoints.newest?.voters ?? [];
    // Without a majority of those who order: enough witnesses alone are no leave.
    const side = cluster.nodes.filter(({ peer }) => !voters.includes(peer)).slice(0, 5);
    const [node] = side;
    if (node === undefined) throw new Error('nobody is there');
    const peers = side.map(({ peer }) => peer);
    cluster.network.partition([peers, cluster.nodes.map(({ peer }) => peer).filter((peer) => !peers.includes(peer))]);
    await later(cluster, 20_000);
    node.linux.services.kill('web');
    await later(cluster, 60_000);
    expect([isWell(node), waitsAt(node)], storyOf(node)).toEqual([false, 1]);
    expect(storyOf(node)).toMatch(/no lease was granted|do not certify/);
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
    for (const node of cluster.nodes.slice(1, 4)) node.linux.services.kill('web');
    await later(cluster, 120_000);
    expect(Math.max(...leases)).toBe(1);
    expect(cluster.nodes.filter((node) => !isWell(node) && waitsAt(node) === 0).map(({ name }) => name)).toEqual([]);
    expect(cluster.nodes.slice(1, 4).filter(isWell).length).toBeGreaterThan(0);

    const sick = await settled(9, 2);
    for (const node of sick.nodes.slice(0, 7)) node.linux.services.kill('web');
    await later(sick, 60_000);
    expect(sick.nodes.slice(0, 7).map(storyOf).join('\n')).toContain('members look sick: nothing disruptive is done');
  });
});

describe('a standing approval', () => {
  const HOUR_MS = 3_600_000;
  const granted = (cluster: Cluster, more: object = {}) => ({
    effect: 'approve' as const,
    peer: cluster.node(2).peer,
    tool: 'service.restart',
    target: 'web',
    uses: 1,
    withinMs: HOUR_MS,
    untilMs: Math.round(cluster.node(2).wallMs() + HOUR_MS),
    ...more,
  });

  it('lets a small swarm restart a critical service, so often and no more, across a restart of the agent too', async () => {
    const cluster = await settled(4);
    const node = cluster.node(2);
    cluster
      .node(0)
      .agent?.parts.grants.give(granted(cluster), 'agreed on Monday')
      .catch(() => undefined);
    await later(cluster, 5_000);
    node.linux.services.kill('web');
    await later(cluster, 40_000);
    expect([isWell(node), waitsAt(node)], storyOf(node)).toEqual([true, 0]);
    expect(storyOf(node)).toContain('a standing approval allows it: agreed on Monday');
    node.crash();
    node.boot();
    await later(cluster, 10_000);
    node.linux.services.kill('web');
    await later(cluster, 40_000);
    expect([isWell(node), waitsAt(node)], storyOf(node)).toEqual([false, 1]);
  });

  it.each([2 * HOUR_MS, -2 * HOUR_MS])('is used up for as long as was said when all clocks are set by %i ms', async (stepMs) => {
    const cluster = await settled(4);
    const node = cluster.node(2);
    const untilMs = Math.round(node.wallMs() + 30 * HOUR_MS);
    cluster
      .node(0)
      .agent?.parts.grants.give(granted(cluster, { withinMs: 60_000 * 10, untilMs }), 'agreed on Monday')
      .catch(() => undefined);
    await later(cluster, 5_000);
    node.linux.services.kill('web');
    await later(cluster, 40_000);
    expect([isWell(node), waitsAt(node)], storyOf(node)).toEqual([true, 0]);
    for (const one of cluster.nodes) one.clock.skewMs += stepMs;
    await later(cluster, 120_000);
    node.linux.services.kill('web');
    await later(cluster, 40_000);
    expect([isWell(node), waitsAt(node)], storyOf(node)).toEqual([false, 1]);
    await later(cluster, 600_000); // it can be used again: neither later nor sooner
    node.linux.services.kill('web');
    await later(cluster, 40_000);
    expect(storyOf(node).match(/a standing approval allows it/g)?.length, storyOf(node)).toBe(2);
  });

  it('is for one tool, on one target, of one machine, and of an issuer', async () => {
    const cluster = await settled(4);
    const node = cluster.node(2);
    for (const more of [{ tool: 'service.stop' }, { target: 'db' }, { peer: cluster.node(1).peer }])
      cluster
        .node(0)
        .agent?.parts.grants.give(granted(cluster, more), 'for something else')
        .catch(() => undefined);
    const refused = cluster.node(3).agent?.parts.grants.give(granted(cluster), 'by who may not');
    await later(cluster, 5_000);
    expect(await refused).toMatchObject({ ok: false, reason: expect.stringContaining('it is no issuer') });
    // In an issuer’s name, by a coordinator that lies: decided, and not taken for leave by the machine.
    const nova = cluster.byPeer(node.running?.swarm.order.committee.coordinator ?? '');
    const forged = { kind: 'grant' as const, ...granted(cluster), signature: new Uint8Array(64), reason: 'forged' };
    nova?.agent?.swarm.order.decisions.decide(forged, 3_000).catch(() => undefined);
    await later(cluster, 5_000);
    expect(node.agent?.swarm.order.decisions.state.grants.of(node.peer, node.wallMs()).length).toBe(3);
    node.linux.services.kill('web');
    await later(cluster, 40_000);
    expect([isWell(node), waitsAt(node)], storyOf(node)).toEqual([false, 1]);
  });

  it('is no leave where there are witnesses enough, and they say no', async () => {
    const cluster = await settled(8);
    const node = cluster.node(2);
    cluster
      .node(0)
      .agent?.parts.grants.give(granted(cluster), 'agreed on Monday')
      .catch(() => undefined);
    await later(cluster, 5_000);
    node.linux.services.kill('web');
    await later(cluster, 40_000);
    expect(storyOf(node)).toContain('witnesses and the swarm allow it');
    expect(storyOf(node)).not.toContain('standing approval');
  });
});

describe('what the swarm keeps from an agent', () => {
  it('is not done by its policies, until it is taken back', async () => {
    const cluster = await settled(8);
    const node = cluster.node(2);
    const untilMs = Math.round(node.wallMs() + 3_600_000);
    const given = {
      effect: 'deny' as const,
      peer: node.peer,
      tool: 'service.restart',
      target: null,
      uses: 1,
      withinMs: 60_000,
      untilMs,
    };
    cluster
      .node(0)
      .agent?.parts.grants.give(given, 'we look at it')
      .catch(() => undefined);
    await later(cluster, 5_000);
    node.linux.services.kill('web');
    await later(cluster, 40_000);
    expect([isWell(node), waitsAt(node)], storyOf(node)).toEqual([false, 0]);
    expect(storyOf(node)).toContain('a grant denies service.restart to this agent: we look at it');
    const [grant] = node.agent?.swarm.order.decisions.state.grants.of(node.peer, node.wallMs()) ?? [];
    cluster
      .node(0)
      .agent?.swarm.order.decisions.decide({ kind: 'revoke', grant: grant?.id ?? '', reason: 'seen' }, 3_000)
      .catch(() => undefined);
    await later(cluster, 5_000);
    expect(node.agent?.parts.grants.denial({ tool: 'service.restart', service: 'web' })).toBeUndefined();
  });
});

describe('what the swarm lets an agent do without asking', () => {
  it('is done in mode advise, where it is reversible', async () => {
    const document = { mode: 'advise', service: ['web', 'db'].map((name, nth) => ({ name, command: [name], port: 8080 + nth })) };
    const cluster = Cluster.of({ nodes: 4, seed: 1, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
    cluster.start();
    await cluster.runUntil(SETTLED_MS);
    const node = cluster.node(2);
    const untilMs = Math.round(node.wallMs() + 3_600_000);
    const given = {
      effect: 'act' as const,
      peer: node.peer,
      tool: 'service.restart',
      target: 'web',
      uses: 1,
      withinMs: 60_000,
      untilMs,
    };
    cluster
      .node(0)
      .agent?.parts.grants.give(given, 'it is safe')
      .catch(() => undefined);
    await later(cluster, 5_000);
    node.linux.services.kill('web');
    node.linux.services.kill('db');
    await later(cluster, 30_000);
    const states = node.linux.services.all().map(({ name, state }) => [name, state]);
    expect([Object.fromEntries(states), waitsAt(node)], storyOf(node)).toEqual([{ web: 'running', db: 'exited' }, 1]);
  });
});
