// Which columns of two tables are equal in every row of a statement's result, and which of them then tells the other.
import { describe, expect, it } from 'vitest';
import { joinsOf } from '../../node/query/joins.ts';

const text = (...names: string[]) => names.map((name) => ({ name, type: 'TEXT' }));
const tables = [
  { name: 'a', columns: [...text('p', 'q'), { name: 'n', type: 'INTEGER' }] },
  { name: 'b', columns: [...text('p', 'r'), { name: 'n', type: 'INTEGER' }] },
  { name: 'c', columns: text('r', 'own') },
];
/** `a.p < b.p`: rows of a count only where b has the value. */
const of = (sql: string): string[] =>
  joinsOf(sql, tables).map(({ table, column, from }) => `${table}.${column} < ${from.table}.${from.column}`);
const BOTH = ['a.p < b.p', 'b.p < a.p'];

describe('columns tell each other', () => {
  it.each<[string, string[]]>([
    ['select * from a, b where a.p = b.p', BOTH],
    ['select * from a, b where a.p == b.p and a.q = b.r', [...BOTH, 'a.q < b.r', 'b.r < a.q']],
    ['select * from a, b where (a.p = b.p and q = r)', [...BOTH, 'a.q < b.r', 'b.r < a.q']],
    ['select * from a, b where ((a.p = b.p))', BOTH],
    ['select * from a x, b as y where x.p = Y.P', BOTH],
    ['select * from a join b on a.p = b.p', BOTH],
    ['select * from a join b on (a.p = b.p)', BOTH],
    ['select * from a inner join b on a.p = b.p where a.q = 1', BOTH],
    ['select * from a cross join b on a.p = b.p', BOTH],
    ['select * from a join b using (p)', [...BOTH].reverse()],
    ['select * from a natural join b', ['b.p < a.p', 'a.p < b.p']],
    ['select * from a join b using (p, n) join c using (r)', ['b.p < a.p', 'a.p < b.p', 'c.r < b.r', 'b.r < c.r']],
    ['select * from b, a join c on own = q', ['c.own < a.q', 'a.q < c.own']],
    ['select * from a join c on f(own, q) = q and own = q', ['c.own < a.q', 'a.q < c.own']],
    // Rows of the tables before stay: they are not told by the optional one.
    ['select * from a left join b on a.p = b.p', ['b.p < a.p']],
    ['select * from a left outer join b using (p)', ['b.p < a.p']],
    ['select * from a natural left join b', ['b.p < a.p']],
    ['select * from a left join b on b.p = a.p', ['b.p < a.p']],
    ['select * from a left join b on a.p = b.p where a.q = b.r', ['a.q < b.r', 'b.r < a.q', 'b.p < a.p']],
  ])('of %s', (sql, expected) => {
    expect(of(sql).sort()).toEqual(expected.sort());
  });
});

describe('columns tell each other nothing', () => {
  it.each([
    ['without a condition', 'select * from a, b'],
    ['where they are no texts', 'select * from a, b where a.n = b.n'],
    ['where only one is a text', 'select * from a, b where a.p = b.n'],
    ['of one table', 'select * from a, b where a.p = a.q'],
    ['where they are compared otherwise', 'select * from a, b where a.p < b.p'],
    ['where it is not plain that they are equal', 'select * from a, b where (a.p = b.p) = 1'],
    ['where one is changed', "select * from a, b where a.p || 'x' = b.p"],
    ['where one is of either', 'select * from a, b where p = r'],
    ['where one is of none', 'select * from a, b where a.z = b.p'],
    ['where a literal is asked for', "select * from a, b where a.p = 'b'"],
    ['of a table twice', 'select * from a, a as x where a.p = x.p'],
    ['of a table that is none', 'select * from a, d where a.p = d.p'],
    ['where either may hold', 'select * from a, b where a.p = b.p or 1'],
    ['outside of the condition', 'select a.p = b.p from a, b order by a.p = b.p'],
    ['in parentheses that are not around all', 'select * from a, b where (a.p) = (b.p)'],
  ])('%s', (_what, sql) => {
    expect(of(sql)).toEqual([]);
  });
});
