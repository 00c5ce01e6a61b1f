// The agent's place in the swarm: membership, the statuses of all, the coordinator, and votes, over one transport.
import type { Claim } from '../../consensus/vote/claim.ts';
import type { VoteResult } from '../../consensus/vote/voting.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { type EnvelopeKind, sealEnvelope } from '../../swarm/dissemination/envelope.ts';
import { Admission } from '../../swarm/identity/admission.ts';
import type { SignedRecord } from '../../swarm/identity/record.ts';
import { statusAgeMs } from '../../swarm/membership/ages.ts';
import { Membership, type MembershipInput, type MembershipNotice } from '../../swarm/membership/membership.ts';
import { decodeProbe, encodeProbe, type Probe } from '../../swarm/membership/probe.ts';
import { type Alerts, encodeReport } from '../../swarm/membership/report.ts';
import { type ProtocolName, type SwarmNames, swarmNames } from '../../swarm/names.ts';
import type { PeerId, Verdict } from '../../swarm/ports/transport.ts';
import type { FanOutOptions, Missing } from '../../swarm/query/fan-out.ts';
import { CoreRuntime } from '../../swarm/runtime/core-runtime.ts';
import { ClockOffsets } from '../../swarm/state/clock-offsets.ts';
import { type Lacking, Replica } from '../../swarm/state/replica.ts';
import { encodeStatus, type Status } from '../../swarm/state/status.ts';
import { StatusPacing } from '../../swarm/state/status-pacing.ts';
import { type Offer, StatusTable } from '../../swarm/state/status-table.ts';
import { ORDER_MESSAGES, ORDER_REQUESTS, Order } from '../decisions/order.ts';
import type { Ports } from '../ports/ports.ts';
import { Asking } from './asking.ts';
import { Ballots } from './ballots.ts';
import { Certificates } from './certificates.ts';
import { Deputies } from './deputies.ts';
import { type HeldKeys, NetworkKeys } from './network-keys.ts';
import { PeerSelection, type Watching } from './peer-selection.ts';
import { Peers } from './peers.ts';
import { Repair } from './repair.ts';
import { AGENT_REQUESTS, type SwarmLinkConfig, type SwarmLinkEvents } from './swarm-link-config.ts';
import { SwarmTime } from './swarm-time.ts';

const SEQUENCE_KEY = 'status/sequence';
/** Sequences reserved ahead at a start, so that a crash never reuses one. */
const SEQUENCE_RESERVE = 1_000_000;
/** Up to so many members everybody is connected with everybody; beyond, with observers and a few others. */
const FULL_MESH = 16;
/** What a status may take to come. */
const STATUS_LATE_MS = 5_000;
/** What a pull brings that is older than this should have come by push; where it is much, gossip does not reach this agent. */
const PUSH_LATE_MS = 3_000;
const MISSED_SHARE = 0.1;
/** Who was admitted is expected to speak within this. */
const JOINS_WITHIN_MS = 60_000;
/** What it said first, before others could hear it, is said again. */
const SAY_AGAIN_MS = 3_000;

/** Whether another run of a member is still there. */
const INSTANCE_WITHIN_MS = 2_000;

const NO_KEYS: HeldKeys = { keys: [], keep: () => undefined };

export class SwarmLink {
  readonly #ports: Ports;
  readonly #config: SwarmLinkConfig;
  readonly #events: SwarmLinkEvents;
  readonly #names: SwarmNames;
  readonly #membership: Membership;
  readonly #members: CoreRuntime<MembershipInput, Probe, MembershipNotice, 'sweep' | 'probe' | 'report'>;
  readonly admission: Admission;
  readonly networkKeys: NetworkKeys;
  readonly statuses: StatusTable;
  readonly #replica: Replica;
  readonly #peers: Peers;
  readonly #repair: Repair;
  readonly #asking: Asking;
  readonly #ballots: Ballots;
  readonly order: Order;
  readonly #certificates: Certificates;
  readonly #deputies: Deputies;
  readonly #clocks = new ClockOffsets();
  readonly time: SwarmTime;
  /** Peers whose name was shown since this agent started. */
  readonly #greeted = new Set<PeerId>();
  #sequence = 0;
  readonly #pacing: StatusPacing;
  readonly #selection: PeerSelection;
  #alerts: Alerts = new Map();
  #stopped = false;

