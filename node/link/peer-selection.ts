// The members that this agent deals with, drawn from the membership: its witnesses, and the neighbours that it keeps connections with.
import type { MemberState } from '../../swarm/membership/member-table.ts';
import type { Membership } from '../../swarm/membership/membership.ts';
import { drawnBy, observersOf } from '../../swarm/membership/observers.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { ClockOffsets } from '../../swarm/state/clock-offsets.ts';

/** In a large swarm: connections beside those to observers and subjects. */
const NEIGHBOURS = 6;

const PRESENT: ReadonlySet<MemberState> = new Set(['alive', 'unreachable']);

/** Figures of another member, as measured here; undefined if not known. */
export interface Measured {
  rttMs: number | undefined;
  /** The last probes: how many, and the share that was not answered in time. */
  probes: number;
  lostShare: number;
  /** Its clock, compared with the median of the swarm. */
  offsetMs: number | undefined;
}

/** The members that this agent watches. */
export interface Watching {
  subjects(): readonly PeerId[];
  measured(peer: PeerId): Measured;
  /** The other members that watch it. */
  witnessesOf(peer: PeerId): PeerId[];
}

interface Drawn {
  version: number;
  quarantined: ReadonlySet<PeerId>;
  peers: PeerId[];
}

export class PeerSelection implements Watching {
  readonly #self: PeerId;
  readonly #membership: Pick<Membership, 'members' | 'detector'>;
  readonly #clocks: ClockOffsets;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #quarantined: () => ReadonlySet<PeerId>;
  /** Drawn for that version of the membership. */
  #witnesses: Drawn = { version: -1, quarantined: new Set(), peers: [] };
  #neighbours: { version: number; peers: PeerId[] } = { version: -1, peers: [] };

  /** @param quarantined members whose votes are not requested */
  constructor(
    self: PeerId,
    membership: Pick<Membership, 'members' | 'detector'>,
    clocks: ClockOffsets,
    clock: Pick<Clock, 'monotonicMs'>,
    quarantined: () => ReadonlySet<PeerId>,
  ) {
    this.#self = self;
    this.#membership = membership;
    this.#clocks = clocks;
    this.#clock = clock;
    this.#quarantined = quarantined;
  }

  #honest(): PeerId[] {
    const quarantined = this.#quarantined();
    return this.#membership.members.alive().filter((peer) => peer === this.#self || !quarantined.has(peer));
  }

  /** The members that vote on this agent's claims about itself. */
  witnesses(): PeerId[] {
    const { version } = this.#membership.members;
    const quarantined = this.#quarantined();
    if (this.#witnesses.version !== version || this.#witnesses.quarantined !== quarantined)
      this.#witnesses = { version, quarantined, peers: observersOf(this.#self, this.#honest()) };
    return this.#witnesses.peers;
  }

  /** The other members that vote on this agent's claims about a member. */
  witnessesOf(subject: PeerId): PeerId[] {
    return observersOf(subject, this.#honest()).filter((peer) => peer !== this.#self);
  }

  /** Of the members that this agent watches. */
  slowestRttMs(): number {
    const { detector } = this.#membership;
    return Math.max(0, ...[...detector.subjects].map((peer) => detector.measured(peer)?.rttMs ?? 0));
  }

  subjects(): readonly PeerId[] {
    const { members, detector } = this.#membership;
    return [...detector.subjects].filter((peer) => PRESENT.has(members.get(peer)?.state ?? 'left'));
  }

  measured(peer: PeerId): Measured {
    const { rttMs, losses } = this.#membership.detector.measured(peer) ?? {};
    const { probes = 0, share = 0 } = losses ?? {};
    return { rttMs, probes, lostShare: share, offsetMs: this.#clocks.aheadMs(peer, this.#clock.monotonicMs()) };
  }

  /** The observers of this agent, the members that it observes, and a few others. */
  near(others: () => readonly PeerId[]): PeerId[] {
    const { version } = this.#membership.members;
    if (this.#neighbours.version !== version)
      this.#neighbours = { version, peers: drawnBy('neighbour', this.#self, others(), NEIGHBOURS) };
    return [...this.witnesses(), ...this.#membership.detector.subjects, ...this.#neighbours.peers];
  }
}
