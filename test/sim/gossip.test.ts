// The model of gossipsub beside the real one: the same random graph, the same settings, and how often messages are sent, how far
// they go, and how long they take.
import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import { multiaddr } from '@multiformats/multiaddr';
import { describe, expect, it } from 'vitest';
import { GOSSIP_DEFAULTS } from '../../sim/network/gossip.ts';
import { LAN } from '../../sim/network/links.ts';
import { SeededRandom } from '../../sim/random.ts';
import { createHost, type Host } from '../../swarm/libp2p/host.ts';
import { eventually } from '../support/clock.ts';
import { makeIdentity } from '../support/crypto.ts';
import { type GossipOutcome, Paths, randomGraph, simulateGossip } from '../support/gossip-world.ts';

const PEERS = 24;
const DIALS = 5;
const MESSAGES = 60;
const MESSAGE_BYTES = 250;
const TOPIC = '/gossip/real';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

const meshOf = ({ pubsub }: Host['services']): string[] =>
  (pubsub as unknown as { getMeshPeers(topic: string): string[] }).getMeshPeers(TOPIC);

/** With the connections that there were: the DHT makes some of its own. */
async function realGossip(seed: number): Promise<GossipOutcome & { edges: [number, number][] }> {
  const hosts: Host[] = [];
  const bornMs = new Map<string, number>();
  const paths = new Paths();
  const latencies: number[] = [];
  let copies = 0;
  for (let index = 0; index < PEERS; index++) {
    const { privateKey } = await makeIdentity();
    const listen = ['/ip4/127.0.0.1/tcp/0'];
    const host = await createHost({
      privateKey,
      listen,
      announce: [],
      secret: 'calibration',
      topics: [TOPIC],
      dhtProtocol: '/c/kad',
    });
    const { pubsub } = host.services;
    pubsub.topicValidators.set(TOPIC, (from, { data }) => {
      const message = new TextDecoder().decode(data.subarray(0, 12)).trim();
      paths.first(message, host.peerId.toString(), from.toString());
      latencies.push(performance.now() - (bornMs.get(message) ?? Number.NaN));
      return TopicValidatorResult.Accept;
    });
    // Every copy passes here, the first ones and the others.
    const inner = pubsub as unknown as { handleReceivedRpc(from: unknown, rpc: { messages?: unknown[] }): Promise<void> };
    const handle = inner.handleReceivedRpc.bind(pubsub);
    inner.handleReceivedRpc = (from, rpc) => {
      copies += rpc.messages?.length ?? 0;
      return handle(from, rpc);
    };
    pubsub.subscribe(TOPIC);
    hosts.push(host);
  }
  try {
    for (const [from, to] of randomGraph(PEERS, DIALS, new SeededRandom(seed, 'graph')))
      await hosts[from]?.dial(multiaddr(hosts[to]?.getMultiaddrs()[0]?.toString() ?? ''));
    await eventually('every mesh to form', () =>
      hosts.every(({ services }) => meshOf(services).length >= 2) ? true : undefined,
    );
    await pause(2_500); // heartbeats, so that the meshes settle
    copies = 0;
    for (let index = 0; index < MESSAGES; index++) {
      const name = `m${index}`;
      bornMs.set(name, performance.now());
      await hosts[index % PEERS]?.services.pubsub.publish(TOPIC, new TextEncoder().encode(name.padEnd(MESSAGE_BYTES)));
      await pause(40);
    }
    await pause(1_000);
    const degree = mean(hosts.map(({ services }) => meshOf(services).length));
    const hops = paths.all().map(([message, to]) => paths.hops(message, to));
    const delivered = latencies.length / (MESSAGES * (PEERS - 1));
    const peers = hosts.map(({ peerId }) => peerId.toString());
    const edges = hosts.flatMap((host, from) =>
      host.getPeers().flatMap((peer): [number, number][] => {
        const to = peers.indexOf(peer.toString());
        return to > from ? [[from, to]] : [];
      }),
    );
    return { edges, transmissions: copies / latencies.length, delivered, latencies, hops, degree };
  } finally {
    await Promise.all(hosts.map((host) => host.stop()));
  }
}

describe('the model of gossipsub', () => {
  it(`sends as many copies over as many hops as ${PEERS} real libp2p nodes do`, { timeout: 60_000 }, async () => {
    const real = await realGossip(1);
    // On loopback a hop takes what the process takes for it: that is measured, and the model is given it.
    const hopMs = median(real.latencies) / median(real.hops);
    const link = { ...LAN, latencyMs: hopMs * 0.75, jitterMs: hopMs * 0.5 };
    const workload = { peers: PEERS, edges: real.edges, link, params: GOSSIP_DEFAULTS, messages: MESSAGES, silent: 0 };
    const model = await simulateGossip({ ...workload, everyMs: 40, warmUpMs: 0, seed: 1 });
    const row = (name: string, { transmissions, hops, latencies, degree }: GossipOutcome): string =>
      `${name}: ${transmissions.toFixed(2)} copies a delivery, mesh of ${degree.toFixed(2)}, ${mean(hops).toFixed(2)} hops, ` +
      `${[0.1, 0.5, 0.9].map((share) => (latencies.toSorted((a, b) => a - b)[Math.floor(share * latencies.length)] ?? 0).toFixed(1)).join(' / ')} ms`;
    console.info(`${real.edges.length} connections\n${row('real ', real)}\n${row('model', model)}`);
    expect(real.delivered).toBe(1);
    expect(model.delivered).toBe(1);
    expect(model.degree).toBeGreaterThan(real.degree * 0.75);
    expect(model.degree).toBeLessThan(real.degree * 1.25);
    expect(model.transmissions).toBeGreaterThan(real.transmissions * 0.75);
    expect(model.transmissions).toBeLessThan(real.transmissions * 1.25);
    expect(mean(model.hops)).toBeGreaterThan(mean(real.hops) * 0.75);
    expect(mean(model.hops)).toBeLessThan(mean(real.hops) * 1.25);
  });
});
