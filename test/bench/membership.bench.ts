// Membership in the simulator, protocols alone: the two experiments of Rapid (Suresh et al. 2018), how fast a swarm finds
// itself, a rack that is lost at once, and stalls that must make nobody `down`.
// Bars: exactly the bad ones are cut within 30 s, in at most 4 distinct views; 2,000 nodes find each other within 20 s.
import { Cluster } from '../../sim/cluster.ts';
import { LAN } from '../../sim/network/links.ts';
import type { SimulatedNode } from '../../sim/node.ts';
import type { Bench, Figures } from './bench.ts';

const BAD = 10;
const FLIP_MS = 20_000;
const LOSS = 0.8;
const WATCHED_MS = 30_000;
const LOOK_MS = 1_000;
const SETTLE_MS = 20_000;
const RACK = 30;
const STALL_MS = 4_000;
const STALL_EVERY_MS = 1_000;
/** Two stalls of the same one, one right after the other, would be a longer one. */
const STALL_REST_MS = 10_000;
const MAX_WAIT_MS = 120_000;

export async function settled(nodes: number, seed: number): Promise<Cluster> {
  const cluster = Cluster.of({ nodes, seed, protocolsOnly: true });
  cluster.start();
  await bootstrapped(cluster);
  await cluster.runUntil(cluster.scheduler.nowMs + SETTLE_MS);
  return cluster;
}

/** Until all see all alive. @returns the time of it. */
async function bootstrapped(cluster: Cluster): Promise<number> {
  const { scheduler, nodes } = cluster;
  for (;;) {
    await cluster.runUntil(scheduler.nowMs + LOOK_MS / 2);
    const running = cluster.running();
    if (
      running.length === nodes.length &&
      running.every(({ running: { swarm } }) => swarm.members.alive().length === nodes.length)
    )
      return scheduler.nowMs;
    if (scheduler.nowMs > MAX_WAIT_MS)
      throw new Error(`${nodes.length} nodes did not find each other in ${MAX_WAIT_MS / 1000} s`);
  }
}

/** Whom each of the good ones holds for down, as one text a view. */
function viewsOf(cluster: Cluster, bad: ReadonlySet<number>): Map<string, number> {
  const views = new Map<string, number>();
  for (const { node, running } of cluster.running()) {
    if (bad.has(node.index)) continue;
    const down = running.swarm.members
      .all()
      .filter(({ state }) => state === 'down')
      .map(({ peer }) => cluster.byPeer(peer)?.index ?? -1);
    const view = down.sort((a, b) => a - b).join(' ');
    views.set(view, (views.get(view) ?? 0) + 1);
  }
  return views;
}

interface Cut {
  /** Ms until all good ones had cut exactly the bad ones; undefined where they never had. */
  cutMs: number | undefined;
  views: number;
}

/** Ten are made bad; who is cut, when, and through how many views. */
async function cutOf(
  cluster: Cluster,
  bad: ReadonlySet<number>,
  forMs: number,
  eachSecond: (atMs: number) => void,
): Promise<Cut> {
  const startMs = cluster.scheduler.nowMs;
  const expected = [...bad].sort((a, b) => a - b).join(' ');
  const seen = new Set<string>();
  let cutMs: number | undefined;
  for (let atMs = 0; atMs <= forMs; atMs += LOOK_MS) {
    eachSecond(atMs);
    await cluster.runUntil(startMs + atMs + LOOK_MS);
    const views = viewsOf(cluster, bad);
    for (const view of views.keys()) seen.add(view);
    if (cutMs === undefined && views.size === 1 && views.has(expected)) cutMs = atMs + LOOK_MS;
  }
  return { cutMs, views: seen.size };
}

const spread = (nodes: number, count: number): Set<number> =>
  new Set(Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * nodes) / count)));

async function oneWayFlips(nodes: number, seed: number): Promise<Cut> {
  const cluster = await settled(nodes, seed);
  const bad = spread(nodes, BAD);
  return cutOf(cluster, bad, WATCHED_MS, (atMs) => {
    const deaf = Math.floor(atMs / FLIP_MS) % 2 === 0;
    cluster.network.topology = (_from, to) => (deaf && bad.has(to) ? { ...LAN, loss: 1 } : LAN);
  });
}

async function lossy(nodes: number, seed: number): Promise<Cut> {
  const cluster = await settled(nodes, seed);
  const bad = spread(nodes, BAD);
  cluster.network.topology = (from, to) => (bad.has(from) || bad.has(to) ? { ...LAN, loss: LOSS } : LAN);
  return cutOf(cluster, bad, WATCHED_MS, () => undefined);
}

