// A running member of a Raft group: feeds time and messages to the core, sends its messages, stores its log, applies committed entries, and
// accepts proposals and reads. While its disk fails it sends nothing, so that it acknowledges nothing that is not stored.

import type { Clock } from '../../swarm/ports/clock.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import { integerBelow, type Random } from '../../swarm/ports/random.ts';
import type { Store } from '../../swarm/ports/store.ts';
import { AppliedState, encodeProposal } from './applied-state.ts';
import type { ConfChanges } from './config.ts';
import { type Beginning, DurableLog } from './durable-log.ts';
import { Framing, MAX_FRAME_BYTES } from './frames.ts';
import { DEFAULT_SETTINGS, type LogSettings } from './log-settings.ts';
import { LogWriter } from './log-writer.ts';
import type { CommandOf, ResultOf, StateMachine } from './machine.ts';
import type { StateType } from './raft.ts';
import { RawNode, StepError } from './raw-node.ts';
import { LogUnavailable, Requests } from './requests.ts';
import { Succession } from './succession.ts';
import { Ticking } from './ticking.ts';
import { type ConfState, type Entry, type Message, NONE, type NodeId, ProposalDropped } from './types.ts';
import { decodeMessage, encodeMessage } from './wire.ts';

const DEFAULT_RTT_MS = 5;
const MAX_APPLYING_BYTES = 4_000_000;
const MAX_UNCOMMITTED_BYTES = 4_000_000;
const MAX_INFLIGHT = 64;
const SNAPSHOT_PATIENCE_MS = 2_000;
/** A large snapshot takes longer. */
const SNAPSHOT_BYTES_PER_MS = 250;

export interface LogState {
  state: StateType;
  lead: NodeId;
  term: number;
  /** The commit index and the applied index of this member. */
  committed: number;
  applied: number;
}

export interface LogEvents {
  /** A message to another member; it may be lost. */
  send(to: NodeId, bytes: Uint8Array): void;
  changed(state: LogState): void;
  /** Each entry that is applied here, in order. */
  applied(entry: Entry): void;
  /** undefined: it works again. */
  diskFails(why: string | undefined): void;
  /** A broken invariant; the member has stopped. */
  failed(error: unknown): void;
}

export interface LogPorts {
  clock: Clock;
  store: Store;
  random: Random;
  crypto: Pick<Crypto, 'hash'>;
  /** The round trip to the other members, if known. */
  rttMs?(): number;
}

export class ReplicatedLog<Machine extends StateMachine<unknown, unknown> = StateMachine<unknown, unknown>> {
  readonly id: NodeId;
  readonly #clock: Clock;
  readonly #events: LogEvents;
  readonly #node: RawNode;
  readonly #applied: AppliedState<Machine>;
  readonly #writer: LogWriter;
  readonly #requests: Requests<ResultOf<Machine>>;
  readonly #framing = new Framing();
  readonly #ticking: Ticking;
  readonly #succession: Succession;
  /** `draining`: ready work is handled before the next turn of the event loop. */
  #phase: 'idle' | 'draining' | 'stopped' = 'idle';
  #last: LogState;

