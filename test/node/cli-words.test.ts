// What commands say of an agent's answers, and with which code they end: people, machines and scripts read them.
import { beforeEach, describe, expect, it } from 'vitest';
import { act, answerApproval, showTools, silence } from '../../node/cli/act.ts';
import { EXIT } from '../../node/cli/exit-codes.ts';
import { runExplain, showRecording } from '../../node/cli/explain.ts';
import { createToken, listMembers, listTokens, showMember, signedByRoot } from '../../node/cli/members.ts';
import { cases, conditions, history } from '../../node/cli/show.ts';
import { when } from '../../node/cli/times.ts';
import type { MemberRow } from '../../node/link/membership-admin.ts';
import { INSPECT } from '../../node/query/inspectors.ts';
import { fakeAgent, linesOf } from '../support/fake-agent.ts';

const agent = fakeAgent();

const member = (given: Partial<MemberRow> = {}): MemberRow => ({
  name: 'ada',
  peer: 'peer-of-ada',
  state: 'alive',
  role: 'member',
  issuer: false,
  deputy: false,
  coordinator: false,
  heardMs: 500,
  version: '0.4.0',
  address: '10.0.0.1:7700',
  certificateUntilMs: Date.UTC(2030, 0, 2, 3, 4, 5),
  accusedBy: [],
  twin: null,
  unhealthy: [],
  pausedSinceMs: null,
  drainedUntilMs: null,
  ...given,
});

describe('kalos members', () => {
  const list = async (members: MemberRow[], all = false, format: 'table' | 'csv' | 'json' = 'table') => {
    agent.answers['GET /v1/members/all'] = members;
    return agent.run((directory) => listMembers(directory, all, format));
  };

  it.each([
    [{}, 'alive', EXIT.ok],
    [{ state: 'left' }, 'stopped', EXIT.ok],
    [{ state: 'joining' }, 'joining', EXIT.ok],
    [{ state: 'unreachable' }, 'unreachable', EXIT.degraded],
    [{ state: 'down' }, 'down', EXIT.degraded],
    [{ pausedSinceMs: 1 }, 'alive, paused', EXIT.ok],
    [{ drainedUntilMs: 1 }, 'alive, drained', EXIT.ok],
    [{ unhealthy: ['DiskPressure=True'] }, 'alive, unhealthy', EXIT.ok],
    [{ state: 'down', pausedSinceMs: 1, drainedUntilMs: 1, unhealthy: ['a'] }, 'down, paused, drained, unhealthy', EXIT.degraded],
  ] as [Partial<MemberRow>, string, number][])('of %o shows "%s"', async (given, status, code) => {
    const { out, code: ended } = await list([member(given)], false, 'csv');
    expect(out.split('\n')[1]).toContain(status.includes(',') ? `"${status}"` : `,${status},`);
    expect(ended).toBe(code);
  });

  it('leaves out who was removed unless all are wanted, and warns of a twin', async () => {
    const members = [member(), member({ name: 'bob', state: 'removed' })];
    expect((await list(members)).out).not.toContain('bob');
    expect((await list(members, true)).out).toContain('bob');
    const twin = await list([member({ twin: 'two agents have this key: at 10.0.0.1 and 10.0.0.2' })]);
    expect([twin.code, twin.err]).toEqual([EXIT.degraded, 'two agents have this key: at 10.0.0.1 and 10.0.0.2\n']);
    expect((await list([member({ twin: 'two' })], false, 'json')).err).toBe('');
  });

  it.each([
    [{}, 'member'],
    [{ issuer: true }, 'member, issuer'],
    [{ issuer: true, deputy: true }, 'member, deputy issuer'],
    [{ coordinator: true, role: 'committee' }, 'committee, leader'],
  ] as [Partial<MemberRow>, string][])('says of %o the role "%s"', async (given, role) => {
    expect((await list([member(given)])).out).toContain(role);
  });

  it.each([
    [null, 'never'],
    [999, 'now'],
    [61_000, 'ago'],
  ])('says when one was heard: %s is "%s"', async (heardMs, words) => {
    expect((await list([member({ heardMs })])).out).toContain(words);
  });

  it('shows one with what keeps it from being used, and into whom it may look', async () => {
    const grant = (target: string | null, effect: string, node = 'ada', tool = INSPECT) => ({ node, tool, target, effect });
    agent.answers['GET /v1/members/ada'] = member({
      state: 'left',
      accusedBy: ['bob', 'eve'],
      pausedSinceMs: Date.UTC(2030, 0, 1),
      drainedUntilMs: Date.UTC(2030, 0, 2),
      unhealthy: ['DiskPressure=True'],
      address: '',
      version: '',
    });
    agent.answers['GET /v1/grants'] = {
      grants: [grant('bob', 'act'), grant('x', 'act', 'bob'), grant('x', 'act', 'ada', 'service.start'), grant('eve', 'deny')],
    };
    const { out, code } = await agent.run((directory) => showMember(directory, 'ada', 'table'));
    expect(linesOf(out)).toEqual([
      'ada  stopped, paused, drained, unhealthy; unreachable from bob, eve',
      'stopped  cleanly, now; it stays a member',
      `paused  since ${when(Date.parse('2030-01-01T00:00:00Z'))}`,
      `drained  until ${when(Date.parse('2030-01-02T00:00:00Z'))}`,
      'unhealthy  DiskPressure=True',
      'peer  peer-of-ada',
      'role  member',
      'inspects  bob; denied: eve',
      'heard  now',
      'address  unknown',
      'version  unknown',
      `certificate  until ${when(Date.parse('2030-01-02T03:04:05Z'))}`,
      '',
    ]);
    expect(code).toBe(EXIT.degraded);
    agent.answers['GET /v1/members/ada'] = member({ issuer: true });
    agent.answers['GET /v1/grants'] = { grants: [] };
    const issuer = await agent.run((directory) => showMember(directory, 'ada', 'table'));
    expect([issuer.code, issuer.out]).toEqual([EXIT.ok, expect.stringContaining('all members, as an issuer')]);
    agent.answers['GET /v1/members/ada'] = member({ issuer: true, deputy: true });
    const deputy = await agent.run((directory) => showMember(directory, 'ada', 'table'));
    expect(deputy.out).toMatch(/a deputy issuer: it admits members[\s\S]*no other member/);
    await expect(agent.run((directory) => showMember(directory, '', 'table'))).rejects.toThrow('no member is called ""');
  });
});

