// The Transport port on libp2p: one-way messages over one long-lived stream a peer and protocol (send-queues.ts), requests over a stream
// each, topics over gossipsub with our verdict before a message is forwarded.
import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { Connection, Ed25519PrivateKey, PeerId as Libp2pPeerId, Stream } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { lpStream } from '@libp2p/utils';
import { multiaddr } from '@multiformats/multiaddr';
import { probeHttp } from '../adapters/http-probe.ts';
import { probeTcp } from '../adapters/tcp-probe.ts';
import {
  type Greeter,
  type HttpState,
  type PeerId,
  type PortState,
  type Traffic,
  type Transport,
  TransportError,
  type TransportHandlers,
  type TransportNames,
  type Verdict,
} from '../ports/transport.ts';
import { Budgets } from './budgets.ts';
import { DENIED } from './greeting.ts';
import { createHost, type Host } from './host.ts';
import { Keyring } from './keyring.ts';
import { ListenAddresses } from './listen-addresses.ts';
import { Meter } from './muxer.ts';
import { Pacer } from './pacer.ts';
import { SendQueues } from './send-queues.ts';

export interface Libp2pTransportOptions {
  self: PeerId;
  privateKey: Ed25519PrivateKey;
  listen: readonly string[];
  announce: readonly string[];
  swarmId: string;
  /** 32 bytes each, the newest first; none if the swarm has no network key. */
  networkKeys: readonly Uint8Array[];
  dhtProtocol: string;
  /** Whether members on the local network find each other. */
  localDiscovery: boolean;
}

const MAX_MESSAGE_BYTES = 64 * 1024;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_STREAMS_PER_PEER = 64;
const STREAM_OPEN_TIMEOUT_MS = 4_000;
/** A handler that takes longer has its stream aborted. */
const ANSWER_TIMEOUT_MS = 15_000;
const DIAL_TIMEOUT_MS = 5_000;
const FIND_PEER_TIMEOUT_MS = 5_000;

/** An invalid message costs as much as this many valid ones: no honest peer forwards it. */
const INVALID_COST = 100;

const VERDICTS: Record<Verdict, TopicValidatorResult> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject,
};

/** gossipsub accepts this option for one message; its published type does not have it. */
interface PublishesAsAsked {
  publish(topic: string, data: Uint8Array, options: { floodPublish: boolean }): Promise<unknown>;
}

/** gossipsub's handler of all that comes from a peer. */
interface HandlesRpcs {
  handleReceivedRpc(from: Libp2pPeerId, rpc: { messages?: unknown[] }): Promise<void>;
}

