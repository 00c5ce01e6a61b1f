// A Byzantine member: the agent itself is honest, and its messages are changed on their way out and in. It has only its own key: it cannot
// forge what it cannot sign.
import { decodeVoteMessage, encodeVoteMessage, type Vote, voteBytes } from '../consensus/vote/claim.ts';
import { encodeCbor } from '../swarm/dissemination/cbor.ts';
import { parseEnvelope, sealEnvelope } from '../swarm/dissemination/envelope.ts';
import { swarmNames } from '../swarm/names.ts';
import type { Clock } from '../swarm/ports/clock.ts';
import type { Crypto } from '../swarm/ports/crypto.ts';
import type {
  HttpState,
  PeerId,
  PortState,
  Traffic,
  Transport,
  TransportHandlers,
  TransportNames,
} from '../swarm/ports/transport.ts';
import { decodeStatus, encodeStatus, STATUS_CONDITIONS, type Status } from '../swarm/state/status.ts';

export const LIES = ['telemetry', 'votes', 'equivocate', 'replay', 'forge', 'flood', 'nag', 'withhold'] as const;
export type Lie = (typeof LIES)[number];

const REPLAY_EVERY_MS = 1_000;
const MAX_HEARD = 64;
/** Messages a second of a member that floods. */
const FLOOD_PER_S = 20;
const JUNK_BYTES = 200;
const FORGED_AHEAD = 1_000;
const NAG_AFTER_MS = 4_000;

export class LyingTransport implements Transport {
  readonly #inner: Transport;
  readonly #crypto: Crypto;
  readonly #clock: Clock;
  readonly #swarmId: string;
  readonly #lies: ReadonlySet<Lie>;
  readonly #heard: Uint8Array[] = [];
  #turn = 0;

  constructor(inner: Transport, crypto: Crypto, clock: Clock, swarmId: string, lies: Iterable<Lie>) {
    this.#inner = inner;
    this.#crypto = crypto;
    this.#clock = clock;
    this.#swarmId = swarmId;
    this.#lies = new Set(lies);
  }

  get self(): PeerId {
    return this.#inner.self;
  }