/** Neighbours in one rack lose power together. */
async function lostRack(nodes: number, seed: number): Promise<Cut> {
  const cluster = await settled(nodes, seed);
  const rack = new Set(Array.from({ length: RACK }, (_, i) => i + 1));
  for (const index of rack) {
    const node = cluster.node(index);
    cluster.network.power(node.peer, false);
    node.crash();
  }
  return cutOf(cluster, rack, WATCHED_MS, () => undefined);
}

/** Somebody is always stalled for four seconds; nobody may be held for down. */
async function stalled(nodes: number, seed: number, nodeSeconds: number, progress: (text: string) => void): Promise<number> {
  const cluster = await settled(nodes, seed);
  const startMs = cluster.scheduler.nowMs;
  const wrong = new Set<string>();
  const random = cluster.random('stalls');
  const untilMs = (nodeSeconds / nodes) * 1000;
  const last = new Map<SimulatedNode, number>();
  let stalls = 0;
  for (let atMs = 0; atMs < untilMs; atMs += STALL_EVERY_MS) {
    const stalledTwice = (node: SimulatedNode): boolean => atMs - (last.get(node) ?? Number.NEGATIVE_INFINITY) < STALL_REST_MS;
    const rested = cluster.nodes.filter((node) => !stalledTwice(node));
    const victim = rested[Math.floor(random.unit() * rested.length)] as SimulatedNode;
    last.set(victim, atMs);
    victim.pause(STALL_MS);
    stalls++;
    await cluster.runUntil(startMs + atMs + STALL_EVERY_MS);
    for (const [view, count] of viewsOf(cluster, new Set())) if (view !== '') wrong.add(`${view} at ${atMs} by ${count}`);
    if (atMs % 100_000 === 0) progress(`${Math.round((atMs * nodes) / 1000)} of ${nodeSeconds} node-seconds, ${stalls} stalls`);
  }
  for (const text of wrong) progress(`held for down: ${text}`);
  return wrong.size;
}

async function bootstrap(nodes: number, seed: number): Promise<number> {
  const cluster = Cluster.of({ nodes, seed, protocolsOnly: true });
  for (const node of cluster.nodes) cluster.scheduler.at(node.index === 0 ? 0 : 100 + node.index / 2, () => node.boot());
  return bootstrapped(cluster);
}

const seconds = (value: number | undefined): string => (value === undefined ? 'never' : `${(value / 1000).toFixed(1)} s`);
const words = ({ cutMs, views }: Cut): string => `exactly those after ${seconds(cutMs)}, ${views} views`;

export const membership: Bench = {
  name: 'membership',
  description: 'in the simulator: Rapid’s two experiments, bootstrap, a lost rack, stalls',
  run: async ({ option, progress }): Promise<Figures> => {
    const nodes = option('nodes', 1_000);
    const seed = option('seed', 1);
    const bootNodes = option('boot', 2_000);
    progress(`one-way links that flip, ${nodes} nodes`);
    const flips = await oneWayFlips(nodes, seed);
    progress(`${words(flips)}; now 80 % loss`);
    const loss = await lossy(nodes, seed);
    progress(`${words(loss)}; now a rack of ${RACK} in 300`);
    const rack = await lostRack(300, seed);
    progress(`${words(rack)}; now the start of ${bootNodes}`);
    const bootMs = await bootstrap(bootNodes, seed);
    progress(`${seconds(bootMs)}; now stalls`);
    const stallSeconds = option('stalls', 1_000_000);
    const falseDown = await stalled(100, seed, stallSeconds, progress);
    return {
      rows: [
        [`${BAD} of ${nodes} deaf every ${FLIP_MS / 1000} s`, words(flips), 'Rapid: exactly those'],
        [`${BAD} of ${nodes} with 80 % loss`, words(loss), 'Rapid: exactly those'],
        [`a rack of ${RACK} in 300 lost`, words(rack), '-'],
        [`${bootNodes} nodes start within ${seconds(bootNodes / 2)}: all see all`, seconds(bootMs), '-'],
        [`held for down in ${stallSeconds} node-seconds of stalls`, String(falseDown), '-'],
      ],
      keys: {
        nodes,
        flip_cut_ms: flips.cutMs,
        flip_views: flips.views,
        loss_cut_ms: loss.cutMs,
        loss_views: loss.views,
        rack_cut_ms: rack.cutMs,
        boot_ms: bootMs,
        false_down: falseDown,
      },
      unmeasured: [],
    };
  },
};