  private constructor(id: NodeId, log: DurableLog, machine: Machine, ports: LogPorts, events: LogEvents, settings: LogSettings) {
    const { clock, random } = ports;
    this.id = id;
    this.#clock = clock;
    this.#events = events;
    this.#requests = new Requests(clock, `${id.toString(36)}-${random.uint32().toString(36)}`);
    this.#applied = new AppliedState(machine, settings.snapshotEvery, log.kept);
    log.present = () => this.#applied.present;
    this.#writer = new LogWriter(log, clock, settings.keptEntries, {
      written: (appends) => this.#written(appends),
      diskFails: (why) => events.diskFails(why),
    });
    this.#node = new RawNode({
      id,
      electionTicks: settings.electionTicks,
      heartbeatTicks: settings.heartbeatTicks,
      storage: log,
      applied: log.kept.index,
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
      randomBelow: (bound) => integerBelow(random, bound),
      log: () => undefined,
    });
    this.#last = this.state;
    const rttMs = (): number => ports.rttMs?.() ?? DEFAULT_RTT_MS;
    this.#ticking = new Ticking(this.#node, clock, settings, rttMs, (isSilence) => this.#do(() => this.#node.tick(isSilence)));
    this.#succession = new Succession(this.#node, clock, random, rttMs, () => this.#do(() => this.#node.campaign()));
  }

  /** @param begins the first voters of a new group, the same list on each; undefined: the log exists, or a leader sends it. @throws CorruptLog */
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
    // Committed entries on the disk are applied even if no message ever comes.
    opened.#drainSoon();
    return opened;
  }

  stop(): void {
    this.#phase = 'stopped';
    this.#ticking.stop();
    this.#succession.stop();
    this.#writer.stop();
    this.#requests.failAll(new LogUnavailable('this member is stopping', true));
  }

  get state(): LogState {
    const { state, lead, term, log } = this.#node.raft;
    return { state, lead, term, committed: log.committed, applied: log.applied };
  }

  get machine(): Machine {
    return this.#applied.machine;
  }

  get conf(): ConfState {
    return this.#applied.conf;
  }

  /** The entries of the log, for checks. */
  entries(): readonly Entry[] {
    const { log } = this.#node.raft;
    return log.entries(log.firstIndex, Number.POSITIVE_INFINITY);
  }

  /** A leader's view of a member: for how long it has been silent, and how many entries it is behind. */
  follower(id: NodeId): { silentMs: number; behind: number } | undefined {
    const { tracker, log } = this.#node.raft;
    const progress = tracker.progress.get(id);
    const silentMs = id === this.id ? 0 : this.#ticking.silentMs(id);
    return progress && { silentMs, behind: Math.max(0, log.committed - progress.match) };
  }

  // Time and messages

  /** @param sender of the frame, under any name. @param isIts whether a Raft id belongs to the sender: messages under other ids are dropped */
  receive(sender: NodeId | string, frame: Uint8Array, isIts = (id: NodeId) => id === sender): void {
    if (this.#phase === 'stopped') return;
    const bytes = this.#framing.take(sender, frame);
    const one = bytes && decodeMessage(bytes);
    if (one === undefined || one.to !== this.id) return;
    // A follower forwards requests to the leader.
    const isPassedOn = one.type === 'MsgProp' || one.type === 'MsgReadIndex' || one.type === 'MsgTransferLeader';
    if (!isPassedOn && (!isIts(one.from) || this.#succession.isLate(one.from))) return;
    this.#ticking.heard(one.from);
    if (one.type === 'MsgPreVote' || one.type === 'MsgVote') this.#succession.yield();
    this.#do(() => this.#node.step(one));
  }

  /** A connection has closed: if it was the leader's, the leader may be down. */
  disconnected(from: NodeId): void {
    if (this.#phase === 'stopped' || from !== this.#node.raft.lead || from === this.id) return;
    // The lease ends, so that candidates that see the same get a vote. Members that still hear the leader vote for no other.
    this.#do(() => this.#node.forgetLeader());
    this.#succession.begin(from);
  }

  unreachable(id: NodeId): void {
    if (this.#node.raft.tracker.progress.has(id)) this.#do(() => this.#node.reportUnreachable(id));
  }

  /** Whether it neither sends nor accepts anything. */
  get #isSilent(): boolean {
    return this.#phase === 'stopped' || this.#writer.isFailing;
  }

  #do(work: () => void): void {
    if (this.#isSilent) return;
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

  /** Resolves with the result once the command is applied here. @throws LogUnavailable; RangeError if it is not a command */
  propose(command: CommandOf<Machine>, timeoutMs: number): Promise<ResultOf<Machine>> {
    if (this.machine.parse(command) === undefined) throw new RangeError('not a command of this log');
    return this.#requests.propose(timeoutMs, (id) => this.#ask(() => this.#node.propose(encodeProposal(id, command))));
  }

  /** Resolves once the state here is as new as this call. @throws LogUnavailable */
  readable(timeoutMs: number): Promise<void> {
    return this.#requests.read(timeoutMs, (id) => this.#ask(() => this.#node.readIndex(id)));
  }

  /** Proposes a configuration change to the leader; `conf` shows when it is applied. @throws LogUnavailable if it is not accepted */
  changeConf(changes: ConfChanges): void {
    this.#ask(() => this.#node.proposeConfChange(changes), false);
  }

  /** @param isRefused whether the request cannot succeed. @throws LogUnavailable */
  #ask(work: () => void, isRefused = this.#isSilent): void {
    if (isRefused) throw new LogUnavailable('this member cannot write its log', false);
    try {
      work();
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

  /** Work of one turn of the event loop is one batch. */
  #drainSoon(): void {
    if (this.#phase !== 'idle') return;
    this.#phase = 'draining';
    Promise.resolve()
      .then(() => {
        if (this.#phase === 'stopped') return;
        this.#phase = 'idle';
        this.#drain();
      })
      .catch((error: unknown) => this.#fail(error));
  }

  #drain(): void {
    while (this.#node.hasReady && !this.#writer.isFailing) {
      const { messages, readStates } = this.#node.ready();
      for (const { context, index } of readStates) this.#requests.confirmed(context, index);
      if (readStates.length > 0) this.#requests.answerReads(this.#node.raft.log.applied);
      for (const one of messages) {
        if (one.type === 'MsgStorageAppend') this.#writer.append(one);
        else if (one.type === 'MsgStorageApply') this.#apply(one);
        else this.#send(one);
      }
    }
    this.#ticking.resume();
    this.#reportState();
    if (this.#writer.isDue) this.#writer.write().catch((error: unknown) => this.#fail(error));
  }

  #reportState(): void {
    const now = this.state;
    const { state, lead, term } = this.#last;
    this.#last = now;
    // Requests that were forwarded or not committed yet may be lost: callers may repeat them.
    if (lead !== now.lead && lead !== NONE) this.#requests.failAll(new LogUnavailable('the leader has changed', true));
    if (lead !== now.lead) this.#ticking.leaderChanged();
    if (state !== now.state || lead !== now.lead || term !== now.term) this.#events.changed(now);
  }

  #send(one: Message): void {
    if (one.type === 'MsgSnap') this.#watchSnapshot(one);
    if (this.#writer.isFailing) return;
    for (const frame of this.#framing.framesOf(encodeMessage(one))) this.#events.send(one.to, frame);
  }

  /** While a snapshot is in flight nothing else is sent to its receiver: if it is lost, it must be sent again. */
  #watchSnapshot(one: Message): void {
    const { to, snapshot } = one;
    const patienceMs = SNAPSHOT_PATIENCE_MS + (snapshot?.data.length ?? 0) / SNAPSHOT_BYTES_PER_MS;
    this.#clock.after(patienceMs, () => {
      const { state, pendingSnapshot } = this.#node.raft.tracker.progress.get(to) ?? {};
      if (this.#phase === 'stopped' || state !== 'StateSnapshot' || pendingSnapshot !== snapshot?.index) return;
      // While this member's disk fails it does nothing now, but must retry later.
      if (this.#writer.isFailing) this.#watchSnapshot(one);
      else this.#do(() => this.#node.reportSnapshot(to, false));
    });
  }

  /** Sends the messages that depend on stored appends, to others and to this node. */
  #written(appends: readonly Message[]): void {
    for (const { snapshot, responses } of appends) {
      if (snapshot !== undefined) this.#applied.restore(snapshot);
      for (const response of responses) {
        if (response.to === this.id) this.#node.stepOwn(response);
        else this.#send(response);
      }
    }
    this.#drainSoon();
  }

  #apply({ entries, responses }: Message): void {
    for (const entry of entries) {
      this.#events.applied(entry);
      const done = this.#applied.apply(entry, (changes) => this.#node.applyConfChange(changes));
      if (done !== undefined) this.#requests.applied(done.id, done.result);
    }
    for (const response of responses) this.#node.stepOwn(response);
    this.#requests.answerReads(this.#node.raft.log.applied);
    const due = this.#applied.snapshotAfter(entries);
    if (due !== undefined) this.#writer.keep(due);
  }
}
