// What commands ask of an agent, and how they end by what it says: bodies, exit codes, and what is shown of each answer.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { liftBudget, listBudgets, setBudget } from '../../node/cli/budgets.ts';
import { pushPolicies, showBundle } from '../../node/cli/bundle.ts';
import { drain, logShow, logTail, novaStatus } from '../../node/cli/decisions.ts';
import { EXIT } from '../../node/cli/exit-codes.ts';
import { give, list } from '../../node/cli/grants.ts';
import { addPolicy, listPolicies, switchPolicy } from '../../node/cli/policy.ts';
import { listQuestions, listTables, questionOf, runQuery, showTable } from '../../node/cli/query.ts';
import { recover } from '../../node/cli/recover.ts';
import { status } from '../../node/cli/status.ts';
import { when } from '../../node/cli/times.ts';
import { shippedPolicies } from '../../node/detection/adapters/shipped-policies.ts';
import { KalosError } from '../../node/errors.ts';
import { fakeAgent, linesOf } from '../support/fake-agent.ts';

const agent = fakeAgent();
const asked = () => agent.asked.at(-1);

describe('kalos query', () => {
  const answer = (given: Record<string, unknown> = {}) => ({
    columns: ['a', 'b'],
    rows: [[1, 'x']],
    missing: [],
    truncated: [],
    mode: 'live',
    answered: 2,
    expected: 2,
    tookMs: 5,
    ...given,
  });
  const run = async (given: Record<string, unknown> = {}, format: 'table' | 'csv' | 'json' = 'csv', none?: KalosError) => {
    agent.answers['POST /v1/query'] = answer(given);
    return agent.run((directory) => runQuery(directory, 'select 1', { timeoutMs: 1_000 }, format, none));
  };

  it('ends with a code of its own where it is not whole', async () => {
    const whole = await run();
    expect([whole.code, whole.out, whole.err]).toEqual([EXIT.ok, 'a,b\n1,x\n', '1 row, 2 of 2 nodes answered, 5 ms\n']);
    expect(asked()?.body).toEqual({ sql: 'select 1', timeoutMs: 1_000, mode: 'live' });
    const missing = await run({ missing: [{ node: 'ada', reason: 'down' }] });
    expect([missing.code, missing.err]).toEqual([EXIT.partial, expect.stringContaining('missing: ada (down)')]);
    const cut = await run({ truncated: [{ node: 'ada', table: 'file' }] });
    expect([cut.code, cut.err]).toEqual([EXIT.partial, expect.stringContaining('truncated: file of ada')]);
    expect((await run({ mode: 'local' })).err).toContain('from this agent’s own data');
    const json = await run({}, 'json');
    expect([JSON.parse(json.out).rows, json.err]).toEqual([[{ a: 1, b: 'x' }], '']);
  });

  it('says where there is nothing, unless somebody did not answer', async () => {
    const none = new KalosError('not-found', 'no metric');
    await expect(run({ rows: [] }, 'csv', none)).rejects.toThrow('no metric');
    expect((await run({ rows: [], missing: [{ node: 'a', reason: 'x' }] }, 'csv', none)).code).toBe(EXIT.partial);
    expect((await run({}, 'csv', none)).code).toBe(EXIT.ok);
  });

  it('finds a question by its name, and lists those of the package without an agent', async () => {
    agent.answers['GET /v1/questions'] = [{ name: 'mine', asks: 'a?', sql: 'select 2' }];
    expect(await questionOf(agent.directory, 'mine')).toBe('select 2');
    await expect(questionOf(agent.directory, 'mime')).rejects.toThrow('no prepared query is called mime; did you mean mine?');
    await expect(questionOf(agent.directory, 'something else')).rejects.toThrow(/is called something else$/);
    expect((await agent.run((directory) => listQuestions(directory, 'csv'))).out).toBe('name,asks,sql\nmine,a?,select 2\n');
    delete agent.answers['GET /v1/questions'];
    expect((await agent.run((directory) => listQuestions(directory, 'csv'))).out.split('\n').length).toBeGreaterThan(10);
  });

  it('describes the tables', async () => {
    const all = (await agent.run(() => listTables('csv'))).out.split('\n');
    expect([all[0], all.slice(1, -1).toSorted().join()]).toEqual(['table,scope,description', all.slice(1, -1).join()]);
    const file = (await agent.run(() => showTable('file', 'table'))).out;
    expect(file).toMatch(/needs a constraint: .*path = '…', path LIKE '\/…%'/);
    expect(file).toMatch(/per machine: the query goes to the members concerned/);
    expect((await agent.run(() => showTable('nodes', 'table'))).out).toMatch(/replicated: answered by this agent alone/);
    expect((await agent.run(() => showTable('nodes', 'csv'))).out.split('\n')[0]).toBe('column,type,description');
    expect(() => showTable('noeds', 'table')).toThrow('no table is called noeds; did you mean nodes?');
  });
});

