// Work in child processes: SQL that can only read and can be killed, and the incident model as it is served.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FEATURE_COUNT, FEATURE_SERIES, INCIDENT_CLASSES } from '../../models/features.ts';
import { ForkedCompute } from '../../node/adapters/forked-compute.ts';
import { findPackage } from '../../node/adapters/package.ts';
import { sqlNeeds, sqlRun } from '../../node/adapters/sql-engine.ts';
import { OWNER } from '../../node/ports/compute.ts';
import { makeDataset } from '../../sim/dataset.ts';
import { patient } from '../support/patience.ts';

const { root, modelPath } = findPackage();
const compute = new ForkedCompute(join(root, 'bin', 'main.ts'), modelPath);
afterAll(() => compute.close());

const schema = [
  {
    name: 'nodes',
    columns: [
      { name: 'node', type: 'TEXT' as const },
      { name: 'cpu', type: 'REAL' as const },
    ],
  },
  {
    name: 'processes',
    columns: [
      { name: 'node', type: 'TEXT' as const },
      { name: 'pid', type: 'INTEGER' as const },
    ],
  },
];
const data = [
  {
    table: 'nodes',
    columns: ['node', 'cpu'],
    rows: [
      ['a', 0.5],
      ['b', null],
    ],
  },
];

describe('SQL', () => {
  it('tells which tables and columns a statement reads, before it runs', () => {
    const sql =
      'with busy as (select node from nodes where cpu > 0.1) select count(*) from busy join processes p on p.node = busy.node';
    expect(sqlNeeds(sql, schema)).toEqual({
      ok: true,
      tables: { nodes: ['node', 'cpu'], processes: ['node'] },
      columns: ['count(*)'],
    });
    expect(sqlNeeds('select count(*) from nodes', schema)).toEqual({ ok: true, tables: { nodes: [] }, columns: ['count(*)'] });
  });

  it('runs over the rows given; a count needs no column', () => {
    expect(sqlRun('select node, cpu from nodes order by node desc', schema, data)).toEqual({
      ok: true,
      columns: ['node', 'cpu'],
      rows: [
        ['b', null],
        ['a', 0.5],
      ],
    });
    expect(sqlRun('select count(*) n from nodes', schema, [{ table: 'nodes', columns: [], rows: [[], [], []] }])).toEqual({
      ok: true,
      columns: ['n'],
      rows: [[3]],
    });
  });

  it.each([
    'delete from nodes',
    "insert into nodes values ('x', 1)",
    'create table t (a)',
    "attach database '/tmp/kalos-must-not-exist' as x",
    'pragma hard_heap_limit = 0',
    "select load_extension('/tmp/x.so')",
    'drop table nodes',
  ])('refuses what is not a read: %s', (sql) => {
    expect(sqlNeeds(sql, schema)).toMatchObject({ ok: false });
    expect(sqlRun(sql, schema, data)).toMatchObject({ ok: false });
  });

  it('names what is wrong', () => {
    expect(sqlNeeds('select * from nodez', schema)).toEqual({ ok: false, message: 'no such table: nodez' });
    expect(sqlNeeds('selec', schema)).toMatchObject({ ok: false, message: expect.stringContaining('syntax error') });
  });

  it('that runs wild is ended with its process, and the next question is answered by a fresh one', async () => {
    const endless = 'with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n';
    expect(await compute.sqlRun(endless, schema, [], 100, 'test')).toMatchObject({
      ok: false,
      message: expect.stringContaining('was stopped'),
    });
    expect(await compute.sqlRun('select 1 as one', schema, [], 5_000, 'test')).toEqual({
      ok: true,
      columns: ['one'],
      rows: [[1]],
    });
  });

  it('that runs wild costs others who ask only its time, however many of the kind wait', async () => {
    const endless = 'with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n';
    const wild = Array.from({ length: 8 }, () => compute.sqlRun(endless, schema, [], 200, 'greedy'));
    const startMs = performance.now();
    const other = await compute.sqlRun('select 1 as one', schema, [], 5_000, 'other');
    const tookMs = performance.now() - startMs;
    expect(other).toMatchObject({ ok: true, rows: [[1]] });
    const ended = await Promise.all(wild);
    expect(ended.map(({ ok }) => ok)).toEqual(Array.from({ length: 8 }, () => false));
    expect(tookMs).toBeLessThan((performance.now() - startMs) / 2);
    const refused = await Promise.all(Array.from({ length: 40 }, () => compute.sqlRun('select 1', schema, [], 5_000, 'greedy')));
    expect(
      refused.filter((one) => !one.ok && one.message === 'the query was rejected: the queue is full, try again'),
    ).toHaveLength(7);
  });

  it('that runs wild holds up nothing of the owner’s', async () => {
    const endless = 'with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n';
    const own = new ForkedCompute(join(root, 'bin', 'main.ts'), modelPath);
    let isOver = false;
    const wild = own.sqlRun(endless, schema, [], patient(60_000), 'greedy').then((answer) => {
      isOver = true;
      return answer;
    });
    expect(await own.sqlRun('select 1 as one', schema, [], 5_000, OWNER)).toMatchObject({ ok: true, rows: [[1]] });
    expect(isOver).toBe(false);
    await own.close();
    expect(await wild).toEqual({ ok: false, message: 'the query was cancelled: the agent is stopping' });
  });

  it.each([
    ['select zeroblob(900000000)', 'string or blob too big'],
    [
      'with recursive n(i) as (select 1 union all select i + 1 from n where i < 9) select hex(zeroblob(1000000)) from n',
      'more than 16 MiB: select fewer columns, or add a LIMIT',
    ],
  ])('that wants too much memory is refused by what is too much: %s', (sql, message) => {
    const before = process.memoryUsage.rss();
    expect(sqlRun(sql, schema, [])).toEqual({ ok: false, message });
    expect(process.memoryUsage.rss() - before).toBeLessThan(400_000_000);
  });

  it('that wants too much memory is refused, not served', async () => {
    const hungry =
      'select length(group_concat(hex(zeroblob(1000000)))) from (with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) select i from n)';
    expect(await compute.sqlRun(hungry, schema, [], 10_000, 'test')).toMatchObject({ ok: false });
  });
});

