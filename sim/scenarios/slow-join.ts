// Agents that join over links so slow that their first connection takes longer than an election: a newcomer that took
// itself for the whole swarm would elect itself in a term that has a coordinator already. (Seen on loaded machines.)
import type { Scenario } from './scenario.ts';

const S = 1_000;

export const slowJoin: Scenario = {
  name: 'slow-join',
  description: 'agents join over links of 400 ms: no newcomer elects itself',
  minNodes: 3,
  services: [],
  durationMs: 60 * S,
  schedule: (cluster) => {
    cluster.network.link = { latencyMs: 400, jitterMs: 200, loss: 0 };
  },
  expect: () => [],
};
