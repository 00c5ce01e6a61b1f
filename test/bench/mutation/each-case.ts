// Run by vitest before each test file of a recording: which probes each case passes, and how long it takes.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach } from 'vitest';
import { type Recording, takeHits } from './hits.ts';

/** `hits` of the file are those of its imports and of what it prepares for all. */
export interface FileRecord {
  hits: number[];
  cases: { name: string; ms: number; hits: number[] }[];
}

/** Of the C++ sources; their numbers come after those of the others. */
function takeNativeHits(): number[] {
  const { KALOS_NATIVE_HITS: file, KALOS_PROBES: probes } = process.env;
  if (file === undefined) return [];
  const all = readFileSync(file);
  const hits: number[] = [];
  for (let at = all.indexOf(1); at >= 0; at = all.indexOf(1, at + 1)) hits.push(Number(probes) + at);
  // In place: programs have it mapped.
  if (hits.length > 0) writeFileSync(file, Buffer.alloc(all.length), { flag: 'r+' });
  return hits;
}
const taken = (): number[] => [...takeHits(), ...takeNativeHits()];

(globalThis as Recording).__kalosTold = true;
const record: FileRecord = { hits: [], cases: [] };
let startedAt = 0;
beforeEach(() => {
  record.hits.push(...taken());
  startedAt = performance.now();
});
afterEach(({ task }) => {
  record.cases.push({ name: task.fullTestName, ms: performance.now() - startedAt, hits: taken() });
});
afterAll(() => {
  record.hits = [...new Set([...record.hits, ...taken()])];
  writeFileSync(join(process.env.KALOS_HITS ?? '', 'cases.json'), JSON.stringify(record));
});
