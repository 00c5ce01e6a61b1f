import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The longest, the longest first, so that none runs alone at the end; those that compute all the while (sim/) stand apart from each other. */
const LONGEST = [
  'sim/story',
  'node/upgrades',
  'node/swarm-of-five',
  'sim/real',
  'node/healing',
  'node/deputies',
  'native/stalls',
  'sim/cli',
  'node/drift',
  'node/twins',
  'sim/query',
  'node/damages',
  'node/audit-tampering',
  'native/network',
  'sim/membership',
  'node/swarm-of-three',
  'native/tools',
  'node/again',
  'sim/compromised',
  'native/declared-state',
  'node/package',
  'sim/gray',
  'node/members',
  'node/bounds',
].map((name) => `/test/${name}.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const nth = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return found === -1 ? LONGEST.length : found;
    };
    return (await super.sort(files)).sort((one, other) => nth(one) - nth(other));
  }
}

// Real processes and simulated clusters share two cores. Files run three at a time, since those of real agents wait more than they
// compute (a third of a core each); nothing is ever retried.
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 120_000,
    hookTimeout: 60_000,
    reporters: ['default'],
  },
});
