// The named scenarios.
import { crashAndPartition } from './crash-and-partition.ts';
import { crashLoop } from './crash-loop.ts';
import type { Scenario } from './scenario.ts';

export const SCENARIOS: readonly Scenario[] = [crashAndPartition, crashLoop];
