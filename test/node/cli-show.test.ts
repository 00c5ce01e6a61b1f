// What `kalos metrics`, `incidents`, `cases`, `logs`, `down` and `config show` ask of an agent, and the whole of what they print.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { showConfig } from '../../node/cli/config.ts';
import { EXIT } from '../../node/cli/exit-codes.ts';
import { topOfNode, topOfSwarm } from '../../node/cli/query.ts';
import { cases, conditions, down, history, incidents, logs, metrics } from '../../node/cli/show.ts';
import { status } from '../../node/cli/status.ts';
import { when } from '../../node/cli/times.ts';
import { fakeAgent, linesOf } from '../support/fake-agent.ts';

const agent = fakeAgent();
const place = mkdtempSync(join(tmpdir(), 'kalos-show-'));
afterAll(() => rmSync(place, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

describe('a question', () => {
  const answer = {
    columns: ['name'],
    rows: [['x']],
    missing: [],
    truncated: [],
    mode: 'live',
    answered: 1,
    expected: 1,
    tookMs: 1,
  };
  const sql = async (ask: (dir: string) => Promise<number>): Promise<string> => {
    agent.answers['GET /v1/status'] = { name: "o'ada" };
    agent.answers['POST /v1/query'] ??= answer;
    expect((await agent.run(ask)).code).toBe(EXIT.ok);
    return (agent.asked.at(-1)?.body as { sql: string } | undefined)?.sql ?? '';
  };

  it('for metrics is of this machine, by parts of names', async () => {
    expect(await sql((dir) => metrics(dir, [], 'table'))).toBe(
      "select name, value, unit, coalesce(unknown, description) as about from metrics where node = 'o''ada' order by name",
    );
    const wide = await sql((dir) => metrics(dir, ["a'b", 'c'], 'wide'));
    expect(wide).toBe(
      "select name, value, unit, kind, source, coalesce(unknown, description) as about from metrics where node = 'o''ada' and (name like '%a''b%' or name like '%c%') order by name",
    );
    expect(await sql((dir) => metrics(dir, ["a'b", 'c'], 'csv'))).toBe(wide);
    expect(agent.asked.at(-1)?.body).toMatchObject({ timeoutMs: 5_000 });
    agent.answers['POST /v1/query'] = { ...answer, rows: [] };
    await expect(metrics(agent.directory, ['a', 'b'], 'csv')).rejects.toMatchObject({
      code: 'not-found',
      message: 'no metric name contains a or b',
    });
    expect((await agent.run((dir) => metrics(dir, [], 'csv'))).code).toBe(EXIT.ok);
  });

  it('for the live view of a machine, or of all, is bounded', async () => {
    expect(await sql((dir) => topOfSwarm(dir))).toMatch(/^select node, state, .* from nodes order by cpu desc$/);
    expect(agent.asked.at(-1)?.body).toMatchObject({ timeoutMs: 2_000, mode: 'live' });
    expect(await sql((dir) => topOfNode(dir, 'web-*'))).toMatch(/^select pid, name, .* from processes .* limit 30$/);
    expect(agent.asked.at(-1)?.body).toMatchObject({ timeoutMs: 2_000, nodes: 'web-*' });
  });

  it('for incidents is in the order in which they were opened', async () => {
    const opened = "strftime('%Y-%m-%dT%H:%M:%fZ', opened_ms / 1000.0, 'unixepoch') as opened";
    const columns = `select id, ${opened}, severity, node, policy, target, state, outcome`;
    expect(await sql((dir) => incidents(dir, false, 'table'))).toBe(`${columns} from incidents order by opened_ms, id`);
    expect(await sql((dir) => incidents(dir, true, 'wide'))).toBe(
      `${columns}, opened_ms, closed_ms, tool, cause from incidents where outcome = '' order by opened_ms, id`,
    );
  });
});

describe('what was tried', () => {
  it('is listed with its moment where there is room', async () => {
    const one = { id: 'c1', atMs: 0, incident: 'i1', policy: 'p', target: 'web', plan: 'start', worked: true };
    agent.answers['GET /v1/cases'] = [one, { ...one, worked: false }];
    const show = async (format: 'table' | 'wide') => linesOf((await agent.run((dir) => cases(dir, undefined, format))).out);
    expect(await show('table')).toEqual([
      'INCIDENT  POLICY  TARGET  PLAN  RESULT',
      'i1  p  web  start  helped',
      'i1  p  web  start  did not help',
      '',
    ]);
    expect((await show('wide')).slice(0, 2)).toEqual([
      'ID  AT  INCIDENT  POLICY  TARGET  PLAN  RESULT',
      `c1  ${when(0)}  i1  p  web  start  helped`,
    ]);
    expect((await agent.run((dir) => conditions(dir, 'csv').catch((error) => error.code))).code).toBe('not-found');
  });

  it('of series is drawn: the mean of each stretch, at most 30, and how many are left out', async () => {
    const names = Array.from({ length: 201 }, (_, nth) => `s${nth}`);
    agent.answers['GET /v1/series'] = names;
    for (const name of names) agent.answers[`GET /v1/series/${name}`] = { fine: { values: [] } };
    const values = Array.from({ length: 60 }, (_, nth) => (nth < 30 ? 2 : 4));
    agent.answers['GET /v1/series/s0'] = { fine: { values: [1, 3, null] }, coarse: { mean: { values } } };
    const { out, err } = await agent.run((dir) => history(dir, [], 'table'));
    expect([linesOf(out)[0], linesOf(out)[1], err]).toEqual([
      'SERIES  TEN MINUTES  LEAST  MEAN  MOST  NOW  SIX HOURS',
      `s0  ▃█  1  2  3  3  ${'▅'.repeat(15)}${'█'.repeat(15)}`,
      '1 more: narrow the name\n',
    ]);
    expect((await agent.run((dir) => history(dir, ['s20', 's0'], 'table'))).err).toBe('');
  });
});

describe('the log of a service', () => {
  const services = join(agent.directory, 'actuator', 'services');
  beforeEach(() => {
    mkdirSync(services, { recursive: true });
    agent.answers['GET /v1/status'] = { services: [{ name: 'web' }, { name: 'db' }] };
  });
  const show = (service: string, lines: number) => agent.run((dir) => logs(dir, service, lines, false));

  it('is its last lines, and holds nothing that a terminal obeys', async () => {
    writeFileSync(join(services, 'web.log'), 'one\ntwo\u001b[2J\nthree\n');
    expect(await show('web', 2)).toEqual({ code: EXIT.ok, out: 'two�[2J\nthree\n', err: '' });
    expect((await show('web', 99)).out).toBe('one\ntwo�[2J\nthree\n');
    writeFileSync(join(services, 'web.log'), `${'x'.repeat(1_024 * 1_024)}\nlast\n`);
    expect((await show('web', 99)).out).toBe(`${'x'.repeat(1_024 * 1_024 - 6)}\nlast\n`); // a MiB at most
  });

  it('is looked for where the actuator is, and said so where there is none', async () => {
    await expect(show('db', 1)).rejects.toMatchObject({ code: 'not-found', message: 'db has no log output yet' });
    await expect(show('wbe', 1)).rejects.toThrow('no service is called wbe; did you mean web?');
    const other = join(place, 'run', 'services');
    mkdirSync(other, { recursive: true });
    writeFileSync(join(other, 'db.log'), 'elsewhere\n');
    vi.stubEnv('KALOS_ACTUATOR', join(place, 'run', 'sock'));
    expect((await show('db', 1)).out).toBe('elsewhere\n');
    vi.unstubAllEnvs();
    const beside = join(`${agent.directory}-actuator`, 'services');
    mkdirSync(beside, { recursive: true });
    writeFileSync(join(beside, 'db.log'), 'beside\n');
    expect((await show('db', 1)).out).toBe('beside\n');
    rmSync(join(services, 'web.log'));
    symlinkSync('/dev/null', join(services, 'web.log'));
    await expect(show('web', 1)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringMatching(/^cannot read .*web\.log: /),
    });
    rmSync(join(services, 'web.log'));
  });
});

it('an agent that is asked to stop is waited for, a minute', async () => {
  let nowMs = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  const looks: unknown[] = [{ name: 'ada' }];
  Object.defineProperty(agent.answers, 'GET /v1/status', {
    ...{ configurable: true, enumerable: true },
    get: () => {
      nowMs += 31_000;
      return looks[0];
    },
  });
  agent.answers['POST /v1/stop'] = {};
  try {
    await expect(down(agent.directory)).rejects.toThrow('ada did not stop within a minute');
  } finally {
    clock.mockRestore();
  }
  expect(agent.asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
    ...['GET /v1/status', 'POST /v1/stop', 'GET /v1/status', 'GET /v1/status'],
  ]);
});

