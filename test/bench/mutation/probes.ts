// Marks which lines run: before each statement, and in each arrow function, a place of a shared array is set. Lines of a source stay
// where they are. Types are left alone.
import { childrenOf, lineCounter, parse } from './places.ts';

type Node = ReturnType<typeof parse>;

export interface Probe {
  line: number;
  /** What it is set before. */
  start: number;
  end: number;
}

/** @returns the source with its probes, whose numbers begin with `first`. */
export function withProbes(path: string, text: string, first: number): { text: string; probes: Probe[] } {
  const lineOf = lineCounter(text);
  const probes: Probe[] = [];
  const insertions: { at: number; text: string }[] = [];
  const mark = (node: Node): string => {
    probes.push({ line: lineOf(node.start), start: node.start, end: node.end });
    return `__k[${first + probes.length - 1}]=1`;
  };
  const before = (statements: readonly Node[]): void => {
    for (const statement of statements)
      if (isMarked(statement)) insertions.push({ at: statement.start, text: `${mark(statement)};` });
  };
  const wrap = (statement: Node | null | undefined): void => {
    if (statement === null || statement === undefined || statement.type === 'BlockStatement' || statement.type === 'IfStatement')
      return;
    insertions.push({ at: statement.start, text: `{${mark(statement)};` }, { at: statement.end, text: '}' });
  };
  const visit = (node: Node): void => {
    if (/^TS(?!AsExpression|NonNullExpression|SatisfiesExpression)|^(Import|ExportAll)/.test(node.type)) return;
    if (node.type === 'BlockStatement' || node.type === 'Program') before(node.body as Node[]);
    else if (node.type === 'SwitchCase') before(node.consequent as Node[]);
    else if (node.type === 'IfStatement') {
      wrap(node.consequent as Node);
      wrap(node.alternate as Node | null);
    } else if (/^(For|ForOf|ForIn|While)Statement$/.test(node.type) && 'body' in node) wrap(node.body as Node);
    else if (node.type === 'ArrowFunctionExpression' && node.body.type !== 'BlockStatement') {
      const body = node.body as Node;
      insertions.push({ at: body.start, text: `(${mark(body)},` }, { at: body.end, text: ')' });
    }
    for (const child of childrenOf(node)) visit(child);
  };
  visit(parse(path, text));
  // At one offset what was put first stands outside: an end of an inner node comes before that of the outer one.
  const sorted = insertions.map((one, nth) => ({ ...one, nth }));
  sorted.sort(
    (one, other) => one.at - other.at || (isEnd(one.text) && isEnd(other.text) ? other.nth - one.nth : one.nth - other.nth),
  );
  let [marked, at] = ['', 0];
  for (const insertion of sorted) {
    marked += text.slice(at, insertion.at) + insertion.text;
    at = insertion.at;
  }
  marked += text.slice(at);
  // The first line of every source is a comment; a shebang may precede it.
  const head = 'const __k = (globalThis as unknown as { __kalosHits?: Uint8Array }).__kalosHits ?? new Uint8Array(0);';
  return { text: marked.startsWith('#!') ? marked.replace('\n', `\n${head}`) : `${head}${marked}`, probes };
}

/** @returns the line of the probe that is passed before what stands at `start`; undefined: only the file's loading may tell. */
export function probeOf(probes: readonly Probe[], start: number): number | undefined {
  const around = probes.filter((probe) => probe.start <= start && start < probe.end);
  return around.sort((one, other) => one.end - one.start - (other.end - other.start))[0]?.line;
}

const isMarked = (node: Node): boolean => !/^TS|Declaration$/.test(node.type) || node.type === 'VariableDeclaration';

const isEnd = (text: string): boolean => text === '}' || text === ')';
