// What the routes about one agent, its members and its audit ask of it, with what is given where nothing is said, and how they refuse.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ReadTool } from '../../node/action/tool.ts';
import { TOOLS } from '../../node/action/tools.ts';
import { ROUTES } from '../../node/api/routes.ts';
import { PolicyError } from '../../node/detection/policy-detector.ts';
import { MembershipError } from '../../node/link/membership-admin.ts';
import { reply } from '../support/replies.ts';

const fresh = () => ({
  asked: [] as unknown[],
  failure: undefined as Error | undefined,
  answer: undefined as unknown,
  edge: undefined as Record<string, unknown> | undefined,
  entry: undefined as Record<string, unknown> | undefined,
  performed: { kind: 'done', entry: { phase: 'confirmed', reason: 'it holds' } } as Record<string, unknown>,
});
let its = fresh();
beforeEach(() => {
  its = fresh();
});
afterEach(() => vi.restoreAllMocks());

/** Keeps what it is asked, and answers as the test says. */
const does =
  (name: string) =>
  (...given: unknown[]) => {
    its.asked.push([name, ...given]);
    if (its.failure !== undefined) throw its.failure;
    return its.answer as never;
  };
const doesLater = (name: string) => {
  const now = does(name);
  return async (...given: unknown[]) => now(...given);
};
const agent = {
  ...{ leave: doesLater('leave'), traffic: () => [['gossip', { bytes: 3, writes: 1 }]] },
  parts: {
    queries: { query: doesLater('query'), explain: doesLater('explain') },
    memory: { recording: doesLater('recording'), cases: { all: () => [] }, incidents: () => [] },
    watcher: {
      targets: () => ['web'],
      samples: { history: { names: () => ['b', 'a', 'c'], past: does('past') } },
      detectors: { resetThresholds: does('resetThresholds'), thresholds: () => ({}) },
    },
    policies: {
      all: () => [{ policy: { name: 'busy' }, origin: 'own' }],
      ...{ apply: doesLater('apply'), remove: doesLater('remove') },
    },
    apiTokens: { make: doesLater('make'), end: doesLater('end'), list: () => [] },
    executor: {
      approvals: { answerAsOperator: doesLater('answer') },
      brakes: { silences: { add: doesLater('silence'), remove: doesLater('unsilence') }, resume: doesLater('resume') },
      ...{ halt: doesLater('halt'), preview: doesLater('preview'), journal: { entry: async () => its.entry } },
      operatorPlan: (calls: unknown, reason: string) => ({ id: `plan of ${JSON.stringify(calls)}: ${reason}`, calls }),
      machine: 'this machine',
      perform: async (plan: { id: string }, by: string) => {
        its.asked.push(['perform', plan.id, by]);
        return its.performed;
      },
    },
    membershipAdmin: {
      ...{ recovery: () => ({ coordinator: null, members: [], suggested: null, lost: 0 }), members: does('members') },
      ...{ member: does('member'), revoke: doesLater('revoke'), rename: doesLater('rename'), makeToken: doesLater('makeToken') },
      ...{ tokens: () => [], endToken: doesLater('endToken'), rotateNetworkKey: doesLater('rotateNetworkKey') },
      ...{ operators: () => [], draft: does('draft'), commit: doesLater('commit') },
    },
    audit: {
      ...{ records: 3, tail: doesLater('tail'), prove: doesLater('prove'), proveConsistency: doesLater('proveConsistency') },
      verify: doesLater('verify'),
    },
    auditWatch: { standing: { signed: [{ witness: 'bob', size: 4 }], conflicts: [] } },
  },
  swarm: { members: { nameOf: (peer: string) => peer.toUpperCase() } },
  get edge() {
    return its.edge;
  },
};
const ask = (asked: string, body?: unknown) => reply(agent, asked, body);
/** What was answered, and what was asked of the agent. */
const heard = async (asked: string, answer?: unknown, body?: unknown): Promise<[unknown, unknown[]]> => {
  Object.assign(its, { answer, asked: [] });
  return [await ask(asked, body), its.asked];
};

const member = {
  ...{ name: 'bob', peer: 'p', state: 'alive', role: 'member', issuer: false, deputy: false, coordinator: false, heardMs: null },
  ...{ version: '1', address: '', certificateUntilMs: null, accusedBy: [], twin: null, unhealthy: [] },
  ...{ pausedSinceMs: null, drainedUntilMs: null },
};
const certificate = {
  ...{ kind: 'member', subject: 'p', epoch: 1, fromMs: 1, untilMs: 2, name: 'bob', role: 'member', capabilities: [] },
};

