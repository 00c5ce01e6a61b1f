// Whether acting survives being killed: kill -9 of the agent, the actuator and both at random moments of real changes, every
// crash point on the simulated disk, and level's own log torn. Counts what must be zero; exits non-zero if it is not.
import { SeededRandom } from '../../sim/random.ts';
import { CASES, everyCrash, wrongWith } from '../support/crash.ts';
import { KillRange, type KillTally, VICTIMS } from '../support/kills.ts';
import { tearEverywhere } from '../support/torn-log.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const PROGRESS_EVERY = 20;

async function realKills({ option, progress }: BenchOptions): Promise<KillTally> {
  const kills = option('kills', 200);
  const random = new SeededRandom(option('seed', 1), 'kills');
  const range = new KillRange();
  try {
    await range.start();
    for (let round = 0; round < kills; round++) {
      await range.kill(VICTIMS[round % VICTIMS.length] ?? 'both', random, round);
      if (range.tally.kills % PROGRESS_EVERY === 0)
        progress(`${range.tally.kills} of ${kills} kills; ${range.tally.wrong.length} wrong`);
    }
    range.judgeLog();
  } finally {
    await range.stop();
  }
  return range.tally;
}

interface Simulated {
  states: number;
  wrong: string[];
}

async function simulatedCrashes(): Promise<Simulated> {
  const result: Simulated = { states: 0, wrong: [] };
  for (const one of CASES) {
    for await (const { point, outcome } of everyCrash(one)) {
      result.states++;
      result.wrong.push(...wrongWith(outcome).map((what) => `${one.name}, ${point.write} write ${point.at}: ${what}`));
    }
  }
  return result;
}

async function run(options: BenchOptions): Promise<Figures> {
  options.progress('every crash point on the simulated disk');
  const simulated = await simulatedCrashes();
  options.progress('level’s log, cut short and changed at every byte');
  const torn = await tearEverywhere(1);
  const real = await realKills(options);
  const disk = [...simulated.wrong, ...torn.wrong];
  for (const wrong of [...disk, ...real.wrong]) options.progress(wrong);
  const of = (word: RegExp): number => disk.filter((wrong) => word.test(wrong)).length;
  const [repeated, lost] = [of(/done twice/), of(/audit/)];
  const halfMade = disk.length - repeated - lost;
  if (disk.length + real.wrong.length > 0) process.exitCode = 1;
  const ended = Object.entries(real.ended).map(([phase, count]) => `${count} ${phase}`);
  return {
    rows: [
      ['kill -9 of agent, actuator, both', `${real.kills} kills: ${ended.join(', ')}; ${real.wrong.length} wrong`, ''],
      [
        'simulated disk, each write lost, kept, refused, overtaken',
        `${simulated.states} states, ${simulated.wrong.length} wrong`,
        '',
      ],
      ['level’s log, cut or changed at each byte of its last batch', `${torn.states} states, ${torn.wrong.length} wrong`, ''],
    ],
    keys: {
      kills: real.kills,
      half_made: real.halfMade + halfMade,
      repeated: real.repeated + repeated,
      audit_lost: real.auditLost + lost,
      disk_states: simulated.states + torn.states,
    },
    unmeasured: [],
  };
}

export const transaction: Bench = {
  name: 'transaction',
  description: 'kill -9 in the middle of changes, and every crash point on the disk',
  run,
};
