// Checkers of the swarm: one vote on a claim, correct and converging views, statuses that arrive and have a correct age.
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
/** How much older a status may be than its holder's figure: the time through the mesh, and to request a lost copy again. */
const AGE_TOLERANCE_MS = 5_000;
/** The same over slow links, in link latencies: hops, and an IHAVE, an IWANT and the message itself, once or twice. */
const AGE_TOLERANCE_LINKS = 10;
/**
 * During changing partitions a status travels slowly: each holder announces it for two heartbeats after its arrival, and a receiver then
 * counts it as new. This is the longest such time (sim/network/gossip.ts), until the next status comes.
 */
const HANDED_ON_MS = 16_000;
const NEXT_STATUS_MS = 30_000;
const CUTTING = ['partition', 'one-way', 'partial', 'flap', 'loss'];
/** Ages are not checked for this long after a fault that slows machines down. */
const SLOWED_MS = 90_000;
const SLOWING = ['pause', 'lag', 'clog', 'latency', 'disk-slow'];

/** An agent's conditions are published within this time: one that flaps sends a few statuses, then one each ten seconds (swarm/state/status-pacing.ts). */
const PUBLISH_MS = 11_000;

/** No witness signs two different votes on one claim, not even after a crash. */
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

/** No running member is considered unreachable without a fault, or forgotten. At the end every view is correct. */
export class MembershipChecker implements Checker {
  readonly name = 'membership';
  #turn = 0;

  each(cluster: Cluster): void {
    const viewers = cluster.running().filter(({ node }) => !cluster.history.isExcused(node));
    for (const { node: viewer, running } of someOf(viewers, MAX_VIEWERS, this.#turn++)) {
      const states = new Map(running.swarm.members.all().map(({ peer, state }) => [peer, state]));
      for (const { node } of viewers) {
        const state = states.get(node.peer);
        if (state !== 'alive')
          cluster.violation(`${viewer.name} considers ${node.name} ${state ?? 'no member'}, without a fault`);
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

/**
 * At the end all members have the newest status of all. No member has a status that its origin never published, or takes one for younger than
 * it is, or fails to publish its own conditions.
 */
export class StatusChecker implements Checker {
  readonly name = 'statuses';
  #turn = 0;
  /** The signatures of envelopes, as their origins published them. */
  readonly #published = new Set<string>();
  readonly #copies = new WeakSet<Uint8Array>();
  readonly #unpublishedMs = new Map<SimulatedNode, number>();

  begin(cluster: Cluster): void {
    cluster.network.gossip.onReject = (from, to) => {
      const [sender, receiver] = [cluster.byPeer(from.self), cluster.byPeer(to.self)];
      if (sender?.profile.lies.size === 0) cluster.violation(`${receiver?.name} rejects a valid message of ${sender.name}`);
    };
    cluster.network.gossip.onPublish = (from, bytes) => {
      const envelope = parseEnvelope(cluster.node(0).crypto, bytes);
      if (envelope?.origin === from.self) this.#published.add(signatureOf(bytes));
    };
  }

  each(cluster: Cluster): void {
    for (const { node: viewer, running: other } of someOf(cluster.running(), MAX_VIEWERS, this.#turn))
      for (const { origin, envelope } of other.swarm.members.statuses.entries())
        if (cluster.byPeer(origin)?.profile.lies.size === 0 && !this.#wasPublished(envelope))
          cluster.violation(`${viewer.name} has a status that ${nameOf(cluster, origin)} never published`);
    this.#publishes(cluster);
    this.#ages(cluster);
  }

  /** These bytes, or a copy of them. */
  #wasPublished(envelope: Uint8Array): boolean {
    if (this.#copies.has(envelope)) return true;
    if (!this.#published.has(signatureOf(envelope))) return false;
    this.#copies.add(envelope);
    return true;
  }

  /** The conditions of an agent are in the status that it publishes. */
  #publishes(cluster: Cluster): void {
    const { nowMs } = cluster.scheduler;
    for (const { node, agent } of someOf(cluster.agents(), MAX_VIEWERS, this.#turn)) {
      const published = agent.swarm.members.statuses.get(node.peer)?.status;
      const now = agent.parts.watcher.conditions();
      const differs = published !== undefined && STATUS_CONDITIONS.some((name) => published.conditions[name] !== now[name]);
      if (!differs || node.process.paused || node.profile.lies.size > 0 || cluster.history.isExcused(node)) {
        this.#unpublishedMs.delete(node);
        continue;
      }
      const sinceMs = this.#unpublishedMs.get(node) ?? nowMs;
      this.#unpublishedMs.set(node, sinceMs);
      if (nowMs - sinceMs > PUBLISH_MS)
        cluster.violation(`${node.name} has not published its conditions for ${nowMs - sinceMs} ms`);
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
    // A replayed status counts as new for a member that did not have it: until the next one, at most 30 s.
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
        if (viewer.profile.lies.size > 0) continue; // it may be graylisted: then little reaches it
        const held = other.swarm.members.statuses.get(node.peer);
        if (held === undefined) cluster.violation(`${viewer.name} has no status of ${node.name}`);
        else if (node.profile.lies.size === 0 && held.sequence < own.sequence && !fresh)
          cluster.violation(`${viewer.name} has an old status of ${node.name}: ${held.sequence}, not ${own.sequence}`);
        else if (cluster.scheduler.nowMs - held.heardMs > statusAgeMs(cluster.nodes.length) + AGE_TOLERANCE_MS)
          cluster.violation(
            `${viewer.name} has had no heartbeat of ${node.name} for ${cluster.scheduler.nowMs - held.heardMs} ms`,
          );
      }
    }
  }
}

/** The end of an envelope is its signature. */
function signatureOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(-SIGNATURE_BYTES));
}

/** Its clock never jumped, so that its times can be compared with the world's. */
function steady(cluster: Cluster, node: SimulatedNode): boolean {
  const jumped = cluster.history.faults.some(({ fault, nodes }) => fault.kind === 'clock-jump' && nodes.includes(node.index));
  return !jumped && node.clock.driftPpm === 0 && node.profile.lies.size === 0;
}
