// One measurement of the simulator in a process of its own: `node sim-speed.ts NODES whole|protocols SETTLE_S MEASURE_S`, JSON on standard output.

import { loadScenario } from '../../sim/adapters/library.ts';
import { makeCheckers, makeCluster } from '../../sim/run.ts';

const [nodes = 100, kind = 'whole', settleS = 60, measureS = 60] = process.argv
  .slice(2)
  .map((word, index) => (index === 1 ? word : Number(word)));
const MIB = 2 ** 20;
const rssMb = (): number => process.memoryUsage().rss / MIB;

const before = rssMb();
const cluster = await makeCluster({
  scenario: loadScenario('calm'),
  nodes: Number(nodes),
  seed: 1,
  protocolsOnly: kind === 'protocols',
});
const checkers = makeCheckers();
for (const checker of checkers) checker.begin?.(cluster);
cluster.start();
const run = async (untilS: number): Promise<number> => {
  const startedMs = performance.now();
  for (let atS = Math.floor(cluster.scheduler.nowMs / 1_000) + 1; atS <= untilS; atS++) {
    await cluster.runUntil(atS * 1_000);
    for (const checker of checkers) checker.each?.(cluster);
  }
  return (performance.now() - startedMs) / 1_000;
};
const settledS = await run(Number(settleS));
const events = cluster.scheduler.executed;
const { messages, bytes } = cluster.network;
const tookS = await run(Number(settleS) + Number(measureS));
const per = Number(nodes) * Number(measureS);
process.stdout.write(
  `${JSON.stringify({
    speed: Number(measureS) / tookS,
    settleSpeed: Number(settleS) / settledS,
    mbPerNode: (rssMb() - before) / Number(nodes),
    events: (cluster.scheduler.executed - events) / per,
    messages: (cluster.network.messages - messages) / per,
    bytes: (cluster.network.bytes - bytes) / per,
    violations: cluster.violations.length,
  })}\n`,
);
