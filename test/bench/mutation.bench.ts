// How many of the mistakes that are planted in the sources, one at a time, the tests catch: mutants are drawn by a seed, each is run
// against the cases that execute its line, cheapest first, up to a limit. A case that fails is run again without the mutant before
// it is believed.
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Bench, BenchOptions, Figures } from './bench.ts';
import { type Lane, Workshop } from './mutation/copies.ts';
import { draw, FOLDERS, type Mutant, plant } from './mutation/draw.ts';
import { functionAround, NativeBuild } from './mutation/native.ts';
import { probeOf, withProbes } from './mutation/probes.ts';
import { recordTests, type TestFile } from './mutation/record.ts';
import type { Sources } from './mutation/sources.ts';

const WIDTH = 2;
/** Test time that one mutant is given. */
const CASES_LIMIT_MS = 25_000;
/** Of it, what one test file may take: one that imports what is mutated, and any other, for many of these look at other things. */
const NEAR_LIMIT_MS = 10_000;
const FAR_LIMIT_MS = 3_000;
/** What it takes to run any case of a file. */
const START_MS = 1_000;
/** A mutant is timed out past so many times what its cases take without it, and so much for a busy machine. */
const SLOWER = 3;
const SPARE_MS = 15_000;

/** Simulations of many minutes, what needs the built package, and swarms of real agents that take tens of seconds. */
const LEFT_OUT = new Set(
  [
    ...[
      'sim/story',
      'sim/real',
      'sim/cli',
      'node/package',
      'node/compute',
      'node/upgrades',
      'node/swarm-of-five',
      'node/swarm-of-three',
    ],
    ...[
      'node/healing',
      'node/deputies',
      'node/twins',
      'node/drift',
      'node/damages',
      'node/audit-tampering',
      'node/again',
      'node/by-hand',
    ],
    ...[
      'node/members',
      'node/bounds',
      'node/broken-disk',
      'node/full-disk',
      'node/crash',
      'native/stalls',
      'native/busybox',
      'native/kills',
    ],
    ...['native/init', 'native/declared-state', 'consensus/raft-processes', 'tidy'],
  ].map((name) => `test/${name}.test.ts`),
);

type Verdict = 'caught' | 'timed out' | 'survived' | 'not run';

interface Outcome {
  mutant: Mutant;
  verdict: Verdict;
  by: string;
}

interface Selected {
  file: string;
  isNear: boolean;
  names: string[];
  ms: number;
}

/** As many of the first as take `limitMs` together, one at least. */
function upTo<T extends { ms: number }>(limitMs: number, all: readonly T[]): T[] {
  let sum = 0;
  const past = all.findIndex(({ ms }) => {
    sum += ms;
    return sum > limitMs;
  });
  return past < 0 ? [...all] : all.slice(0, Math.max(1, past));
}

class Hunt {
  readonly #sources: Sources;
  readonly #tests: TestFile[];
  readonly #native: NativeBuild;
  /** Cases and whether they pass without a mutant, as far as was asked. */
  readonly #believed = new Map<string, boolean>();
  readonly #testsOfLine = new Map<string, Set<string>>();

  constructor(sources: Sources, tests: TestFile[], native: NativeBuild) {
    this.#sources = sources;
    this.#tests = tests;
    this.#native = native;
    for (const test of tests) {
      const note = (name: string, lines: readonly string[]): void => {
        for (const line of lines) {
          const known = this.#testsOfLine.get(line) ?? new Set();
          this.#testsOfLine.set(line, known.add(`${test.path}\0${name}`));
        }
      };
      note('', test.lines);
      for (const one of test.cases) note(one.name, one.lines);
    }
  }

