// The network as a port: authenticated connections between peers, one-way messages, requests, and topics.

/** A libp2p peer id in base58: an Ed25519 public key. */
export type PeerId = string;

/** What a receiver thinks of a gossiped message. `reject` also lowers the sender's score. */
export type Verdict = 'accept' | 'ignore' | 'reject';

/** What a TCP connect to a port on a peer's host found. */
export type PortState = 'open' | 'refused' | 'silent';

export type RequestFailure = 'unreachable' | 'timeout' | 'refused' | 'too-large';

export class TransportError extends Error {
  readonly code: RequestFailure;
  constructor(code: RequestFailure, message: string) {
    super(message);
    this.code = code;
  }
}

export interface TransportHandlers {
  /** A gossiped message; `from` is the neighbour that forwarded it, not its origin. */
  broadcast(topic: string, from: PeerId, bytes: Uint8Array): Verdict;
  /** A one-way message on a protocol. */
  message(protocol: string, from: PeerId, bytes: Uint8Array): void;
  /** A request; a rejection is sent back as `refused`. */
  request(protocol: string, from: PeerId, bytes: Uint8Array): Promise<Uint8Array>;
  connected(peer: PeerId): void;
  disconnected(peer: PeerId): void;
}

export interface TransportNames {
  topics: readonly string[];
  /** Protocols of one-way messages. */
  messages: readonly string[];
  /** Protocols of request and response. */
  requests: readonly string[];
}

export interface Transport {
  readonly self: PeerId;
  start(names: TransportNames, handlers: TransportHandlers): Promise<void>;
  stop(): Promise<void>;
  /** Queues a message to all subscribers of a topic; never throws, gossip is best effort. */
  publish(topic: string, bytes: Uint8Array): void;
  /** Queues a one-way message; dropped when the peer cannot be reached or is too slow. */
  send(peer: PeerId, protocol: string, bytes: Uint8Array): void;
  /** @throws TransportError */
  request(peer: PeerId, protocol: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /** Connects by TCP to a port on the host where `peer` is seen; sends nothing. */
  probePort(peer: PeerId, port: number, timeoutMs: number): Promise<PortState>;
  connectedPeers(): PeerId[];
  /** Own addresses that a peer could dial, best first, with the peer id at the end. */
  addresses(): string[];
  /** Connects to an address (a multiaddr with or without /p2p/…). @throws TransportError */
  dial(address: string): Promise<PeerId>;
  /** Connects to a peer by id, asking the DHT where no address is known. @throws TransportError */
  dialPeer(peer: PeerId, addressHint?: string): Promise<void>;
}
