// The agent's part in the committee: its log while it belongs to it, what its leader does so that others belong to it, and who
// coordinates, which everybody else hears from the coordinator's own status.
import { type AutopilotMember, type AutopilotSeat, autopilot } from '../../consensus/committee/autopilot.ts';
import { isFit, UNFIT_MS, type Vitals, vitalsFromWire, vitalsToWire } from '../../consensus/committee/fitness.ts';
import { anotherLog, drawLog, RaftIds } from '../../consensus/committee/raft-ids.ts';
import { SendQueue } from '../../consensus/committee/send-queue.ts';
import { DecisionState } from '../../consensus/decisions/state.ts';
import type { ConfChange } from '../../consensus/raft/config.ts';
import { CorruptLog } from '../../consensus/raft/durable-log.ts';
import { unpacked } from '../../consensus/raft/frames.ts';
import { ReplicatedLog } from '../../consensus/raft/replicated-log.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import { NONE, type NodeId } from '../../consensus/raft/types.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Recovery } from '../../swarm/identity/record.ts';
import { FOUNDER_KEY } from '../../swarm/identity/roster-store.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { Timer } from '../../swarm/ports/clock.ts';
import type { Store } from '../../swarm/ports/store.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { until } from '../../swarm/runtime/until.ts';
import { counted, messageOf } from '../../swarm/words.ts';
import { HEAD_KEY } from '../audit/audit-log.ts';
import type { Ports } from '../ports/ports.ts';
import { beginningOf } from './log-beginning.ts';

/** Which of this peer's logs is the one in use. */
const LOG_KEY = 'committee/log';
/** How often root keys have had it begun again, as far as this agent has followed. */
const RECOVERED_KEY = 'committee/recovered';
const STEER_EVERY_MS = 1_000;
const STEER_SOON_MS = 50;
const INVITE_WITHIN_MS = 3_000;
const INVITE_AGAIN_MS = 10_000;
/** What one goes by in Raft is asked again after this; and those who belong to it, how they do. */
const KNOWN_FOR_MS = 60_000;
const ASK_EVERY_MS = 30_000;
/** The successor of a leader whose loop is late is less late by this factor. */
const MUCH_BETTER = 4;
/** A leader that is unfit tries again to hand over after this. */
const HAND_OVER_AGAIN_MS = 60_000;
/** Of a voter that says nothing, though it is there. Heartbeats come each 250 ms. */
const SILENT_KNOWN_FOR_MS = 10_000;
const SILENT_MS = 2_000;
const HAND_OVER_MS = 1_000;
const TRANSFER_WITHIN_MS = 2_000;
const HAND_OVER_LOOK_MS = 20;
const RETIRE_MS = 10_000;
const OPEN_AGAIN_MS = 10_000;
const MAX_RTT_MS = 500;
/** Who was put out of the committee while it could not be told hears its leader no more, and goes by what is announced. */
const LEAD_SILENT_MS = 5_000;

export interface CommitteeEvents {
  send(to: PeerId, bytes: Uint8Array): void;
  request(to: PeerId, body: Uint8Array, withinMs: number): Promise<Uint8Array>;
  members(): readonly Member[];
  isAlive(peer: PeerId): boolean;
  /** Its certificate is for the committee. */
  hasRole(peer: PeerId): boolean;
  rttMs(peer: PeerId): number | undefined;
  /** How this agent does itself. */
  vitals(): Vitals;
  /** The swarm has decided that nothing is to depend on it. */
  isDrained(peer: PeerId): boolean;
  /** Whether a member may say who leads. */
  mayTransfer(peer: PeerId): boolean;
  elected(term: number, coordinator: PeerId): void;
  /** Now and then, while this agent leads. */
  leading(log: DecisionLog): void;
  /** Something was applied here, or who votes has changed. */
  applied(): void;
  /** No other has ever been let in, and it may let others in: it founded the swarm. */
  isFounderAlone(): boolean;
  nameOf(peer: PeerId): string;
  log(level: 'info' | 'warn', text: string): void;
  failed(error: unknown): void;
}

