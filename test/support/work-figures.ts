// What a node does in a second, as test/bench/work.json has it, and what is more than it was.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Of one node and second, by kind: `events`, `messages`, `bytes sync`. */
export type Work = Record<string, number>;
export type WorkOfPhases = Record<string, Work>;

export interface WorkFile {
  /** Why the figures are what they are now, the newest last. */
  reasons: string[];
  /** By the number of nodes. */
  work: Record<string, WorkOfPhases>;
}

export const WORK_FILE = join(import.meta.dirname, '..', 'bench', 'work.json');
/** A kind may grow by so much, and by so much of the rarest kinds, before somebody has to say why. */
const MAX_GROWTH = 1.1;
const RARE = 0.02;

/** Bytes on the heap, which a compiler saves now and then: printed, neither kept in the file nor guarded (allocations.ts). */
export const ALLOCATED = 'allocated bytes';

const execute = promisify(execFile);

export async function workOf(nodes: number): Promise<WorkOfPhases> {
  const script = join(import.meta.dirname, 'work.ts');
  const { stdout } = await execute(process.execPath, ['--disable-warning=ExperimentalWarning', script, String(nodes)]);
  return JSON.parse(stdout) as WorkOfPhases;
}

export const readWorkFile = (): WorkFile => JSON.parse(readFileSync(WORK_FILE, 'utf8')) as WorkFile;

/** Lines, one for each kind that grew by more than a tenth. */
export function grownWork(before: WorkOfPhases, now: WorkOfPhases): string[] {
  return Object.entries(now).flatMap(([phase, work]) =>
    Object.entries(work).flatMap(([kind, each]) => {
      if (kind === ALLOCATED) return [];
      const was = before[phase]?.[kind] ?? 0;
      return each > was * MAX_GROWTH + RARE ? [`${phase}: ${kind} ${was.toFixed(2)} → ${each.toFixed(2)} a node and second`] : [];
    }),
  );
}