describe('kalos config show', () => {
  const entry = (key: string, value: unknown, origin: string) => ({ key, value, origin });

  it('is what the agent has in force, and what has changed in its files since', async () => {
    const file = join(agent.directory, 'kalos.toml');
    writeFileSync(file, 'mode = "act"\nissuers = 5\n', { mode: 0o600 });
    const show = async (entries: unknown[], origin = true) => {
      agent.answers['GET /v1/config'] = entries;
      return agent.run((dir) => showConfig(dir, undefined, origin, 'csv'));
    };
    const same = await show([entry('mode', 'act', file), entry('issuers', 5, file)]);
    expect(same).toEqual({ code: EXIT.ok, out: `key,value,origin\nmode,"""act""",${file}\nissuers,5,${file}\n`, err: '' });
    const changed = await show([entry('mode', 'observe', file), entry('issuers', 3, 'flags')], false);
    expect([changed.out, changed.err]).toEqual([
      'key,value\nmode,"""observe"""\nissuers,3\n',
      'changed in the files but not loaded: mode; run: kalos config reload\n',
    ]);
    const none = await show([entry('mode', 'observe', 'default')]);
    expect(none.err).toContain('changed in the files but not loaded: mode, issuers;');
    writeFileSync(file, 'mode = ', { mode: 0o600 });
    expect((await show([])).err).toMatch(/^the configuration files are invalid: .+\n$/);
    rmSync(file);
  });

  it('is that of a file where one is named, and of the files where no agent knows', async () => {
    const file = join(place, 'other.toml');
    writeFileSync(file, 'mode = "act"\n', { mode: 0o600 });
    const { out, err } = await agent.run((dir) => showConfig(dir, file, true, 'json'));
    const shown = JSON.parse(out) as { of: string; config: unknown[] };
    expect([shown.of, err]).toEqual(['files', '']);
    expect(shown.config).toContainEqual(entry('mode', 'act', file));
    const older = await agent.run((dir) => showConfig(dir, undefined, true, 'json')); // it has no such route
    expect(JSON.parse(older.out).of).toBe('files');
    writeFileSync(file, 'moed = "act"\n', { mode: 0o600 });
    await expect(showConfig(agent.directory, file, true, 'json')).rejects.toThrow('did you mean "mode"?');
  });
});

