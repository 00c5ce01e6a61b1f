// The named scenarios.
import { clockSkew } from './clock-skew.ts';
import { crashAndPartition } from './crash-and-partition.ts';
import { crashLoop } from './crash-loop.ts';
import { drift } from './drift.ts';
import { outOfBounds } from './out-of-bounds.ts';
import type { Scenario } from './scenario.ts';
import { slowJoin } from './slow-join.ts';

export const SCENARIOS: readonly Scenario[] = [clockSkew, crashAndPartition, crashLoop, drift, outOfBounds, slowJoin];