describe('kalos token', () => {
  it('says for whom a token is, and that others cannot reach this agent', async () => {
    const options = { role: 'member', ttl: 3_600_000, uses: 2, quiet: false } as const;
    agent.answers['POST /v1/tokens'] = { token: 'kalos1.x', reachable: true };
    const made = await agent.run((directory) => createToken(directory, options, 'table'));
    expect([made.out, made.err]).toEqual(['kalos1.x\n', expect.stringContaining('valid for 2 machines and')]);
    expect(agent.asked[0]?.body).toEqual({ role: 'member', ttlMs: 3_600_000, uses: 2 });
    agent.answers['POST /v1/tokens'] = { token: 'kalos1.x', reachable: false };
    expect((await agent.run((directory) => createToken(directory, options, 'table'))).err).toContain('listens on loopback only');
    const quiet = await agent.run((directory) => createToken(directory, { ...options, quiet: true }, 'table'));
    expect([quiet.out, quiet.err]).toEqual(['kalos1.x\n', '']);
    const json = await agent.run((directory) => createToken(directory, options, 'json'));
    expect(JSON.parse(json.out)).toMatchObject({ token: 'kalos1.x', uses: 2 });
  });

  it('lists them as open, used or expired', async () => {
    const token = (id: string, inMs: number, usesLeft: number) => ({
      id,
      role: 'member',
      expiresMs: Date.now() + inMs,
      usesLeft,
      redeemedBy: [],
    });
    agent.answers['GET /v1/tokens'] = [token('a', 60_000, 1), token('b', 60_000, 0), token('c', -1, 1)];
    const { out } = await agent.run((directory) => listTokens(directory, 'table'));
    expect(
      linesOf(out)
        .slice(1, 4)
        .map((line) => line.split('  ').slice(0, 3).join(' ')),
    ).toEqual(['a member open', 'b member used', 'c member expired']);
  });

  it('counts the root keys that sign', async () => {
    agent.answers['POST /v1/root/draft'] = { kind: 'issuer', body: '00', toSign: '00', needed: 2, atHand: 1 };
    const sign = () => signedByRoot(agent.directory, { kind: 'issuer', member: 'ada' }, []);
    await expect(sign()).rejects.toThrow('2 root keys must sign, 1 available');
    agent.answers['POST /v1/root/draft'] = { kind: 'issuer', body: '00', toSign: '00', needed: 2, atHand: 2 };
    agent.answers['POST /v1/root/commit'] = {};
    await sign();
    expect(agent.asked.at(-1)).toMatchObject({ path: '/v1/root/commit', body: { kind: 'issuer', body: '00', signatures: [] } });
  });
});

