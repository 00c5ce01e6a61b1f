// A member of a Raft group at work: drives the core with time and messages, writes what it says, applies what is committed, and
// answers proposals and reads. While its disk fails it says nothing to anybody, so that it promises nothing that it cannot keep.

import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import { integerBelow, type Random } from '../../swarm/ports/random.ts';
import type { Store } from '../../swarm/ports/store.ts';
import { messageOf } from '../../swarm/words.ts';
import { ConfChangeError, type ConfChanges, changesOf } from './config.ts';
import { type Beginning, DurableLog } from './durable-log.ts';
import { Assembly, framesOf, MAX_FRAME_BYTES } from './frames.ts';
import { DEFAULT_SETTINGS, type LogSettings } from './log-settings.ts';
import type { StateMachine } from './machine.ts';
import type { StateType } from './raft.ts';
import { RawNode, StepError } from './raw-node.ts';
import { Ticking } from './ticking.ts';
import {
  type ConfState,
  type Entry,
  type EntryId,
  type HardState,
  type Message,
  NONE,
  type NodeId,
  ProposalDropped,
} from './types.ts';
import { decodeMessage, encodeMessage } from './wire.ts';

/** Who sees a leader's connection close campaigns in turn, each when it would have heard of the one before it. */
const SUCCESSION_STEP_MS = 10;
const SUCCESSION_RTTS = 1.2;
/** A pre-vote and a vote take two round trips. */
const SUCCESSION_ROUNDS = 3;
const SUCCESSION_AGAIN_MS = 50;
const SUCCESSION_TRIES = 10;
const DEFAULT_RTT_MS = 5;
const MAX_APPLYING_BYTES = 4_000_000;
const MAX_UNCOMMITTED_BYTES = 4_000_000;
const MAX_INFLIGHT = 64;
const SNAPSHOT_PATIENCE_MS = 2_000;
/** A large one takes its time. */
const SNAPSHOT_BYTES_PER_MS = 250;
const DISK_AGAIN_MS = 1_000;

export class LogUnavailable extends Error {
  /** Whether it may have taken effect, or may yet. */
  readonly isUnknown: boolean;

  constructor(why: string, isUnknown: boolean) {
    super(why);
    this.isUnknown = isUnknown;
  }
}

export interface LogState {
  state: StateType;
  lead: NodeId;
  term: number;
}

export interface LogEvents {
  /** A message to another member; it may be lost. */
  send(to: NodeId, bytes: Uint8Array): void;
  changed(state: LogState): void;
  /** Each entry that is applied here, in order. */
  applied(entry: Entry): void;
  /** undefined: it works again. */
  diskFails(why: string | undefined): void;
  /** Something that must not be; it has stopped. */
  failed(error: unknown): void;
}

export interface LogPorts {
  clock: Clock;
  store: Store;
  random: Random;
  crypto: Pick<Crypto, 'hash'>;
  /** A round trip to the other members, as far as it is known. */
  rttMs?(): number;
}

const entrySchema = z.tuple([z.string(), z.unknown()]);

interface Waiting<T> {
  done(result: T): void;
  fail(error: LogUnavailable): void;
}

type CommandOf<Machine extends StateMachine<unknown, unknown>> = NonNullable<ReturnType<Machine['parse']>>;
type ResultOf<Machine extends StateMachine<unknown, unknown>> = ReturnType<Machine['apply']>;

export class ReplicatedLog<Machine extends StateMachine<unknown, unknown> = StateMachine<unknown, unknown>> {
  readonly id: NodeId;
  readonly machine: Machine;
  readonly #ports: LogPorts;
  readonly #events: LogEvents;
  readonly #settings: LogSettings;
  readonly #log: DurableLog;
  readonly #node: RawNode;
  readonly #proposals = new Map<string, Waiting<ResultOf<Machine>>>();
  readonly #reads = new Map<string, Waiting<void>>();
  /** Reads that wait until an index is applied. */
  #readable: { index: number; waiting: Waiting<void> }[] = [];
  /** What is to be written, in order. */
  #appends: Message[] = [];
  #isWriting = false;
  readonly #assemblies = new Map<NodeId | string, Assembly>();
  readonly #heardMs = new Map<NodeId, number>();
  #frames = 0;
  /**
   * What is to be on disk with the next entries. A commit alone may wait for them, and no longer: entries that a changed
   * configuration commits must not be without the commit of that change, or an old majority could elect without them.
   */
  #hard: HardState;
  /** A state that is to be kept. */
  #due: { index: number; conf: ConfState; data: Uint8Array } | undefined;
  #conf: ConfState;
  #snapshotted: number;
  /** The last entry whose effect is in the state. */
  #at: EntryId;
  readonly #ticking: Ticking;
  #succession: Timer | undefined;
  /** The leader whose connection closed: what it said before that may still come, and does not bring it back. */
  #gone = { id: NONE, untilMs: 0 };
  #isDraining = false;
  #diskFails = false;
  #stopped = false;
  #last: LogState;
  #sequence = 0;
  readonly #incarnation: string;

