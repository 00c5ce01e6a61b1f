// Real libp2p nodes on loopback, in this process: a random graph, messages from one after another, and what became of each copy.

import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import { multiaddr } from '@multiformats/multiaddr';
import { SeededRandom } from '../../sim/random.ts';
import { createHost, type Host } from '../../swarm/libp2p/host.ts';
import { Meter } from '../../swarm/libp2p/muxer.ts';
import { eventually } from './clock.ts';
import { makeIdentity } from './crypto.ts';
import { type GossipOutcome, Paths, randomGraph } from './gossip-world.ts';
import { EVERYBODY_WELCOME } from './welcome.ts';

const MESSAGE_BYTES = 250;
const EVERY_MS = 40;
const TOPIC = '/gossip/real';

interface RealWorkload {
  peers: number;
  /** Connections that each opens. */
  dials: number;
  messages: number;
  seed: number;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const meshOf = ({ pubsub }: Host['services']): string[] =>
  (pubsub as unknown as { getMeshPeers(topic: string): string[] }).getMeshPeers(TOPIC);

/** With the connections that there were: the DHT makes some of its own. */
export async function realGossip({
  peers,
  dials,
  messages,
  seed,
}: RealWorkload): Promise<GossipOutcome & { edges: [number, number][] }> {
  const hosts: Host[] = [];
  const bornMs = new Map<string, number>();
  const paths = new Paths();
  const latencies: number[] = [];
  let copies = 0;
  for (let index = 0; index < peers; index++) {
    const { privateKey } = await makeIdentity();
    const listen = ['/ip4/127.0.0.1/tcp/0'];
    const host = await createHost({
      privateKey,
      listen,
      announce: [],
      swarmId: '0'.repeat(32),
      keyring: undefined,
      greeter: EVERYBODY_WELCOME,
      meter: new Meter(),
      topics: [TOPIC],
      dhtProtocol: '/c/kad',
      found: undefined,
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
    for (const [from, to] of randomGraph(peers, dials, new SeededRandom(seed, 'graph')))
      await hosts[from]?.dial(multiaddr(hosts[to]?.getMultiaddrs()[0]?.toString() ?? ''));
    await eventually('every mesh to form', () =>
      hosts.every(({ services }) => meshOf(services).length >= 2) ? true : undefined,
    );
    await pause(2_500); // heartbeats, so that the meshes settle
    copies = 0;
    for (let index = 0; index < messages; index++) {
      const name = `m${index}`;
      bornMs.set(name, performance.now());
      await hosts[index % peers]?.services.pubsub.publish(TOPIC, new TextEncoder().encode(name.padEnd(MESSAGE_BYTES)));
      await pause(EVERY_MS);
    }
    await pause(1_000);
    const degree = hosts.reduce((sum, { services }) => sum + meshOf(services).length, 0) / peers;
    const hops = paths.all().map(([message, to]) => paths.hops(message, to));
    const delivered = latencies.length / (messages * (peers - 1));
    const ids = hosts.map(({ peerId }) => peerId.toString());
    const edges = hosts.flatMap((host, from) =>
      host.getPeers().flatMap((peer): [number, number][] => {
        const to = ids.indexOf(peer.toString());
        return to > from ? [[from, to]] : [];
      }),
    );
    return { edges, transmissions: copies / latencies.length, delivered, latencies, hops, degree };
  } finally {
    await Promise.all(hosts.map((host) => host.stop()));
  }
}
