// A compromised coordinator, seed after seed: it decides whatever a schema lets through, in anybody's name, while critical services fail.
// Counts what was done without leave, which must be nothing; exits non-zero if it is not.
import { besiege } from '../support/compromised.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const PROGRESS_EVERY = 10;
const MEMBERS = 8;

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const [seeds, from, seconds] = [option('seeds', 100), option('seed', 1), option('seconds', 180)];
  let [forged, made] = [0, 0];
  const wrong: string[] = [];
  for (let seed = from; seed < from + seeds; seed++) {
    const siege = await besiege(seed, MEMBERS, seconds * 1_000);
    forged += siege.forged;
    made += siege.made;
    wrong.push(...siege.wrong.map((text) => `seed ${seed}: ${text}`));
    if ((seed - from + 1) % PROGRESS_EVERY === 0)
      progress(`${seed - from + 1} of ${seeds}: ${forged} forged, ${made} repairs, ${wrong.length} wrong`);
  }
  for (const text of wrong) progress(text);
  if (wrong.length > 0) process.exitCode = 1;
  return {
    rows: [
      ['decisions that were forged and taken', String(forged), ''],
      ['repairs that were made by leave all the same', String(made), ''],
      ['done without leave', String(wrong.length), ''],
    ],
    keys: { seeds, forged, repairs: made, unauthorised: wrong.length },
    unmeasured: [],
  };
}

export const authority: Bench = {
  name: 'authority',
  description: 'a compromised coordinator that decides whatever a schema lets through, in simulated swarms',
  run,
};
