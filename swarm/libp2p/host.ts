// How a libp2p host is set up for KALOS: tcp, noise, yamux, identify, gossipsub, kad-dht, and limits on everything.
// Admission is decided while a connection is secured (greeting.ts); an optional network key protects even the noise handshake.
import { createHash } from 'node:crypto';
import { type GossipSub, gossipsub } from '@chainsafe/libp2p-gossipsub';
import { createTopicScoreParams } from '@chainsafe/libp2p-gossipsub/score';
import { yamux } from '@chainsafe/libp2p-yamux';
import { type Identify, identify } from '@libp2p/identify';
import type { Ed25519PrivateKey, Libp2p } from '@libp2p/interface';
import { type KadDHT, kadDHT, passthroughMapper } from '@libp2p/kad-dht';
import { type Ping, ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { createLibp2p } from 'libp2p';
import { MAX_ENVELOPE_BYTES } from '../dissemination/envelope.ts';
import type { Greeter } from '../ports/transport.ts';
import { corked } from './corked.ts';
import { GREETINGS, GreetingEncrypter } from './greeting.ts';
import type { Keyring } from './keyring.ts';
import { LocalNetwork } from './local-network.ts';
import type { Meter } from './muxer.ts';

export type HostServices = { identify: Identify; ping: Ping; dht: KadDHT; pubsub: GossipSub; local?: LocalNetwork } & Record<
  string,
  unknown
>;
export type Host = Libp2p<HostServices>;

export interface HostOptions {
  privateKey: Ed25519PrivateKey;
  /** Multiaddrs to listen on. */
  listen: readonly string[];
  /** Multiaddrs to announce, if they differ from those listened on. */
  announce: readonly string[];
  swarmId: string;
  /** Undefined if the swarm has no network key. */
  keyring: Keyring | undefined;
  greeter: Greeter;
  topics: readonly string[];
  dhtProtocol: string;
  meter: Meter;
  /** Called for members that are found on the local network; undefined: no local discovery. */
  found: ((peer: string, address: string) => void) | undefined;
}

const MAX_CONNECTIONS = 400;
/** New connections a second from one address: a whole swarm may be behind one. */
const INBOUND_PER_ADDRESS_PER_S = 50;
/** A peer that stalls a handshake occupies one of these until the upgrade times out. */
const MAX_PENDING_INBOUND = 256;
const UPGRADE_TIMEOUT_MS = 5_000;
const DIAL_TIMEOUT_MS = 4_000;
/** Duplicates cost bytes and CPU: few eager links, one lazy one, and our own pulls for repair. Urgent messages go to all connected peers. */
const GOSSIP_DEGREE = { D: 2, Dlo: 2, Dhi: 4, Dscore: 1, Dout: 1, Dlazy: 1, gossipFactor: 0, floodPublish: false };
const GOSSIP_HEARTBEAT_MS = 2_000;
/** Heartbeats in which a message is announced to others. */
const GOSSIP_HISTORY = 2;
/** First deliveries raise a peer's score, and invalid messages lower it much. Few deliveries do not lower it: a calm swarm sends little. */
const TOPIC_SCORE = {
  topicWeight: 1,
  timeInMeshWeight: 0,
  firstMessageDeliveriesWeight: 1,
  firstMessageDeliveriesCap: 50,
  firstMessageDeliveriesDecay: 0.98,
  meshMessageDeliveriesWeight: 0,
  meshFailurePenaltyWeight: 0,
  invalidMessageDeliveriesWeight: -10,
  invalidMessageDeliveriesDecay: 0.98,
};
const MESSAGE_ID_BYTES = 12;
const NEVER_MS = 2 ** 31 - 1;
const MAX_GOSSIP_BUFFER_BYTES = 4 * 1024 * 1024;

/** FNV-1a over the data: cheap, so that duplicates are recognised before anything is hashed or checked. */
function fastMessageId({ data }: { data?: Uint8Array }): string {
  let a = 0x811c9dc5;
  let b = 0x1b873593;
  for (const byte of data ?? []) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x85ebca6b);
  }
  return `${data?.length ?? 0}.${a >>> 0}.${b >>> 0}`;
}

