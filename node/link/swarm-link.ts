// The agent's link to its swarm, over one transport: its parts, the events between them, and the order in which they start and stop.

import type { Admission } from '../../swarm/identity/admission.ts';
import { Membership, type MembershipNotice } from '../../swarm/membership/membership.ts';
import { swarmNames } from '../../swarm/names.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { ClockOffsets } from '../../swarm/state/clock-offsets.ts';
import { StatusTable } from '../../swarm/state/status-table.ts';
import { Consensus } from '../decisions/consensus.ts';
import type { Ports } from '../ports/ports.ts';
import { Announcements } from './announcements.ts';
import { Arrivals } from './arrivals.ts';
import { Ballots } from './ballots.ts';
import { Connections } from './connections.ts';
import { Enrolment } from './enrolment.ts';
import { Gossip } from './gossip.ts';
import { MemberView } from './member-view.ts';
import { Messenger } from './messenger.ts';
import { PeerSelection } from './peer-selection.ts';
import type { SwarmLinkConfig, SwarmLinkEvents } from './swarm-link-config.ts';
import { SwarmTime } from './swarm-time.ts';

export class SwarmLink {
  readonly members: MemberView;
  readonly time: SwarmTime;
  readonly messenger: Messenger;
  readonly admission: Admission;
  readonly enrolment: Enrolment;
  readonly announcements: Announcements;
  readonly selection: PeerSelection;
  readonly consensus: Consensus;
  readonly ballots: Ballots;
  readonly #connections: Connections;
  readonly #gossip: Gossip;
  readonly #arrivals: Arrivals;

  constructor(ports: Ports, config: SwarmLinkConfig, events: SwarmLinkEvents) {
    const { log, failed } = events;
    const { self } = ports.transport;
    const names = swarmNames(config.swarmId);
    const clocks = new ClockOffsets();
    const membership = new Membership(self);
    const table = membership.members;
    this.time = new SwarmTime(ports.clock, clocks);
    this.#connections = new Connections(ports, names, membership, config.join, {
      near: (others) => [...new Set([...this.selection.near(others), ...this.consensus.committee.seats.peers()])],
      noticed: (notice) => this.#noticed(notice),
      log,
      failed,
    });
    const { peers } = this.#connections;
    this.messenger = new Messenger(ports.transport, ports.clock, names, this.#connections);
    const parts = { ports, names, time: this.time, table, messenger: this.messenger, peers, members: () => this.members };
    this.enrolment = new Enrolment(parts, config, {
      added: (peer) => this.#added(peer),
      removed: (peer, reason) => this.#removed(peer, reason),
      recovered: () => this.consensus.recover().catch(failed),
      log,
      failed,
    });
    this.admission = this.enrolment.admission;
    const { roster } = this.admission;
    const statuses = new StatusTable(ports.crypto, config.swarmId, (peer) => roster.isMember(peer));
    this.members = new MemberView(self, membership, roster, statuses, this.time);
    const { members } = this;
    this.announcements = new Announcements(ports, names, table, statuses, failed);
    this.#gossip = new Gossip(
      ports,
      names,
      { table, members, own: this.announcements, clocks },
      {
        post: (input) => this.#connections.post(input),
        heard: (origin, status) => {
          if (status.address !== '') peers.remember(origin, status.address);
          this.consensus.heard(origin, status);
        },
        records: (records) => this.enrolment.take(records),
        // Slow round trips of this agent delay what it receives, too.
        lateMs: () => this.consensus.vitals.lateMs + this.selection.slowestRttMs(),
        log,
      },
    );
    this.consensus = new Consensus(ports, config, members, this.time, {
      send: (to, name, bytes) => this.messenger.send(to, name, bytes),
      request: (to, name, body, withinMs) => this.messenger.ask(to, name, body, withinMs),
      log,
      failed,
    });
    const { proven } = this.consensus.decisions;
    this.selection = new PeerSelection(self, membership, clocks, ports.clock, () => proven.quarantined());
    this.ballots = this.#ballotsOf(ports, config.swarmId, events);
    this.#arrivals = new Arrivals(ports.transport, names, {
      connections: this.#connections,
      gossip: this.#gossip,
      enrolment: this.enrolment,
      ballots: this.ballots,
      consensus: this.consensus,
      request: events.request,
      flooded: (peer, what) => log('warn', `${members.nameOf(peer)} sends too many ${what}: blocked for a minute`),
    });
  }

  #ballotsOf(ports: Ports, swarmId: string, { voted, measured, failed }: SwarmLinkEvents): Ballots {
    const { decisions, vitals } = this.consensus;
    return new Ballots({ ...ports, clock: this.time }, swarmId, this.members.statuses, {
      send: (to, bytes) => this.messenger.send(to, 'vote', bytes),
      voted,
      measured,
      isBlind: () => vitals.isBlind,
      equivocated: (witness, proof) => decisions.accuse(witness, proof),
      failed,
    });
  }

  /** @throws JoinRefused if it is not a member and cannot join. */
  async start(): Promise<void> {
    await this.admission.open();
    await this.announcements.open();
    await this.#connections.peers.load();
    await this.consensus.open();
    await this.ballots.open();
    const members = this.admission.roster.members().map(({ subject }) => subject);
    this.#connections.post({ kind: 'start', members });
    await this.#arrivals.start();
    await this.enrolment.enrol();
    this.#connections.peers.keepDialing();
    this.enrolment.start();
    this.announcements.start();
  }

  async stop(): Promise<void> {
    await this.consensus.committee.autopilot.handOver();
    this.#connections.stop();
    this.#gossip.stop();
    this.ballots.stop();
    this.enrolment.stop();
    this.consensus.stop();
    if (this.admission.isMember) this.announcements.farewell();
    await this.#arrivals.stop();
  }

  #added(peer: PeerId): void {
    this.#connections.post({ kind: 'added', peer });
    this.#gossip.added(peer);
  }

  /** Drops what it published, and disconnects it. */
  #removed(peer: PeerId, reason: string): void {
    if (this.members.of(peer) !== undefined) this.#gossip.removed(peer, reason);
    if (peer !== this.members.self) this.#connections.end(peer);
  }

  #noticed(notice: MembershipNotice): void {
    const { peers } = this.#connections;
    switch (notice.kind) {
      case 'redial':
        peers.dial(notice.peer).catch(() => undefined);
        return;
      case 'report':
        return this.announcements.report(notice.alerts);
      case 'silent':
        return this.messenger.changed(notice.peer);
      case 'changed': {
        const { peer, state } = notice;
        this.messenger.changed(peer);
        this.#gossip.changed(peer, state);
        // The status may be from before a restart: the leader then is probably still the leader, and publishes that rarely.
        const known = this.members.statusOf(peer);
        if (known !== undefined && state === 'alive') this.consensus.heard(peer, known);
        peers.remember(peer, state === 'left' ? undefined : (peers.addressOf(peer) ?? ''));
      }
    }
  }
}
