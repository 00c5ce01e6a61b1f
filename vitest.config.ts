import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { patient } from './test/support/patience.ts';
import { testFiles } from './test/support/quick.ts';

/** The longest, the longest first, so that none runs alone at the end; those that compute all the while (sim/) stand apart from each other. */
const LONGEST = [
  'sim/story',
  'node/upgrades',
  'node/swarm-of-five',
  'sim/real',
  'node/healing',
  'sim/cli',
  'node/deputies',
  'native/stalls',
  'node/clock-set',
  'node/command-line',
  'sim/query',
  'node/twins',
  'node/drift',
  'node/damages',
  'node/audit-tampering',
  'sim/membership',
  'node/swarm-of-three',
  'native/tools',
  'node/again',
  'native/network',
  'sim/compromised',
  'node/package',
  'node/members',
  'node/bounds',
  'sim/gray',
  'node/by-hand',
  'native/kills',
  'native/services',
  'node/compute',
  'node/http',
].map((name) => `/test/${name}.test.ts`);

/** The quick ones that share workers come last. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const nth = ({ moduleId, project }: TestSpecification): number => {
      if (!project.config.isolate) return LONGEST.length + 1; // together: a worker goes from one to the next
      const found = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return found === -1 ? LONGEST.length : found;
    };
    return (await super.sort(files)).sort((one, other) => nth(one) - nth(other));
  }
}

const { shared, own, real } = testFiles();
const isQuick = process.env.KALOS_TESTS === 'quick';

// Real processes and simulated clusters share two cores. Files run three at a time, since those of real agents wait more than they
// compute (a third of a core each); nothing is ever retried. Quick files share their workers: to start one, and to load the sources
// again, takes longer than most of them run.
export default defineConfig({
  test: {
    projects: [
      { extends: true, test: { name: 'shared', include: shared, isolate: false, unstubEnvs: true, unstubGlobals: true } },
      { extends: true, test: { name: 'own', include: isQuick ? own : [...own, ...real] } },
    ],
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // The last resort: what a test waits for has limits of its own, which say what did not come.
    testTimeout: patient(300_000),
    hookTimeout: patient(300_000),
    reporters: ['default'],
  },
});
