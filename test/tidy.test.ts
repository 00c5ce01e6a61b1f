// The structure, kept: who may import whom, what only adapters may touch, how large things may grow, and names.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type ClassMeasure,
  circles,
  documents,
  documentText,
  measureFile,
  measureFiles,
  productFiles,
} from './support/structure.ts';
import { BANNED_IN_PRODUCT, BANNED_NAMES, BANNED_PHRASES, bannedIn } from './support/words.ts';

const ROOT = dirname(import.meta.dirname);
const ROOMS = ['bin', 'consensus', 'models', 'native', 'node', 'sim', 'swarm', 'test'];
const MAX_FILE_LINES = 600;
const MAX_FUNCTION_LINES = 70;
const MAX_METHODS = 25;
const MAX_FIELDS = 12;

/** Which rooms a room may import from, itself aside (design.md, section 1). */
const MAY_IMPORT: Record<string, string[]> = {
  swarm: [],
  consensus: ['swarm'],
  models: ['swarm'],
  node: ['swarm', 'consensus', 'models'],
  sim: ['node', 'consensus', 'swarm', 'models'],
  bin: ['node', 'sim'],
  test: [...ROOMS, 'scripts'],
};

/** The loop: a step may import from those before it, never from those after. */
const LOOP = ['telemetry', 'detection', 'decision', 'action', 'verification', 'memory'];

/** What is between the loop and the swarm: each may import from those before it. Questions reach the agent through an interface of their own. */
const BETWEEN = ['ports', 'query', 'decisions', 'link', 'coordination', 'agent'];

/** Where time, randomness, I/O and Node's own modules may be used: adapters, and what runs at the edge. */
const EDGES = [
  /\/adapters\//,
  /^swarm\/libp2p\//,
  /^models\/onnx\//,
  /^node\/(api|cli)\//,
  /^node\/main\.ts$/,
  /^bin\//,
  /^test\//,
  /^sim\/cli\.ts$/,
];

const BANNED: [RegExp, string][] = [
  [/\bDate\.now\b|\bnew Date\(\)/, 'the wall clock'],
  [/\bMath\.random\b/, 'unseeded randomness'],
  [/\bset(Timeout|Interval|Immediate)\b/, 'real timers'],
  [/\bperformance\.now\b/, 'the real clock'],
  [/\bAbortSignal\.timeout\b/, 'real timers'],
  [/from 'node:(?!assert)/, "Node's modules"],
  [/\bprocess\.(env|argv|exit|kill|cwd)\b/, 'the process'],
];

interface Source {
  path: string;
  text: string;
  lines: string[];
}

const sources: Source[] = ROOMS.flatMap((room) =>
  readdirSync(join(ROOT, room), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => {
      const path = relative(ROOT, join(entry.parentPath, entry.name));
      const text = readFileSync(join(ROOT, path), 'utf8');
      return { path, text, lines: text.split('\n') };
    }),
);

const isEdge = (path: string): boolean => EDGES.some((edge) => edge.test(path));

function importsOf({ path, text }: Source): string[] {
  return [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) =>
    relative(ROOT, join(ROOT, dirname(path), match[1] ?? '')),
  );
}

/** Code without comments and strings, for words that must not be used. */
function code(source: Source): string {
  return source.text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$|\s\/\/ .*$/gm, '');
}

