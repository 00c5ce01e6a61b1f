// Which lines each test case executes, and how long it takes: the tests run once over sources with probes. What is known of a test
// file is kept in node_modules/.cache until the file, or anything that it runs, changes.
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lane, ROOT, type Workshop } from './copies.ts';
import type { FileRecord } from './each-case.ts';
import { buildProbed, installProbed } from './native-probes.ts';
import { withProbes } from './probes.ts';
import type { Sources } from './sources.ts';

const CACHE = join(ROOT, 'node_modules', '.cache', 'kalos-mutation');
const PROBED = ['bin', 'node', 'swarm', 'consensus', 'models'];
/** What imports these runs C++. */
const NATIVE = ['test/support/actuator.ts', 'node/telemetry/adapters/native-sampler.ts'];
/** No test file of those that are run takes as long. */
const FILE_LIMIT_MS = 300_000;

export interface TestFile {
  path: string;
  /** What it takes apart from its cases: to load, to start agents. */
  ms: number;
  /** `path:line` that run for all cases. */
  lines: string[];
  cases: { name: string; ms: number; lines: string[] }[];
  /** Names of the cases that failed without a mutant. */
  failed: string[];
}

const hash = (texts: Iterable<string>): string => {
  const sum = createHash('sha256');
  for (const text of texts) sum.update(text).update('\0');
  return sum.digest('hex').slice(0, 32);
};

/** Of what starts processes of ours, all sources count. */
function keyOf(sources: Sources, path: string): string {
  const closure = sources.closureOf(path);
  if (closure.has('test/support/agents.ts'))
    for (const room of PROBED) for (const source of sources.files(room, '.ts')) closure.add(source);
  const isNative = NATIVE.some((one) => closure.has(one));
  const native = isNative ? [...sources.files('native', '.cc'), ...sources.files('native', '.h')] : [];
  return hash([...[...closure].sort(), ...native].flatMap((source) => [source, sources.text(source)]));
}

/** Plants probes in a copy. @returns `path:line` of each probe. */
function plantProbes(sources: Sources, copy: string): string[] {
  const where: string[] = [];
  for (const path of PROBED.flatMap((room) => sources.files(room, '.ts'))) {
    const probed = withProbes(path, sources.text(path), where.length);
    writeFileSync(join(copy, path), probed.text);
    where.push(...probed.probes.map(({ line }) => `${path}:${line}`));
  }
  return where;
}

export async function recordTests(
  workshop: Workshop,
  paths: readonly string[],
  width: number,
  progress: (text: string) => void,
): Promise<TestFile[]> {
  const records = new Map<string, TestFile>();
  const keys = new Map(
    paths.map((path) => [path, join(CACHE, `${path.replaceAll('/', '-')}-${keyOf(workshop.sources, path)}.json`)]),
  );
  for (const [path, key] of keys) if (existsSync(key)) records.set(path, JSON.parse(readFileSync(key, 'utf8')) as TestFile);
  const waiting = paths.filter((path) => !records.has(path));
  if (waiting.length === 0) return [...records.values()];
  progress(`recording what ${waiting.length} test files run (${records.size} are known)`);
  mkdirSync(CACHE, { recursive: true });
  const probed = join(workshop.directory, 'probed');
  const native = await buildProbed(workshop.sources, probed);
  const work = async (_: unknown, nth: number): Promise<void> => {
    const copy = workshop.copy(`p${nth}`);
    installProbed(probed, copy);
    const planted = plantProbes(workshop.sources, copy);
    const where = [...planted, ...native];
    const hits = join(workshop.directory, `hits-${nth}`);
    const nativeHits = join(workshop.directory, `native-${nth}`);
    writeFileSync(nativeHits, Buffer.alloc(native.length));
    chmodSync(nativeHits, 0o666); // programs of other users write to it
    const preload = `--import ${join(import.meta.dirname, 'hits.ts')} --disable-warning=ExperimentalWarning`;
    const environment = {
      KALOS_HITS: hits,
      KALOS_NATIVE_HITS: nativeHits,
      KALOS_PROBES: String(planted.length),
      NODE_OPTIONS: preload,
    };
    const lane = workshop.lane(`p${nth}`, copy, { file: join(copy, 'test/bench/mutation/each-case.ts'), environment });
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      const record = await recordFile(lane, path, hits, where);
      records.set(path, record);
      for (const old of readdirSync(CACHE)) if (old.startsWith(`${path.replaceAll('/', '-')}-`)) rmSync(join(CACHE, old));
      if (record.failed.length === 0) writeFileSync(keys.get(path) ?? '', JSON.stringify(record));
      const total = record.cases.reduce((sum, { ms }) => sum + ms, record.ms);
      progress(
        `${path}: ${record.cases.length} cases, ${(total / 1_000).toFixed(1)} s${record.failed.map((name) => `, FAILED: ${name}`).join('')}`,
      );
    }
    lane.kill();
    rmSync(copy, { recursive: true, force: true });
  };
  await Promise.all(Array.from({ length: width }, work));
  return [...records.values()];
}

async function recordFile(lane: Lane, path: string, hits: string, where: readonly string[]): Promise<TestFile> {
  rmSync(hits, { recursive: true, force: true });
  mkdirSync(hits, { recursive: true });
  const startedAt = performance.now();
  const result = await lane.run({ changed: [], file: path }, FILE_LIMIT_MS);
  const ms = performance.now() - startedAt;
  const linesOf = (numbers: Iterable<number>): string[] => [...new Set([...numbers].map((nth) => where[nth] ?? ''))];
  const told = join(hits, 'cases.json');
  if (result === undefined || !existsSync(told))
    return { path, ms, lines: [], cases: [], failed: [result?.error ?? 'timed out'] };
  const record = JSON.parse(readFileSync(told, 'utf8')) as FileRecord;
  const ofProcesses = readdirSync(hits)
    .filter((name) => name !== 'cases.json')
    .flatMap((name) => JSON.parse(readFileSync(join(hits, name), 'utf8')) as number[]);
  const cases = record.cases.filter(({ name }) => !result.failed.includes(name));
  return {
    path,
    ms: Math.max(0, ms - record.cases.reduce((sum, one) => sum + one.ms, 0)), // some run side by side
    lines: linesOf([...record.hits, ...ofProcesses]),
    cases: cases.map((one) => ({ name: one.name, ms: one.ms, lines: linesOf(one.hits) })),
    failed: result.failed,
  };
}
