// Releases of KALOS, in a simulated swarm: tried on a few, then taken wave after wave, and taken back where they do harm; whoever coordinates.
import { describe, expect, it } from 'vitest';
import { wished } from '../../consensus/decisions/decision.ts';
import { agentSettings } from '../../node/config/agent-config.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { Cluster } from '../../sim/cluster.ts';
import { archiveOf, type Behaviour } from '../../sim/machine/releases.ts';
import type { SimulatedNode } from '../../sim/node.ts';
import { SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';

const SETTLED_MS = 30_000;
const SOAK_MS = 20_000;
/** A member is away, restarts, and is watched. */
const WAVE_MS = SOAK_MS + 15_000;
const OWN = '0.4.0';

async function settled(nodes: number): Promise<Cluster> {
  const document = { mode: 'act', service: [{ name: 'web', command: ['web'], port: 8080 }] };
  const cluster = Cluster.of({ nodes, seed: 5, settings: agentSettings(resolveConfig([{ origin: 'test', document }])) });
  cluster.start();
  await cluster.runUntil(SETTLED_MS);
  return cluster;
}

const later = (cluster: Cluster, ms: number): Promise<void> => cluster.runUntil(cluster.scheduler.nowMs + ms);
/** By an agent that runs: each of them restarts now and then. */
const upgradesIn = (cluster: Cluster) =>
  cluster
    .agents()
    .map(({ agent }) => agent.swarm.consensus.decisions.state)
    .toSorted((a, b) => b.index - a.index)[0]?.upgrades.state;
const versionsOf = (cluster: Cluster) => cluster.nodes.map((node) => node.agent?.status().version);
const startsOf = (node: SimulatedNode) => node.linux.services.all().find(({ name }) => name === 'web')?.starts;

function push(cluster: Cluster, version: string, behaviour: Behaviour, canary: number[]) {
  const peers = canary.map((index) => cluster.node(index).peer);
  const outcome = cluster
    .node(0)
    .agent?.parts.upgrades.push(archiveOf({ version, behaviour }), { canary: peers, soakMs: SOAK_MS });
  outcome?.catch(() => undefined);
  return outcome;
}

/** A release that is good, on all. */
async function spread(cluster: Cluster, version: string): Promise<void> {
  push(cluster, version, 'well', [1]);
  for (let turn = 0; turn < 12 && upgradesIn(cluster)?.ended === null; turn++) await later(cluster, WAVE_MS);
  expect(upgradesIn(cluster)).toMatchObject({ candidate: null, ended: { outcome: 'everywhere' } });
  await later(cluster, WAVE_MS);
}

describe('a release', () => {
  it('that does well is on the canaries first, then on more and more, never on many at once, and services go on', async () => {
    const cluster = await settled(9);
    push(cluster, '0.5.0', 'well', [3]);
    await later(cluster, 8_000);
    expect(versionsOf(cluster)).toEqual(cluster.nodes.map(({ index }) => (index === 3 ? '0.5.0' : OWN)));
    let [most, before] = [0, 1];
    for (let turn = 0; turn < 300 && upgradesIn(cluster)?.ended === null; turn++) {
      await later(cluster, 1_000);
      const count = cluster.agents().filter(({ agent }) => agent.status().version === '0.5.0').length;
      most = Math.max(most, cluster.nodes.length - cluster.agents().length);
      expect(count - before).toBeLessThanOrEqual(2);
      before = Math.max(before, count);
    }
    expect(most).toBeLessThanOrEqual(2);
    expect(versionsOf(cluster)).toEqual(Array(9).fill('0.5.0'));
    expect(cluster.nodes.map(startsOf)).toEqual(Array(9).fill(1));
    // Kept: it is what starts again.
    cluster.node(6).crash();
    cluster.node(6).boot();
    await later(cluster, 1_500);
    expect(versionsOf(cluster)[6]).toBe('0.5.0');
    expect(cluster.violations).toEqual([]);
  });

  it.each<[Behaviour, RegExp]>([
    ['ends', /^node-4: it exited/],
    ['hangs', /node-4/],
    ['harms', /^(node-4: |since it is their turn: node-4 )/],
  ])('that %s is seen on the canary, taken back, and all are on the last good one', async (behaviour, reason) => {
    const cluster = await settled(7);
    await spread(cluster, '0.5.0');
    push(cluster, '0.5.1', behaviour, [4]);
    const ran = new Set<number>();
    for (let turn = 0; turn < 90; turn++) {
      await later(cluster, 3_000);
      versionsOf(cluster).forEach((version, index) => {
        if (version === '0.5.1') ran.add(index);
      });
    }
    expect([...ran]).toEqual([4]);
    expect(upgradesIn(cluster)).toMatchObject({
      good: { version: '0.5.0' },
      candidate: null,
      ended: { outcome: 'back' },
    });
    expect(upgradesIn(cluster)?.ended?.reason).toMatch(reason);
    expect(versionsOf(cluster)).toEqual(Array(7).fill('0.5.0'));
  });

  it('goes on though the coordinator dies in the middle, twice', async () => {
    const cluster = await settled(7);
    push(cluster, '0.5.0', 'well', [5]);
    for (let turn = 0; turn < 2; turn++) {
      await later(cluster, WAVE_MS);
      const nova = cluster.byPeer(cluster.node(6).running?.swarm.consensus.committee.coordinator ?? '');
      nova?.crash();
      await later(cluster, 3_000);
      nova?.boot();
    }
    for (let turn = 0; turn < 10; turn++) await later(cluster, WAVE_MS);
    expect(upgradesIn(cluster)).toMatchObject({ candidate: null, ended: { outcome: 'everywhere' } });
    expect(versionsOf(cluster)).toEqual(Array(7).fill('0.5.0'));
  });

  it('reaches who was away meanwhile, from whoever has it', async () => {
    const cluster = await settled(6);
    cluster.node(5).crash();
    await spread(cluster, '0.5.0');
    cluster.node(0).crash(); // who pushed it
    cluster.node(5).boot();
    await later(cluster, 2 * WAVE_MS);
    expect(versionsOf(cluster)[5]).toBe('0.5.0');
    expect(cluster.node(5).releases.trial).toBeUndefined();
  });

  it('is not for machines that take none', async () => {
    const cluster = await settled(6);
    cluster.node(4).releases.takes = false;
    await spread(cluster, '0.5.0');
    expect(versionsOf(cluster)).toEqual(cluster.nodes.map(({ index }) => (index === 4 ? OWN : '0.5.0')));
    push(cluster, '0.5.1', 'well', [4]);
    await later(cluster, WAVE_MS);
    expect(upgradesIn(cluster)?.ended).toMatchObject({
      outcome: 'back',
      reason: 'node-4: it accepts no swarm releases (upgrades = false)',
    });
  });

  it('that nobody has signed who may is taken by nobody, though the coordinator says that it was decided', async () => {
    const cluster = await settled(5);
    const archive = archiveOf({ version: '0.5.0', behaviour: 'ends' });
    const plain = cluster.node(2);
    const digest = Buffer.from(plain.crypto.hash(archive)).toString('hex');
    const release = { version: '0.5.0', digest, bytes: archive.length };
    const how = { canary: [cluster.node(3).peer], soakMs: SOAK_MS };
    const signature = new Uint8Array(SIGNATURE_BYTES);
    const refused = plain.agent?.parts.upgrades.push(archive, how);
    await later(cluster, 3_000);
    expect(await refused).toMatchObject({ ok: false, reason: expect.stringContaining('it is not an issuer') });
    const nova = cluster.byPeer(cluster.node(4).running?.swarm.consensus.committee.coordinator ?? '');
    nova?.agent?.swarm.consensus.decisions
      .decide({ kind: 'upgrade', ...release, ...how, signature }, 3_000)
      .catch(() => undefined);
    await later(cluster, 2 * SOAK_MS);
    expect(versionsOf(cluster)).toEqual(Array(5).fill(OWN));
    expect(upgradesIn(cluster)?.ended?.reason).toContain('is not signed by the member that pushed it');
  });

  it('that was taken back is not taken again, though the coordinator has it decided again', async () => {
    const cluster = await settled(6);
    await spread(cluster, '0.5.0');
    push(cluster, '0.5.1', 'well', [4]);
    await later(cluster, 10_000);
    const old = upgradesIn(cluster)?.candidate;
    expect([old?.version, versionsOf(cluster)[4]]).toEqual(['0.5.1', '0.5.1']);
    const decisionsOf = (node: SimulatedNode | undefined) => node?.agent?.swarm.consensus.decisions;
    const wish = { kind: 'upgrade-withdraw', upgrade: old?.id ?? '', reason: 'a person says so' } as const;
    decisionsOf(cluster.node(0))
      ?.decide(wish, 3_000)
      ?.catch(() => undefined);
    await later(cluster, 2 * WAVE_MS);
    expect(versionsOf(cluster)).toEqual(Array(6).fill('0.5.0'));
    // Who tried it, and who only heard of it and has restarted since.
    cluster.node(2).crash();
    cluster.node(2).boot();
    await later(cluster, 10_000);
    const nova = cluster.byPeer(cluster.node(5).running?.swarm.consensus.committee.coordinator ?? '');
    for (const index of [4, 2]) {
      // As if a coordinator that lies had given them what it says that is decided: the log itself takes none that is older.
      for (const node of cluster.nodes) {
        const { upgrades } = node.running?.swarm.consensus.decisions.state ?? expect.fail('it is down');
        upgrades.restore({ ...upgrades.state, newestMs: undefined });
      }
      const { by, version, digest, bytes, pushedMs, signature } = old ?? expect.fail('nothing was tried');
      const again = { kind: 'upgrade', version, digest, bytes, pushedMs, signature } as const;
      const stolen = nova?.agent?.swarm.consensus.committee.log.current?.propose(
        wished({ ...again, canary: [cluster.node(index).peer], soakMs: 5_000 }, by, `${index}`.repeat(32), nova.wallMs()),
        3_000,
      );
      stolen?.catch(() => undefined);
      await later(cluster, 2 * WAVE_MS);
      expect(versionsOf(cluster)).toEqual(Array(6).fill('0.5.0'));
      expect(upgradesIn(cluster)?.ended).toMatchObject({ id: `${index}`.repeat(32), outcome: 'back' });
      expect(upgradesIn(cluster)?.ended?.reason).toBe(`node-${index}: it is older than the newest one seen here`);
    }
  });

  it('is decided where all members know what that is', async () => {
    const cluster = await settled(5);
    const old = cluster.node(3);
    old.crash();
    old.profile.version = '0.1.9';
    old.boot();
    await later(cluster, 10_000);
    const outcome = push(cluster, '0.5.0', 'well', [2]);
    await later(cluster, 3_000);
    expect(await outcome).toEqual({ ok: false, reason: 'node-3 runs KALOS 0.1.9: this decision needs 0.3.0 on all members' });
  });
});
