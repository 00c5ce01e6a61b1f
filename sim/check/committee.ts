// Checkers of the committee: one coordinator a term, who leads no minority; votes that bind; logs that match; and, in the end, one
// coordinator for all and voters enough, unless the disks of a majority are gone.
import type { DecisionState } from '../../consensus/decisions/state.ts';
import { isPart, unpacked } from '../../consensus/raft/frames.ts';
import type { ReplicatedLog } from '../../consensus/raft/replicated-log.ts';
import type { ConfState } from '../../consensus/raft/types.ts';
import { decodeMessage } from '../../consensus/raft/wire.ts';
import { toHex } from '../../swarm/dissemination/cbor.ts';
import { swarmNames } from '../../swarm/names.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Cluster } from '../cluster.ts';
import type { Running, SimulatedNode } from '../node.ts';
import { RaftChecks } from '../raft/checks.ts';
import { type Checker, nameOf, someOf } from './checker.ts';

/** A coordinator that cannot reach a majority has so long to step down. */
const STEP_DOWN_MS = 12_000;
/** Of a swarm of three members, or more. */
const MIN_VOTERS = 3;
/** Of a frame: what comes before its message. */
const HEADER_BYTES = 12;
const MAX_VIEWERS = 12;

/** No two agents take themselves for the coordinator of one term, none coordinates a minority; in the end all agree on one. */
export class CoordinatorChecker implements Checker {
  readonly name = 'coordinator';
  readonly #coordinators = new Map<number, string>();
  readonly #byTerm = new Map<number, PeerId>();
  /** Since when a coordinator has been without a majority. */
  readonly #cutOffMs = new Map<SimulatedNode, number>();
  /** Who votes, as far as any log says. */
  #newest: { applied: number; conf: ConfState } | undefined;

