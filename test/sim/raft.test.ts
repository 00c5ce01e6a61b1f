// The Raft group in the simulator: whatever happens to it, what is promised holds. `npm run bench -- raft --seeds 10000` runs more.
import { describe, expect, it } from 'vitest';
import { type RaftRun, runFaults, runKills } from '../../sim/raft/runs.ts';

const SEEDS = 100;
/** Each found a fault once. */
const KEPT = [
  552, // who was removed told itself that it had written
  8943, // whose disk failed as a snapshot was to be tried again forgot it
  3772,
  4213,
  5563,
  5985, // a commit that was not on disk with the entries after it: an old configuration elected
];

describe('a Raft group', () => {
  it(`keeps its promises under ${SEEDS} seeds of faults, and answers`, async () => {
    const runs: RaftRun[] = [];
    for (let seed = 20_000; seed < 20_000 + SEEDS; seed++) runs.push(await runFaults(seed));
    expect(runs.filter(({ violations }) => violations.length > 0).map(({ seed, violations }) => [seed, violations])).toEqual([]);
    const [asked, answered, terms] = (['asked', 'answered', 'terms'] as const).map((key) =>
      runs.reduce((sum, run) => sum + run[key], 0),
    );
    expect(Number(answered) / Number(asked)).toBeGreaterThan(0.6);
    expect(terms).toBeGreaterThan(2 * SEEDS);
    expect(new Set(runs.flatMap(({ faults }) => faults.map((text) => text.split(' ')[1]))).size).toBeGreaterThan(5);
  });

  it.each(KEPT)('keeps them with seed %i', async (seed) => {
    expect((await runFaults(seed)).violations).toEqual([]);
  });

  it('does the same again with the same seed', async () => {
    const [one, two] = [await runFaults(7), await runFaults(7)];
    expect(two).toEqual(one);
  });

  it('elects within half a second over links of 30 to 40 ms', async () => {
    const took = await runKills(1, 40, [30, 40]);
    expect(took.reduce((sum, ms) => sum + ms, 0) / took.length).toBeLessThan(475);
    expect(Math.max(...took)).toBeLessThan(1_500);
  });
});
