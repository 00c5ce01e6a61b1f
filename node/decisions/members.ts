// Who is in the swarm, how they do, and what they may, as this agent sees it: what the committee, the decisions and NOVA go by.
import type { Roster } from '../../swarm/identity/roster.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Status } from '../../swarm/state/status.ts';

export interface Members {
  readonly self: PeerId;
  /** Whose membership holds, by certificates. */
  readonly roster: Roster;
  /** Those that left are not among them; this agent is. */
  all(): readonly Member[];
  of(peer: PeerId): Member | undefined;
  alive(): readonly PeerId[];
  /** The newest that it said of itself. */
  statusOf(peer: PeerId): Status | undefined;
  /** Of those whom this agent observes. */
  rttMs(peer: PeerId): number | undefined;
  /** Whether it may decide about others, by the swarm's time. */
  mayDecide(peer: PeerId): boolean;
  nameOf(peer: PeerId): string;
}

/** How another member is asked. @throws where no answer comes in time */
export type AskMember = (to: PeerId, body: Uint8Array, withinMs: number) => Promise<Uint8Array>;