const MEMORY = { 'system.memory.available': 2 * 1_024 ** 3, 'system.load.1m': 1.5 };
it('kalos status is whole', async () => {
  agent.answers['GET /v1/status'] = {
    ...{ name: 'ada', mode: 'act', uptimeMs: 61_000, version: '9', swarmId: 'abcdef0123', term: 2, coordinator: 'bob' },
    ...{ conditions: { Ready: 'True' } },
    metrics: { 'system.cpu.utilization': 0.256, 'system.memory.utilization': 0.5, ...MEMORY },
    ...{ page: null, members: [{ name: 'ada', state: 'alive', role: 'member', peer: 'p' }], services: [], twin: null },
    ...{ refusal: null, halted: null, approvals: [], unseen: [], openIncidents: [], auditRecords: 1 },
  };
  const { code, out } = await agent.run((dir) => status(dir, 'table'));
  expect([code, linesOf(out)]).toEqual([
    EXIT.ok,
    [
      'ada  act, up 1 min 1 s, version 9, swarm abcdef01',
      'cpu 26 %  memory 50 % (2.0 GiB available)  load 1.5  1 audit record',
      'Ready=True',
      '',
      'Swarm: 1 member, leader bob, term 2',
      'NODE  STATE  ROLE  PEER',
      'ada  alive  member  p',
      '',
    ],
  ]);
});
