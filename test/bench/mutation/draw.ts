// Draws the mutants: lines by the seed, each folder's share of them in proportion to its lines of code, one place of each line; what
// does not compile is left out, and the next one drawn.
import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SeededRandom } from '../../../sim/random.ts';
import { integerBelow } from '../../../swarm/ports/random.ts';
import { ROOT, type Workshop } from './copies.ts';
import { compiles, nativeUnits, placesInNative } from './native.ts';
import { type Place, placesIn } from './places.ts';
import type { Sources } from './sources.ts';

const execute = promisify(execFile);
export const FOLDERS = ['node', 'swarm', 'consensus', 'models', 'native'] as const;
/** How many more than asked for are drawn at first: what does not compile. */
const SPARE = 1.35;

export interface Mutant extends Place {
  folder: string;
  path: string;
  before: string;
}

const codeLines = (text: string): number => text.split('\n').filter((line) => !/^\s*(?:$|\/\/|\/?\*|import )/.test(line)).length;
const filesOf = (sources: Sources, folder: string): string[] =>
  folder === 'native' ? nativeUnits(sources) : sources.files(folder, '.ts');

/** One place of each line, in the order of the draw. */
function shuffled(sources: Sources, folder: string, random: SeededRandom): Mutant[] {
  const byLine = new Map<string, Mutant[]>();
  for (const path of filesOf(sources, folder)) {
    const text = sources.text(path);
    for (const place of folder === 'native' ? placesInNative(text) : placesIn(path, text)) {
      const key = `${path}:${place.line}`;
      byLine.set(key, [...(byLine.get(key) ?? []), { ...place, folder, path, before: text.slice(place.start, place.end) }]);
    }
  }
  const drawn = [...byLine.values()].flatMap((places) => places[integerBelow(random, places.length)] ?? []);
  for (let at = drawn.length - 1; at > 0; at--) {
    const other = integerBelow(random, at + 1);
    const [one, two] = [drawn[at], drawn[other]];
    if (one !== undefined && two !== undefined) [drawn[at], drawn[other]] = [two, one];
  }
  return drawn;
}

export const plant = (text: string, { start, end, text: by }: Place): string => text.slice(0, start) + by + text.slice(end);

export async function draw(
  workshop: Workshop,
  seed: number,
  count: number,
  only: string,
  progress: (text: string) => void,
): Promise<Mutant[]> {
  const { sources } = workshop;
  const random = new SeededRandom(seed, 'mutation');
  const folders = FOLDERS.filter((folder) => only === '' || folder === only);
  const lines = new Map(
    folders.map((folder) => [folder, filesOf(sources, folder).reduce((sum, path) => sum + codeLines(sources.text(path)), 0)]),
  );
  const total = [...lines.values()].reduce((sum, one) => sum + one, 0);
  const check = workshop.copy('types');
  rmSync(join(check, 'test'), { recursive: true }); // what is mutated imports none of it
  const drawing = folders.map((folder) => {
    const wanted = Math.ceil((count * (lines.get(folder) ?? 0)) / total);
    progress(`${folder}: ${lines.get(folder)} lines of code, ${wanted} mutants`);
    return { wanted, waiting: shuffled(sources, folder, random), kept: [] as Mutant[] };
  });
  for (;;) {
    const tried = drawing.map(({ wanted, waiting, kept }) => waiting.splice(0, Math.ceil((wanted - kept.length) * SPARE)));
    if (tried.every((some) => some.length === 0)) break;
    const compiling = await compiled(sources, check, tried.flat());
    for (const [nth, { kept }] of drawing.entries()) kept.push(...(tried[nth] ?? []).filter((mutant) => compiling.has(mutant)));
  }
  return drawing.flatMap(({ kept, wanted }) => kept.slice(0, wanted));
}

/** Those that the compilers accept. */
async function compiled(sources: Sources, copy: string, mutants: readonly Mutant[]): Promise<Set<Mutant>> {
  const isNative = ({ folder }: Mutant): boolean => folder === 'native';
  const kept = new Set(
    await typeChecked(
      sources,
      copy,
      mutants.filter((mutant) => !isNative(mutant)),
    ),
  );
  for (const mutant of mutants.filter(isNative)) {
    if (await compiles(copy, mutant.path, plant(sources.text(mutant.path), mutant))) kept.add(mutant);
  }
  return kept;
}

/** Those that the compiler accepts, asked about one mutant of each file at a time. */
async function typeChecked(sources: Sources, copy: string, mutants: readonly Mutant[]): Promise<Mutant[]> {
  const refused = new Set<Mutant>();
  let waiting = [...mutants];
  while (waiting.length > 0) {
    const round = [...new Map(waiting.map((mutant) => [mutant.path, mutant])).values()];
    waiting = waiting.filter((mutant) => !round.includes(mutant));
    for (const mutant of round) writeFileSync(join(copy, mutant.path), plant(sources.text(mutant.path), mutant));
    const { stdout } = await execute(join(ROOT, 'node_modules/.bin/tsc'), ['--pretty', 'false'], {
      cwd: copy,
      maxBuffer: 2 ** 26,
    }).catch((error: { stdout: string }) => error);
    const wrong = new Set(stdout.split('\n').map((line) => line.match(/^(\S+?\.ts)\(/)?.[1]));
    for (const mutant of round) {
      if (wrong.has(mutant.path)) refused.add(mutant);
      writeFileSync(join(copy, mutant.path), sources.text(mutant.path));
    }
  }
  return mutants.filter((mutant) => !refused.has(mutant));
}
