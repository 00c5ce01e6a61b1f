// Returns memory to the machine. V8 collects garbage when a program allocates, and an idle agent allocates little.
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

/** Releases free memory of malloc, and pages of code that did not run recently. Takes a millisecond. */
export function trim(): void {
  trimMemory(findPackage().addonPath);
}
