// What a machine makes of its rows before it sends them: by which statements, what is then asked of the rows that come, and in which order.
import { describe, expect, it } from 'vitest';
import type { ExactValue } from '../../node/ports/compute.ts';
import { compareValues, type Reduction, reduced, reducedBy, reductionOf } from '../../node/query/reduction.ts';

const table = {
  name: 'a',
  columns: [
    { name: 'n', type: 'TEXT' },
    { name: 'x', type: 'INTEGER' },
    { name: 'y', type: 'REAL' },
  ],
} as const;

describe('groups', () => {
  const groupsOf = (sql: string) => {
    const { reduction, sql: text, table: made } = reductionOf(sql, table) ?? expect.fail('not reduced');
    return [reduction, text, made.columns.map(({ name, type }) => `${name} ${type}`)];
  };

  it.each<[string, Reduction, string, string[]]>([
    ['select count(*) from a', ['groups', [], [['count', '']]], 'select coalesce(sum("#0"), 0) from a', ['#0 INTEGER']],
    [
      'select n, count(x), avg(y) from a where x > 1 group by n',
      [
        'groups',
        ['n'],
        [
          ['count', 'x'],
          ['sum', 'y'],
          ['count', 'y'],
        ],
      ],
      'select n, coalesce(sum("#0"), 0), (sum("#1") * 1.0 / sum("#2")) from a  group by n',
      ['n TEXT', '#0 INTEGER', '#1 REAL', '#2 INTEGER'],
    ],
    [
      'select sum(x), total(a.x), min(n), MAX(n) from a',
      [
        'groups',
        [],
        [
          ['sum', 'x'],
          ['min', 'n'],
          ['max', 'n'],
        ],
      ],
      'select sum("#0"), total("#0"), min("#1"), max("#2") from a',
      ['#0 INTEGER', '#1 TEXT', '#2 TEXT'],
    ],
    ['select distinct n from a', ['groups', ['n'], []], 'select distinct n from a', ['n TEXT']],
    [
      'select upper(n), min(x, y) from a group by 1, 2',
      ['groups', ['n', 'x', 'y'], []],
      'select upper(n), min(x, y) from a group by 1, 2',
      ['n TEXT', 'x INTEGER', 'y REAL'],
    ],
    [
      'select max(x) from a having count(*) > 1 order by n in (1)',
      [
        'groups',
        ['n'],
        [
          ['max', 'x'],
          ['count', ''],
        ],
      ],
      'select max("#0") from a having coalesce(sum("#1"), 0) > 1 order by n in (1)',
      ['n TEXT', '#0 INTEGER', '#1 INTEGER'],
    ],
    [
      'select count(*) * 2, 3 * x from a group by x',
      ['groups', ['x'], [['count', '']]],
      'select coalesce(sum("#0"), 0) * 2, 3 * x from a group by x',
      ['x INTEGER', '#0 INTEGER'],
    ],
  ])('of %s', (sql, reduction, text, columns) => {
    expect(groupsOf(sql)).toEqual([reduction, text, columns]);
  });
});

describe('the first few', () => {
  const topOf = (sql: string) => reductionOf(sql, table)?.reduction;
  const top = (limit: number, ...order: [string, boolean][]): Reduction => ['top', order, limit];

  it.each<[string, Reduction]>([
    ['select x from a limit 3', top(3)],
    ['select x from a limit 3 offset 4', top(7)],
    ['select x from a limit 3, 4', top(7)],
    ['select x from a order by x limit 3', top(3, ['x', false])],
    ['select x from a order by x desc, n asc limit 3', top(3, ['x', true], ['n', false])],
    ['select * from a order by a.x limit 3', top(3, ['x', false])],
    ['select n, x from a order by 2 limit 3', top(3, ['x', false])],
    ['select n, round(x, 1) as r from a order by r desc limit 3', top(3, ['x', true])],
    ['select round(a.x) from a order by 1 limit 3', top(3, ['x', false])],
    ['select x k from a order by K limit 3', top(3, ['x', false])],
    ['select x as n from a order by n limit 3', top(3, ['x', false])],
    ['select a.x from a order by x limit 3', top(3, ['x', false])],
  ])('of %s', (sql, reduction) => {
    expect(topOf(sql)).toEqual(reduction);
  });

  it.each([
    'select x from a',
    'select x from a order by x',
    'select x from a limit n',
    'select x from a limit 1 offset n',
    'select x from a limit 1 2 3',
    'select x from a limit 1 offset',
    'select x from a limit 9007199254740991 offset 1',
    'select * from a order by 1 limit 3',
    'select x from a order by 2 limit 3',
    'select x + 1 as k from a order by k limit 3',
    'select round(x + 1) as k from a order by k limit 3',
    'select round(x, n) as k from a order by k limit 3',
    'select x from a order by z limit 3',
    'select x from a order by n, x + 1 limit 3',
    'select random() from a limit 3',
    'select x, oid from a limit 3',
    'select x from a where x = 1 union select 1',
  ])('not of %s', (sql) => {
    expect(topOf(sql)).toBeUndefined();
  });
});

