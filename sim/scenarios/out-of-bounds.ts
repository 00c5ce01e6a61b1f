// Services that come to use more than they were declared to: a leak, a runaway, files that are never closed. Each is restarted once; one that is busy
// within its bounds, and one that has none, are left alone.
import type { Cluster } from '../cluster.ts';
import type { Scenario } from './scenario.ts';

const S = 1_000;
const MIB = 1024 * 1024;

export const outOfBounds: Scenario = {
  name: 'out-of-bounds',
  description: 'services that leak or run away are restarted; busy ones within their bounds are left alone',
  minNodes: 4,
  services: [
    { name: 'leaky', command: ['leaky'], bounds: { memoryBytes: 200 * MIB } },
    { name: 'wild', command: ['wild'], bounds: { cpus: 1 } },
    { name: 'busy', command: ['busy'], bounds: { cpus: 2, memoryBytes: 500 * MIB } },
    { name: 'free', command: ['free'] },
    { name: 'hoarder', command: ['hoarder'], bounds: { files: 200 } },
  ],
  durationMs: 180 * S,
  schedule: (cluster) => {
    const linux = (index: number) => cluster.node(index).linux;
    cluster.scheduler.at(10 * S, () => linux(1).burden('leaky', { rssGrowthBytesPerS: 10 * MIB }));
    cluster.scheduler.at(20 * S, () => linux(2).burden('wild', { cpu: 1.8 }));
    cluster.scheduler.at(20 * S, () => linux(2).burden('hoarder', { filesPerS: 20 }));
    cluster.scheduler.at(20 * S, () => linux(3).burden('busy', { cpu: 1.2, rssBytes: 100 * MIB }));
    cluster.scheduler.at(20 * S, () => linux(3).burden('free', { cpu: 0.6 }));
  },
  expect: (cluster: Cluster) =>
    (
      [
        [1, 'leaky', 2],
        [2, 'wild', 2],
        [2, 'hoarder', 2],
        [3, 'busy', 1],
        [3, 'free', 1],
      ] as const
    ).flatMap(([index, name, wanted]) => {
      const starts = cluster
        .node(index)
        .linux.services()
        .find((service) => service.name === name)?.starts;
      return starts === wanted ? [] : [`${name} was started ${starts} times, not ${wanted}`];
    }),
};