const TOOLS = [
  {
    name: 'service.restart',
    kind: 'change',
    version: 1,
    description: 'stops and starts a service',
    capability: 'service',
    risks: ['R1', 'R2'],
    input: { properties: { tool: { const: 'x' }, service: { type: 'string' } }, required: ['tool', 'service'] },
    blastRadius: 'who uses it',
    verification: { condition: 'service-well', stableMs: 1_000, windowMs: 20_000 },
    timeoutMs: 30_000,
    rate: { uses: 3, withinMs: 300_000 },
  },
  {
    name: 'net.block',
    kind: 'read',
    version: 2,
    description: 'blocks',
    capability: 'none',
    risks: ['R0'],
    input: {
      properties: { address: { type: 'array' }, proto: { enum: ['tcp', 'udp'], default: 'tcp' }, any: {} },
      required: ['address'],
    },
  },
];

describe('kalos tools and act', () => {
  beforeEach(() => {
    agent.answers['GET /v1/tools'] = TOOLS;
  });
  const answer = (given: Record<string, unknown>) => ({
    result: 'confirmed',
    detail: 'it runs',
    plan: 'act-1',
    diff: ['a → b'],
    risk: 'R1',
    undo: 'service.stop',
    ...given,
  });
  const acting = async (words: string[], given: Record<string, unknown> = {}) => {
    agent.answers['POST /v1/actions'] = answer(given);
    return agent.run((directory) => act(directory, words, { dryRun: false, reason: 'because' }, 'table'));
  };

  it('describe a tool with its arguments and its limits', async () => {
    const one = await agent.run((directory) => showTools(directory, 'service.restart', 'table'));
    expect(linesOf(one.out)).toEqual([
      'service.restart  version 1, risk R1 or R2',
      'stops and starts a service',
      'arguments  service=string',
      'needs  a rule of the actuator policy: service',
      'blast radius  who uses it',
      'verification  service-well, for 1 s, within 20 s',
      'limits  30 s; 3 uses on a target in 5 min',
      '',
    ]);
    const other = await agent.run((directory) => showTools(directory, 'net.block', 'table'));
    expect(linesOf(other.out).slice(2)).toEqual([
      'arguments  address=array [proto=tcp|udp, default tcp] [any=…]',
      'needs  nothing',
      '',
    ]);
    expect((await agent.run((directory) => showTools(directory, undefined, 'table'))).out.split('\n').length).toBe(4);
    await expect(agent.run((directory) => showTools(directory, 'service.restrat', 'table'))).rejects.toThrow(
      'no tool is called service.restrat; did you mean service.restart?',
    );
  });

  it('send a plan of calls, lists as lists', async () => {
    await acting(['service.restart', 'service=web', '+', 'net.block', 'address=a', 'address=b', 'proto=udp']);
    expect(agent.asked.at(-1)?.body).toEqual({
      calls: [
        { tool: 'service.restart', service: 'web' },
        { tool: 'net.block', address: ['a', 'b'], proto: 'udp' },
      ],
      dryRun: false,
      reason: 'because',
    });
    for (const words of [
      ['service.restart', 'web'],
      ['service.restart', 'service=a', 'service=b'],
      ['service.restart', '=x'],
    ])
      await expect(acting(words)).rejects.toThrow('is not key=value, or repeats a key');
  });

  it.each([
    ['confirmed', EXIT.ok],
    ['dry-run', EXIT.ok],
    ['read', EXIT.ok],
    ['refused', EXIT.refused],
    ['escalate', EXIT.refused],
    ['shown', EXIT.refused],
    ['undone', EXIT.error],
    ['failed', EXIT.error],
  ])('end by the result: %s with %i', async (result, code) => {
    expect((await acting(['service.restart', 'service=web'], { result, value: {} })).code).toBe(code);
  });

  it('say what was done, and what undoes it', async () => {
    const words = ['service.restart', 'service=web'];
    expect(linesOf((await acting(words)).out)).toEqual([
      'confirmed  it runs  (act-1)',
      'a → b',
      'risk R1; undone by: service.stop',
      '',
    ]);
    for (const undo of ['', 'nothing undoes it', 'nothing was changed'])
      expect(linesOf((await acting(words, { undo, plan: '' })).out)).toEqual([
        'confirmed  it runs',
        'a → b',
        'risk R1; cannot be undone',
        '',
      ]);
    expect(linesOf((await acting(words, { risk: 'R0' })).out)[2]).toBe('risk R0');
    expect((await acting(words, { result: 'read', detail: 'limits', value: { nofile: 4 } })).out).toBe('limits:\n  nofile: 4\n');
  });
});

