// Finds columns of two tables that are equal in every row of a plain statement's result. The values of one table are then a constraint on the
// other: `file join hash using (path)` requests hash for the paths of file. Pure.
import { conjuncts, type Shape, statementOf } from './predicates.ts';
import { is, isName, type Token } from './tokens.ts';

/** Only rows of `table` whose `column` has a value of `from` matter. */
export interface Join {
  table: string;
  column: string;
  from: { table: string; column: string };
}

interface Item {
  alias: string;
  shape: Shape;
  /** Rows of the tables before it stay, also without a partner in it. */
  isOptional: boolean;
  using: string[];
  on: Token[];
}

interface Column {
  item: number;
  name: string;
}

const BEFORE_JOIN = new Set(['NATURAL', 'LEFT', 'INNER', 'CROSS', 'OUTER']);
const AFTER_NAME = new Set([...BEFORE_JOIN, 'JOIN', 'ON', 'USING']);

/** Empty if the statement is not plain. */
export function joinsOf(sql: string, tables: readonly Shape[]): Join[] {
  const statement = statementOf(sql);
  const items = statement && itemsOf(statement.from, tables);
  if (statement === undefined || items === undefined) return [];
  const found: Join[] = [];
  const add = (of: Column, from: Column): void => {
    const [one, other] = [items[of.item]?.shape, items[from.item]?.shape];
    if (one === undefined || other === undefined || !isText(one, of.name) || !isText(other, from.name)) return;
    found.push({ table: one.name, column: of.name, from: { table: other.name, column: from.name } });
  };
  for (const [a, b] of pairs(statement.where.slice(1), items)) {
    add(a, b);
    add(b, a);
  }
  for (const [at, { using, on, isOptional }] of items.entries()) {
    const shared = using.flatMap((name): [Column, Column][] => {
      const earlier = items.findIndex(({ shape }, i) => i < at && has(shape, name));
      return earlier < 0
        ? []
        : [
            [
              { item: at, name },
              { item: earlier, name },
            ],
          ];
    });
    for (const [a, b] of [...shared, ...pairs(on, items)]) {
      // Rows before an optional table stay without a partner: they constrain it, but it does not constrain them.
      if (!isOptional || a.item === at) add(a, b);
      if (!isOptional || b.item === at) add(b, a);
    }
  }
  return found;
}

const has = ({ columns }: Shape, name: string): boolean => columns.some((column) => column.name === name);
/** No constraint if SQLite would convert one to the type of the other. */
const isText = ({ columns }: Shape, name: string): boolean => columns.find((column) => column.name === name)?.type === 'TEXT';

/** `a.x = b.y` */
function pairs(condition: readonly Token[], items: readonly Item[]): [Column, Column][] {
  return conjuncts(bare(condition)).flatMap((part): [Column, Column][] => {
    const at = part.findIndex((token) => token.text === '=' || token.text === '==');
    const [a, b] = [columnOf(part.slice(0, at), items), columnOf(part.slice(at + 1), items)];
    return at < 0 || a === undefined || b === undefined || a.item === b.item ? [] : [[a, b]];
  });
}

/** Removes parentheses around the whole expression. */
function bare(all: readonly Token[]): readonly Token[] {
  if (!is(all[0], '(') || !is(all.at(-1), ')')) return all;
  let depth = 0;
  const closes = all.findIndex((token) => {
    if (token.kind === 'sign' && token.text === '(') depth++;
    if (token.kind === 'sign' && token.text === ')') depth--;
    return depth === 0;
  });
  return closes === all.length - 1 ? bare(all.slice(1, -1)) : all;
}

function columnOf(part: readonly Token[], items: readonly Item[]): Column | undefined {
  const qualifier = part[1]?.text === '.' ? part[0]?.text.toLowerCase() : undefined;
  const [name, ...more] = qualifier === undefined ? part : part.slice(2);
  if (!isName(name) || more.length > 0) return undefined;
  const column = name.text.toLowerCase();
  const holders = items.flatMap(({ alias, shape }, item) =>
    (qualifier === undefined || alias === qualifier) && has(shape, column) ? [item] : [],
  );
  const [item] = holders;
  return item === undefined || holders.length !== 1 ? undefined : { item, name: column };
}

/** The tables of FROM with their joins; undefined if FROM is not plain or has a table twice. */
function itemsOf(from: readonly Token[], tables: readonly Shape[]): Item[] | undefined {
  const items: Item[] = [];
  for (const part of joined(from)) {
    const join = part.findIndex(
      (token) => !(token.kind === 'word' && (BEFORE_JOIN.has(token.text.toUpperCase()) || is(token, 'JOIN'))),
    );
    const before = part.slice(0, Math.max(0, join)).map(({ text }) => text.toUpperCase());
    const [name, ...rest] = part.slice(before.length);
    const shape = isName(name) ? tables.find((table) => table.name === name.text.toLowerCase()) : undefined;
    if (shape === undefined || items.some((item) => item.shape === shape)) return undefined;
    if (is(rest[0], 'AS')) rest.shift();
    const alias = isName(rest[0]) && !AFTER_NAME.has(rest[0].text.toUpperCase()) ? rest.shift() : name;
    const isNatural = before.includes('NATURAL');
    const earlier = items.flatMap((item) => item.shape.columns.map((column) => column.name));
    const using = is(rest[0], 'USING')
      ? rest
          .slice(1)
          .filter(isName)
          .map(({ text }) => text.toLowerCase())
      : isNatural
        ? shape.columns.map((column) => column.name).filter((column) => earlier.includes(column))
        : [];
    const on = is(rest[0], 'ON') ? rest.slice(1) : [];
    items.push({ alias: (alias?.text ?? '').toLowerCase(), shape, isOptional: before.includes('LEFT'), using, on });
  }
  return items;
}

/** One part for each table, from its join to the next join. */
function joined(from: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const [i, token] of from.entries()) {
    if (token.kind === 'sign' && token.text === '(') depth++;
    if (token.kind === 'sign' && token.text === ')') depth--;
    const begins = token.kind === 'word' && (BEFORE_JOIN.has(token.text.toUpperCase()) || is(token, 'JOIN'));
    const goesOn = begins && from[i - 1]?.kind === 'word' && BEFORE_JOIN.has(from[i - 1]?.text.toUpperCase() ?? '');
    if (depth === 0 && token.kind === 'sign' && token.text === ',') parts.push([]);
    else if (depth === 0 && begins && !goesOn) parts.push([token]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}