const DRAFT = { kind: 'issuer', body: '', toSign: '', needed: 1, atHand: 0 };

describe('who belongs', () => {
  it('is listed, those who left too where it is asked', async () => {
    expect(await heard('GET /v1/members', [member])).toEqual([[member], [['members', false]]]);
    expect(await heard('GET /v1/members/all?limit=1', [member, { ...member, peer: 'q' }])).toEqual([
      { items: [member], next: expect.any(String) },
      [['members', true]],
    ]);
    expect(await heard('GET /v1/members/bob', member)).toEqual([member, [['member', 'bob']]]);
    expect(await ask('GET /v1/traffic')).toEqual({ gossip: { bytes: 3, writes: 1 } });
    expect(await ask('GET /v1/recovery')).toEqual({ coordinator: null, members: [], suggested: null, lost: 0 });
    for (const path of ['tokens', 'operators', 'api-tokens']) expect(await ask(`GET /v1/${path}`)).toEqual([]);
  });

  it.each<[path: string, body: unknown, call: unknown[], answer?: unknown, answered?: unknown]>([
    ['members/bob/revocation', {}, ['revoke', 'bob', ''], certificate],
    ['members/bob/revocation', { reason: 'r'.repeat(120) }, ['revoke', 'bob', 'r'.repeat(120)], certificate],
    ['members/bob/name', { name: 'b'.repeat(24) }, ['rename', 'bob', 'b'.repeat(24)], certificate],
    ['tokens', {}, ['makeToken', { role: 'member', ttlMs: 600_000, uses: 1 }], { token: 't', reachable: true }],
    [
      'tokens',
      { role: 'committee', ttlMs: 2_592_000_000, uses: 1_000 },
      ['makeToken', { role: 'committee', ttlMs: 2_592_000_000, uses: 1_000 }],
      { token: 't', reachable: true },
    ],
    ['tokens/abc/removal', undefined, ['endToken', 'abc'], undefined, {}],
    ['leave', {}, ['leave', false], undefined, {}],
    ['leave', { force: true }, ['leave', true], undefined, {}],
    ['network-key', {}, ['rotateNetworkKey', 691_200_000], { usedFromMs: 1, olderUntilMs: 2 }],
    ['network-key', { keepMs: 0 }, ['rotateNetworkKey', 0], { usedFromMs: 1, olderUntilMs: 2 }],
    ['network-key', { keepMs: 7_776_000_000 }, ['rotateNetworkKey', 7_776_000_000], { usedFromMs: 1, olderUntilMs: 2 }],
    ...[
      { kind: 'operator', name: 'ann', key: 'k' },
      { kind: 'issuer', member: 'bob' },
      { kind: 'recovery', member: 'bob' },
      { kind: 'revoke', of: 'issuer', subject: 'bob', reason: '' },
    ].map((body): [string, unknown, unknown[], unknown] => ['root/draft', body, ['draft', body], DRAFT]),
    [
      'root/commit',
      { kind: 'issuer', body: '0aff', signatures: [{ by: 'k', signature: '' }] },
      ['commit', 'issuer', '0aff', [{ by: 'k', signature: '' }]],
      undefined,
      {},
    ],
  ])('is changed by %s %o, or it is said why not', async (path, body, call, answer, answered = answer) => {
    expect(await heard(`POST /v1/${path}`, answer, body)).toEqual([answered, [call]]);
    its.failure = new MembershipError('it is not so');
    expect(await ask(`POST /v1/${path}`, body)).toBe('409 it is not so');
    its.failure = new Error('a mistake');
    await expect(ask(`POST /v1/${path}`, body)).rejects.toThrow('a mistake');
  });

  it.each<[path: string, body: unknown, error: string]>([
    ['members/bob/revocation', { reason: 'r'.repeat(121) }, 'must be at most 120 characters'],
    ['members/bob/name', { name: 'b'.repeat(25) }, 'must be at most 24 characters'],
    ['members/bob/name', { name: '' }, 'must be letters, digits, dots, dashes and underscores'],
    ['members/bob/name', { name: '-b' }, 'must be letters, digits, dots, dashes and underscores'],
    ['members/bob/name', { name: 'a b' }, 'must be letters, digits, dots, dashes and underscores'],
    ['tokens', { ttlMs: 999 }, 'ttlMs = 999: must be at least 1000'],
    ['tokens', { ttlMs: 2_592_000_001 }, 'ttlMs = 2592000001: must be at most 2592000000'],
    ['tokens', { uses: 0 }, 'uses = 0: must be at least 1'],
    ['tokens', { uses: 1_001 }, 'uses = 1001: must be at most 1000'],
    ['tokens', { role: 'boss' }, 'role = "boss": must be "member" or "committee"'],
    ['network-key', { keepMs: -1 }, 'keepMs = -1: must be at least 0'],
    ['network-key', { keepMs: 7_776_000_001 }, 'keepMs = 7776000001: must be at most 7776000000'],
    ['root/draft', { kind: 'king' }, 'kind = "king": is not a known kind'],
    ['root/draft', { kind: 'operator', name: 'ann', key: 'k'.repeat(101) }, 'must be at most 100 characters'],
    ['root/draft', { kind: 'issuer', member: '' }, 'member = "": must be at least 1 character'],
    ['root/commit', { kind: 'issuer', body: '0', signatures: [] }, 'body = "0": is not a valid value'],
    ['root/commit', { kind: 'issuer', body: '0A', signatures: [] }, 'body = "0A": is not a valid value'],
    ['root/commit', { kind: 'issuer', body: '00'.repeat(10_001), signatures: [] }, 'must be at most 20000 characters'],
    ['root/commit', { kind: 'issuer', body: '', signatures: Array(17).fill({ by: '', signature: '' }) }, 'at most 16 items'],
  ])('is not changed by %s %o', async (path, body, error) => {
    expect(await ask(`POST /v1/${path}`, body)).toMatch(/^400 /);
    expect([String(await ask(`POST /v1/${path}`, body)).endsWith(error), its.asked]).toEqual([true, []]);
  });
});

