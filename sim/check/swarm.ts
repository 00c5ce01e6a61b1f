// Checkers of the swarm: one coordinator a term, views that hold and converge, statuses that arrive and do not lie about their age.
import { decodeElectionMessage } from '../../consensus/election/election.ts';
import { decodeVoteMessage } from '../../consensus/vote/claim.ts';
import { parseEnvelope } from '../../swarm/dissemination/envelope.ts';
import { statusAgeMs } from '../../swarm/membership/ages.ts';
import { swarmNames } from '../../swarm/names.ts';
import { SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { STATUS_CONDITIONS } from '../../swarm/state/status.ts';
import type { Cluster } from '../cluster.ts';
import { EPOCH_MS, type SimulatedNode } from '../node.ts';
import { type Checker, someOf } from './checker.ts';

const MOST_VIEWERS = 12;
/** What a status may be older than its holder says: the way through the mesh, and what a lost copy takes to be asked for again. */
const AGE_TOLERANCE_MS = 5_000;
/** And over slow links: hops, and an IHAVE, an IWANT and the message itself, once or twice. */
const AGE_TOLERANCE_LINKS = 10;
/** After something slowed machines down, ages are not judged for so long. */
const SLOWED_MS = 90_000;
const SLOWING = ['pause', 'lag', 'clog', 'latency', 'disk-slow'];

/** A coordinator that cannot reach a majority has so long to step down. */
const STEP_DOWN_MS = 12_000;
/** What an agent holds true of itself is told to the others within this. */
const TELL_MS = 5_000;

/** No two agents take themselves for the coordinator of one term, none coordinates a minority; in the end all agree on one. */
export class CoordinatorChecker implements Checker {
  readonly name = 'coordinator';
  readonly #coordinators = new Map<number, string>();
  readonly #byTerm = new Map<number, PeerId>();
  /** Since when a coordinator has been without a majority. */
  readonly #cutOffMs = new Map<SimulatedNode, number>();

  each(cluster: Cluster): void {
    for (const { node, running } of cluster.running()) {
      const { coordinator, term } = running.swarm;
      this.#followed(cluster, node, term, coordinator);
      if (coordinator !== node.peer || node.lies.size > 0) {
        this.#cutOffMs.delete(node);
        continue;
      }
      this.#reach(cluster, node);
      const other = this.#coordinators.get(term);
      if (other !== undefined && other !== node.name)
        cluster.violation(`two coordinators in term ${term}: ${other} and ${node.name}`);
      this.#coordinators.set(term, node.name);
    }
  }

  /** Whom they hold for the coordinator of their term is one and the same. */
  #followed(cluster: Cluster, node: SimulatedNode, term: number, coordinator: PeerId | undefined): void {
    if (coordinator === undefined || node.lies.size > 0) return;
    const other = this.#byTerm.get(term);
    if (other !== undefined && other !== coordinator)
      cluster.violation(`in term ${term} ${node.name} follows ${nameOf(cluster, coordinator)}, others ${nameOf(cluster, other)}`);
    this.#byTerm.set(term, coordinator);
  }

  #reach(cluster: Cluster, node: SimulatedNode): void {
    const { network, scheduler } = cluster;
    const own = network.hostOf(node.peer);
    const reached = cluster
      .running()
      .filter((other) => other.node === node || network.connects(own, network.hostOf(other.node.peer)));
    // Those that left are no members; those that crashed are.
    const members = node.running?.swarm.members.length ?? 0;
    if (reached.length * 2 > members || node.process.paused) return void this.#cutOffMs.delete(node);
    const sinceMs = this.#cutOffMs.get(node) ?? scheduler.nowMs;
    this.#cutOffMs.set(node, sinceMs);
    if (scheduler.nowMs - sinceMs > STEP_DOWN_MS)
      cluster.violation(`${node.name} coordinates though it reaches ${reached.length} of ${members} only`);
  }

  end(cluster: Cluster): void {
    const named = new Set(cluster.running().map(({ running }) => running.swarm.coordinator));
    const alive = [...named].every((peer) => peer !== undefined && cluster.byPeer(peer)?.running !== undefined);
    if (named.size !== 1 || !alive)
      cluster.violation(`no single coordinator: ${[...named].map((peer) => nameOf(cluster, peer)).join(', ')}`);
  }
}

/** Nobody gives two answers where one was promised, not after a crash either. */
export class PromiseChecker implements Checker {
  readonly name = 'promises';

