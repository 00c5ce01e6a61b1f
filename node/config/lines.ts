// Finds the line of a key in a TOML file, for messages that an editor can follow. The parser does not report it.

type Path = readonly PropertyKey[];

const KEY = String.raw`(?:[\w-]+|"[^"\n]*"|'[^'\n]*')`;
const KEYS = String.raw`${KEY}(?:\s*\.\s*${KEY})*`;
const TABLE = new RegExp(String.raw`^\s*(\[\[?)\s*(${KEYS})\s*\]\]?\s*(?:#.*)?$`);
const ASSIGNED = new RegExp(String.raw`^\s*(${KEYS})\s*=\s*(.*)$`);
const PART = new RegExp(KEY, 'g');
const QUOTES = ['"""', "'''"] as const;

const partsOf = (keys: string): string[] => (keys.match(PART) ?? []).map((part) => part.replace(/^["'](.*)["']$/, '$1'));

/** The length of `place` if it is a prefix of `path`; else -1. */
const shared = (place: Path, path: Path): number =>
  place.length <= path.length && place.every((part, i) => String(part) === String(path[i])) ? place.length : -1;

/** @param path as the parsed document has it: `service`, 1, `port`. @returns the line of the key, or of the table that contains it; undefined if there is neither */
export function lineOf(text: string, path: Path): number | undefined {
  let best = { length: 0, line: 0 };
  let table: PropertyKey[] = [];
  let quote: string | undefined;
  const counts = new Map<string, number>();
  const consider = (place: Path, line: number): void => {
    const length = shared(place, path);
    if (length > best.length) best = { length, line };
  };
  for (const [i, given] of text.split('\n').entries()) {
    if (quote !== undefined) {
      if (given.includes(quote)) quote = undefined;
      continue;
    }
    const [, brackets, keys = ''] = given.match(TABLE) ?? [];
    if (brackets !== undefined) {
      const parts = partsOf(keys);
      const nth = (counts.get(keys) ?? -1) + 1;
      if (brackets === '[[') counts.set(keys, nth);
      // A table within a list of tables belongs to the last item.
      const [first = '', ...rest] = parts;
      const of = counts.get(first);
      table = brackets === '[[' ? [...parts, nth] : of === undefined ? parts : [first, of, ...rest];
      consider(table, i + 1);
      continue;
    }
    const [, assigned, value = ''] = given.match(ASSIGNED) ?? [];
    if (assigned === undefined) continue;
    quote = QUOTES.find((one) => value.startsWith(one) && !value.slice(one.length).includes(one));
    consider([...table, ...partsOf(assigned)], i + 1);
  }
  return best.length === 0 ? undefined : best.line;
}