describe('what was done', () => {
  it('is read from the audit, and proven', async () => {
    expect(await ask('GET /v1/audit/standing')).toEqual({ signed: [{ node: 'BOB', size: 4 }], conflicts: [] });
    expect(await heard('GET /v1/audit/records/last/50', [])).toEqual([[], [['tail', 50]]]);
    const whole = { ok: true, records: 3 };
    expect((await heard('GET /v1/audit/verification', { ...whole, root: new Uint8Array([1, 255]) }))[0]).toEqual({
      ...{ ...whole, root: '01ff' },
    });
    expect((await heard('GET /v1/audit/verification', { ...whole, root: undefined }))[0]).toEqual({ ...whole, root: '' });
    expect((await heard('GET /v1/audit/verification', { ok: false, index: 2, reason: 'r' }))[0]).toEqual({
      ...{ ok: false, index: 2, reason: 'r' },
    });
    expect(await heard('GET /v1/audit/records/7/proof')).toEqual([...['404 the log has no record 7; it has 3', [['prove', 7]]]]);
    expect(await heard('GET /v1/audit/consistency/7')).toEqual([
      ...['404 the log was never of size 7; it has 3 records', [['proveConsistency', 7]]],
    ]);
    for (const path of ['records/last/12345', 'records/1234567890123/proof', 'consistency/x'])
      expect(await ask(`GET /v1/audit/${path}`)).toBe(`404 no route /v1/audit/${path}`);
  });
});

