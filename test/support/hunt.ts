// Runs scenarios of the tree that it lies in, seed after seed, until something is violated: `node hunt.ts SEEDS SCENARIO…`, JSON on
// standard output. In a process of its own, since the tree may be a mutant.
import { loadScenario } from '../../sim/adapters/library.ts';
import { runScenario } from '../../sim/run.ts';

const NODES = 9;

async function hunt(
  seeds: number,
  names: readonly string[],
): Promise<{ found: boolean; runs: number; scenario: string; violation: string }> {
  let runs = 0;
  for (let seed = 1; seed <= seeds; seed++)
    for (const name of names) {
      const scenario = loadScenario(name);
      runs++;
      const nodes = Math.max(scenario.min_nodes, NODES - (seed % 4));
      try {
        const { violations } = await runScenario({ scenario, nodes, seed });
        if (violations[0] !== undefined)
          return { found: true, runs, scenario: name, violation: violations[0].split('\n')[0] ?? '' };
      } catch (error) {
        return {
          found: true,
          runs,
          scenario: name,
          violation: `the run failed: ${error instanceof Error ? error.message : String(error)}`,
        };
      }
    }
  return { found: false, runs, scenario: '', violation: '' };
}

const [seeds = '10', ...names] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await hunt(Number(seeds), names))}\n`);
