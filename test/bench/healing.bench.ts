// How much of the fault catalogue is repaired, and how fast: real faults in real processes, file systems and namespaces, a
// few variants of each from a seed, judged from outside; among them what looks like a fault and is none. Beside monit.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../../sim/random.ts';
import { CALM } from '../support/faults/calm.ts';
import { FAULTS } from '../support/faults/catalogue.ts';
import { type Fault, settle } from '../support/faults/fault.ts';
import { heal, type Outcome, repairedAfter } from '../support/faults/heal.ts';
import { buildVictim, Place } from '../support/faults/place.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

/** The same fault, the same probe, under monit. */
async function rival(fault: Fault, place: Place): Promise<boolean> {
  await place.open();
  await fault.declare(place);
  await place.startMonit(fault.monit?.(place) ?? '');
  await settle({ ...fault, settleMs: 5_000 }, place);
  const startMs = performance.now();
  await fault.inject(place);
  return (await repairedAfter(fault, place, startMs)).ms !== undefined;
}

/** Runs jobs, so many at a time. */
async function inParallel<Result>(jobs: readonly (() => Promise<Result>)[], width: number): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = jobs.entries();
  const worker = async (): Promise<void> => {
    for (const [index, job] of waiting) results[index] = await job();
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}

function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function installed(program: string): boolean {
  try {
    execFileSync('which', [program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function nothing(fault: Fault, wrong: string): Outcome {
  return {
    kind: fault.kind,
    calm: fault.calm === true,
    repaired: false,
    wrong,
    harm: undefined,
    needless: [],
    detectMs: undefined,
    repairMs: undefined,
  };
}

async function run({ option, progress, text }: BenchOptions): Promise<Figures> {
  const [variants, seed, width] = [option('variants', 5), option('seed', 1), option('parallel', 10)];
  const only = text('only', '')
    .split(',')
    .filter((kind) => kind !== '');
  const chosen = (fault: Fault): boolean => only.length === 0 || only.includes(fault.kind);
  const unmeasured = FAULTS.flatMap(({ kind, lacks }) => (lacks?.() === undefined ? [] : [`${kind}: ${lacks()}`]));
  const faults = FAULTS.filter((fault) => chosen(fault) && fault.lacks?.() === undefined);
  const calm = CALM.filter(chosen);
  const workshop = mkdtempSync(join(tmpdir(), 'kalos-victim-'));
  const victim = buildVictim(workshop);
  const cases = [
    ...faults.flatMap((fault) => Array.from({ length: variants }, (_, i) => ({ fault, i }))),
    // A quarter of all cases.
    ...Array.from({ length: only.length > 0 ? calm.length : Math.ceil((faults.length * variants) / 3) }, (_, i) => ({
      fault: calm[i % calm.length] as Fault,
      i: 100 + i,
    })),
  ];
  const placeOf = ({ fault, i }: (typeof cases)[number], who: string): Place =>
    new Place(
      victim,
      new SeededRandom(seed, `${fault.kind} ${i}`),
      `${who}${seed}${FAULTS.indexOf(fault) + 1}x${CALM.indexOf(fault) + 1}n${i}`,
    );
  let done = 0;
  try {
    const outcomes = await inParallel(
      cases.map((one) => async () => {
        const place = placeOf(one, 'k');
        const outcome = await heal(one.fault, place).catch((error: unknown) => nothing(one.fault, String(error)));
        const bad = !outcome.repaired || outcome.harm !== undefined || outcome.needless.length > 0;
        await place.close(bad && option('keep', 0) === 1);
        done++;
        const time = outcome.repairMs === undefined ? '' : ` after ${(outcome.repairMs / 1_000).toFixed(1)} s`;
        const words = bad
          ? `WRONG: ${[outcome.wrong, outcome.harm, ...outcome.needless].filter((word) => word !== undefined).join('; ')} (${place.root})`
          : `${outcome.calm ? 'left alone' : `repaired${time}`}`;
        progress(`${done} of ${cases.length}: ${one.fault.kind} #${one.i}: ${words}`);
        return outcome;
      }),
      width,
    );
    const hasMonit = installed('monit') && option('rival', 1) === 1;
    if (!hasMonit) unmeasured.push('monit: it is not installed (package monit)');
    const expressible = cases.filter(({ fault }) => fault.monit !== undefined);
    const rivals = hasMonit
      ? await inParallel(
          expressible.map((one) => async () => {
            const place = placeOf(one, 'm');
            const repaired = await rival(one.fault, place).catch((error: unknown) => {
              progress(`monit, ${one.fault.kind}: ${String(error)}`);
              return false;
            });
            await place.close(option('keep', 0) === 1);
            progress(`monit: ${one.fault.kind} #${one.i}: ${repaired ? 'repaired' : 'not repaired'}`);
            return { kind: one.fault.kind, repaired };
          }),
          width,
        )
      : undefined;
    return figures(outcomes, rivals, unmeasured);
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

function figures(
  outcomes: readonly Outcome[],
  rivals: readonly { kind: string; repaired: boolean }[] | undefined,
  unmeasured: string[],
): Figures {
  const faults = outcomes.filter(({ calm }) => !calm);
  const kinds = [...new Set(faults.map(({ kind }) => kind))];
  const times = (of: (outcome: Outcome) => number | undefined) => faults.flatMap((outcome) => of(outcome) ?? []);
  const seconds = (ms: number | undefined): string => (ms === undefined ? '–' : `${(ms / 1_000).toFixed(1)} s`);
  const rows = kinds.map((kind): [string, string, string] => {
    const ours = faults.filter((outcome) => outcome.kind === kind);
    const theirs = rivals?.filter((outcome) => outcome.kind === kind) ?? [];
    return [
      kind,
      `${ours.filter(({ repaired }) => repaired).length} of ${ours.length}, ${seconds(median(ours.flatMap(({ repairMs }) => repairMs ?? [])))}`,
      theirs.length === 0 ? '' : `${theirs.filter(({ repaired }) => repaired).length} of ${theirs.length}`,
    ];
  });
  const calm = outcomes.filter((outcome) => outcome.calm);
  const needless = calm.filter((outcome) => outcome.needless.length > 0 || !outcome.repaired).length;
  const harmful = outcomes.filter(({ harm }) => harm !== undefined).length;
  if (harmful > 0) process.exitCode = 1;
  return {
    rows: [...rows, ['nothing to do', `${calm.length - needless} of ${calm.length} left alone`, '']],
    keys: {
      cases: outcomes.length,
      kinds: kinds.length,
      repaired: faults.filter(({ repaired }) => repaired).length / Math.max(1, faults.length),
      harmful,
      needless,
      detect_p50_ms: median(times(({ detectMs }) => detectMs)),
      repair_p50_ms: median(times(({ repairMs }) => repairMs)),
      rival_repaired:
        rivals === undefined ? undefined : rivals.filter(({ repaired }) => repaired).length / Math.max(1, rivals.length),
    },
    unmeasured,
  };
}

export const healing: Bench = {
  name: 'healing',
  description: 'the fault catalogue, made for real: what is repaired, how fast, what was better left alone; beside monit',
  run,
};
