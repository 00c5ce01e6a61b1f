// Loaded into every process of a recording (node --import): where the probes write, and for what the tests start, a file with what ran.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { threadId } from 'node:worker_threads';

const EVERY_MS = 200;

export interface Recording {
  __kalosHits?: Uint8Array;
  /** Set where the test itself tells what ran. */
  __kalosTold?: boolean;
}

/** @returns the numbers of the probes that were passed since it was last called. */
export function takeHits(): number[] {
  const all = (globalThis as Recording).__kalosHits ?? new Uint8Array(0);
  const hits: number[] = [];
  for (let at = all.indexOf(1); at >= 0; at = all.indexOf(1, at + 1)) hits.push(at);
  all.fill(0);
  return hits;
}

const { KALOS_HITS: directory, KALOS_PROBES: probes } = process.env;
if (directory !== undefined && (globalThis as Recording).__kalosHits === undefined) {
  const recording = globalThis as Recording;
  const all = new Set<number>();
  recording.__kalosHits = new Uint8Array(Number(probes));
  const write = (): void => {
    if (recording.__kalosTold === true) return;
    const before = all.size;
    for (const hit of takeHits()) all.add(hit);
    if (all.size === before) return;
    try {
      writeFileSync(join(directory, `${process.pid}-${threadId}.json`), JSON.stringify([...all]));
    } catch {
      // of another user, who may not: what it runs is not known
    }
  };
  setInterval(write, EVERY_MS).unref();
  process.on('exit', write);
}
