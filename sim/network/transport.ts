// One agent's end of the simulated network. A restarted agent gets a new one under the same id. Connections open by dialing, and close when
// a process dies or a link stays cut. Messages of one connection stay in order, unless the link reorders them.
import {
  type Admitted,
  type HttpState,
  type PeerId,
  type PortState,
  type RequestFailure,
  type Traffic,
  type Transport,
  TransportError,
  type TransportHandlers,
  type TransportNames,
} from '../../swarm/ports/transport.ts';
import type { Carried } from '../adapters/trace.ts';
import { Process } from '../machine/process.ts';
import type { Host, HostEnd, PortAnswers } from './host.ts';
import type { Network } from './network.ts';

const REFUSED_MS = 1;
const DIAL_TIMEOUT_MS = 4_000;
const DIAL_BYTES = 2_000; // noise and yamux, both ways
/** Round trips of a dial: the handshakes of TCP, noise and yamux. */
const DIAL_HOPS = 3;
const CLOSE_BYTES = 40;
/** Length prefix, yamux header, noise tag, TCP and IP headers. */
const FRAME_BYTES = 80;

/** State of both ends. */
interface Connection {
  readonly a: SimulatedTransport;
  readonly b: SimulatedTransport;
  /** The arrival of the last message of either end, so that none overtakes it. */
  lastFromA: number;
  lastFromB: number;
  /** Each end checks again whether it is still cut. */
  readonly cutFor: Set<SimulatedTransport>;
}

export class SimulatedTransport implements Transport, HostEnd {
  readonly self: PeerId;
  readonly host: Host;
  readonly process: Process;
  readonly #network: Network;
  readonly #connections = new Map<PeerId, Connection>();
  readonly #dials = new Map<PeerId, Promise<void>>();
  #handlers: TransportHandlers | undefined;
  running = false;

  constructor(self: PeerId, network: Network, answers: PortAnswers, process: Process = new Process(network.scheduler)) {
    this.self = self;
    this.#network = network;
    this.process = process;
    this.host = network.hostOf(self);
    this.host.answers = answers;
  }

  async start(names: TransportNames, handlers: TransportHandlers): Promise<void> {
    this.#handlers = handlers;
    this.running = true;
    this.host.transport = this;
    for (const topic of names.topics)
      this.#network.gossip.join(topic, this, (from, bytes) => handlers.broadcast(topic, from, bytes));
  }

  async stop(): Promise<void> {
    this.crash();
  }

  /** The process ends: its kernel closes the connections, and the others see it immediately. */
  crash(): void {
    this.running = false;
    if (this.host.transport === this) this.host.transport = undefined;
    this.#network.gossip.leave(this);
    for (const [peer, connection] of this.#connections) {
      this.#carryOn(connection, 'close', CLOSE_BYTES, (there) => there.#closed(this.self, connection));
      this.#connections.delete(peer);
    }
  }

  publish(topic: string, bytes: Uint8Array, urgent?: boolean): void {
    if (this.running) this.#network.gossip.publish(topic, this, bytes, urgent);
  }

  /** Carries a message on a connection: in order, and only while the other end is open. `arrived` runs there when its process runs. */
  #carryOn(connection: Connection, what: Carried, bytes: number, arrived: (there: SimulatedTransport) => void): void {
    if (!this.running && what !== 'close') return;
    const network = this.#network;
    const fromA = connection.a === this;
    const to = fromA ? connection.b : connection.a;
    const size = bytes + FRAME_BYTES;
    let atMs = network.arrivalMs(this.host, to.host, size);
    if (!network.happens('reorder', this.host, to.host)) {
      atMs = Math.max(atMs, fromA ? connection.lastFromA : connection.lastFromB);
      if (fromA) connection.lastFromA = atMs;
      else connection.lastFromB = atMs;
    }
    network.arrive(atMs, what, this.host, to.host, size, () =>
      to.process.run(() => {
        if (to.#connections.get(this.self) === connection) arrived(to);
      }),
    );
  }

  send(peer: PeerId, protocol: string, bytes: Uint8Array): void {
    const connection = this.#connections.get(peer);
    if (!this.running || connection === undefined) return;
    for (const tap of this.#network.taps) tap(this.host, peer, protocol, bytes);
    const to = connection.a === this ? connection.b : connection.a;
    const copies = this.#network.happens('duplicate', this.host, to.host) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (this.#network.happens('loss', this.host, to.host)) continue;
      this.#carryOn(connection, 'message', bytes.length, (there) => there.#handlers?.message(protocol, this.self, bytes));
    }
  }

