// What `kalos nova`, `pause`, `drain`, `upgrade`, `api-token` and the like ask of an agent, and the line that each prints.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { liftBudget, listBudgets, setBudget } from '../../node/cli/budgets.ts';
import { withdrawBundle } from '../../node/cli/bundle.ts';
import { reloadConfig } from '../../node/cli/config.ts';
import {
  drain,
  failOver,
  logShow,
  logTail,
  novaStatus,
  novaTransfer,
  pardon,
  pause,
  undrain,
  wake,
} from '../../node/cli/decisions.ts';
import { EXIT } from '../../node/cli/exit-codes.ts';
import { give, list, revoke } from '../../node/cli/grants.ts';
import { agentLog } from '../../node/cli/log.ts';
import { when } from '../../node/cli/times.ts';
import { pushRelease, showUpgrade, withdrawRelease } from '../../node/cli/upgrade.ts';
import { createApiToken, listApiTokens, revokeApiToken } from '../../node/cli/watch.ts';
import { fakeAgent, linesOf } from '../support/fake-agent.ts';

const agent = fakeAgent();
const directory = mkdtempSync(join(tmpdir(), 'kalos-order-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const sent = () => agent.asked.filter(({ method }) => method !== 'GET').map(({ path, body }) => [path, body]);

type Run = (dir: string) => Promise<number>;
const both = { node: 'ada', reason: 'why' };
const grant = { node: 'ada', tool: 't.x', for: 60_000, reason: 'why' };
const budget = { each: false, changes: 1, within: 60_000, reason: 'why' };

it.each<[string, string, unknown, string, Run]>([
  ['nova transfer', '/v1/nova/transfer', { node: 'ada' }, 'ada is leader', (dir) => novaTransfer(dir, 'ada')],
  [
    ...(['pause', '/v1/pause', both, 'decision 7: ada is paused; resume it with: kalos wake ada'] as const),
    (dir) => pause(dir, 'ada', 'why'),
  ],
  ['wake', '/v1/wake', both, 'decision 7: ada is resumed', (dir) => wake(dir, 'ada', 'why')],
  ['pardon', '/v1/pardon', both, 'decision 7: ada may be a witness again', (dir) => pardon(dir, 'ada', 'why')],
  [
    ...(['failover', '/v1/placements/move', { service: 'db', reason: 'why' }] as const),
    'decision 7: db moves to another member; see: kalos nova status',
    (dir) => failOver(dir, 'db', 'why'),
  ],
  [
    ...(['drain', '/v1/drain', { ...both, forMs: 5_400_000 }] as const),
    'decision 7: ada is drained for 90 min; end it with: kalos undrain ada',
    (dir) => drain(dir, 'ada', 5_400_000, 'why'),
  ],
  ['undrain', '/v1/undrain', both, 'decision 7: ada is undrained', (dir) => undrain(dir, 'ada', 'why')],
  [
    ...(['upgrade withdraw', '/v1/upgrades/withdraw', { reason: 'why' }] as const),
    'decision 7: the release is rolled back',
    (dir) => withdrawRelease(dir, 'why'),
  ],
  [
    ...(['api-token revoke', '/v1/api-tokens/a%2Fb/removal', undefined] as const),
    'token a/b is revoked',
    (dir) => revokeApiToken(dir, 'a/b'),
  ],
  [
    ...(['grant deny', '/v1/grants', { effect: 'deny', node: 'ada', tool: 't.x', reason: 'why', forMs: 60_000 }] as const),
    'decision 7: valid for 1 min; see: kalos grant list',
    (dir) => give('deny', { ...grant, dir }),
  ],
  [
    ...(['grant revoke', '/v1/grants/revoke', { grant: 'g1', reason: 'why' }] as const),
    'decision 7: the grant is revoked',
    (dir) => revoke(dir, 'g1', 'why'),
  ],
  [
    ...(['budget set', '/v1/budgets', { of: { node: 'ada' }, changes: 1, withinMs: 60_000, reason: 'why' }] as const),
    'decision 7: 1 change in 1 min; see: kalos budget list',
    (dir) => setBudget('ada', { ...budget, dir }),
  ],
  [
    ...(['budget lift', '/v1/budgets/lift', { of: { each: true }, reason: 'why' }] as const),
    'decision 7: the budget is removed',
    (dir) => liftBudget(undefined, { ...budget, dir, each: true }),
  ],
  [
    ...(['policy withdraw', '/v1/bundles/withdraw', { reason: 'why' }] as const),
    'decision 7: the bundle is rolled back',
    (dir) => withdrawBundle(dir, 'why'),
  ],
])('kalos %s sends to %s what it was given, and says what was done', async (_, path, body, line, run) => {
  agent.answers[`POST ${path}`] = { index: 7 };
  expect(await agent.run(run)).toEqual({ code: EXIT.ok, out: `${line}\n`, err: '' });
  expect(sent()).toEqual([[path, body]]);
});

describe('what the swarm has decided', () => {
  const empty = { paused: [], drained: [], silences: [], leases: [], placements: [], quarantined: [] };
  const answer = {
    ...{ read: 'certain', index: 9, term: 3, coordinator: 'ada', seat: 'learner', roster: null, vouchedFor: null },
    ...{ committee: [{ node: 'ada', seat: 'voter', leads: false, behind: 2 }], ...empty },
  };

  it('is shown whole, a table of each that holds', async () => {
    agent.answers['POST /v1/nova/read'] = {
      ...answer,
      vouchedFor: { index: 8, signatures: 1, voters: ['ada'] },
      placements: [{ service: 'db', node: 'bob', fence: 4, sinceMs: 0, reason: 'x' }],
      drained: [{ node: 'ada', untilMs: 0, reason: 'disk' }],
      quarantined: [{ node: 'mal', atMs: 0, by: 'eve' }],
      paused: [{ node: 'bob', atMs: 0, reason: 'moved' }],
      silences: [{ id: 's1', policy: 'p', target: null, untilMs: 0, reason: 'loud' }],
      leases: [{ node: 'bob', plan: 'p1', untilMs: 0 }],
    };
    const { code, out } = await agent.run((dir) => novaStatus(dir, 'lease', 'wide'));
    expect([code, linesOf(out)]).toEqual([
      EXIT.ok,
      [
        ...['leader ada, term 3', 'this agent: learner', ''],
        ...['NODE  SEAT  LEADER  BEHIND', 'ada  voter  2', ''],
        ...['decision 8 is signed by 1 of 1 voter: ada', ''],
        ...['SERVICE  RUNS ON  FENCING TOKEN  SINCE  REASON OF MOVE', `db  bob  4  ${when(0)}  x`, ''],
        ...['DRAINED  UNTIL  REASON', `ada  ${when(0)}  disk`, ''],
        ...['QUARANTINED  SINCE  REPORTED BY', `mal  ${when(0)}  eve`, ''],
        ...['PAUSED  SINCE  REASON', `bob  ${when(0)}  moved`, ''],
        ...['SILENCE  POLICY  TARGET  UNTIL  REASON', `s1  p  -  ${when(0)}  loud`, ''],
        ...['LEASE OF  PLAN  UNTIL', `bob  p1  ${when(0)}`, ''],
        ...['as of decision 9, term 3, read certain', ''],
      ],
    ]);
    expect(sent()).toEqual([['/v1/nova/read', { read: 'lease' }]]);
    const roster = { epoch: 4, members: 1, isSame: true };
    agent.answers['POST /v1/nova/read'] = { ...answer, roster };
    const of = async (): Promise<string | undefined> =>
      linesOf((await agent.run((dir) => novaStatus(dir, 'lease', 'table'))).out)[2];
    expect(await of()).toBe('roster epoch 4: 1 member, same as here');
    agent.answers['POST /v1/nova/read'] = { ...answer, roster: { ...roster, isSame: false } };
    expect(await of()).toBe('roster epoch 4: 1 member, differs from this agent’s roster');
    agent.answers['POST /v1/nova/read'] = { ...answer, coordinator: null };
    expect((await agent.run((dir) => novaStatus(dir, 'lease', 'json'))).code).toBe(EXIT.noQuorum);
  });

  it('is listed, with the moments of who reads, or as they are for programs', async () => {
    const what = 'until 1970-01-01T00:00:01Z';
    const decisions = [{ index: 8, term: 3, atMs: 0, by: 'ada', kind: 'pause', id: 'i', what }];
    agent.answers['POST /v1/log'] = { read: 'local', index: 9, term: 3, decisions };
    const tail = async (format: 'table' | 'wide' | 'csv') => agent.run((dir) => logTail(dir, 'local', 5, format));
    const foot = ['as of decision 9, term 3, read local', ''];
    expect(linesOf((await tail('table')).out)).toEqual([
      'INDEX  TERM  TIME  BY  DECISION',
      `8  3  ${when(0)}  ada  until ${when(1_000)}`,
      ...foot,
    ]);
    expect(linesOf((await tail('wide')).out)).toEqual([
      'INDEX  TERM  TIME  BY  KIND  ID  DECISION',
      `8  3  ${when(0)}  ada  pause  i  until ${when(1_000)}`,
      ...foot,
    ]);
    const csv = await tail('csv');
    expect([csv.code, csv.out]).toEqual([
      EXIT.ok,
      `index,term,time,by,kind,id,decision\n8,3,1970-01-01T00:00:00.000Z,ada,pause,i,${what}\n`,
    ]);
    agent.answers['POST /v1/log/a%2Fb'] = { read: 'local', index: 8, term: 3, what, decision: { forMs: 60_000 } };
    const shown = await agent.run((dir) => logShow(dir, 'a/b', 'local', 'table'));
    expect([shown.code, linesOf(shown.out)]).toEqual([
      EXIT.ok,
      [`until ${when(1_000)}`, 'for  1 min', 'as of decision 8, term 3, read local', ''],
    ]);
    expect(sent().at(-1)).toEqual(['/v1/log/a%2Fb', { read: 'local' }]);
  });
});

it('grants and budgets are listed where there is none, too', async () => {
  agent.answers['GET /v1/grants'] = { grants: [] };
  agent.answers['GET /v1/budgets'] = { budgets: [] };
  expect(await agent.run((dir) => list(dir, 'csv'))).toMatchObject({
    code: EXIT.ok,
    out: 'grant,effect,node,tool,target,until,reason\n',
  });
  expect(await agent.run((dir) => listBudgets(dir, 'csv'))).toMatchObject({
    code: EXIT.ok,
    out: 'node,changes,within,since,by,reason\n',
  });
});

it('a configuration that is read again says what changed, and ends as a mistake where it is wrong', async () => {
  agent.answers['POST /v1/config/reload'] = { lines: ['mode: a → b', 'name: needs a restart'], taken: true };
  expect(await agent.run((dir) => reloadConfig(dir))).toEqual({
    code: EXIT.ok,
    out: 'mode: a → b\nname: needs a restart\n',
    err: '',
  });
  agent.answers['POST /v1/config/reload'] = { lines: ['it is wrong'], taken: false };
  expect((await agent.run((dir) => reloadConfig(dir))).code).toBe(EXIT.usage);
});

describe('a token for the API', () => {
  it('is told once, with its scope and its end', async () => {
    agent.answers['POST /v1/api-tokens'] = { token: 'kapi_x', untilMs: 1_000 };
    const given = { name: 'ci', scope: 'read', ttlMs: 60_000 } as const;
    expect(await agent.run((dir) => createApiToken(dir, given))).toEqual({
      code: EXIT.ok,
      out: 'kapi_x\n',
      err: `scope read, until ${when(1_000)}; the token is shown only once\n`,
    });
    expect(sent()).toEqual([['/v1/api-tokens', given]]);
    agent.answers['GET /v1/api-tokens'] = [{ id: 'a', name: 'ci', scope: 'look', untilMs: 1_000 }];
    expect(await agent.run((dir) => listApiTokens(dir, 'csv'))).toEqual({
      code: EXIT.ok,
      out: 'id,name,scope,until\na,ci,look,1970-01-01T00:00:01.000Z\n',
      err: '',
    });
  });
});

describe('kalos upgrade', () => {
  const rollout = { good: null, before: null, candidate: null, ended: null, versions: [] };

  it('sends the archive, and says where it is tried', async () => {
    const file = join(directory, 'kalos.tgz');
    writeFileSync(file, 'archive');
    agent.answers['POST /v1/upgrades'] = { index: 7, upgrade: 'u1', version: '9.9.9', canary: ['ada', 'bob'] };
    const push = (given: Record<string, unknown>) =>
      agent.run((dir) => pushRelease({ dir, soak: 60_000, wait: false, ...given }, file));
    expect(await push({ canary: ['ada'] })).toEqual({
      code: EXIT.ok,
      out: 'decision 7: KALOS 9.9.9, canaries ada, bob for 1 min\n',
      err: '',
    });
    await push({});
    const archive = Buffer.from('archive').toString('base64');
    expect(sent()).toEqual([
      ['/v1/upgrades', { archive, canary: ['ada'], soakMs: 60_000 }],
      ['/v1/upgrades', { archive, soakMs: 60_000 }],
    ]);
    const gone = join(directory, 'gone.tgz');
    await expect(pushRelease({ dir: agent.directory, soak: 1, wait: false }, gone)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(`cannot read ${gone}: `),
      hint: 'create an archive of KALOS with: npm pack',
    });
  });

  it('shows which version runs where, and how the last went', async () => {
    const show = async (given: Record<string, unknown>) => {
      agent.answers['GET /v1/upgrades'] = { ...rollout, ...given };
      return linesOf((await agent.run((dir) => showUpgrade(dir, 'table'))).out);
    };
    const one = (version: string) => ({ id: 'a'.repeat(32), by: 'eve', version });
    expect(await show({})).toEqual(['active  the installed package of each machine', '']);
    const versions = [
      { node: 'ada', version: '2' },
      { node: 'bob', version: '1' },
      { node: 'cy', version: '2' },
    ];
    const ended = { id: 'b'.repeat(32), outcome: 'back', reason: 'it hurt' };
    expect(await show({ good: one('2'), before: one('1'), ended, versions })).toEqual([
      ...['active  2 (aaaaaaaa of eve)', 'previous  1 (aaaaaaaa of eve)', 'last  bbbbbbbb was rolled back: it hurt'],
      ...['runs 2: ada, cy', 'runs 1: bob', ''],
    ]);
    const trial = {
      phase: 'wave',
      turn: ['ada', 'bob'],
      sinceMs: 0,
      done: [],
      reports: [{ node: 'bob', ok: false, reason: 'x' }],
    };
    expect(await show({ candidate: { ...one('3'), ...trial }, ended: { ...ended, outcome: 'everywhere' } })).toEqual([
      ...['active  the installed package of each machine', `rolling  3 (aaaaaaaa of eve): wave, ada, bob since ${when(0)}`],
      ...['bob: x', 'last  bbbbbbbb is on all members', ''],
    ]);
  });
});

describe('kalos log agent', () => {
  const entries = (['debug', 'info', 'warn', 'error'] as const).map((level, nth) => ({
    ...{ seq: nth + 1, atMs: nth * 1_000, level, text: `said ${level}` },
  }));
  const show = async (given: Record<string, unknown>, format: 'table' | 'json' | 'csv' | 'yaml' = 'csv') => {
    agent.answers['GET /v1/agent-log/0'] = { last: 4, entries };
    const options = { lines: 100, level: 'debug', follow: false, ...given } as const;
    return agent.run((dir) => agentLog({ dir, output: format, ...options }));
  };
  const levels = async (given: Record<string, unknown>) =>
    (await show(given)).out
      .split('\n')
      .slice(1, -1)
      .map((line) => line.split(',')[1]);

  it('shows the newest of a level, so many and since then', async () => {
    expect(await levels({})).toEqual(['debug', 'info', 'warn', 'error']);
    expect(await levels({ level: 'warn' })).toEqual(['warn', 'error']);
    expect(await levels({ level: 'info', lines: 2 })).toEqual(['warn', 'error']);
    vi.spyOn(Date, 'now').mockReturnValue(10_000);
    expect(await levels({ since: 8_000 })).toEqual(['warn', 'error']);
    vi.restoreAllMocks();
  });

  it('writes lines for people, and for programs what they read', async () => {
    expect(await show({ level: 'error' }, 'table')).toEqual({ code: EXIT.ok, out: `${when(3_000)} error said error\n`, err: '' });
    expect((await show({ level: 'error' })).out).toBe('time,level,text\n1970-01-01T00:00:03.000Z,error,said error\n');
    expect(JSON.parse((await show({ level: 'error' }, 'json')).out)).toEqual({
      outputVersion: 1,
      entries: [{ time: '1970-01-01T00:00:03.000Z', level: 'error', text: 'said error' }],
    });
  });
});
