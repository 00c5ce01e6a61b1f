// A service that five real agents declare and one runs: killed where it runs, and unable to start there again; every other time the
// coordinator is killed meanwhile. Counts what must be zero (two at once, writes under an old fence) and exits non-zero if it is not.
import { FailOverRange } from '../support/fail-over.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const rounds = option('rounds', 20);
  const range = new FailOverRange();
  const tookMs: number[] = [];
  let [novaKilled, wrong] = [0, [] as readonly string[]];
  try {
    await range.start();
    for (let round = 1; round <= rounds; round++) {
      const { from, to, tookMs: took, killed } = await range.failOver(true);
      tookMs.push(took);
      if (killed !== undefined) novaKilled++;
      wrong = range.wrong;
      progress(
        `${round} of ${rounds}: ${from} → ${to} in ${(took / 1_000).toFixed(1)} s, ${killed ?? 'nobody'} killed; ${wrong.length} wrong`,
      );
    }
  } finally {
    await range.stop();
  }
  for (const text of wrong) progress(text);
  if (wrong.length > 0) process.exitCode = 1;
  const sorted = tookMs.toSorted((a, b) => a - b);
  const [median, most] = [sorted[Math.floor(sorted.length / 2)] ?? 0, sorted.at(-1) ?? 0];
  return {
    rows: [
      ['services that ran elsewhere', `${tookMs.length} of ${rounds}, the coordinator killed ${novaKilled} times`, ''],
      ['at once on two machines, or under an old fence', String(wrong.length), ''],
      ['from the kill until another wrote', `${(median / 1_000).toFixed(1)} s; most ${(most / 1_000).toFixed(1)} s`, ''],
    ],
    keys: { rounds, failed_over: tookMs.length, nova_killed: novaKilled, wrong: wrong.length, p50_ms: median, max_ms: most },
    unmeasured: ['a rival: none that runs on one machine fences what it fails over'],
  };
}

export const failOver: Bench = {
  name: 'fail-over',
  description: 'services that cannot run where they were, with the coordinator killed meanwhile; five real agents',
  run,
};
