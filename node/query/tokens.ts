// Splits a statement into tokens: the part of SQL's grammar that is needed before SQLite parses it.

export interface Token {
  kind: 'word' | 'name' | 'text' | 'number' | 'sign';
  text: string;
  /** Position in the statement: [start, end). */
  start: number;
  end: number;
}

const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?\*\/|(?<text>'(?:[^']|'')*')|(?<name>"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\])|(?<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<word>[A-Za-z_]\w*)|(?<sign><>|!=|<=|>=|==|\|\||.)/gsu;

export function tokens(sql: string): Token[] {
  const found: Token[] = [];
  for (const match of sql.matchAll(TOKEN)) {
    const { text, name, number, word, sign } = match.groups ?? {};
    const at = { start: match.index, end: match.index + match[0].length };
    if (text !== undefined) found.push({ kind: 'text', text: text.slice(1, -1).replaceAll("''", "'"), ...at });
    else if (name !== undefined) found.push({ kind: 'name', text: name.slice(1, -1), ...at });
    else if (number !== undefined) found.push({ kind: 'number', text: number, ...at });
    else if (word !== undefined) found.push({ kind: 'word', text: word, ...at });
    else if (sign !== undefined) found.push({ kind: 'sign', text: sign, ...at });
  }
  return found;
}

export const is = (token: Token | undefined, word: string): boolean =>
  token?.kind !== 'text' && token?.text.toUpperCase() === word;
export const isName = (token: Token | undefined): token is Token => token?.kind === 'word' || token?.kind === 'name';

/** Splits at separators outside of parentheses. */
export function split(all: readonly Token[], separates: (token: Token) => boolean): Token[][] {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (const token of all) {
    if (is(token, '(')) depth++;
    if (is(token, ')')) depth--;
    if (depth === 0 && separates(token)) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts;
}