describe('tidy', () => {
  it('finds the sources', () => {
    expect(sources.length).toBeGreaterThan(60);
  });

  it('rooms import only from the rooms that they may', () => {
    const wrong = sources.flatMap((source) => {
      const room = source.path.split('/')[0] ?? '';
      return importsOf(source)
        .filter((target) => target.split('/')[0] !== room && !MAY_IMPORT[room]?.includes(target.split('/')[0] ?? ''))
        .map((target) => `${source.path} imports ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it.each([
    ['the loop', LOOP],
    ['what is between the loop and the swarm', BETWEEN],
  ])('%s flows one way', (_, steps) => {
    const stepOf = (path: string): number => steps.indexOf(path.match(/^node\/([^/]+)\//)?.[1] ?? '');
    const wrong = sources.flatMap((source) =>
      importsOf(source)
        .filter((target) => stepOf(source.path) >= 0 && stepOf(target) > stepOf(source.path))
        .map((target) => `${source.path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('only swarm/libp2p imports libp2p, and only adapters of telemetry and action touch native/', () => {
    const libp2p = sources.filter(
      ({ path, text }) => !/^(swarm.libp2p|test.support)\//.test(path) && /from '(@?libp2p|@chainsafe\/libp2p)/.test(text),
    );
    const native = sources.filter(
      (source) =>
        !/^node\/(telemetry|action)\//.test(source.path) && importsOf(source).some((target) => target.startsWith('native/')),
    );
    expect([...libp2p, ...native].map(({ path }) => path)).toEqual([]);
  });

  it('time, randomness, I/O and Node are used only at the edges', () => {
    const wrong = sources
      .filter(({ path }) => !isEdge(path))
      .flatMap((source) =>
        BANNED.filter(([pattern]) => pattern.test(code(source))).map(([, what]) => `${source.path} uses ${what}`),
      );
    expect(wrong).toEqual([]);
  });

  it('there are no default exports, enums, namespaces or any', () => {
    const wrong = sources.filter(
      (source) =>
        source.path !== 'test/tidy.test.ts' &&
        /^export default|^\s*(export )?(const )?enum |^\s*(export )?namespace |: any\b|<any>|as any\b/m.test(code(source)),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  it('words of our own that the field has a word for are not used (test/support/words.ts)', () => {
    const found = [
      ...documents().flatMap((path) => bannedIn(path, documentText(path), [...BANNED_PHRASES, ...BANNED_IN_PRODUCT])),
      ...sources
        .filter(({ path }) => path !== 'test/support/words.ts')
        .flatMap(({ path, text }) => [
          ...bannedIn(path, path, BANNED_NAMES),
          ...bannedIn(path, text, [...BANNED_NAMES, ...BANNED_PHRASES, ...(path.startsWith('test/') ? [] : BANNED_IN_PRODUCT)]),
        ]),
    ];
    expect(found).toEqual([]);
  });

  it('no files import each other in a circle, types included', () => {
    expect(circles(['a', 'b', 'c'], (path) => ({ a: ['b'], b: ['a', 'c'] })[path] ?? [])).toEqual([['a', 'b']]);
    expect(circles(productFiles())).toEqual([]);
  });

  it('every file says first what it is', () => {
    expect(sources.filter(({ lines }) => !lines[0]?.startsWith('//')).map(({ path }) => path)).toEqual([]);
  });

  it(`files stay under ${MAX_FILE_LINES} lines and functions under ${MAX_FUNCTION_LINES}`, () => {
    const longFiles = sources
      .filter(({ lines }) => lines.length > MAX_FILE_LINES)
      .map(({ path, lines }) => `${path}: ${lines.length} lines`);
    const longFunctions = sources.filter(({ path }) => !path.startsWith('test/')).flatMap(functionsTooLong);
    expect([...longFiles, ...longFunctions]).toEqual([]);
  });

  it(`classes have at most ${MAX_METHODS} methods, accessors among them, and ${MAX_FIELDS} fields`, () => {
    const large = (measured: readonly ClassMeasure[]): string[] =>
      measured
        .filter(({ methods, fields }) => methods > MAX_METHODS || fields > MAX_FIELDS)
        .map(({ where, methods, fields }) => `${where}: ${methods} methods, ${fields} fields`);
    const members = (count: number, member: (nth: number) => string): string =>
      Array.from({ length: count }, (_, nth) => member(nth)).join('');
    const made = (methods: number, fields: number): string =>
      `class Made { ${members(fields, (nth) => `#f${nth} = 0; `)}${members(methods, (nth) => `m${nth}() {} `)}}`;
    const largeIn = (text: string) => large(measureFile('made.ts', text).classes);
    expect([largeIn(made(MAX_METHODS, MAX_FIELDS)), largeIn(made(MAX_METHODS + 1, 0)), largeIn(made(0, MAX_FIELDS + 1))]).toEqual(
      [[], ['made.ts:1 Made: 26 methods, 0 fields'], ['made.ts:1 Made: 0 methods, 13 fields']],
    );
    expect(large(measureFiles().flatMap(({ classes }) => classes))).toEqual([]);
  });

  it('file names are kebab-case', () => {
    expect(sources.filter(({ path }) => !/^[a-z0-9./-]+$/.test(path)).map(({ path }) => path)).toEqual([]);
  });
});

describe('native/', () => {
  const native = readdirSync(join(ROOT, 'native'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(cc|h)$/.test(entry.name))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
    .map(({ path, text }) => ({ path, text, lines: text.split('\n') }));

  it('every file says first under which licence it is, and what it is', () => {
    expect(native.length).toBeGreaterThan(30);
    const licence = /^(\/\/|\/\*) SPDX-License-Identifier: Apache-2\.0/;
    const silent = native.filter(({ lines }) => !licence.test(lines[0] ?? '') || !/^(\/\/ |\/\*)/.test(lines[1] ?? ''));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  it(`files stay under ${MAX_FILE_LINES} lines and functions under ${MAX_FUNCTION_LINES}`, () => {
    const longFiles = native.filter(({ lines }) => lines.length > MAX_FILE_LINES).map(({ path }) => path);
    expect([...longFiles, ...native.flatMap(nativeFunctionsTooLong)]).toEqual([]);
    const long = ['void run() {', ...Array<string>(MAX_FUNCTION_LINES).fill('\twork();'), '}'];
    expect(nativeFunctionsTooLong({ path: 'a.cc', text: '', lines: long })).toHaveLength(1);
  });

  it('no files include each other in a circle', () => {
    const included = (path: string): string[] =>
      [...(native.find((file) => file.path === path)?.text ?? '').matchAll(/^#include "([^"]+)"/gm)].map(([, to = '']) =>
        join(dirname(path), to),
      );
    expect(included('native/actuator/server.cc')).toContain('native/actuator/server.h');
    expect(
      circles(
        native.map(({ path }) => path),
        included,
      ),
    ).toEqual([]);
  });

  it('what is open is closed with its scope: nothing closes by hand', () => {
    const byHand = native.filter(({ path, text }) => path !== 'native/fd.h' && /(?<![\w:.>])(close|closedir)\(/.test(text));
    expect(byHand.map(({ path }) => path)).toEqual([]);
  });

  it('words of our own that the field has a word for are not used', () => {
    const words: readonly (readonly [RegExp, string])[] = [
      ...BANNED_PHRASES,
      [/\btold\b/, 'reported'],
      [/\b(?:whoever|whatever)\b/i, 'a noun'],
      [/\bLeaves\b|\bLeave for\b|\b(?:takes|its) leave\b/, 'authorization'],
    ];
    expect(native.flatMap(({ path, text }) => bannedIn(path, text, words))).toEqual([]);
  });
});

/** A function opens on a line that ends with its parameters, or with what its constructor sets, and closes at the same depth. */
function nativeFunctionsTooLong({ path, lines }: Source): string[] {
  const found: string[] = [];
  lines.forEach((line, start) => {
    const opens = line.match(/^(\t*)(?! *(?:if|else|for|while|switch|\}|\/\/)\b)\S.*\)(?: const| noexcept)* \{$/);
    if (opens === null) return;
    const end = lines.findIndex((other, at) => at > start && other.startsWith(`${opens[1]}}`));
    if (end - start > MAX_FUNCTION_LINES) found.push(`${path}:${start + 1}: ${end - start} lines`);
  });
  return found;
}

/** Blocks that open at a function's or method's signature and close at the same indentation. */
function functionsTooLong({ path, lines }: Source): string[] {
  const found: string[] = [];
  lines.forEach((line, start) => {
    const opens = line.match(/^( *)(?:export )?(?:async )?(?:function|(?:readonly |static |async )*#?[a-zA-Z]+\()[^;]*\{$/);
    if (opens === null) return;
    const end = lines.findIndex((other, at) => at > start && other.startsWith(`${opens[1]}}`));
    if (end - start > MAX_FUNCTION_LINES) found.push(`${path}:${start + 1}: ${end - start} lines`);
  });
  return found;
}
