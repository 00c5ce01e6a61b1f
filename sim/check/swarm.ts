// Checkers of the swarm: votes that bind, views that hold and converge, statuses that arrive and do not lie about their age.
import { decodeVoteMessage } from '../../consensus/vote/claim.ts';
import { parseEnvelope } from '../../swarm/dissemination/envelope.ts';
import { statusAgeMs } from '../../swarm/membership/ages.ts';
import { swarmNames } from '../../swarm/names.ts';
import { SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import { STATUS_CONDITIONS } from '../../swarm/state/status.ts';
import type { Cluster } from '../cluster.ts';
import { EPOCH_MS, type SimulatedNode } from '../node.ts';
import { type Checker, nameOf, someOf } from './checker.ts';

const MAX_VIEWERS = 12;
/** What a status may be older than its holder says: the way through the mesh, and what a lost copy takes to be asked for again. */
const AGE_TOLERANCE_MS = 5_000;
/** And over slow links: hops, and an IHAVE, an IWANT and the message itself, once or twice. */
const AGE_TOLERANCE_LINKS = 10;
/**
 * Over a network that is cut, here and then there, a status is handed on: each holder tells of it for two heartbeats after it got it, and
 * whoever asks then has it as new. So long at most, by what is told of at all (sim/network/gossip.ts); and until the next status comes.
 */
const HANDED_ON_MS = 16_000;
const NEXT_STATUS_MS = 30_000;
const CUTTING = ['partition', 'one-way', 'partial', 'flap', 'loss'];
/** After something slowed machines down, ages are not judged for so long. */
const SLOWED_MS = 90_000;
const SLOWING = ['pause', 'lag', 'clog', 'latency', 'disk-slow'];

/** What an agent holds true of itself is told to the others within this: who flaps is heard a few times, and then each ten seconds (swarm/state/status-pacing.ts). */
const TELL_MS = 11_000;

/** Nobody gives two answers where one was promised, not after a crash either. */
export class PromiseChecker implements Checker {
  readonly name = 'promises';

  begin(cluster: Cluster): void {
    const protocol = swarmNames(cluster.swarmId).protocol('vote');
    const votes = new Map<string, string>();
    cluster.network.taps.push((from, _to, name, bytes) => {
      const node = cluster.byPeer(from.peer);
      if (node === undefined || node.profile.lies.size > 0) return;
      if (name === protocol) {
        const message = decodeVoteMessage(bytes);
        if (message?.type !== 'vote') return;
        const { claimId, verdict, reason } = message.vote;
        promise(
          cluster,
          votes,
          `${node.name} on claim ${claimId} since start ${node.past.starts}`,
          `${verdict} ${reason}`,
          'signed two votes',
        );
      }
    });
  }
}

function promise(cluster: Cluster, made: Map<string, string>, key: string, value: string, what: string): void {
  const before = made.get(key);
  if (before !== undefined && before !== value) cluster.violation(`${key} ${what}`);
  made.set(key, value);
}

/** No running member is held for unreachable without cause, or forgotten; in the end every view is the truth. */
export class MembershipChecker implements Checker {
  readonly name = 'membership';
  #turn = 0;

  each(cluster: Cluster): void {
    const viewers = cluster.running().filter(({ node }) => !cluster.history.isExcused(node));
    for (const { node: viewer, running } of someOf(viewers, MAX_VIEWERS, this.#turn++)) {
      const states = new Map(running.swarm.members.all().map(({ peer, state }) => [peer, state]));
      for (const { node } of viewers) {
        const state = states.get(node.peer);
        if (state !== 'alive') cluster.violation(`${viewer.name} holds ${node.name} for ${state ?? 'no member'}, without cause`);
      }
    }
  }

  end(cluster: Cluster): void {
    const running = cluster.running();
    const names = running
      .map(({ node }) => node.name)
      .sort()
      .join(' ');
    for (const { node, running: agent } of running) {
      const alive = agent.swarm.members.all().filter(({ state }) => state === 'alive');
      const seen = alive
        .map(({ peer }) => nameOf(cluster, peer))
        .sort()
        .join(' ');
      if (seen !== names) cluster.violation(`${node.name} sees ${seen} alive, not ${names}`);
    }
  }
}

/** Everybody holds everybody's newest status in the end; nobody holds what its origin never said, or says that a status is younger than it is, or keeps its own state to itself. */
export class StatusChecker implements Checker {
  readonly name = 'statuses';
  #turn = 0;
  /** The ends of envelopes, by their signatures, as their own origins published them. */
  readonly #said = new Set<string>();
  readonly #copies = new WeakSet<Uint8Array>();
  readonly #untoldMs = new Map<SimulatedNode, number>();

  begin(cluster: Cluster): void {
    cluster.network.gossip.onReject = (from, to) => {
      const [sender, receiver] = [cluster.byPeer(from.self), cluster.byPeer(to.self)];
      if (sender?.profile.lies.size === 0)
        cluster.violation(`${receiver?.name} holds for invalid what ${sender.name}, which does not lie, brought it`);
    };
    cluster.network.gossip.onPublish = (from, bytes) => {
      const envelope = parseEnvelope(cluster.node(0).crypto, bytes);
      if (envelope?.origin === from.self) this.#said.add(signatureOf(bytes));
    };
  }

  each(cluster: Cluster): void {
    for (const { node: viewer, running: other } of someOf(cluster.running(), MAX_VIEWERS, this.#turn))
      for (const { origin, envelope } of other.swarm.members.statuses.entries())
        if (cluster.byPeer(origin)?.profile.lies.size === 0 && !this.#wasSaid(envelope))
          cluster.violation(`${viewer.name} holds a status that ${nameOf(cluster, origin)} never published`);
    this.#told(cluster);
    this.#ages(cluster);
  }

  /** These very bytes, or a copy of them. */
  #wasSaid(envelope: Uint8Array): boolean {
    if (this.#copies.has(envelope)) return true;
    if (!this.#said.has(signatureOf(envelope))) return false;
    this.#copies.add(envelope);
    return true;
  }

  /** What an agent has found of itself is in the status that it publishes. */
  #told(cluster: Cluster): void {
    const { nowMs } = cluster.scheduler;
    for (const { node, agent } of someOf(cluster.agents(), MAX_VIEWERS, this.#turn)) {
      const published = agent.swarm.members.statuses.get(node.peer)?.status;
      const now = agent.parts.watcher.conditions();
      const differs = published !== undefined && STATUS_CONDITIONS.some((name) => published.conditions[name] !== now[name]);
      if (!differs || node.process.paused || node.profile.lies.size > 0 || cluster.history.isExcused(node)) {
        this.#untoldMs.delete(node);
        continue;
      }
      const sinceMs = this.#untoldMs.get(node) ?? nowMs;
      this.#untoldMs.set(node, sinceMs);
      if (nowMs - sinceMs > TELL_MS)
        cluster.violation(`${node.name} has kept its conditions to itself for ${nowMs - sinceMs} ms`);
    }
  }

  #ages(cluster: Cluster): void {
    const { nowMs } = cluster.scheduler;
    const { latencyMs, jitterMs } = cluster.network.topology(0, 1);
    const isCut = cluster.history.faults.some(
      ({ fault, atMs }) => CUTTING.includes(fault.kind) && nowMs < atMs + fault.forMs + HANDED_ON_MS + NEXT_STATUS_MS,
    );
    const waysMs = isCut ? HANDED_ON_MS : AGE_TOLERANCE_MS;
    const toleranceMs = waysMs + AGE_TOLERANCE_LINKS * (latencyMs + jitterMs);
    const slowed = cluster.history.faults.some(
      ({ fault, atMs }) => SLOWING.includes(fault.kind) && nowMs < atMs + fault.forMs + SLOWED_MS,
    );
    // A status that is said again by another counts as new for whoever did not have it: until the next one, 30 s at most.
    const replayed = cluster.nodes.some(({ profile }) => profile.lies.has('replay'));
    if (slowed || replayed) return;
    for (const { node: viewer, running } of someOf(cluster.running(), MAX_VIEWERS, this.#turn++)) {
      if (viewer.clock.driftPpm !== 0) continue;
      for (const { origin, status, heardMs } of running.swarm.members.statuses.entries()) {
        const node = cluster.byPeer(origin);
        if (node === undefined || !steady(cluster, node)) continue;
        const ageMs = nowMs - (status.atMs - EPOCH_MS - node.clock.skewMs);
        if (nowMs - heardMs < ageMs - toleranceMs) {
          const [said, is] = [nowMs - heardMs, ageMs].map((ms) => `${(ms / 1000).toFixed(1)} s`);
          cluster.violation(`${viewer.name} says that the status of ${node.name} is ${said} old; it is ${is} old`);
        }
      }
    }
  }

  end(cluster: Cluster): void {
    const running = cluster.running();
    for (const { node, running: agent } of running) {
      const own = agent.swarm.members.statuses.get(node.peer);
      if (own === undefined) continue;
      const fresh = cluster.scheduler.nowMs - own.heardMs < AGE_TOLERANCE_MS;
      for (const { node: viewer, running: other } of running) {
        if (viewer.profile.lies.size > 0) continue; // it may have been graylisted: what reaches it is its own affair
        const held = other.swarm.members.statuses.get(node.peer);
        if (held === undefined) cluster.violation(`${viewer.name} has no status of ${node.name}`);
        else if (node.profile.lies.size === 0 && held.sequence < own.sequence && !fresh)
          cluster.violation(`${viewer.name} has an old status of ${node.name}: ${held.sequence}, not ${own.sequence}`);
        else if (cluster.scheduler.nowMs - held.heardMs > statusAgeMs(cluster.nodes.length) + AGE_TOLERANCE_MS)
          cluster.violation(`${viewer.name} has not heard ${node.name} for ${cluster.scheduler.nowMs - held.heardMs} ms`);
      }
    }
  }
}

/** The end of an envelope is its signature. */
function signatureOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(-SIGNATURE_BYTES));
}

/** Its clock never jumped, so that its times can be told from the world's. */
function steady(cluster: Cluster, node: SimulatedNode): boolean {
  const jumped = cluster.history.faults.some(({ fault, nodes }) => fault.kind === 'clock-jump' && nodes.includes(node.index));
  return !jumped && node.clock.driftPpm === 0 && node.profile.lies.size === 0;
}
