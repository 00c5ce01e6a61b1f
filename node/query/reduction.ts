// How a machine reduces its rows before it sends them, without knowing the statement: groups with their counts, sums and
// extremes, or the first rows by some columns. Only if the result of the statement stays the same.
import { type ColumnType, type ExactValue, type SqlValue, shownValue } from '../ports/compute.ts';
import { type Shape, statementOf } from './predicates.ts';
import { is, isName, split, type Token } from './tokens.ts';

export const AGGREGATES = ['count', 'sum', 'min', 'max'] as const;
export type Aggregate = readonly [of: (typeof AGGREGATES)[number], column: string];
/** `groups`: a row for each combination of the columns `by`, followed by the aggregates (`count` of column '': of all rows). */
export type Reduction =
  | readonly ['groups', by: readonly string[], aggregates: readonly Aggregate[]]
  | readonly ['top', order: readonly (readonly [column: string, isDescending: boolean])[], limit: number];

/** The columns that the reduced rows reveal. */
export const reducedBy = ([kind, columns, rest]: Reduction): string[] =>
  kind === 'top' ? columns.map(([name]) => name) : [...columns, ...rest.map(([, name]) => name).filter((name) => name !== '')];

export interface Reduced {
  reduction: Reduction;
  /** The statement over the reduced rows, and their table. */
  sql: string;
  table: { name: string; columns: { name: string; type: ColumnType }[] };
}

/** Functions of one row. */
const SCALAR = new Set(
  'abs cast ceil char coalesce concat date datetime floor format hex ifnull iif instr julianday length lower ltrim max min mod nullif printf replace round rtrim sign strftime substr substring time trim typeof unicode unixepoch upper'.split(
    ' ',
  ),
);
const BEFORE_PARENTHESIS = new Set(['IN', 'AND', 'NOT', 'BY', 'AS', 'LIKE', 'BETWEEN', 'SELECT', 'DISTINCT', 'HAVING', 'LIMIT']);
const ROW_IDS = new Set(['ROWID', 'OID', '_ROWID_']);

/**
 * How machines can reduce the rows of the only table of a statement, if all its conditions travel.
 * SQLite may reject the returned statement: then rows cannot be reduced.
 */
export function reductionOf(sql: string, table: Shape): Reduced | undefined {
  const statement = statementOf(sql);
  if (statement === undefined) return undefined;
  const outside = [...statement.select, ...statement.rest];
  const calls = aggregatesOf(outside, table);
  if (calls === undefined || outside.some((token) => ROW_IDS.has(token.text.toUpperCase()))) return undefined;
  const isGrouped = calls.length > 0 || is(statement.rest[0], 'GROUP') || is(statement.select[0], 'DISTINCT');
  if (isGrouped) return hasStar(statement.select, calls) ? undefined : groups(sql, statement.where, outside, calls, table);
  const top = topOf(statement.select, statement.rest, table);
  return top && { reduction: top, sql, table: table as Reduced['table'] };
}

interface Call {
  of: 'count' | 'sum' | 'total' | 'min' | 'max' | 'avg';
  /** A column of the table; '' for `count(*)`. */
  column: string;
  first: Token;
  last: Token;
}

/** The calls of aggregates; undefined if a function needs every row. */
function aggregatesOf(all: readonly Token[], table: Shape): Call[] | undefined {
  const calls: Call[] = [];
  for (const [i, token] of all.entries()) {
    if (!isName(token) || !is(all[i + 1], '(')) continue;
    const call = callAt(all.slice(i), table);
    if (call !== undefined) calls.push(call);
    else if (BEFORE_PARENTHESIS.has(token.text.toUpperCase())) continue;
    else if (!SCALAR.has(token.text.toLowerCase()) || !isScalar(all.slice(i))) return undefined;
  }
  return all.some((token) => token.kind === 'word' && (is(token, 'OVER') || is(token, 'FILTER'))) ? undefined : calls;
}

/** `min(a, b)` works on one row, `min(a + b)` on all. */
function isScalar([name, ...rest]: readonly Token[]): boolean {
  if (!is(name, 'MIN') && !is(name, 'MAX')) return true;
  let depth = 0;
  for (const token of rest) {
    if (is(token, '(')) depth++;
    if (is(token, ')') && --depth === 0) return false;
    if (is(token, ',') && depth === 1) return true;
  }
  return false;
}

const CALL = ['count', 'sum', 'total', 'min', 'max', 'avg'];