export type DecisionLog = ReplicatedLog<DecisionState>;

/** One of the committee, as it is shown. */
export interface Seat {
  peer: PeerId | undefined;
  id: NodeId;
  votes: boolean;
  leads: boolean;
  /** Known to the leader only. */
  behind: number | undefined;
}

/** The part of a store under a prefix. */
function within(store: Store, prefix: string): Store {
  return {
    get: (key) => store.get(prefix + key),
    write: (operations) => store.write(operations.map((one) => ({ ...one, key: prefix + one.key }))),
    range: async (from, options) =>
      (await store.range(prefix + from, options)).map(([key, value]) => [key.slice(prefix.length), value]),
    close: async () => undefined,
  };
}

export class Committee {
  readonly #ports: Ports;
  readonly #events: CommitteeEvents;
  readonly #numbers: RaftIds;
  readonly #queues = new Map<PeerId, SendQueue>();
  /** What others said that they go by, and when. */
  readonly #known = new Map<PeerId, { id: NodeId; upMs: number; atMs: number }>();
  /** How others do, by their own word, and since when that is not well. */
  readonly #vitals = new Map<PeerId, Vitals>();
  readonly #unfitMs = new Map<PeerId, number>();
  #askedMs = Number.NEGATIVE_INFINITY;
  #handedMs = Number.NEGATIVE_INFINITY;
  readonly #inviting = new Map<PeerId, number>();
  /** Since when a follower is close behind. */
  readonly #stableMs = new Map<NodeId, number>();
  #log: DecisionLog | undefined;
  #opening: Promise<DecisionLog> | undefined;
  /** Who said of itself that it coordinates, in the highest term. */
  #announced: { term: number; peer: PeerId } | undefined;
  /** When each last said something of the committee’s. */
  readonly #heardMs = new Map<PeerId, number>();
  #told: PeerId | undefined;
  #startedMs = 0;
  #steering: Timer | undefined;
  #isLeaving = false;
  #stopped = false;
  /** How often the log stopped because of something that must not be. */
  failures = 0;

  constructor(ports: Ports, events: CommitteeEvents) {
    this.#ports = ports;
    this.#events = events;
    this.#numbers = new RaftIds(ports.crypto);
  }

