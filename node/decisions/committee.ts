// The agent's part in the committee: which member is leader, by its own log or by the leader's status, and the messages of the committee.
// Its parts: the log, the seats, the candidates, and the autopilot.
import { type Vitals, vitalsToWire } from '../../consensus/committee/fitness.ts';
import { RaftIds } from '../../consensus/committee/raft-ids.ts';
import { SendQueue } from '../../consensus/committee/send-queue.ts';
import { unpacked } from '../../consensus/raft/frames.ts';
import { NONE, type NodeId } from '../../consensus/raft/types.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Recovery } from '../../swarm/identity/record.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { counted } from '../../swarm/words.ts';
import type { Ports } from '../ports/ports.ts';
import { Autopilot, TRANSFER_WITHIN_MS } from './autopilot.ts';
import { Candidates } from './candidates.ts';
import type { Members } from './members.ts';
import { type DecisionLog, OwnLog } from './own-log.ts';
import { Seats } from './seats.ts';

/** A member that was removed while it was unreachable gets nothing from its leader: after this it uses what statuses announce. */
const LEAD_SILENT_MS = 5_000;

export interface CommitteeEvents {
  send(to: PeerId, bytes: Uint8Array): void;
  request(to: PeerId, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  /** The vital signs of this agent. */
  vitals(): Vitals;
  /** Whether it is drained. */
  isDrained(peer: PeerId): boolean;
  elected(term: number, coordinator: PeerId): void;
  /** Each second, while this agent leads. */
  leading(log: DecisionLog): void;
  /** A decision was applied here, or the voters changed. */
  applied(): void;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export class Committee {
  readonly #ports: Ports;
  readonly #members: Members;
  readonly #events: CommitteeEvents;
  readonly log: OwnLog;
  readonly seats: Seats;
  readonly candidates: Candidates;
  readonly autopilot: Autopilot;
  readonly #queues = new Map<PeerId, SendQueue>();
  /** The member whose status announces that it is leader, in the highest term. */
  #announced: { term: number; peer: PeerId } | undefined;
  /** When each member last sent a message of the committee. */
  readonly #heardMs = new Map<PeerId, number>();
  /** The leader that was reported last. */
  #reported: PeerId | undefined;
  #startedMs = 0;

  constructor(ports: Ports, members: Members, events: CommitteeEvents) {
    this.#ports = ports;
    this.#members = members;
    this.#events = events;
    const { clock, crypto } = ports;
    const raftIds = new RaftIds(crypto);
    this.log = new OwnLog(ports, raftIds, {
      ...events,
      send: (to, bytes) => this.#send(to, bytes),
      rttMs: () => this.seats.rttMs(),
      opened: () => this.autopilot.steer(),
      changed: () => {
        this.#report();
        this.autopilot.soon();
      },
    });
    this.seats = new Seats(this.log, raftIds, members);
    const answered = (): void => this.autopilot.soon();
    this.candidates = new Candidates(members.self, clock, raftIds, { ...events, answered });
    this.autopilot = new Autopilot(clock, members, this.log, this.seats, this.candidates, events);
  }

  async open(): Promise<void> {
    const { clock } = this.#ports;
    const { self, roster } = this.#members;
    this.#startedMs = clock.monotonicMs();
    const [only, ...others] = roster.members();
    await this.log.resume(only?.subject === self && others.length === 0 && roster.isIssuer(self, clock.wallMs()));
  }

  stop(): void {
    this.autopilot.stop();
    this.log.stop();
    for (const queue of this.#queues.values()) queue.clear();
  }

  /**
   * Follows a recovery by root keys, once: the log here ends, and the member that the keys name is the only voter of a new one.
   * @param known the state of the decisions here: the new log starts with it, if this agent is that member
   */
  async recover(recovery: Recovery, known: () => Uint8Array): Promise<void> {
    if (!(await this.log.supersede(recovery, known))) return;
    if ((this.#announced?.term ?? 0) <= recovery.term) this.#announced = undefined;
    for (const queue of this.#queues.values()) queue.clear();
    this.#events.log('warn', `root keys recover the committee; first voter: ${this.#members.nameOf(recovery.subject)}`);
    await this.log.open();
  }

  // The leader

  get coordinator(): PeerId | undefined {
    return this.#leading().peer;
  }

  /** The leader's term; without a leader, the highest that is known here. */
  get term(): number {
    return this.#leading().term;
  }

  #leading(): { peer: PeerId | undefined; term: number } {
    const { lead, term } = this.log.current?.state ?? { lead: NONE, term: 0 };
    const peer = lead === NONE ? undefined : this.seats.peerOf(lead);
    const announced = this.#announced;
    const { self } = this.#members;
    const isPast = (announced?.term ?? 0) > term && peer !== self && this.#leadSilentMs(peer) > LEAD_SILENT_MS;
    if (peer !== undefined && !isPast) return { peer, term };
    const isIt = announced !== undefined && announced.term >= term && announced.peer !== self;
    if (isIt && this.#isAlive(announced.peer)) return announced;
    return { peer: undefined, term: Math.max(term, announced?.term ?? 0) };
  }

  #isAlive(peer: PeerId): boolean {
    return this.#members.of(peer)?.state === 'alive';
  }

  #leadSilentMs(lead: PeerId | undefined): number {
    return lead === undefined ? 0 : this.#ports.clock.monotonicMs() - (this.#heardMs.get(lead) ?? this.#startedMs);
  }

  /** Takes the term and the role from a member's status. */
  heard(origin: PeerId, term: number, isLeader: boolean): void {
    if (isLeader && term >= (this.#announced?.term ?? 0)) this.#announced = { term, peer: origin };
    else if (!isLeader && this.#announced?.peer === origin) this.#announced = undefined;
    this.#report();
  }

  #report(): void {
    const { peer, term } = this.#leading();
    if (peer === this.#reported) return;
    this.#reported = peer;
    if (peer !== undefined) this.#events.elected(term, peer);
  }

  /** Why the swarm has no leader, and what to do about it; undefined while it has one. */
  get lacking(): string | undefined {
    if (this.coordinator !== undefined) return undefined;
    const { self } = this.#members;
    const nameOf = (peer: PeerId): string => this.#members.nameOf(peer);
    const voters = this.log.current?.conf.voters ?? [];
    const others = this.#members.all().filter(({ peer, state }) => peer !== self && state !== 'alive');
    if (voters.length === 0 && others.length > 0)
      return `no reachable member leads the committee; unreachable: ${others.map(({ peer }) => nameOf(peer)).join(', ')}. Start them, or repair the network between`;
    if (voters.length === 0)
      return 'this agent has no decision log (none exists from before version 0.2, and a damaged one is ignored), and no reachable member leads one: start a member that has it; if none is left, recover the committee with root keys: kalos recover';
    const away = voters.filter((id) => {
      const peer = this.seats.peerOf(id);
      return peer === undefined || (peer !== self && !this.#isAlive(peer));
    });
    const there = voters.length - away.length;
    if (there * 2 > voters.length) return 'an election is in progress';
    return `${there} of ${counted(voters.length, 'voter')} ${there === 1 ? 'is' : 'are'} reachable, and a majority is needed; unreachable: ${away.map((id) => this.seats.nameOf(id)).join(', ')}. Start them; if they are lost, recover the committee with root keys: kalos recover`;
  }

  // Messages

  #send(to: NodeId, frame: Uint8Array): void {
    const peer = this.seats.peerOf(to);
    if (peer === undefined) return;
    const queue = this.#queues.get(peer) ?? new SendQueue(this.#ports.clock, (bytes) => this.#events.send(peer, bytes));
    this.#queues.set(peer, queue);
    // Deferred: the log is not re-entrant.
    if (!queue.push(frame)) Promise.resolve().then(() => this.log.current?.unreachable(to));
  }

  receive(from: PeerId, bytes: Uint8Array): void {
    const log = this.log.current;
    if (log === undefined) return;
    this.#heardMs.set(from, this.#ports.clock.monotonicMs());
    for (const frame of unpacked(bytes)) log.receive(from, frame, (id) => this.seats.isOf(id, from));
  }

  disconnected(peer: PeerId): void {
    this.#queues.get(peer)?.clear();
    this.#queues.delete(peer);
    for (const id of this.seats.ids()) {
      if (!this.seats.isOf(id, peer)) continue;
      this.log.current?.disconnected(id);
      this.log.current?.unreachable(id);
    }
  }

  /** Answers a leader's invitation, or a request to transfer leadership. @throws with the reason of a refusal */
  async answer(from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    const decoded = decodeCbor(body);
    if (Array.isArray(decoded) && decoded[0] === 'transfer') {
      await this.autopilot.transferFor(from, String(decoded[1]));
      return encodeCbor(true);
    }
    if (decoded !== 'invite') throw new Error('malformed request');
    const { id } = await this.log.open();
    const upMs = Math.round(this.#ports.clock.monotonicMs() - this.#startedMs);
    return encodeCbor([id, upMs, vitalsToWire(this.#events.vitals())]);
  }

  /** Transfers leadership to another member. @throws with the reason */
  async transfer(to: PeerId): Promise<void> {
    const { coordinator } = this;
    const { self } = this.#members;
    if (coordinator === undefined) throw new Error('the swarm has no leader');
    if (coordinator === self) return this.autopilot.transferFor(self, to);
    await this.#events.request(coordinator, encodeCbor(['transfer', to]), TRANSFER_WITHIN_MS);
  }
}