  each(cluster: Cluster): void {
    for (const { node, running } of cluster.running()) {
      const { coordinator, term, log } = running.swarm.consensus.committee;
      const replica = log.current;
      if (replica !== undefined && replica.state.applied >= (this.#newest?.applied ?? 0))
        this.#newest = { applied: replica.state.applied, conf: replica.conf };
      this.#followed(cluster, node, term, coordinator);
      if (coordinator !== node.peer || node.profile.lies.size > 0) {
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
    if (coordinator === undefined || node.profile.lies.size > 0) return;
    const other = this.#byTerm.get(term);
    if (other !== undefined && other !== coordinator)
      cluster.violation(`in term ${term} ${node.name} follows ${nameOf(cluster, coordinator)}, others ${nameOf(cluster, other)}`);
    this.#byTerm.set(term, coordinator);
  }

  #reach(cluster: Cluster, node: SimulatedNode): void {
    const { network, scheduler } = cluster;
    const own = network.hostOf(node.peer);
    const voters = node.running?.swarm.consensus.committee.seats.all().filter(({ votes }) => votes) ?? [];
    const reached = voters.filter(({ peer }) => {
      const other = peer === undefined ? undefined : cluster.byPeer(peer);
      return other === node || (other?.running !== undefined && network.connects(own, network.hostOf(other.peer)));
    });
    if (reached.length * 2 > voters.length || node.process.paused) return void this.#cutOffMs.delete(node);
    const sinceMs = this.#cutOffMs.get(node) ?? scheduler.nowMs;
    this.#cutOffMs.set(node, sinceMs);
    if (scheduler.nowMs - sinceMs > STEP_DOWN_MS)
      cluster.violation(`${node.name} coordinates though it reaches ${reached.length} of ${voters.length} voters only`);
  }

  end(cluster: Cluster): void {
    const named = new Set(cluster.running().map(({ running }) => running.swarm.consensus.committee.coordinator));
    const alive = [...named].every((peer) => peer !== undefined && cluster.byPeer(peer)?.running !== undefined);
    if ((named.size !== 1 || !alive) && !this.#isLost(cluster))
      cluster.violation(`no single coordinator: ${[...named].map((peer) => nameOf(cluster, peer)).join(', ')}`);
    const voters = this.#newest?.conf.voters.length ?? 0;
    if (voters < MIN_VOTERS && cluster.running().length >= MIN_VOTERS && !this.#isLost(cluster))
      cluster.violation(`the committee has ${voters} voters only`);
  }

  /** A majority of those who vote have lost their disks: only people can say what holds then. */
  #isLost(cluster: Cluster): boolean {
    const logs = new Set(cluster.running().flatMap(({ running }) => running.swarm.consensus.committee.log.current?.id ?? []));
    const voters = this.#newest?.conf.voters ?? [];
    return voters.filter((id) => logs.has(id)).length * 2 <= voters.length;
  }
}

/** Whoever votes has one vote a term, whatever becomes of it; and what the logs hold is what Raft promises. */
export class RaftChecker implements Checker {
  readonly name = 'raft';
  readonly #checks = new RaftChecks();
  #told = 0;
  readonly #led = new WeakMap<ReplicatedLog, number>();
  readonly #applied = new WeakMap<ReplicatedLog, number>();

  begin(cluster: Cluster): void {
    const protocol = swarmNames(cluster.swarmId).protocol('raft');
    const votes = new Map<string, number>();
    cluster.network.taps.push((from, _to, name, bytes) => {
      if (name !== protocol || cluster.byPeer(from.peer)?.profile.lies.size !== 0) return;
      for (const frame of unpacked(bytes)) {
        const message = isPart(frame) ? undefined : decodeMessage(frame.subarray(HEADER_BYTES));
        const isVote = message?.type === 'MsgVote' || (message?.type === 'MsgVoteResp' && !message.reject);
        if (message === undefined || !isVote) continue;
        const choice = message.type === 'MsgVote' ? message.from : message.to;
        const key = `${message.from} in term ${message.term}`;
        if ((votes.get(key) ?? choice) !== choice) cluster.violation(`${key} gave its vote twice`);
        votes.set(key, choice);
      }
    });
  }

  each(cluster: Cluster): void {
    for (const { node, running } of cluster.running()) {
      const { current: replica, failures } = running.swarm.consensus.committee.log;
      if (failures > 0) cluster.violation(`the log of ${node.name} has stopped`);
      if (replica !== undefined) this.#look(replica);
    }
    for (const violation of this.#checks.violations.slice(this.#told)) cluster.violation(violation);
    this.#told = this.#checks.violations.length;
  }

  #look(replica: ReplicatedLog): void {
    const { state, term, applied } = replica.state;
    if (state === 'StateLeader' && this.#led.get(replica) !== term) {
      this.#led.set(replica, term);
      this.#checks.led(replica.id, term, replica);
    }
    const before = this.#applied.get(replica) ?? 0;
    if (before === applied) return;
    this.#applied.set(replica, applied);
    for (const entry of replica.entries())
      if (entry.index > before && entry.index <= applied) this.#checks.applied(replica.id, entry, term);
    this.#checks.matching(replica.id, replica);
  }
}

/** One turn in so many looks at states too that no decision has changed: to encode them is most of what checking costs. */
const LOOKED_AGAIN = 8;

/** All who know the decisions up to one place hold the same; in the end all know the newest, unless most voters lost their disks. */
export class DecisionsChecker implements Checker {
  readonly name = 'decisions';
  readonly #states = new Map<number, { hex: string; by: string }>();
  /** Up to where each was looked at. */
  readonly #seen = new WeakMap<DecisionState, number>();
  #turn = 0;

  each(cluster: Cluster): void {
    for (const { node, running } of someOf(cluster.running(), MAX_VIEWERS, this.#turn++)) {
      const { state } = running.swarm.consensus.decisions;
      if (this.#seen.get(state) === state.index && this.#turn % LOOKED_AGAIN !== 0) continue;
      this.#seen.set(state, state.index);
      this.#look(cluster, node, running);
    }
  }

  #look(cluster: Cluster, node: SimulatedNode, { swarm }: Running): void {
    const { state } = swarm.consensus.decisions;
    const hex = toHex(node.crypto.hash(state.encode()));
    const known = this.#states.get(state.index);
    if (known !== undefined && known.hex !== hex)
      cluster.violation(`${node.name} holds other decisions up to ${state.index} than ${known.by}`);
    this.#states.set(state.index, { hex, by: node.name });
  }

  end(cluster: Cluster): void {
    for (const { node, running } of cluster.running()) this.#look(cluster, node, running);
    const indexes = new Set(cluster.running().map(({ running }) => running.swarm.consensus.decisions.state.index));
    const leads = cluster.running().some(({ node, running }) => running.swarm.consensus.committee.coordinator === node.peer);
    if (indexes.size > 1 && leads)
      cluster.violation(`decisions are known up to ${[...indexes].sort((a, b) => a - b).join(', ')}`);
  }
}
