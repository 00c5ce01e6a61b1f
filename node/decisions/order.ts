// What has one order for the whole swarm: the committee that keeps it, and what was decided. Its part of the traffic is here.
import { type Vitals, zoneOf } from '../../consensus/committee/fitness.ts';
import type { Recovery } from '../../swarm/identity/record.ts';
import type { Roster } from '../../swarm/identity/roster.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Status } from '../../swarm/state/status.ts';
import type { Ports } from '../ports/ports.ts';
import { Committee } from './committee.ts';
import { Decisions } from './decisions.ts';
import { RosterEpochs } from './roster-epochs.ts';
import { VitalSigns } from './vitals.ts';

export const ORDER_MESSAGES = ['raft', 'attest'] as const;
export const ORDER_REQUESTS = ['committee', 'decisions'] as const;
type MessageName = (typeof ORDER_MESSAGES)[number];
type RequestName = (typeof ORDER_REQUESTS)[number];

export interface OrderEvents {
  /** The swarm's time (swarm-time.ts). */
  wallMs(): number;
  send(to: PeerId, name: MessageName, bytes: Uint8Array): void;
  request(to: PeerId, name: RequestName, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  members(): readonly Member[];
  /** The newest status of a member. */
  statusOf(peer: PeerId): Status | undefined;
  stateOf(peer: PeerId): Member['state'] | undefined;
  rttMs(peer: PeerId): number | undefined;
  /** The newest new beginning of the committee. */
  recovery(): Recovery | undefined;
  nameOf(peer: PeerId): string;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export interface OrderConfig {
  swarmId: string;
  /** What fails together with this machine. */
  domain?: string | undefined;
}

/** What a member says of itself: that it is not ready, or that a service of its own is not. */
function looksSick(status: Status | undefined): boolean {
  return status !== undefined && (status.conditions.Ready === 'False' || status.conditions.ServicesReady === 'False');
}

export class Order {
  readonly committee: Committee;
  readonly decisions: Decisions;
  readonly #events: OrderEvents;
  readonly #vitals: VitalSigns;
  #isOpen = false;
  #recovering: Promise<void> = Promise.resolve();

  constructor(ports: Ports, { swarmId, domain }: OrderConfig, roster: Roster, events: OrderEvents) {
    this.#events = events;
    this.#vitals = new VitalSigns(ports, domain ?? '', events.failed);
    const { members, nameOf, log, failed, rttMs } = events;
    const epochs = new RosterEpochs(ports.clock, roster, () => this.decisions);
    this.committee = new Committee(ports, {
      send: (to, bytes) => events.send(to, 'raft', bytes),
      request: (to, body, withinMs) => events.request(to, 'committee', body, withinMs),
      members,
      isAlive: (peer) => events.stateOf(peer) === 'alive',
      hasRole: (peer) => roster.isForCommittee(peer),
      mayTransfer: (peer) => roster.decides(peer, events.wallMs()),
      rttMs,
      vitals: () => this.#vitals.now,
      isDrained: (peer) => this.decisions.drained().has(peer),
      elected: (term, coordinator) => log('info', `term ${term}: ${nameOf(coordinator)} coordinates`),
      leading: (replica) => {
        this.decisions.leading(replica);
        epochs.tell();
      },
      applied: () => this.decisions.applied(),
      isFounderAlone: () => {
        const [only, ...others] = roster.members();
        const { self } = ports.transport;
        return only?.subject === self && others.length === 0 && roster.isIssuer(self, ports.clock.wallMs());
      },
      nameOf,
      log,
      failed,
    });
    this.decisions = new Decisions(ports, swarmId, this.committee, {
      wallMs: () => events.wallMs(),
      send: (to, bytes) => events.send(to, 'attest', bytes),
      request: (to, body, withinMs) => events.request(to, 'decisions', body, withinMs),
      alive: () => members().flatMap(({ peer, state }) => (state === 'alive' ? [peer] : [])),
      isMember: (peer) => roster.isMember(peer),
      members: () => roster.members().map(({ subject }) => subject),
      mayDecide: (peer) => roster.decides(peer, events.wallMs()),
      health: () => this.health(),
      recovery: () => events.recovery(),
      versionOf: (peer) => events.statusOf(peer)?.version,
      decidedBy: (peer) => events.statusOf(peer)?.decided ?? 0,
      nameOf,
      log,
      failed,
    });
  }

  /** How many members there are, and how many look sick, as this one sees it. */
  health(): { members: number; sick: number } {
    const { members, stateOf, statusOf } = this.#events;
    const all = members();
    const sick = all.filter(({ peer }) => stateOf(peer) !== 'alive' || looksSick(statusOf(peer)));
    return { members: Math.max(1, all.length), sick: sick.length };
  }

  /** What is wrong with a member, as this one sees it. */
  ill(peer: PeerId): string | undefined {
    const state = this.#events.stateOf(peer);
    if (state !== 'alive') return `is ${state ?? 'gone'}`;
    if (this.decisions.drained().has(peer)) return 'is drained';
    return looksSick(this.#events.statusOf(peer)) ? 'is not ready' : undefined;
  }

  /** How this agent itself does. */
  vitals(): Vitals {
    return this.#vitals.now;
  }

  /** How late it is, and why. */
  get lateness(): Pick<VitalSigns, 'lateMs' | 'isBlind' | 'isStarved'> {
    return this.#vitals;
  }

  /** What fails together with this machine, as a status says it; 0 where nobody said. */
  get zone(): number {
    return zoneOf(this.#vitals.now.domain);
  }

  /** What a status's zone is called, where that is known here. */
  domainName(zone: number): string {
    const names = [this.#vitals.now.domain, ...this.committee.domains()];
    return names.find((name) => zoneOf(name) === zone) ?? `zone ${zone}`;
  }

  async open(): Promise<void> {
    await this.decisions.open();
    this.#vitals.start();
    this.#isOpen = true;
    await this.recover();
    await this.committee.open();
  }

  /** Where root keys have had the committee begun again, since this agent last looked. */
  async recover(): Promise<void> {
    const recovery = this.#events.recovery();
    if (recovery === undefined || !this.#isOpen) return;
    const again = () => this.committee.recover(recovery, () => this.decisions.state.encode());
    this.#recovering = this.#recovering.then(again, again);
    await this.#recovering;
  }

  stop(): void {
    this.#vitals.stop();
    this.decisions.stop();
    this.committee.stop();
  }

  heard(origin: PeerId, { term, coordinator, decided }: Status): void {
    this.committee.heard(origin, term, coordinator);
    this.decisions.heard(decided);
  }

  receive(name: MessageName, from: PeerId, bytes: Uint8Array): void {
    if (name === 'raft') this.committee.receive(from, bytes);
    else this.decisions.attested(from, bytes);
  }

  answer(name: RequestName, from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    return name === 'committee' ? this.committee.answer(from, body) : this.decisions.answer(from, body);
  }
}