export class Libp2pTransport implements Transport {
  readonly self: PeerId;
  readonly #options: Libp2pTransportOptions;
  readonly #queues = new SendQueues((peer, protocol) => this.#openConnected(peer, protocol));
  readonly #meter = new Meter();
  readonly #keyring: Keyring | undefined;
  #budgets = new Budgets(
    () => performance.now(),
    () => undefined,
  );
  readonly #pacer = new Pacer();
  readonly #listening = new ListenAddresses();
  #started: Host | undefined;

  constructor(options: Libp2pTransportOptions) {
    this.self = options.self;
    this.#options = options;
    this.#keyring = options.networkKeys.length === 0 ? undefined : new Keyring(options.networkKeys);
  }

  get #host(): Host {
    if (this.#started === undefined) throw new Error('the transport is not started');
    return this.#started;
  }

  async start(names: TransportNames, handlers: TransportHandlers): Promise<void> {
    this.#budgets = new Budgets(
      () => performance.now(),
      (peer, kind) => {
        handlers.flooded(peer, kind);
        this.#cutOff(peer, `too many ${kind}`);
      },
    );
    const host = await createHost({
      ...this.#options,
      topics: names.topics,
      greeter: this.#greeter(handlers),
      meter: this.#meter,
      keyring: this.#keyring,
      found: this.#options.localDiscovery ? (peer, address) => handlers.found(peer, address) : undefined,
    });
    this.#started = host;
    const limits = { maxInboundStreams: MAX_STREAMS_PER_PEER, maxOutboundStreams: MAX_STREAMS_PER_PEER };
    for (const protocol of names.messages) {
      await host.handle(protocol, (stream, connection) => this.#readMessages(stream, connection, protocol, handlers), limits);
    }
    for (const protocol of names.requests) {
      await host.handle(protocol, (stream, connection) => this.#answer(stream, connection, protocol, handlers), limits);
    }
    this.#guard(host);
    host.addEventListener('peer:connect', ({ detail }) => handlers.connected(detail.toString()));
    host.addEventListener('peer:identify', ({ detail: { peerId, listenAddrs } }) => {
      if (host.getConnections(peerId).length > 0) this.#listening.identified(peerId.toString(), listenAddrs);
    });
    host.addEventListener('peer:disconnect', ({ detail }) => this.#disconnected(detail.toString(), handlers));
    for (const topic of names.topics) {
      host.services.pubsub.subscribe(topic);
      host.services.pubsub.topicValidators.set(topic, (from, message) => {
        const verdict = handlers.broadcast(topic, from.toString(), message.data);
        if (verdict === 'reject') this.#budgets.spend(from.toString(), 'gossip', INVALID_COST);
        return VERDICTS[verdict];
      });
    }
  }

  /** A peer that exceeded its budget is not admitted for some time, whatever certificate it has. */
  #greeter(handlers: TransportHandlers): Greeter {
    return {
      hello: (to) => handlers.hello(to),
      welcome: async (from, hello) =>
        this.#budgets.isBarred(from)
          ? { admitted: false, answer: undefined, reason: 'it exceeded this agent’s request limit' }
          : handlers.welcome(from, hello),
      accept: (from, answer) => handlers.accept(from, answer),
      settle: (from, answer) => handlers.settle(from, answer),
    };
  }

  /** Limits gossip to a budget, with pauses for other work; a peer that floods a connection is barred. */
  #guard(host: Host): void {
    const gossip = host.services.pubsub as unknown as HandlesRpcs;
    const handle = gossip.handleReceivedRpc.bind(gossip);
    gossip.handleReceivedRpc = async (from, rpc) => {
      if (!this.#budgets.spend(from.toString(), 'gossip', 1 + (rpc.messages?.length ?? 0))) return;
      await handle(from, rpc);
      await this.#pacer.pause();
    };
    this.#meter.onFlood = (peer, kind) => this.#budgets.bar(peer, kind);
  }

  async stop(): Promise<void> {
    const host = this.#started;
    this.#started = undefined;
    await host?.stop();
  }

  #disconnected(peer: PeerId, handlers: TransportHandlers): void {
    this.#budgets.forget(peer);
    this.#listening.forget(peer);
    this.#queues.forget(peer);
    handlers.disconnected(peer);
  }

  publish(topic: string, bytes: Uint8Array, urgent = false): void {
    const pubsub = this.#started?.services.pubsub as PublishesAsAsked | undefined;
    pubsub?.publish(topic, bytes, { floodPublish: urgent }).catch(() => undefined); // best effort: pulls repair losses
  }

  // One-way messages

  send(peer: PeerId, protocol: string, bytes: Uint8Array): void {
    this.#queues.send(peer, protocol, bytes);
  }

  /** A stream to a peer that is connected already: messages never dial. */
  async #openConnected(peer: PeerId, protocol: string, within?: AbortSignal): Promise<Stream> {
    const [connection] = this.#connectionsWith(peer);
    if (connection === undefined) throw new TransportError('unreachable', `not connected to ${peer}`);
    return connection.newStream(protocol, {
      signal: AbortSignal.any([AbortSignal.timeout(STREAM_OPEN_TIMEOUT_MS), ...(within === undefined ? [] : [within])]),
      maxOutboundStreams: MAX_STREAMS_PER_PEER,
    });
  }

  async #readMessages(stream: Stream, connection: Connection, protocol: string, handlers: TransportHandlers): Promise<void> {
    const from = connection.remotePeer.toString();
    const reader = lpStream(stream, { maxDataLength: MAX_MESSAGE_BYTES });
    try {
      for (;;) {
        const message = (await reader.read()).subarray();
        if (!this.#budgets.spend(from, 'messages')) return;
        handlers.message(protocol, from, message);
        await this.#pacer.pause();
      }
    } catch (error) {
      stream.abort(error as Error); // the stream ended, or the sender broke the framing
    }
  }

  // Requests

  async request(peer: PeerId, protocol: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs)));
    let stream: Stream | undefined;
    try {
      stream = await this.#openConnected(peer, protocol, signal);
      const exchange = lpStream(stream, { maxDataLength: MAX_ANSWER_BYTES });
      await exchange.write(bytes, { signal });
      const answer = (await exchange.read({ signal })).subarray();
      const refused = (await exchange.read({ signal })).subarray()[0] !== 1;
      void stream.close().catch(() => undefined);
      if (refused) throw new TransportError('refused', new TextDecoder().decode(answer));
      return answer;
    } catch (error) {
      stream?.abort(error as Error);
      if (error instanceof TransportError) throw error;
      const reason = error as Error;
      if (signal.aborted) throw new TransportError('timeout', `no answer in ${timeoutMs} ms`);
      if (reason.name === 'InvalidDataLengthError') throw new TransportError('too-large', reason.message);
      throw new TransportError('unreachable', reason.message);
    }
  }

  /** One request, one answer, then one byte: 1 for an answer, 0 for a refusal. */
  async #answer(stream: Stream, connection: Connection, protocol: string, handlers: TransportHandlers): Promise<void> {
    if (!this.#budgets.spend(connection.remotePeer.toString(), 'requests')) return stream.abort(new Error('too many requests'));
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    const exchange = lpStream(stream, { maxDataLength: MAX_MESSAGE_BYTES });
    try {
      const body = (await exchange.read({ signal })).subarray();
      const answered = await handlers.request(protocol, connection.remotePeer.toString(), body).then(
        (answer) => ({ answer, ok: 1 }),
        (error: unknown) => ({ answer: new TextEncoder().encode(String((error as Error).message)), ok: 0 }),
      );
      await exchange.write(answered.answer, { signal });
      await exchange.write(Uint8Array.of(answered.ok), { signal });
      await stream.close({ signal });
    } catch (error) {
      stream.abort(error as Error);
    }
  }

  // Probes, dials and addresses

  probePort(peer: PeerId, port: number, timeoutMs: number): Promise<PortState> {
    const host = this.#listening.hostOf(peer, this.#connectionsWith(peer));
    return host === undefined ? Promise.resolve('silent') : probeTcp(host, port, timeoutMs);
  }

  probeHttp(peer: PeerId, port: number, path: string, timeoutMs: number): Promise<HttpState> {
    const host = this.#listening.hostOf(peer, this.#connectionsWith(peer));
    return host === undefined ? Promise.resolve('silent') : probeHttp(host, port, path, timeoutMs);
  }

  traffic(): ReadonlyMap<string, Traffic> {
    return this.#meter.read();
  }

  disconnect(peer: PeerId): void {
    this.#cutOff(peer, 'no longer a member');
  }

  #cutOff(peer: PeerId, reason: string): void {
    for (const connection of this.#connectionsWith(peer)) connection.abort(new Error(reason));
  }

  #connectionsWith(peer: PeerId): Connection[] {
    return this.#started?.getConnections(peerIdFromString(peer)) ?? [];
  }

  connectedPeers(): PeerId[] {
    return this.#started?.getPeers().map((peer) => peer.toString()) ?? [];
  }

  addresses(): string[] {
    const addresses = this.#started?.getMultiaddrs().map((address) => address.toString()) ?? [];
    const isLoopback = (address: string): number => (address.includes('/127.') || address.includes('/::1/') ? 1 : 0);
    return addresses.sort((a, b) => isLoopback(a) - isLoopback(b));
  }

  useNetworkKeys(keys: readonly Uint8Array[]): void {
    this.#keyring?.use(keys);
  }

  lookAround(): void {
    this.#started?.services.local?.ask();
  }

  async dial(address: string): Promise<PeerId> {
    try {
      const connection = await this.#host.dial(multiaddr(address), { signal: AbortSignal.timeout(DIAL_TIMEOUT_MS) });
      return connection.remotePeer.toString();
    } catch (error) {
      throw dialFailure(error as Error);
    }
  }

  async dialPeer(peer: PeerId, addressHint?: string): Promise<void> {
    const id = peerIdFromString(peer);
    if (this.#host.getConnections(id).length > 0) return;
    if (addressHint !== undefined && addressHint !== '') {
      await this.dial(`${addressHint}/p2p/${peer}`);
      return;
    }
    await this.#dialByDht(id);
  }

  async #dialByDht(id: Libp2pPeerId): Promise<void> {
    try {
      const { multiaddrs } = await this.#host.peerRouting.findPeer(id, { signal: AbortSignal.timeout(FIND_PEER_TIMEOUT_MS) });
      await this.#host.dial(multiaddrs, { signal: AbortSignal.timeout(DIAL_TIMEOUT_MS) });
    } catch (error) {
      throw dialFailure(error as Error);
    }
  }
}

/** Why a dial failed: the texts of the errors of all attempts, and their kind. */
function dialFailure(error: Error): TransportError {
  const causes = error instanceof AggregateError ? error.errors.map((one: Error) => one.message) : [error.message];
  const text = [...new Set(causes)].join('; ');
  const denied = causes.find((cause) => cause.includes(DENIED));
  if (denied !== undefined) return new TransportError('denied', denied.slice(denied.indexOf(DENIED) + DENIED.length));
  if (causes.every((cause) => cause.includes('ECONNREFUSED')))
    return new TransportError('refused', 'connection refused: nothing listens there');
  if (/protocol selection|unsupported protocol/i.test(text))
    return new TransportError('denied', `it has another swarm or KALOS version (${text})`);
  if (/pre-shared|nonce|psk|EOF|unexpected end|reset|closed/i.test(text))
    return new TransportError('unreachable', `${text} (another swarm, or another network key?)`);
  return new TransportError('unreachable', text);
}
