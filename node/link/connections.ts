// The connections to other members, and this agent's part in the membership protocol, which uses them. In a small swarm all members are
// connected with each other; in a large one each is connected with its observers and a few others.
import type { Member } from '../../swarm/membership/member-table.ts';
import type { Membership, MembershipInput, MembershipNotice } from '../../swarm/membership/membership.ts';
import { encodeProbe, type Probe } from '../../swarm/membership/probe.ts';
import type { SwarmNames } from '../../swarm/names.ts';
import type { PeerId, Transport } from '../../swarm/ports/transport.ts';
import { CoreRuntime } from '../../swarm/runtime/core-runtime.ts';
import type { BaseInput } from '../../swarm/runtime/effects.ts';
import type { Ports } from '../ports/ports.ts';
import type { Contacts } from './messenger.ts';
import { Peers } from './peers.ts';

/** Up to this many members all are connected with each other. */
const FULL_MESH = 16;

type TimerId = 'sweep' | 'probe' | 'report';
type Input = MembershipInput | BaseInput<Probe, TimerId>;

export interface ConnectionsEvents {
  /** In a large swarm: the members to be connected with. */
  near(others: () => readonly PeerId[]): readonly PeerId[];
  noticed(notice: MembershipNotice): void;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Connections implements Contacts {
  readonly #transport: Pick<Transport, 'self' | 'disconnect'>;
  readonly #membership: Membership;
  readonly #core: CoreRuntime<MembershipInput, Probe, MembershipNotice, TimerId>;
  readonly peers: Peers;
  #stopped = false;

  constructor(ports: Ports, names: SwarmNames, membership: Membership, join: readonly string[], events: ConnectionsEvents) {
    const { transport, clock, store } = ports;
    this.#transport = transport;
    this.#membership = membership;
    this.peers = new Peers(ports, join, {
      wanted: () => {
        const others = (): PeerId[] => this.#others();
        return this.isSparse ? events.near(others) : others();
      },
      dialed: (peer, outcome) => this.post({ kind: 'dialed', peer, outcome }),
      log: events.log,
      failed: events.failed,
    });
    this.#core = new CoreRuntime(membership, {
      clock,
      store,
      send: (to, probe) => transport.send(to, names.protocol('probe'), encodeProbe(probe)),
      broadcast: () => undefined,
      notice: (notice) => {
        if (!this.#stopped) events.noticed(notice);
      },
      failed: events.failed,
    });
  }

  #others(): PeerId[] {
    const members = this.#membership.members.present().map(({ peer }) => peer);
    return members.filter((peer) => peer !== this.#transport.self);
  }

  stop(): void {
    this.peers.stop();
    this.#stopped = true;
    this.#core.stop();
  }

  /** An input of the membership protocol. */
  post(input: Input): void {
    this.#core.post(input);
  }

  /** It is no longer a member. */
  end(peer: PeerId): void {
    if (this.#membership.members.get(peer) !== undefined) {
      this.post({ kind: 'removed', peer });
      this.peers.remember(peer, undefined);
    }
    this.#transport.disconnect(peer);
  }

  get isSparse(): boolean {
    return this.#membership.members.size > FULL_MESH;
  }

  member(peer: PeerId): Member | undefined {
    return this.#membership.members.get(peer);
  }

  isSilent(peer: PeerId): boolean {
    return this.#membership.detector.isSilent(peer);
  }

  dial(peer: PeerId): Promise<void> {
    return this.peers.dial(peer);
  }

  doubt(peer: PeerId): void {
    this.post({ kind: 'doubted', peer });
  }
}
