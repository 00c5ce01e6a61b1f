// The local API of an agent of a simulated swarm: each route's answer and its refusals, what was decided in words, and what changed as news.
import type { IncomingMessage } from 'node:http';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Agent } from '../../node/agent/agent.ts';
import { answer } from '../../node/api/answer.ts';
import { Feed } from '../../node/api/feed.ts';
import { openApi } from '../../node/api/openapi.ts';
import type { Reply } from '../../node/api/route.ts';
import { ROUTES } from '../../node/api/routes.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';

let cluster: Cluster;
let agent: Agent;
let asked: string[];
const later = (ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);

beforeAll(async () => {
  const document = {
    mode: 'act',
    service: [
      { name: 'web', command: ['web'], port: 8080 },
      { name: 'db', command: ['db'], port: 5432, failover: true },
    ],
    question: [{ name: 'mine', asks: 'mine?', sql: 'select 1' }],
  };
  cluster = Cluster.of({ nodes: 3, seed: 4, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  cluster.start();
  await cluster.runUntil(40_000);
  agent = cluster.node(0).agent ?? expect.fail('it is down');
  asked = [];
});

/** As an administrator of this machine. */
async function call(method: 'GET' | 'POST', path: string, body?: unknown, parameter = ''): Promise<Reply> {
  const route = ROUTES.find((one) => one.method === method && one.path === path) ?? expect.fail(`no route ${path}`);
  asked.push(`${method} ${path}`);
  const answering = Promise.resolve(route.handle(agent, { body, query: {}, parameter, by: { level: 'admin', name: 'test' } }));
  let reply: Reply | undefined;
  let failure: unknown;
  answering.then(
    (given) => {
      reply = given;
    },
    (error: unknown) => {
      failure = error;
    },
  );
  for (let second = 0; reply === undefined && failure === undefined && second < 60; second++) await later(1_000);
  if (failure !== undefined) throw failure;
  return JSON.parse(JSON.stringify(reply ?? expect.fail(`${path} never answered`))) as Reply;
}
const get = async (path: string, parameter?: string): Promise<unknown> => {
  const { status, body } = await call('GET', path, undefined, parameter);
  expect(status, path).toBe(200);
  return body;
};
const post = (path: string, body?: unknown, parameter?: string): Promise<Reply> => call('POST', path, body, parameter);
const errorOf = async (reply: Promise<Reply>): Promise<string> => {
  const { status, body } = await reply;
  return `${status} ${(body as { error?: string }).error ?? 'no error'}`;
};
const nameOf = (nth: number): string => cluster.node(nth).agent?.status().name ?? '';
const logged = async (): Promise<string[]> =>
  ((await post('/v1/log', { read: 'linearizable', limit: 256 })).body as { decisions: { what: string }[] }).decisions.map(
    ({ what }) => what,
  );

describe('a request', () => {
  const by = (level: 'look' | 'read' | 'operate' | 'admin') => ({ level, name: 'test' });
  const ask = (url: string, level: 'look' | 'read' | 'operate' | 'admin') =>
    errorOf(answer(agent, { method: 'GET', url } as IncomingMessage, by(level)));

  it('is refused where the token does not reach, and in words where its path is wrong', async () => {
    for (const level of ['look', 'read', 'operate'] as const)
      expect(await ask('/v1/agent-log/0', level)).toBe(
        '403 this needs a token of scope admin: kalos api-token create --scope admin',
      );
    expect(await ask('/v1/agent-log/0', 'admin')).toBe('404 this agent keeps no log');
    expect(await ask('/v1/members/%zz', 'look')).toMatch(/^400 \/v1\/members\/%zz is not a valid path/);
    expect(await ask('/v1/members/a%20b', 'look')).toBe('409 no member is called a b; see: kalos members');
    expect(await ask('/v1/agent-log/x', 'admin')).toBe('404 no route /v1/agent-log/x');
  });
});

describe('what is looked at', () => {
  it('is there: the agent, its swarm, its tables, tools and policies', async () => {
    expect(await get('/v1/status')).toMatchObject({ name: nameOf(0), mode: 'act', services: [{ name: 'web' }, { name: 'db' }] });
    const nova = (await get('/v1/nova')) as {
      coordinator: string;
      committee: { leads: boolean; seat: string }[];
      seat: string;
      placements: { service: string; node: string }[];
    };
    expect([0, 1, 2].map(nameOf)).toContain(nova.coordinator);
    expect(nova.committee.filter(({ leads }) => leads).length).toBe(1);
    expect(nova.committee.map(({ seat }) => seat)).toEqual(['voter', 'voter', 'voter']);
    expect([
      nova.seat,
      nova.placements.map(({ service }) => service),
      [0, 1, 2].map(nameOf).includes(nova.placements[0]?.node ?? ''),
    ]).toEqual(['voter', ['db'], true]);
    const members = (await get('/v1/members/all')) as { name: string; state: string; coordinator: boolean }[];
    expect(members.map(({ state }) => state)).toEqual(['alive', 'alive', 'alive']);
    expect(members.filter(({ coordinator }) => coordinator).map(({ name }) => name)).toEqual([nova.coordinator]);
    expect(await get('/v1/members/{name}', nameOf(1))).toMatchObject({ name: nameOf(1), state: 'alive' });
    expect(((await get('/v1/questions')) as { name: string }[]).map(({ name }) => name)).toContain('mine');
    expect(((await get('/v1/tables')) as { name: string }[]).length).toBeGreaterThan(40);
    const tools = (await get('/v1/tools')) as { name: string; kind: string; rate?: unknown }[];
    expect(tools.find(({ name }) => name === 'service.restart')).toMatchObject({
      kind: 'change',
      risks: ['R1', 'R2'],
      rate: { uses: 3 },
    });
    for (const path of [
      '/v1/overview',
      '/v1/policies',
      '/v1/cases',
      '/v1/incidents',
      '/v1/traffic',
      '/v1/operators',
      '/v1/tokens',
      '/v1/api-tokens',
      '/v1/grants',
      '/v1/budgets',
      '/v1/bundles',
      '/v1/upgrades',
      '/v1/audit/standing',
      '/v1/recovery',
    ])
      await get(path);
  });

  it('is not where there is none', async () => {
    expect(await errorOf(call('GET', '/v1/series/{name}', undefined, 'none'))).toBe('404 no series none');
    expect(await errorOf(call('GET', '/v1/incidents/{id}/recording', undefined, 'inc-x'))).toMatch(/^404 no recording of inc-x/);
    expect(await errorOf(call('GET', '/v1/incidents/{id}/explanation', undefined, 'inc-x'))).toMatch(/^404 /);
    expect(await errorOf(call('GET', '/v1/members/{name}', undefined, 'nobody'))).toMatch(
      / no member is called nobody; see: kalos members$/,
    );
    expect(await errorOf(call('GET', '/v1/config'))).toBe('404 this agent runs without a configuration');
    expect(await errorOf(post('/v1/config/reload', {}))).toBe('404 this agent runs without a configuration');
    expect(await errorOf(call('GET', '/v1/audit/records/{index}/proof', undefined, '99999'))).toMatch(
      /^404 the log has no record 99999; it has \d+$/,
    );
    expect(await errorOf(call('GET', '/v1/audit/consistency/{size}', undefined, '99999'))).toMatch(
      /^404 the log was never of size 99999/,
    );
    expect(await errorOf(post('/v1/log/{index}', {}, '99999'))).toMatch(/^404 99999 is not among the newest decisions/);
  });

  it('is the past of a series, and the audit with its proofs', async () => {
    const names = (await get('/v1/series')) as string[];
    expect(names).toContain('system.cpu.utilization');
    const past = (await get('/v1/series/{name}', 'system.cpu.utilization')) as { fine: { values: number[] } };
    expect(past.fine.values.length).toBeGreaterThan(20);
    expect(await get('/v1/audit/verification')).toMatchObject({ ok: true });
    const records = (await get('/v1/audit/records/last/{count}', '2')) as { index: number }[];
    expect(records.length).toBe(2);
    await get('/v1/audit/records/{index}/proof', '1');
    await get('/v1/audit/consistency/{size}', '1');
  });
});

describe('a person’s hand', () => {
  const act = (calls: unknown[], dryRun = false) => post('/v1/actions', { calls, dryRun, reason: 'because' });

  it('shows, does and takes back what a tool does', async () => {
    const set = { tool: 'sysctl.set', key: 'vm.swappiness', value: '11' };
    expect((await act([set], true)).body).toMatchObject({ plan: '', result: 'dry-run', risk: 'R1' });
    const done = (await act([set])).body as { plan: string; result: string; undo: string };
    expect([done.result, done.undo]).toEqual(['confirmed', expect.stringContaining('sysctl.set')]);
    const back = await post('/v1/actions/{id}/rollback', {}, done.plan);
    expect(back.body).toMatchObject({ result: 'confirmed', risk: 'R1' });
    expect(await errorOf(post('/v1/actions/{id}/rollback', {}, 'act-0'))).toBe('404 no plan act-0 exists');
  });

  it('reads, and is refused what cannot be', async () => {
    expect((await act([{ tool: 'service.restart', service: 'nothing' }])).body).toMatchObject({ result: 'refused' });
    expect((await act([{ tool: 'service.restart', service: 'web' }], true)).body).toMatchObject({ result: 'dry-run' });
    expect(await errorOf(post('/v1/actions', { calls: [], dryRun: true, reason: 'x' }))).toMatch(/^400 calls/);
    expect(await errorOf(post('/v1/approvals/{id}', { answer: 'approved' }, 'x'))).toBe('404 no pending approval x');
    expect(await errorOf(post('/v1/approvals/{id}', { answer: 'perhaps' }, 'x'))).toMatch(
      /^400 answer = "perhaps": must be "approved" or "rejected"/,
    );
  });

  it('halts acting, and allows it again', async () => {
    expect((await post('/v1/halt', { reason: 'stop' })).body).toEqual({ halted: 'stop' });
    expect((await act([{ tool: 'sysctl.set', key: 'vm.swappiness', value: '12' }])).body).toMatchObject({
      result: 'refused',
      detail: expect.stringContaining('actions are halted'),
    });
    expect((await post('/v1/resume', {})).body).toEqual({ halted: null });
    expect(await errorOf(post('/v1/halt', { reason: '' }))).toMatch(/^400 reason/);
  });

  it('silences, and lifts that', async () => {
    const silence = (await post('/v1/silences', { policy: 'service-exited', forMs: 60_000, reason: 'moved' })).body as {
      id: string;
    };
    expect((await post('/v1/silences/{id}/lift', {}, silence.id)).status).toBe(200);
    expect(await errorOf(post('/v1/silences/{id}/lift', {}, silence.id))).toBe(`404 there is no silence ${silence.id}`);
    expect(await errorOf(post('/v1/silences', { policy: 'service-exitd', forMs: 60_000, reason: 'x' }))).toMatch(
      /^404 no policy is called service-exitd; did you mean service-exited\?/,
    );
  });

  it('adds live policies, all or none, and takes them away', async () => {
    const policy = (name: string, when = 'false') => ({ name, when, summary: 's' });
    expect((await post('/v1/policies', { policies: [policy('mine')] })).body).toEqual({ applied: ['mine'] });
    expect(await errorOf(post('/v1/policies', { policies: [policy('other'), policy('bad', '1 +')] }))).toMatch(/^400 /);
    expect(agent.parts.policies.all().map((one) => one.policy.name)).not.toContain('other');
    expect((await post('/v1/policies/{name}/removal', {}, 'mine')).body).toEqual({ name: 'mine' });
    expect((await post('/v1/policies/{name}/removal', {}, 'mine')).status).toBe(404);
    expect((await post('/v1/policies/{name}/reset', {}, 'cpu-pressure')).status).toBe(200);
    expect((await post('/v1/policies/{name}/reset', {}, 'cpu-presure')).status).toBe(404);
  });

  it('makes tokens for the API, and ends them', async () => {
    const made = (await post('/v1/api-tokens', { name: 'grafana', scope: 'read', ttlMs: 60_000 })).body as { token: string };
    const [listed] = (await get('/v1/api-tokens')) as { id: string; name: string; scope: string }[];
    expect([made.token.length > 20, listed?.name, listed?.scope]).toEqual([true, 'grafana', 'read']);
    expect((await post('/v1/api-tokens/{id}/removal', {}, listed?.id)).status).toBe(200);
    expect((await post('/v1/api-tokens/{id}/removal', {}, listed?.id)).status).toBe(404);
  });
});

describe('what is decided for all', () => {
  const member = (reason = 'x', nth = 1) => ({ node: nameOf(nth), reason });

  it('is in force, in the log in words, and in the audit', async () => {
    const steps: [path: string, body: unknown, words: RegExp][] = [
      ['/v1/pause', member('being moved'), /is paused: being moved$/],
      ['/v1/wake', member('done'), /is resumed: done$/],
      ['/v1/drain', { node: nameOf(1), forMs: 120_000, reason: 'disk' }, /is drained for 2 minutes: disk$/],
      ['/v1/undrain', member('mended'), /is undrained: mended$/],
      [
        '/v1/swarm-silences',
        { policy: 'service-exited', target: 'web', forMs: 60_000, reason: 'moved' },
        /^service-exited on web is silenced until .*: moved$/,
      ],
      ['/v1/swarm-silences', { target: 'web', forMs: 60_000, reason: 'moved' }, /^every policy on web is silenced/],
      [
        '/v1/budgets',
        { of: { node: nameOf(1) }, changes: 5, withinMs: 3_600_000, reason: 'calm' },
        /^policies may make 5 changes in 60 minutes on .*: calm$/,
      ],
      ['/v1/budgets/lift', { of: { node: nameOf(1) }, reason: 'over' }, /^the budget of .* is removed: over$/],
      [
        '/v1/grants',
        { effect: 'deny', node: nameOf(1), tool: 'service.restart', forMs: 60_000, reason: 'no' },
        /may not use service\.restart on anything: no$/,
      ],
      [
        '/v1/grants',
        { effect: 'act', node: nameOf(1), tool: 'service.restart', target: 'web', forMs: 60_000, reason: 'yes' },
        /may use without approval service\.restart on web: yes$/,
      ],
      ['/v1/placements/move', { service: 'db', reason: 'elsewhere' }, /^db must move: elsewhere$/],
    ];
    for (const [path, body, words] of steps) {
      const { status, body: answer } = await post(path, body);
      expect([path, status, (answer as { error?: string }).error]).toEqual([path, 200, undefined]);
      const { index } = answer as { index: number };
      expect(((await post('/v1/log/{index}', {}, String(index))).body as { what: string }).what).toMatch(words);
    }
    const all = (await logged()).join('\n');
    expect(all).toMatch(/ is leader\n/);
    expect((await agent.parts.audit.tail(60)).map(({ text }) => text).join('\n')).toMatch(
      /decided at \d+: pause\n[\s\S]*decided at \d+: wake/,
    );
  });

  it('shows while it holds', async () => {
    await post('/v1/pause', member('moved', 2));
    const silence = (await get('/v1/nova')) as {
      paused: { node: string; reason: string }[];
      silences: { id: string; policy: string | null }[];
    };
    expect(silence.paused).toMatchObject([{ node: nameOf(2), reason: 'moved' }]);
    expect(silence.silences.map(({ policy }) => policy).sort()).toEqual(['service-exited', null].sort());
    for (const { id } of silence.silences) expect((await post('/v1/swarm-silences/lift', { silence: id })).status).toBe(200);
    expect(((await get('/v1/nova')) as { silences: unknown[] }).silences).toEqual([]);
    await post('/v1/wake', member('back', 2));
    const { grants } = (await get('/v1/grants')) as { grants: { id: string; node: string; effect: string }[] };
    expect(grants.map(({ node, effect }) => `${node} ${effect}`).sort()).toEqual([`${nameOf(1)} act`, `${nameOf(1)} deny`]);
    expect(await errorOf(post('/v1/grants/revoke', { grant: 'ffff', reason: 'x' }))).toBe(
      '404 no grant id begins with ffff: see kalos grant list',
    );
    for (const { id } of grants) expect((await post('/v1/grants/revoke', { grant: id, reason: 'over' })).status).toBe(200);
    expect(await get('/v1/grants')).toEqual({ grants: [] });
  });

  it('is refused where it cannot be', async () => {
    for (const path of ['/v1/pause', '/v1/wake', '/v1/undrain', '/v1/pardon'])
      expect(await errorOf(post(path, { node: 'nobody', reason: 'x' })), path).toBe(
        '404 no member is called nobody; see: kalos members',
      );
    expect(await errorOf(post('/v1/drain', { node: 'nobody', forMs: 60_000, reason: 'x' }))).toBe(
      '404 no member is called nobody; see: kalos members',
    );
    expect(await errorOf(post('/v1/nova/transfer', { node: 'nobody' }))).toBe(
      '404 no member is called nobody; see: kalos members',
    );
    expect(await errorOf(post('/v1/wake', member()))).toBe('409 the member is not paused');
    expect(await errorOf(post('/v1/pardon', member()))).toMatch(/^409 /);
    expect(await errorOf(post('/v1/placements/move', { service: 'nothing', reason: 'x' }))).toMatch(/^404 /);
    expect(await errorOf(post('/v1/swarm-silences', { forMs: 60_000, reason: 'x' }))).toMatch(
      /^400 .*name a policy, a target, or both/,
    );
    expect(await errorOf(post('/v1/swarm-silences', { target: '*', forMs: 60_000, reason: 'x' }))).toMatch(
      /^400 target = "\*": .*must be one target, no wildcards/,
    );
    expect(await errorOf(post('/v1/swarm-silences', { policy: 'nothing', forMs: 60_000, reason: 'x' }))).toMatch(/^404 /);
  });

  it.each([
    [
      'an unknown tool',
      { effect: 'deny', tool: 'disk.format' },
      '404 no tool that makes changes is called disk.format; see: kalos tools',
    ],
    ['what is allowed without a target', { effect: 'act' }, '400 act and approve need a target'],
    [
      'an approval to inspect',
      { effect: 'approve', tool: 'machine.inspect', target: 'x' },
      '400 machine.inspect takes the effect act or deny, not approve',
    ],
    [
      'to inspect nobody',
      { effect: 'act', tool: 'machine.inspect', target: 'nobody' },
      '404 no member is called nobody; see: kalos members',
    ],
    ['nobody', { effect: 'deny', node: 'nobody' }, '404 no member is called nobody; see: kalos members'],
    ['too long', { effect: 'deny', forMs: 720 * 3_600_000 + 1 }, /^400 forMs = \d+: must be at most 2592000000$/],
    ['too short', { effect: 'deny', forMs: 59_999 }, /^400 forMs = 59999: must be at least 60000$/],
  ])('is no grant of %s', async (_what, given, error) => {
    const grant = { node: nameOf(1), tool: 'service.restart', forMs: 60_000, reason: 'x', ...given };
    expect(await errorOf(post('/v1/grants', grant))).toEqual(typeof error === 'string' ? error : expect.stringMatching(error));
  });

  it('is read as current as is asked', async () => {
    for (const read of ['local', 'lease', 'linearizable'])
      expect((await post('/v1/nova/read', { read })).body).toMatchObject({ read, committee: expect.any(Array) });
    expect(await errorOf(post('/v1/nova/read', { read: 'soon' }))).toMatch(/^400 read = "soon"/);
    expect(((await post('/v1/log', { limit: 1 })).body as { decisions: unknown[] }).decisions.length).toBe(1);
    expect(await errorOf(post('/v1/log', { limit: 0 }))).toMatch(/^400 limit = 0: must be at least 1/);
    expect(await errorOf(post('/v1/log', { limit: 257 }))).toMatch(/^400 limit = 257: must be at most 256/);
  });
});

describe('a question in SQL', () => {
  it('that is none is refused, in words', async () => {
    expect(await errorOf(post('/v1/query', { sql: '' }))).toMatch(/^400 sql = ""/);
    expect(await errorOf(post('/v1/query', { sql: 'select 1', timeoutMs: 60_001 }))).toMatch(
      /^400 timeoutMs = 60001: must be at most 60000/,
    );
    expect(await errorOf(post('/v1/query', { sql: 'select 1', mode: 'soon' }))).toMatch(
      /^400 mode = "soon": must be "local" or "live"/,
    );
  });
});

describe('news', () => {
  it('are what changes after one began to listen, by topic', async () => {
    const feeds = (['members', 'conditions', 'incidents', 'decisions', 'actions'] as const).map(
      (topic) => new Feed(agent, topic),
    );
    const news = (): string[] => feeds.flatMap((feed) => feed.news(7).map(({ topic, text }) => `${topic} ${text}`));
    expect(news()).toEqual([]);
    cluster.node(0).linux.services.kill('web');
    await later(20_000);
    const all = news().join('\n');
    expect(all).toMatch(/^incidents service\.(start|restart) helped$/m);
    expect(all).toMatch(/^decisions service\.(start|restart) web, by the reactive tier/m);
    expect(all).toMatch(/^actions it helped/m);
    expect(all).not.toMatch(/^(decisions|actions) .*has exited/m);
    expect(news()).toEqual([]);
    const [incident] = (await get('/v1/incidents')) as { id: string }[];
    expect(await get('/v1/incidents/{id}/explanation', incident?.id)).toMatchObject({
      source: 'local',
      incident: { id: incident?.id },
    });
    expect(Object.keys((await get('/v1/incidents/{id}/recording', incident?.id)) as object)).toContain('metrics');
    expect(((await get('/v1/cases')) as { worked: boolean }[]).map(({ worked }) => worked)).toEqual([true]);
  });
});

it('each route is described, and takes the right that it should', () => {
  const { paths } = openApi(ROUTES, '1.2.3') as { paths: Record<string, Record<string, unknown>> };
  expect(Object.values(paths).flatMap((one) => Object.keys(one)).length).toBe(ROUTES.length + 3);
  const scope = (method: string, path: string) => ROUTES.find((one) => one.method === method && one.path === path)?.scope;
  expect(
    [
      ['GET', '/v1/status'],
      ['GET', '/v1/nova'],
      ['POST', '/v1/log'],
      ['POST', '/v1/query'],
      ['GET', '/v1/tokens'],
      ['GET', '/v1/api-tokens'],
      ['GET', '/v1/audit/verification'],
      ['GET', '/v1/incidents/{id}/recording'],
      ['POST', '/v1/actions'],
      ['POST', '/v1/halt'],
      ['POST', '/v1/policies'],
      ['POST', '/v1/pause'],
      ['POST', '/v1/stop'],
      ['GET', '/v1/config'],
      ['POST', '/v1/api-tokens'],
      ['POST', '/v1/grants'],
    ].map(([method = '', path = '']) => scope(method, path)),
  ).toEqual([
    'look',
    'look',
    'look',
    'look',
    'read',
    'read',
    'read',
    'read',
    'operate',
    'operate',
    'operate',
    'admin',
    'admin',
    'admin',
    'admin',
    'admin',
  ]);
});