  /** The cases that execute it: those of files that import it or bear its name first. */
  select(mutant: Mutant): Selected[] {
    const ran = this.#runners(mutant);
    const stem = basename(mutant.path).replace(/\..*/, '');
    const concerned = this.#tests.flatMap((test): Selected[] => {
      const runsIt = (name: string): boolean => ran.has(`${test.path}\0${name}`) || ran.has(`${test.path}\0`);
      const isNear = basename(test.path).startsWith(`${stem}.`) || this.#sources.importsOf(test.path).includes(mutant.path);
      const cases = test.cases.filter(({ name }) => runsIt(name) && this.#believed.get(`${test.path}\0${name}`) !== false);
      cases.sort((one, other) => one.ms - other.ms);
      const within = upTo((isNear ? NEAR_LIMIT_MS : FAR_LIMIT_MS) - START_MS - test.ms, cases);
      const ms = within.reduce((sum, one) => sum + one.ms, START_MS + test.ms);
      return within.length === 0 ? [] : [{ file: test.path, isNear, names: within.map(({ name }) => name), ms }];
    });
    concerned.sort((one, other) => Number(other.isNear) - Number(one.isNear) || one.ms - other.ms);
    return upTo(CASES_LIMIT_MS, concerned);
  }

  #runners(mutant: Mutant): ReadonlySet<string> {
    if (mutant.folder === 'native') return this.#nativeRunners(mutant);
    const { probes } = withProbes(mutant.path, this.#sources.text(mutant.path), 0);
    const line = probeOf(probes, mutant.start);
    if (line !== undefined) return this.#testsOfLine.get(`${mutant.path}:${line}`) ?? new Set();
    // Outside of every statement, such as a field of a class: whatever runs the file.
    const all = [...this.#testsOfLine].filter(([key]) => key.startsWith(`${mutant.path}:`));
    return new Set(all.flatMap(([, names]) => [...names]));
  }

  /** By its line where that is a statement, else by its function. */
  #nativeRunners({ path, line }: Mutant): ReadonlySet<string> {
    const own = this.#testsOfLine.get(`${path}:${line}`);
    if (own !== undefined) return own;
    const { from, to } = functionAround(this.#sources.text(path), line);
    const lines = Array.from({ length: to - from + 1 }, (_, nth) => `${path}:${from + nth}`);
    return new Set(lines.flatMap((one) => [...(this.#testsOfLine.get(one) ?? [])]));
  }

  async judge(lane: Lane, mutant: Mutant): Promise<Outcome> {
    const selected = this.select(mutant);
    if (selected.length === 0) return { mutant, verdict: 'not run', by: '' };
    await this.#plant(lane, mutant, true);
    try {
      for (const one of selected) {
        const { file, names, ms } = one;
        const limitMs = SLOWER * ms + SPARE_MS;
        const result = await lane.run({ changed: [mutant.path], file, names }, limitMs);
        if (result === undefined) return { mutant, verdict: 'timed out', by: file };
        const [failed] = result.failed;
        if (failed === undefined) continue;
        if (await this.#passesWithout(lane, mutant, one, failed)) {
          return { mutant, verdict: 'caught', by: `${file}: ${failed}: ${result.error}` };
        }
      }
      return { mutant, verdict: 'survived', by: `${selected.length} test files` };
    } finally {
      await this.#plant(lane, mutant, false);
    }
  }

  async #passesWithout(lane: Lane, mutant: Mutant, { file, names, ms }: Selected, failed: string): Promise<boolean> {
    const key = `${file}\0${failed}`;
    const known = this.#believed.get(key);
    if (known !== undefined) return known;
    await this.#plant(lane, mutant, false);
    const result = await lane.run({ changed: [mutant.path], file, names }, SLOWER * ms + SPARE_MS);
    const passes = result !== undefined && result.failed.length === 0;
    this.#believed.set(key, passes);
    if (!passes) await this.#plant(lane, mutant, true);
    return passes;
  }

  async #plant(lane: Lane, mutant: Mutant, isPlanted: boolean): Promise<void> {
    const original = this.#sources.text(mutant.path);
    const text = isPlanted ? plant(original, mutant) : original;
    if (mutant.folder === 'native') await this.#native.install(lane.copy, mutant.path, text);
    else writeFileSync(join(lane.copy, mutant.path), text);
  }
}

const told = ({ mutant }: Outcome): string => {
  const short = (text: string): string => (text.length > 70 ? `${text.slice(0, 67)}…` : text).replace(/\s+/g, ' ').trim();
  return `${mutant.path}:${mutant.line}: ${short(mutant.before) || 'here'} → ${short(mutant.text) || 'nothing'}`;
};

function figures(outcomes: readonly Outcome[]): Figures {
  const of = (all: readonly Outcome[], ...verdicts: Verdict[]): number =>
    all.filter(({ verdict }) => verdicts.includes(verdict)).length;
  // One that no longer ends is neither caught nor missed: it is counted apart.
  const share = (all: readonly Outcome[]): number => of(all, 'caught') / Math.max(1, all.length - of(all, 'timed out'));
  const row = (name: string, all: readonly Outcome[]): [string, string, string] => [
    name,
    `${all.length} mutants, ${of(all, 'caught')} caught (${Math.round(100 * share(all))} %), ${of(all, 'timed out')} timed out`,
    `${of(all, 'survived')} survived, ${of(all, 'not run')} run by no test`,
  ];
  const folders = FOLDERS.map((folder) => ({ folder, all: outcomes.filter(({ mutant }) => mutant.folder === folder) }));
  const drawn = folders.filter(({ all }) => all.length > 0);
  const survivors = outcomes.filter(({ verdict }) => verdict !== 'caught');
  return {
    rows: [
      ...drawn.map(({ folder, all }) => row(`${folder}/`, all)),
      row('all', outcomes),
      ...survivors.map((outcome): [string, string, string] => [told(outcome), outcome.verdict, outcome.by]),
    ],
    keys: {
      mutants: outcomes.length,
      caught_share: share(outcomes),
      worst_folder_share: Math.min(...drawn.map(({ all }) => share(all))),
      timed_out: of(outcomes, 'timed out'),
    },
    unmeasured: [],
  };
}

async function run({ option, text, progress }: BenchOptions): Promise<Figures> {
  const workshop = new Workshop();
  try {
    const mutants = await draw(workshop, option('seed', 1), option('mutants', 320), text('folder', ''), progress);
    const { sources } = workshop;
    const paths = sources.files('test', '.test.ts').filter((path) => !LEFT_OUT.has(path));
    const tests = await recordTests(workshop, paths, WIDTH, progress);
    const hunt = new Hunt(sources, tests, new NativeBuild(sources, join(workshop.directory, 'objects')));
    const outcomes: Outcome[] = [];
    const waiting = [...mutants];
    const work = async (_: unknown, nth: number): Promise<void> => {
      const lane = workshop.lane(`m${nth}`, workshop.copy(`m${nth}`));
      for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
        const startedAt = performance.now();
        const outcome = await hunt.judge(lane, mutant);
        outcomes.push(outcome);
        const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
        progress(`${outcomes.length}/${mutants.length} ${told(outcome)}: ${outcome.verdict} in ${seconds} s ${outcome.by}`);
      }
    };
    await Promise.all(Array.from({ length: WIDTH }, work));
    outcomes.sort((one, other) => mutants.indexOf(one.mutant) - mutants.indexOf(other.mutant));
    return figures(outcomes);
  } finally {
    workshop.close();
  }
}

export const mutation: Bench = { name: 'mutation', description: 'how many mutants of the sources the tests catch', run };
