// The agent's place in the swarm: membership, the statuses of all, the coordinator, and votes, over one transport.
import {
  decodeElectionMessage,
  decodeElectionState,
  ELECTION_KEY,
  Election,
  type ElectionInput,
  type ElectionMessage,
  type ElectionNotice,
  encodeElectionMessage,
} from '../../consensus/election/election.ts';
import {
  type Claim,
  decodeVoteMessage,
  encodeClaimMessage,
  encodeVoteMessage,
  type Vote,
  type VoteMessage,
} from '../../consensus/vote/claim.ts';
import { type VoteResult, Voting, type VotingInput, type VotingNotice } from '../../consensus/vote/voting.ts';
import { decodeCbor, encodeCbor, utf8 } from '../../swarm/dissemination/cbor.ts';
import { sealEnvelope } from '../../swarm/dissemination/envelope.ts';
import {
  MAX_MEMBERS,
  Membership,
  type MembershipInput,
  type MembershipNotice,
  statusAgeMs,
} from '../../swarm/membership/membership.ts';
import { drawnBy, observersOf } from '../../swarm/membership/observers.ts';
import { type ProtocolName, type SwarmNames, swarmNames } from '../../swarm/names.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { Ports } from '../../swarm/ports/ports.ts';
import { integerBelow } from '../../swarm/ports/random.ts';
import type { StoreOperation } from '../../swarm/ports/store.ts';
import type { PeerId, Verdict } from '../../swarm/ports/transport.ts';
import { type FanOutAnswer, fanOut } from '../../swarm/query/fan-out.ts';
import { CoreRuntime } from '../../swarm/runtime/core-runtime.ts';
import { ClockOffsets } from '../../swarm/state/clock-offsets.ts';
import { encodeStatus, STATUS_CONDITIONS, type Status } from '../../swarm/state/status.ts';
import { type Offer, StatusTable } from '../../swarm/state/status-table.ts';
import { gatherEvidence } from './evidence.ts';

/** Pressure that moved this far, in hundredths of a percent, is news. */
const PRESSURE_NEWS_CENTI = 1_000;
const REDIAL_EVERY_MS = 3_000;
const SYNC_TIMEOUT_MS = 5_000;
/** Gossip may lose what was said before its mesh had formed: pulls repair it, often at first, seldom when all is calm. */
const FIRST_PULL_MS = 500;
const CALM_PULL_MS = 30_000;
const PEER_PREFIX = 'peer/';
const SEQUENCE_KEY = 'status/sequence';
/** Sequences reserved ahead at a start, so that a crash never reuses one. */
const SEQUENCE_RESERVE = 1_000_000;
const MAX_DIALS_AT_ONCE = 16;
/** Up to so many members everybody is connected with everybody; beyond, with observers and a few others. */
const FULL_MESH = 40;
const NEIGHBOURS = 6;
/** What a status may take to come. */
const STATUS_LATE_MS = 5_000;
/** How much sooner than its age a calm status may be sent again. */
const SPREAD_PERCENT = 40;
/** After a connection, a newcomer that hears of no term takes it that there is none. */
const NEWCOMER_PATIENCE_MS = 60_000;
const TELL_SOON_MS = 20;
const TELL_MANY_SOON_MS = 200;
/** Addresses help after a restart: a crash may lose the last of them. */
const SAVE_AFTER_MS = 500;

export interface SwarmLinkConfig {
  swarmId: string;
  /** Addresses to join through; empty for the first agent. */
  join: readonly string[];
}

