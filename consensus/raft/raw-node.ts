// A Raft node for its user: step messages and ticks in; take what is ready, store, send and apply it, then call advance().
import { type ConfChanges, encodeChanges } from './config.ts';
import { proposal } from './leader.ts';
import { Raft, type RaftConfig, type StateType } from './raft.ts';
import type { ReadState } from './read-only.ts';
import { applyConfChange, step, tick } from './step.ts';
import {
  APPEND_THREAD,
  APPLY_THREAD,
  bytesOf,
  type ConfState,
  type Entry,
  type HardState,
  isLocal,
  isNoState,
  isResponse,
  isSameState,
  isStorage,
  type Message,
  message,
  NO_STATE,
  NONE,
  type NodeId,
  type Snapshot,
} from './types.ts';

export interface SoftState {
  lead: NodeId;
  state: StateType;
}

/** Work for the user, in this order: store, then send, then apply. */
export interface Ready {
  /** undefined: as it was. */
  soft: SoftState | undefined;
  hard: HardState;
  readStates: readonly ReadState[];
  /** To store before messages are sent, with the snapshot first. */
  entries: readonly Entry[];
  snapshot: Snapshot | undefined;
  /** To apply; already stored, or among the entries above. */
  committed: readonly Entry[];
  messages: readonly Message[];
  /** Whether the stored data must be synced before a message is sent. */
  mustSync: boolean;
}

export class StepError extends Error {}

export class RawNode {
  readonly raft: Raft;
  readonly #isAsync: boolean;
  #soft: SoftState;
  #hard: HardState;
  #onAdvance: Message[] = [];

  constructor(config: RaftConfig) {
    this.raft = new Raft(config);
    this.#isAsync = config.asyncStorageWrites;
    this.#soft = this.#softState();
    this.#hard = this.raft.hardState;
  }

