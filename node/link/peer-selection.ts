// Whom a member has to do with, drawn from who is there: those that watch it, and those that it keeps connections with.
import type { MemberState } from '../../swarm/membership/member-table.ts';
import type { Membership } from '../../swarm/membership/membership.ts';
import { drawnBy, observersOf } from '../../swarm/membership/observers.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { ClockOffsets } from '../../swarm/state/clock-offsets.ts';

/** In a large swarm: connections beside those that watching takes. */
const NEIGHBOURS = 6;

const PRESENT: ReadonlySet<MemberState> = new Set(['alive', 'unreachable']);

/** How another member does, as measured here; undefined where that is not known. */
export interface Measured {
  rttMs: number | undefined;
  /** Of the last probes: how many, and the share that was not answered in time. */
  probes: number;
  lostShare: number;
  /** Its clock, against that of most. */
  offsetMs: number | undefined;
}

/** Of those whom this agent watches. */
export interface Watching {
  subjects(): readonly PeerId[];
  measured(peer: PeerId): Measured;
  /** Who else watches it. */
  witnessesOf(peer: PeerId): PeerId[];
}

interface Drawn {
  version: number;
  liars: ReadonlySet<PeerId>;
  peers: PeerId[];
}

export class PeerSelection implements Watching {
  readonly #self: PeerId;
  readonly #membership: Pick<Membership, 'members' | 'detector'>;
  readonly #clocks: ClockOffsets;
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #liars: () => ReadonlySet<PeerId>;
  /** For the membership of that version. */
  #witnesses: Drawn = { version: -1, liars: new Set(), peers: [] };
  #neighbours: { version: number; peers: PeerId[] } = { version: -1, peers: [] };

  /** @param liars who is asked for no votes */
  constructor(
    self: PeerId,
    membership: Pick<Membership, 'members' | 'detector'>,
    clocks: ClockOffsets,
    clock: Pick<Clock, 'monotonicMs'>,
    liars: () => ReadonlySet<PeerId>,
  ) {
    this.#self = self;
    this.#membership = membership;
    this.#clocks = clocks;
    this.#clock = clock;
    this.#liars = liars;
  }

  #honest(): PeerId[] {
    const liars = this.#liars();
    return this.#membership.members.alive().filter((peer) => peer === this.#self || !liars.has(peer));
  }

  /** Those that vote on what this agent says of itself. */
  witnesses(): PeerId[] {
    const { version } = this.#membership.members;
    const liars = this.#liars();
    if (this.#witnesses.version !== version || this.#witnesses.liars !== liars)
      this.#witnesses = { version, liars, peers: observersOf(this.#self, this.#honest()) };
    return this.#witnesses.peers;
  }

  /** Those that vote, beside this agent, on what it says of another. */
  witnessesOf(subject: PeerId): PeerId[] {
    return observersOf(subject, this.#honest()).filter((peer) => peer !== this.#self);
  }

  /** Of those whom this agent watches. */
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

  /** One's observers and whom one observes, and a few others. */
  near(others: () => readonly PeerId[]): PeerId[] {
    const { version } = this.#membership.members;
    if (this.#neighbours.version !== version)
      this.#neighbours = { version, peers: drawnBy('neighbour', this.#self, others(), NEIGHBOURS) };
    return [...this.witnesses(), ...this.#membership.detector.subjects, ...this.#neighbours.peers];
  }
}
