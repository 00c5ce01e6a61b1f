// Many seeds in parallel: each worker process runs one after another, so that a run is the same alone and among others.
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { type RunReport, runScenario } from '../run.ts';
import { loadScenario } from './library.ts';

export interface SeedJob {
  /** A shipped scenario's name, or a file's path. */
  scenario: string;
  nodes: number;
  seed: number;
  realCrypto: boolean;
  protocolsOnly: boolean;
}

/** The part of a report that is kept for each of many runs. */
export type SeedResult = Pick<
  RunReport,
  'scenario' | 'nodes' | 'seed' | 'simulatedMs' | 'realMs' | 'traceHash' | 'violations'
> & {
  faults: number;
  incidents: number;
};

export async function runSeed({ scenario, ...job }: SeedJob): Promise<SeedResult> {
  const report = await runScenario({ scenario: loadScenario(scenario), ...job });
  const { scenario: name, nodes, seed, simulatedMs, realMs, traceHash, violations, faults, incidents } = report;
  return {
    scenario: name,
    nodes,
    seed,
    simulatedMs,
    realMs,
    traceHash,
    violations: violations.slice(0, 5),
    faults: faults.length,
    incidents: incidents.length,
  };
}

/** The worker side of `runSeeds`: runs jobs until its parent exits. */
export function serveSeeds(): Promise<void> {
  process.on('message', (job: SeedJob) => {
    runSeed(job).then(
      (result) => process.send?.({ result }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
    );
  });
  return new Promise((resolve) => process.once('disconnect', resolve));
}

/** @param entry the program that serves `sim worker`. @throws if a run fails with an error; a violation is no error. */
export async function runSeeds(
  entry: string,
  jobs: readonly SeedJob[],
  onResult: (result: SeedResult) => void,
): Promise<SeedResult[]> {
  const results: SeedResult[] = [];
  let next = 0;
  const work = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = fork(entry, ['sim', 'worker'], { serialization: 'advanced' });
      const give = (): void => {
        const job = jobs[next++];
        if (job === undefined) child.disconnect();
        else child.send(job);
      };
      child.on('message', ({ result, error }: { result?: SeedResult; error?: string }) => {
        if (result === undefined) {
          child.kill();
          return reject(new Error(error));
        }
        results.push(result);
        onResult(result);
        give();
      });
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker exited with ${code}`))));
      give();
    });
  const workers = Math.min(jobs.length, availableParallelism());
  await Promise.all(Array.from({ length: workers }, work));
  return results.sort((a, b) => a.scenario.localeCompare(b.scenario) || a.seed - b.seed);
}