describe('kalos approve and silence', () => {
  it('list what waits, and end with a code of its own then', async () => {
    agent.answers['GET /v1/status'] = { approvals: [], silences: [] };
    const none = await agent.run((directory) => answerApproval(directory, undefined, 'approved', 'table'));
    expect([none.code, none.out]).toEqual([EXIT.ok, 'no pending approvals\n']);
    agent.answers['GET /v1/status'] = { approvals: [{ id: 'p1', incident: 'inc-1', diff: ['a', 'b'] }] };
    const one = await agent.run((directory) => answerApproval(directory, undefined, 'approved', 'table'));
    expect([one.code, linesOf(one.out)[1]]).toEqual([EXIT.pending, 'p1  inc-1  a; b']);
    agent.answers['POST /v1/approvals/p1'] = {};
    expect((await agent.run((directory) => answerApproval(directory, 'p1', 'rejected', 'table'))).out).toBe('p1 rejected\n');
    expect(agent.asked.at(-1)?.body).toEqual({ answer: 'rejected' });
  });

  it('add, list and lift silences, the swarm’s by their own way', async () => {
    const run = (options: Partial<Parameters<typeof silence>[1]>) =>
      agent.run((directory) => silence(directory, { reason: 'x', ...options }, 'table'));
    agent.answers['GET /v1/status'] = { silences: [] };
    agent.answers['GET /v1/nova'] = { silences: [] };
    expect((await run({})).out).toBe('no silences\n');
    agent.answers['GET /v1/nova'] = { silences: [{ id: 's2', policy: null, target: 'web', untilMs: 0, reason: 'moved' }] };
    expect(linesOf((await run({})).out)[1]).toBe(`s2  all  web  all machines  ${when(0)}  moved`);
    agent.answers['POST /v1/silences'] = { id: 's1', untilMs: 0 };
    expect((await run({ policy: 'p', for: 1_000 })).out).toBe(`s1 until ${when(0)}\n`);
    await expect(run({ target: 'web' })).rejects.toThrow('a silence needs a duration');
    agent.answers['POST /v1/swarm-silences'] = { index: 7 };
    expect((await run({ target: 'web', for: 1_000, everywhere: true })).out).toBe(
      'decision 7: silenced on all machines; see: kalos log show 7\n',
    );
    agent.answers['POST /v1/silences/s1/lift'] = {};
    expect((await run({ lift: 's1' })).out).toBe('s1 is removed\n');
    agent.answers['POST /v1/swarm-silences/lift'] = {};
    await run({ lift: 'a'.repeat(32) });
    expect(agent.asked.at(-1)).toMatchObject({ path: '/v1/swarm-silences/lift', body: { silence: 'a'.repeat(32) } });
  });
});

