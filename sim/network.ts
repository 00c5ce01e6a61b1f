// The simulated network: hosts with links of latency, jitter and loss, partitions, and a broadcast that reaches every
// reachable subscriber along a random delay. Connections open by dialing and close when a process dies or a link is cut.
import {
  type PeerId,
  type PortState,
  type Transport,
  TransportError,
  type TransportHandlers,
  type TransportNames,
} from '../swarm/ports/transport.ts';
import type { Trace } from './adapters/trace.ts';
import type { SeededRandom } from './random.ts';
import type { Scheduler } from './scheduler.ts';

export interface LinkModel {
  latencyMs: number;
  jitterMs: number;
  /** Probability that a one-way message or a gossip delivery is lost. */
  loss: number;
}

/** A local network: half a millisecond there, little jitter, no loss. */
export const LAN: LinkModel = { latencyMs: 0.5, jitterMs: 0.3, loss: 0 };

/** A connection whose other end went silent is given up after this, as TCP user timeouts do. */
const SILENT_CLOSE_MS = 4_000;
const REFUSED_MS = 1;
/** Gossip goes over two hops on average: its delay is this many link delays. */
const GOSSIP_HOPS = 2;

export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: SeededRandom;
  readonly #trace: Trace;
  readonly #hosts = new Map<PeerId, SimulatedTransport>();
  readonly #groups = new Map<PeerId, number>();
  link: LinkModel = LAN;
  messages = 0;
  bytes = 0;

  constructor(scheduler: Scheduler, random: SeededRandom, trace: Trace) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#trace = trace;
  }

  attach(transport: SimulatedTransport): void {
    this.#hosts.set(transport.self, transport);
  }

  host(peer: PeerId): SimulatedTransport | undefined {
    const host = this.#hosts.get(peer);
    return host?.running ? host : undefined;
  }

  /** Peers in different groups cannot reach each other; one in no group is in group 0. */
  partition(groups: readonly (readonly PeerId[])[]): void {
    this.#groups.clear();
    groups.forEach((group, index) => {
      for (const peer of group) this.#groups.set(peer, index);
    });
    for (const host of this.#hosts.values()) host.cutOff((peer) => this.connects(host.self, peer), SILENT_CLOSE_MS);
  }

  heal(): void {
    this.#groups.clear();
  }

  connects(a: PeerId, b: PeerId): boolean {
    return (this.#groups.get(a) ?? 0) === (this.#groups.get(b) ?? 0);
  }

  hosts(): SimulatedTransport[] {
    return [...this.#hosts.values()].filter((host) => host.running);
  }

  #delay(hops: number): number {
    return hops * (this.link.latencyMs + this.#random.unit() * this.link.jitterMs);
  }

  /** Carries one message; `arrive` runs at the receiver unless it was lost or cut off. */
  carry(
    from: PeerId,
    to: PeerId,
    what: string,
    size: number,
    hops: number,
    mayLose: boolean,
    arrive: (host: SimulatedTransport) => void,
  ): void {
    const lost = mayLose && this.#random.chance(this.link.loss);
    const delayMs = this.#delay(hops);
    if (lost || !this.connects(from, to)) return;
    this.messages++;
    this.bytes += size;
    this.#scheduler.after(delayMs, () => {
      const host = this.host(to);
      if (host === undefined || !this.connects(from, to)) return;
      this.#trace.fold(this.#scheduler.nowMs, to, `${what} ${from} ${size}`);
      arrive(host);
    });
  }

  after(delayMs: number, run: () => void): void {
    this.#scheduler.after(delayMs, run);
  }

  gossipHops(): number {
    return GOSSIP_HOPS;
  }

  /** What a connect to a port of the service host finds. */
  probe(from: PeerId, to: PeerId, port: number): Promise<PortState> {
    return new Promise((resolve) => {
      const host = this.host(to);
      // The machine outlives its agent: only a partition makes it silent.
      const machine = this.#hosts.get(to);
      if (machine === undefined || !this.connects(from, to)) this.after(SILENT_CLOSE_MS, () => resolve('silent'));
      else this.after(this.#delay(2), () => resolve((host ?? machine).portState(port)));
    });
  }
}

/** One agent's end of the network. A restarted agent gets a new one under the same id. */
export class SimulatedTransport implements Transport {
  readonly self: PeerId;
  readonly #network: Network;
  readonly #connections = new Set<PeerId>();
  readonly portState: (port: number) => PortState;
  #handlers: TransportHandlers | undefined;
  #topics: ReadonlySet<string> = new Set();
  running = false;

  constructor(self: PeerId, network: Network, portState: (port: number) => PortState) {
    this.self = self;
    this.#network = network;
    this.portState = portState;
  }

  async start(names: TransportNames, handlers: TransportHandlers): Promise<void> {
    this.#handlers = handlers;
    this.#topics = new Set(names.topics);
    this.running = true;
    this.#network.attach(this);
  }

  async stop(): Promise<void> {
    this.crash();
  }

  /** The process ends: its kernel closes the connections, and the others see it at once. */
  crash(): void {
    this.running = false;
    for (const peer of this.#connections) {
      this.#network.carry(this.self, peer, 'close', 40, 1, false, (host) => host.closed(this.self));
    }
    this.#connections.clear();
  }

  publish(topic: string, bytes: Uint8Array): void {
    for (const host of this.#network.hosts()) {
      if (host.self === this.self || !host.#topics.has(topic)) continue;
      this.#network.carry(this.self, host.self, 'gossip', bytes.length, this.#network.gossipHops(), true, (to) =>
        to.#handlers?.broadcast(topic, this.self, bytes),
      );
    }
  }

  send(peer: PeerId, protocol: string, bytes: Uint8Array): void {
    if (!this.running || !this.#connections.has(peer)) return;
    this.#network.carry(this.self, peer, 'message', bytes.length, 1, true, (host) =>
      host.#handlers?.message(protocol, this.self, bytes),
    );
  }

  request(peer: PeerId, protocol: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (!this.#connections.has(peer)) return reject(new TransportError('unreachable', 'not connected'));
      this.#network.after(timeoutMs, () => reject(new TransportError('timeout', `no answer in ${timeoutMs} ms`)));
      this.#network.carry(this.self, peer, 'request', bytes.length, 1, true, (host) => {
        host.#answer(protocol, this.self, bytes).then(
          (answer) => this.#network.carry(peer, this.self, 'answer', answer.length, 1, true, () => resolve(answer)),
          () =>
            this.#network.carry(peer, this.self, 'refusal', 0, 1, true, () => reject(new TransportError('refused', 'refused'))),
        );
      });
    });
  }

  #answer(protocol: string, from: PeerId, bytes: Uint8Array): Promise<Uint8Array> {
    return this.#handlers?.request(protocol, from, bytes) ?? Promise.reject(new Error('stopped'));
  }

  probePort(peer: PeerId, port: number, timeoutMs: number): Promise<PortState> {
    const answer = this.#network.probe(this.self, peer, port);
    return Promise.race([answer, new Promise<PortState>((resolve) => this.#network.after(timeoutMs, () => resolve('silent')))]);
  }

  connectedPeers(): PeerId[] {
    return [...this.#connections];
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
    return new Promise((resolve, reject) => {
      const failed = (delayMs: number, text: string): void =>
        this.#network.after(delayMs, () => reject(new TransportError('unreachable', text)));
      if (!this.#network.connects(this.self, peer)) return failed(SILENT_CLOSE_MS, 'no answer');
      if (this.#network.host(peer) === undefined) return failed(REFUSED_MS, 'connection refused');
      this.#network.carry(this.self, peer, 'dial', 400, 3, false, (host) => {
        if (this.running) {
          host.#opened(this.self);
          this.#opened(peer);
        }
        resolve();
      });
    });
  }

  #opened(peer: PeerId): void {
    if (this.#connections.has(peer)) return;
    this.#connections.add(peer);
    this.#handlers?.connected(peer);
  }

  closed(peer: PeerId): void {
    if (this.#connections.delete(peer)) this.#handlers?.disconnected(peer);
  }

  /** Connections across a new partition go silent, and are given up after a while unless it healed before. */
  cutOff(reaches: (peer: PeerId) => boolean, silentMs: number): void {
    for (const peer of this.#connections) {
      if (reaches(peer)) continue;
      this.#network.after(silentMs, () => {
        if (!this.#network.connects(this.self, peer)) this.closed(peer);
      });
    }
  }
}
