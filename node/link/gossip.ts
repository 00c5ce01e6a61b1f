// The statuses and reports of other members, by broadcast or, where gossip missed them, by a pull. They are merged into the view of the
// swarm, and each is a sign of life of its origin, as of the time when it was published.
import { statusAgeMs } from '../../swarm/membership/ages.ts';
import type { MemberState, MemberTable } from '../../swarm/membership/member-table.ts';
import type { MembershipInput } from '../../swarm/membership/membership.ts';
import type { SwarmNames } from '../../swarm/names.ts';
import type { PeerId, Verdict } from '../../swarm/ports/transport.ts';
import type { ClockOffsets } from '../../swarm/state/clock-offsets.ts';
import { type Lacking, Replica } from '../../swarm/state/replica.ts';
import type { Status } from '../../swarm/state/status.ts';
import type { Offer } from '../../swarm/state/status-table.ts';
import type { Ports } from '../ports/ports.ts';
import type { Announcements } from './announcements.ts';
import type { MemberView } from './member-view.ts';
import { Repair } from './repair.ts';

/** The longest time that a status takes to arrive. */
const STATUS_LATE_MS = 5_000;
/** What a pull brings and is older than this should have come by push. If that is much, gossip does not reach this agent. */
const PUSH_LATE_MS = 3_000;
const MISSED_SHARE = 0.1;
/** An admitted member is expected to publish its status within this time. */
const JOINS_WITHIN_MS = 60_000;

export interface GossipEvents {
  /** An input of the membership protocol. */
  post(input: MembershipInput): void;
  /** A member's newest status. */
  heard(origin: PeerId, status: Status): void;
  /** Records of the roster from other members. @returns how many were new */
  records(records: readonly Uint8Array[]): number;
  /** By how much this agent itself may delay what it receives. */
  lateMs(): number;
  log(level: 'info' | 'warn', text: string): void;
}

export class Gossip {
  readonly #ports: Ports;
  readonly #table: MemberTable;
  readonly #members: MemberView;
  readonly #own: Announcements;
  readonly #clocks: ClockOffsets;
  readonly #events: GossipEvents;
  readonly #replica: Replica;
  readonly #repair: Repair;
  /** Peers that were logged by name since this agent started. */
  readonly #greeted = new Set<PeerId>();

