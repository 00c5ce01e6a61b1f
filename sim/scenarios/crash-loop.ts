// Services that end again after each start: at once, and just after a repair was confirmed. Both must be tried a few
// times, then left to a person, and neither may be restarted for ever nor given up in silence.
import type { Cluster } from '../cluster.ts';
import type { Scenario } from './scenario.ts';

const S = 1_000;
/** Shorter than a repair must hold to be confirmed. */
const ENDS_AT_ONCE_MS = 200;
/** Longer than that, but shorter than a policy takes to clear. */
const ENDS_SOON_MS = 1_500;
/** Uses of service.restart on one target before a person must look. */
const ATTEMPTS = 3;

export const crashLoop: Scenario = {
  name: 'crash-loop',
  description: 'services that end again after each start are tried three times, then escalated',
  minNodes: 4,
  services: [
    { name: 'hasty', command: ['hasty'], port: 8081 },
    { name: 'feeble', command: ['feeble'], port: 8082 },
  ],
  durationMs: 280 * S,
  schedule: (cluster) => {
    cluster.scheduler.at(10 * S, () => {
      cluster.node(1).linux.curse('hasty', ENDS_AT_ONCE_MS);
      cluster.node(1).linux.kill('hasty');
      cluster.node(2).linux.curse('feeble', ENDS_SOON_MS);
      cluster.node(2).linux.kill('feeble');
    });
    // The calm at the end: whatever was wrong with them is mended, and somebody starts them.
    cluster.scheduler.at(200 * S, () => {
      for (const [index, name] of [
        [1, 'hasty'],
        [2, 'feeble'],
      ] as const) {
        cluster.node(index).linux.bless(name);
        void cluster.node(index).linux.startService(name);
      }
    });
  },
  expect: (cluster: Cluster) => {
    const broken: string[] = [];
    for (const [index, name] of [
      [1, 'hasty'],
      [2, 'feeble'],
    ] as const) {
      const incidents =
        cluster
          .node(index)
          .agent?.incidents()
          .filter(({ target }) => target === name) ?? [];
      if (incidents.at(-1)?.outcome !== 'cleared after it was escalated')
        broken.push(`${name}: ${incidents.at(-1)?.outcome ?? 'never noticed'}`);
      const starts = cluster
        .node(index)
        .linux.services()
        .find((service) => service.name === name)?.starts;
      // The first start, the attempts, and the person's.
      if (starts !== 1 + ATTEMPTS + 1) broken.push(`${name} was started ${starts} times`);
    }
    return broken;
  },
};
