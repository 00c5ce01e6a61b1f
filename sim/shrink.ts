// Shrinks the faults of a violation: faults are removed one after another while the violation remains.
import { type RunOptions, type RunReport, runScenario } from './run.ts';
import { type PlannedFault, planFaults } from './scenario/plan.ts';

const MAX_RUNS = 60;

/** The kind of a violation: its text without names and figures. */
const kindOf = (violation: string | undefined): string => (violation ?? '').replace(/[\d.]+|inc-\w+|0x\w+/g, '#');

export interface Shrunk {
  faults: PlannedFault[];
  report: RunReport;
}

/**
 * First by halves, then one by one (Zeller's delta debugging, in its simple form).
 * @param report of a failed run
 */
export async function shrink(options: RunOptions, report: RunReport, onRun: (faults: number) => void): Promise<Shrunk> {
  let best: Shrunk = { faults: planFaults(options.scenario, options.seed), report };
  const wanted = kindOf(report.violations[0]);
  let runs = 0;
  for (let size = Math.ceil(best.faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = 0; from < best.faults.length && runs < MAX_RUNS; ) {
      const faults = best.faults.filter((_, index) => index < from || index >= from + size);
      runs++;
      onRun(faults.length);
      const tried = await runScenario({ ...options, faults });
      if (tried.violations.some((violation) => kindOf(violation) === wanted)) best = { faults, report: tried };
      else from += size;
    }
  }
  return best;
}