  get #self(): PeerId {
    return this.#ports.transport.self;
  }

  /** Who belonged to it before goes on; who founded the swarm begins it. */
  async open(): Promise<void> {
    const { store, clock } = this.#ports;
    this.#startedMs = clock.monotonicMs();
    const isThere = (await store.get(LOG_KEY)) !== undefined || (await store.get(FOUNDER_KEY)) !== undefined;
    // Before there was a log of decisions nothing said who founded; alone it can be nobody else, unless its disk was lost: without an audit.
    const isFounder = !isThere && this.#events.isFounderAlone() && (await store.get(HEAD_KEY)) !== undefined;
    if (isFounder) await store.write([{ kind: 'put', key: FOUNDER_KEY, value: new Uint8Array() }]);
    if (isThere || isFounder) await this.#openLog();
  }

  /** Why the swarm has no leader, and what to do about it; undefined while it has one. */
  get lacking(): string | undefined {
    if (this.coordinator !== undefined) return undefined;
    const voters = this.#log?.conf.voters ?? [];
    const others = this.#events.members().filter(({ peer, state }) => peer !== this.#self && state !== 'alive');
    if (voters.length === 0 && others.length > 0)
      return `no reachable member leads the committee; unreachable: ${others.map(({ peer }) => this.#events.nameOf(peer)).join(', ')}. Start them, or repair the network between`;
    if (voters.length === 0)
      return 'this agent has no decision log (none exists from before version 0.2, and a damaged one is ignored), and no reachable member leads one: start a member that has it; if none is left, begin it again with root keys: kalos recover';
    const away = voters
      .map((id) => this.#peerOf(id))
      .filter((peer) => peer === undefined || (peer !== this.#self && !this.#events.isAlive(peer)));
    if ((voters.length - away.length) * 2 > voters.length) return 'an election is in progress';
    return `${voters.length - away.length} of ${counted(voters.length, 'voter')} ${voters.length - away.length === 1 ? 'is' : 'are'} reachable, and a majority is needed; unreachable: ${away.map((peer) => (peer === undefined ? 'a voter that is not a member' : this.#events.nameOf(peer))).join(', ')}. Start them; if they are lost, begin the committee again with root keys: kalos recover`;
  }

  /**
   * Root keys have the committee begun again: what there was of it here is over, and whoever they name begins alone. Once for each time
   * that they do.
   * @param known what was decided, as far as this agent knows: what the new one begins with, where it is this agent’s to begin
   */
  async recover({ subject, epoch, index, term }: Recovery, known: () => Uint8Array): Promise<void> {
    const { store, random } = this.#ports;
    const before = decodeCbor((await store.get(RECOVERED_KEY)) ?? encodeCbor(0));
    if (typeof before !== 'number' || before >= epoch || this.#stopped) return;
    const isIts = subject === this.#self;
    const stored = decodeCbor((await store.get(LOG_KEY)) ?? encodeCbor(null));
    await store.write([
      { kind: 'put', key: RECOVERED_KEY, value: encodeCbor(epoch) },
      { kind: 'put', key: LOG_KEY, value: encodeCbor(anotherLog(typeof stored === 'number' ? stored : drawLog(random))) },
      isIts ? { kind: 'put', key: FOUNDER_KEY, value: encodeCbor([index, term, known()]) } : { kind: 'delete', key: FOUNDER_KEY },
    ]);
    await this.#opening?.catch(() => undefined);
    this.#log?.stop();
    this.#log = undefined;
    if ((this.#announced?.term ?? 0) <= term) this.#announced = undefined;
    for (const queue of this.#queues.values()) queue.clear();
    this.#events.log('warn', `the committee begins again, by root keys: ${this.#events.nameOf(subject)} begins it`);
    await this.#openLog();
  }

  #openLog(): Promise<DecisionLog> {
    if (this.#log !== undefined) return Promise.resolve(this.#log);
    this.#opening ??= this.#openAnew().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #openAnew(): Promise<DecisionLog> {
    const { store, random, crypto, clock } = this.#ports;
    const stored = decodeCbor((await store.get(LOG_KEY)) ?? encodeCbor(null));
    const founding = await store.get(FOUNDER_KEY);
    const number = typeof stored === 'number' ? stored : drawLog(random);
    if (number !== stored) await store.write([{ kind: 'put', key: LOG_KEY, value: encodeCbor(number) }]);
    const id = this.#numbers.idOf(this.#self, number);
    const rttMs = (): number => this.#rttMs();
    const ports = { clock, random, crypto, rttMs, store: within(store, `committee/${number}/`) };
    try {
      const log = await ReplicatedLog.open(
        id,
        founding && beginningOf(id, founding),
        new DecisionState(),
        ports,
        this.#logEvents(),
      );
      if (this.#stopped) log.stop();
      this.#log = log;
      this.#steer();
      return log;
    } catch (error) {
      if (!(error instanceof CorruptLog)) throw error;
      this.#events.log('warn', `${error.message}; it begins another log`);
      const another = anotherLog(number);
      await store.write([
        { kind: 'put', key: LOG_KEY, value: encodeCbor(another) },
        { kind: 'delete', key: FOUNDER_KEY },
      ]);
      return this.#openAnew();
    }
  }

  /** As half of the others have it, or better: they make the majority. */
  #rttMs(): number {
    const known = this.peers().flatMap((peer) => this.#events.rttMs(peer) ?? []);
    const median = known.sort((a, b) => a - b)[Math.floor((known.length - 1) / 2)];
    return Math.min(MAX_RTT_MS, Math.max(1, median ?? 0));
  }

  #logEvents() {
    return {
      send: (to: NodeId, bytes: Uint8Array) => this.#send(to, bytes),
      changed: () => {
        this.#tell();
        this.#steerSoon();
      },
      applied: () => this.#events.applied(),
      diskFails: (why: string | undefined) =>
        this.#events.log(
          'warn',
          why === undefined ? 'the committee’s log is written again' : `the committee’s log cannot be written: ${why}`,
        ),
      failed: (error: unknown) => this.#logFailed(error),
    };
  }

  /** Something that must not be: this member is silent for a while, and goes on from what is on its disk. */
  #logFailed(error: unknown): void {
    this.failures++;
    this.#log = undefined;
    this.#events.log('warn', `the committee’s log has stopped: ${messageOf(error)}`);
    this.#ports.clock.after(OPEN_AGAIN_MS, () => {
      if (!this.#stopped) this.#openLog().catch((again: unknown) => this.#events.failed(again));
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#steering?.cancel();
    this.#log?.stop();
    for (const queue of this.#queues.values()) queue.clear();
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
    const { lead, term } = this.#log?.state ?? { lead: NONE, term: 0 };
    const peer = lead === NONE ? undefined : this.#peerOf(lead);
    const announced = this.#announced;
    const isPast = (announced?.term ?? 0) > term && peer !== this.#self && this.#leadSilentMs(peer) > LEAD_SILENT_MS;
    if (peer !== undefined && !isPast) return { peer, term };
    const isIt = announced !== undefined && announced.term >= term && announced.peer !== this.#self;
    if (isIt && this.#events.isAlive(announced.peer)) return announced;
    return { peer: undefined, term: Math.max(term, announced?.term ?? 0) };
  }

  #leadSilentMs(lead: PeerId | undefined): number {
    return lead === undefined ? 0 : this.#ports.clock.monotonicMs() - (this.#heardMs.get(lead) ?? this.#startedMs);
  }

  /** What a status says of its origin. */
  heard(origin: PeerId, term: number, coordinates: boolean): void {
    if (coordinates && term >= (this.#announced?.term ?? 0)) this.#announced = { term, peer: origin };
    else if (!coordinates && this.#announced?.peer === origin) this.#announced = undefined;
    this.#tell();
  }

  #tell(): void {
    const { peer, term } = this.#leading();
    if (peer === this.#told) return;
    this.#told = peer;
    if (peer !== undefined) this.#events.elected(term, peer);
  }

  get isLeader(): boolean {
    return this.#log?.state.state === 'StateLeader';
  }

  /** This agent's log, where it has one: for whoever judges it from outside. */
  get replica(): DecisionLog | undefined {
    return this.#log;
  }

  // Who belongs to it

  #ids(): NodeId[] {
    const { voters = [], votersOutgoing = [], learners = [] } = this.#log?.conf ?? {};
    return [...new Set([...voters, ...votersOutgoing, ...learners])];
  }

  #peerOf(id: NodeId): PeerId | undefined {
    return this.#numbers.peerOf(id, () => this.#events.members().map(({ peer }) => peer));
  }

  /** The others of the committee, where this agent is one of it. */
  peers(): PeerId[] {
    const { id } = this.#log ?? {};
    const ids = this.#ids();
    if (id === undefined || !ids.includes(id)) return [];
    return ids.flatMap((one) => this.#peerOf(one) ?? []).filter((peer) => peer !== this.#self);
  }

  /** Who votes, this agent included; undefined while that changes, or where one of them is not known. */
  voters(): PeerId[] | undefined {
    const { voters = [], votersOutgoing = [] } = this.#log?.conf ?? {};
    const peers = voters.flatMap((id) => this.#peerOf(id) ?? []);
    return votersOutgoing.length > 0 || peers.length < voters.length || peers.length === 0 ? undefined : peers;
  }

  seats(): Seat[] {
    const { conf, state } = this.#log ?? {};
    return this.#ids().map((id) => ({
      id,
      peer: this.#peerOf(id),
      votes: conf?.voters.includes(id) ?? false,
      leads: state?.lead === id,
      behind: this.isLeader ? this.#log?.follower(id)?.behind : undefined,
    }));
  }

  // Messages

  #send(to: NodeId, frame: Uint8Array): void {
    const peer = this.#peerOf(to);
    if (peer === undefined) return;
    const queue = this.#queues.get(peer) ?? new SendQueue(this.#ports.clock, (bytes) => this.#events.send(peer, bytes));
    this.#queues.set(peer, queue);
    // Not from within the log's own turn.
    if (!queue.push(frame)) Promise.resolve().then(() => this.#log?.unreachable(to));
  }

  receive(from: PeerId, bytes: Uint8Array): void {
    const log = this.#log;
    if (log === undefined) return;
    this.#heardMs.set(from, this.#ports.clock.monotonicMs());
    for (const frame of unpacked(bytes)) log.receive(from, frame, (id) => this.#numbers.isOf(id, from));
  }

  disconnected(peer: PeerId): void {
    this.#queues.get(peer)?.clear();
    this.#queues.delete(peer);
    for (const id of this.#ids()) {
      if (!this.#numbers.isOf(id, peer)) continue;
      this.#log?.disconnected(id);
      this.#log?.unreachable(id);
    }
  }

  /** A leader asks what this agent goes by; or somebody asks this leader to hand over. @throws where that cannot be */
  async answer(from: PeerId, body: Uint8Array): Promise<Uint8Array> {
    const decoded = decodeCbor(body);
    if (Array.isArray(decoded) && decoded[0] === 'transfer') {
      await this.#transferFor(from, String(decoded[1]));
      return encodeCbor(true);
    }
    if (decoded !== 'invite') throw new Error('malformed question');
    const { id } = await this.#openLog();
    const upMs = Math.round(this.#ports.clock.monotonicMs() - this.#startedMs);
    return encodeCbor([id, upMs, vitalsToWire(this.#events.vitals())]);
  }

  /** Has another member lead. @throws where it cannot */
  async transfer(to: PeerId): Promise<void> {
    const { coordinator } = this;
    if (coordinator === undefined) throw new Error('the swarm has no leader');
    if (coordinator === this.#self) return this.#transferFor(this.#self, to);
    await this.#events.request(coordinator, encodeCbor(['transfer', to]), TRANSFER_WITHIN_MS);
  }

  async #transferFor(from: PeerId, to: PeerId): Promise<void> {
    const log = this.#log;
    if (log?.state.state !== 'StateLeader') throw new Error('this agent does not coordinate any more');
    if (!this.#events.mayTransfer(from))
      throw new Error(`${this.#events.nameOf(from)} may not say who coordinates: it is no issuer`);
    const id = log.conf.voters.find((one) => this.#numbers.isOf(one, to));
    if (id === undefined) throw new Error(`${this.#events.nameOf(to)} does not vote in the committee`);
    if (id === log.id) return;
    log.transferLeader(id);
    await until(this.#ports.clock, () => log.state.lead === id, TRANSFER_WITHIN_MS, HAND_OVER_LOOK_MS);
    if (log.state.lead !== id) throw new Error(`${this.#events.nameOf(to)} did not take over in ${TRANSFER_WITHIN_MS / 1_000} s`);
  }

  // What its leader does

  #steerSoon(): void {
    this.#steering?.cancel();
    this.#steering = this.#stopped ? undefined : this.#ports.clock.after(STEER_SOON_MS, () => this.#steer());
  }

  #steer(): void {
    this.#steering?.cancel();
    if (this.#stopped) return;
    this.#steering = this.#ports.clock.after(STEER_EVERY_MS, () => this.#steer());
    const log = this.#log;
    if (log?.state.state !== 'StateLeader') return this.#stableMs.clear();
    this.#events.leading(log);
    this.#askAll(log);
    const view = {
      self: this.#self,
      isLeaving: this.#isLeaving,
      members: this.#members(log),
      conf: log.conf,
      seats: this.#seats(log),
    };
    const step = autopilot(view);
    if (step?.kind === 'invite') this.#invite(step.peers);
    else if (step !== undefined) this.#change(log, step.changes);
    else this.#yieldIfUnfit(log);
  }

  #askAll(log: DecisionLog): void {
    const nowMs = this.#ports.clock.monotonicMs();
    this.#judge(this.#self, this.#events.vitals());
    if (nowMs - this.#askedMs < ASK_EVERY_MS) return;
    this.#askedMs = nowMs;
    const seated = [...log.conf.voters, ...log.conf.learners].flatMap((id) => this.#peerOf(id) ?? []);
    this.#invite(seated.filter((peer) => peer !== this.#self));
  }

  #judge(peer: PeerId, vitals: Vitals): void {
    this.#vitals.set(peer, vitals);
    if (isFit(vitals)) this.#unfitMs.delete(peer);
    else if (!this.#unfitMs.has(peer)) this.#unfitMs.set(peer, this.#ports.clock.monotonicMs());
  }

  /** Of those who vote, as they say. */
  domains(): string[] {
    return [...this.#vitals.values()].map(({ domain }) => domain);
  }

  #isUnfit(peer: PeerId): boolean {
    const sinceMs = this.#unfitMs.get(peer);
    return this.#events.isDrained(peer) || (sinceMs !== undefined && this.#ports.clock.monotonicMs() - sinceMs >= UNFIT_MS);
  }

  /** By what it said of late, and by far: it is to be no accident. */
  #doesBetter(peer: PeerId | undefined): boolean {
    const vitals = peer === undefined ? undefined : this.#vitals.get(peer);
    if (peer === undefined || vitals === undefined || !isFit(vitals) || this.#isUnfit(peer)) return false;
    const own = this.#events.vitals();
    const isForLagAlone = isFit({ ...own, lagMs: 0 }) && !this.#events.isDrained(this.#self);
    return !isForLagAlone || vitals.lagMs * MUCH_BETTER < own.lagMs;
  }

  /** A leader that is not well lets another lead, which then replaces it. */
  #yieldIfUnfit(log: DecisionLog): void {
    const nowMs = this.#ports.clock.monotonicMs();
    if (!this.#isUnfit(this.#self) || nowMs - this.#handedMs < HAND_OVER_AGAIN_MS) return;
    // Where all are short of the same, nothing is won: it leads as long as it can.
    const heir = this.#heirs(log).find((id) => this.#doesBetter(this.#peerOf(id)));
    if (heir === undefined) return;
    this.#handedMs = nowMs;
    this.#events.log('info', 'this agent is not fit to coordinate: another one does');
    this.handOver(heir).catch((error: unknown) => this.#events.failed(error));
  }

  #change(log: DecisionLog, changes: readonly ConfChange[]): void {
    try {
      log.changeConf({ transition: 'ConfChangeTransitionAuto', changes });
    } catch (error) {
      if (!(error instanceof LogUnavailable)) throw error;
      return; // at the next turn
    }
    for (const { type, node } of changes) {
      const peer = this.#peerOf(node);
      const name = peer === undefined ? 'a voter that is not a member' : this.#events.nameOf(peer);
      const does = type === 'ConfChangeRemoveNode' ? 'without' : type === 'ConfChangeAddNode' ? 'votes:' : 'learns:';
      this.#events.log('info', `committee: ${does} ${name}`);
    }
  }

  #members(log: DecisionLog): AutopilotMember[] {
    const { clock } = this.#ports;
    const nowMs = clock.monotonicMs();
    const silent = new Set(log.conf.voters.filter((id) => (log.follower(id)?.silentMs ?? 0) > SILENT_MS));
    for (const [peer, { id, atMs }] of this.#known)
      if (nowMs - atMs > (silent.has(id) ? SILENT_KNOWN_FOR_MS : KNOWN_FOR_MS)) this.#known.delete(peer);
    return this.#events.members().map(({ peer, state, sinceMs }) => {
      const known = this.#known.get(peer);
      return {
        peer,
        hasRole: this.#events.hasRole(peer),
        isAlive: state === 'alive',
        forMs: nowMs - sinceMs,
        known: known && { id: known.id, upMs: known.upMs + nowMs - known.atMs },
        domain: this.#vitals.get(peer)?.domain ?? '',
        isUnfit: this.#isUnfit(peer),
      };
    });
  }

  #seats(log: DecisionLog): Map<NodeId, AutopilotSeat> {
    const nowMs = this.#ports.clock.monotonicMs();
    return new Map(
      this.#ids().map((id) => {
        const { silentMs = Number.POSITIVE_INFINITY, behind = Number.POSITIVE_INFINITY } = log.follower(id) ?? {};
        const isActive = silentMs <= SILENT_MS;
        if (!isActive) this.#stableMs.delete(id);
        else if (!this.#stableMs.has(id)) this.#stableMs.set(id, nowMs);
        const stableMs = nowMs - (this.#stableMs.get(id) ?? nowMs);
        return [id, { id, peer: this.#peerOf(id), isActive, behind, stableMs }];
      }),
    );
  }

  #invite(peers: readonly PeerId[]): void {
    const nowMs = this.#ports.clock.monotonicMs();
    for (const peer of peers) {
      if (nowMs - (this.#inviting.get(peer) ?? Number.NEGATIVE_INFINITY) < INVITE_AGAIN_MS) continue;
      this.#inviting.set(peer, nowMs);
      this.#events.request(peer, encodeCbor('invite'), INVITE_WITHIN_MS).then(
        (answer) => this.#invited(peer, answer),
        () => undefined, // again after a while
      );
    }
  }

  #invited(peer: PeerId, answer: Uint8Array): void {
    const decoded = decodeCbor(answer);
    const [id, upMs, vitals] = Array.isArray(decoded) ? decoded : [];
    if (!Number.isSafeInteger(id) || typeof upMs !== 'number' || !this.#numbers.isOf(Number(id), peer)) return;
    this.#inviting.delete(peer);
    this.#known.set(peer, { id: Number(id), upMs, atMs: this.#ports.clock.monotonicMs() });
    this.#judge(peer, vitalsFromWire(vitals));
    this.#steerSoon();
  }

  // Going

  /** Who could lead in its place, the best first. */
  #heirs(log: DecisionLog): NodeId[] {
    const unfit = (id: NodeId): number => Number(this.#isUnfit(this.#peerOf(id) ?? ''));
    return log.conf.voters
      .filter((id) => id !== log.id && (log.follower(id)?.silentMs ?? Number.POSITIVE_INFINITY) < SILENT_MS)
      .sort((a, b) => unfit(a) - unfit(b) || (log.follower(a)?.behind ?? 0) - (log.follower(b)?.behind ?? 0));
  }

  /** A leader that stops hands over to another that votes and has all. */
  async handOver(to?: NodeId): Promise<void> {
    const log = this.#log;
    if (log?.state.state !== 'StateLeader') return;
    const next = to ?? this.#heirs(log)[0];
    if (next === undefined) return;
    log.transferLeader(next);
    await until(this.#ports.clock, () => log.state.state !== 'StateLeader', HAND_OVER_MS, HAND_OVER_LOOK_MS);
  }

  /** Before its membership ends: the log stays with the others. */
  async retire(): Promise<void> {
    const log = this.#log;
    const hasOthers = this.#events.members().some(({ peer, state }) => peer !== this.#self && state === 'alive');
    if (log?.state.state !== 'StateLeader' || !hasOthers) return;
    this.#isLeaving = true;
    this.#steer();
    await until(this.#ports.clock, () => log.state.state !== 'StateLeader', RETIRE_MS, STEER_SOON_MS);
  }
}