describe('kalos conditions, cases and history', () => {
  it('list conditions, and end degraded where the machine is not ready', async () => {
    agent.answers['GET /v1/status'] = { conditions: { Ready: 'True', DiskPressure: 'True' }, openIncidents: [], unseen: [] };
    const fine = await agent.run((directory) => conditions(directory, 'table'));
    expect([fine.code, linesOf(fine.out).slice(1, 3)]).toEqual([EXIT.ok, ['Ready  True', 'DiskPressure  True']]);
    agent.answers['GET /v1/status'] = {
      conditions: { Ready: 'False' },
      openIncidents: [{ id: 'inc-1', summary: 'exited', target: 'web' }],
      unseen: [{ name: 'mount /x', reason: 'gone' }],
    };
    const bad = await agent.run((directory) => conditions(directory, 'wide'));
    expect([bad.code, linesOf(bad.out).slice(2, 4)]).toEqual([
      EXIT.degraded,
      ['inc-1  exited: web', 'unavailable  mount /x: gone'],
    ]);
    expect((await agent.run((directory) => conditions(directory, 'csv'))).out).not.toContain('unseen');
  });

  it('list cases of a policy, and say where there is none of that name', async () => {
    const one = (policy: string, worked: boolean) => ({
      id: 'c',
      incident: 'inc-1',
      policy,
      target: 'web',
      tools: 't',
      plan: 'start',
      worked,
      atMs: 0,
      features: [],
    });
    agent.answers['GET /v1/cases'] = [one('a', true), one('b', false)];
    agent.answers['GET /v1/policies'] = [{ policy: { name: 'empty' }, origin: 'own' }];
    const run = (policy?: string) => agent.run((directory) => cases(directory, policy, 'table'));
    expect(
      linesOf((await run()).out)
        .slice(1, 3)
        .map((line) => line.split('  ').at(-1)),
    ).toEqual(['helped', 'did not help']);
    expect((await run('b')).out).not.toContain('did not help\ninc');
    expect((await run('empty')).code).toBe(EXIT.ok);
    await expect(run('emtpy')).rejects.toThrow('no policy is called emtpy; did you mean empty?');
  });

  it('show series by parts of their names', async () => {
    agent.answers['GET /v1/series'] = ['cpu', 'memory'];
    agent.answers['GET /v1/series/cpu'] = { fine: { values: [1, null, 3, 2] } };
    const { out } = await agent.run((directory) => history(directory, ['cp'], 'csv'));
    const [, series = ''] = out.split('\n');
    expect(series.split(',').filter((_, nth) => nth !== 1)).toEqual(['cpu', '1', '2', '3', '2', '']);
    await expect(agent.run((directory) => history(directory, ['disk'], 'csv'))).rejects.toThrow('no series name contains disk');
  });
});

describe('kalos explain', () => {
  const explanation = (given: Record<string, unknown> = {}) => ({
    incident: {
      id: 'inc-1',
      summary: 'exited',
      target: 'web',
      nodeName: 'ada',
      severity: 'critical',
      policy: 'p',
      state: 'acting',
      outcome: '',
      openedMs: 1_000,
      closedMs: 0,
      steps: [{ atMs: 1_500, stage: 'detect', text: 'it exited', data: { z: 1.23456, n: 3, text: 'x'.repeat(41) } }],
    },
    source: 'local',
    certificate: { present: false },
    ...given,
  });
  const explain = async (given: Record<string, unknown> = {}) => {
    agent.answers['GET /v1/incidents/inc-1/explanation'] = explanation(given);
    return linesOf((await agent.run((directory) => runExplain(directory, 'inc-1', 'table'))).out);
  };

  it('tells an incident step by step', async () => {
    expect(await explain()).toEqual([
      'inc-1  exited: web',
      'on ada, severity critical, policy p',
      'acting',
      '',
      `${when(1_000)}  +0.500 s  detect  it exited`,
      `z=1.235  n=3  text=${'x'.repeat(16)}…`,
      '',
      'Certificate: none',
      '',
    ]);
  });

  it('says how it ended, who told it, and what a certificate is worth', async () => {
    const { incident } = explanation();
    const told = await explain({
      incident: { ...incident, closedMs: 3_500, outcome: 'it helped' },
      source: 'witness',
      toldBy: 'bob',
      certificate: { present: true, valid: true, detail: '3 of 4', witnesses: ['bob', 'eve'] },
      ownVote: { verdict: 'yes', reason: 'port-refused', confidence: 90 },
    });
    expect(told[1]).toContain('does not answer; from its witness bob, signed by that node');
    expect(told[2]).toBe('it helped after 2.50 s');
    expect(told.slice(-3)).toEqual([
      'Certificate, checked by this agent: valid: 3 of 4 (bob, eve)',
      'This agent’s own vote: yes (port-refused, 90 %)',
      '',
    ]);
    expect(
      (await explain({ source: 'remote', certificate: { present: true, valid: false, detail: 'x', witnesses: [] } })).join('\n'),
    ).toMatch(/reported by that node[\s\S]*NOT valid/);
  });

  it('shows of a recording what moved most first', async () => {
    agent.answers['GET /v1/incidents/inc-1/recording'] = {
      metrics: { still: [5, 5], small: [100, 110], large: [1, 9], once: [3] },
      top: [{ atMs: 1_000, cpu: [[7, 'web', 1.5]], memory: [[7, 'web', 0, 1_048_576]] }],
    };
    const out = linesOf((await agent.run((directory) => showRecording(directory, 'inc-1', 'table'))).out);
    expect(out.slice(1, 4).map((line) => line.split('  ')[0])).toEqual(['large', 'small', 'still']);
    expect(out.at(-2)).toBe(`${when(1_000)}  web (7) 1.5  web (7) 1.0 MiB`);
  });
});