  constructor(
    ports: Ports,
    names: SwarmNames,
    { table, members, own, clocks }: { table: MemberTable; members: MemberView; own: Announcements; clocks: ClockOffsets },
    events: GossipEvents,
  ) {
    this.#ports = ports;
    this.#table = table;
    this.#members = members;
    this.#own = own;
    this.#clocks = clocks;
    this.#events = events;
    this.#replica = new Replica(members.roster, members.statuses);
    this.#repair = new Repair(ports, this.#replica, names.protocol('sync'), {
      pulled: (lacking, askedMs) => this.#pulled(lacking, askedMs),
      isComplete: () => this.#isComplete(),
    });
  }

  stop(): void {
    this.#repair.stop();
  }

  connected(peer: PeerId): void {
    this.#repair.connected(peer);
  }

  /** It is a member now: what it published before its certificate arrived is accepted. */
  added(peer: PeerId): void {
    this.#repair.soon();
    for (const { envelope, heardMs } of this.#members.statuses.takeEarly(peer))
      this.#take(this.#offer(envelope, heardMs), heardMs);
  }

  /** It is no longer a member: what it published is dropped. */
  removed(peer: PeerId, reason: string): void {
    this.#events.log('info', `${this.#members.nameOf(peer)} is no longer a member${reason === '' ? '' : `: ${reason}`}`);
    if (peer === this.#members.self) return;
    this.#members.statuses.forget(peer);
    this.#clocks.forget(peer);
  }

  /** Its state in the membership has changed. */
  changed(peer: PeerId, state: MemberState): void {
    const log = (text: string): void => this.#events.log('info', `${this.#members.nameOf(peer)} ${text}`);
    // The status of a member that left is not kept; one that had left before this agent started is not logged.
    if (state === 'left' && this.#greeted.has(peer)) log('has left the swarm');
    // A peer whose status has not arrived yet is logged with that.
    if (this.#members.statusOf(peer) !== undefined) log(`is ${state}`);
  }

  receive(from: PeerId, bytes: Uint8Array): Verdict {
    const nowMs = this.#ports.clock.monotonicMs();
    const offer = this.#offer(bytes, nowMs);
    const isNeighbours = offer.verdict === 'accept' && offer.kind === 'status' && offer.entry.origin === from;
    if (!isNeighbours) this.#events.post({ kind: 'heard', peer: from });
    return this.#take(offer, nowMs);
  }

  /** Handles an envelope that arrived by broadcast, as a sign of life of its origin. */
  #take(offer: Offer, nowMs: number): Verdict {
    if (offer.verdict !== 'accept') return offer.verdict;
    if (offer.kind === 'leave') {
      this.#farewell(offer.origin, offer.sequence);
    } else if (offer.kind === 'status' && offer.entry.origin !== this.#members.self) {
      const late = { byMs: this.#events.lateMs(), ourMs: this.#ports.clock.wallMs() };
      this.#clocks.heard(offer.entry.origin, offer.entry.status.atMs, nowMs, late);
      this.#events.post({ kind: 'spoke', peer: offer.entry.origin, ageMs: 0 });
    }
    return 'accept';
  }

  /** Merges an envelope: the peer's address, the term that it knows, and the members that it cannot reach. */
  #offer(bytes: Uint8Array, heardMs: number): Offer {
    const offer = this.#members.statuses.offer(bytes, heardMs);
    if (offer.verdict !== 'accept' || offer.kind === 'leave') return offer;
    const { self } = this.#members;
    if (offer.kind === 'report') {
      if (offer.origin === self) this.#own.reportedBefore(offer.sequence);
      else this.#events.post({ kind: 'report', peer: offer.origin, alerts: offer.alerts });
      return offer;
    }
    const { origin, sequence, status } = offer.entry;
    if (origin === self) {
      this.#own.outlivedBy(sequence);
      return offer;
    }
    if (!this.#greeted.has(origin)) {
      this.#greeted.add(origin);
      if (this.#table.get(origin)?.state === 'alive') this.#events.log('info', `${this.#members.nameOf(origin)} is alive`);
    }
    this.#events.heard(origin, status);
    return offer;
  }

  /** A farewell of this agent itself is from before a restart. */
  #farewell(origin: PeerId, sequence: number): void {
    if (origin === this.#members.self) return this.#own.outlivedBy(sequence);
    this.#clocks.forget(origin);
    this.#events.post({ kind: 'left', peer: origin });
  }

  /** Answers a pull of another member. @throws where the request is malformed */
  answer(body: Uint8Array): Uint8Array {
    const answer = this.#replica.answerSync(body, this.#ports.clock.monotonicMs());
    if (answer === undefined) throw new Error('malformed digest');
    return answer;
  }

  #isComplete(): boolean {
    const nowMs = this.#ports.clock.monotonicMs();
    const sinceMs = nowMs - JOINS_WITHIN_MS;
    if (this.#table.all().some((member) => member.state === 'joining' && member.sinceMs > sinceMs)) return false;
    const oldMs = nowMs - this.#freshMs;
    const late = this.#members.statuses
      .entries()
      .filter(({ origin, heardMs }) => heardMs < oldMs && this.#table.get(origin)?.state === 'alive');
    return late.length <= this.#table.size * MISSED_SHARE;
  }

  #pulled({ records, envelopes }: Lacking, askedMs: number): { news: number; missed: number } {
    const { clock } = this.#ports;
    let [news, missed] = [this.#events.records(records), 0];
    for (const { envelope, ageMs } of envelopes) {
      // Its age there, and at most the whole time that the answer took.
      const offer = this.#offer(envelope, askedMs - ageMs);
      if (offer.verdict !== 'accept') continue;
      news++;
      this.#heardOf(offer, clock.monotonicMs() - askedMs + ageMs);
      if (ageMs > PUSH_LATE_MS) missed++;
    }
    if (missed > this.#table.size * MISSED_SHARE) this.#repair.often();
    return { news, missed };
  }

  /** From a pull: a status that is young enough is a sign of life, as of its age. */
  #heardOf(offer: Extract<Offer, { verdict: 'accept' }>, ageMs: number): void {
    if (offer.kind === 'leave') this.#farewell(offer.origin, offer.sequence);
    else if (offer.kind === 'status' && ageMs < this.#freshMs)
      this.#events.post({ kind: 'spoke', peer: offer.entry.origin, ageMs });
  }

  /** The status of a running peer is at most this old. */
  get #freshMs(): number {
    return statusAgeMs(this.#table.size) + STATUS_LATE_MS;
  }
}