it('what a reduction tells of are the columns that rows are grouped, summed or ordered by', () => {
  expect(
    reducedBy([
      'groups',
      ['n'],
      [
        ['count', ''],
        ['sum', 'x'],
      ],
    ]),
  ).toEqual(['n', 'x']);
  expect(
    reducedBy([
      'top',
      [
        ['y', true],
        ['n', false],
      ],
      3,
    ]),
  ).toEqual(['y', 'n']);
});

describe('rows', () => {
  const rows: Record<string, ExactValue>[] = [
    { n: 'b', x: 2, y: 1.5 },
    { n: 'a', x: null, y: 2 },
    { n: 'b', x: 5, y: null },
    { n: 'a', x: 3, y: 0.25 },
  ];

  it('are sent as they are, with the columns that are asked for', () => {
    expect(reduced(rows, ['x', 'gone'], undefined)).toEqual([
      [2, null],
      [null, null],
      [5, null],
      [3, null],
    ]);
  });

  it('are grouped, NULL counting for nothing', () => {
    const all: Reduction = [
      'groups',
      ['n'],
      [
        ['count', ''],
        ['count', 'x'],
        ['sum', 'x'],
        ['min', 'y'],
        ['max', 'y'],
      ],
    ];
    expect(reduced(rows, [], all)).toEqual([
      ['b', 2, 2, 7, 1.5, 1.5],
      ['a', 2, 1, 3, 0.25, 2],
    ]);
    expect(
      reduced(
        [{ x: null }],
        [],
        [
          'groups',
          [],
          [
            ['sum', 'x'],
            ['min', 'x'],
          ],
        ],
      ),
    ).toEqual([[null, null]]);
    expect(reduced([], [], all)).toEqual([]);
  });

  it('are summed exactly while they are whole', () => {
    const sum = (...values: ExactValue[]) =>
      reduced(
        values.map((x) => ({ x })),
        [],
        ['groups', [], [['sum', 'x']]],
      )[0]?.[0];
    expect(sum(1, 2)).toBe(3);
    expect(sum(0.5, 2)).toBe(2.5);
    expect(sum(Number.MAX_SAFE_INTEGER, 2)).toBe('9007199254740993');
    expect(sum(2n ** 60n, 1)).toBe(String(2n ** 60n + 1n));
  });

  it('are ordered, and the first are sent', () => {
    const of = (order: [string, boolean][], limit = 9) =>
      reduced(rows, ['n', 'x'], ['top', order, limit]).map((row) => row.join(' '));
    expect(of([['x', false]])).toEqual(['a ', 'b 2', 'a 3', 'b 5']);
    expect(
      of([
        ['n', true],
        ['x', false],
      ]),
    ).toEqual(['b 2', 'b 5', 'a ', 'a 3']);
    expect(of([['x', true]], 2)).toEqual(['b 5', 'a 3']);
    expect(of([], 1)).toEqual(['b 2']);
    expect(rows[0]).toEqual({ n: 'b', x: 2, y: 1.5 });
  });

  it.each<[ExactValue, ExactValue, number]>([
    [1, 2, -1],
    [2, 1, 1],
    [2, 2n, 0],
    [2n ** 60n, 3, 1],
    ['a', 'b', -1],
    ['b', 'a', 1],
    ['a', 'a', 0],
    ['\uffff', '😀', -1], // by bytes
    [null, 0, -1],
    [0, null, 1],
    [null, null, 0],
    [9, '1', -1],
    ['1', 9n, 1],
    [null, 'a', -1],
  ])('%s and %s compare as %i', (a, b, by) => {
    expect(Math.sign(compareValues(a, b))).toBe(by);
  });
});
