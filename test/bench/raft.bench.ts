// The Raft group in the simulator: seeds of drawn faults (crashes, power cuts, stalls, partitions, loss, full, slow and damaged disks,
// changes of the members) with clients, and elections over a wide area. Bars: no violation in 10,000 seeds; over links of 30 to
// 40 ms a leader that is killed has a successor after less than 475 ms on average, and 1.5 s in 99.9 of 100 (Ongaro's thesis).
import { runFaults, runKills } from '../../sim/raft/runs.ts';
import type { Bench, Figures } from './bench.ts';

const TELL_EVERY = 500;
const KILLS_A_GROUP = 50;
const WAN_MS = [30, 40] as const;

export const raft: Bench = {
  name: 'raft',
  description:
    'the Raft group in the simulator: --seeds of drawn faults that must violate nothing, and elections over 30 to 40 ms',
  run: async ({ option, progress }): Promise<Figures> => {
    const [seeds, first, kills] = [option('seeds', 1_000), option('seed', 1), option('kills', 1_000)];
    let [violated, asked, answered, terms] = [0, 0, 0, 0];
    for (let seed = first; seed < first + seeds; seed++) {
      const run = await runFaults(seed);
      asked += run.asked;
      answered += run.answered;
      terms += run.terms;
      if (run.violations.length > 0) {
        violated++;
        progress(`seed ${seed}: ${run.violations.slice(0, 3).join('; ')}\n${run.faults.join('\n')}`);
      }
      if ((seed - first + 1) % TELL_EVERY === 0) progress(`${seed - first + 1} of ${seeds} seeds, ${violated} violated`);
    }
    const took: number[] = [];
    for (let seed = 1; took.length < kills; seed++) took.push(...(await runKills(seed, KILLS_A_GROUP, WAN_MS)));
    took.sort((a, b) => a - b);
    const mean = took.reduce((sum, ms) => sum + ms, 0) / took.length;
    const at = (share: number): number => took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? Number.NaN;
    if (violated > 0) process.exitCode = 1;
    return {
      rows: [
        [`${seeds} seeds of faults, ${terms} terms`, `${violated} violated`, '-'],
        ['operations asked, and answered', `${asked}, ${answered}`, '-'],
        [
          `${took.length} leaders killed, links of ${WAN_MS.join(' to ')} ms: elected after`,
          `${mean.toFixed(0)} ms on average`,
          '-',
        ],
        ['99.9 of 100', `${at(0.999).toFixed(0)} ms`, '-'],
      ],
      keys: { seeds, violated, wan_mean_ms: mean, wan_p999_ms: at(0.999) },
      unmeasured: [],
    };
  },
};
