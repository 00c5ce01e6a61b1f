// Whatever held a repair back: what is broken meanwhile is told, and is looked at again as soon as nothing is in the way.
import { describe, expect, it } from 'vitest';
import type { Wish } from '../../consensus/decisions/decision.ts';
import { STORM_CHANGES, STORM_PAUSE_MS } from '../../node/action/guard.ts';
import { ORDINARY_RATE } from '../../node/action/tool.ts';
import { ESCALATE_AFTER_MS } from '../../node/agent/incident-loop.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';

const SETTLED_MS = 20_000;
const HOUR_MS = 3_600_000;
/** A look a second, a vote, a start, and its verification. */
const AT_ONCE_MS = 5_000;

async function settled(nodes = 4, more: object = {}, services: object[] = [{}]): Promise<Cluster> {
  const service = services.map((one, nth) => ({ name: `web${nth}`, command: ['web'], port: 8080 + nth, ...one }));
  const document = { mode: 'act', service, ...more };
  const cluster = Cluster.of({ nodes, seed: 3, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
const isUp = (node: SimulatedNode, name = 'web0'): boolean =>
  node.linux.services.all().find((one) => one.name === name)?.state === 'running';
const storyOf = (node: SimulatedNode): string =>
  (node.agent?.parts.memory.incidents() ?? []).flatMap(({ steps }) => steps.map(({ text }) => text)).join('\n');
const openStates = (node: SimulatedNode): string[] =>
  (node.agent?.parts.memory.incidents() ?? []).filter(({ closedMs }) => closedMs === 0).map(({ state }) => state);
const executorOf = (node: SimulatedNode) => node.agent?.parts.executor ?? expect.fail('it is down');

async function decided(cluster: Cluster, wish: Wish): Promise<void> {
  const outcome = cluster.node(0).running?.swarm.consensus.decisions.decide(wish, 3_000);
  outcome?.catch(() => undefined);
  await later(cluster, 500);
  expect(await outcome).toEqual({ ok: true, index: expect.any(Number) });
}

async function done<T>(cluster: Cluster, work: Promise<T>): Promise<T> {
  await later(cluster, 200);
  return work;
}

/** As after a SIGHUP with other files. */
async function configured(cluster: Cluster, node: SimulatedNode, document: object): Promise<void> {
  const settings = agentSettings(resolveConfig([{ origin: 'test', document: { mode: 'act', ...document } }]));
  const { mode, maintenance, policies, questions } = settings;
  await done(
    cluster,
    node.agent?.reconfigure({ mode, maintenance, policies, questions }, 'changed') ?? expect.fail('it is down'),
  );
}

interface Hold {
  what: string;
  hold(cluster: Cluster, node: SimulatedNode): Promise<void>;
  release(cluster: Cluster, node: SimulatedNode): Promise<void>;
  /** In the story, while it holds. */
  says: string;
  /** What a person is told of it: nothing of what a person has silenced. */
  state?: string;
}

const HOLDS: Hold[] = [
  {
    what: 'a grant that keeps the tool from it',
    hold: async (cluster, node) => {
      const untilMs = Math.round(node.wallMs() + HOUR_MS);
      const deny = {
        effect: 'deny',
        peer: node.peer,
        tool: 'service.restart',
        target: null,
        uses: 1,
        withinMs: 60_000,
        untilMs,
      } as const;
      cluster
        .node(0)
        .agent?.parts.grants.give(deny, 'we look at it')
        .catch(() => undefined);
      await later(cluster, 1_000);
    },
    release: async (cluster, node) => {
      const [grant] = node.agent?.swarm.consensus.decisions.state.grants.of(node.peer, node.wallMs()) ?? [];
      await decided(cluster, { kind: 'revoke', grant: grant?.id ?? '', reason: 'seen' });
    },
    says: 'a grant denies service.restart to this agent: we look at it',
  },
  {
    what: 'a pause of the swarm’s',
    hold: (cluster, { peer }) => decided(cluster, { kind: 'pause', peer, reason: 'work' }),
    release: (cluster, { peer }) => decided(cluster, { kind: 'wake', peer, reason: 'done' }),
    says: 'the swarm has paused this agent: work',
  },
  {
    what: 'stop-all',
    hold: (cluster, node) => done(cluster, executorOf(node).halt('work')),
    release: (cluster, node) => done(cluster, executorOf(node).brakes.resume()),
    says: 'actions are halted (work)',
  },
  {
    what: 'a silence of this machine’s',
    hold: async (cluster, node) => {
      await done(cluster, executorOf(node).brakes.silences.add({ target: 'web0', forMs: HOUR_MS, reason: 'work' }));
    },
    release: async (cluster, node) => {
      const [silence] = executorOf(node).brakes.silences.active();
      await done(cluster, executorOf(node).brakes.silences.remove(silence?.id ?? ''));
    },
    says: 'silenced: work',
    state: 'watching',
  },
  {
    what: 'a silence of the swarm’s',
    hold: (cluster, node) =>
      decided(cluster, {
        kind: 'silence',
        policy: 'service-exited',
        target: null,
        untilMs: Math.round(node.wallMs() + HOUR_MS),
        reason: 'work',
      }),
    release: async (cluster, node) => {
      const [silence] = node.agent?.swarm.consensus.decisions.state.silences(node.wallMs()) ?? [];
      await decided(cluster, { kind: 'unsilence', silence: silence?.id ?? '' });
    },
    says: 'silenced: work',
    state: 'watching',
  },
  {
    what: 'a maintenance window in a configuration that is replaced',
    hold: (cluster, node) =>
      configured(cluster, node, { maintenance: [{ start: '00:00', minutes: 1_439, reason: 'moving house' }] }),
    release: (cluster, node) => configured(cluster, node, {}),
    says: 'moving house',
  },
  {
    what: 'a mode in a configuration that is replaced',
    hold: (cluster, node) => configured(cluster, node, { mode: 'observe' }),
    release: (cluster, node) => configured(cluster, node, { mode: 'act' }),
    says: 'mode is observe',
  },
  {
    what: 'a budget that is spent',
    hold: (cluster, { peer }) => decided(cluster, { kind: 'budget', peer, changes: 0, withinMs: HOUR_MS, reason: 'a freeze' }),
    release: (cluster, { peer }) => decided(cluster, { kind: 'unbudget', peer, reason: 'over' }),
    says: 'the budget allows policies 0 changes here',
  },
];

describe('what is held back', () => {
  it.each(HOLDS)('by $what is told, and mended at once when that ends', async ({ hold, release, says, state = 'escalated' }) => {
    const cluster = await settled();
    const node = cluster.node(2);
    await hold(cluster, node);
    node.linux.services.kill('web0');
    await later(cluster, ESCALATE_AFTER_MS + 5_000);
    expect([isUp(node), openStates(node)], storyOf(node)).toEqual([false, [state]]);
    expect(storyOf(node)).toContain(says);
    await release(cluster, node);
    await later(cluster, AT_ONCE_MS);
    expect([isUp(node), openStates(node)], storyOf(node)).toEqual([true, []]);
    expect(storyOf(node)).toContain('it helped');
  });

  it('by a maintenance window is mended as it closes', async () => {
    // The model's world begins at midnight.
    const cluster = await settled(4, { maintenance: [{ start: '00:00', minutes: 4, reason: 'work' }] });
    const node = cluster.node(2);
    node.linux.services.kill('web0');
    await cluster.runUntil(239_000);
    expect([isUp(node), openStates(node)], storyOf(node)).toEqual([false, ['escalated']]);
    await cluster.runUntil(240_000 + AT_ONCE_MS);
    expect([isUp(node), openStates(node)], storyOf(node)).toEqual([true, []]);
  });

  it('by a tool’s rate on the target is mended once it may be used again', async () => {
    const cluster = await settled();
    const node = cluster.node(2);
    const fromMs = cluster.scheduler.nowMs;
    for (let i = 0; i <= ORDINARY_RATE.uses; i++) {
      node.linux.services.kill('web0');
      await later(cluster, 10_000);
    }
    expect([isUp(node), openStates(node)], storyOf(node)).toEqual([false, ['escalated']]);
    await cluster.runUntil(fromMs + ORDINARY_RATE.withinMs - 1_000);
    expect(isUp(node)).toBe(false);
    await later(cluster, 1_000 + 2 * AT_ONCE_MS);
    expect([isUp(node), openStates(node)], storyOf(node)).toEqual([true, []]);
  });

  it('by the brake for storms is mended once policies may act again', async () => {
    const names = Array.from({ length: STORM_CHANGES + 3 }, (_, nth) => `web${nth}`);
    const cluster = await settled(
      4,
      {},
      names.map(() => ({})),
    );
    const node = cluster.node(2);
    for (const name of names) node.linux.services.kill(name);
    await later(cluster, 30_000);
    const down = (): string[] => names.filter((name) => !isUp(node, name));
    expect([down().length, new Set(openStates(node))], storyOf(node)).toEqual([3, new Set(['escalated'])]);
    await later(cluster, STORM_PAUSE_MS + AT_ONCE_MS - 20_000);
    expect([down(), openStates(node)], storyOf(node)).toEqual([[], []]);
  });

  it('by the lack of a coordinator waits for a person, and is mended once there is one again', async () => {
    const cluster = await settled(9, {}, [{ critical: true }]);
    const voters = cluster.node(0).running?.swarm.consensus.decisions.checkpoints.newest?.voters ?? [];
    const side = cluster.nodes.filter(({ peer }) => !voters.includes(peer)).slice(0, 5);
    const node = side[0] ?? expect.fail('nobody is there');
    const peers = side.map(({ peer }) => peer);
    cluster.network.partition([peers, cluster.nodes.map(({ peer }) => peer).filter((peer) => !peers.includes(peer))]);
    await later(cluster, 20_000);
    node.linux.services.kill('web0');
    await later(cluster, ESCALATE_AFTER_MS + 5_000);
    expect([isUp(node), openStates(node)], storyOf(node)).toEqual([false, ['waiting']]);
    cluster.network.heal();
    await later(cluster, 40_000);
    expect([isUp(node), openStates(node)], storyOf(node)).toEqual([true, []]);
    expect(storyOf(node)).toContain('witnesses and the swarm allow it');
  });

  it('by drains of all that could run a service is taken up as one of them ends', async () => {
    const cluster = await settled(3, {}, [{ failover: true }]);
    const running = (): string[] => cluster.nodes.filter((node) => isUp(node)).map(({ name }) => name);
    await later(cluster, 20_000);
    expect(running().length).toBe(1);
    for (const { peer } of cluster.nodes) {
      const drained = cluster.node(0).running?.swarm.consensus.decisions.drain(peer, HOUR_MS, 'work', 3_000);
      drained?.catch(() => undefined);
      await later(cluster, 2_000);
    }
    await later(cluster, 30_000);
    expect(running()).toEqual([]);
    await decided(cluster, { kind: 'undrain', peer: cluster.node(1).peer, reason: 'done' });
    await later(cluster, 4 * AT_ONCE_MS);
    expect(running()).toEqual([cluster.node(1).name]);
  });

  it('by mode observe is told, with what would be done', async () => {
    const cluster = await settled(4, { mode: 'observe' });
    const node = cluster.node(2);
    node.linux.services.kill('web0');
    await later(cluster, ESCALATE_AFTER_MS + 5_000);
    expect([isUp(node), openStates(node)]).toEqual([false, ['escalated']]);
    expect(storyOf(node)).toContain('would do');
    expect(storyOf(node)).toContain('escalated to a person: mode is observe');
  });

  it('by a person who rejects it is not asked again', async () => {
    const cluster = await settled(4, { mode: 'advise' });
    const node = cluster.node(2);
    node.linux.services.kill('web0');
    await later(cluster, 10_000);
    const [approval] = executorOf(node).approvals.all();
    await done(cluster, executorOf(node).approvals.answerAsOperator(approval?.plan.id ?? '', 'rejected'));
    await later(cluster, 900_000);
    expect([isUp(node), openStates(node), executorOf(node).approvals.all()]).toEqual([false, ['escalated'], []]);
  });
});

describe('what clears while its repair is being allowed', () => {
  it('is neither asked for nor done, and its incident stays closed', async () => {
    const cluster = await settled(5, {}, [{ critical: true }]);
    const node = cluster.node(4);
    // Nobody answers it, which takes its time.
    cluster.network.partition([cluster.nodes.slice(0, 4).map(({ peer }) => peer), [node.peer]]);
    node.linux.services.kill('web0');
    await later(cluster, 400);
    await done(cluster, node.linux.services.start('web0'));
    const pid = node.linux.services.all()[0]?.pid;
    await later(cluster, 30_000);
    const incident = node.agent?.parts.memory.incidents().at(-1);
    expect([incident?.state, incident?.outcome]).toEqual(['resolved', 'cleared without a repair']);
    expect(executorOf(node).approvals.all()).toEqual([]);
    expect(node.linux.services.all()[0]?.pid).toBe(pid);
  });
});