  request(peer: PeerId, protocol: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const connection = this.#connections.get(peer);
      if (connection === undefined) return reject(new TransportError('unreachable', 'not connected'));
      const late = this.#network.scheduler.after(timeoutMs, () =>
        this.process.run(() => reject(new TransportError('timeout', `no answer in ${timeoutMs} ms`))),
      );
      const settle = (how: () => void) => () => {
        late.cancel();
        how();
      };
      this.#carryOn(connection, 'request', bytes.length, (there) => {
        there.#answer(protocol, this.self, bytes).then(
          (answer) =>
            there.#carryOn(
              connection,
              'answer',
              answer.length,
              settle(() => resolve(answer)),
            ),
          (error: Error) =>
            there.#carryOn(
              connection,
              'refusal',
              0,
              settle(() => reject(new TransportError('refused', error.message))),
            ),
        );
      });
    });
  }

  #answer(protocol: string, from: PeerId, bytes: Uint8Array): Promise<Uint8Array> {
    return this.#handlers?.request(protocol, from, bytes) ?? Promise.reject(new Error('stopped'));
  }

  probePort(peer: PeerId, port: number, timeoutMs: number): Promise<PortState> {
    return this.#network.probe(this.host, peer, (host) => host.answers.portState(port), timeoutMs);
  }

  probeHttp(peer: PeerId, port: number, _path: string, timeoutMs: number): Promise<HttpState> {
    return this.#network.probe(this.host, peer, (host) => host.answers.httpState(port), timeoutMs);
  }

  connectedPeers(): PeerId[] {
    return [...this.#connections.keys()];
  }

  addresses(): string[] {
    return [`/sim/${this.self}`];
  }

  dial(address: string): Promise<PeerId> {
    const peer = address.replace('/sim/', '');
    return this.dialPeer(peer).then(() => peer);
  }

  dialPeer(peer: PeerId): Promise<void> {
    if (this.#connections.has(peer)) return Promise.resolve();
    let dial = this.#dials.get(peer);
    if (dial === undefined) {
      dial = this.#dialNow(peer).finally(() => this.#dials.delete(peer));
      this.#dials.set(peer, dial);
    }
    return dial;
  }

  #dialNow(peer: PeerId): Promise<void> {
    return new Promise((resolve, reject) => {
      const network = this.#network;
      const failed = (code: RequestFailure, text: string): void => this.process.run(() => reject(new TransportError(code, text)));
      const late = network.scheduler.after(DIAL_TIMEOUT_MS, () => failed('unreachable', 'no answer'));
      const host = network.known(peer);
      if (host === undefined || !network.connects(this.host, host)) return;
      const to = host.transport;
      if (!(to instanceof SimulatedTransport)) {
        late.cancel();
        network.scheduler.after(REFUSED_MS, () => failed('refused', 'connection refused'));
        return;
      }
      network.arrive(network.arrivalMs(this.host, host, DIAL_BYTES, DIAL_HOPS), 'dial', this.host, host, DIAL_BYTES, () => {
        to.process.run(() => {
          if (to.running) return void this.#greet(to).then(over, over);
          late.cancel();
          failed('refused', 'connection refused');
        });
      });
      /** The result of the hello: undefined if both admitted each other. */
      const over = (reason: unknown): void => {
        late.cancel();
        if (reason !== undefined) return failed('denied', String(reason));
        this.process.run(() => {
          if (this.running && to.running) this.#open(to);
          resolve();
        });
      };
    });
  }

  /** The exchange that begins a connection, with the latency of each message. @returns the refusal; undefined if there is none */
  async #greet(to: SimulatedTransport): Promise<string | undefined> {
    const [here, there] = [this.#handlers, to.#handlers];
    if (here === undefined || there === undefined) return 'stopped';
    const welcomed = await there.welcome(this.self, here.hello(to.self));
    const answered = await this.#say(to, this, welcomed, (bytes) => here.accept(to.self, bytes));
    const settled = answered && (await this.#say(this, to, answered, (bytes) => there.settle(this.self, bytes)));
    const reason = [welcomed, answered, settled].find((one) => one?.admitted === false)?.reason;
    return reason ?? (settled?.admitted === true ? undefined : 'not admitted');
  }

  #say(
    from: SimulatedTransport,
    to: SimulatedTransport,
    { answer }: Admitted,
    heard: (bytes: Uint8Array) => Promise<Admitted>,
  ): Promise<Admitted | undefined> {
    if (answer === undefined) return Promise.resolve(undefined);
    const bytes = answer.length + FRAME_BYTES;
    return new Promise((resolve) => {
      const atMs = this.#network.arrivalMs(from.host, to.host, bytes);
      this.#network.arrive(atMs, 'dial', from.host, to.host, bytes, () => to.process.run(() => resolve(heard(answer))));
    });
  }

  /** Not counted by protocol: the network counts. */
  traffic(): ReadonlyMap<string, Traffic> {
    return new Map();
  }

  /** The network is not observed: network keys have no effect. */
  useNetworkKeys(): void {}

  /** No two simulated machines share a local network. */
  lookAround(): void {}

  disconnect(peer: PeerId): void {
    const connection = this.#connections.get(peer);
    if (connection === undefined) return;
    this.#carryOn(connection, 'close', CLOSE_BYTES, (there) => there.#closed(this.self, connection));
    this.#closed(peer, connection);
  }

  #open(to: SimulatedTransport): void {
    if (this.#connections.has(to.self)) return;
    const connection: Connection = { a: this, b: to, lastFromA: 0, lastFromB: 0, cutFor: new Set() };
    to.#closed(this.self, to.#connections.get(this.self)); // an end that does not know of the other's restart
    to.#connections.set(this.self, connection);
    this.#connections.set(to.self, connection);
    this.#network.gossip.linkUp(this, to);
    to.#handlers?.connected(this.self);
    this.#handlers?.connected(to.self);
  }

  #closed(peer: PeerId, connection: Connection | undefined): void {
    if (connection === undefined || this.#connections.get(peer) !== connection) return;
    this.#connections.delete(peer);
    this.#network.gossip.linkDown(connection.a, connection.b);
    this.#handlers?.disconnected(peer);
  }

  /** Closes connections that a cut made silent, after some time, unless it healed before. */
  cutOff(silentMs: number): void {
    for (const [peer, connection] of this.#connections) {
      const other = connection.a === this ? connection.b : connection.a;
      if (connection.cutFor.has(this) || this.#network.connects(this.host, other.host)) continue;
      connection.cutFor.add(this);
      this.#network.scheduler.after(silentMs, () => {
        connection.cutFor.delete(this);
        if (!this.#network.connects(this.host, other.host)) this.process.run(() => this.#closed(peer, connection));
      });
    }
  }
}
