// From the side of a hostile member, which asks others for their tables as it likes: what is read with an agent's rights, what was done, and
// what was asked is answered to issuers, to whom a grant lets, and to whom the machine's owner lets; each refusal is in the log.
import { describe, expect, it } from 'vitest';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import type { SimulatedNode } from '../../sim/node.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

const HOUR_MS = 3_600_000;

async function settled(
  document: object = {},
): Promise<{ cluster: Cluster; issuer: SimulatedNode; member: SimulatedNode; target: SimulatedNode }> {
  const settings = agentSettings(resolveConfig([{ origin: 'test', document: { issuers: 1, ...document } }]));
  const cluster = Cluster.of({ nodes: 4, seed: 5, settings });
  cluster.start();
  await cluster.runUntil(30_000);
  const decides = ({ peer }: SimulatedNode) =>
    agentOf(cluster.node(0)).swarm.admission.roster.decides(peer, cluster.node(0).wallMs());
  const [issuer, member, target] = [cluster.nodes.find(decides), ...cluster.nodes.filter((node) => !decides(node))];
  if (issuer === undefined || member === undefined || target === undefined) throw new Error('not enough of each');
  return { cluster, issuer, member, target };
}

const agentOf = (node: SimulatedNode) => node.agent ?? expect.fail('its agent is down');
const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);

interface Request {
  table: string;
  columns: string[];
  compare?: [string, string, string][];
  reduction?: unknown;
}

/** The rows that come, or why none do. */
async function asked(
  cluster: Cluster,
  from: SimulatedNode,
  of: SimulatedNode,
  { table, columns, compare = [], reduction = null }: Request,
) {
  let rows: unknown[][] = [];
  const take = (_peer: string, answer: Uint8Array): void => {
    [rows] = decodeCbor(answer) as [unknown[][]];
  };
  const body = encodeCbor([table, columns, [], compare, reduction]);
  const asking = agentOf(from).swarm.messenger.askAll([of.peer], 'table', body, { timeoutMs: 3_000, maxBytes: 1e6, take });
  await later(cluster, 3_000);
  const [missing] = await asking;
  return missing?.reason ?? rows;
}

const AUDIT: Request = { table: 'audit', columns: ['text'] };

async function given(cluster: Cluster, by: SimulatedNode, effect: 'act' | 'deny', to: SimulatedNode, target: string | null) {
  const untilMs = Math.round(by.wallMs() + HOUR_MS);
  const what = { effect, peer: to.peer, tool: 'machine.inspect', target, uses: 1, withinMs: 60_000, untilMs };
  const outcome = agentOf(by).parts.grants.give(what, 'test');
  await later(cluster, 3_000);
  expect(await outcome).toMatchObject({ ok: true });
}

describe('another machine’s tables', () => {
  it('are answered to all members where every user of the machine may see what is in them', async () => {
    const { cluster, member, target } = await settled();
    expect(await asked(cluster, member, target, { table: 'processes', columns: ['pid', 'name'] })).toContainEqual(
      expect.anything(),
    );
    expect(await asked(cluster, member, target, { table: 'services', columns: ['name'] })).toEqual([]);
    // The model has none of the tables that are read when asked for.
    expect(await asked(cluster, member, target, { table: 'kernel_info', columns: ['version'] })).not.toContain('may not');
  });

  it.each<Request>([
    AUDIT,
    { table: 'query_log', columns: ['what'] },
    { table: 'file', columns: ['path'] },
    { table: 'crontab', columns: ['command'] },
    { table: 'processes', columns: ['pid', 'cmdline'] },
    { table: 'processes', columns: ['pid'], compare: [['cmdline', 'like', '%secret%']] },
    { table: 'processes', columns: ['pid'], reduction: ['groups', ['cmdline'], []] },
    { table: 'processes', columns: ['pid'], reduction: ['groups', [], [['max', 'cmdline']]] },
    { table: 'processes', columns: ['pid'], reduction: ['top', [['cmdline', true]], 1] },
  ])('are not, where that takes its agent’s rights or a token: $table $columns $compare $reduction', async (request) => {
    const { cluster, issuer, member, target } = await settled();
    const refusal = `${member.name} may not inspect ${target.name}: it is not an issuer and has no grant (kalos grant act --tool machine.inspect)`;
    expect(await asked(cluster, member, target, request)).toContain(refusal);
    if (request === AUDIT) expect(await asked(cluster, issuer, target, request)).toContainEqual(expect.anything());
    const log = await asked(cluster, issuer, target, { table: 'query_log', columns: ['asked_by', 'error'] });
    expect(log).toContainEqual([member.name, refusal]);
  });

  it('are not, with a column that there is not', async () => {
    const { cluster, member, target } = await settled();
    const reduction = ['groups', ['secret'], []];
    expect(await asked(cluster, member, target, { table: 'processes', columns: ['pid'], reduction })).toBe('no such table');
  });

  it('are, once a grant says of which machine, and until it ends', async () => {
    const { cluster, issuer, member, target } = await settled();
    const other = cluster.nodes.find((node) => ![issuer, member, target].includes(node)) as SimulatedNode;
    await given(cluster, issuer, 'act', member, target.name);
    expect(await asked(cluster, member, target, AUDIT)).toContainEqual(expect.anything());
    expect(await asked(cluster, member, other, AUDIT)).toContain(`may not inspect ${other.name}`);
    await later(cluster, HOUR_MS);
    expect(await asked(cluster, member, target, AUDIT)).toContain('may not inspect');
  });

  it('are kept from an issuer by a grant, and from everybody by the machine’s owner', async () => {
    const { cluster, issuer, target } = await settled();
    await given(cluster, issuer, 'deny', issuer, null);
    expect(await asked(cluster, issuer, target, AUDIT)).toContain(`a grant denies machine.inspect to ${issuer.name}: test`);
    const closed = await settled({ inspect: 'nobody' });
    expect(await asked(closed.cluster, closed.issuer, closed.target, AUDIT)).toContain('(inspect = "nobody")');
    const open = await settled({ inspect: 'members' });
    expect(await asked(open.cluster, open.member, open.target, AUDIT)).toContainEqual(expect.anything());
  });
});
