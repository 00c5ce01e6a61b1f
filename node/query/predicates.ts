// Which conditions of a statement can travel with a request for rows: only those that the statement itself filters by, so
// that rows left out do not change the result. Of a statement that is not plain (a second SELECT, an OR) no condition travels.
import type { ExactValue, SqlValue } from '../ports/compute.ts';
import type { Comparison, Operator, Where } from './catalogue/table.ts';
import { is, isName, type Token, tokens } from './tokens.ts';

export interface Shape {
  name: string;
  columns: readonly { name: string; type: string }[];
}

/** The conditions on the rows of a table. */
export interface Predicates {
  equal: Where;
  compare: readonly Comparison[];
}

export const NO_PREDICATES: Predicates = { equal: new Map(), compare: [] };

const ENDS_WHERE = new Set(['GROUP', 'ORDER', 'LIMIT', 'HAVING', 'WINDOW']);
const AFTER_TABLE = new Set([
  'WHERE',
  'JOIN',
  'ON',
  'USING',
  'LEFT',
  'RIGHT',
  'FULL',
  'INNER',
  'CROSS',
  'OUTER',
  'NATURAL',
  ...ENDS_WHERE,
]);
/** Keywords of statements that are not plain. */
const NOT_PLAIN = new Set(['OR', 'UNION', 'EXCEPT', 'INTERSECT', 'WITH', 'VALUES', 'CASE', 'RIGHT', 'FULL']);

/** The parts of a plain statement: one SELECT, its conditions joined by AND. */
export interface Statement {
  select: Token[];
  from: Token[];
  /** WHERE and its conditions; empty if there is none. */
  where: Token[];
  /** GROUP BY and everything after it. */
  rest: Token[];
}

/** @returns undefined if the statement is not plain. */
export function statementOf(sql: string): Statement | undefined {
  const all = tokens(sql);
  const last = all.findIndex((token) => is(token, ';'));
  const body = last < 0 ? all : all.slice(0, last);
  const count = (word: string): number => body.filter((token) => token.kind === 'word' && is(token, word)).length;
  if (!is(body[0], 'SELECT') || count('SELECT') !== 1 || count('FROM') !== 1 || count('WHERE') > 1) return undefined;
  if (body.some((token) => token.kind === 'word' && NOT_PLAIN.has(token.text.toUpperCase()))) return undefined;
  const from = body.findIndex((token) => is(token, 'FROM'));
  let end = body.length;
  for (let i = from, depth = 0; i < end; i++) {
    if (is(body[i], '(')) depth++;
    if (is(body[i], ')')) depth--;
    if (depth === 0 && body[i]?.kind === 'word' && ENDS_WHERE.has(body[i]?.text.toUpperCase() ?? '')) end = i;
  }
  const at = body.findIndex((token) => is(token, 'WHERE'));
  if (at >= 0 && (at < from || at > end)) return undefined;
  const where = at < 0 ? end : at;
  return {
    select: body.slice(1, from),
    from: body.slice(from + 1, where),
    where: body.slice(where, end),
    rest: body.slice(end),
  };
}

/** The conditions on each table's rows, and whether the statement has no others. */
export function predicates(sql: string, tables: readonly Shape[]): { of: ReadonlyMap<string, Predicates>; isAll: boolean } {
  const statement = statementOf(sql);
  const named = statement && aliases(statement.from, tables);
  if (statement === undefined || named === undefined) return { of: new Map(), isAll: false };
  const found = new Map<string, { equal: Map<string, readonly SqlValue[]>; compare: Comparison[] }>();
  const shared = sharedColumns(statement.from, tables);
  let isAll = true;
  for (const part of conjuncts(statement.where.slice(1))) {
    const condition = conditionOf(part, named, shared);
    if (condition === undefined) {
      isAll = false;
      continue;
    }
    const { table, column, values, comparison } = condition;
    const of = found.get(table.name) ?? { equal: new Map<string, readonly SqlValue[]>(), compare: [] };
    found.set(table.name, of);
    if (comparison !== undefined) of.compare.push([column, comparison, values[0] ?? null]);
    // Both must hold.
    const known = of.equal.get(column);
    if (comparison === undefined)
      of.equal.set(column, known === undefined ? values : known.filter((value) => values.includes(value)));
  }
  return { of: found, isAll };
}

