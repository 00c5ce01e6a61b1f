// The members as this agent sees them: by the membership protocol, their certificates and their statuses.
import type { Roster } from '../../swarm/identity/roster.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { Membership } from '../../swarm/membership/membership.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Status } from '../../swarm/state/status.ts';
import type { StatusTable } from '../../swarm/state/status-table.ts';
import type { Members } from '../decisions/members.ts';

export class MemberView implements Members {
  readonly self: PeerId;
  readonly roster: Roster;
  readonly statuses: StatusTable;
  readonly #membership: Membership;
  readonly #time: Pick<Clock, 'wallMs'>;

  /** @param time the swarm's time (swarm-time.ts) */
  constructor(self: PeerId, membership: Membership, roster: Roster, statuses: StatusTable, time: Pick<Clock, 'wallMs'>) {
    this.self = self;
    this.#membership = membership;
    this.roster = roster;
    this.statuses = statuses;
    this.#time = time;
  }

  all(): Member[] {
    return this.#membership.members.present();
  }

  /** Also those that left. */
  everyone(): Member[] {
    return this.#membership.members.all();
  }

  of(peer: PeerId): Member | undefined {
    return this.#membership.members.get(peer);
  }

  alive(): PeerId[] {
    return this.#membership.members.alive();
  }

  /** The observers that cannot reach a member. */
  accusersOf(peer: PeerId): PeerId[] {
    return [...(this.#membership.reports.accusersOf(peer) ?? [])];
  }

  statusOf(peer: PeerId): Status | undefined {
    return this.statuses.get(peer)?.status;
  }

  rttMs(peer: PeerId): number | undefined {
    return this.#membership.detector.measured(peer)?.rttMs;
  }

  mayDecide(peer: PeerId): boolean {
    return this.roster.decides(peer, this.#time.wallMs());
  }

  nameOf(peer: PeerId): string {
    return this.roster.member(peer)?.name ?? this.statusOf(peer)?.name ?? peer.slice(-8);
  }
}