function callAt([name, , ...rest]: readonly Token[], table: Shape): Call | undefined {
  const of = name?.text.toLowerCase() as Call['of'];
  const inner = isName(rest[0]) && rest[1]?.text === '.' ? rest.slice(2) : rest;
  const [argument, last] = inner;
  if (!CALL.includes(of) || name === undefined || argument === undefined || !is(last, ')') || last === undefined)
    return undefined;
  if (argument.text === '*' && of === 'count' && inner === rest) return { of, column: '', first: name, last };
  const column = isName(argument) ? table.columns.find((one) => one.name === argument.text.toLowerCase()) : undefined;
  const isOfNumbers = of === 'sum' || of === 'total' || of === 'avg';
  return column === undefined || (isOfNumbers && column.type === 'TEXT')
    ? undefined
    : { of, column: column.name, first: name, last };
}

/** Whether the statement selects all columns. */
function hasStar(select: readonly Token[], calls: readonly Call[]): boolean {
  const isCounted = (token: Token): boolean => calls.some(({ first, last }) => token.start > first.start && token.end < last.end);
  return select.some(
    (token, i) =>
      token.text === '*' &&
      !isCounted(token) &&
      (i === 0 || [',', '.'].includes(select[i - 1]?.text ?? '') || is(select[i - 1], 'DISTINCT') || is(select[i - 1], 'ALL')),
  );
}

function groups(
  sql: string,
  where: readonly Token[],
  outside: readonly Token[],
  calls: readonly Call[],
  { name, columns }: Shape,
): Reduced {
  const isInCall = ({ start }: Token): boolean => calls.some(({ first, last }) => start >= first.start && start <= last.start);
  const used = new Set(outside.filter((token) => isName(token) && !isInCall(token)).map(({ text }) => text.toLowerCase()));
  const by = columns.filter((column) => used.has(column.name));
  const aggregates: Aggregate[] = [];
  const place = (of: Aggregate[0], column: string): string => {
    const known = aggregates.findIndex((one) => one[0] === of && one[1] === column);
    const at = known < 0 ? aggregates.push([of, column]) - 1 : known;
    return `"#${at}"`;
  };
  const instead = ({ of, column }: Call): string => {
    switch (of) {
      case 'count':
        return `coalesce(sum(${place('count', column)}), 0)`;
      case 'avg':
        return `(sum(${place('sum', column)}) * 1.0 / sum(${place('count', column)}))`;
      case 'sum':
      case 'total':
        return `${of}(${place('sum', column)})`;
      case 'min':
      case 'max':
        return `${of}(${place(of, column)})`;
    }
  };
  const changes = calls.map((call) => ({ start: call.first.start, end: call.last.end, text: instead(call) }));
  const [first, last] = [where[0], where.at(-1)];
  if (first !== undefined && last !== undefined) changes.push({ start: first.start, end: last.end, text: '' });
  let text = sql;
  for (const { start, end, text: by } of changes.sort((a, b) => b.start - a.start))
    text = text.slice(0, start) + by + text.slice(end);
  const typeOf = (column: string): ColumnType => (columns.find((one) => one.name === column)?.type ?? 'INTEGER') as ColumnType;
  const parts = aggregates.map(([of, column], i) => ({
    name: `#${i}`,
    type: of === 'count' ? ('INTEGER' as const) : typeOf(column),
  }));
  const shape = [...by.map((column) => ({ name: column.name, type: column.type as ColumnType })), ...parts];
  return { reduction: ['groups', by.map((column) => column.name), aggregates], sql: text, table: { name, columns: shape } };
}

/** `ORDER BY columns LIMIT n`, or `LIMIT n` alone. */
function topOf(select: readonly Token[], rest: readonly Token[], table: Shape): Reduction | undefined {
  const isLimit = (token: Token): boolean => token.kind === 'word' && is(token, 'LIMIT');
  const [ordered = [], limited] = split(rest, isLimit);
  const limit = limited && limitOf(limited);
  if (limit === undefined || (ordered.length > 0 && !(is(ordered[0], 'ORDER') && is(ordered[1], 'BY')))) return undefined;
  const isComma = (token: Token): boolean => is(token, ',');
  const items = split(select, isComma);
  const order: [string, boolean][] = [];
  for (const term of ordered.length === 0 ? [] : split(ordered.slice(2), isComma)) {
    const isDescending = is(term.at(-1), 'DESC');
    const by = isDescending || is(term.at(-1), 'ASC') ? term.slice(0, -1) : term;
    const column = columnOf(by, items, table);
    if (column === undefined) return undefined;
    order.push([column, isDescending]);
  }
  return ['top', order, limit];
}

/** The number of rows needed: LIMIT plus OFFSET. */
function limitOf(all: readonly Token[]): number | undefined {
  const [limit, separator, offset] = all;
  if (limit?.kind !== 'number' || (all.length !== 1 && all.length !== 3)) return undefined;
  if (all.length === 3 && (offset?.kind !== 'number' || !(is(separator, 'OFFSET') || is(separator, ',')))) return undefined;
  const rows = Number(limit.text) + Number(offset?.text ?? 0);
  return Number.isSafeInteger(rows) ? rows : undefined;
}