/** Whether a value meets a comparison, as in SQLite: NULL never does. */
export function compares(value: ExactValue | undefined, operator: Operator, other: SqlValue): boolean {
  if (value === null || value === undefined || other === null || (typeof value === 'string') !== (typeof other === 'string'))
    return false;
  switch (operator) {
    case '<':
      return value < other;
    case '<=':
      return value <= other;
    case '>':
      return value > other;
    case '>=':
      return value >= other;
    case '<>':
      return value !== other;
    case 'like':
      return isLike([...String(value)], [...String(other)]);
    case 'not like':
      return !isLike([...String(value)], [...String(other)]);
  }
}

/** Ignores the case of ASCII, as SQLite does. Linear time for any pattern. */
export function isLike(text: readonly string[], pattern: readonly string[]): boolean {
  const lower = (character = ''): string => (character < '\x80' ? character.toLowerCase() : character);
  let [i, j, star, mark] = [0, 0, -1, 0];
  while (i < text.length) {
    if (pattern[j] === '%') [star, mark] = [j++, i];
    else if (j < pattern.length && (pattern[j] === '_' || lower(pattern[j]) === lower(text[i]))) [i, j] = [i + 1, j + 1];
    else if (star < 0) return false;
    else [i, j] = [++mark, star + 1];
  }
  while (pattern[j] === '%') j++;
  return j === pattern.length;
}

/** The table of each name in the statement; undefined if a table is there twice, or FROM has something other than tables. */
function aliases(all: readonly Token[], tables: readonly Shape[]): Map<string, Shape> | undefined {
  const named = new Map<string, Shape>();
  const seen = new Set<string>();
  let expects = true;
  for (let i = 0; i < all.length; i++) {
    const token = all[i];
    if (is(token, 'JOIN') || token?.text === ',') {
      // Within ON (…) and USING (…) a comma does not separate tables; the next JOIN ends them.
      expects = is(token, 'JOIN') || !inCondition(all.slice(0, i));
      continue;
    }
    if (!expects) continue;
    if (!isName(token)) return undefined;
    if (AFTER_TABLE.has(token.text.toUpperCase())) continue;
    const table = tables.find(({ name }) => name === token.text.toLowerCase());
    if (table === undefined || seen.has(table.name)) return undefined;
    seen.add(table.name);
    let next = all[i + 1];
    if (is(next, 'AS')) next = all[++i + 1];
    const isAlias = isName(next) && !AFTER_TABLE.has(next.text.toUpperCase());
    if (isAlias) i++;
    named.set((isAlias ? (next?.text ?? '') : table.name).toLowerCase(), table);
    expects = false;
  }
  return named;
}

const inCondition = (before: readonly Token[]): boolean => {
  const last = before.findLastIndex((token) => is(token, 'JOIN') || is(token, 'ON') || is(token, 'USING'));
  return last >= 0 && !is(before[last], 'JOIN');
};

/** The parts of a condition that are joined by AND. */
export function conjuncts(all: readonly Token[]): Token[][] {
  if (all.length === 0) return [];
  const parts: Token[][] = [[]];
  let depth = 0;
  let between = false;
  for (const token of all) {
    if (token.kind === 'sign' && token.text === '(') depth++;
    if (token.kind === 'sign' && token.text === ')') depth--;
    if (depth === 0 && token.kind === 'word') {
      const word = token.text.toUpperCase();
      if (word === 'BETWEEN') between = true;
      else if (word === 'AND' && between) between = false;
      else if (word === 'AND') {
        parts.push([]);
        continue;
      }
    }
    parts.at(-1)?.push(token);
  }
  return parts;
}

interface Condition {
  table: Shape;
  column: string;
  values: SqlValue[];
  /** undefined: the value must be one of them. */
  comparison: Operator | undefined;
}

