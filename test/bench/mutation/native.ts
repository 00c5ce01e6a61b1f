// Mutants of the C++ sources: found line by line, since the style of the sources puts one statement on a line. A mutated unit is
// compiled alone, without optimization or sanitizers, and linked with objects of the others.
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Place } from './places.ts';
import type { Sources } from './sources.ts';

const execute = promisify(execFile);
const ACTUATOR = 'native/actuator';
const FLAGS = ['-std=c++17', '-O0', '-w'];
const ADDON_FLAGS = ['-fPIC', '-shared', '-DNAPI_VERSION=9'];

/** The fuzzer is a test. */
export const nativeUnits = (sources: Sources): string[] =>
  sources.files('native', '.cc').filter((path) => basename(path) !== 'fuzz.cc');

const OPERATORS: [pattern: RegExp, by: (found: string) => string][] = [
  [/ (?:<|>) (?=[^>]*$|[^<]*$)/g, (found) => found.replace(/[<>]/, '$&=')],
  [/ (?:<=|>=) /g, (found) => found.replace('=', '')],
  [/ == /g, () => ' != '],
  [/ != /g, () => ' == '],
  [/ && /g, () => ' || '],
  [/ \|\| /g, () => ' && '],
  [/(?<=[\w)\]]) \+ (?=[\w(])/g, () => ' - '],
  [/(?<=[\w)\]]) - (?=[\w(])/g, () => ' + '],
  [/\+\+(?=[\w;)]|$)/g, () => '--'],
  [/ \+= (?=\w)/g, () => ' -= '],
  [/ -= (?=\w)/g, () => ' += '],
  [/\btrue\b/g, () => 'false'],
  [/\bfalse\b/g, () => 'true'],
  [/(?<![\w.'])\d+(?![\w.'])/g, (found) => String(Number(found) > 10 ? Number(found) * 2 : Number(found) + 1)],
  [/(?<=\b(?:if|while) \()!(?=\w[^&|]*\)$)/g, () => ''],
];
/** A whole statement: a call, an assignment, a jump, or a guard that jumps. */
const STATEMENT = /^(?:[\w:.>[\]()*-]+\(.*\);|\*?[\w.>[\]-]+ [-+|&]?= .*;|return(?: .*)?;|continue;|break;)$/;
const SKIPPED = /^(?:#|static_assert|namespace|using |template|struct |class |enum |\/\/|\*|case |constexpr char)/;

/** Spaces in place of what strings, characters and comments hold. */
function withoutWords(text: string): string {
  return text.replace(/"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (found) =>
    found.replace(/[^\n]/g, ' '),
  );
}

export function placesInNative(text: string): Place[] {
  const lines = withoutWords(text).split('\n');
  const originals = text.split('\n');
  const places: Place[] = [];
  let offset = 0;
  lines.forEach((code, nth) => {
    const put = (start: number, end: number, by: string): void =>
      void places.push({ line: nth + 1, start: offset + start, end: offset + end, text: by });
    const trimmed = code.trim();
    const indent = code.length - code.trimStart().length;
    if (trimmed !== '' && !SKIPPED.test(trimmed)) {
      for (const [pattern, by] of OPERATORS) {
        for (const { index, 0: found } of code.matchAll(pattern)) put(index, index + found.length, by(found));
      }
      const original = (originals[nth] ?? '').trim();
      if (indent > 0 && STATEMENT.test(original)) put(indent, code.trimEnd().length, ';');
      const condition = trimmed.match(/^(?:\} else )?if \((?!!)(.*)\)$/)?.[1];
      if (condition !== undefined && !/[=!<>]= | [<>] |;/.test(condition)) {
        const start = code.indexOf('if (') + 4;
        put(start, code.trimEnd().length - 1, `!(${text.slice(offset + start, offset + code.trimEnd().length - 1)})`);
      }
    }
    offset += code.length + 1;
  });
  return places;
}