export interface SwarmLinkEvents {
  request(protocol: 'table' | 'explain', body: Uint8Array): Promise<Uint8Array>;
  voted(claim: Claim, vote: Vote): void;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class SwarmLink {
  readonly #ports: Ports;
  readonly #config: SwarmLinkConfig;
  readonly #events: SwarmLinkEvents;
  readonly #names: SwarmNames;
  readonly #membership: Membership;
  readonly #members: CoreRuntime<MembershipInput, never, MembershipNotice, 'sweep'>;
  readonly #votes: CoreRuntime<VotingInput, VoteMessage, VotingNotice, `deadline ${string}`>;
  readonly #waiting = new Map<Claim, (result: VoteResult) => void>();
  readonly statuses: StatusTable;
  #election: Election | undefined;
  #electionRuntime: CoreRuntime<ElectionInput, ElectionMessage, ElectionNotice, 'election' | 'heartbeat'> | undefined;
  /** Where members were seen last; kept on disk, so that a restart finds the swarm without being told. */
  readonly #addresses = new Map<PeerId, string>();
  /** Peers whose address changed since it was written. */
  readonly #unsaved = new Set<PeerId>();
  readonly #clocks = new ClockOffsets();
  /** Peers whose name was shown since this agent started. */
  readonly #greeted = new Set<PeerId>();
  #sequence = 0;
  #published: { status: Status; atMs: number; forMs: number } | undefined;
  #redial: Timer | undefined;
  #telling: Timer | undefined;
  #outgrown = false;
  /** Whether it may campaign. */
  #begun = false;
  #patience: Timer | undefined;
  #toldVersion = -1;
  /** Who was drawn, for the membership of that version. */
  #witnesses: { version: number; peers: PeerId[] } = { version: -1, peers: [] };
  #neighbours: { version: number; peers: PeerId[] } = { version: -1, peers: [] };
  #pulledMs = Number.NEGATIVE_INFINITY;
  #repair: Timer | undefined;
  #stopped = false;

  constructor(ports: Ports, config: SwarmLinkConfig, events: SwarmLinkEvents) {
    this.#ports = ports;
    this.#config = config;
    this.#events = events;
    this.#names = swarmNames(config.swarmId);
    this.statuses = new StatusTable(ports.crypto, config.swarmId);
    this.#membership = new Membership(ports.transport.self);
    this.#members = this.#runtime(
      this.#membership,
      () => undefined,
      (notice) => this.#membershipNotice(notice),
    );
    const voting = new Voting(ports.crypto, config.swarmId);
    this.#votes = this.#runtime(
      voting,
      (to, message) => this.#send(to, 'vote', encodeVote(message)),
      (notice) => this.#voteNotice(notice),
    );
  }

  #runtime<Input, Message, Notice, TimerId extends string>(
    core: ConstructorParameters<typeof CoreRuntime<Input, Message, Notice, TimerId>>[0],
    send: (to: PeerId, message: Message) => void,
    notice: (notice: Notice) => void,
  ): CoreRuntime<Input, Message, Notice, TimerId> {
    const { clock, store } = this.#ports;
    return new CoreRuntime(core, {
      clock,
      store,
      send,
      broadcast: () => undefined,
      notice,
      failed: (error) => this.#events.failed(error),
    });
  }

  get self(): PeerId {
    return this.#ports.transport.self;
  }

  get coordinator(): PeerId | undefined {
    return this.#election?.coordinator;
  }

  get term(): number {
    return this.#election?.term ?? 0;
  }

  get members() {
    return this.#membership.members();
  }

  /** Claims whose votes are still out. */
  get waitingVotes(): number {
    return this.#waiting.size;
  }

  get alive(): PeerId[] {
    return this.#membership.alive();
  }

  async start(): Promise<void> {
    const { store, random, clock } = this.#ports;
    const reserved = decodeCbor((await store.get(SEQUENCE_KEY)) ?? encodeCbor(0));
    this.#sequence = Math.max(typeof reserved === 'number' ? reserved : 0, Math.round(clock.wallMs()));
    await this.#reserveSequences();
    for (const [key, value] of await store.range(PEER_PREFIX, { limit: MAX_MEMBERS })) {
      this.#addresses.set(key.slice(PEER_PREFIX.length), new TextDecoder().decode(value));
    }
    this.#election = new Election(this.self, random, decodeElectionState(await store.get(ELECTION_KEY)));
    this.#electionRuntime = this.#runtime(
      this.#election,
      (to, message) => this.#send(to, 'election', encodeElectionMessage(message)),
      (notice) => this.#coordinatorChanged(notice),
    );
    await this.#startTransport();
    this.#members.post({ kind: 'start', known: [...this.#addresses.keys()] });
    this.#tellElection();
    // Who is to join and knows nobody yet must not take itself, and others like it, for the whole swarm and elect in a term that there was.
    if (this.#config.join.length === 0 || this.#addresses.size > 0) this.#beginElection();
    this.#dialAll();
  }

  async stop(): Promise<void> {
    this.#saveAddresses();
    this.#stopped = true;
    this.#redial?.cancel();
    this.#repair?.cancel();
    this.#telling?.cancel();
    this.#patience?.cancel();
    this.#ports.transport.publish(
      this.#names.statusTopic,
      sealEnvelope(this.#ports.crypto, this.#config.swarmId, 'leave', ++this.#sequence, new Uint8Array()).bytes,
    );
    for (const runtime of [this.#members, this.#votes, this.#electionRuntime]) runtime?.stop();
    await this.#ports.transport.stop();
  }

  #startTransport(): Promise<void> {
    const protocol = (name: ProtocolName): string => this.#names.protocol(name);
    const names = {
      topics: [this.#names.statusTopic],
      messages: [protocol('vote'), protocol('election')],
      requests: [protocol('sync'), protocol('table'), protocol('explain')],
    };
    return this.#ports.transport.start(names, {
      broadcast: (_topic, from, bytes) => this.#receiveBroadcast(from, bytes),
      message: (name, from, bytes) => this.#receiveMessage(name, from, bytes),
      request: (name, _from, body) => this.#answer(name, body),
      connected: (peer) => this.#connected(peer),
      disconnected: (peer) => {
        this.#members.post({ kind: 'disconnected', peer });
        this.#tellElection();
      },
    });
  }

  #send(to: PeerId, name: 'vote' | 'election', bytes: Uint8Array): void {
    const { transport } = this.#ports;
    const protocol = this.#names.protocol(name);
    if (!this.#isSparse || this.#membership.get(to)?.connected === true) return transport.send(to, protocol, bytes);
    transport.dialPeer(to, this.#addresses.get(to)).then(
      () => transport.send(to, protocol, bytes),
      () => undefined, // out of reach: messages may be lost
    );
  }

  /** Asks other members the same thing; every one that is known is expected to answer, the unreachable too. */
  ask(peers: readonly PeerId[], name: 'table' | 'explain', body: Uint8Array, timeoutMs: number): Promise<FanOutAnswer> {
    const { transport, clock } = this.#ports;
    return fanOut(
      transport,
      clock,
      peers.filter((peer) => peer !== this.self),
      this.#names.protocol(name),
      body,
      timeoutMs,
    );
  }

  /** Ms that this machine's clock is behind its peers'; undefined with too few of them. */
  clockBehindMs(): number | undefined {
    return this.#clocks.behindMs(this.#ports.clock.monotonicMs());
  }

  // What arrives

  #receiveBroadcast(from: PeerId, bytes: Uint8Array): Verdict {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const offer = this.#offer(bytes, nowMs);
    const isNeighbours = offer.verdict === 'accept' && offer.kind === 'status' && offer.entry.origin === from;
    if (!isNeighbours) this.#members.post({ kind: 'heard', peer: from });
    if (offer.verdict !== 'accept') return offer.verdict;
    if (offer.kind === 'leave') {
      this.#farewell(offer.origin, offer.sequence);
    } else if (offer.entry.origin !== this.self) {
      this.#clocks.heard(offer.entry.origin, offer.entry.status.atMs, clock.wallMs(), nowMs);
      this.#members.post({ kind: 'heard', peer: offer.entry.origin });
    }
    return 'accept';
  }

  /** Merges an envelope and learns from it where the peer is and which term it knows. */
  #offer(bytes: Uint8Array, heardMs: number): Offer {
    const offer = this.statuses.offer(bytes, heardMs);
    if (offer.verdict !== 'accept' || offer.kind !== 'status') return offer;
    const { origin, sequence, status } = offer.entry;
    if (origin === this.self) {
      this.#outlivedBy(sequence);
      return offer;
    }
    if (!this.#greeted.has(origin)) {
      this.#greeted.add(origin);
      if (this.#membership.get(origin)?.state === 'alive') this.#events.log('info', `${status.name} is alive`);
    }
    if (status.address !== '') this.#remember(origin, status.address);
    if (status.term > this.term) this.#electionRuntime?.post({ kind: 'term-seen', term: status.term });
    if (status.term > 0) this.#beginElection();
    return offer;
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
    this.#published = undefined;
    this.#reserveSequences().catch((error: unknown) => this.#events.failed(error));
  }

  #reserveSequences(): Promise<void> {
    return this.#ports.store.write([{ kind: 'put', key: SEQUENCE_KEY, value: encodeCbor(this.#sequence + SEQUENCE_RESERVE) }]);
  }

  #receiveMessage(name: string, from: PeerId, bytes: Uint8Array): void {
    this.#members.post({ kind: 'heard', peer: from });
    if (name === this.#names.protocol('vote')) {
      const message = decodeVoteMessage(bytes);
      if (message !== undefined) this.#votes.post({ kind: 'message', from, message });
    } else {
      const message = decodeElectionMessage(bytes);
      if (message !== undefined) this.#electionRuntime?.post({ kind: 'message', from, message });
    }
  }

  async #answer(name: string, body: Uint8Array): Promise<Uint8Array> {
    if (name === this.#names.protocol('table')) return this.#events.request('table', body);
    if (name === this.#names.protocol('explain')) return this.#events.request('explain', body);
    const answer = this.statuses.answerSync(body, this.#ports.clock.monotonicMs());
    if (answer === undefined) throw new Error('malformed digest');
    return answer;
  }

  // Connections

  #connected(peer: PeerId): void {
    this.#members.post({ kind: 'connected', peer });
    this.#tellElectionSoon();
    this.#patience ??= this.#ports.clock.after(NEWCOMER_PATIENCE_MS, () => this.#beginElection());
    // Of many that connect at once, one is asked now, and others in turn.
    if (this.#ports.clock.monotonicMs() - this.#pulledMs >= FIRST_PULL_MS) void this.#pullFrom(peer);
    this.#repairAfter(FIRST_PULL_MS);
  }

  /** Pulls from one connected peer after another, drawn at random, with pauses that double until all is calm. */
  #repairAfter(delayMs: number): void {
    this.#repair?.cancel();
    if (this.#stopped) return;
    this.#repair = this.#ports.clock.after(delayMs, () => {
      const connected = this.#ports.transport.connectedPeers();
      const peer = connected[integerBelow(this.#ports.random, connected.length)];
      if (peer !== undefined) void this.#pullFrom(peer);
      this.#repairAfter(Math.min(CALM_PULL_MS, delayMs * 2));
    });
  }

  /** Anti-entropy: whoever connects asks for what it lacks. */
  async #pullFrom(peer: PeerId): Promise<void> {
    const { clock } = this.#ports;
    const askedMs = clock.monotonicMs();
    this.#pulledMs = askedMs;
    try {
      const answer = await this.#ports.transport.request(
        peer,
        this.#names.protocol('sync'),
        this.statuses.encodeDigest(),
        SYNC_TIMEOUT_MS,
      );
      for (const { envelope, ageMs } of StatusTable.parseSync(answer)) {
        // What it was old there, and no less than the time that the answer may have taken.
        const offer = this.#offer(envelope, askedMs - ageMs);
        if (offer.verdict === 'accept') this.#heardOf(offer, clock.monotonicMs() - askedMs + ageMs);
      }
      this.#tellElectionSoon();
    } catch {
      // it has gone again, or is not of our swarm: the next connection asks anew
    }
  }

  /** Hearsay from a pull. In a swarm where few are connected with each other, a status that is young enough is a sign of life. */
  #heardOf(offer: Extract<Offer, { verdict: 'accept' }>, ageMs: number): void {
    if (offer.kind === 'leave') this.#farewell(offer.origin, offer.sequence);
    else if (this.#isSparse && ageMs < this.#freshMs) this.#members.post({ kind: 'heard', peer: offer.entry.origin });
    else this.#members.post({ kind: 'known', peer: offer.entry.origin });
  }

  /** The swarm has outgrown the full mesh: whom no connection was made to yet is taken for what its status says. */
  #noticeGrowth(): void {
    if (this.#outgrown || !this.#isSparse) return;
    this.#outgrown = true;
    const nowMs = this.#ports.clock.monotonicMs();
    for (const { origin, heardMs } of this.statuses.entries())
      if (nowMs - heardMs < this.#freshMs && this.#membership.isHearsay(origin))
        this.#members.post({ kind: 'heard', peer: origin });
  }

  /** A status of a running peer is no older than this. */
  get #freshMs(): number {
    return statusAgeMs(this.#membership.size) + STATUS_LATE_MS;
  }

  /** Too many for everybody to be connected with everybody. */
  get #isSparse(): boolean {
    return this.#membership.size > FULL_MESH;
  }

  /** Whom to be connected with: all; or one's observers, a few others, the coordinator, and, as the coordinator, all. */
  #wanted(): PeerId[] {
    const { coordinator } = this;
    const others = (): PeerId[] => this.members.map(({ peer }) => peer).filter((peer) => peer !== this.self);
    if (!this.#isSparse || coordinator === this.self) return others();
    const { version } = this.#membership;
    if (this.#neighbours.version !== version)
      this.#neighbours = { version, peers: drawnBy('neighbour', this.self, others(), NEIGHBOURS) };
    const drawn = [...this.witnesses(), ...this.#neighbours.peers];
    return [...new Set(coordinator === undefined ? drawn : [coordinator, ...drawn])];
  }

  #dialAll(): void {
    const { transport, clock } = this.#ports;
    this.#noticeGrowth();
    const connected = new Set(transport.connectedPeers());
    const absent = this.#wanted()
      .filter((peer) => !connected.has(peer))
      .slice(0, MAX_DIALS_AT_ONCE);
    for (const peer of absent) void transport.dialPeer(peer, this.#addresses.get(peer)).catch(() => undefined);
    if (connected.size === 0) {
      for (const address of this.#config.join) {
        transport
          .dial(address)
          .catch((error: unknown) => this.#events.log('warn', `cannot reach ${address}: ${(error as Error).message}`));
      }
    }
    if (!this.#stopped) this.#redial = clock.after(REDIAL_EVERY_MS, () => this.#dialAll());
  }

  #membershipNotice(notice: MembershipNotice): void {
    if (this.#stopped) return;
    const { transport } = this.#ports;
    if (notice.kind === 'redial') {
      void transport.dialPeer(notice.peer, this.#addresses.get(notice.peer)).catch(() => undefined);
      return;
    }
    // A peer whose status has not come yet has no name to show: it is announced with that.
    if (this.statuses.get(notice.peer) !== undefined) this.#events.log('info', `${this.nameOf(notice.peer)} is ${notice.state}`);
    this.#remember(notice.peer, notice.state === 'left' ? undefined : (this.#addresses.get(notice.peer) ?? ''));
    this.#tellElectionSoon();
  }

  /** @param address undefined: forget the peer. */
  #remember(peer: PeerId, address: string | undefined): void {
    if (peer === this.self || (address !== undefined && this.#addresses.get(peer) === address)) return;
    if (address === undefined) this.#addresses.delete(peer);
    else this.#addresses.set(peer, address);
    this.#unsaved.add(peer);
    if (this.#unsaved.size === 1) this.#ports.clock.after(SAVE_AFTER_MS, () => this.#saveAddresses());
  }

  /** What changed of late, in one write. */
  #saveAddresses(): void {
    const operations = [...this.#unsaved].map((peer): StoreOperation => {
      const [key, address] = [`${PEER_PREFIX}${peer}`, this.#addresses.get(peer)];
      return address === undefined ? { kind: 'delete', key } : { kind: 'put', key, value: utf8(address) };
    });
    this.#unsaved.clear();
    if (!this.#stopped && operations.length > 0)
      this.#ports.store.write(operations).catch((error: unknown) => this.#events.failed(error));
  }

  nameOf(peer: PeerId): string {
    return this.statuses.get(peer)?.status.name ?? peer.slice(-8);
  }

  // The coordinator

  #tellElection(): void {
    this.#telling?.cancel();
    this.#telling = undefined;
    const sparse = this.#isSparse;
    this.#toldVersion = this.#membership.version;
    const members: PeerId[] = [];
    const reachable: PeerId[] = [];
    for (const { peer, connected, state } of this.members) {
      members.push(peer);
      if (peer === this.self || connected || (sparse && state === 'alive')) reachable.push(peer);
    }
    this.#electionRuntime?.post({ kind: 'members', members, reachable });
  }

  /** From here on it may campaign: it has been in the swarm before, or began it, or has heard of a term; or nobody has for long. */
  #beginElection(): void {
    if (this.#begun || this.#stopped || this.#electionRuntime === undefined) return;
    this.#begun = true;
    this.#tellElection();
    this.#electionRuntime.post({ kind: 'start' });
  }

  /** That somebody came is no haste; when many come, they are told of together. */
  #tellElectionSoon(): void {
    // Where few are connected, only who is a member and alive matters.
    if (this.#isSparse && this.#toldVersion === this.#membership.version) return;
    const soonMs = this.#isSparse ? TELL_MANY_SOON_MS : TELL_SOON_MS;
    this.#telling ??= this.#ports.clock.after(soonMs, () => this.#tellElection());
  }

  #coordinatorChanged({ term, coordinator }: ElectionNotice): void {
    if (coordinator !== undefined) this.#events.log('info', `term ${term}: ${this.nameOf(coordinator)} coordinates`);
  }

  // Status

  /** Publishes the agent's status where it changed enough to matter, or grew old. */
  publish(status: Status): void {
    const { clock, transport, crypto } = this.#ports;
    const nowMs = clock.monotonicMs();
    if (
      this.#published !== undefined &&
      nowMs - this.#published.atMs < this.#published.forMs &&
      !isNews(this.#published.status, status)
    )
      return;
    // Agents that came up together do not speak together for ever.
    const share = 1 - (SPREAD_PERCENT * integerBelow(this.#ports.random, 101)) / 10_000;
    this.#published = { status, atMs: nowMs, forMs: statusAgeMs(this.#membership.size) * share };
    const envelope = sealEnvelope(crypto, this.#config.swarmId, 'status', ++this.#sequence, encodeStatus(status));
    this.statuses.offer(envelope.bytes, nowMs);
    transport.publish(this.#names.statusTopic, envelope.bytes);
  }

  // Votes

  witnesses(): PeerId[] {
    const { version } = this.#membership;
    if (this.#witnesses.version !== version) this.#witnesses = { version, peers: observersOf(this.self, this.alive) };
    return this.#witnesses.peers;
  }

  /** Asks the witnesses; resolves by the vote's deadline at the latest. */
  vote(claim: Claim): Promise<VoteResult> {
    return new Promise((resolve) => {
      this.#waiting.set(claim, resolve);
      this.#votes.post({ kind: 'claim', claim, witnesses: this.witnesses() });
    });
  }

  #voteNotice(notice: VotingNotice): void {
    switch (notice.kind) {
      case 'decided':
        this.#waiting.get(notice.result.claim)?.(notice.result);
        this.#waiting.delete(notice.result.claim);
        return;
      case 'voted':
        return this.#events.voted(notice.claim, notice.vote);
      case 'equivocation':
        return this.#events.log('warn', `${this.nameOf(notice.witness)} signed two different votes on one claim`);
      case 'evidence-wanted':
        void this.#witness(notice.claimId, notice.claim);
    }
  }

  async #witness(claimId: string, claim: Claim): Promise<void> {
    const { transport, clock } = this.#ports;
    const evidence = await gatherEvidence(claim, transport, this.statuses, clock);
    this.#votes.post({ kind: 'evidence', claimId, ...evidence });
  }
}

function encodeVote(message: VoteMessage): Uint8Array {
  return message.type === 'claim' ? encodeClaimMessage(message.claim) : encodeVoteMessage(message.vote);
}

function isNews(before: Status, now: Status): boolean {
  const told = (['openIncidents', 'term', 'coordinator', 'mode', 'address', 'name'] as const).some(
    (key) => before[key] !== now[key],
  );
  return (
    told ||
    STATUS_CONDITIONS.some((name) => before.conditions[name] !== now.conditions[name]) ||
    now.pressureCenti.some((value, index) => Math.abs((value ?? 0) - (before.pressureCenti[index] ?? 0)) >= PRESSURE_NEWS_CENTI)
  );
}