describe('of one agent', () => {
  it('series are listed in order, and looked up', async () => {
    expect(await ask('GET /v1/series')).toEqual(['a', 'b', 'c']);
    expect(await heard('GET /v1/series/a%2Fb')).toEqual(['404 no series a/b', [['past', 'a/b']]]);
  });

  it('an incident is explained, and its recording shown, where they are known', async () => {
    expect(await heard('GET /v1/incidents/i/recording')).toEqual([
      ...['404 no recording of i is kept on this machine', [['recording', 'i']]],
    ]);
    expect(await heard('GET /v1/incidents/i/explanation', { ok: false, message: 'no incident i' })).toEqual([
      ...['404 no incident i', [['explain', 'i', 'test']]],
    ]);
  });

  it('is asked in SQL: within five seconds, live, and for whom', async () => {
    const no = { ok: false, message: 'no such table' };
    const asked = { timeoutMs: 5_000, mode: 'live', nodes: undefined, isTrusted: true, asker: 'test' };
    expect(await heard('POST /v1/query', no, { sql: 'x' })).toEqual(['400 no such table', [['query', 'x', asked]]]);
    its.asked = [];
    await reply(
      agent,
      'POST /v1/query',
      { sql: 'x', mode: 'local', nodes: 'n', timeoutMs: 60_000 },
      { level: 'look', name: 'l' },
    );
    expect(its.asked).toEqual([['query', 'x', { timeoutMs: 60_000, mode: 'local', nodes: 'n', isTrusted: false, asker: 'l' }]]);
    expect(await ask('POST /v1/query', { sql: '' })).toBe('400 sql = "": must be at least 1 character');
    expect(await ask('POST /v1/query', { sql: 'x', timeoutMs: 0 })).toBe('400 timeoutMs = 0: must be at least 1');
    expect(await ask('POST /v1/query', { sql: 'x', timeoutMs: 60_001 })).toBe('400 timeoutMs = 60001: must be at most 60000');
    expect(await ask('POST /v1/query', { sql: 'x', nodes: 'n'.repeat(2_001) })).toMatch(/must be at most 2000 characters$/);
  });

  it('tokens for the API are made for so long, and ended', async () => {
    vi.spyOn(Date, 'now').mockReturnValue(1_000);
    expect(await heard('POST /v1/api-tokens', 'secret', { ttlMs: 1_000 })).toEqual([
      { token: 'secret', untilMs: 2_000 },
      [['make', '', 'read', 2_000]],
    ]);
    const whole = { name: 'n'.repeat(60), scope: 'admin', ttlMs: 34_560_000_000 };
    expect((await heard('POST /v1/api-tokens', 'secret', whole))[1]).toEqual([['make', whole.name, 'admin', 34_560_001_000]]);
    for (const [given, error] of [
      [{ ttlMs: 999 }, '400 ttlMs = 999: must be at least 1000'],
      [{ ttlMs: 34_560_000_001 }, '400 ttlMs = 34560000001: must be at most 34560000000'],
      [{ name: 'n'.repeat(61), ttlMs: 1_000 }, /at most 60 characters$/],
      [{ scope: 'look', ttlMs: 1_000 }, '400 scope = "look": must be "read" or "operate" or "admin"'],
    ] as const)
      expect(await ask('POST /v1/api-tokens', given)).toMatch(error);
    expect(await heard('POST /v1/api-tokens/t/removal', true)).toEqual([{ id: 't' }, [['end', 't']]]);
    expect((await heard('POST /v1/api-tokens/t/removal', false))[0]).toBe('404 no API token t');
  });

  it('policies are added, deleted, and learn again', async () => {
    expect(await heard('POST /v1/policies', [{ name: 'p' }], { policies: [1] })).toEqual([{ applied: ['p'] }, [['apply', [1]]]]);
    its.failure = new PolicyError('p', 'no expression');
    expect(await ask('POST /v1/policies', { policies: [1] })).toBe('400 policy p: no expression');
    its.failure = new Error('a mistake');
    await expect(ask('POST /v1/policies', { policies: [1] })).rejects.toThrow('a mistake');
    its.failure = undefined;
    expect(await ask('POST /v1/policies', { policies: [] })).toBe('400 policies = []: must be at least 1 item');
    expect(await heard('POST /v1/policies/p/removal', true)).toEqual([{ name: 'p' }, [['remove', 'p']]]);
    expect((await heard('POST /v1/policies/busy/removal', false))[0]).toMatch(/^409 busy is in this machine’s configuration/);
    expect(await heard('POST /v1/policies/busy/reset')).toEqual([{ name: 'busy' }, [['resetThresholds', 'busy']]]);
    expect(await heard('POST /v1/policies/bsuy/reset')).toEqual([expect.stringMatching(/^404 no policy is called bsuy/), []]);
  });

  it('approvals are answered, and silences end, where there are such', async () => {
    const approved = { answer: 'approved' };
    expect(await heard('POST /v1/approvals/a', true, approved)).toEqual([
      { id: 'a', ...approved },
      [['answer', 'a', 'approved']],
    ]);
    expect((await heard('POST /v1/approvals/a', false, approved))[0]).toBe('404 no pending approval a');
    expect(await heard('POST /v1/silences/s/lift', true)).toEqual([{ id: 's' }, [['unsilence', 's']]]);
    expect((await heard('POST /v1/silences/s/lift', false))[0]).toBe('404 there is no silence s');
    const silence = { target: 'wbe', forMs: 60_000, reason: 'r' };
    expect(await heard('POST /v1/silences', undefined, silence)).toEqual([
      expect.stringMatching(/^404 no service, mount, metric or other target is called wbe; did you mean web\?/),
      [],
    ]);
    expect((await heard('POST /v1/silences', undefined, { ...silence, target: undefined, policy: 'bsuy' }))[0]).toMatch(
      /^404 no policy is called bsuy/,
    );
  });

  it('acting is halted for a reason of at most 200 characters, and allowed again', async () => {
    const reason = 'r'.repeat(200);
    expect(await heard('POST /v1/halt', undefined, { reason })).toEqual([{ halted: reason }, [['halt', reason]]]);
    expect(await ask('POST /v1/halt', { reason: `${reason}r` })).toMatch(/^400 reason = .*must be at most 200 characters$/);
    expect(await heard('POST /v1/resume')).toEqual([{ halted: null }, [['resume']]]);
  });

  it('configuration and log are those of an agent that has them, after a line', async () => {
    for (const [asked, missing] of [
      ['GET /v1/config', '404 this agent runs without a configuration'],
      ['POST /v1/config/reload', '404 this agent runs without a configuration'],
      ['GET /v1/agent-log/0', '404 this agent keeps no log'],
    ] as const)
      expect(await ask(asked)).toBe(missing);
    its.edge = { log: { after: does('after'), log: does('log') } };
    await heard('GET /v1/agent-log/123456789012', { lines: [] }).catch(() => undefined);
    expect(its.asked).toEqual([['after', 123_456_789_012]]);
    expect(await ask('GET /v1/agent-log/1234567890123')).toBe('404 no route /v1/agent-log/1234567890123');
  });

  it('stops as anybody else would stop it', async () => {
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    expect(await ask('POST /v1/stop')).toEqual({});
    expect(kill.mock.calls).toEqual([[process.pid, 'SIGTERM']]);
  });
});

