// The agent's part in the committee: who coordinates, by its own log or by what the coordinator's status announces to all, and the messages
// of the committee. Its parts: the log, who belongs to it, and what its leader does so that others do.
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

/** A member that was removed from the committee while it was out of reach hears its leader no more, and goes by what is announced. */
const LEAD_SILENT_MS = 5_000;

export interface CommitteeEvents {
  send(to: PeerId, bytes: Uint8Array): void;
  request(to: PeerId, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  /** How this agent does itself. */
  vitals(): Vitals;
  /** The swarm has decided that nothing is to depend on it. */
  isDrained(peer: PeerId): boolean;
  elected(term: number, coordinator: PeerId): void;
  /** Now and then, while this agent leads. */
  leading(log: DecisionLog): void;
  /** Something was applied here, or who votes has changed. */
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
  /** Who said of itself that it coordinates, in the highest term. */
  #announced: { term: number; peer: PeerId } | undefined;
  /** When each last said something of the committee’s. */
  readonly #heardMs = new Map<PeerId, number>();
  /** Whose election was reported last. */
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
   * Root keys have the committee begun again: what there was of it here is over, and whoever they name begins alone. Once for each time
   * that they do.
   * @param known what was decided, as far as this agent knows: what the new one begins with, where it is this agent’s to begin
   */
  async recover(recovery: Recovery, known: () => Uint8Array): Promise<void> {
    if (!(await this.log.supersede(recovery, known))) return;
    if ((this.#announced?.term ?? 0) <= recovery.term) this.#announced = undefined;
    for (const queue of this.#queues.values()) queue.clear();
    this.#events.log('warn', `the committee begins again, by root keys: ${this.#members.nameOf(recovery.subject)} begins it`);
    await this.log.open();
  }

  // Who coordinates

  get coordinator(): PeerId | undefined {
    return this.#leading().peer;
  }

  /** The coordinator's term; without one, the highest that is known here. */
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

  /** What a status says of its origin. */
  heard(origin: PeerId, term: number, coordinates: boolean): void {
    if (coordinates && term >= (this.#announced?.term ?? 0)) this.#announced = { term, peer: origin };
    else if (!coordinates && this.#announced?.peer === origin) this.#announced = undefined;
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
      return 'this agent has no decision log (none exists from before version 0.2, and a damaged one is ignored), and no reachable member leads one: start a member that has it; if none is left, begin it again with root keys: kalos recover';
    const away = voters.filter((id) => {
      const peer = this.seats.peerOf(id);
      return peer === undefined || (peer !== self && !this.#isAlive(peer));
    });
    const there = voters.length - away.length;
    if (there * 2 > voters.length) return 'an election is in progress';
    return `${there} of ${counted(voters.length, 'voter')} ${there === 1 ? 'is' : 'are'} reachable, and a majority is needed; unreachable: ${away.map((id) => this.seats.nameOf(id)).join(', ')}. Start them; if they are lost, begin the committee again with root keys: kalos recover`;
  }

  // Messages

  #send(to: NodeId, frame: Uint8Array): void {
    const peer = this.seats.peerOf(to);
    if (peer === undefined) return;
    const queue = this.#queues.get(peer) ?? new SendQueue(this.#ports.clock, (bytes) => this.#events.send(peer, bytes));
    this.#queues.set(peer, queue);
    // Not from within the log's own turn.
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

  /** A leader asks what this agent goes by; or somebody asks this leader to hand over. @throws where that cannot be */
  async answer(from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    const decoded = decodeCbor(body);
    if (Array.isArray(decoded) && decoded[0] === 'transfer') {
      await this.autopilot.transferFor(from, String(decoded[1]));
      return encodeCbor(true);
    }
    if (decoded !== 'invite') throw new Error('malformed question');
    const { id } = await this.log.open();
    const upMs = Math.round(this.#ports.clock.monotonicMs() - this.#startedMs);
    return encodeCbor([id, upMs, vitalsToWire(this.#events.vitals())]);
  }

  /** Has another member lead. @throws where it cannot */
  async transfer(to: PeerId): Promise<void> {
    const { coordinator } = this;
    const { self } = this.#members;
    if (coordinator === undefined) throw new Error('the swarm has no leader');
    if (coordinator === self) return this.autopilot.transferFor(self, to);
    await this.#events.request(coordinator, encodeCbor(['transfer', to]), TRANSFER_WITHIN_MS);
  }
}
