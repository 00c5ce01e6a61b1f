// How many of the planted protocol bugs the simulator's checkers find, and after how many runs: each patch of the list is applied to
// a copy of the sources, which then runs scenarios seed after seed. The sources themselves must pass the same hunt.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'smol-toml';
import { z } from 'zod';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const execute = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');
const MUTANTS = join(import.meta.dirname, 'mutants');
const COPIED = ['sim', 'node', 'swarm', 'consensus', 'models', 'test/support', 'package.json', 'tsconfig.json'];
const FLAGS = ['--max-semi-space-size=64', '--max-old-space-size=2048', '--disable-warning=ExperimentalWarning'];
/** A mutant may run away. */
const TIMEOUT_MS = 240_000;

const listSchema = z.strictObject({
  mutant: z.array(z.strictObject({ name: z.string(), what: z.string(), scenarios: z.array(z.string()).min(1) })).min(20),
});

interface Hunt {
  found: boolean;
  runs: number;
  scenario: string;
  violation: string;
}

async function hunt(patch: string | undefined, seeds: number, scenarios: readonly string[]): Promise<Hunt> {
  const copy = mkdtempSync(join(tmpdir(), 'kalos-mutant-'));
  try {
    for (const path of COPIED) cpSync(join(ROOT, path), join(copy, path), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    if (patch !== undefined) await execute('git', ['apply', '--unidiff-zero', patch], { cwd: copy });
    const script = join(copy, 'test', 'support', 'hunt.ts');
    const { stdout } = await execute(process.execPath, [...FLAGS, script, String(seeds), ...scenarios], { timeout: TIMEOUT_MS });
    return JSON.parse(stdout) as Hunt;
  } catch (error) {
    const { killed, message, stderr } = error as Error & { killed?: boolean; stderr?: string };
    if (stderr === undefined) throw error; // the patch does not fit, or the copy failed
    const violation = killed === true ? `it did not end within ${TIMEOUT_MS / 1_000} s` : `it ended: ${message.split('\n')[0]}`;
    return { found: true, runs: 1, scenario: scenarios[0] ?? '', violation };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

async function run({ option, text, progress }: BenchOptions): Promise<Figures> {
  const seeds = option('seeds', 40);
  const only = text('only', '');
  const { mutant: all } = listSchema.parse(parse(readFileSync(join(MUTANTS, 'list.toml'), 'utf8')));
  const mutants = all.filter(({ name }) => only === '' || name === only);
  const results = new Map<string, Hunt>();
  const waiting = [...mutants];
  const work = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const { name, scenarios } = mutant;
      const result = await hunt(join(MUTANTS, `${name}.patch`), seeds, scenarios);
      results.set(name, result);
      progress(
        `${name}: ${result.found ? `found after ${result.runs} runs of ${scenarios.join(', ')}: ${result.violation}` : 'NOT FOUND'}`,
      );
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  const scenarios = [...new Set(mutants.flatMap((mutant) => mutant.scenarios))];
  progress(`the sources as they are: ${scenarios.length} scenarios, 3 seeds`);
  const healthy = await hunt(undefined, 3, scenarios);
  if (healthy.found) throw new Error(`without any mutation: ${healthy.scenario}: ${healthy.violation}`);
  const found = [...results.values()].filter((result) => result.found);
  return {
    rows: mutants.map(({ name, what }) => {
      const result = results.get(name);
      const verdict =
        result?.found === true ? `found after ${result.runs}, in ${result.scenario}` : `not found in ${result?.runs} runs`;
      return [`${name}: ${what}`, verdict, ''];
    }),
    keys: { planted: mutants.length, found: found.length },
    unmeasured: [],
  };
}

export const mutants: Bench = { name: 'mutants', description: 'how many planted protocol bugs the simulator finds', run };
