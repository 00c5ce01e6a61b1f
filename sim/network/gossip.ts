// A model of gossipsub v1.1 (libp2p specification): meshes of bounded degree, eager push along them, lazy push (IHAVE, IWANT) at heartbeats,
// scores by first deliveries, mesh deliveries and invalid messages, pruning with back-off. Each message is tracked through the whole
// network: a duplicate is counted when it is sent, and costs no event.
import type { PeerId, Verdict } from '../../swarm/ports/transport.ts';
import type { Trace } from '../adapters/trace.ts';
import type { Process } from '../machine/process.ts';
import type { SeededRandom } from '../random.ts';
import type { Scheduler } from '../scheduler.ts';
import type { Host } from './host.ts';

/** A participant: an agent's end of the network. */
export interface GossipEnd {
  readonly self: PeerId;
  readonly host: Host;
  readonly process: Process;
}

/** The network that carries messages. */
interface Carrier {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly size: number;
  messages: number;
  bytes: number;
  arrivalMs(from: Host, to: Host, bytes: number, hops?: number): number;
  happens(what: 'loss', from: Host, to: Host): boolean;
  reaches(from: Host, to: Host): boolean;
}

export interface ScoreParams {
  /** Weight of a neighbour's first deliveries, up to a cap. */
  firstDelivery: number;
  firstDeliveryCap: number;
  firstDeliveryDecay: number;
  /** Weight of the squared deficit of a mesh neighbour's deliveries; negative. */
  meshDeficit: number;
  meshThreshold: number;
  meshDecay: number;
  /** The deficit of a mesh neighbour counts after this time. */
  activationMs: number;
  /** A copy within this time after the first counts as a delivery. */
  windowMs: number;
  /** Weight of the squared number of invalid messages; negative. */
  invalid: number;
  invalidDecay: number;
}

export interface GossipParams {
  D: number;
  Dlo: number;
  Dhi: number;
  Dscore: number;
  Dout: number;
  Dlazy: number;
  gossipFactor: number;
  heartbeatMs: number;
  /** Heartbeats in which a message is announced. */
  historyGossip: number;
  /** A publisher sends to all neighbours, not to the mesh alone. */
  floodPublish: boolean;
  pruneBackoffMs: number;
  /** A neighbour with a lower score gets no announcements. */
  gossipThreshold: number;
  /** At this interval of heartbeats, if the mesh's median score is below the threshold, this many better neighbours are grafted. */
  opportunisticTicks: number;
  opportunisticPeers: number;
  opportunisticThreshold: number;
  score: ScoreParams;
}

/** As in swarm/libp2p/host.ts; the rest as in @libp2p/gossipsub. */
export const GOSSIP_DEFAULTS: GossipParams = {
  D: 2,
  Dlo: 2,
  Dhi: 4,
  Dscore: 1,
  Dout: 1,
  Dlazy: 1,
  gossipFactor: 0,
  heartbeatMs: 2_000,
  historyGossip: 2,
  floodPublish: false,
  pruneBackoffMs: 60_000,
  gossipThreshold: -20,
  opportunisticTicks: 60,
  opportunisticPeers: 2,
  opportunisticThreshold: 1,
  score: {
    firstDelivery: 1,
    firstDeliveryCap: 50,
    firstDeliveryDecay: 0.98,
    meshDeficit: 0,
    meshThreshold: 0,
    meshDecay: 0.97,
    activationMs: 10_000,
    windowMs: 50,
    invalid: -10,
    invalidDecay: 0.98,
  },
};

const FRAME_BYTES = 90;
const MESSAGE_ID_BYTES = 40;
const NOT_YET = 0;

/** One peer's record of a neighbour. */
interface Opinion {
  first: number;
  mesh: number;
  invalid: number;
  meshSinceMs: number;
  noGraftBeforeMs: number;
}

type Receive = (from: PeerId, bytes: Uint8Array) => Verdict;