  private constructor(id: NodeId, log: DurableLog, machine: Machine, ports: LogPorts, events: LogEvents, settings: LogSettings) {
    this.id = id;
    this.machine = machine;
    this.#ports = ports;
    this.#events = events;
    this.#settings = settings;
    this.#log = log;
    this.#hard = log.state;
    this.#incarnation = `${id.toString(36)}-${ports.random.uint32().toString(36)}`;
    const snapshot = log.kept;
    this.#at = { index: snapshot.index, term: snapshot.term };
    log.present = () => ({ ...this.#at, conf: this.#conf, data: this.machine.encode() });
    this.machine.restore(snapshot.data);
    this.#conf = snapshot.conf;
    this.#snapshotted = snapshot.index;
    this.#node = new RawNode({
      id,
      electionTicks: settings.electionTicks,
      heartbeatTicks: settings.heartbeatTicks,
      storage: log,
      applied: snapshot.index,
      maxBytesPerMessage: MAX_FRAME_BYTES / 2,
      maxApplyingBytes: MAX_APPLYING_BYTES,
      maxUncommittedBytes: MAX_UNCOMMITTED_BYTES,
      maxInflight: MAX_INFLIGHT,
      maxInflightBytes: 0,
      checkQuorum: true,
      preVote: true,
      readOnly: 'safe',
      asyncStorageWrites: true,
      disableProposalForwarding: false,
      disableConfChangeValidation: false,
      stepDownOnRemoval: true,
      randomBelow: (bound) => integerBelow(ports.random, bound),
      log: () => undefined,
    });
    this.#last = this.state;
    const tick = (isSilence: boolean): void => this.#do(() => this.#node.tick(isSilence));
    this.#ticking = new Ticking(this.#node, ports.clock, settings, () => this.#rttMs, tick);
  }

  /** @param voters who begin a group together, all with the same list; undefined: it is there, or a leader brings it. @throws CorruptLog */
  static async open<Machine extends StateMachine<unknown, unknown>>(
    id: NodeId,
    begins: Beginning | readonly NodeId[] | undefined,
    machine: Machine,
    ports: LogPorts,
    events: LogEvents,
    settings: LogSettings = DEFAULT_SETTINGS,
  ): Promise<ReplicatedLog<Machine>> {
    const log = await DurableLog.open(ports.store, ports.crypto, begins);
    const opened = new ReplicatedLog(id, log, machine, ports, events, settings);
    // What is committed on the disk is applied, though no message ever comes.
    opened.#drainSoon();
    return opened;
  }

