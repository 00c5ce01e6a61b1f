// Votes on what goes wrong with several things of one machine at once: put to each witness in a message, answered in few; and one by one to
// and by members of a version that reads no batches.
import { describe, expect, it } from 'vitest';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import { swarmNames } from '../../swarm/names.ts';

const SETTLED_MS = 60_000;
const NAMES = ['a', 'b', 'c', 'd', 'e'];
const WITNESSES = 7;

async function failing(version: string) {
  const document = { mode: 'act', service: NAMES.map((name, nth) => ({ name, command: [name], port: 8080 + nth })) };
  const cluster = Cluster.of({ nodes: 10, seed: 6, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  for (const node of cluster.nodes) node.profile.version = version;
  const protocol = swarmNames(cluster.swarmId).protocol('vote');
  let messages = 0;
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  cluster.network.taps.push((_from, _to, name) => {
    if (name === protocol) messages++;
  });
  const node = cluster.node(7);
  for (const name of NAMES) node.linux.services.kill(name);
  await cluster.runUntil(SETTLED_MS + 40_000);
  const incidents = node.agent?.parts.memory.incidents() ?? [];
  expect(incidents.map(({ state, certificate }) => [state, certificate.length > 0])).toEqual(NAMES.map(() => ['resolved', true]));
  expect(cluster.violations).toEqual([]);
  return messages;
}

describe('votes', () => {
  it('on several things at once go together', async () => {
    expect(await failing('0.3.0')).toBeLessThanOrEqual(4 * WITNESSES);
  });

  it('go one by one where the members run a version that reads no batches', async () => {
    expect(await failing('0.2.0')).toBe(2 * WITNESSES * NAMES.length);
  });
});
