// Who belongs to the committee, by the configuration of this agent's log: its members as peers, where Raft knows them by numbers.
import type { RaftIds } from '../../consensus/committee/raft-ids.ts';
import type { NodeId } from '../../consensus/raft/types.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Members } from './members.ts';
import type { OwnLog } from './own-log.ts';

const MAX_RTT_MS = 500;

/** One of the committee, as it is shown. */
export interface Seat {
  peer: PeerId | undefined;
  id: NodeId;
  votes: boolean;
  leads: boolean;
  /** Known to the leader only. */
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

  /** Whether a number is this peer's: of this log of its, or of another. */
  isOf(id: NodeId, peer: PeerId): boolean {
    return this.#raftIds.isOf(id, peer);
  }

  nameOf(id: NodeId): string {
    const peer = this.peerOf(id);
    return peer === undefined ? 'a voter that is not a member' : this.#members.nameOf(peer);
  }

  /** The others of the committee, where this agent is one of it. */
  peers(): PeerId[] {
    const { id } = this.#log.current ?? {};
    const ids = this.ids();
    if (id === undefined || !ids.includes(id)) return [];
    return ids.flatMap((one) => this.peerOf(one) ?? []).filter((peer) => peer !== this.#members.self);
  }

  /** Who votes, this agent included; undefined while that changes, or where one of them is not known. */
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

  /** As half of the others have it, or better: they make the majority. */
  rttMs(): number {
    const known = this.peers().flatMap((peer) => this.#members.rttMs(peer) ?? []);
    const median = known.sort((a, b) => a - b)[Math.floor((known.length - 1) / 2)];
    return Math.min(MAX_RTT_MS, Math.max(1, median ?? 0));
  }
}