class GossipPeer {
  readonly transport: GossipEnd;
  readonly receive: Receive;
  readonly neighbours = new Set<GossipPeer>();
  /** The neighbours that it dialed itself. */
  readonly outbound = new Set<GossipPeer>();
  readonly mesh = new Set<GossipPeer>();
  readonly opinions = new Map<GossipPeer, Opinion>();
  gone = false;
  beats = 1;

  constructor(transport: GossipEnd, receive: Receive) {
    this.transport = transport;
    this.receive = receive;
  }

  opinionOf(other: GossipPeer): Opinion {
    let opinion = this.opinions.get(other);
    if (opinion === undefined) {
      opinion = { first: 0, mesh: 0, invalid: 0, meshSinceMs: 0, noGraftBeforeMs: 0 };
      this.opinions.set(other, opinion);
    }
    return opinion;
  }
}

/** One message in flight. */
interface Message {
  bytes: Uint8Array;
  bornMs: number;
  /** Arrival of the first copy, by host; NOT_YET if none is in flight. */
  arrivals: Float64Array;
  /** 1 for hosts that accepted it: the others neither forward nor announce it. */
  accepted: Uint8Array;
  /** Hosts that have it. */
  delivered: number;
}

interface Topic {
  peers: Map<GossipEnd, GossipPeer>;
  /** Messages that some peer may not have yet. */
  recent: Message[];
  /** When the latest messages were published: they determine the size of an IHAVE. */
  publishedMs: number[];
}

export class GossipNetwork {
  readonly #network: Carrier;
  readonly params: GossipParams;
  readonly #topics = new Map<string, Topic>();
  /** Copies sent, and first copies that arrived. */
  transmissions = 0;
  deliveries = 0;
  /** Peers that take part and forward nothing. */
  readonly silent = new Set<PeerId>();
  /** Called for each message when it is published. */
  onPublish: ((from: GossipEnd, bytes: Uint8Array) => void) | undefined;
  /** Called for each message that a receiver rejects, with its sender. */
  onReject: ((from: GossipEnd, to: GossipEnd) => void) | undefined;
  /** Called for each first copy, with its delay. */
  onDelivery: (to: GossipEnd, bytes: Uint8Array, tookMs: number) => void = () => undefined;

  constructor(network: Carrier, params: GossipParams) {
    this.#network = network;
    this.params = params;
  }

  join(topic: string, transport: GossipEnd, receive: Receive): void {
    const known = this.#topics.get(topic) ?? { peers: new Map(), recent: [], publishedMs: [] };
    this.#topics.set(topic, known);
    const peer = new GossipPeer(transport, receive);
    known.peers.set(transport, peer);
    const { heartbeatMs } = this.params;
    const beat = (): void => {
      if (peer.gone) return;
      transport.process.run(() => this.#heartbeat(known, peer));
      this.#network.scheduler.after(heartbeatMs, beat);
    };
    this.#network.scheduler.after(this.#network.random.unit() * heartbeatMs, beat);
  }

  leave(transport: GossipEnd): void {
    for (const { peers } of this.#topics.values()) {
      const peer = peers.get(transport);
      if (peer === undefined) continue;
      peer.gone = true;
      peers.delete(transport);
      for (const neighbour of [...peer.neighbours]) unlink(peer, neighbour);
    }
  }

  linkUp(a: GossipEnd, b: GossipEnd): void {
    for (const { peers } of this.#topics.values()) {
      const [first, second] = [peers.get(a), peers.get(b)];
      if (first === undefined || second === undefined) continue;
      first.neighbours.add(second);
      first.outbound.add(second);
      second.neighbours.add(first);
      // As in libp2p: a peer with a thin mesh does not wait for the heartbeat.
      if (first.mesh.size < this.params.D) this.#graft(first, second);
    }
  }

  linkDown(a: GossipEnd, b: GossipEnd): void {
    for (const { peers } of this.#topics.values()) {
      const [first, second] = [peers.get(a), peers.get(b)];
      if (first !== undefined && second !== undefined) unlink(first, second);
    }
  }

  publish(name: string, transport: GossipEnd, bytes: Uint8Array, flood?: boolean): void {
    const topic = this.#topics.get(name);
    const origin = topic?.peers.get(transport);
    if (topic === undefined || origin === undefined) return;
    this.onPublish?.(transport, bytes);
    const { nowMs } = this.#network.scheduler;
    const message: Message = {
      bytes,
      bornMs: nowMs,
      arrivals: new Float64Array(this.#network.size),
      accepted: new Uint8Array(this.#network.size),
      delivered: 1,
    };
    message.accepted[transport.host.index] = 1;
    message.arrivals[transport.host.index] = Math.max(nowMs, Number.MIN_VALUE);
    topic.recent.push(message);
    topic.publishedMs.push(nowMs);
    this.#spread(message, origin, (flood ?? this.params.floodPublish) ? origin.neighbours : this.#few(origin), undefined);
  }

  /** The mesh, and other neighbours if it is too small. */
  #few(peer: GossipPeer): Iterable<GossipPeer> {
    const lacking = this.params.D - peer.mesh.size;
    if (lacking <= 0) return peer.mesh;
    return [
      ...peer.mesh,
      ...this.#some(
        [...peer.neighbours].filter((other) => !peer.mesh.has(other)),
        lacking,
      ),
    ];
  }

  /** Forwards a message to some of a peer's neighbours. */
  #spread(message: Message, from: GossipPeer, to: Iterable<GossipPeer>, except: GossipPeer | undefined): void {
    for (const neighbour of to) if (neighbour !== except) this.#transmit(message, from, neighbour, 1);
  }