describe('kalos recover', () => {
  const view = (given: Record<string, unknown> = {}) => ({
    coordinator: null,
    members: [
      { node: 'ada', state: 'alive', voted: true, decided: 7 },
      { node: 'bob', state: 'down', voted: true, decided: 9 },
    ],
    suggested: 'ada',
    lost: 0,
    ...given,
  });
  const run = async (given: Record<string, unknown> = {}, options: { on?: string; yes?: boolean } = {}) => {
    agent.answers['GET /v1/recovery'] = view(given);
    return agent.run((dir) => recover({ dir, rootKey: [], yes: false, ...options }));
  };

  it('does nothing where the swarm has a leader, and asks first otherwise', async () => {
    expect(await run({ coordinator: 'eve' })).toEqual({
      code: EXIT.ok,
      out: 'the leader is eve: nothing to recover\n',
      err: '',
    });
    const first = await run();
    expect([first.code, first.out]).toEqual([EXIT.pending, expect.stringContaining('repeat the command with --yes')]);
    expect(linesOf(first.out).slice(1, 3)).toEqual(['ada *  alive  yes  7', 'bob  down  yes  9']);
    expect([first.out.includes('are lost'), (await run({ lost: 2 })).out.includes('had 2 decisions more')]).toEqual([
      false,
      true,
    ]);
    expect(agent.asked.every(({ method }) => method === 'GET')).toBe(true);
  });

  it('begins with one that is there', async () => {
    await expect(run({ suggested: null })).rejects.toThrow('no member is reachable');
    await expect(run({}, { on: 'bob' })).rejects.toThrow('no reachable member is called bob');
    await expect(run({}, { on: 'eve' })).rejects.toThrow('no reachable member is called eve');
    agent.answers['POST /v1/root/draft'] = { kind: 'recovery', body: '', toSign: '', needed: 1, atHand: 1 };
    agent.answers['POST /v1/root/commit'] = {};
    agent.answers['GET /v1/nova'] = { coordinator: 'ada', term: 9 };
    const done = await run({}, { yes: true });
    expect([done.code, linesOf(done.out).at(-2)]).toEqual([EXIT.ok, 'leader ada, term 9; see: kalos nova status']);
    expect(agent.asked.find(({ path }) => path === '/v1/root/draft')?.body).toEqual({ kind: 'recovery', member: 'ada' });
  });
});

