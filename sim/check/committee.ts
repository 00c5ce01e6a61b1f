// Checkers of the committee: one leader a term, never of a minority; one vote a term; matching logs. At the end one leader for all and
// enough voters, unless a majority lost its disks.
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

/** A leader without a majority must step down within this time. */
const STEP_DOWN_MS = 12_000;
/** For swarms of three members or more. */
const MIN_VOTERS = 3;
/** The header of a frame, before its message. */
const HEADER_BYTES = 12;
const MAX_VIEWERS = 12;

/** A term has at most one leader, and no leader has only a minority. At the end all members agree on one. */
export class CoordinatorChecker implements Checker {
  readonly name = 'coordinator';
  readonly #coordinators = new Map<number, string>();
  readonly #byTerm = new Map<number, PeerId>();
  /** Since when a leader has been without a majority. */
  readonly #cutOffMs = new Map<SimulatedNode, number>();
  /** The newest configuration in any log. */
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
      if (other !== undefined && other !== node.name) cluster.violation(`two leaders in term ${term}: ${other} and ${node.name}`);
      this.#coordinators.set(term, node.name);
    }
  }

  /** All members of a term follow the same leader. */
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
      cluster.violation(`${node.name} is leader but reaches only ${reached.length} of ${voters.length} voters`);
  }

  end(cluster: Cluster): void {
    const named = new Set(cluster.running().map(({ running }) => running.swarm.consensus.committee.coordinator));
    const alive = [...named].every((peer) => peer !== undefined && cluster.byPeer(peer)?.running !== undefined);
    if ((named.size !== 1 || !alive) && !this.#isLost(cluster))
      cluster.violation(`not one leader: ${[...named].map((peer) => nameOf(cluster, peer)).join(', ')}`);
    const voters = this.#newest?.conf.voters.length ?? 0;
    if (voters < MIN_VOTERS && cluster.running().length >= MIN_VOTERS && !this.#isLost(cluster))
      cluster.violation(`the committee has only ${voters} voters`);
  }

  /** A majority of the voters have lost their disks: then only a person can recover the committee. */
  #isLost(cluster: Cluster): boolean {
    const logs = new Set(cluster.running().flatMap(({ running }) => running.swarm.consensus.committee.log.current?.id ?? []));
    const voters = this.#newest?.conf.voters ?? [];
    return voters.filter((id) => logs.has(id)).length * 2 <= voters.length;
  }
}

/** Each voter has one vote a term, also after a restart; and the logs satisfy Raft's invariants. */
export class RaftChecker implements Checker {
  readonly name = 'raft';
  readonly #checks = new RaftChecks();
  #reported = 0;
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
        if ((votes.get(key) ?? choice) !== choice) cluster.violation(`${key} voted twice`);
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
    for (const violation of this.#checks.violations.slice(this.#reported)) cluster.violation(violation);
    this.#reported = this.#checks.violations.length;
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

/** Every n-th check also checks unchanged states: their encoding is most of the cost. */
const LOOKED_AGAIN = 8;

/** Members with decisions up to the same index have the same state. At the end all have the newest, unless most voters lost their disks. */
export class DecisionsChecker implements Checker {
  readonly name = 'decisions';
  readonly #states = new Map<number, { hex: string; by: string }>();
  /** The index up to which each state was checked. */
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
      cluster.violation(`${node.name} and ${known.by} differ in decisions up to ${state.index}`);
    this.#states.set(state.index, { hex, by: node.name });
  }

  end(cluster: Cluster): void {
    for (const { node, running } of cluster.running()) this.#look(cluster, node, running);
    const indexes = new Set(cluster.running().map(({ running }) => running.swarm.consensus.decisions.state.index));
    const leads = cluster.running().some(({ node, running }) => running.swarm.consensus.committee.coordinator === node.peer);
    if (indexes.size > 1 && leads)
      cluster.violation(`members have decisions up to ${[...indexes].sort((a, b) => a - b).join(', ')}`);
  }
}
