// How much of the fault catalogue is repaired, and how fast: real faults in real processes, file systems and namespaces, a
// few variants of each from a seed, judged from outside; among them what looks like a fault and is none. In a swarm of three,
// whose witnesses reach the service in every other case; beside the same agent alone, and monit.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../../sim/random.ts';
import { CALM } from '../support/faults/calm.ts';
import { FAULTS } from '../support/faults/catalogue.ts';
import { type Fault, settle } from '../support/faults/fault.ts';
import { heal, type Outcome, repairedAfter } from '../support/faults/heal.ts';
import { type Around, buildVictim, Place } from '../support/faults/place.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';
import { inParallel, Outcomes, partOf } from './parts.ts';

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
    attributed: false,
    untold: [],
    wrong,
    harm: undefined,
    needless: [],
    detectMs: undefined,
    repairMs: undefined,
  };
}

interface Case {
  fault: Fault;
  i: number;
  around: Around;
}

const ALONE: Around = { agents: 1, reach: true };

/** Each fault in a few variants; in a swarm every other one where the witnesses do not reach the service. */
function casesOf(faults: readonly Fault[], calm: readonly Fault[], variants: number, agents: 1 | 3, isChosen: boolean): Case[] {
  const around = (i: number): Around => ({ agents, reach: agents === 1 || i % 2 === 0 });
  return [
    ...faults.flatMap((fault) => Array.from({ length: variants }, (_, i) => ({ fault, i, around: around(i) }))),
    // A quarter of all cases.
    ...Array.from({ length: isChosen ? calm.length : Math.ceil((faults.length * variants) / 3) }, (_, i) => ({
      fault: calm[i % calm.length] as Fault,
      i: 100 + i,
      around: around(i),
    })),
  ];
}

const wordOf = ({ agents, reach }: Around): string => (agents === 1 ? 'alone' : reach ? 'in sight' : 'out of sight');

function describe(outcome: Outcome): string {
  const wrong = [outcome.wrong, outcome.harm, ...outcome.needless, ...outcome.untold.map((one) => `untold: ${one}`)];
  const time = outcome.repairMs === undefined ? '' : ` after ${(outcome.repairMs / 1_000).toFixed(1)} s`;
  if (isBad(outcome)) return `WRONG: ${wrong.filter((word) => word !== undefined).join('; ')}`;
  return outcome.calm ? 'left alone' : `repaired${time}${outcome.attributed ? '' : ', for another reason'}`;
}

const isBad = ({ repaired, harm, needless }: Outcome): boolean => !repaired || harm !== undefined || needless.length > 0;

async function run(options: BenchOptions): Promise<Figures> {
  const { option, progress, text } = options;
  const agents = option('agents', 3) === 1 ? 1 : 3;
  const [variants, seed, width] = [option('variants', agents === 1 ? 5 : 4), option('seed', 1), option('parallel', 6)];
  const only = text('only', '')
    .split(',')
    .filter((kind) => kind !== '');
  const chosen = (fault: Fault): boolean => only.length === 0 || only.includes(fault.kind);
  const unmeasured = FAULTS.flatMap(({ kind, lacks }) => (lacks?.() === undefined ? [] : [`${kind}: ${lacks()}`]));
  const faults = FAULTS.filter((fault) => chosen(fault) && fault.lacks?.() === undefined);
  const workshop = mkdtempSync(join(tmpdir(), 'kalos-victim-'));
  const victim = buildVictim(workshop);
  const cases = partOf(casesOf(faults, CALM.filter(chosen), variants, agents, only.length > 0), options);
  // Beside the swarm the same cases alone, in the same run.
  const alone = agents === 1 || option('alone', 1) === 0 ? [] : cases.filter(({ fault }) => fault.calm !== true);
  const all = cases.flatMap((one) => (alone.includes(one) ? [one, { ...one, around: ALONE }] : [one]));
  const keyOf = ({ fault, i, around }: Case): string => `${seed} ${fault.kind} ${i} ${wordOf(around)}`;
  const placeOf = (one: Case, who: string): Place =>
    new Place(
      victim,
      new SeededRandom(seed, `${one.fault.kind} ${one.i}`),
      `${who}${seed}${FAULTS.indexOf(one.fault) + 1}x${CALM.indexOf(one.fault) + 1}n${one.i}`,
      who === 'm' ? ALONE : one.around,
    );
  const outcomes = new Outcomes<Outcome>(options);
  let done = 0;
  try {
    await inParallel(
      all.map((one) => async () => {
        const known = outcomes.known.get(keyOf(one));
        if (known === undefined) {
          const place = placeOf(one, one.around === ALONE ? 'a' : 'k');
          const outcome = await heal(one.fault, place).catch((error: unknown) => nothing(one.fault, String(error)));
          await place.close(isBad(outcome) && option('keep', 0) === 1);
          outcomes.add(keyOf(one), outcome);
          const kept = isBad(outcome) && option('keep', 0) === 1 ? ` (${place.root})` : '';
          progress(
            `${done + 1} of ${all.length}: ${one.fault.kind} #${one.i}, ${wordOf(one.around)}: ${describe(outcome)}${kept}`,
          );
        }
        done++;
      }),
      width,
      option('load', 4),
    );
    const hasMonit = installed('monit') && option('rival', 1) === 1;
    if (!hasMonit)
      unmeasured.push(`monit: ${installed('monit') ? 'left out by --rival 0' : 'it is not installed (package monit)'}`);
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
          option('load', 4),
        )
      : undefined;
    const of = (some: readonly Case[]): Outcome[] => some.flatMap((one) => outcomes.known.get(keyOf(one)) ?? []);
    return figures(agents, of(cases), of(alone.map((one) => ({ ...one, around: ALONE }))), rivals, unmeasured);
  } finally {
    rmSync(workshop, { recursive: true, force: true });
  }
}