describe('kalos budget and grant', () => {
  it('send what they are told in ms, for one machine or each', async () => {
    agent.answers['POST /v1/budgets'] = { index: 4 };
    agent.answers['POST /v1/budgets/lift'] = { index: 5 };
    const options = { dir: agent.directory, each: false, changes: 3, within: 600_000, reason: 'calm' };
    expect((await agent.run(() => setBudget('ada', options))).out).toMatch(/^decision 4: 3 changes in 10 min/);
    expect(asked()?.body).toEqual({ of: { node: 'ada' }, changes: 3, withinMs: 600_000, reason: 'calm' });
    await agent.run(() => setBudget(undefined, { ...options, each: true }));
    expect(asked()?.body).toMatchObject({ of: { each: true } });
    await agent.run(() => liftBudget('ada', options));
    expect(asked()?.body).toEqual({ of: { node: 'ada' }, reason: 'calm' });
    await expect(setBudget(undefined, options)).rejects.toThrow('name one machine, or give --each');
    await expect(setBudget('ada', { ...options, each: true })).rejects.toThrow('name one machine, or give --each');
    agent.answers['POST /v1/grants'] = { index: 6 };
    const grant = { dir: agent.directory, node: 'ada', tool: 't.x', target: 'web', for: 7_200_000, reason: 'y' };
    await agent.run(() => give('act', grant));
    expect(asked()?.body).toEqual({ effect: 'act', node: 'ada', tool: 't.x', target: 'web', reason: 'y', forMs: 7_200_000 });
    await agent.run(() => give('approve', { ...grant, uses: 3, within: 3_600_000 }));
    expect(asked()?.body).toMatchObject({ effect: 'approve', uses: 3, withinMs: 3_600_000 });
  });

  it('are listed', async () => {
    const atMs = Date.UTC(2030, 0, 2, 3, 4);
    agent.answers['GET /v1/budgets'] = {
      budgets: [{ node: null, changes: 3, withinMs: 600_000, atMs, by: 'eve', reason: 'calm' }],
    };
    expect((await agent.run((directory) => listBudgets(directory, 'csv'))).out.split('\n')[1]).toBe(
      'all other machines,3,10 min,2030-01-02T03:04:00.000Z,eve,calm',
    );
    const one = { id: 'a'.repeat(32), node: 'ada', tool: 't.x', uses: 3, withinMs: 7_200_000, untilMs: atMs, reason: 'y' };
    agent.answers['GET /v1/grants'] = {
      grants: [
        { ...one, effect: 'approve', target: 'web' },
        { ...one, effect: 'deny', target: null },
      ],
    };
    expect((await agent.run((directory) => list(directory, 'csv'))).out.split('\n').slice(1, 3)).toEqual([
      'aaaaaaaa,approve 3 in 2 h,ada,t.x,web,2030-01-02T03:04:00.000Z,y',
      'aaaaaaaa,deny,ada,t.x,anything,2030-01-02T03:04:00.000Z,y',
    ]);
  });
});

describe('kalos nova and log', () => {
  const nova = (given: Record<string, unknown> = {}) => ({
    ...{ read: 'lease', index: 9, term: 3, coordinator: 'ada', seat: 'voter', roster: { epoch: 2, members: 3, isSame: true } },
    ...{ committee: [{ node: 'ada', seat: 'voter', leads: true, behind: 0 }], vouchedFor: null, paused: [], drained: [] },
    ...{ silences: [], leases: [], placements: [], quarantined: [], ...given },
  });
  const run = async (given: Record<string, unknown> = {}) => {
    agent.answers['POST /v1/nova/read'] = nova(given);
    return agent.run((directory) => novaStatus(directory, 'lease', 'table'));
  };

  it('say who coordinates, or end with a code of its own', async () => {
    const led = await run();
    expect([led.code, linesOf(led.out).slice(0, 6)]).toEqual([
      EXIT.ok,
      [
        'leader ada, term 3',
        'this agent: voter',
        'roster epoch 2: 3 members, same as here',
        '',
        'NODE  SEAT  LEADER  BEHIND',
        'ada  voter  yes  0',
      ],
    ]);
    expect(linesOf(led.out).at(-2)).toBe('as of decision 9, term 3, read lease');
    const alone = await run({ coordinator: null, roster: { epoch: 2, members: 3, isSame: false } });
    expect([alone.code, linesOf(alone.out)[0], alone.out.includes('differs from this agent’s roster')]).toEqual([
      EXIT.noQuorum,
      'the swarm has no leader',
      true,
    ]);
    expect((await run({ roster: null })).out).not.toContain('roster');
  });

  it('show what is decided and holds, and nothing where nothing does', async () => {
    expect(linesOf((await run()).out).filter((line) => line.startsWith('SERVICE') || line.startsWith('PAUSED'))).toEqual([]);
    const { out } = await run({
      placements: [{ service: 'db', node: null, fence: 4, sinceMs: 0, reason: 'x' }],
      paused: [{ node: 'bob', atMs: 0, reason: 'moved' }],
      vouchedFor: { index: 8, signatures: 2, voters: ['c', 'a', 'b'] },
    });
    expect(linesOf(out)).toEqual(
      expect.arrayContaining([
        'db  none  4  1970-01-01 00:00:00  x',
        'bob  1970-01-01 00:00:00  moved',
        'decision 8 is signed by 2 of 3 voters: a, b, c',
      ]),
    );
  });

  it('list decisions, and show one', async () => {
    agent.answers['POST /v1/log'] = {
      read: 'local',
      index: 9,
      term: 3,
      decisions: [{ index: 8, term: 3, atMs: 0, by: 'ada', kind: 'pause', id: 'i', what: 'it rests' }],
    };
    const run = (format: 'table' | 'csv') => agent.run((directory) => logTail(directory, 'local', 5, format));
    expect(linesOf((await run('table')).out).slice(1)).toEqual([
      '8  3  1970-01-01 00:00:00  ada  it rests',
      'as of decision 9, term 3, read local',
      '',
    ]);
    expect((await run('csv')).out.split('\n')[1]).toBe('8,3,1970-01-01T00:00:00.000Z,ada,pause,i,it rests');
    expect(asked()?.body).toEqual({ read: 'local', limit: 5 });
    agent.answers['POST /v1/log/8'] = {
      read: 'local',
      index: 8,
      term: 3,
      what: 'it rests',
      decision: { kind: 'pause', by: 'ada' },
    };
    expect(linesOf((await agent.run((directory) => logShow(directory, '8', 'local', 'table'))).out).slice(0, 3)).toEqual([
      'it rests',
      'kind  pause',
      'by  ada',
    ]);
    agent.answers['POST /v1/drain'] = { index: 3 };
    await agent.run((directory) => drain(directory, 'ada', 7_200_000, 'disk'));
    expect(asked()?.body).toEqual({ node: 'ada', forMs: 7_200_000, reason: 'disk' });
  });
});

