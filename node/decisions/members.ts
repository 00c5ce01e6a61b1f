// The members of the swarm as this agent sees them, with their states, statuses and rights: for the committee, the decisions and NOVA.
import type { Roster } from '../../swarm/identity/roster.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Status } from '../../swarm/state/status.ts';

export interface Members {
  readonly self: PeerId;
  /** The valid members, by certificates. */
  readonly roster: Roster;
  /** Without those that left; with this agent. */
  all(): readonly Member[];
  of(peer: PeerId): Member | undefined;
  alive(): readonly PeerId[];
  /** The newest status that it published. */
  statusOf(peer: PeerId): Status | undefined;
  /** Only for members that this agent observes. */
  rttMs(peer: PeerId): number | undefined;
  /** Whether it may decide about others, by the swarm's time. */
  mayDecide(peer: PeerId): boolean;
  nameOf(peer: PeerId): string;
}

/** Sends a request to another member. @throws if no answer comes in time */
export type AskMember = (to: PeerId, body: Uint8Array, withinMs: number) => Promise<Uint8Array>;
