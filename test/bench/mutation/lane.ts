// One warm vitest on a copy of the tree, beneath a keeper: runs the cases that it is given, after the files that it is
// given were changed. Ends with who started it.
import { join } from 'node:path';
import { BaseSequencer, createVitest, type TestSpecification } from 'vitest/node';

export interface LaneTask {
  /** Relative to the copy. */
  changed: string[];
  file: string;
  /** Full names; undefined: all of the file. */
  names?: string[];
}

export interface LaneResult {
  /** Full names of what failed; of a file that could not be loaded, the empty name. */
  failed: string[];
  /** The first error's first line. */
  error: string;
  ran: number;
}

class AsGiven extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return files;
  }
}

const [copy = '', setup] = process.argv.slice(2);
process.chdir(copy);
const vitest = await createVitest('test', {
  root: copy,
  config: join(copy, 'vitest.config.ts'),
  watch: false,
  reporters: [{}],
  maxWorkers: 1,
  cache: false,
  bail: setup === undefined ? 1 : 0,
  passWithNoTests: true,
  setupFiles: setup === undefined ? [] : [setup],
  sequence: { sequencer: AsGiven },
});
await vitest.standalone();

async function run({ changed, file, names }: LaneTask): Promise<LaneResult> {
  for (const path of changed) vitest.invalidateFile(join(copy, path));
  const specification = vitest
    .getRootProject()
    .createSpecification(join(copy, file), names === undefined ? {} : { testNames: names });
  const { testModules } = await vitest.runTestSpecifications([specification]);
  const ran = testModules.filter(({ moduleId }) => moduleId === specification.moduleId); // those of earlier runs come along
  const result: LaneResult = { failed: [], error: '', ran: 0 };
  const fail = (name: string, message: string | undefined): void => {
    result.failed.push(name);
    result.error ||= (message ?? '').split('\n')[0] ?? '';
  };
  for (const module of ran) {
    for (const test of module.children.allTests()) {
      const { state, errors } = test.result();
      if (state === 'passed') result.ran++;
      if (state === 'failed') fail(test.fullName, errors?.[0]?.message);
    }
    if (module.state() === 'failed' && result.failed.length === 0)
      fail('', (module.errors()[0] ?? firstSuiteError(module))?.message);
  }
  if (ran.length === 0) fail('', 'no test ran');
  return result;
}

function firstSuiteError(module: {
  children: { allSuites(): Iterable<{ errors(): { message: string }[] }> };
}): { message: string } | undefined {
  for (const suite of module.children.allSuites()) if (suite.errors().length > 0) return suite.errors()[0];
  return undefined;
}

process.on('message', (task: LaneTask) => {
  run(task).then(
    (result) => process.send?.(result),
    (error: unknown) => process.send?.({ failed: [''], error: String(error), ran: 0 } satisfies LaneResult),
  );
});
process.on('disconnect', () => process.kill(-process.pid, 'SIGKILL'));
process.send?.('ready');