describe('kalos status', () => {
  const member = (state: string, nth: number) => ({ name: `m${nth}`, state, role: 'member', peer: `p${nth}` });
  const answer = (states: string[], given: Record<string, unknown> = {}) => ({
    ...{
      name: 'ada',
      mode: 'act',
      uptimeMs: 1_000,
      version: '1',
      swarmId: 'abcdef0123',
      metrics: { 'system.cpu.utilization': 0.256 },
    },
    ...{
      conditions: { Ready: 'True' },
      page: null,
      members: states.map(member),
      coordinator: 'ada',
      term: 2,
      services: [],
      twin: null,
    },
    ...{ refusal: null, halted: null, approvals: [], unseen: [], openIncidents: [], auditRecords: 1, ...given },
  });
  const run = async (states: string[], given: Record<string, unknown> = {}) => {
    agent.answers['GET /v1/status'] = answer(states, given);
    return agent.run((directory) => status(directory, 'table'));
  };

  it.each([
    [['alive'], {}, EXIT.ok],
    [['alive', 'left', 'joining'], {}, EXIT.noQuorum],
    [['alive', 'alive', 'left'], {}, EXIT.ok],
    [['alive', 'alive', 'down'], {}, EXIT.degraded],
    [['alive', 'alive', 'unreachable', 'unreachable'], {}, EXIT.noQuorum],
    [['alive', 'down'], {}, EXIT.degraded],
    [['alive', 'alive'], { conditions: { Ready: 'False' } }, EXIT.degraded],
    [['alive', 'alive'], { conditions: { Ready: 'Unknown' } }, EXIT.ok],
  ])('of members that are %o, %o, ends with %i', async (states, given, code) => {
    expect((await run(states, given)).code).toBe(code);
  });

  it('shows what there is', async () => {
    const plain = (await run(['alive'])).out;
    expect(plain).toContain('cpu 26 %  memory unknown (unknown available)  load unknown');
    expect(linesOf(plain).at(-2)).toBe('m0  alive  member  p0');
    const { out } = await run(['alive'], {
      ...{
        coordinator: undefined,
        uncoordinated: 'half is gone',
        twin: 'twins!',
        refusal: 'No space left on device',
        halted: 'stop',
        page: 'http://x',
      },
      services: [{ name: 'web', state: 'exited', pid: null, health: 'unknown', why: 'exited with status 1' }],
      approvals: [{ id: 'p1', incident: 'inc-1', diff: ['a', 'b'] }],
      unseen: [{ name: 'mount', reason: 'gone' }],
      openIncidents: [{ id: 'inc-2', state: 'open', target: 'web', summary: 'down' }],
    });
    for (const words of [
      'the swarm has no leader: half is gone',
      'twins!',
      'refuses writes: No space left on device',
      'free space there',
      'Actions are halted: stop',
      'web UI http://x',
      'exited with status 1',
      'a; b',
      'declared but unavailable: mount: gone',
      'inc-2',
    ])
      expect(out).toContain(words);
  });
});

