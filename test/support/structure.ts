// The measures of the sources: files, functions and classes, which files import each other in a circle, how long the sentences of the
// documentation are.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { childrenOf, lineCounter, parse } from '../bench/mutation/places.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const ROOMS = ['bin', 'node', 'swarm', 'consensus', 'models', 'sim'];
const FUNCTIONS = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
const FIELDS = new Set(['PropertyDefinition', 'AccessorProperty']);

export interface Named {
  /** `path:line name`. */
  where: string;
  lines: number;
}

export interface ClassMeasure extends Named {
  /** Methods, getters and setters; the constructor aside. */
  methods: number;
  fields: number;
}

type Node = ReturnType<typeof parse>;

export const productFiles = (): string[] =>
  ROOMS.flatMap((room) =>
    readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => relative(ROOT, join(entry.parentPath, entry.name))),
  ).sort();

const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

export function measureFile(path: string, text: string): { functions: Named[]; classes: ClassMeasure[] } {
  const lineOf = lineCounter(text);
  const functions: Named[] = [];
  const classes: ClassMeasure[] = [];
  const walk = (node: Node): void => {
    const lines = lineOf(node.end) - lineOf(node.start) + 1;
    const where = `${path}:${lineOf(node.start)}`;
    if (FUNCTIONS.has(node.type)) functions.push({ where, lines });
    if (node.type === 'ClassDeclaration' || node.type === 'ClassExpression') {
      const members = node.body.body as unknown as { type: string; kind?: string }[];
      classes.push({
        where: `${where} ${node.id?.name ?? ''}`,
        lines,
        methods: members.filter(({ type, kind }) => type === 'MethodDefinition' && kind !== 'constructor').length,
        fields: members.filter(({ type }) => FIELDS.has(type)).length,
      });
    }
    for (const child of childrenOf(node)) walk(child);
  };
  walk(parse(path, text));
  return { functions, classes };
}

/** What a file imports, types too: who has to be read to understand it. */
function importsOf(path: string): string[] {
  return [...textOf(path).matchAll(/(?:from|import\()\s*'(\.[^']+\.ts)'/g)].map(([, to = '']) => join(dirname(path), to));
}

/** Groups of files that import each other, directly or through others (Tarjan 1972), each in alphabetical order. */
export function circles(paths: readonly string[], imports: (path: string) => readonly string[] = importsOf): string[][] {
  const known = new Set(paths);
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const found: string[][] = [];
  const visit = (path: string): number => {
    const own = order.size;
    order.set(path, own);
    open.push(path);
    let low = own;
    for (const to of imports(path)) {
      if (!known.has(to)) continue;
      if (!order.has(to)) low = Math.min(low, visit(to));
      else if (open.includes(to)) low = Math.min(low, order.get(to) ?? own);
    }
    lowest.set(path, low);
    if (low === own) {
      const group = open.splice(open.indexOf(path));
      if (group.length > 1) found.push(group.sort());
    }
    return low;
  };
  for (const path of paths) if (!order.has(path)) visit(path);
  return found.sort();
}

/** Words of each sentence of Markdown: without code, tables, headings and lists of links. */
export function sentenceLengths(markdown: string): { words: number; text: string }[] {
  const prose = markdown
    .replace(/```[\s\S]*?```/g, '\n\n')
    .replace(/^(?:\||#|>|\s*!\[).*$/gm, '\n')
    .replace(/^\s*(?:[-*]|\d+\.)\s+/gm, '\n\n')
    .replace(/`[^`\n]*`/g, 'code')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
  return prose
    .split(/\n\s*\n/)
    .flatMap((paragraph) => paragraph.replace(/\s+/g, ' ').split(/(?<=[.!?:])\s+(?=[A-Z“"(`]|code\b)/))
    .map((text) => ({
      text: text.trim(),
      words: text
        .trim()
        .split(/\s+/)
        .filter((word) => /\w/.test(word)).length,
    }))
    .filter(({ words }) => words > 0);
}

export const documents = (): string[] => [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** The value that a share of them is at most. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

export const documentText = textOf;
export const measureFiles = (): { path: string; lines: number; functions: Named[]; classes: ClassMeasure[] }[] =>
  productFiles().map((path) => {
    const text = textOf(path);
    return { path, lines: text.split('\n').length - 1, ...measureFile(path, text) };
  });
