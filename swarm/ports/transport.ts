// The network as a port: authenticated connections between peers, one-way messages, requests, and topics.

/** A libp2p peer id in base58: an Ed25519 public key. */
export type PeerId = string;

/** A receiver's verdict on a gossiped message. `reject` also lowers the sender's score. */
export type Verdict = 'accept' | 'ignore' | 'reject';

/** The result of a TCP connect to a port on a peer's host. */
export type PortState = 'open' | 'refused' | 'silent';

/**
 * The result of a GET. `passed`: a status of 200 to 399. `failed`: another status, or no HTTP. `mute`: connected, but no status in time.
 * `refused`: nothing listens. `silent`: the host does not answer. `unknown`: this process lacks something, such as a descriptor.
 */
export type HttpState = 'passed' | 'failed' | 'mute' | 'refused' | 'silent' | 'unknown';

/**
 * `down`: known to be down, and not asked. `refused`: the peer refuses to answer, or nothing listens at its address. `denied`: one of the two
 * did not admit the other.
 */
export type RequestFailure = 'unreachable' | 'down' | 'timeout' | 'refused' | 'denied' | 'too-large';

export class TransportError extends Error {
  readonly code: RequestFailure;
  constructor(code: RequestFailure, message: string) {
    super(message);
    this.code = code;
  }
}

/** The result of one message of the exchange that begins a connection. */
export interface Admitted {
  admitted: boolean;
  /** The next message to the other side; undefined if the exchange is over. */
  answer: Uint8Array | undefined;
  /** Why it is not admitted, in words. */
  reason: string;
}

/** Decides on admission: three messages on every new connection, before any protocol, topic or stream. */
export interface Greeter {
  /** The dialer's first message. */
  hello(to: PeerId): Uint8Array;
  /** The listener's answer to it. */
  welcome(from: PeerId, hello: Uint8Array): Promise<Admitted>;
  /** The dialer's last message. */
  accept(from: PeerId, answer: Uint8Array): Promise<Admitted>;
  /** The listener handles the dialer's last message. */
  settle(from: PeerId, answer: Uint8Array): Promise<Admitted>;
}

export interface TransportHandlers extends Greeter {
  /** A gossiped message; `from` is the neighbour that forwarded it, not its origin. */
  broadcast(topic: string, from: PeerId, bytes: Uint8Array): Verdict;
  /** A one-way message on a protocol. */
  message(protocol: string, from: PeerId, bytes: Uint8Array): void;
  /** A request; a rejection is sent back as `refused`. */
  request(protocol: string, from: PeerId, bytes: Uint8Array): Promise<Uint8Array>;
  connected(peer: PeerId): void;
  disconnected(peer: PeerId): void;
  /** A peer exceeded a limit of this agent, and is disconnected for some time. */
  flooded(peer: PeerId, what: string): void;
  /** A peer was announced on the local network: only a hint. The address is without the peer id. */
  found(peer: PeerId, address: string): void;
}

export interface TransportNames {
  topics: readonly string[];
  /** Protocols of one-way messages. */
  messages: readonly string[];
  /** Protocols of request and response. */
  requests: readonly string[];
}

/** What was sent with one protocol since the start, without the headers of lower layers. */
export interface Traffic {
  bytes: number;
  writes: number;
}

export interface Transport {
  readonly self: PeerId;
  start(names: TransportNames, handlers: TransportHandlers): Promise<void>;
  stop(): Promise<void>;
  /**
   * Queues a message to all subscribers of a topic; never throws, gossip is best effort. Urgent ones go directly to all connected peers, not to
   * a few that forward them.
   */
  publish(topic: string, bytes: Uint8Array, urgent?: boolean): void;
  /** Queues a one-way message; dropped when the peer cannot be reached or is too slow. */
  send(peer: PeerId, protocol: string, bytes: Uint8Array): void;
  /** @throws TransportError */
  request(peer: PeerId, protocol: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /** Connects by TCP to a port on the host where `peer` answered a dial, or is connected from and says that it listens (else: `silent`); sends nothing. */
  probePort(peer: PeerId, port: number, timeoutMs: number): Promise<PortState>;
  /** Sends a GET for a path there, and reads the status. */
  probeHttp(peer: PeerId, port: number, path: string, timeoutMs: number): Promise<HttpState>;
  /** By protocol; empty if it is not counted. */
  traffic(): ReadonlyMap<string, Traffic>;
  /** Closes all connections with a peer. */
  disconnect(peer: PeerId): void;
  connectedPeers(): PeerId[];
  /** Addresses of this agent that a peer could dial, the best first, with the peer id at the end. */
  addresses(): string[];
  /** Network keys: dials use the first, all are accepted. No effect if it was started without any. */
  useNetworkKeys(keys: readonly Uint8Array[]): void;
  /** Queries for members on the local network; answers come as `found`. */
  lookAround(): void;
  /** Connects to an address (a multiaddr with or without /p2p/…). @throws TransportError */
  dial(address: string): Promise<PeerId>;
  /** Connects to a peer by id; asks the DHT if no address is known. @throws TransportError */
  dialPeer(peer: PeerId, addressHint?: string): Promise<void>;
}
