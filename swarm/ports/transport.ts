// The network as a port: authenticated connections between peers, one-way messages, requests, and topics.

/** A libp2p peer id in base58: an Ed25519 public key. */
export type PeerId = string;

/** What a receiver thinks of a gossiped message. `reject` also lowers the sender's score. */
export type Verdict = 'accept' | 'ignore' | 'reject';

/** What a TCP connect to a port on a peer's host found. */
export type PortState = 'open' | 'refused' | 'silent';

/**
 * The result of a GET. `passed`: a status of 200 to 399. `failed`: another status, or no HTTP. `mute`: connected, but no status in time.
 * `refused`: nothing listens. `silent`: the host does not answer. `unknown`: this process lacks something, such as a descriptor.
 */
export type HttpState = 'passed' | 'failed' | 'mute' | 'refused' | 'silent' | 'unknown';

/** `down`: it is known to be, and was not asked. `refused`: the peer refuses to answer, or nobody listens where it was dialed. `denied`: one of the two did not let the other in. */
export type RequestFailure = 'unreachable' | 'down' | 'timeout' | 'refused' | 'denied' | 'too-large';

export class TransportError extends Error {
  readonly code: RequestFailure;
  constructor(code: RequestFailure, message: string) {
    super(message);
    this.code = code;
  }
}

/** What came of one message of the exchange that every connection begins with. */
export interface Admitted {
  admitted: boolean;
  /** What to say to the other side; undefined where nothing is left to be said. */
  answer: Uint8Array | undefined;
  /** Why not, in words. */
  reason: string;
}

/** Judges who is let in: three messages on every new connection, before any protocol, topic or stream. */
export interface Greeter {
  /** The dialer's first word. */
  hello(to: PeerId): Uint8Array;
  /** The listener's answer to it. */
  welcome(from: PeerId, hello: Uint8Array): Promise<Admitted>;
  /** The dialer's last word. */
  accept(from: PeerId, answer: Uint8Array): Promise<Admitted>;
  /** What the listener makes of that. */
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
  /** A peer asked too much of this agent, and is cut off for a while. */
  flooded(peer: PeerId, what: string): void;
  /** Something on the local network says that this peer is there: a hint, and no more. The address is without the peer id. */
  found(peer: PeerId, address: string): void;
}

export interface TransportNames {
  topics: readonly string[];
  /** Protocols of one-way messages. */
  messages: readonly string[];
  /** Protocols of request and response. */
  requests: readonly string[];
}

/** What was sent of one protocol since the start, without the headers of lower layers. */
export interface Traffic {
  bytes: number;
  writes: number;
}

export interface Transport {
  readonly self: PeerId;
  start(names: TransportNames, handlers: TransportHandlers): Promise<void>;
  stop(): Promise<void>;
  /** Queues a message to all subscribers of a topic; never throws, gossip is best effort. What is urgent goes to all who are connected at once, not to a few who pass it on. */
  publish(topic: string, bytes: Uint8Array, urgent?: boolean): void;
  /** Queues a one-way message; dropped when the peer cannot be reached or is too slow. */
  send(peer: PeerId, protocol: string, bytes: Uint8Array): void;
  /** @throws TransportError */
  request(peer: PeerId, protocol: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /** Connects by TCP to a port on the host where `peer` answered a dial, or is seen and says that it listens (elsewhere: `silent`); sends nothing. */
  probePort(peer: PeerId, port: number, timeoutMs: number): Promise<PortState>;
  /** Asks there for a path by HTTP, and looks at the status. */
  probeHttp(peer: PeerId, port: number, path: string, timeoutMs: number): Promise<HttpState>;
  /** By protocol; empty where it is not counted. */
  traffic(): ReadonlyMap<string, Traffic>;
  /** Closes whatever is open to a peer. */
  disconnect(peer: PeerId): void;
  connectedPeers(): PeerId[];
  /** Own addresses that a peer could dial, best first, with the peer id at the end. */
  addresses(): string[];
  /** Keys that keep noise away: the first to dial with, all of them understood. Nothing happens where it was started without any. */
  useNetworkKeys(keys: readonly Uint8Array[]): void;
  /** Asks who of the swarm is on the local network; answers come as `found`. */
  lookAround(): void;
  /** Connects to an address (a multiaddr with or without /p2p/…). @throws TransportError */
  dial(address: string): Promise<PeerId>;
  /** Connects to a peer by id, asking the DHT where no address is known. @throws TransportError */
  dialPeer(peer: PeerId, addressHint?: string): Promise<void>;
}
