// A network of nothing but gossip: peers with random connections, messages from random ones, and what became of each copy.

import { stepAll } from '../../sim/adapters/drain.ts';
import { Trace } from '../../sim/adapters/trace.ts';
import type { GossipParams } from '../../sim/network/gossip.ts';
import { NO_PORTS } from '../../sim/network/host.ts';
import type { LinkModel } from '../../sim/network/links.ts';
import { Network } from '../../sim/network/network.ts';
import { SimulatedTransport } from '../../sim/network/transport.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { EVERYBODY_WELCOME } from './welcome.ts';

const TOPIC = '/gossip/test';
const MESSAGE_BYTES = 250;

export interface GossipWorkload {
  peers: number;
  /** Connections, as pairs of indices. */
  edges: readonly (readonly [number, number])[];
  link: LinkModel;
  params: GossipParams;
  messages: number;
  everyMs: number;
  warmUpMs: number;
  /** Peers beside those that take part and pass nothing on. */
  silent: number;
  seed: number;
}

export interface GossipOutcome {
  /** Copies sent for each that was the first of its message at its receiver. */
  transmissions: number;
  /** Of the receivers that there were, over all messages. */
  delivered: number;
  /** Ms, over all deliveries to peers that are not silent, in order. */
  latencies: number[];
  /** How often a message was passed on before it came, over the same deliveries. */
  hops: number[];
  degree: number;
}

/** The random graph that both worlds are made of: pairs of indices. */
export function randomGraph(peers: number, dials: number, random: SeededRandom): [number, number][] {
  const edges = new Map<string, [number, number]>();
  for (let from = 0; from < peers; from++)
    for (let dialled = 0; dialled < dials; ) {
      const to = Math.floor(random.unit() * peers);
      if (to === from) continue;
      edges.set(`${Math.min(from, to)} ${Math.max(from, to)}`, [from, to]);
      dialled++;
    }
  return [...edges.values()];
}

/** How deep each peer lies in the tree that a message made: by who was first to bring it to whom. */
export class Paths {
  readonly #parents = new Map<string, Map<string, string>>();

  first(message: string, to: string, from: string): void {
    const parents = this.#parents.get(message) ?? new Map<string, string>();
    this.#parents.set(message, parents);
    parents.set(to, from);
  }

  hops(message: string, of: string): number {
    const parents = this.#parents.get(message);
    let hops = 0;
    for (let at = parents?.get(of); at !== undefined && hops < 100; at = parents?.get(at)) hops++;
    return hops;
  }

  all(): [message: string, to: string][] {
    return [...this.#parents].flatMap(([message, parents]) => [...parents.keys()].map((to): [string, string] => [message, to]));
  }
}

export async function simulateGossip(workload: GossipWorkload): Promise<GossipOutcome> {
  const { peers, edges, link, params, messages, everyMs, warmUpMs, silent, seed } = workload;
  const scheduler = new Scheduler();
  const network = new Network(scheduler, new SeededRandom(seed, 'network'), new Trace(), params);
  network.link = link;
  const random = new SeededRandom(seed, 'workload');
  const all = Array.from({ length: peers + silent }, (_, index) => new SimulatedTransport(`peer-${index}`, network, NO_PORTS));
  const honest = new Set(all.slice(0, peers).map(({ self }) => self));
  for (const { self } of all) if (!honest.has(self)) network.gossip.silent.add(self);
  const bornMs = new Map<string, number>();
  const paths = new Paths();
  const latencies: number[] = [];
  const decoder = new TextDecoder();
  for (const transport of all)
    await transport.start(
      { topics: [TOPIC], messages: [], requests: [] },
      {
        broadcast: (_topic, from, bytes) => {
          const message = decoder.decode(bytes.subarray(0, 12)).trim();
          const sentMs = bornMs.get(message);
          if (sentMs !== undefined && honest.has(transport.self)) {
            paths.first(message, transport.self, from);
            latencies.push(scheduler.nowMs - sentMs);
          }
          return 'accept';
        },
        ...EVERYBODY_WELCOME,
        message: () => undefined,
        request: async () => new Uint8Array(),
        connected: () => undefined,
        disconnected: () => undefined,
        flooded: () => undefined,
        found: () => undefined,
      },
    );
  for (const [from, to] of edges) void all[from]?.dialPeer(all[to]?.self ?? '');
  const publish = (name: string): void => {
    const bytes = new TextEncoder().encode(name.padEnd(MESSAGE_BYTES));
    all[Math.floor(random.unit() * peers)]?.publish(TOPIC, bytes);
  };
  const run = (untilMs: number): Promise<void> => stepAll(() => scheduler.step(untilMs));
  await run(10_000);
  for (let atMs = 0; atMs < warmUpMs; atMs += everyMs) {
    publish(`w${atMs}`);
    await run(scheduler.nowMs + everyMs);
  }
  const before = { transmissions: network.gossip.transmissions, deliveries: network.gossip.deliveries };
  for (let index = 0; index < messages; index++) {
    bornMs.set(`m${index}`, scheduler.nowMs);
    publish(`m${index}`);
    await run(scheduler.nowMs + everyMs);
  }
  await run(scheduler.nowMs + 10_000);
  const degrees = network.gossip.degrees(TOPIC);
  return {
    transmissions: (network.gossip.transmissions - before.transmissions) / (network.gossip.deliveries - before.deliveries),
    delivered: latencies.length / (messages * (peers - 1)),
    latencies: latencies.sort((a, b) => a - b),
    hops: paths.all().map(([message, to]) => paths.hops(message, to)),
    degree: degrees.reduce((sum, degree) => sum + degree, 0) / degrees.length,
  };
}

export function shareBelow(sorted: readonly number[], limit: number): number {
  return sorted.filter((value) => value < limit).length / Math.max(1, sorted.length);
}