  begin(cluster: Cluster): void {
    const names = swarmNames(cluster.swarmId);
    const [election, vote] = [names.protocol('election'), names.protocol('vote')];
    const grants = new Map<string, PeerId>();
    const votes = new Map<string, string>();
    cluster.network.tap = (from, to, protocol, bytes) => {
      const node = cluster.byPeer(from.peer);
      if (node === undefined || node.lies.size > 0) return;
      if (protocol === election) {
        const message = decodeElectionMessage(bytes);
        if (message?.type !== 'grant' && message?.type !== 'ask') return;
        const choice = message.type === 'ask' ? from.peer : to;
        promise(cluster, grants, `${node.name} in term ${message.term} of disk ${node.wipes}`, choice, 'gave its vote twice');
      } else if (protocol === vote) {
        const message = decodeVoteMessage(bytes);
        if (message?.type !== 'vote') return;
        const { claimId, verdict, reason } = message.vote;
        promise(
          cluster,
          votes,
          `${node.name} on claim ${claimId} since start ${node.starts}`,
          `${verdict} ${reason}`,
          'signed two votes',
        );
      }
    };
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
    const viewers = cluster.running().filter(({ node }) => !cluster.isExcused(node));
    for (const { node: viewer, running } of someOf(viewers, MOST_VIEWERS, this.#turn++)) {
      const states = new Map(running.swarm.members.map(({ peer, state }) => [peer, state]));
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
      const alive = agent.swarm.members.filter(({ state }) => state === 'alive');
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
      if (sender?.lies.size === 0)
        cluster.violation(`${receiver?.name} holds for invalid what ${sender.name}, which does not lie, brought it`);
    };
    cluster.network.gossip.onPublish = (from, bytes) => {
      const envelope = parseEnvelope(cluster.node(0).crypto, bytes);
      if (envelope?.origin === from.self) this.#said.add(signatureOf(bytes));
    };
  }

  each(cluster: Cluster): void {
    for (const { node: viewer, running: other } of someOf(cluster.running(), MOST_VIEWERS, this.#turn))
      for (const { origin, envelope } of other.swarm.statuses.entries())
        if (cluster.byPeer(origin)?.lies.size === 0 && !this.#wasSaid(envelope))
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
    for (const { node, agent } of someOf(cluster.agents(), MOST_VIEWERS, this.#turn)) {
      const published = agent.swarm.statuses.get(node.peer)?.status;
      const now = agent.conditions();
      const differs = published !== undefined && STATUS_CONDITIONS.some((name) => published.conditions[name] !== now[name]);
      if (!differs || node.process.paused || node.lies.size > 0 || cluster.isExcused(node)) {
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
    const toleranceMs = AGE_TOLERANCE_MS + AGE_TOLERANCE_LINKS * (latencyMs + jitterMs);
    const slowed = cluster.faultTimes.some(
      ({ fault, atMs }) => SLOWING.includes(fault.kind) && nowMs < atMs + fault.forMs + SLOWED_MS,
    );
    // A status that is said again by another counts as new for whoever did not have it: until the next one, 30 s at most.
    const replayed = cluster.nodes.some(({ lies }) => lies.has('replay'));
    if (slowed || replayed) return;
    for (const { node: viewer, running } of someOf(cluster.running(), MOST_VIEWERS, this.#turn++)) {
      if (viewer.driftPpm !== 0) continue;
      for (const { origin, status, heardMs } of running.swarm.statuses.entries()) {
        const node = cluster.byPeer(origin);
        if (node === undefined || !steady(cluster, node)) continue;
        const ageMs = nowMs - (status.atMs - EPOCH_MS - node.skewMs);
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
      const own = agent.swarm.statuses.get(node.peer);
      if (own === undefined) continue;
      const fresh = cluster.scheduler.nowMs - own.heardMs < AGE_TOLERANCE_MS;
      for (const { node: viewer, running: other } of running) {
        if (viewer.lies.size > 0) continue; // it may have been graylisted: what reaches it is its own affair
        const held = other.swarm.statuses.get(node.peer);
        if (held === undefined) cluster.violation(`${viewer.name} has no status of ${node.name}`);
        else if (node.lies.size === 0 && held.sequence < own.sequence && !fresh)
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
  const jumped = cluster.faultTimes.some(({ fault, nodes }) => fault.kind === 'clock-jump' && nodes.includes(node.index));
  return !jumped && node.driftPpm === 0 && node.lies.size === 0;
}

function nameOf(cluster: Cluster, peer: PeerId | undefined): string {
  return peer === undefined ? 'nobody' : (cluster.byPeer(peer)?.name ?? peer);
}
