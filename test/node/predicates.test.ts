// How a statement is read before SQLite reads it: its tokens and parts, which conditions are taken out of it, and how values compare.
import { describe, expect, it } from 'vitest';
import type { ExactValue, SqlValue } from '../../node/ports/compute.ts';
import { compares, conjuncts, isLike, predicates, statementOf } from '../../node/query/predicates.ts';
import { split, type Token, tokens } from '../../node/query/tokens.ts';

const texts = (all: readonly Token[] = []): string => all.map(({ text }) => text).join(' ');

describe('tokens', () => {
  it('are of a kind, and lie where they lie', () => {
    const sql = `select "a""b", \`c\`, [d e], 'it''s' -- no\n, 1.5e-3 /* no */ <> x_1`;
    expect(tokens(sql).map(({ kind, text }) => `${kind} ${text}`)).toEqual([
      'word select',
      'name a""b',
      'sign ,',
      'name c',
      'sign ,',
      'name d e',
      'sign ,',
      "text it's",
      'sign ,',
      'number 1.5e-3',
      'sign <>',
      'word x_1',
    ]);
    for (const { start, end } of tokens('select xy')) expect(['select', 'xy']).toContain('select xy'.slice(start, end));
    expect(tokens('<= >= == != || <').map(({ text }) => text)).toEqual(['<=', '>=', '==', '!=', '||', '<']);
  });

  it('are split outside of parentheses', () => {
    const parts = split(tokens('a, f(b, (c, d)), e'), ({ text }) => text === ',');
    expect(parts.map(texts)).toEqual(['a', 'f ( b , ( c , d ) )', 'e']);
  });
});

describe('a plain statement', () => {
  it.each([
    ['select a from t', ['a', 't', '', '']],
    ['SELECT a, b FROM t WHERE x = 1 ORDER BY a; drop', ['a , b', 't', 'WHERE x = 1', 'ORDER BY a']],
    ['select a from t group by a having x', ['a', 't', '', 'group by a having x']],
    ['select a from t where f(x, (order)) = 1 limit 3', ['a', 't', 'where f ( x , ( order ) ) = 1', 'limit 3']],
    ["select a from t where x = 'union' window w", ['a', 't', 'where x = union', 'window w']],
    ['select a from t where "or" = 1', ['a', 't', 'where or = 1', '']],
  ])('%s has its parts', (sql, parts) => {
    const { select, from, where, rest } = statementOf(sql) ?? expect.fail('not plain');
    expect([select, from, where, rest].map(texts)).toEqual(parts);
  });

  it.each([
    'delete from t',
    'select 1',
    'select a from t where x = 1 where y = 2',
    'select a from (select b from t)',
    'select a from t where x in (select 1)',
    'select a from t order by a where x = 1',
    ...['or', 'union', 'except', 'intersect', 'with', 'values', 'case', 'right', 'full'].map(
      (word) => `select a from t ${word} x`,
    ),
  ])('%s is none', (sql) => {
    expect(statementOf(sql)).toBeUndefined();
  });

  it('has conditions that all must hold, with the AND of BETWEEN inside', () => {
    const parts = conjuncts(tokens('a = 1 and b between 2 and 3 and (c and d) and e'));
    expect(parts.map(texts)).toEqual(['a = 1', 'b between 2 and 3', '( c and d )', 'e']);
    expect(conjuncts([])).toEqual([]);
  });
});

