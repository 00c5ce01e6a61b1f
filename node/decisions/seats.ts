// The members of the committee, by the configuration of this agent's log: as peers, where Raft has ids.
import type { RaftIds } from '../../consensus/committee/raft-ids.ts';
import type { NodeId } from '../../consensus/raft/types.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Members } from './members.ts';
import type { OwnLog } from './own-log.ts';

const MAX_RTT_MS = 500;

/** A member of the committee, as it is shown. */
export interface Seat {
  peer: PeerId | undefined;
  id: NodeId;
  votes: boolean;
  leads: boolean;
  /** Only the leader knows it. */
  behind: number | undefined;
}

export class Seats {
  readonly #log: OwnLog;
  readonly #raftIds: RaftIds;
  readonly #members: Members;

  constructor(log: OwnLog, raftIds: RaftIds, members: Members) {
    this.#log = log;
    this.#raftIds = raftIds;
    this.#members = members;
  }

  ids(): NodeId[] {
    const { voters = [], votersOutgoing = [], learners = [] } = this.#log.current?.conf ?? {};
    return [...new Set([...voters, ...votersOutgoing, ...learners])];
  }

  peerOf(id: NodeId): PeerId | undefined {
    return this.#raftIds.peerOf(id, () => this.#members.all().map(({ peer }) => peer));
  }

  /** Whether a Raft id is of this peer: for its present log, or another one. */
  isOf(id: NodeId, peer: PeerId): boolean {
    return this.#raftIds.isOf(id, peer);
  }

  nameOf(id: NodeId): string {
    const peer = this.peerOf(id);
    return peer === undefined ? 'a voter that is not a member' : this.#members.nameOf(peer);
  }

  /** The other members of the committee, if this agent belongs to it. */
  peers(): PeerId[] {
    const { id } = this.#log.current ?? {};
    const ids = this.ids();
    if (id === undefined || !ids.includes(id)) return [];
    return ids.flatMap((one) => this.peerOf(one) ?? []).filter((peer) => peer !== this.#members.self);
  }

  /** The voters, with this agent; undefined while they change, or if one of them is not known. */
  voters(): PeerId[] | undefined {
    const { voters = [], votersOutgoing = [] } = this.#log.current?.conf ?? {};
    const peers = voters.flatMap((id) => this.peerOf(id) ?? []);
    return votersOutgoing.length > 0 || peers.length < voters.length || peers.length === 0 ? undefined : peers;
  }

  all(): Seat[] {
    const { conf, state } = this.#log.current ?? {};
    return this.ids().map((id) => ({
      id,
      peer: this.peerOf(id),
      votes: conf?.voters.includes(id) ?? false,
      leads: state?.lead === id,
      behind: this.#log.leading?.follower(id)?.behind,
    }));
  }

  /** The median of the others: with this agent, those at or below it are a majority. */
  rttMs(): number {
    const known = this.peers().flatMap((peer) => this.#members.rttMs(peer) ?? []);
    const median = known.sort((a, b) => a - b)[Math.floor((known.length - 1) / 2)];
    return Math.min(MAX_RTT_MS, Math.max(1, median ?? 0));
  }
}