const FLIPPED: Readonly<Record<string, string>> = {
  '=': '=',
  '==': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
  '<>': '<>',
  '!=': '<>',
};
const OF_NUMBERS: ReadonlySet<string> = new Set<Operator>(['<', '<=', '>', '>=', '<>']);
const OF_TEXTS: ReadonlySet<string> = new Set<Operator>(['<>', 'like', 'not like']);

/** USING and NATURAL merge two columns into one: without a table's name it is that of the first table. */
function sharedColumns(from: readonly Token[], tables: readonly Shape[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (let i = 0, inside = false; i < from.length; i++) {
    if (is(from[i], 'USING')) inside = true;
    else if (is(from[i], ')')) inside = false;
    else if (inside && isName(from[i])) found.add(from[i]?.text.toLowerCase() ?? '');
    else if (is(from[i], 'NATURAL')) for (const { columns } of tables) for (const { name } of columns) found.add(name);
  }
  return found;
}

function conditionOf(
  part: readonly Token[],
  named: ReadonlyMap<string, Shape>,
  shared: ReadonlySet<string>,
): Condition | undefined {
  const flipped = part[0] !== undefined && !isName(part[0]) ? FLIPPED[part[1]?.text ?? ''] : undefined;
  const all = flipped === undefined ? [...part] : [...part.slice(2), { ...(part[1] as Token), text: flipped }, part[0] as Token];
  const qualifier = all[1]?.text === '.' ? all[0] : undefined;
  const [name, ...test] = qualifier === undefined ? all : all.slice(2);
  if (!isName(name)) return undefined;
  const column = name.text.toLowerCase();
  const holders = [...named].filter(
    ([alias, table]) =>
      (qualifier === undefined || alias === qualifier.text.toLowerCase()) && table.columns.some((one) => one.name === column),
  );
  const table = holders[0]?.[1];
  const isOne = holders.length === 1 || (qualifier === undefined && shared.has(column));
  if (table === undefined || !isOne) return undefined;
  const type = table.columns.find((one) => one.name === column)?.type;
  const [operator, given] = testOf(test);
  // A condition does not travel if SQLite would convert one side to the type of the other.
  const values = given?.map((token) => (token.kind === 'text' && type === 'TEXT' ? token.text : numberOf(token, type)));
  if (operator === undefined || values === undefined || values.includes(undefined)) return undefined;
  const travels = operator === '=' || (type === 'TEXT' ? OF_TEXTS : OF_NUMBERS).has(operator);
  const comparison = operator === '=' ? undefined : (operator as Operator);
  return travels ? { table, column, values: values as SqlValue[], comparison } : undefined;
}

/** The operator and its literals. */
function testOf(test: readonly Token[]): [operator: string | undefined, given: Token[] | undefined] {
  if (is(test[0], 'IN')) return ['=', listed(test.slice(1))];
  const isNot = is(test[0], 'NOT');
  const rest = isNot ? test.slice(1) : test;
  if (is(rest[0], 'LIKE')) return [isNot ? 'not like' : 'like', rest.length === 2 ? rest.slice(1) : undefined];
  const operator = rest[0]?.text === '=' || rest[0]?.text === '==' ? '=' : rest[0]?.text === '!=' ? '<>' : rest[0]?.text;
  return [isNot ? undefined : operator, rest.length === 2 ? rest.slice(1) : undefined];
}

/** Not a number that would be rounded. */
const numberOf = (token: Token, type: string | undefined): number | undefined =>
  token.kind === 'number' && type !== 'TEXT' && Number(token.text) <= Number.MAX_SAFE_INTEGER ? Number(token.text) : undefined;

/** `(1, 2)`; undefined if it is not a list of literals. */
function listed(all: readonly Token[]): Token[] | undefined {
  if (all[0]?.text !== '(' || all.at(-1)?.text !== ')') return undefined;
  const inner = all.slice(1, -1);
  const isList = inner.every((token, i) => (i % 2 === 0 ? token.kind === 'text' || token.kind === 'number' : token.text === ','));
  return isList && inner.length % 2 === 1 ? inner.filter((_, i) => i % 2 === 0) : undefined;
}
