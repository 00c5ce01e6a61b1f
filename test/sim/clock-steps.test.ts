// Wall clocks that are set while all runs, of one machine and of all: repairs, log alerts, silences, history and questions go on as if
// nothing had happened, and nothing is younger than nothing.
import { describe, expect, it } from 'vitest';
import { swarmReads } from '../../node/agent/reads.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { TABLES } from '../../node/query/catalogue/catalogue.ts';
import type { TableSources } from '../../node/query/catalogue/table.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

const HOUR_MS = 3_600_000;
const STEPS: [string, number][] = [
  ['+1 s', 1_000],
  ['-1 s', -1_000],
  ['+2 h', 2 * HOUR_MS],
  ['-2 h', -2 * HOUR_MS],
  ['+25 h', 25 * HOUR_MS],
  ['-73 h', -73 * HOUR_MS],
];
const LOG = '/var/log/app.log';
const SILENCE_MS = 20_000;

async function settled(): Promise<Cluster> {
  const document = {
    mode: 'act',
    service: [
      { name: 'web', command: ['web'], port: 8080 },
      { name: 'api', command: ['api'], port: 8081 },
    ],
    log: [{ path: LOG, alert: 'ERROR', max_bytes: 1_000_000 }],
  };
  const cluster = Cluster.of({ nodes: 5, seed: 11, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  for (const { linux } of cluster.nodes) linux.files.put(LOG, new Uint8Array());
  cluster.start();
  await cluster.runUntil(60_000);
  return cluster;
}

const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
const startsOf = ({ linux }: SimulatedNode, name: string) => linux.services.all().find((one) => one.name === name)?.starts ?? 0;
const runs = ({ linux }: SimulatedNode, name: string) =>
  linux.services.all().find((one) => one.name === name)?.state === 'running';
const agentOf = (node: SimulatedNode) => node.agent ?? expect.fail('its agent is down');

/** Rows of a table as another member is told them. */
async function asked(cluster: Cluster, from: SimulatedNode, of: SimulatedNode, table: string, columns: string[]) {
  const rows: unknown[][] = [];
  const body = encodeCbor([table, columns, [], [], null]);
  const take = (_peer: string, answer: Uint8Array): void => {
    rows.push(...((decodeCbor(answer) as [unknown[][]])[0] ?? []));
  };
  const asking = agentOf(from).swarm.messenger.askAll([of.peer], 'table', body, { timeoutMs: 3_000, maxBytes: 1e6, take });
  await later(cluster, 3_000);
  expect(await asking).toEqual([]);
  return rows;
}

/** What `nodes` and `conditions` say of how old things are, as this agent sees it. */
async function agesAt(cluster: Cluster, node: SimulatedNode): Promise<unknown[]> {
  const swarm = swarmReads(agentOf(node).swarm, () => node.wallMs());
  const sources = { swarm, nowMonotonicMs: () => cluster.scheduler.nowMs };
  const tables = TABLES.filter(({ name }) => name === 'nodes' || name === 'conditions');
  const rows = await Promise.all(tables.map((table) => table.rows(sources as unknown as TableSources, ['age_ms'], new Map())));
  return rows.flat().map(({ age_ms }) => age_ms);
}

async function lived(cluster: Cluster, stepped: readonly SimulatedNode[], stepMs: number): Promise<void> {
  const [victim] = stepped;
  const witness = cluster.node(0);
  if (victim === undefined) expect.fail();
  const before = { web: startsOf(victim, 'web'), api: startsOf(victim, 'api') };
  const told = agentOf(victim).parts.memory.incidents().length;
  void agentOf(victim).parts.executor.brakes.silences.add({ target: 'api', forMs: SILENCE_MS, reason: 'at work' });
  victim.linux.files.log(LOG, 'ERROR before the step');
  await later(cluster, 4_000);
  for (const node of stepped) node.clock.skewMs += stepMs;
  const ages = (await asked(cluster, witness, victim, 'services', ['age_ms'])).flat();
  victim.linux.services.kill('web');
  victim.linux.services.kill('api');
  victim.linux.files.log(LOG, 'ERROR of the step');
  await later(cluster, 11_000);
  expect([runs(victim, 'web'), startsOf(victim, 'web')]).toEqual([true, before.web + 1]);
  expect([runs(victim, 'api'), startsOf(victim, 'api')]).toEqual([false, before.api]);
  await later(cluster, 18_000);
  expect([runs(victim, 'api'), startsOf(victim, 'api')]).toEqual([true, before.api + 1]);
  await later(cluster, 30_000);
  const story = agentOf(victim).parts.memory.incidents().slice(told);
  const alerts = story.filter(({ policy }) => policy === 'log-alert');
  expect(alerts.map(({ outcome }) => outcome)).toEqual([expect.stringContaining('cleared')]);
  for (const { openedMs, closedMs, steps } of story) {
    if (closedMs > 0) expect(closedMs - openedMs).toBeGreaterThanOrEqual(0);
    if (closedMs > 0) expect(closedMs - openedMs).toBeLessThan(120_000);
    for (const [i, { atMs }] of steps.entries()) expect(atMs).toBeGreaterThanOrEqual(steps[i - 1]?.atMs ?? openedMs);
  }
  // The past is whole, and told by the clock as it is set now.
  const fine = agentOf(victim).parts.watcher.samples.history.past('system.cpu.utilization')?.fine ?? expect.fail();
  expect(Math.abs(fine.atS - victim.wallMs() / 1_000)).toBeLessThan(3);
  expect(fine.values.slice(-60).filter((value) => value === null).length).toBeLessThanOrEqual(2);
  ages.push(
    ...(await asked(cluster, witness, victim, 'services', ['age_ms'])).flat(),
    ...(await asked(cluster, victim, witness, 'services', ['age_ms'])).flat(),
    ...(await asked(cluster, witness, victim, 'links', ['heard_ms'])).flat(),
    ...(await agesAt(cluster, victim)),
    ...(await agesAt(cluster, witness)),
  );
  expect(ages.length).toBeGreaterThan(12);
  for (const age of ages) if (age !== null) expect(Number(age)).toBeGreaterThanOrEqual(0);
  for (const age of ages) if (age !== null) expect(Number(age)).toBeLessThan(HOUR_MS / 2);
  for (const node of cluster.nodes)
    expect(node.agent?.swarm.members.all().filter(({ state }) => state === 'alive').length).toBe(5);
}

describe('a wall clock that is set while all runs', () => {
  it.each(STEPS)('by %s on one machine, and back, changes nothing', async (_name, stepMs) => {
    const cluster = await settled();
    await lived(cluster, [cluster.node(2)], stepMs);
    await lived(cluster, [cluster.node(2)], -stepMs);
    expect(cluster.violations).toEqual([]);
  });

  it.each(STEPS)('by %s on all machines at once, and back, changes nothing', async (_name, stepMs) => {
    const cluster = await settled();
    await lived(cluster, cluster.nodes.slice(2).concat(cluster.nodes.slice(0, 2)), stepMs);
    await lived(cluster, cluster.nodes.slice(2).concat(cluster.nodes.slice(0, 2)), -stepMs);
    expect(cluster.violations).toEqual([]);
  });
});

describe('a critical service on a machine whose clock is wrong', () => {
  async function killed(stepMs: number) {
    const document = { mode: 'act', service: [{ name: 'web', command: ['web'], port: 8080, critical: true }] };
    const settings = agentSettings(resolveConfig([{ origin: 'test', document }]));
    const cluster = Cluster.of({ nodes: 8, seed: 3, settings });
    cluster.start();
    await cluster.runUntil(60_000);
    const node = cluster.node(3);
    node.authorizations.certified = new Set(['web']);
    node.clock.skewMs += stepMs;
    await later(cluster, 5_000);
    node.linux.services.kill('web');
    await later(cluster, 40_000);
    const story = agentOf(node)
      .parts.memory.incidents()
      .flatMap(({ steps }) => steps.map(({ text }) => text));
    return { cluster, node, story: story.join('\n') };
  }

  it.each([1_000, -1_000, 25 * 60_000, -25 * 60_000])(
    'by %i ms is started again by leave of its witnesses and of the swarm',
    async (stepMs) => {
      const { cluster, node, story } = await killed(stepMs);
      expect(runs(node, 'web'), story).toBe(true);
      expect(story).toContain('witnesses and the swarm allow it');
      expect(cluster.violations).toEqual([]);
    },
  );

  it.each([2 * HOUR_MS, -2 * HOUR_MS, 25 * HOUR_MS, -73 * HOUR_MS])(
    'by %i ms waits for a person, who is told why: its actuator would believe no certificate',
    async (stepMs) => {
      const { node, story } = await killed(stepMs);
      expect(story).toContain('this machine’s clock is wrong by 30 minutes or more');
      expect([node.authorizations.refused, agentOf(node).parts.executor.approvals.all().length]).toEqual([[], 1]);
    },
  );
});
