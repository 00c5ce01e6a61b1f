// Whole numbers of any size, from the kernel to whoever asked: exact, as a number up to 2^53 − 1 and as a text of digits beyond it, in
// every form of an answer; and never one where there is none.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { READERS } from '../../node/adapters/inspect/inspect.ts';
import { integer } from '../../node/adapters/inspect/read.ts';
import { sqlRun } from '../../node/adapters/sql-engine.ts';
import { shownValue } from '../../node/ports/compute.ts';
import { localRows, type RowsRequest } from '../../node/query/catalogue/catalogue.ts';
import { inspected, type Row, type TableSources } from '../../node/query/catalogue/table.ts';
import { compares, predicates } from '../../node/query/predicates.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

const GROUPS = inspected('groups_', 'Control groups', 'path TEXT path\nmemory_limit INTEGER bytes', ['select 1']);
const UNLIMITED = 9_223_372_036_854_771_712n;
const ask = async (sql: string, rows: Row[], request: Partial<RowsRequest> = {}) => {
  const { of } = predicates(sql, [GROUPS]);
  const asked = { columns: ['path', 'memory_limit'], equal: new Map(), compare: [], reduction: undefined };
  const sources = { swarm: { name: 'n' }, inspect: async () => rows } as unknown as TableSources;
  const sent = await localRows(GROUPS, { ...asked, ...of.get('groups_'), ...request }, sources);
  // As from one machine to another.
  const received = decodeCbor(encodeCbor(sent.rows)) as (string | number | null)[][];
  return { received, ran: sqlRun(sql, [GROUPS], [{ table: 'groups_', columns: ['path', 'memory_limit'], rows: received }]) };
};

describe('a whole number', () => {
  it.each([
    ['select 1 << 60', '1152921504606846976'],
    ['select 9223372036854775807', '9223372036854775807'],
    ['select -9223372036854775807 - 1', '-9223372036854775808'],
    ['select 9007199254740993', '9007199254740993'],
    ['select 9007199254740991', 9_007_199_254_740_991],
    ['select -9007199254740991', -9_007_199_254_740_991],
    ['select count(*)', 1],
    ['select 2.5', 2.5],
    ['select 1e18', 1e18],
    ['select 9e999', 'Inf'],
    ['select -9e999', '-Inf'],
    ["select x'00ff'", '00ff'],
    ['select null', null],
  ])('%s is %s', (sql, value) => {
    const ran = sqlRun(sql, [], []);
    expect(ran).toMatchObject({ ok: true, rows: [[value]] });
    expect(JSON.parse(JSON.stringify(ran))).toEqual(ran);
  });

  it('that is drawn is one, whatever comes', () => {
    for (let i = 0; i < 100; i++) {
      const ran = sqlRun('select random()', [], []);
      expect(ran.ok && String(ran.rows[0]?.[0])).toMatch(/^-?\d+$/);
    }
  });

  it('is the same after it was read, sent, computed with and shown', async () => {
    await fc.assert(
      fc.asyncProperty(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), async (value) => {
        const read = integer(String(value));
        const { ran } = await ask(
          'select memory_limit, memory_limit + 0 = cast(? as integer) from groups_'.replace('?', `'${value}'`),
          [{ path: '/', memory_limit: read }],
        );
        expect(ran.ok && ran.rows[0]).toEqual([shownValue(value), 1]);
        expect(String(shownValue(value))).toBe(String(value));
      }),
      { numRuns: 200 },
    );
  });

  it('of the kernel’s that has all of 64 bits is shown as near as SQLite comes', async () => {
    const { received, ran } = await ask('select memory_limit > 1 from groups_', [{ path: '/', memory_limit: 2n ** 64n - 1n }]);
    expect(received).toEqual([['/', '18446744073709551615']]);
    expect(ran.ok && ran.rows).toEqual([[1]]);
    const direct = sqlRun(
      'select typeof(memory_limit) from groups_',
      [GROUPS],
      [{ table: 'groups_', columns: ['path', 'memory_limit'], rows: [['/', 2n ** 64n - 1n]] }],
    );
    expect(direct.ok && direct.rows).toEqual([['real']]);
  });
});

describe('conditions and reductions', () => {
  const rows: Row[] = [
    { path: '/a', memory_limit: UNLIMITED },
    { path: '/b', memory_limit: 4_096 },
    { path: '/c', memory_limit: 2n ** 55n + 1n },
    { path: '/d', memory_limit: undefined },
  ];
  const paths = async (sql: string): Promise<unknown> => {
    const { ran } = await ask(sql, rows);
    return ran.ok && ran.rows.map(([path]) => path);
  };

  it('compare large numbers as SQLite does', async () => {
    expect(await paths('select path from groups_ where memory_limit > 5000 order by path')).toEqual(['/a', '/c']);
    expect(await paths('select path from groups_ where memory_limit <= 4096')).toEqual(['/b']);
    expect(await paths(`select path from groups_ where memory_limit = ${UNLIMITED}`)).toEqual(['/a']);
    expect(await paths(`select path from groups_ where memory_limit < ${UNLIMITED} order by path`)).toEqual(['/b', '/c']);
    expect(await paths('select path from groups_ where memory_limit <> 4096 order by memory_limit')).toEqual(['/c', '/a']);
  });

  it('take what a member of 0.3.0 asks, which rounds', () => {
    expect(compares(UNLIMITED, '>', Number(UNLIMITED) - 4_096)).toBe(true);
    expect(compares(UNLIMITED, '<', 5)).toBe(false);
    expect(compares('12', '>', 5)).toBe(false); // a text is no number
  });

  it('order and sum large numbers exactly on the machine', async () => {
    const top = await ask('select 1', rows, { reduction: ['top', [['memory_limit', true]], 2] });
    expect(top.received.map(([path]) => path)).toEqual(['/a', '/c']);
    const groups = await ask('select 1', rows, {
      reduction: [
        'groups',
        [],
        [
          ['sum', 'memory_limit'],
          ['max', 'memory_limit'],
        ],
      ],
    });
    expect(groups.received).toEqual([[String(UNLIMITED + 4_096n + 2n ** 55n + 1n), String(UNLIMITED)]]);
  });
});

describe('control groups', () => {
  it('show no limit where there is none, and nothing that cannot be shown', async () => {
    const rows = (await READERS.cgroups?.(new Map())) ?? [];
    for (const { memory_limit } of rows) expect(memory_limit ?? 0).toBeLessThan(2 ** 62);
    const sent = rows.map((row) => [String(row.path), shownValue(row.memory_limit ?? null)]);
    expect(decodeCbor(encodeCbor(sent))).toEqual(sent);
  });
});
