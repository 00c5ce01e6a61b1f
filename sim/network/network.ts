// The simulated network: machines, the links between them, cuts of every kind, and messages in flight. Connections and protocols are in
// transport.ts, broadcasts over gossipsub in gossip.ts.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Carried, Trace } from '../adapters/trace.ts';
import type { SeededRandom } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';
import { GOSSIP_DEFAULTS, GossipNetwork, type GossipParams } from './gossip.ts';
import { Host } from './host.ts';
import { everywhere, LAN, type LinkModel, type Topology } from './links.ts';

/** A connection whose other end is silent closes after this time, as with a TCP user timeout. */
export const SILENT_CLOSE_MS = 4_000;
const MAX_HOSTS = 65_536;

export class Network {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly gossip: GossipNetwork;
  readonly #hosts = new Map<PeerId, Host>();
  readonly #groups = new Map<Host, number>();
  /** Blocked directions. */
  readonly #blocked = new Set<number>();
  topology: Topology = everywhere(LAN);
  /** Added to the topology's properties during a fault of all links. */
  disturbance: Partial<LinkModel> = {};
  messages = 0;
  bytes = 0;
  /** Called for every one-way message when it is sent. */
  readonly taps: ((from: Host, to: PeerId, protocol: string, bytes: Uint8Array) => void)[] = [];

  constructor(scheduler: Scheduler, random: SeededRandom, trace: Trace, gossip: GossipParams = GOSSIP_DEFAULTS) {
    this.scheduler = scheduler;
    this.random = random;
    this.trace = trace;
    this.gossip = new GossipNetwork(this, gossip);
  }

  /** The same link everywhere. */
  set link(link: LinkModel) {
    this.topology = everywhere(link);
  }

  hostOf(peer: PeerId): Host {
    let host = this.#hosts.get(peer);
    if (host === undefined) {
      if (this.#hosts.size >= MAX_HOSTS) throw new RangeError(`more than ${MAX_HOSTS} hosts`);
      host = new Host(this.#hosts.size, peer);
      this.#hosts.set(peer, host);
    }
    return host;
  }

  known(peer: PeerId): Host | undefined {
    return this.#hosts.get(peer);
  }

  get size(): number {
    return this.#hosts.size;
  }

  // Cuts

  /** Peers in different groups cannot reach each other; a peer in no group is in group 0. */
  partition(groups: readonly (readonly PeerId[])[]): void {
    this.#groups.clear();
    groups.forEach((group, index) => {
      for (const peer of group) this.#groups.set(this.hostOf(peer), index);
    });
    this.#noticeCuts();
  }

  heal(): void {
    this.#groups.clear();
    this.#blocked.clear();
  }

  /** Blocks one direction. */
  block(from: PeerId, to: PeerId): void {
    this.#blocked.add(this.hostOf(from).index * MAX_HOSTS + this.hostOf(to).index);
    this.#noticeCuts();
  }

  unblock(from: PeerId, to: PeerId): void {
    this.#blocked.delete(this.hostOf(from).index * MAX_HOSTS + this.hostOf(to).index);
  }

  /** Switches a machine off, or on again: its connections become silent. */
  power(peer: PeerId, up: boolean): void {
    this.hostOf(peer).up = up;
    if (!up) this.#noticeCuts();
  }

  reaches(from: Host, to: Host): boolean {
    if (!from.up || !to.up) return false;
    if (this.#groups.size > 0 && (this.#groups.get(from) ?? 0) !== (this.#groups.get(to) ?? 0)) return false;
    return this.#blocked.size === 0 || !this.#blocked.has(from.index * MAX_HOSTS + to.index);
  }

  /** Whether both directions are open, as a connection needs. */
  connects(a: Host, b: Host): boolean {
    return this.reaches(a, b) && this.reaches(b, a);
  }

  #noticeCuts(): void {
    for (const host of this.#hosts.values()) host.transport?.cutOff(SILENT_CLOSE_MS);
  }

  // Messages in flight

  linkBetween(from: Host, to: Host): LinkModel {
    return this.topology(from.index, to.index);
  }

  /** The arrival time of a message sent now. Draws the jitter, and occupies the sender's uplink. */
  arrivalMs(from: Host, to: Host, bytes: number, hops = 1): number {
    const link = this.linkBetween(from, to);
    const nowMs = this.scheduler.nowMs;
    const { latencyMs = link.latencyMs, jitterMs = link.jitterMs } = this.disturbance;
    const sendingMs = (bytes * 1_000) / (link.bytesPerS * from.clog);
    from.busyMs = Math.max(nowMs, from.busyMs) + sendingMs;
    return from.busyMs + hops * (latencyMs + this.random.unit() * jitterMs) + from.lagMs + to.lagMs;
  }

  /** Whether an event of that probability happens on a link now; draws a random number only if it may. */
  happens(what: 'loss' | 'duplicate' | 'reorder', from: Host, to: Host): boolean {
    const ofLink = this.disturbance[what] ?? this.linkBetween(from, to)[what];
    const probability = what === 'loss' ? Math.max(ofLink, from.loss, to.loss) : ofLink;
    return probability > 0 && this.random.chance(probability);
  }

  /** Delivers a message at a time, unless the way is cut by then. */
  arrive(atMs: number, what: Carried, from: Host, to: Host, bytes: number, arrived: (to: Host) => void): void {
    this.messages++;
    this.bytes += bytes;
    this.scheduler.at(atMs, () => {
      if (!this.reaches(from, to)) return;
      this.trace.fold(this.scheduler.nowMs, what, from.index, to.index, bytes);
      arrived(to);
    });
  }

  /** The result of a probe of a port: the machine outlives its agent. */
  probe<State>(from: Host, to: PeerId, look: (host: Host) => State, timeoutMs: number): Promise<State | 'silent'> {
    return new Promise((resolve) => {
      const silent = this.scheduler.after(timeoutMs, () => resolve('silent'));
      const host = this.known(to);
      if (host === undefined || !this.connects(from, host)) return;
      this.scheduler.at(this.arrivalMs(from, host, 60, 2), () => {
        silent.cancel();
        resolve(look(host));
      });
    });
  }
}
