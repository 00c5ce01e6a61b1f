// Run by vitest before each test file of a recording: which probes each case passes, and how long it takes.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach } from 'vitest';
import { type Recording, takeHits } from './hits.ts';

/** `hits` of the file are those of its imports and of what it prepares for all. */
export interface FileRecord {
  hits: number[];
  cases: { name: string; ms: number; hits: number[] }[];
}

(globalThis as Recording).__kalosTold = true;
const record: FileRecord = { hits: [], cases: [] };
let startedAt = 0;
beforeEach(() => {
  record.hits.push(...takeHits());
  startedAt = performance.now();
});
afterEach(({ task }) => {
  record.cases.push({ name: task.fullTestName, ms: performance.now() - startedAt, hits: takeHits() });
});
afterAll(() => {
  record.hits = [...new Set([...record.hits, ...takeHits()])];
  writeFileSync(join(process.env.KALOS_HITS ?? '', 'cases.json'), JSON.stringify(record));
});