function figures(
  agents: number,
  outcomes: readonly Outcome[],
  alone: readonly Outcome[],
  rivals: readonly { kind: string; repaired: boolean }[] | undefined,
  unmeasured: string[],
): Figures {
  const faults = outcomes.filter(({ calm }) => !calm);
  const kinds = [...new Set(faults.map(({ kind }) => kind))];
  const times = (of: (outcome: Outcome) => number | undefined, some: readonly Outcome[] = faults) =>
    some.flatMap((outcome) => of(outcome) ?? []);
  const share = (some: readonly Outcome[], is: (outcome: Outcome) => boolean) =>
    some.filter(is).length / Math.max(1, some.length);
  const seconds = (ms: number | undefined): string => (ms === undefined ? '–' : `${(ms / 1_000).toFixed(1)} s`);
  const rows = kinds.map((kind): [string, string, string] => {
    const ours = faults.filter((outcome) => outcome.kind === kind);
    const theirs = rivals?.filter((outcome) => outcome.kind === kind) ?? [];
    const single = alone.filter((outcome) => outcome.kind === kind);
    const words = (some: readonly Outcome[]): string =>
      `${some.filter(({ repaired }) => repaired).length} of ${some.length}, ${seconds(median(times(({ repairMs }) => repairMs, some)))}`;
    const beside = [
      ...(single.length === 0 ? [] : [`alone ${words(single)}`]),
      ...(theirs.length === 0 ? [] : [`monit ${theirs.filter(({ repaired }) => repaired).length} of ${theirs.length}`]),
    ];
    return [kind, words(ours), beside.join('; ')];
  });
  const calm = outcomes.filter((outcome) => outcome.calm);
  const needless = calm.filter((outcome) => outcome.needless.length > 0 || !outcome.repaired).length;
  const harmful = outcomes.filter(({ harm }) => harm !== undefined).length;
  const untold = outcomes.filter((outcome) => outcome.untold.length > 0).length;
  if (harmful + untold > 0) process.exitCode = 1;
  const p50 = median(times(({ repairMs }) => repairMs));
  const alone_p50 = median(times(({ repairMs }) => repairMs, alone));
  return {
    rows: [...rows, ['nothing to do', `${calm.length - needless} of ${calm.length} left alone`, '']],
    keys: {
      agents,
      cases: outcomes.length,
      kinds: kinds.length,
      repaired: share(faults, ({ repaired }) => repaired),
      attributed: share(faults, ({ attributed }) => attributed),
      harmful,
      needless,
      untold,
      detect_p50_ms: median(times(({ detectMs }) => detectMs)),
      repair_p50_ms: p50,
      alone_repaired: alone.length === 0 ? undefined : share(alone, ({ repaired }) => repaired),
      alone_repair_p50_ms: alone_p50,
      rival_repaired:
        rivals === undefined ? undefined : rivals.filter(({ repaired }) => repaired).length / Math.max(1, rivals.length),
    },
    unmeasured,
  };
}

export const healing: Bench = {
  name: 'healing',
  description:
    'the fault catalogue, made for real, in a swarm of three (--agents 1: alone): what is repaired, how fast, what was better left alone; beside monit',
  run,
};
