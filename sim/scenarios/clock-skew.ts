// One machine's clock runs ahead for a while: it alone notices, tells of it, and leaves the clock alone; no other machine takes
// itself to be the one that is off.
import type { Cluster } from '../cluster.ts';
import type { Scenario } from './scenario.ts';

const S = 1_000;
const AHEAD_MS = 7 * S;
const OFF = 1;

export const clockSkew: Scenario = {
  name: 'clock-skew',
  description: 'a clock that is seconds ahead is told of by its own machine, and by no other',
  minNodes: 4,
  services: [],
  durationMs: 300 * S,
  schedule: (cluster) => {
    cluster.scheduler.at(30 * S, () => cluster.skews.set(OFF, AHEAD_MS));
    cluster.scheduler.at(180 * S, () => cluster.skews.delete(OFF));
  },
  expect: (cluster: Cluster) =>
    cluster.nodes.flatMap(({ index, name, agent }) => {
      const told = (agent?.incidents() ?? []).filter(({ policy }) => policy === 'clock-skew');
      const wanted = index === OFF ? 1 : 0;
      const acted = told.filter(({ tool }) => tool !== '').length;
      return told.length === wanted && acted === 0
        ? []
        : [`${name} told ${told.length} times of a clock, not ${wanted}, and acted ${acted} times`];
    }),
};
