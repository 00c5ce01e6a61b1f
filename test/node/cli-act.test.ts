// What `kalos tools`, `act`, `rollback`, `approve`, `silence`, `stop-all` and `resume` send to an agent, and the whole of what they print.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { act, answerApproval, resume, rollback, showTools, silence, stopAll } from '../../node/cli/act.ts';
import { EXIT } from '../../node/cli/exit-codes.ts';
import { when } from '../../node/cli/times.ts';
import { fakeAgent, linesOf } from '../support/fake-agent.ts';

const agent = fakeAgent();
const directory = mkdtempSync(join(tmpdir(), 'kalos-act-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const tool = (name: string, given: Record<string, unknown> = {}) => ({
  ...{ name, kind: 'change', version: 3, description: 'does it', capability: 'none', risks: ['R1'], input: {} },
  ...given,
});
const CHANGE = { blastRadius: 'who uses it', verification: { condition: 'well', stableMs: 500, windowMs: 90_000 } };
const sent = () => agent.asked.filter(({ method }) => method !== 'GET').map(({ path, body }) => [path, body]);

describe('kalos tools', () => {
  it('lists all in a table, and one as it is', async () => {
    agent.answers['GET /v1/tools'] = [
      tool('fs.clean', { risks: ['R1', 'R3'], input: { properties: { path: { type: 'string' } } } }),
      tool('fs.stat', { kind: 'read', capability: 'fs' }),
    ];
    const run = (name: string | undefined, format: 'table' | 'wide' | 'csv' | 'json') =>
      agent.run((dir) => showTools(dir, name, format));
    const all = await run(undefined, 'table');
    expect([all.code, linesOf(all.out)]).toEqual([
      EXIT.ok,
      ['TOOL  RISK  WHAT IT DOES', 'fs.clean  R1 or R3  does it', 'fs.stat  R1  does it', ''],
    ]);
    expect((await run('fs.stat', 'csv')).out).toBe(
      'tool,risk,arguments,needs,what it does\nfs.stat,R1,,fs,does it\n', // the path of fs.clean is not here
    );
    expect(linesOf((await run(undefined, 'wide')).out)[1]).toBe('fs.clean  R1 or R3  [path=string]  none  does it');
    expect(JSON.parse((await run('fs.stat', 'json')).out).tools).toEqual([expect.objectContaining({ name: 'fs.stat' })]);
    const one = await run('fs.stat', 'wide');
    expect([one.code, linesOf(one.out)]).toEqual([
      EXIT.ok,
      ['fs.stat  version 3, risk R1', 'does it', 'arguments', 'needs  a rule of the actuator policy: fs', ''],
    ]);
  });

  it('say what a change can hurt only where both its condition and its rate are known', async () => {
    const lines = async (given: Record<string, unknown>) => {
      agent.answers['GET /v1/tools'] = [tool('t.x', given)];
      return linesOf((await agent.run((dir) => showTools(dir, 't.x', 'table'))).out).slice(4, -1);
    };
    expect(await lines({ ...CHANGE, rate: { uses: 1, withinMs: 1_000 } })).toEqual([
      'blast radius  who uses it',
      'verification  well, for 500 ms, within 90 s',
      'limits  0 ms; 1 use on a target in 1 s',
    ]);
    expect([await lines(CHANGE), await lines({ rate: { uses: 1, withinMs: 1_000 } })]).toEqual([[], []]);
  });
});

describe('kalos act', () => {
  beforeEach(() => {
    const string = { type: 'string' };
    agent.answers['GET /v1/tools'] = [tool('file.write', { input: { properties: { path: string, content: string } } })];
    agent.answers['POST /v1/actions'] = { result: 'dry-run', detail: 'd', plan: '', diff: [], risk: 'R1', undo: 'u' };
  });
  const writing = async (...args: string[]) => {
    await agent.run((dir) => act(dir, ['file.write', ...args], { dryRun: true, reason: 'r' }, 'table'));
    return (agent.asked.at(-1)?.body as { calls: unknown[] } | undefined)?.calls;
  };

  it('takes content from a file where it begins with @, and nothing else from one', async () => {
    const file = join(directory, 'content');
    writeFileSync(file, 'a\nb');
    expect(await writing('path=@here', `content=@${file}`)).toEqual([{ tool: 'file.write', path: '@here', content: 'a\nb' }]);
    expect(await writing('content=mail@x')).toEqual([{ tool: 'file.write', content: 'mail@x' }]);
    expect(await writing('content=')).toEqual([{ tool: 'file.write', content: '' }]);
    const gone = join(directory, 'gone');
    await expect(writing(`content=@${gone}`)).rejects.toThrow(`content=@${gone} cannot be read: No such file or directory`);
  });

  it('says what is wrong with an argument, and where the arguments are', async () => {
    await expect(writing('PATH=x')).rejects.toMatchObject({
      code: 'usage',
      message: '"PATH=x" is not key=value, or repeats a key',
      hint: 'kalos tools file.write shows its arguments',
    });
  });

  it('tells moments in what is said as who reads has them, and takes back what was done', async () => {
    const answer = { result: 'undone', detail: 'until 1970-01-01T00:00:01Z', plan: 'p', diff: [], risk: 'R2', undo: 'x' };
    agent.answers['POST /v1/actions/act%201/rollback'] = answer;
    expect(await agent.run((dir) => rollback(dir, 'act 1', 'table'))).toEqual({
      code: EXIT.error,
      out: `undone  until ${when(1_000)}  (p)\n  risk R2; undone by: x\n`,
      err: '',
    });
    agent.answers['POST /v1/actions/act%201/rollback'] = { ...answer, result: 'confirmed' };
    const json = await agent.run((dir) => rollback(dir, 'act 1', 'json'));
    expect([json.code, JSON.parse(json.out).result]).toEqual([EXIT.ok, 'confirmed']);
  });
});