describe('the incident model', () => {
  const card = JSON.parse(readFileSync(join(root, 'models', 'artifacts', 'incident.card.json'), 'utf8'));

  it('is the file that its card describes, with the features and classes that the agent has', () => {
    expect(createHash('sha256').update(readFileSync(modelPath)).digest('hex')).toBe(card.sha256);
    expect(card.output.classes).toEqual([...INCIDENT_CLASSES]);
    expect(card.input.columns).toEqual(FEATURE_SERIES.flatMap((name) => [`${name}.recent`, `${name}.change`, `${name}.step`]));
  });

  it('tells apart windows that it was not trained on', async () => {
    const windows = [...makeDataset(60, 987)];
    let right = 0;
    for (const { label, features } of windows) {
      expect(features.length).toBe(FEATURE_COUNT);
      if ((await compute.classify(features))?.label === label) right++;
    }
    expect(right / windows.length).toBeGreaterThan(0.9);
  });

  it('is served without the runtime’s telemetry: it leaves no device id and no queue of reports', () => {
    const home = mkdtempSync(join(tmpdir(), 'kalos-home-'));
    const { ORT_DISABLE_TELEMETRY: _, ...rest } = process.env;
    const env = { ...rest, HOME: home, XDG_CACHE_HOME: join(home, '.cache') };
    const output = execFileSync(process.execPath, [join(root, 'bin', 'main.ts'), 'doctor', '--dir', join(home, 'state')], {
      env,
      encoding: 'utf8',
    });
    expect(output).toMatch(/ok\s+incident model/);
    expect(readdirSync(home, { recursive: true }).filter((file) => /Microsoft|deviceid/i.test(String(file)))).toEqual([]);
    rmSync(home, { recursive: true });
  });

  it('that is not there makes the tier abstain', async () => {
    const without = new ForkedCompute(join(root, 'bin', 'main.ts'), '/no/such/model.onnx');
    expect(await without.classify(new Array(FEATURE_COUNT).fill(0))).toBeUndefined();
    await without.close();
  });
});
