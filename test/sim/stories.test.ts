// Witnesses keep what those whom they witness for told them of their incidents, and answer for the dead.
import { describe, expect, it } from 'vitest';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { readStory } from '../../node/memory/story.ts';
import { TABLES } from '../../node/query/catalogue/catalogue.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';

const SETTLED_MS = 20_000;

async function settled(nodes: number, names = ['web']): Promise<Cluster> {
  const service = names.map((name, nth) => ({ name, command: [name], port: 8080 + nth }));
  const document = { mode: 'act', service };
  const cluster = Cluster.of({ nodes, seed: 6, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
const agentOf = (node: SimulatedNode) => node.agent ?? expect.fail(`${node.name} is down`);

async function asked<T>(cluster: Cluster, work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  await later(cluster, 8_000);
  return work;
}

/** One that was repaired on a machine that is gone since. */
async function goneAfterRepair(nodes = 4): Promise<{ cluster: Cluster; id: string; gone: SimulatedNode }> {
  const cluster = await settled(nodes);
  const gone = cluster.node(2);
  gone.linux.services.kill('web');
  await later(cluster, 10_000);
  const id = agentOf(gone).parts.memory.incidents().at(-1)?.id ?? expect.fail('no incident');
  gone.crash();
  await later(cluster, 5_000);
  return { cluster, id, gone };
}

describe('an incident of a machine that is gone', () => {
  it('is explained by every peer, as that machine signed it, with claim, certificate, decision and outcome', async () => {
    const { cluster, id, gone } = await goneAfterRepair();
    for (const peer of [0, 1, 3]) {
      const result = await asked(cluster, agentOf(cluster.node(peer)).parts.queries.explain(id, 'test'));
      if (!result.ok) throw new Error(result.message);
      const { incident, source, toldBy, certificate } = result.explanation;
      expect([source, incident.node, incident.outcome]).toEqual(['witness', gone.peer, 'service.restart helped']);
      expect(cluster.nodes.map(({ name }) => name)).toContain(toldBy);
      expect(certificate).toMatchObject({ present: true, valid: true });
      expect(incident.steps.map(({ stage }) => stage)).toEqual(
        expect.arrayContaining(['detect', 'vote', 'decide', 'act', 'verify']),
      );
    }
  });

  it('is known after all its witnesses have been restarted', async () => {
    const { cluster, id } = await goneAfterRepair();
    for (const peer of [0, 1, 3]) {
      cluster.node(peer).crash();
      cluster.node(peer).boot();
    }
    await later(cluster, 20_000);
    expect(await asked(cluster, agentOf(cluster.node(1)).parts.queries.explain(id, 'test'))).toMatchObject({
      ok: true,
      explanation: { source: 'witness' },
    });
  });

  it('is kept by two others at least', async () => {
    const { cluster, id, gone } = await goneAfterRepair();
    const rows = cluster.nodes.flatMap((node) => node.agent?.parts.stories.all() ?? []).map((one) => one.id);
    expect(rows.filter((one) => one === id).length).toBeGreaterThanOrEqual(2);
    const table = TABLES.find(({ name }) => name === 'witnessed_incidents') ?? expect.fail('no table');
    const holder = cluster.nodes.find((node) => node.agent?.parts.stories.of(id) !== undefined) ?? expect.fail('nobody holds it');
    // The column `node` is the machine that answers, as in every table.
    expect(table.rows(agentOf(holder).parts.queries.sources, [], new Map())).toMatchObject([
      { id, node: holder.name, member: gone.name },
    ]);
  });
});

describe('a story', () => {
  it('is taken of the machine that it is of, signed by it, and of nobody else', async () => {
    const { cluster, id, gone } = await goneAfterRepair();
    const holder = cluster.nodes.find((node) => node.agent?.parts.stories.of(id) !== undefined) ?? expect.fail('nobody holds it');
    const story = agentOf(holder).parts.stories.of(id) ?? expect.fail();
    const { crypto } = cluster.node(0);
    const tampered = { ...story, incident: { ...story.incident, outcome: 'all was well' } };
    expect(readStory(crypto, cluster.swarmId, story)).toEqual(story);
    expect(readStory(crypto, cluster.swarmId, tampered)).toBeUndefined();
    expect(readStory(crypto, 'another swarm', story)).toBeUndefined();
    const stories = agentOf(holder).parts.stories;
    const other = cluster.nodes.find(({ peer }) => peer !== gone.peer && peer !== holder.peer)?.peer ?? '';
    expect(await asked(cluster, stories.keep(other, story))).toBe(false);
    expect(await asked(cluster, stories.keep(gone.peer, tampered))).toBe(false);
    expect(await asked(cluster, stories.keep(gone.peer, { nonsense: 1 }))).toBe(false);
  });

  it('of another machine under the same id is not taken for it', async () => {
    const { cluster, id, gone } = await goneAfterRepair();
    const liar = cluster.node(3);
    const stories = agentOf(liar).parts.stories;
    const known = cluster.nodes.map((node) => node.agent?.parts.stories.of(id)).find((one) => one !== undefined) ?? expect.fail();
    const steps = [{ atMs: known.incident.openedMs + 1e9, stage: 'detect' as const, text: 'nothing' }];
    const incident = { ...known.incident, node: liar.peer, outcome: 'all was well', steps };
    const signature = liar.crypto.sign(encodeCbor(['kalos/story', cluster.swarmId, incident]));
    stories.of = () => ({ incident, signature });
    const result = await asked(cluster, agentOf(cluster.node(0)).parts.queries.explain(id, 'test'));
    expect(result.ok && [result.explanation.incident.node, result.explanation.incident.outcome]).toEqual([
      gone.peer,
      'service.restart helped',
    ]);
  });

  it('with times that cannot be dated is not taken; with a certificate that is none it is told without one', async () => {
    const { cluster, id, gone } = await goneAfterRepair();
    const holder = cluster.nodes.find((node) => node.agent?.parts.stories.of(id) !== undefined) ?? expect.fail('nobody holds it');
    const { incident } = agentOf(holder).parts.stories.of(id) ?? expect.fail();
    const told = (change: Partial<typeof incident>) => {
      const changed = { ...incident, ...change };
      return { incident: changed, signature: gone.crypto.sign(encodeCbor(['kalos/story', cluster.swarmId, changed])) };
    };
    for (const atMs of [1e300, -1e300, 8.64e15 + 1])
      for (const change of [{ openedMs: atMs }, { closedMs: atMs }, { steps: [{ atMs, stage: 'detect' as const, text: '' }] }])
        expect(readStory(holder.crypto, cluster.swarmId, told(change))).toBeUndefined();
    const holding = agentOf(holder).parts.stories;
    holding.of = () => told({ certificate: 'no base64 at all!' });
    const result = await asked(cluster, agentOf(holder).parts.queries.explain(id, 'test'));
    expect(result).toMatchObject({ ok: true, explanation: { certificate: { present: false } } });
  });

  it('costs no more than two tellings of three witnesses for an incident that is mended, and is bounded in number', async () => {
    const cluster = await settled(9);
    const node = cluster.node(4);
    let sent = 0;
    for (const other of cluster.nodes) {
      if (other === node || other.agent === undefined) continue;
      const { stories } = other.agent.parts;
      const keep = stories.keep.bind(stories);
      stories.keep = (from, value) => {
        sent++;
        return keep(from, value);
      };
    }
    node.linux.services.kill('web');
    await later(cluster, 10_000);
    expect(agentOf(node).parts.memory.incidents().at(-1)?.outcome).toBe('service.restart helped');
    expect(sent).toBeGreaterThan(0);
    expect(sent).toBeLessThanOrEqual(3 * 3);
    const witness = cluster.nodes.find(({ agent }) => (agent?.parts.stories.all().length ?? 0) > 0) ?? expect.fail();
    const [story] = agentOf(witness).parts.stories.all();
    if (story === undefined) throw new Error('none');
    for (let i = 0; i < 70; i++) {
      const incident = { ...story, id: `inc-${i.toString(16).padStart(10, '0')}` };
      const signature = node.crypto.sign(encodeCbor(['kalos/story', cluster.swarmId, incident]));
      agentOf(witness)
        .parts.stories.keep(node.peer, { incident, signature })
        .catch(() => undefined);
      await later(cluster, 1_100);
    }
    expect(agentOf(witness).parts.stories.all().length).toBe(64);
  });

  it('waits for others that are told: where everything fails at once no witness is asked more than it takes', async () => {
    const names = Array.from({ length: 100 }, (_, nth) => `s${nth}`);
    const cluster = await settled(4, names);
    const node = cluster.node(3);
    const taken: boolean[] = [];
    const { stories } = agentOf(cluster.node(0)).parts;
    const keep = stories.keep.bind(stories);
    stories.keep = async (from, value) => {
      const isTaken = await keep(from, value);
      if (from === node.peer) taken.push(isTaken);
      return isTaken;
    };
    for (const name of names) node.linux.services.kill(name);
    await later(cluster, 30_000);
    expect(taken.length).toBeGreaterThan(20);
    expect(taken.length).toBeLessThan(30);
    expect(taken).not.toContain(false);
  });
});