/** The column of a term of ORDER BY: a column, an alias, or a position. */
function columnOf(term: readonly Token[], items: readonly Token[][], table: Shape): string | undefined {
  const [only] = term;
  if (term.length === 1 && only !== undefined) {
    if (only.kind === 'number')
      return items.some((item) => item.some((token) => token.text === '*'))
        ? undefined
        : ofItem(items[Number(only.text) - 1], table);
    const named = items.find((item) => item.length > 1 && isName(item.at(-1)) && is(item.at(-1), only.text.toUpperCase()));
    if (named !== undefined && named.at(-2)?.text !== '.') return ofItem(named, table);
  }
  return plainColumn(term, table);
}

/** The column of `column` or of `round(column)`, which keeps the order, with or without an alias. */
function ofItem(item: readonly Token[] | undefined, table: Shape): string | undefined {
  const named = item?.findLastIndex((token) => token.kind === 'word' && is(token, 'AS')) ?? -1;
  const bare = isName(item?.at(-1)) && item?.at(-2)?.text !== '.' && (item?.length ?? 0) > 1 ? item?.slice(0, -1) : item;
  const expression = (named < 0 ? bare : item?.slice(0, named)) ?? [];
  const column = plainColumn(expression, table);
  if (column !== undefined || !is(expression[0], 'ROUND') || !is(expression.at(-1), ')')) return column;
  const [argument = [], digits] = split(expression.slice(2, -1), (token) => is(token, ','));
  const isRounded = digits === undefined || (digits.length === 1 && digits[0]?.kind === 'number');
  return isRounded ? plainColumn(argument, table) : undefined;
}

function plainColumn(all: readonly Token[], table: Shape): string | undefined {
  const [name, ...more] = isName(all[0]) && all[1]?.text === '.' ? all.slice(2) : all;
  return more.length > 0 || !isName(name) ? undefined : table.columns.find((one) => one.name === name.text.toLowerCase())?.name;
}

type Record_ = Readonly<Record<string, ExactValue | undefined>>;

/** The rows that a machine sends. @param columns the requested columns; groups have their own. */
export function reduced(rows: readonly Record_[], columns: readonly string[], reduction: Reduction | undefined): SqlValue[][] {
  const only = (row: Record_): SqlValue[] => columns.map((name) => shownValue(row[name] ?? null));
  if (reduction === undefined) return rows.map(only);
  if (reduction[0] === 'groups') return grouped(rows, reduction[1], reduction[2]);
  const [, order, limit] = reduction;
  const compare = (a: Record_, b: Record_): number => {
    for (const [column, isDescending] of order) {
      const by = compareValues(a[column] ?? null, b[column] ?? null);
      if (by !== 0) return isDescending ? -by : by;
    }
    return 0;
  };
  return [...rows].sort(compare).slice(0, limit).map(only);
}

function grouped(rows: readonly Record_[], by: readonly string[], aggregates: readonly Aggregate[]): SqlValue[][] {
  const found = new Map<string, ExactValue[]>();
  for (const row of rows) {
    const key = by.map((name) => shownValue(row[name] ?? null));
    const text = JSON.stringify(key);
    const group = found.get(text) ?? [...key, ...aggregates.map(([of]) => (of === 'count' ? 0 : null))];
    found.set(text, group);
    for (const [i, [of, column]] of aggregates.entries()) {
      const at = by.length + i;
      group[at] = together(of, group[at] ?? null, column === '' ? 1 : (row[column] ?? null));
    }
  }
  return [...found.values()].map((group) => group.map(shownValue));
}

/** Ignores NULL. */
function together(of: Aggregate[0], sofar: ExactValue, value: ExactValue): ExactValue {
  if (value === null) return sofar;
  if (of === 'count') return Number(sofar) + 1;
  if (sofar === null) return value;
  if (of === 'sum') return sumOf(sofar, value);
  return compareValues(value, sofar) < 0 === (of === 'min') ? value : sofar;
}

/** Exact for integers, as in SQLite. */
function sumOf(a: ExactValue, b: ExactValue): ExactValue {
  const near = Number(a) + Number(b);
  const areWhole = [a, b].every((one) => typeof one === 'bigint' || Number.isSafeInteger(one));
  return areWhole && !(typeof a === 'number' && typeof b === 'number' && Number.isSafeInteger(near))
    ? BigInt(a as number) + BigInt(b as number)
    : near;
}

/** The order of SQLite: NULL, numbers, texts by their bytes. */
export function compareValues(a: ExactValue, b: ExactValue): number {
  const isNumber = (value: ExactValue): value is number | bigint => typeof value === 'number' || typeof value === 'bigint';
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : a > b ? 1 : 0;
  if (typeof a === 'string' && typeof b === 'string') return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
  const rank = (value: ExactValue): number => (value === null ? 0 : isNumber(value) ? 1 : 2);
  return rank(a) - rank(b);
}