  constructor(ports: Ports, config: SwarmLinkConfig, events: SwarmLinkEvents) {
    this.#ports = ports;
    this.#config = config;
    this.#events = events;
    this.#names = swarmNames(config.swarmId);
    this.time = new SwarmTime(ports.clock, this.#clocks);
    this.admission = this.#admissionOf(ports, config);
    const { roster } = this.admission;
    this.#pacing = new StatusPacing(ports.random);
    this.statuses = new StatusTable(ports.crypto, config.swarmId, (peer) => roster.isMember(peer));
    this.#replica = new Replica(roster, this.statuses);
    this.#repair = new Repair(ports, this.#replica, this.#names.protocol('sync'), {
      pulled: (lacking, askedMs) => this.#pulled(lacking, askedMs),
      isComplete: () => this.#isComplete(),
    });
    this.#peers = new Peers(ports, config.join, {
      wanted: () => this.#wanted(),
      dialed: (peer, outcome) => this.#members.post({ kind: 'dialed', peer, outcome }),
      log: events.log,
      failed: events.failed,
    });
    this.#membership = new Membership(ports.transport.self);
    this.#selection = new PeerSelection(ports.transport.self, this.#membership, () => this.order.decisions.quarantined());
    this.#asking = new Asking(ports.transport, ports.clock, {
      isSparse: () => this.#isSparse,
      member: (peer) => this.#membership.members.get(peer),
      isSilent: (peer) => this.#membership.detector.isSilent(peer),
      dial: (peer) => this.#peers.dial(peer),
      doubt: (peer) => this.#members.post({ kind: 'doubted', peer }),
    });
    this.#members = new CoreRuntime(this.#membership, {
      clock: ports.clock,
      store: ports.store,
      send: (to, probe) => ports.transport.send(to, this.#names.protocol('probe'), encodeProbe(probe)),
      broadcast: () => undefined,
      notice: (notice) => this.#membershipNotice(notice),
      failed: events.failed,
    });
    this.#ballots = new Ballots({ ...ports, clock: this.time }, config.swarmId, this.statuses, {
      send: (to, bytes) => this.#send(to, 'vote', bytes),
      voted: events.voted,
      measured: events.measured,
      isBlind: () => this.order.lateness.isBlind,
      equivocated: (witness, proof) => this.order.decisions.accuse(witness, proof),
      failed: events.failed,
    });
    this.order = new Order(ports, config, roster, {
      wallMs: () => this.time.wallMs(),
      send: (to, name, bytes) => this.#send(to, name, bytes),
      request: (to, name, body, withinMs) => this.#asking.one(to, this.#names.protocol(name), body, withinMs),
      members: () => this.members,
      statusOf: (peer) => this.statuses.get(peer)?.status,
      stateOf: (peer) => this.#membership.members.get(peer)?.state,
      rttMs: (peer) => this.#membership.detector.measured(peer)?.rttMs,
      recovery: () => roster.records.single('recovery'),
      nameOf: (peer) => this.nameOf(peer),
      log: events.log,
      failed: events.failed,
    });
    this.#deputies = this.#deputiesOf(ports, config);
    this.networkKeys = new NetworkKeys(ports.transport, ports.clock, config.networkKeys ?? NO_KEYS);
    this.#certificates = new Certificates(ports, this.admission, this.#names.protocol('renew'), {
      looking: () => this.networkKeys.follow(roster.records.single('network')),
      letIn: (by, address) => this.#peers.letIn(by, address),
      dial: (peer) => this.#peers.dial(peer),
      log: events.log,
      failed: events.failed,
    });
  }

  #admissionOf(ports: Ports, config: SwarmLinkConfig): Admission {
    return new Admission({ ...ports, time: this.time }, config, {
      log: this.#events.log,
      learned: (record, own) => this.#learned(record, own),
      issuerWithinReach: () => this.#issuerWithinReach(),
      isAlive: (peer) => this.#membership.members.get(peer)?.state === 'alive',
      forwardToken: (maker, id, secret, by) => this.#deputies.forward(maker, id, secret, by),
      tokensChanged: () => this.#deputies.changed(),
      askInstance: (peer, bytes) => ports.transport.request(peer, this.#names.protocol('twin'), bytes, INSTANCE_WITHIN_MS),
    });
  }

  #deputiesOf(ports: Ports, config: SwarmLinkConfig): Deputies {
    return new Deputies(ports, this.admission, config.issuers ?? 1, {
      members: () => this.members,
      request: (to, body, withinMs) => this.#asking.one(to, this.#names.protocol('token'), body, withinMs),
      nameOf: (peer) => this.nameOf(peer),
      log: this.#events.log,
    });
  }

  get self(): PeerId {
    return this.#ports.transport.self;
  }

  get coordinator(): PeerId | undefined {
    return this.order.committee.coordinator;
  }

  get term(): number {
    return this.order.committee.term;
  }

  get members() {
    return this.#membership.members.present();
  }

  /** The members, those that left too. */
  everyMember() {
    return this.#membership.members.all();
  }

  /** Who of its observers cannot reach a member. */
  accusersOf(peer: PeerId): PeerId[] {
    return [...(this.#membership.reports.accusersOf(peer) ?? [])];
  }

  get swarmId(): string {
    return this.#config.swarmId;
  }

  /** What this agent is called. */
  get name(): string {
    return this.admission.name;
  }

  /** Claims whose votes are still out. */
  get waitingVotes(): number {
    return this.#ballots.waiting;
  }

  get alive(): PeerId[] {
    return this.#membership.members.alive();
  }

  /** @throws JoinRefused where it is no member and cannot become one. */
  async start(): Promise<void> {
    const { store, clock } = this.#ports;
    await this.admission.open();
    const reserved = decodeCbor((await store.get(SEQUENCE_KEY)) ?? encodeCbor(0));
    this.#sequence = Math.max(typeof reserved === 'number' ? reserved : 0, Math.round(clock.wallMs()));
    await this.#reserveSequences();
    await this.#peers.load();
    await this.order.open();
    await this.#ballots.open();
    const members = this.admission.roster.members().map(({ subject }) => subject);
    this.#members.post({ kind: 'start', members });
    await this.#startTransport();
    this.networkKeys.follow(this.admission.roster.records.single('network'));
    if (!this.admission.isMember) await this.#certificates.join(this.#config.token);
    this.#peers.keepDialing();
    this.#certificates.watch();
    this.#deputies.start();
    clock.after(SAY_AGAIN_MS, () => {
      this.#pacing.again();
    });
  }

  async stop(): Promise<void> {
    await this.order.committee.handOver();
    this.#peers.stop();
    this.#repair.stop();
    this.#stopped = true;
    this.#ballots.stop();
    this.#certificates.stop();
    this.#deputies.stop();
    this.order.stop();
    if (this.admission.isMember) this.#seal('leave', new Uint8Array(), true);
    this.#members.stop();
    await this.#ports.transport.stop();
  }

  #startTransport(): Promise<void> {
    const protocol = (name: ProtocolName): string => this.#names.protocol(name);
    const names = {
      topics: [this.#names.statusTopic, this.#names.rosterTopic],
      messages: [protocol('probe'), protocol('vote'), ...ORDER_MESSAGES.map(protocol)],
      requests: [...(['sync', 'renew', 'twin', 'token'] as const), ...AGENT_REQUESTS, ...ORDER_REQUESTS].map(protocol),
    };
    const { admission } = this;
    return this.#ports.transport.start(names, {
      hello: (to) => admission.hello(to),
      welcome: (from, hello) => admission.welcome(from, hello),
      accept: (from, answer) => admission.accept(from, answer),
      settle: (from, answer) => admission.settle(from, answer),
      broadcast: (topic, from, bytes) =>
        topic === this.#names.rosterTopic ? this.#receiveRecord(bytes) : this.#receiveBroadcast(from, bytes),
      message: (name, from, bytes) => this.#receiveMessage(name, from, bytes),
      request: (name, from, body) => this.#answer(name, from, body),
      connected: (peer) => this.#connected(peer),
      disconnected: (peer) => {
        this.#members.post({ kind: 'disconnected', peer });
        this.order.committee.disconnected(peer);
      },
      flooded: (peer, what) => this.#events.log('warn', `${this.nameOf(peer)} sends too many ${what}: cut off for a minute`),
      found: (peer, address) => this.#found(peer, address),
    });
  }

  #send(to: PeerId, name: 'vote' | (typeof ORDER_MESSAGES)[number], bytes: Uint8Array): void {
    const { transport } = this.#ports;
    const protocol = this.#names.protocol(name);
    if (!this.#isSparse || this.#membership.members.get(to)?.connected === true) return transport.send(to, protocol, bytes);
    this.#peers.dial(to).then(
      () => transport.send(to, protocol, bytes),
      () => undefined, // out of reach: messages may be lost
    );
  }

  ask(peers: readonly PeerId[], name: 'table' | 'explain', body: Uint8Array, options: FanOutOptions): Promise<Missing> {
    return this.#asking.all(peers, this.#names.protocol(name), body, options);
  }

  askOne(peer: PeerId, name: 'audit' | 'release' | 'explain', body: Uint8Array, withinMs: number): Promise<Uint8Array> {
    return this.#asking.one(peer, this.#names.protocol(name), body, withinMs);
  }

  // Who belongs

  #receiveRecord(bytes: Uint8Array): Verdict {
    const offer = this.admission.roster.offer(bytes, this.time.wallMs());
    if (offer.verdict === 'accept') this.#keep([offer.record]);
    return offer.verdict;
  }

  /** Records that others brought. */
  #keep(records: readonly SignedRecord[]): void {
    for (const record of records) this.#learned(record, false);
    if (!this.#stopped) this.admission.store.keep(records).catch((error: unknown) => this.#events.failed(error));
  }

  #learned(record: SignedRecord, own: boolean): void {
    const { body } = record;
    const { transport } = this.#ports;
    if (own && !this.#stopped) transport.publish(this.#names.rosterTopic, record.bytes, true);
    if (body.kind === 'member' && this.admission.roster.isMember(body.subject)) this.#added(body.subject);
    if (body.kind === 'network') this.networkKeys.follow(body);
    if (body.kind === 'recovery') this.order.recover().catch((error: unknown) => this.#events.failed(error));
    if (body.kind === 'revocation' && !this.admission.roster.isMember(body.subject)) this.#removed(body.subject, body.reason);
  }

  #added(peer: PeerId): void {
    this.#members.post({ kind: 'added', peer });
    this.#repair.soon();
    for (const { envelope, heardMs } of this.statuses.takeEarly(peer)) this.#take(this.#offer(envelope, heardMs), heardMs);
  }

  /** Nothing of it counts from here on, and it is not talked to. */
  #removed(peer: PeerId, reason: string): void {
    if (this.#membership.members.get(peer) === undefined) return this.#ports.transport.disconnect(peer);
    this.#events.log('info', `${this.nameOf(peer)} is no member any more${reason === '' ? '' : `: ${reason}`}`);
    if (peer === this.self) return;
    this.statuses.forget(peer);
    this.#clocks.forget(peer);
    this.#members.post({ kind: 'removed', peer });
    this.#peers.remember(peer, undefined);
    this.#ports.transport.disconnect(peer);
  }

  #issuerWithinReach(): boolean {
    const { roster } = this.admission;
    const nowMs = this.time.wallMs();
    return roster
      .issuers()
      .some(({ subject }) => roster.isIssuer(subject, nowMs) && this.#membership.members.get(subject)?.state === 'alive');
  }

  // What arrives

  #receiveBroadcast(from: PeerId, bytes: Uint8Array): Verdict {
    const nowMs = this.#ports.clock.monotonicMs();
    const offer = this.#offer(bytes, nowMs);
    const isNeighbours = offer.verdict === 'accept' && offer.kind === 'status' && offer.entry.origin === from;
    if (!isNeighbours) this.#members.post({ kind: 'heard', peer: from });
    return this.#take(offer, nowMs);
  }

  /** What an envelope that has come just now says of its origin. */
  #take(offer: Offer, nowMs: number): Verdict {
    if (offer.verdict !== 'accept') return offer.verdict;
    if (offer.kind === 'leave') {
      this.#farewell(offer.origin, offer.sequence);
    } else if (offer.kind === 'status' && offer.entry.origin !== this.self) {
      // What its own pings take is late by what made them so.
      const byMs = this.order.lateness.lateMs + this.#selection.slowestRttMs();
      const late = { byMs, ourMs: this.#ports.clock.wallMs() };
      this.#clocks.heard(offer.entry.origin, offer.entry.status.atMs, nowMs, late);
      this.#members.post({ kind: 'spoke', peer: offer.entry.origin, ageMs: 0 });
    }
    return 'accept';
  }

  /** Merges an envelope and learns from it where the peer is, which term it knows, and whom it cannot reach. */
  #offer(bytes: Uint8Array, heardMs: number): Offer {
    const offer = this.statuses.offer(bytes, heardMs);
    if (offer.verdict !== 'accept' || offer.kind === 'leave') return offer;
    if (offer.kind === 'report') {
      if (offer.origin === this.self) this.#reportedBefore(offer.sequence);
      else this.#members.post({ kind: 'report', peer: offer.origin, alerts: offer.alerts });
      return offer;
    }
    const { origin, sequence, status } = offer.entry;
    if (origin === this.self) {
      this.#outlivedBy(sequence);
      return offer;
    }
    if (!this.#greeted.has(origin)) {
      this.#greeted.add(origin);
      if (this.#membership.members.get(origin)?.state === 'alive') this.#events.log('info', `${this.nameOf(origin)} is alive`);
    }
    if (status.address !== '') this.#peers.remember(origin, status.address);
    this.order.heard(origin, status);
    return offer;
  }

  /** A report of its own from an earlier life: what is true now is said again. */
  #reportedBefore(sequence: number): void {
    this.#outlivedBy(sequence);
    this.#report(this.#alerts);
  }

  #report(alerts: Alerts): void {
    this.#alerts = alerts;
    this.#seal('report', encodeReport(this.#ports.crypto, alerts), true);
  }

  /** Signs and publishes something of its own. */
  #seal(kind: EnvelopeKind, payload: Uint8Array, urgent: boolean): void {
    const { crypto, transport, clock } = this.#ports;
    const envelope = sealEnvelope(crypto, this.#config.swarmId, kind, ++this.#sequence, payload);
    if (kind !== 'leave') this.statuses.offer(envelope.bytes, clock.monotonicMs());
    transport.publish(this.#names.statusTopic, envelope.bytes, urgent);
  }

  /** Its own is of an earlier life, however it comes here: by a pull, or said again by whoever kept it. */
  #farewell(origin: PeerId, sequence: number): void {
    if (origin === this.self) return this.#outlivedBy(sequence);
    this.#clocks.forget(origin);
    this.#members.post({ kind: 'left', peer: origin });
  }

  /** Others hold a status or farewell of ours that is newer than all that we know of: our disk was lost, or we came back. We go on from there, or nobody would listen. */
  #outlivedBy(sequence: number): void {
    if (sequence <= this.#sequence) return;
    this.#sequence = sequence;
    this.#pacing.again();
    this.#reserveSequences().catch((error: unknown) => this.#events.failed(error));
  }

  #reserveSequences(): Promise<void> {
    return this.#ports.store.write([{ kind: 'put', key: SEQUENCE_KEY, value: encodeCbor(this.#sequence + SEQUENCE_RESERVE) }]);
  }

  #receiveMessage(name: string, from: PeerId, bytes: Uint8Array): void {
    if (name === this.#names.protocol('probe')) {
      const message = decodeProbe(bytes);
      if (message !== undefined) this.#members.post({ kind: 'message', from, message });
      return;
    }
    this.#members.post({ kind: 'heard', peer: from });
    if (name === this.#names.protocol('vote')) return this.#ballots.receive(from, bytes);
    const order = ORDER_MESSAGES.find((one) => name === this.#names.protocol(one));
    if (order !== undefined) this.order.receive(order, from, bytes);
  }

  async #answer(name: string, from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    const order = ORDER_REQUESTS.find((one) => name === this.#names.protocol(one));
    if (order !== undefined) return this.order.answer(order, from, body);
    const agents = AGENT_REQUESTS.find((one) => name === this.#names.protocol(one));
    if (agents !== undefined) return this.#events.request(agents, from, body);
    switch (name) {
      case this.#names.protocol('renew'): {
        const grant = await this.admission.issuer.renew(from);
        if (grant === undefined) throw new Error('this agent is no issuer');
        return grant;
      }
      case this.#names.protocol('twin'):
        return this.admission.instances.answer(body);
      case this.#names.protocol('token'):
        return this.#deputies.answer(from, body);
      default: {
        const answer = this.#replica.answerSync(body, this.#ports.clock.monotonicMs());
        if (answer === undefined) throw new Error('malformed digest');
        return answer;
      }
    }
  }

  // Connections

  #connected(peer: PeerId): void {
    this.#members.post({ kind: 'connected', peer });
    this.#repair.connected(peer);
  }

  #found(peer: PeerId, address: string): void {
    if (!this.admission.isMember) this.#certificates.found(peer, address);
    else if (this.admission.roster.isMember(peer)) this.#peers.found(peer, address);
  }

  #isComplete(): boolean {
    const sinceMs = this.#ports.clock.monotonicMs() - JOINS_WITHIN_MS;
    if (this.#membership.members.all().some((member) => member.state === 'joining' && member.sinceMs > sinceMs)) return false;
    const oldMs = this.#ports.clock.monotonicMs() - this.#freshMs;
    const late = this.statuses
      .entries()
      .filter(({ origin, heardMs }) => heardMs < oldMs && this.#membership.members.get(origin)?.state === 'alive');
    return late.length <= this.#membership.members.size * MISSED_SHARE;
  }

  #pulled({ records, envelopes }: Lacking, askedMs: number): { news: number; missed: number } {
    const { clock } = this.#ports;
    const wallMs = this.time.wallMs();
    const accepted = records.flatMap((bytes) => {
      const offer = this.admission.roster.offer(bytes, wallMs);
      return offer.verdict === 'accept' ? [offer.record] : [];
    });
    if (accepted.length > 0) this.#keep(accepted);
    let [news, missed] = [accepted.length, 0];
    for (const { envelope, ageMs } of envelopes) {
      // What it was old there, and no less than the time that the answer may have taken.
      const offer = this.#offer(envelope, askedMs - ageMs);
      if (offer.verdict !== 'accept') continue;
      news++;
      this.#heardOf(offer, clock.monotonicMs() - askedMs + ageMs);
      if (ageMs > PUSH_LATE_MS) missed++;
    }
    if (missed > this.#membership.members.size * MISSED_SHARE) this.#repair.often();
    return { news, missed };
  }

  /** Hearsay from a pull: a status that is young enough is a sign of life, as of then. */
  #heardOf(offer: Extract<Offer, { verdict: 'accept' }>, ageMs: number): void {
    if (offer.kind === 'leave') this.#farewell(offer.origin, offer.sequence);
    else if (offer.kind === 'status' && ageMs < this.#freshMs)
      this.#members.post({ kind: 'spoke', peer: offer.entry.origin, ageMs });
  }

  /** A status of a running peer is no older than this. */
  get #freshMs(): number {
    return statusAgeMs(this.#membership.members.size) + STATUS_LATE_MS;
  }

  /** Too many for everybody to be connected with everybody. */
  get #isSparse(): boolean {
    return this.#membership.members.size > FULL_MESH;
  }

  /** Whom to be connected with: all; or one's observers and whom one observes, a few others, and, as one of the committee, the rest of it. */
  #wanted(): PeerId[] {
    const others = (): PeerId[] => this.members.map(({ peer }) => peer).filter((peer) => peer !== this.self);
    if (!this.#isSparse) return others();
    return [...new Set([...this.#selection.near(others), ...this.order.committee.peers()])];
  }

  #membershipNotice(notice: MembershipNotice): void {
    if (this.#stopped) return;
    switch (notice.kind) {
      case 'redial':
        this.#peers.dial(notice.peer).catch(() => undefined);
        return;
      case 'report':
        this.#report(notice.alerts);
        return;
      case 'silent':
        return this.#asking.changed(notice.peer);
      case 'changed': {
        const { peer, state } = notice;
        this.#asking.changed(peer);
        // Of one that says farewell no status is kept; one that had left before this agent started is no news.
        if (state === 'left' && this.#greeted.has(peer)) this.#events.log('info', `${this.nameOf(peer)} has left the swarm`);
        // A peer whose status has not come yet is announced with that.
        const known = this.statuses.get(peer)?.status;
        if (known !== undefined) this.#events.log('info', `${this.nameOf(peer)} is ${state}`);
        // Of before this agent's restart, perhaps: who coordinated then probably still does, and says so only now and then.
        if (known !== undefined && state === 'alive') this.order.heard(peer, known);
        this.#peers.remember(peer, state === 'left' ? undefined : (this.#peers.addressOf(peer) ?? ''));
      }
    }
  }

  nameOf(peer: PeerId): string {
    return this.admission.roster.member(peer)?.name ?? this.statuses.get(peer)?.status.name ?? peer.slice(-8);
  }

  // Status

  /** Publishes the agent's status where it changed enough to matter, or grew old. */
  publish(status: Status): void {
    const how = this.#pacing.due(status, this.#membership.members.size, this.#ports.clock.monotonicMs());
    if (how !== undefined) this.#seal('status', encodeStatus(status), how === 'urgent');
  }

  // Votes

  witnesses(): PeerId[] {
    return this.#selection.witnesses();
  }

  /** Asks the witnesses; resolves by the vote's deadline at the latest. */
  vote(claim: Claim, witnesses = this.witnesses()): Promise<VoteResult> {
    return this.#ballots.vote(claim, witnesses);
  }

  /** Of those whom it watches. */
  get watching(): Watching {
    return this.#selection.watching(this.#clocks, this.#ports.clock);
  }
}