describe('kalos approve', () => {
  it('gives programs a list, empty or not', async () => {
    const list = async (approvals: unknown[]) => {
      agent.answers['GET /v1/status'] = { approvals };
      return agent.run((dir) => answerApproval(dir, undefined, 'approved', 'csv'));
    };
    expect(await list([])).toEqual({ code: EXIT.ok, out: 'id,incident,change\n', err: '' });
    expect(await list([{ id: 'p1', incident: 'i1', diff: ['a', 'b'] }])).toEqual({
      code: EXIT.pending,
      out: 'id,incident,change\np1,i1,a; b\n',
      err: '',
    });
    agent.answers['POST /v1/approvals/p%201'] = {};
    expect(await agent.run((dir) => answerApproval(dir, 'p 1', 'approved', 'table'))).toEqual({
      code: EXIT.ok,
      out: 'p 1 approved\n',
      err: '',
    });
    expect(sent()).toEqual([['/v1/approvals/p%201', { answer: 'approved' }]]);
  });
});

describe('kalos silence', () => {
  it('lists those of this machine before those of all', async () => {
    const one = { untilMs: 1_000, reason: 'why' };
    agent.answers['GET /v1/status'] = { silences: [{ ...one, id: 's1', policy: 'p' }] };
    agent.answers['GET /v1/nova'] = { silences: [{ ...one, id: 's2', target: 'web' }] };
    const { code, out } = await agent.run((dir) => silence(dir, { reason: '' }, 'csv'));
    expect([code, out]).toEqual([
      EXIT.ok,
      [
        'id,policy,target,where,until,reason',
        's1,p,all,this machine,1970-01-01T00:00:01.000Z,why',
        's2,all,web,all machines,1970-01-01T00:00:01.000Z,why\n',
      ].join('\n'),
    ]);
    agent.answers['GET /v1/status'] = { silences: [] };
    agent.answers['GET /v1/nova'] = { silences: [] };
    expect((await agent.run((dir) => silence(dir, { reason: '' }, 'csv'))).out).toBe('id,policy,target,where,until,reason\n');
  });

  it('of the swarm has an id of 32 hex digits, each other one is this machine’s', async () => {
    const [swarms, longer] = ['0'.repeat(32), `${'0'.repeat(32)}a`];
    agent.answers['POST /v1/swarm-silences/lift'] = {};
    agent.answers[`POST /v1/silences/${longer}/lift`] = {};
    for (const id of [swarms, longer])
      expect(await agent.run((dir) => silence(dir, { reason: '', lift: id }, 'table'))).toEqual({
        code: EXIT.ok,
        out: `${id} is removed\n`,
        err: '',
      });
    expect(sent()).toEqual([
      ['/v1/swarm-silences/lift', { silence: swarms }],
      [`/v1/silences/${longer}/lift`, undefined],
    ]);
    const { out } = await agent.run((dir) => silence(dir, { reason: '', lift: swarms }, 'json'));
    expect(JSON.parse(out)).toEqual({ outputVersion: 1, id: swarms, lifted: true });
  });

  it('sends what is to be left alone, and for how long', async () => {
    agent.answers['POST /v1/silences'] = { id: 's1', untilMs: 1_000 };
    agent.answers['POST /v1/swarm-silences'] = { index: 3 };
    await agent.run((dir) => silence(dir, { target: 'web', for: 5_000, reason: 'r' }, 'table'));
    await agent.run((dir) => silence(dir, { policy: 'p', for: 5_000, reason: 'r', everywhere: true }, 'table'));
    expect(sent()).toEqual([
      ['/v1/silences', { target: 'web', forMs: 5_000, reason: 'r' }],
      ['/v1/swarm-silences', { policy: 'p', forMs: 5_000, reason: 'r' }],
    ]);
  });
});

it('acting is halted and allowed again', async () => {
  agent.answers['POST /v1/halt'] = {};
  agent.answers['POST /v1/resume'] = {};
  expect(await agent.run((dir) => stopAll(dir, 'fire'))).toEqual({
    code: EXIT.ok,
    out: 'actions are halted, also after a restart; kalos resume allows them\n',
    err: '',
  });
  expect(await agent.run((dir) => resume(dir))).toEqual({ code: EXIT.ok, out: 'actions are allowed again\n', err: '' });
  expect(sent()).toEqual([
    ['/v1/halt', { reason: 'fire' }],
    ['/v1/resume', {}],
  ]);
});