describe('conditions', () => {
  const columns = [
    { name: 'n', type: 'TEXT' },
    { name: 'x', type: 'INTEGER' },
    { name: 'y', type: 'REAL' },
  ];
  const shapes = [
    { name: 'a', columns },
    { name: 'b', columns },
    { name: 'c', columns: [{ name: 'own', type: 'TEXT' }] },
  ];
  const of = (sql: string) => {
    const { of: found, isAll } = predicates(sql, shapes);
    return [isAll, ...[...found].map(([table, { equal, compare }]) => [table, Object.fromEntries(equal), ...compare])];
  };

  it.each<[string, unknown[]]>([
    ['select * from a', [true]],
    ["select * from a where n = 'x'", [true, ['a', { n: ['x'] }]]],
    ["select * from a where n == 'x' and y >= 1.5", [true, ['a', { n: ['x'] }, ['y', '>=', 1.5]]]],
    [
      'select * from a where x < 1 and x <= 2 and x > 3 and x != 4',
      [true, ['a', {}, ['x', '<', 1], ['x', '<=', 2], ['x', '>', 3], ['x', '<>', 4]]],
    ],
    [
      'select * from a where 1 < x and 2 <= x and 3 > x and 4 >= x',
      [true, ['a', {}, ['x', '>', 1], ['x', '>=', 2], ['x', '<', 3], ['x', '<=', 4]]],
    ],
    ['select * from a where 1 = x and 2 == x and 3 <> x and 4 != x', [true, ['a', { x: [] }, ['x', '<>', 3], ['x', '<>', 4]]]],
    ["select * from a where n like 'a%' and n not like 'b_'", [true, ['a', {}, ['n', 'like', 'a%'], ['n', 'not like', 'b_']]]],
    ['select * from a where x in (1, 2, 3) and x in (2, 3, 4)', [true, ['a', { x: [2, 3] }]]],
    ['select * from a where x = 9007199254740991', [true, ['a', { x: [9_007_199_254_740_991] }]]],
    ['select * from a t where t.x = 1', [true, ['a', { x: [1] }]]],
    ['select * from a "T" where t.x = 1', [true, ['a', { x: [1] }]]],
    ['select * from A where A.X = 1', [true, ['a', { x: [1] }]]],
    ["select * from a, c where own = 'o' and a.x = 1", [true, ['c', { own: ['o'] }], ['a', { x: [1] }]]],
    ['select * from a natural join b where x = 1', [true, ['a', { x: [1] }]]],
    ['select * from a join b using (x) where x = 1 and b.y = 2', [true, ['a', { x: [1] }], ['b', { y: [2] }]]],
    ['select * from a left outer join b on (a.x = b.x, b.y) where b.x = 1', [true, ['b', { x: [1] }]]],
    // What stays with the statement.
    ['select * from a where x = 9007199254740992', [false]],
    ['select * from a where x > 1 and x + 1 = 2', [false, ['a', {}, ['x', '>', 1]]]],
    ['select * from a where x in (1, 2', [false]],
    ['select * from a where x in (1 2)', [false]],
    ['select * from a where x in ()', [false]],
    ['select * from a where x in (1,)', [false]],
    ['select * from a where x in (y)', [false]],
    ["select * from a where x in (1, 'a')", [false]],
    ['select * from a where x not in (1)', [false]],
    ['select * from a where x = y', [false]],
    ['select * from a where x = 1 + 1', [false]],
    ["select * from a where n like 'a' || 'b'", [false]],
    ['select * from a where not x = 1', [false]],
    ["select * from a where x like '1'", [false]],
    ["select * from a where n < 'b'", [false]],
    ['select * from a where b.x = 1', [false]],
    ['select * from a where z = 1', [false]],
    ["select * from a where 'x' = 1", [false]],
    ['select * from a, b where x = 1', [false]],
    ['select * from a join b using (y) where x = 1', [false]],
    ['select * from a, a where x = 1', [false]],
    ['select * from d where x = 1', [false]],
    ['select * from f(1) where x = 1', [false]],
  ])('of %s', (sql, expected) => {
    expect(of(sql)).toEqual(expected);
  });

  it.each<[ExactValue | undefined, string, SqlValue, boolean]>([
    [1, '<', 2, true],
    [2, '<', 2, false],
    [2, '<=', 2, true],
    [3, '<=', 2, false],
    [3, '>', 2, true],
    [2, '>', 2, false],
    [2, '>=', 2, true],
    [1, '>=', 2, false],
    [1, '<>', 2, true],
    [2, '<>', 2, false],
    ['a', 'like', 'A', true],
    ['a', 'not like', 'A', false],
    ['a', 'not like', 'b', true],
    [null, '<>', 2, false],
    [undefined, '<>', 2, false],
    [1, '<>', null, false],
    ['1', '<>', 2, false],
    [1, '<>', '2', false],
    [2n ** 60n, '>', 5, true],
  ])('%s %s %s: %s', (value, operator, other, holds) => {
    expect(compares(value, operator as never, other)).toBe(holds);
  });

  it.each([
    ['', '', true],
    ['', '%', true],
    ['', '_', false],
    ['a', '', false],
    ['abc', 'a%', true],
    ['abc', '%c', true],
    ['abc', '%b%', true],
    ['abc', 'a_c', true],
    ['abc', 'a_', false],
    ['abc', '_%_%_', true],
    ['ab', '_%_%_', false],
    ['aab', '%ab', true],
    ['a%', 'a%', true],
    ['É', 'é', false],
    ['abcabd', '%abd', true],
    ['abcab', '%abd', false],
    ['a', 'b%', false],
    ['abc', 'abc%%', true],
    ['abc', 'abc%d', false],
  ])('%j is like %j: %s', (text, pattern, is) => {
    expect(isLike([...text], [...pattern])).toBe(is);
  });
});