describe('kalos policy', () => {
  const known = [
    { policy: { ...shippedPolicies()[1], name: 'first' }, origin: 'shipped' },
    { policy: { ...shippedPolicies()[1], name: 'second', enabled: false, remedy: [] }, origin: 'live' },
  ];
  beforeEach(() => {
    agent.answers['GET /v1/policies'] = known;
    agent.answers['POST /v1/policies'] = { applied: ['mine'] };
    agent.answers['GET /v1/tools'] = [{ name: 'service.restart', kind: 'change', input: { properties: {} } }];
  });
  const options = () => ({ dir: agent.directory, output: 'csv' as const });

  it('are listed with what they do, and whether they are in force', async () => {
    const rows = (await agent.run(() => listPolicies(options()))).out.split('\n').map((line) => line.split(',').slice(0, 5));
    expect(rows.slice(1, 3)).toEqual([
      ['first', 'service', 'critical', 'service.start', 'shipped'],
      ['second', 'service', 'disabled', '', 'live'],
    ]);
  });

  it('are switched, and added with an action or an alert', async () => {
    await agent.run(() => switchPolicy(options(), 'first', false));
    expect(asked()?.body).toMatchObject({ policies: [{ name: 'first', enabled: false }] });
    await expect(switchPolicy(options(), 'frist', false)).rejects.toThrow('no policy is called frist; did you mean first?');
    const add = (name: string, action: string[], more = {}) =>
      agent.run(() => addPolicy({ dir: agent.directory, scope: 'service', severity: 'warning', ...more }, name, 'true', action));
    await add('mine', ['service.restart'], { for: 2_000 });
    expect(asked()?.body).toEqual({
      policies: [
        {
          name: 'mine',
          scope: 'service',
          severity: 'warning',
          when: 'true',
          for_s: 2,
          summary: 'true',
          remedy: [{ do: [{ tool: 'service.restart' }] }],
        },
      ],
    });
    for (const action of [[], ['alert']]) {
      await add('mine', action, { summary: 'words' });
      expect(asked()?.body).toMatchObject({ policies: [{ for_s: 0, summary: 'words', remedy: [] }] });
    }
    await expect(add('second', [])).rejects.toThrow('policy "second" exists already (live)');
  });

  it('are pushed, and followed until they are everywhere or taken back', async () => {
    const file = join(agent.directory, 'p.toml');
    writeFileSync(file, '[[policy]]\nname = "a"\nwhen = "true"\nsummary = "s"\n');
    agent.answers['POST /v1/bundles'] = { index: 3, bundle: 'b1', canary: ['ada'] };
    const push = (wait: boolean) => agent.run(() => pushPolicies({ dir: agent.directory, soak: 5_000, findings: 1, wait }, file));
    expect((await push(false)).out).toBe('decision 3: canaries ada for 5 s\n');
    expect(asked()?.body).toMatchObject({ policies: [{ name: 'a' }], soakMs: 5_000, findings: 1 });
    const none = { good: null, before: null, candidate: null };
    agent.answers['GET /v1/bundles'] = { ...none, ended: { id: 'b1', outcome: 'good', reason: '' } };
    expect(linesOf((await push(true)).out)[1]).toBe('active on all members');
    agent.answers['GET /v1/bundles'] = { ...none, ended: { id: 'b1', outcome: 'back', reason: 'it hurt' } };
    await expect(push(true)).rejects.toThrow('it hurt');
    const one = { id: 'b'.repeat(32), by: 'eve', policies: ['p', 'q'] };
    agent.answers['GET /v1/bundles'] = {
      ...{ good: one, before: null, ended: null },
      candidate: {
        ...one,
        phase: 'canary',
        turn: ['ada'],
        sinceMs: 0,
        done: ['bob'],
        reports: [
          { node: 'bob', ok: true, reason: '' },
          { node: 'cy', ok: false, reason: 'hurt' },
        ],
      },
    };
    expect(linesOf((await agent.run((directory) => showBundle(directory, 'table'))).out)).toEqual([
      'active  bbbbbbbb of eve: p, q',
      `rolling  bbbbbbbb of eve: p, q: canary, ada since ${when(0)}`,
      'done on bob',
      'bob: healthy',
      'cy: hurt',
      '',
    ]);
  });
});
