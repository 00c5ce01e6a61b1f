// Gives memory back to the machine. V8 collects when allocation demands it, and an agent at rest allocates little.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { findPackage } from '../adapters/package.ts';
import { trimMemory } from '../telemetry/adapters/native-sampler.ts';

type CollectGarbage = (options: { type: 'major'; flavor: 'last-resort' }) => void;

export function compactHeap(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as CollectGarbage)({ type: 'major', flavor: 'last-resort' });
  trim();
}

/** What malloc holds but nobody uses, and code that has not run lately: a millisecond. */
export function trim(): void {
  trimMemory(findPackage().addonPath);
}
