// Votes under attack, seed after seed, protocols only: as many witnesses lie as may, the network loses and repeats, witnesses are killed.
// Counts what must be nothing: what is not so and was certified, honest witnesses that signed twice, drains that liars made up. Exits non-zero.
import { ballots } from '../support/ballots.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const PROGRESS_EVERY = 1_000;

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const [seeds, from] = [option('seeds', 10_000), option('seed', 1)];
  const sum = { claims: 0, certified: 0, forged: 0 };
  const wrong: string[] = [];
  for (let seed = from; seed < from + seeds; seed++) {
    const one = ballots(seed);
    sum.claims += one.claims;
    sum.certified += one.certified;
    sum.forged += one.forged;
    wrong.push(...one.wrong.map((text) => `seed ${seed}: ${text}`));
    if ((seed - from + 1) % PROGRESS_EVERY === 0) progress(`${seed - from + 1} of ${seeds}: ${wrong.length} wrong`);
  }
  for (const text of wrong.slice(0, 20)) progress(text);
  if (wrong.length > 0) process.exitCode = 1;
  return {
    rows: [
      ['claims voted on, of which certified', `${sum.claims}, ${sum.certified}`, ''],
      ['certificates that liars made up', String(sum.forged), ''],
      ['promises broken', String(wrong.length), ''],
    ],
    keys: { seeds, ...sum, wrong: wrong.length },
    unmeasured: [],
  };
}

export const ballotsBench: Bench = {
  name: 'ballots',
  description: 'votes and certificates with as many liars as may be, on a bad network; protocols only',
  run,
};
