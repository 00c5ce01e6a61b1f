// Which equalities of a statement can travel with a request for rows: only such as the statement itself would filter by anyway, so
// that leaving rows out changes nothing. Anything that is not plain, a second SELECT, an OR, travels not at all.
import type { SqlValue } from '../../swarm/ports/compute.ts';
import type { Where } from './catalogue/table.ts';

export interface Shape {
  name: string;
  columns: readonly { name: string; type: string }[];
}

interface Token {
  kind: 'word' | 'name' | 'text' | 'number' | 'sign';
  text: string;
}

const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?\*\/|(?<text>'(?:[^']|'')*')|(?<name>"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\])|(?<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<word>[A-Za-z_]\w*)|(?<sign><>|!=|<=|>=|==|\|\||.)/gsu;
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
/** What makes a statement one that is not read here. */
const NOT_PLAIN = new Set(['OR', 'UNION', 'EXCEPT', 'INTERSECT', 'WITH', 'VALUES', 'CASE', 'RIGHT', 'FULL']);

function tokens(sql: string): Token[] {
  const found: Token[] = [];
  for (const { groups = {} } of sql.matchAll(TOKEN)) {
    const { text, name, number, word, sign } = groups;
    if (text !== undefined) found.push({ kind: 'text', text: text.slice(1, -1).replaceAll("''", "'") });
    else if (name !== undefined) found.push({ kind: 'name', text: name.slice(1, -1) });
    else if (number !== undefined) found.push({ kind: 'number', text: number });
    else if (word !== undefined) found.push({ kind: 'word', text: word });
    else if (sign !== undefined) found.push({ kind: 'sign', text: sign });
  }
  return found;
}

const is = (token: Token | undefined, word: string): boolean => token?.kind !== 'text' && token?.text.toUpperCase() === word;
const isName = (token: Token | undefined): token is Token => token?.kind === 'word' || token?.kind === 'name';

/** By table, the equalities that its rows must meet; none where the statement is not plain. */
export function equalities(sql: string, tables: readonly Shape[]): Map<string, Where> {
  const all = tokens(sql);
  const selects = all.filter((token) => token.kind === 'word' && is(token, 'SELECT')).length;
  const isPlain = selects === 1 && !all.some((token) => token.kind === 'word' && NOT_PLAIN.has(token.text.toUpperCase()));
  const from = all.findIndex((token) => is(token, 'FROM'));
  const where = all.findIndex((token) => is(token, 'WHERE'));
  if (!isPlain || from < 0 || where < from) return new Map();
  const named = aliases(all.slice(from + 1, where), tables);
  if (named === undefined) return new Map();
  const found = new Map<string, Map<string, readonly SqlValue[]>>();
  for (const conjunct of conjuncts(all.slice(where + 1))) {
    const equality = equalityOf(conjunct, named);
    if (equality === undefined) continue;
    const { table, column, values } = equality;
    const of = found.get(table.name) ?? new Map<string, readonly SqlValue[]>();
    found.set(table.name, of);
    // Both must hold.
    const known = of.get(column);
    of.set(column, known === undefined ? values : known.filter((value) => values.includes(value)));
  }
  return found;
}

/** What each name in the statement stands for; undefined where a table is there twice, or something else than tables. */
function aliases(all: readonly Token[], tables: readonly Shape[]): Map<string, Shape> | undefined {
  const named = new Map<string, Shape>();
  const seen = new Set<string>();
  let expects = true;
  for (let i = 0; i < all.length; i++) {
    const token = all[i];
    if (is(token, 'JOIN') || token?.text === ',') {
      // Within ON (…) and USING (…) a comma names no table: those are left by the next JOIN.
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

/** The parts of a condition that all must hold. */
function conjuncts(all: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  let between = false;
  for (const token of all) {
    if (token.kind === 'sign' && token.text === '(') depth++;
    if (token.kind === 'sign' && token.text === ')') depth--;
    if (token.kind === 'sign' && token.text === ';') break;
    if (depth === 0 && token.kind === 'word') {
      const word = token.text.toUpperCase();
      if (ENDS_WHERE.has(word)) break;
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

function equalityOf(
  part: readonly Token[],
  named: ReadonlyMap<string, Shape>,
): { table: Shape; column: string; values: SqlValue[] } | undefined {
  const flipped = part[1]?.text === '=' && part[0] !== undefined && !isName(part[0]);
  const all = flipped ? [...part.slice(2), part[1] as Token, part[0] as Token] : [...part];
  const qualifier = all[1]?.text === '.' ? all[0] : undefined;
  const [name, sign, ...rest] = qualifier === undefined ? all : all.slice(2);
  if (!isName(name)) return undefined;
  const column = name.text.toLowerCase();
  const holders = [...named].filter(
    ([alias, table]) =>
      (qualifier === undefined || alias === qualifier.text.toLowerCase()) && table.columns.some((one) => one.name === column),
  );
  const table = holders[0]?.[1];
  if (table === undefined || holders.length !== 1) return undefined;
  const type = table.columns.find((one) => one.name === column)?.type;
  const given =
    sign?.text === '=' || sign?.text === '=='
      ? rest.length === 1
        ? rest
        : undefined
      : is(sign, 'IN')
        ? listed(rest)
        : undefined;
  // Where SQLite would convert one to the type of the other, nothing travels.
  const values = given?.map((token) => (token.kind === 'text' && type === 'TEXT' ? token.text : numberOf(token, type)));
  return values === undefined || values.includes(undefined) ? undefined : { table, column, values: values as SqlValue[] };
}

const numberOf = (token: Token, type: string | undefined): number | undefined =>
  token.kind === 'number' && type !== 'TEXT' ? Number(token.text) : undefined;

/** `(1, 2)`; undefined where it is no list of literals. */
function listed(all: readonly Token[]): Token[] | undefined {
  if (all[0]?.text !== '(' || all.at(-1)?.text !== ')') return undefined;
  const inner = all.slice(1, -1);
  const isList = inner.every((token, i) => (i % 2 === 0 ? token.kind === 'text' || token.kind === 'number' : token.text === ','));
  return isList && inner.length % 2 === 1 ? inner.filter((_, i) => i % 2 === 0) : undefined;
}