  #transmit(message: Message, from: GossipPeer, to: GossipPeer, hops: number): void {
    const network = this.#network;
    const [source, target] = [from.transport.host, to.transport.host];
    const size = message.bytes.length + FRAME_BYTES;
    const atMs = network.arrivalMs(source, target, size, hops);
    this.transmissions++;
    network.bytes += size;
    network.messages++;
    if (network.happens('loss', source, target) || !network.reaches(source, target)) return;
    const earlier = message.arrivals[target.index] ?? Number.POSITIVE_INFINITY;
    if (earlier !== NOT_YET && earlier <= atMs) {
      const { meshDeficit, windowMs } = this.params.score;
      if (meshDeficit !== 0 && atMs - earlier <= windowMs && to.mesh.has(from)) to.opinionOf(from).mesh++;
      return;
    }
    message.arrivals[target.index] = atMs;
    network.scheduler.at(atMs, () => {
      if (message.arrivals[target.index] !== atMs) return; // another copy came earlier
      if (to.gone || !network.reaches(source, target)) message.arrivals[target.index] = NOT_YET;
      else to.transport.process.run(() => this.#deliver(message, from, to));
    });
  }

  #deliver(message: Message, from: GossipPeer, to: GossipPeer): void {
    if (to.gone) return;
    const network = this.#network;
    const { nowMs } = network.scheduler;
    network.trace.fold(nowMs, 'gossip', from.transport.host.index, to.transport.host.index, message.bytes.length);
    message.delivered++;
    this.deliveries++;
    this.onDelivery(to.transport, message.bytes, nowMs - message.bornMs);
    const verdict = to.receive(from.transport.self, message.bytes);
    const { score } = this.params;
    if (verdict === 'reject') {
      to.opinionOf(from).invalid++;
      this.onReject?.(from.transport, to.transport);
    }
    if (verdict !== 'accept') return;
    message.accepted[to.transport.host.index] = 1;
    if (score.firstDelivery !== 0 || score.meshDeficit !== 0) {
      const opinion = to.opinionOf(from);
      opinion.first = Math.min(score.firstDeliveryCap, opinion.first + 1);
      opinion.mesh++;
    }
    if (!this.silent.has(to.transport.self)) this.#spread(message, to, to.mesh, from);
  }

  // Heartbeats

  #heartbeat(topic: Topic, peer: GossipPeer): void {
    this.#forgetOld(topic);
    const scoreOf = (other: GossipPeer): number => this.#score(peer, other);
    for (const other of peer.mesh) if (scoreOf(other) < 0) this.#prune(peer, other);
    if (peer.mesh.size < this.params.Dlo) this.#graftSome(peer, scoreOf);
    if (peer.mesh.size > this.params.Dhi) this.#pruneSome(peer, scoreOf);
    this.#graftOutbound(peer, scoreOf);
    if (peer.beats++ % this.params.opportunisticTicks === 0) this.#graftBetter(peer, scoreOf);
    this.#announce(topic, peer, scoreOf);
    this.#decay(peer);
  }

  #forgetOld(topic: Topic): void {
    const { historyGossip, heartbeatMs } = this.params;
    const { nowMs } = this.#network.scheduler;
    const oldMs = nowMs - (historyGossip + 2) * heartbeatMs * 2;
    const done = (message: Message): boolean => message.delivered >= topic.peers.size || message.bornMs < oldMs;
    while (topic.recent[0] !== undefined && done(topic.recent[0])) topic.recent.shift();
    while ((topic.publishedMs[0] ?? nowMs) < nowMs - historyGossip * heartbeatMs) topic.publishedMs.shift();
  }

  #score(peer: GossipPeer, other: GossipPeer): number {
    const opinion = peer.opinions.get(other);
    if (opinion === undefined) return 0;
    const { score } = this.params;
    const judged = peer.mesh.has(other) && this.#network.scheduler.nowMs - opinion.meshSinceMs > score.activationMs;
    const deficit = judged ? Math.max(0, score.meshThreshold - opinion.mesh) : 0;
    return opinion.first * score.firstDelivery + deficit ** 2 * score.meshDeficit + opinion.invalid ** 2 * score.invalid;
  }

  #decay(peer: GossipPeer): void {
    const { score } = this.params;
    for (const opinion of peer.opinions.values()) {
      opinion.first *= score.firstDeliveryDecay;
      opinion.mesh *= score.meshDecay;
      opinion.invalid *= score.invalidDecay;
    }
  }

  #graft(peer: GossipPeer, other: GossipPeer): void {
    const { nowMs } = this.#network.scheduler;
    const accepts = (a: GossipPeer, b: GossipPeer): boolean =>
      (a.opinions.get(b)?.noGraftBeforeMs ?? 0) <= nowMs && this.#score(a, b) >= 0;
    if (!accepts(peer, other)) return;
    // A full mesh still accepts peers that it dialed itself: so dialing in cannot fill it.
    const isFull = other.mesh.size >= this.params.Dhi && !other.outbound.has(peer);
    if (isFull || !accepts(other, peer)) {
      peer.opinionOf(other).noGraftBeforeMs = nowMs + this.params.pruneBackoffMs;
      return;
    }
    peer.mesh.add(other);
    other.mesh.add(peer);
    for (const [one, two] of [
      [peer, other],
      [other, peer],
    ] as const) {
      if (this.params.score.meshDeficit === 0) continue;
      const opinion = one.opinionOf(two);
      opinion.meshSinceMs = nowMs;
      opinion.mesh = 0;
    }
  }

  #prune(peer: GossipPeer, other: GossipPeer): void {
    const untilMs = this.#network.scheduler.nowMs + this.params.pruneBackoffMs;
    peer.mesh.delete(other);
    other.mesh.delete(peer);
    peer.opinionOf(other).noGraftBeforeMs = untilMs;
    other.opinionOf(peer).noGraftBeforeMs = untilMs;
  }

  #graftSome(peer: GossipPeer, scoreOf: (other: GossipPeer) => number): void {
    const candidates = [...peer.neighbours].filter((other) => !peer.mesh.has(other) && scoreOf(other) >= 0);
    for (const other of this.#shuffled(candidates)) {
      if (peer.mesh.size >= this.params.D) return;
      this.#graft(peer, other);
    }
  }

  /** Keeps some peers in the mesh that it dialed itself. */
  #graftOutbound(peer: GossipPeer, scoreOf: (other: GossipPeer) => number): void {
    const missing = this.params.Dout - [...peer.mesh].filter((other) => peer.outbound.has(other)).length;
    if (missing <= 0 || peer.mesh.size < this.params.Dlo) return;
    const candidates = [...peer.outbound].filter((other) => !peer.mesh.has(other) && scoreOf(other) >= 0);
    for (const other of this.#some(candidates, missing)) this.#graft(peer, other);
  }

  /** Adds better neighbours to a mesh that delivers little. */
  #graftBetter(peer: GossipPeer, scoreOf: (other: GossipPeer) => number): void {
    const scores = [...peer.mesh].map(scoreOf).sort((a, b) => a - b);
    const median = scores[scores.length >> 1];
    if (median === undefined || median >= this.params.opportunisticThreshold) return;
    const better = [...peer.neighbours].filter((other) => !peer.mesh.has(other) && scoreOf(other) > median);
    for (const other of this.#some(better, this.params.opportunisticPeers)) this.#graft(peer, other);
  }

  /** The best stay, and as many of the others as fit. */
  #pruneSome(peer: GossipPeer, scoreOf: (other: GossipPeer) => number): void {
    const ranked = this.#shuffled([...peer.mesh]).sort((a, b) => scoreOf(b) - scoreOf(a));
    const others = this.#shuffled(ranked.slice(this.params.Dscore));
    for (const other of others.slice(this.params.D - this.params.Dscore)) this.#prune(peer, other);
  }

  /** IHAVE to some neighbours outside the mesh; those without a message request it (IWANT) and get it. */
  #announce(topic: Topic, peer: GossipPeer, scoreOf: (other: GossipPeer) => number): void {
    if (topic.publishedMs.length === 0 || this.silent.has(peer.transport.self)) return;
    const { Dlazy, gossipFactor, historyGossip, heartbeatMs, gossipThreshold } = this.params;
    const { nowMs } = this.#network.scheduler;
    const self = peer.transport.host.index;
    const held = topic.recent.filter(
      ({ arrivals, accepted }) => accepted[self] === 1 && (arrivals[self] ?? NOT_YET) > nowMs - historyGossip * heartbeatMs,
    );
    if (held.length === 0) {
      // All peers have all announced messages: only the bytes count.
      const count = peer.neighbours.size - peer.mesh.size;
      const receivers = Math.min(count, Math.max(Dlazy, Math.floor(count * gossipFactor)));
      this.#network.bytes += receivers * (FRAME_BYTES + topic.publishedMs.length * MESSAGE_ID_BYTES);
      this.#network.messages += receivers;
      return;
    }
    const others = [...peer.neighbours].filter((other) => !peer.mesh.has(other) && scoreOf(other) >= gossipThreshold);
    const most = Math.max(Dlazy, Math.floor(others.length * gossipFactor));
    for (const other of this.#some(others, most)) {
      this.#network.bytes += FRAME_BYTES + topic.publishedMs.length * MESSAGE_ID_BYTES;
      this.#network.messages++;
      for (const message of held) {
        const atMs = message.arrivals[other.transport.host.index];
        // IHAVE, IWANT back, and the message: three ways.
        if (atMs === NOT_YET || (atMs !== undefined && atMs > nowMs)) this.#transmit(message, peer, other, 3);
      }
    }
  }

  /** A random sample; it changes the order of the values. */
  #some<T>(values: T[], count: number): T[] {
    if (values.length <= count) return values;
    this.#shuffle(values, count);
    return values.slice(0, count);
  }

  #shuffle<T>(values: T[], count: number): void {
    for (let i = 0; i < count; i++) {
      const j = i + Math.floor(this.#network.random.unit() * (values.length - i));
      [values[i], values[j]] = [values[j] as T, values[i] as T];
    }
  }

  #shuffled<T>(values: T[]): T[] {
    this.#shuffle(values, values.length - 1);
    return values;
  }

  /** Mesh degrees of all running peers, for tests and reports. */
  degrees(name: string): number[] {
    return [...(this.#topics.get(name)?.peers.values() ?? [])].map(({ mesh }) => mesh.size);
  }
}

function unlink(a: GossipPeer, b: GossipPeer): void {
  for (const [one, two] of [
    [a, b],
    [b, a],
  ] as const) {
    one.neighbours.delete(two);
    one.outbound.delete(two);
    one.mesh.delete(two);
    one.opinions.delete(two);
  }
}