  stop(): void {
    this.#stopped = true;
    this.#ticking.stop();
    this.#succession?.cancel();
    this.#failAll(new LogUnavailable('this member stops', true));
    for (const { waiting } of this.#readable) waiting.fail(new LogUnavailable('this member stops', false));
  }

  #failAll(why: LogUnavailable): void {
    for (const waiting of [...this.#proposals.values(), ...this.#reads.values()]) waiting.fail(why);
  }

  get state(): LogState {
    const { state, lead, term } = this.#node.raft;
    return { state, lead, term };
  }

  get applied(): number {
    return this.#node.raft.log.applied;
  }

  get conf(): ConfState {
    return this.#conf;
  }

  /** Entries that are here, for whoever checks them. */
  entries(): readonly Entry[] {
    const { log } = this.#node.raft;
    return log.entries(log.firstIndex, Number.POSITIVE_INFINITY);
  }

  get committed(): number {
    return this.#node.raft.log.committed;
  }

  /** What a leader knows of one of the group: for how long it has said nothing, and how many entries it lacks. */
  follower(id: NodeId): { silentMs: number; behind: number } | undefined {
    const progress = this.#node.raft.tracker.progress.get(id);
    const heardMs = this.#heardMs.get(id) ?? Number.NEGATIVE_INFINITY;
    const silentMs = id === this.id ? 0 : this.#ports.clock.monotonicMs() - heardMs;
    return progress && { silentMs, behind: Math.max(0, this.committed - progress.match) };
  }

  // Time and messages

  /** @param sender who brought the frame, by whatever name. @param isIts whether a number is the sender's: nobody speaks for another */
  receive(sender: NodeId | string, frame: Uint8Array, isIts = (id: NodeId) => id === sender): void {
    if (this.#stopped) return;
    const assembly = this.#assemblies.get(sender) ?? new Assembly();
    this.#assemblies.set(sender, assembly);
    const bytes = assembly.take(frame);
    const one = bytes && decodeMessage(bytes);
    if (one === undefined || one.to !== this.id) return;
    // A follower passes on what it was asked.
    const isPassedOn = one.type === 'MsgProp' || one.type === 'MsgReadIndex' || one.type === 'MsgTransferLeader';
    if (!isPassedOn && !isIts(one.from)) return;
    const nowMs = this.#ports.clock.monotonicMs();
    if (one.from === this.#gone.id && nowMs < this.#gone.untilMs && !isPassedOn) return;
    this.#heardMs.set(one.from, nowMs);
    this.#ticking.heard(one.from);
    // Another campaigns: it has its chance.
    const isCampaign = one.type === 'MsgPreVote' || one.type === 'MsgVote';
    if (isCampaign && this.#succession !== undefined) this.#succeedAfter(this.#againMs(), SUCCESSION_TRIES);
    this.#do(() => this.#node.step(one));
  }

  /** A connection has closed: where it was the leader's, that may be gone. */
  disconnected(from: NodeId): void {
    if (this.#stopped || from !== this.#node.raft.lead || from === this.id) return;
    this.#gone = { id: from, untilMs: this.#ports.clock.monotonicMs() + this.#rttMs };
    // The lease is given up, so that others who see the same are voted for; who still hears the leader votes for nobody.
    this.#do(() => this.#node.forgetLeader());
    this.#succeedAfter(this.#turnMs(from), SUCCESSION_TRIES);
  }

  /** Campaigns, and again soon where nobody has won: votes may have been split, or come before others saw the same. */
  #succeedAfter(delayMs: number, tries: number): void {
    this.#succession?.cancel();
    this.#succession = undefined;
    if (tries === 0) return;
    this.#succession = this.#ports.clock.after(delayMs, () => {
      this.#succession = undefined;
      if (this.#node.raft.lead !== NONE) return;
      this.#do(() => this.#node.campaign());
      this.#succeedAfter(this.#againMs(), tries - 1);
    });
  }

  #againMs(): number {
    const roundsMs = SUCCESSION_ROUNDS * this.#rttMs;
    return roundsMs + SUCCESSION_AGAIN_MS + integerBelow(this.#ports.random, SUCCESSION_AGAIN_MS + roundsMs);
  }

  get #rttMs(): number {
    return this.#ports.rttMs?.() ?? DEFAULT_RTT_MS;
  }

  /** The order is another one in each term: a first one that cannot win does not always come first. */
  #turnMs(gone: NodeId): number {
    const { tracker, term } = this.#node.raft;
    const others = tracker.config.voters.ids().filter((id) => id !== gone);
    const turn = (others.indexOf(this.id) + term) % Math.max(1, others.length);
    return turn * (SUCCESSION_STEP_MS + SUCCESSION_RTTS * this.#rttMs) + integerBelow(this.#ports.random, SUCCESSION_STEP_MS);
  }

  unreachable(id: NodeId): void {
    if (this.#node.raft.tracker.progress.has(id)) this.#do(() => this.#node.reportUnreachable(id));
  }

  #do(work: () => void): void {
    if (this.#stopped || this.#diskFails) return;
    try {
      work();
    } catch (error) {
      if (error instanceof StepError || error instanceof ProposalDropped) return;
      return this.#fail(error);
    }
    this.#drainSoon();
  }

  #fail(error: unknown): void {
    this.stop();
    this.#events.failed(error);
  }

  // Proposals and reads

  /** Resolves once it is applied here, with what came of it. @throws LogUnavailable; RangeError where it is no command */
  propose(command: CommandOf<Machine>, timeoutMs: number): Promise<ResultOf<Machine>> {
    if (this.machine.parse(command) === undefined) throw new RangeError('no command of this log');
    const id = `${this.#incarnation}-${this.#sequence++}`;
    const data = encodeCbor([id, command]);
    return this.#waiting(this.#proposals, id, timeoutMs, () => this.#node.propose(data), true);
  }

  /** Resolves once what is read here is no older than this call. @throws LogUnavailable */
  readable(timeoutMs: number): Promise<void> {
    const context = `${this.#incarnation}-${this.#sequence++}`;
    return this.#waiting(this.#reads, context, timeoutMs, () => this.#node.readIndex(context), false);
  }

  #waiting<T>(all: Map<string, Waiting<T>>, id: string, timeoutMs: number, begin: () => void, isUnknown: boolean): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#stopped || this.#diskFails) return reject(new LogUnavailable('this member cannot write', false));
      const late = this.#ports.clock.after(timeoutMs, () => {
        all.delete(id);
        reject(new LogUnavailable(`nothing has come of it in ${timeoutMs} ms`, isUnknown));
      });
      const end = (): void => {
        all.delete(id);
        late.cancel();
      };
      all.set(id, {
        done: (result) => {
          end();
          resolve(result);
        },
        fail: (error) => {
          end();
          reject(error);
        },
      });
      try {
        begin();
      } catch (error) {
        if (!(error instanceof ProposalDropped)) throw error;
        all.get(id)?.fail(new LogUnavailable('there is no leader', false));
      }
      this.#drainSoon();
    });
  }

  /** Of whoever leads; it is done once it is applied, which `conf` shows. @throws LogUnavailable where it is not taken */
  changeConf(changes: ConfChanges): void {
    try {
      this.#node.proposeConfChange(changes);
    } catch (error) {
      if (!(error instanceof ProposalDropped)) throw error;
      throw new LogUnavailable('there is no leader', false);
    }
    this.#drainSoon();
  }

  transferLeader(to: NodeId): void {
    this.#do(() => this.#node.transferLeader(to));
  }

  // What is ready

  /** All that comes in one turn of the loop is one batch. */
  #drainSoon(): void {
    if (this.#isDraining || this.#stopped) return;
    this.#isDraining = true;
    Promise.resolve()
      .then(() => {
        this.#isDraining = false;
        if (!this.#stopped) this.#drain();
      })
      .catch((error: unknown) => this.#fail(error));
  }

  #drain(): void {
    while (this.#node.hasReady && !this.#diskFails) {
      const { messages, readStates } = this.#node.ready();
      for (const { context, index } of readStates) this.#readAt(context, index);
      for (const one of messages) {
        if (one.type === 'MsgStorageAppend') this.#appends.push(one);
        else if (one.type === 'MsgStorageApply') this.#apply(one);
        else this.#send(one);
      }
    }
    this.#ticking.resume();
    this.#tellState();
    if (!this.#isWriting && (this.#appends.length > 0 || this.#due !== undefined))
      this.#write().catch((error: unknown) => this.#fail(error));
  }

  #tellState(): void {
    const now = this.state;
    const { state, lead, term } = this.#last;
    this.#last = now;
    // What was passed on to another, or not committed by oneself, may be lost: whoever waits may ask again at once.
    if (lead !== now.lead && lead !== NONE) this.#failAll(new LogUnavailable('the leader has changed', true));
    if (lead !== now.lead) this.#ticking.leaderChanged();
    if (state !== now.state || lead !== now.lead || term !== now.term) this.#events.changed(now);
  }

  #send(one: Message): void {
    if (one.type === 'MsgSnap') this.#watchSnapshot(one);
    if (this.#diskFails) return;
    for (const frame of framesOf(encodeMessage(one), this.#frames++ >>> 0)) this.#events.send(one.to, frame);
  }

  /** Nothing else is sent to whom a snapshot is under way: where it is lost, it has to be tried again. */
  #watchSnapshot(one: Message): void {
    const { to, snapshot } = one;
    const patienceMs = SNAPSHOT_PATIENCE_MS + (snapshot?.data.length ?? 0) / SNAPSHOT_BYTES_PER_MS;
    this.#ports.clock.after(patienceMs, () => {
      const { state, pendingSnapshot } = this.#node.raft.tracker.progress.get(to) ?? {};
      if (this.#stopped || state !== 'StateSnapshot' || pendingSnapshot !== snapshot?.index) return;
      // While its own disk fails it does nothing, and must not forget it.
      if (this.#diskFails) this.#watchSnapshot(one);
      else this.#do(() => this.#node.reportSnapshot(to, false));
    });
  }

  // Writing

  /** All that waits is written at once; then what depends on it is said. */
  async #write(): Promise<void> {
    this.#isWriting = true;
    while ((this.#appends.length > 0 || this.#due !== undefined) && !this.#stopped) {
      await this.#keepSnapshot();
      const batch = this.#batch();
      for (const { term, vote, commit } of batch) if (term !== 0) this.#hard = { term, vote, commit };
      if (batch.some((one) => this.#mustWrite(one))) await this.#save(batch);
      if (this.#stopped) return;
      for (const one of batch) {
        if (one.snapshot !== undefined) this.#restored(one);
        for (const response of one.responses) {
          if (response.to === this.id) this.#stepOwn(response);
          else this.#send(response);
        }
      }
      this.#drainSoon();
    }
    this.#isWriting = false;
  }

  /** Who was removed meanwhile has nothing to tell itself. */
  #stepOwn(response: Message): void {
    try {
      this.#node.step(response);
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
    }
  }

  /** Appends up to the next snapshot, which is written alone. */
  #batch(): Message[] {
    const at = this.#appends.findIndex(({ snapshot }) => snapshot !== undefined);
    return this.#appends.splice(0, at < 0 ? this.#appends.length : Math.max(1, at));
  }

  async #save(batch: readonly Message[]): Promise<void> {
    // What came later takes the place of what it conflicts with.
    const entries: Entry[] = [];
    for (const one of batch) {
      const [first] = one.entries;
      if (first === undefined) continue;
      const from = entries.findIndex(({ index }) => index >= first.index);
      if (from >= 0) entries.splice(from);
      entries.push(...one.entries);
    }
    const snapshot = batch.find((one) => one.snapshot !== undefined)?.snapshot;
    await this.#untilWritten(() => this.#log.save(this.#hard, entries, snapshot));
  }

  /** Tries again until the disk takes it; meanwhile nothing is said. */
  async #untilWritten(write: () => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      try {
        await write();
        if (this.#diskFails) this.#events.diskFails(undefined);
        this.#diskFails = false;
        return;
      } catch (error) {
        if (!this.#diskFails) this.#events.diskFails(messageOf(error));
        this.#diskFails = true;
      }
      await new Promise<void>((resolve) => this.#ports.clock.after(DISK_AGAIN_MS, resolve));
    }
  }

  #mustWrite({ entries, snapshot, term, vote }: Message): boolean {
    const written = this.#log.state;
    return entries.length > 0 || snapshot !== undefined || (term !== 0 && (term !== written.term || vote !== written.vote));
  }

  #restored({ snapshot }: Message): void {
    if (snapshot === undefined) return;
    this.machine.restore(snapshot.data);
    this.#conf = snapshot.conf;
    this.#snapshotted = snapshot.index;
    this.#at = { index: snapshot.index, term: snapshot.term };
  }

  // Applying

  #apply(one: Message): void {
    for (const entry of one.entries) {
      this.#events.applied(entry);
      if (entry.type !== 'EntryNormal') this.#applyConf(entry);
      else if (entry.data.length > 0) this.#applyCommand(entry);
      this.#at = { index: entry.index, term: entry.term };
    }
    for (const response of one.responses) this.#stepOwn(response);
    this.#answerReads();
    const last = one.entries.at(-1)?.index ?? 0;
    // Who votes is known by what is known to be committed: on disk, or those that restart would wait for one that is no voter any more.
    const isChanged = one.entries.some(({ type }) => type !== 'EntryNormal');
    if (isChanged || last - this.#snapshotted >= this.#settings.snapshotEvery) this.#snapshot(last);
  }

  #applyCommand({ data, index, term }: Entry): void {
    const parsed = entrySchema.safeParse(decodeCbor(data));
    const command = parsed.success ? this.machine.parse(parsed.data[1]) : undefined;
    if (!parsed.success || command === undefined) return;
    const result = this.machine.apply(command, { index, term }) as ResultOf<Machine>;
    this.#proposals.get(parsed.data[0])?.done(result);
  }

  #applyConf(entry: Entry): void {
    try {
      this.#conf = this.#node.applyConfChange(changesOf(entry));
    } catch (error) {
      // It is none, and it is none for all members.
      if (!(error instanceof ConfChangeError || error instanceof RangeError)) throw error;
    }
  }

  #snapshot(index: number): void {
    this.#snapshotted = index;
    this.#due = { index, conf: this.#conf, data: this.machine.encode() };
  }

  /** In the writer's turn: nothing else may be written meanwhile. */
  async #keepSnapshot(): Promise<void> {
    const due = this.#due;
    this.#due = undefined;
    // A leader's may have come since.
    if (due === undefined || due.index <= this.#log.kept.index) return;
    await this.#untilWritten(() => this.#log.snapshotAt(due.index, due.conf, due.data, due.index - this.#settings.keptEntries));
  }

  #readAt(context: string, index: number): void {
    const waiting = this.#reads.get(context);
    if (waiting === undefined) return;
    this.#readable.push({ index, waiting });
    this.#answerReads();
  }

  #answerReads(): void {
    const { applied } = this;
    const ready = this.#readable.filter(({ index }) => index <= applied);
    this.#readable = this.#readable.filter(({ index }) => index > applied);
    for (const { waiting } of ready) waiting.done();
  }
}