/** The message id in IHAVE and IWANT: the start of a hash of the content. A collision would take 2^48 tries, and suppress one delivery. */
function messageId({ data }: { data?: Uint8Array }): Uint8Array {
  return createHash('sha256')
    .update(data ?? new Uint8Array())
    .digest()
    .subarray(0, MESSAGE_ID_BYTES);
}

function gossip(topics: readonly string[]) {
  return gossipsub({
    ...GOSSIP_DEGREE,
    heartbeatInterval: GOSSIP_HEARTBEAT_MS,
    mcacheGossip: GOSSIP_HISTORY,
    globalSignaturePolicy: 'StrictNoSign', // the envelope inside is signed by its origin
    fastMsgIdFn: fastMessageId,
    msgIdFn: messageId,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    fallbackToFloodsub: false,
    doPX: false,
    emitSelf: false,
    awaitRpcHandler: true, // one after another, so that pauses in between slow down a peer that sends too much
    allowedTopics: [...topics],
    maxInboundDataLength: MAX_ENVELOPE_BYTES * 4,
    maxOutboundBufferSize: MAX_GOSSIP_BUFFER_BYTES,
    maxInboundStreams: 2,
    maxOutboundStreams: 2,
    decodeRpcLimits: {
      maxSubscriptions: 16,
      maxMessages: 128,
      maxIhaveMessageIDs: 512,
      maxIwantMessageIDs: 512,
      maxControlMessages: 64,
      maxIdontwantMessageIDs: 512,
      maxPeerInfos: 0,
    },
    // Many agents behind one address are normal here, not a sign of Sybils.
    scoreParams: {
      topics: Object.fromEntries(topics.map((topic) => [topic, createTopicScoreParams(TOPIC_SCORE)])),
      IPColocationFactorWeight: 0,
      behaviourPenaltyWeight: -1,
      behaviourPenaltyThreshold: 6,
      behaviourPenaltyDecay: 0.9,
    },
    scoreThresholds: {
      gossipThreshold: -20,
      publishThreshold: -50,
      graylistThreshold: -100,
      acceptPXThreshold: 100,
      opportunisticGraftThreshold: 1,
    },
  });
}

export async function createHost(options: HostOptions): Promise<Host> {
  const { found, swarmId, keyring } = options;
  return createLibp2p<HostServices>({
    nodeInfo: { name: 'kalos', version: '0.4.0' },
    privateKey: options.privateKey,
    addresses: { listen: [...options.listen], announce: [...options.announce] },
    transports: [corked(tcp())],
    connectionEncrypters: GREETINGS.map(
      (version) => (components) => new GreetingEncrypter(components as never, swarmId, options.greeter, version),
    ),
    streamMuxers: [options.meter.around(yamux({ enableKeepAlive: false }))],
    ...(keyring === undefined ? {} : { connectionProtector: () => keyring }),
    connectionMonitor: { enabled: false }, // membership tracks liveness; pings would cost traffic
    connectionManager: {
      maxConnections: MAX_CONNECTIONS,
      inboundConnectionThreshold: INBOUND_PER_ADDRESS_PER_S,
      maxIncomingPendingConnections: MAX_PENDING_INBOUND,
      inboundUpgradeTimeout: UPGRADE_TIMEOUT_MS,
      dialTimeout: DIAL_TIMEOUT_MS,
      reconnectRetries: 0, // the agent redials
    },
    services: {
      identify: identify(),
      ping: ping(),
      // Swarms use private addresses: the mapper keeps them.
      dht: kadDHT({
        protocol: options.dhtProtocol,
        clientMode: false,
        peerInfoMapper: passthroughMapper,
        allowQueryWithZeroPeers: true,
        // Queries for the own id dial the peers that they find. Here all connected peers are in the table anyway.
        querySelfInterval: NEVER_MS,
        initialQuerySelfInterval: 1,
      }),
      pubsub: gossip(options.topics),
      ...(found === undefined ? {} : { local: (components) => new LocalNetwork(components as never, { swarmId, found }) }),
    },
  });
}