/** Where a whole statement stands on a line of its own, by line and columns. */
export function statementsIn(text: string): { line: number; start: number; end: number }[] {
  const lines = withoutWords(text).split('\n');
  const originals = text.split('\n');
  let before = '';
  return lines.flatMap((code, nth) => {
    const [trimmed, opened] = [code.trim(), before];
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    before = trimmed;
    const begins = /[;{}:)]$|\belse$|\bdo$/.test(opened);
    const isBalanced =
      trimmed.split('(').length === trimmed.split(')').length && !trimmed.includes('{') && !trimmed.includes('}');
    const isStatement = STATEMENT.test((originals[nth] ?? '').trim()) && !SKIPPED.test(trimmed);
    const start = code.length - code.trimStart().length;
    return begins && isBalanced && isStatement && start > 0 ? [{ line: nth + 1, start, end: code.trimEnd().length }] : [];
  });
}

/** The lines of the function that a line is in: from one that stands at the margin to the next that closes there. */
export function functionAround(text: string, line: number): { from: number; to: number } {
  const lines = text.split('\n');
  const isEnd = (one: string | undefined): boolean => one === '}' || one?.startsWith('};') === true;
  let [from, to] = [line, line];
  while (from > 1 && !isEnd(lines[from - 2])) from--;
  while (to < lines.length && !isEnd(lines[to - 1])) to++;
  return { from, to };
}

export const isActuator = (unit: string): boolean => unit.startsWith(ACTUATOR);
/** What either program takes to be compiled. */
export const addonFlags = (root: string): string[] => ['-fPIC', '-DNAPI_VERSION=9', '-I', headers(), ...includedIn(root)];

const includedIn = (root: string): string[] => ['-I', join(root, ACTUATOR), '-I', join(root, 'native')];
const headers = (): string => join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include');

export async function compiles(directory: string, unit: string, text: string): Promise<boolean> {
  const source = join(directory, `mutant-${basename(unit)}`);
  writeFileSync(source, text);
  const addon = ['-DNAPI_VERSION=9', '-I', headers()];
  return execute('g++', [...FLAGS, '-fsyntax-only', ...includedIn(directory), ...addon, source]).then(
    () => true,
    () => false,
  );
}

/** Objects of all units, made once. */
export class NativeBuild {
  readonly #sources: Sources;
  readonly #directory: string;
  #objects: Promise<string[]> | undefined;

  constructor(sources: Sources, directory: string) {
    this.#sources = sources;
    this.#directory = directory;
  }

  async #all(): Promise<string[]> {
    mkdirSync(this.#directory, { recursive: true });
    const units = nativeUnits(this.#sources).filter((path) => path.startsWith(ACTUATOR));
    for (const unit of units) await execute('g++', [...FLAGS, '-c', join(this.#sources.root, unit), '-o', this.#object(unit)]);
    return units;
  }

  #object(unit: string): string {
    return join(this.#directory, `${basename(unit, '.cc')}.o`);
  }

  /** Puts what the sources make, `unit` replaced by `text`, among the built files of a copy. */
  async install(copy: string, unit: string, text: string): Promise<void> {
    const built = join(copy, 'native', 'build');
    const source = join(built, `mutant-${basename(unit)}`);
    const included = includedIn(copy);
    writeFileSync(source, text);
    if (!unit.startsWith(ACTUATOR)) {
      await execute('g++', [...FLAGS, ...ADDON_FLAGS, '-I', headers(), ...included, source, '-o', join(built, 'kalos.node')]);
      return;
    }
    this.#objects ??= this.#all();
    const others = (await this.#objects).filter((other) => other !== unit).map((other) => this.#object(other));
    const object = join(built, 'mutant.o');
    await execute('g++', [...FLAGS, ...included, '-c', source, '-o', object]);
    const programs = ['kalos-actuator', 'kalos-actuator.sanitized'].map((name) => join(built, name));
    for (const program of programs) await execute('g++', [object, ...others, '-o', program]);
  }
}