describe('what a person has done', () => {
  const SET = { tool: 'sysctl.set', key: 'vm.swappiness', value: '10' };
  const STAT = { tool: 'fs.stat', path: '/data/a' };
  const plan = (given: Record<string, unknown> = {}) => ({ calls: [SET], reason: 'r', dryRun: false, ...given });
  const DIRTY = { tool: 'sysctl.set', key: 'vm.dirty_ratio', value: '20' };
  const CLEAN = { tool: 'fs.clean', directory: '/srv/data', suffix: '.tmp', older_than_s: 60 };
  const preview = (verdict: Record<string, unknown>, calls: unknown[] = [SET]) => ({
    ...{ diff: ['10 → 11'], risk: 'R1', verdict, before: [{ value: '60' }, { value: '5' }], calls },
  });
  const shown = { diff: ['10 → 11'], risk: 'R1' };

  it('is read at once, where it only reads', async () => {
    const none = { plan: '', diff: [], risk: 'R0', undo: '' };
    const body = plan({ calls: [STAT] });
    const stat = TOOLS.find(({ name }) => name === 'fs.stat') as ReadTool;
    vi.spyOn(stat, 'read').mockImplementation(doesLater('read'));
    expect((await heard('POST /v1/actions', { ok: true, value: 5 }, body))[0]).toEqual({
      ...{ ...none, result: 'read', detail: expect.stringContaining('/data/a'), value: 5 },
    });
    expect((await heard('POST /v1/actions', { ok: false, reason: 'no such file' }, body))[0]).toEqual({
      ...{ ...none, result: 'refused', detail: 'no such file' },
    });
    expect(its.asked).toEqual([['read', STAT, 'this machine']]);
    // With others it is a plan, which the executor refuses.
    expect((await heard('POST /v1/actions', preview({ kind: 'go' }), plan({ calls: [STAT, SET] })))[1]).toContainEqual([
      ...['preview', [STAT, SET], 'operator'],
    ]);
  });

  it('is shown first: what it would change, whether it may, and what leads back', async () => {
    const undo = 'sysctl.set vm.dirty_ratio 5, then sysctl.set vm.swappiness 60';
    expect(await heard('POST /v1/actions', preview({ kind: 'go' }, [SET, DIRTY]), plan({ dryRun: true }))).toEqual([
      { plan: '', result: 'dry-run', detail: 'it is allowed', ...shown, undo },
      [['preview', [SET], 'operator']],
    ]);
    const refused = { kind: 'refused', reason: 'it is halted' };
    expect((await heard('POST /v1/actions', preview(refused, [CLEAN]), plan({ dryRun: true })))[0]).toEqual({
      ...{ plan: '', result: 'refused', detail: 'it is halted', ...shown, undo: '' },
    });
  });

  it('is performed, and told as it ended', async () => {
    const id = `plan of ${JSON.stringify([SET])}: r`;
    expect(await heard('POST /v1/actions', preview({ kind: 'go' }), plan())).toEqual([
      { plan: id, result: 'confirmed', detail: 'it holds', ...shown, undo: 'sysctl.set vm.swappiness 60' },
      [
        ['preview', [SET], 'operator'],
        ['perform', id, 'operator'],
      ],
    ]);
    its.performed = { kind: 'held', verdict: { kind: 'refused', reason: 'too often' } };
    expect((await heard('POST /v1/actions', preview({ kind: 'go' }), plan()))[0]).toMatchObject({
      ...{ result: 'refused', detail: 'too often' },
    });
  });

  it('is rolled back by what leads back, where it was confirmed and something does', async () => {
    expect(await ask('POST /v1/actions/a/rollback')).toBe('404 no plan a exists');
    its.entry = { phase: 'undone' };
    expect(await ask('POST /v1/actions/a/rollback')).toBe('409 a is undone: only confirmed plans can be rolled back');
    its.entry = { phase: 'confirmed', plan: { calls: [CLEAN] }, before: [{}] };
    expect(await ask('POST /v1/actions/a/rollback')).toBe('409 fs.clean has no undo and cannot be rolled back');
    its.entry = { phase: 'confirmed', plan: { calls: [SET] }, before: [{ value: '60' }] };
    const [answer, asked] = await heard('POST /v1/actions/a/rollback', preview({ kind: 'go' }));
    expect([answer, asked[0]]).toEqual([
      expect.objectContaining({ plan: expect.stringMatching(/: rolls back a$/), result: 'confirmed' }),
      ['preview', [{ ...SET, value: '60' }], 'operator'],
    ]);
  });

  it.each([
    [{ calls: [] }, '400 calls = []: must be at least 1 item'],
    [{ calls: Array(9).fill(SET) }, /must be at most 8 items$/],
    [{ calls: [{ tool: 'no.tool' }] }, /^400 /],
    [{ reason: '' }, '400 reason = "": must be at least 1 character'],
    [{ reason: 'r'.repeat(201) }, /must be at most 200 characters$/],
    [{ dryRun: undefined }, '400 dryRun: is missing: true or false'],
  ])('is refused as %o', async (given, error) => {
    expect(await ask('POST /v1/actions', plan(given))).toMatch(error);
    expect(its.asked).toEqual([]);
  });
});