  async start(names: TransportNames, handlers: TransportHandlers): Promise<void> {
    const sync = swarmNames(this.#swarmId).protocol('sync');
    await this.#inner.start(names, {
      ...bound(handlers),
      broadcast: (topic, from, bytes) => {
        this.#heard.push(bytes);
        if (this.#heard.length > MAX_HEARD) this.#heard.shift();
        return handlers.broadcast(topic, from, bytes);
      },
      // A pull gets the answer that nothing is missing.
      request: async (name, from, bytes) =>
        this.#lies.has('withhold') && name === sync ? encodeCbor([[], [], false]) : handlers.request(name, from, bytes),
    });
    const topic = names.topics[0] ?? '';
    if (this.#lies.has('replay') || this.#lies.has('forge')) this.#every(REPLAY_EVERY_MS, () => this.#bother(topic));
    if (this.#lies.has('flood')) this.#every(1_000 / FLOOD_PER_S, () => this.#inner.publish(topic, this.#junk()));
  }

  #every(ms: number, run: () => void): void {
    this.#clock.after(ms, () => {
      run();
      this.#every(ms, run);
    });
  }

  /** Replays old messages of others unchanged, and forges messages in their names. */
  #bother(topic: string): void {
    const old = this.#heard[0];
    if (old === undefined) return;
    if (this.#lies.has('replay')) this.#inner.publish(topic, old.slice());
    const envelope = parseEnvelope(this.#crypto, old);
    if (!this.#lies.has('forge') || envelope === undefined) return;
    const { origin, sequence, payload, kind } = envelope;
    const asThem = { keyOf: this.#crypto.keyOf.bind(this.#crypto), sign: this.#crypto.sign.bind(this.#crypto), self: origin };
    this.#inner.publish(topic, sealEnvelope(asThem, this.#swarmId, kind, sequence + FORGED_AHEAD, payload).bytes);
  }

  #junk(): Uint8Array {
    return new Uint8Array(JUNK_BYTES).fill(this.#turn++ & 0xff);
  }

  useNetworkKeys(): void {}

  lookAround(): void {
    this.#inner.lookAround();
  }

  publish(topic: string, bytes: Uint8Array, urgent?: boolean): void {
    const envelope = parseEnvelope(this.#crypto, bytes);
    const status = envelope?.kind === 'status' ? decodeStatus(envelope.payload) : undefined;
    if (envelope === undefined || status === undefined) return this.#inner.publish(topic, bytes, urgent);
    const seal = (conditions: Status['conditions']): Uint8Array =>
      sealEnvelope(this.#crypto, this.#swarmId, 'status', envelope.sequence, encodeStatus({ ...status, conditions })).bytes;
    const upsideDown = Object.fromEntries(
      STATUS_CONDITIONS.map((name) => [name, status.conditions[name] === 'True' ? 'False' : 'True']),
    ) as Status['conditions'];
    this.#inner.publish(topic, this.#lies.has('telemetry') ? seal(upsideDown) : bytes, urgent);
    if (this.#lies.has('equivocate')) this.#inner.publish(topic, seal(upsideDown));
  }

  send(peer: PeerId, protocol: string, bytes: Uint8Array): void {
    const message = protocol === swarmNames(this.#swarmId).protocol('vote') ? decodeVoteMessage(bytes) : undefined;
    if (message?.type !== 'vote') {
      this.#inner.send(peer, protocol, bytes);
      // Asks again once all is healthy, for witnesses that would decide again.
      if (message !== undefined && this.#lies.has('nag'))
        this.#clock.after(NAG_AFTER_MS, () => this.#inner.send(peer, protocol, bytes));
      return;
    }
    const { vote } = message;
    const other: Vote = this.#resigned({ ...vote, verdict: vote.verdict === 'yes' ? 'no' : 'yes' });
    if (this.#lies.has('votes')) return this.#inner.send(peer, protocol, encodeVoteMessage(other));
    this.#inner.send(peer, protocol, bytes);
    if (this.#lies.has('equivocate')) this.#inner.send(peer, protocol, encodeVoteMessage(other));
  }

  #resigned(vote: Vote): Vote {
    return { ...vote, signature: this.#crypto.sign(voteBytes(this.#swarmId, vote)) };
  }

  stop(): Promise<void> {
    return this.#inner.stop();
  }

  request(peer: PeerId, protocol: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return this.#inner.request(peer, protocol, bytes, timeoutMs);
  }

  probePort(peer: PeerId, port: number, timeoutMs: number): Promise<PortState> {
    return this.#inner.probePort(peer, port, timeoutMs);
  }

  probeHttp(peer: PeerId, port: number, path: string, timeoutMs: number): Promise<HttpState> {
    return this.#inner.probeHttp(peer, port, path, timeoutMs);
  }

  traffic(): ReadonlyMap<string, Traffic> {
    return this.#inner.traffic();
  }

  disconnect(peer: PeerId): void {
    this.#inner.disconnect(peer);
  }

  connectedPeers(): PeerId[] {
    return this.#inner.connectedPeers();
  }

  addresses(): string[] {
    return this.#inner.addresses();
  }

  dial(address: string): Promise<PeerId> {
    return this.#inner.dial(address);
  }

  dialPeer(peer: PeerId, addressHint?: string): Promise<void> {
    return this.#inner.dialPeer(peer, addressHint);
  }
}

function bound(handlers: TransportHandlers): TransportHandlers {
  return {
    hello: (to) => handlers.hello(to),
    welcome: (...args) => handlers.welcome(...args),
    accept: (...args) => handlers.accept(...args),
    settle: (...args) => handlers.settle(...args),
    broadcast: (...args) => handlers.broadcast(...args),
    message: (...args) => handlers.message(...args),
    request: (...args) => handlers.request(...args),
    connected: (peer) => handlers.connected(peer),
    disconnected: (peer) => handlers.disconnected(peer),
    flooded: (...args) => handlers.flooded(...args),
    found: (...args) => handlers.found(...args),
  };
}
