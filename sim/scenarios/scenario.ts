// A scenario: which faults happen when, on how long a run. After `calmMs` nothing is broken any more.

import type { Declared } from '../../node/telemetry/declared.ts';
import type { ServiceSpec } from '../../swarm/ports/actuator.ts';
import type { Cluster } from '../cluster.ts';

export interface Scenario {
  name: string;
  description: string;
  minNodes: number;
  services: readonly ServiceSpec[];
  /** What each machine's owner declared beside them. */
  declared?: Declared;
  durationMs: number;
  /** Puts the faults on the cluster's schedule. */
  schedule(cluster: Cluster): void;
  /** What this scenario promises beyond what holds of every run; each string is a broken promise. */
  expect(cluster: Cluster): string[];
}