describe('each tool', () => {
  it('is described by what it does and takes; how long and how often only where it changes something', async () => {
    const tools = (await ask('GET /v1/tools')) as Record<string, unknown>[];
    const [read, change] = ['fs.stat', 'sysctl.set'].map((name) => tools.find((tool) => tool.name === name) ?? {});
    const shared = ['capability', 'description', 'input', 'kind', 'name', 'risks', 'version'];
    expect(Object.keys(read ?? {}).sort()).toEqual(shared);
    expect(Object.keys(change ?? {}).sort()).toEqual([...shared, 'blastRadius', 'rate', 'timeoutMs', 'verification'].sort());
    expect(((await ask('GET /v1/tables')) as unknown[]).length).toBeGreaterThan(40);
  });
});

describe('what it takes to use a route', () => {
  const scopeOf = (method: string, path: string) => ROUTES.find((one) => one.method === method && one.path === path)?.scope;

  it('is an administrator where the agent’s end, its configuration or who belongs is concerned', () => {
    const paths = ['stop', 'config/reload', 'api-tokens', 'api-tokens/{id}/removal', 'tokens', 'leave', 'root/commit'];
    for (const path of [...paths, 'network-key', 'members/{name}/revocation'])
      expect([path, scopeOf('POST', `/v1/${path}`)]).toEqual([path, 'admin']);
    for (const path of ['config', 'agent-log/{after}']) expect([path, scopeOf('GET', `/v1/${path}`)]).toEqual([path, 'admin']);
  });

  it('is a token where not everybody may see it, and an operator where something is changed', () => {
    const paths = ['audit/standing', 'audit/records/last/{count}', 'tokens', 'api-tokens', 'incidents/{id}/recording'];
    for (const path of paths) expect([path, scopeOf('GET', `/v1/${path}`)]).toEqual([path, 'read']);
    for (const path of ['incidents', 'members', 'incidents/{id}/explanation', 'policies'])
      expect([path, scopeOf('GET', `/v1/${path}`)]).toEqual([path, 'look']);
    for (const path of ['actions', 'halt', 'policies', 'silences', 'approvals/{id}', 'changes/draft'])
      expect([path, scopeOf('POST', `/v1/${path}`)]).toEqual([path, 'operate']);
  });
});