  #softState(): SoftState {
    return { lead: this.raft.lead, state: this.raft.state };
  }

  tick(isSilence = true): void {
    tick(this.raft, isSilence);
  }

  campaign(): void {
    step(this.raft, message('MsgHup'));
  }

  /** @throws ProposalDropped */
  propose(data: Uint8Array): void {
    step(this.raft, proposal(this.raft.id, data));
  }

  /** @throws ProposalDropped */
  proposeConfChange(changes: ConfChanges, type: 'EntryConfChange' | 'EntryConfChangeV2' = 'EntryConfChangeV2'): void {
    const entry: Entry = { type, data: encodeChanges(changes), term: 0, index: 0 };
    step(this.raft, message('MsgProp', { entries: [entry] }));
  }

  /** Applies the configuration change of a committed entry. @throws ConfChangeError */
  applyConfChange(changes: ConfChanges): ConfState {
    return applyConfChange(this.raft, changes);
  }

  /** A message of another member, or of the node's own storage. @throws ProposalDropped, StepError */
  step(one: Message): void {
    if (isLocal(one.type) && !isStorage(one.from)) throw new StepError('raft: cannot step raft local message');
    if (isResponse(one.type) && !isStorage(one.from) && !this.raft.tracker.progress.has(one.from))
      throw new StepError('raft: cannot step as peer not found');
    step(this.raft, one);
  }

  /** A message of the node to itself, such as the answer to its own append; ignored if it was removed meanwhile. */
  stepOwn(one: Message): void {
    try {
      this.step(one);
    } catch (error) {
      if (!(error instanceof StepError)) throw error;
    }
  }

  transferLeader(to: NodeId): void {
    step(this.raft, message('MsgTransferLeader', { from: to }));
  }

  /** The node forgets its leader within the same term: it may vote for another. */
  forgetLeader(): void {
    step(this.raft, message('MsgForgetLeader'));
  }

  /** @param context is returned with the index at which the read may be answered */
  readIndex(context: string): void {
    const data = new TextEncoder().encode(context);
    step(this.raft, message('MsgReadIndex', { entries: [{ type: 'EntryNormal', data, term: 0, index: 0 }] }));
  }

  reportUnreachable(id: NodeId): void {
    step(this.raft, message('MsgUnreachable', { from: id }));
  }

  reportSnapshot(id: NodeId, isThere: boolean): void {
    step(this.raft, message('MsgSnapStatus', { from: id, reject: !isThere }));
  }

  get hasReady(): boolean {
    const { log, outbox, reads, hardState } = this.raft;
    const { lead, state } = this.#soft;
    return (
      lead !== this.raft.lead ||
      state !== this.raft.state ||
      (!isNoState(hardState) && !isSameState(hardState, this.#hard)) ||
      log.unstable.nextSnapshot() !== undefined ||
      !outbox.isEmpty ||
      log.unstable.offsetInProgress < log.unstable.offset + log.unstable.length ||
      log.hasNextCommitted(!this.#isAsync) ||
      reads.hasAllowed
    );
  }

  /** The work that is ready; from now on it counts as in progress. */
  ready(): Ready {
    const { id, log, hardState, outbox, reads } = this.raft;
    const soft = this.#softState();
    const { atOnce, afterAppend } = outbox.take();
    const entries = log.unstable.nextEntries();
    const ready: Ready = {
      soft: soft.lead === this.#soft.lead && soft.state === this.#soft.state ? undefined : soft,
      hard: isSameState(hardState, this.#hard) ? NO_STATE : hardState,
      readStates: reads.takeAllowed(),
      entries,
      snapshot: log.unstable.nextSnapshot(),
      committed: log.nextCommitted(!this.#isAsync),
      messages: atOnce,
      mustSync: entries.length > 0 || hardState.vote !== this.#hard.vote || hardState.term !== this.#hard.term,
    };
    const messages = this.#isAsync ? this.#storageMessages(ready, afterAppend) : afterAppend.filter(({ to }) => to !== id);
    this.#accept(ready, afterAppend);
    return { ...ready, messages: [...atOnce, ...messages] };
  }

  #accept({ soft, hard, snapshot, committed }: Ready, afterAppend: readonly Message[]): void {
    const { id, log } = this.raft;
    if (soft !== undefined) this.#soft = soft;
    if (!isNoState(hard)) this.#hard = hard;
    if (!this.#isAsync) {
      if (this.#onAdvance.length > 0) throw new Error('two accepted Ready structs without call to Advance');
      this.#onAdvance = afterAppend.filter(({ to }) => to === id);
      if (this.#awaitsAppend(snapshot)) this.#onAdvance.push(this.#appendResponse(snapshot));
      if (committed.length > 0) this.#onAdvance.push(this.#applyResponse(committed));
    }
    log.unstable.acceptInProgress();
    const last = committed.at(-1);
    if (last !== undefined) log.acceptApplying(last.index, bytesOf(committed), !this.#isAsync);
  }

  /** All that was ready is stored, sent and applied. */
  advance(): void {
    const steps = this.#onAdvance;
    this.#onAdvance = [];
    for (const one of steps) step(this.raft, one);
  }

  // Asynchronous storage

  #storageMessages({ entries, hard, snapshot, committed }: Ready, afterAppend: readonly Message[]): Message[] {
    const { id } = this.raft;
    const messages: Message[] = [];
    if (entries.length > 0 || !isNoState(hard) || snapshot !== undefined || afterAppend.length > 0) {
      // Its own acknowledgement comes last: until then terms are looked up in the unstable part.
      const stored = this.#awaitsAppend(snapshot) ? [this.#appendResponse(snapshot)] : [];
      messages.push(
        message('MsgStorageAppend', {
          to: APPEND_THREAD,
          from: id,
          entries,
          term: hard.term,
          vote: hard.vote,
          commit: hard.commit,
          snapshot,
          responses: [...afterAppend, ...stored],
        }),
      );
    }
    if (committed.length > 0)
      messages.push(
        message('MsgStorageApply', {
          to: APPLY_THREAD,
          from: id,
          entries: committed,
          responses: [this.#applyResponse(committed)],
        }),
      );
    return messages;
  }

  #awaitsAppend(snapshot: Snapshot | undefined): boolean {
    return this.raft.log.unstable.length > 0 || snapshot !== undefined;
  }

  #appendResponse(snapshot: Snapshot | undefined): Message {
    const { id, term, log } = this.raft;
    const last = log.unstable.length > 0 ? log.last : { index: 0, term: NONE };
    // With the term: entries that another leader's entries have replaced meanwhile are not stable.
    return message('MsgStorageAppendResp', {
      to: id,
      from: APPEND_THREAD,
      term,
      index: last.index,
      logTerm: last.term,
      snapshot,
    });
  }

  #applyResponse(entries: readonly Entry[]): Message {
    return message('MsgStorageApplyResp', { to: this.raft.id, from: APPLY_THREAD, entries });
  }
}
