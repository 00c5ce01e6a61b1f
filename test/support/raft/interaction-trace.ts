// etcd/raft's traces of nodes that work together: each command changes or shows the nodes, the messages between them and their storage.
import { type ConfChanges, changesOf, TRANSITIONS } from '../../../consensus/raft/config.ts';
import { inOrder } from '../../../consensus/raft/progress.ts';
import type { LogLevel } from '../../../consensus/raft/raft.ts';
import { RawNode, StepError } from '../../../consensus/raft/raw-node.ts';
import { MemoryStorage } from '../../../consensus/raft/storage.ts';
import {
  type ConfState,
  type Entry,
  type HardState,
  isNoState,
  isStorage,
  type Message,
  message,
  NO_CONF,
  type NodeId,
  ProposalDropped,
  type Snapshot,
} from '../../../consensus/raft/types.ts';
import { argument, type Directive, flag, plain, whole } from './data-driven.ts';
import { describeEntry, describeMessage, describeReady } from './describe.ts';
import { parseChanges } from './quorum-trace.ts';

const ELECTION_TICKS = 3;
const HEARTBEAT_TICKS = 1;
const LEVELS: readonly string[] = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL', 'NONE'];

/** Gives out the newest state of the machine as its snapshot. */
class TraceStorage extends MemoryStorage {
  history: Snapshot[] = [];

  override snapshot(): Snapshot {
    return this.history.at(-1) ?? super.snapshot();
  }
}

interface TracedNode {
  id: NodeId;
  node: RawNode;
  storage: TraceStorage;
  isAsync: boolean;
  appendWork: Message[];
  applyWork: Message[];
}

const isLocalMessage = ({ from, to }: Message): boolean => isStorage(from) || isStorage(to) || from === to;

export class InteractionTrace {
  readonly #nodes: TracedNode[] = [];
  #messages: Message[] = [];
  #level = 0;
  #output = '';

  /** @returns what the command prints */
  run(directive: Directive): string {
    this.#output = '';
    try {
      this.#handle(directive);
    } catch (error) {
      if (!(error instanceof ProposalDropped || error instanceof StepError)) throw error;
      if (this.#isQuiet) return `${error.message}\n`;
      this.#print(error.message);
    }
    return this.#output === '' ? 'ok\n' : this.#output;
  }

  get #isQuiet(): boolean {
    return LEVELS[this.#level] === 'NONE';
  }

  #print(text: string): void {
    if (!this.#isQuiet) this.#output += `${text.replace(/\n$/, '')}\n`;
  }

  #indented(work: () => void): void {
    const before = this.#output;
    this.#output = '';
    work();
    this.#output = before + this.#output.replace(/^(?=.)/gm, '  ');
  }

  #at(number: number | undefined): TracedNode {
    const node = this.#nodes[(number ?? 0) - 1];
    if (node === undefined) throw new Error(`no node ${number}`);
    return node;
  }

  #handle(directive: Directive): void {
    const [first, second] = plain(directive);
    switch (directive.command) {
      case '_breakpoint':
        return;
      case 'add-nodes':
        return this.#addNodes(directive, first ?? 0);
      case 'campaign':
        return this.#at(first).node.campaign();
      case 'compact':
        this.#at(first).storage.compact(second ?? 0);
        return this.#raftLog(this.#at(first));
      case 'deliver-msgs':
        return this.#deliverCommand(directive);
      case 'process-ready':
        return this.#each(directive, 'handling Ready', (node) => this.#processReady(node));
      case 'process-append-thread':
        return this.#each(directive, 'processing append thread', (node) => this.#processAppend(node));
      case 'process-apply-thread':
        return this.#each(directive, 'processing apply thread', (node) => this.#processApply(node));
      case 'log-level':
        this.#level = LEVELS.indexOf(directive.args[0]?.key.toUpperCase() ?? '');
        return;
      case 'raft-log':
        return this.#raftLog(this.#at(first));
      case 'raft-state':
        return this.#raftState();
      case 'set-randomized-election-timeout':
        this.#at(first).node.raft.timer.randomizedElectionTicks = whole(directive, 'timeout') ?? 0;
        return;
      case 'stabilize':
        return this.#stabilizeCommand(directive);
      case 'status':
        for (const [id, progress] of inOrder(this.#at(first).node.raft.tracker.progress)) this.#print(`${id}: ${progress}`);
        return;
      case 'tick-election':
        for (let i = 0; i < ELECTION_TICKS; i++) this.#at(first).node.tick();
        return;
      case 'tick-heartbeat':
        for (let i = 0; i < HEARTBEAT_TICKS; i++) this.#at(first).node.tick();
        return;
      case 'transfer-leadership':
        return this.#at(whole(directive, 'from')).node.transferLeader(whole(directive, 'to') ?? 0);
      case 'forget-leader':
        return this.#at(first).node.forgetLeader();
      case 'send-snapshot':
        return this.#sendSnapshot(this.#at(first), second ?? 0);
      case 'propose':
        return this.#at(first).node.propose(new TextEncoder().encode(directive.args[1]?.key ?? ''));
      case 'propose-conf-change':
        return this.#proposeConfChange(directive, this.#at(first).node);
      case 'report-snapshot':
        return this.#at(first).node.reportSnapshot(second ?? 0, !flag(directive, 'lost'));
      case 'report-unreachable':
        return this.#at(first).node.reportUnreachable(second ?? 0);
      default:
        throw new Error(`unknown command ${directive.command}`);
    }
  }

  #each(directive: Directive, does: string, work: (node: TracedNode) => void): void {
    const numbers = plain(directive);
    for (const number of numbers) {
      if (numbers.length === 1) {
        work(this.#at(number));
        continue;
      }
      this.#print(`> ${number} ${does}`);
      this.#indented(() => work(this.#at(number)));
    }
  }

  #addNodes(directive: Directive, count: number): void {
    const ids = (key: string): NodeId[] => (argument(directive, key) ?? []).map(Number);
    const conf: ConfState = { ...NO_CONF, voters: ids('voters'), learners: ids('learners') };
    const index = whole(directive, 'index') ?? 0;
    const isBootstrapped = conf.voters.length + conf.learners.length > 0;
    for (let i = 0; i < count; i++) {
      const id = this.#nodes.length + 1;
      const storage = new TraceStorage();
      const snapshot = {
        index,
        term: index > 0 ? 1 : 0,
        conf,
        data: new TextEncoder().encode(argument(directive, 'content')?.[0] ?? ''),
      };
      if (isBootstrapped) storage.applySnapshot(snapshot);
      storage.history = [snapshot];
      const isAsync = flag(directive, 'async-storage-writes');
      const node = new RawNode({
        id,
        electionTicks: ELECTION_TICKS,
        heartbeatTicks: HEARTBEAT_TICKS,
        storage,
        applied: index,
        maxBytesPerMessage: Number.POSITIVE_INFINITY,
        maxApplyingBytes: whole(directive, 'max-committed-size-per-ready') ?? Number.POSITIVE_INFINITY,
        maxUncommittedBytes: Number.POSITIVE_INFINITY,
        maxInflight: whole(directive, 'inflight') ?? 2 ** 31 - 1,
        maxInflightBytes: 0,
        checkQuorum: flag(directive, 'checkquorum'),
        preVote: flag(directive, 'prevote'),
        readOnly: argument(directive, 'read-only')?.[0] === 'lease-based' ? 'lease-based' : 'safe',
        asyncStorageWrites: isAsync,
        disableProposalForwarding: flag(directive, 'disable-proposal-forwarding'),
        disableConfChangeValidation: flag(directive, 'disable-conf-change-validation'),
        stepDownOnRemoval: flag(directive, 'step-down-on-removal'),
        randomBelow: (bound) => id % bound,
        log: (level: LogLevel, text: string) => {
          if (LEVELS.indexOf(level) >= this.#level) this.#print(`${level} ${text}`);
        },
      });
      this.#nodes.push({ id, node, storage, isAsync, appendWork: [], applyWork: [] });
    }
  }

  #proposeConfChange(directive: Directive, node: RawNode): void {
    const transition = TRANSITIONS[['auto', 'implicit', 'explicit'].indexOf(argument(directive, 'transition')?.[0] ?? 'auto')];
    const changes: ConfChanges = { transition: transition ?? 'ConfChangeTransitionAuto', changes: parseChanges(directive.input) };
    node.proposeConfChange(changes, flag(directive, 'v1') ? 'EntryConfChange' : 'EntryConfChangeV2');
  }

  // Messages

  #deliverCommand(directive: Directive): void {
    const type = argument(directive, 'type')?.[0];
    const recipients = [
      ...plain(directive).map((id) => ({ id, isDropped: false })),
      ...(argument(directive, 'drop') ?? []).map((id) => ({ id: Number(id), isDropped: true })),
    ];
    const delivered = recipients.reduce((sum, { id, isDropped }) => sum + this.#deliver(id, isDropped, type), 0);
    if (delivered === 0) this.#print('no messages');
  }

  #isFor({ to, type }: Message, id: NodeId, wanted: string | undefined): boolean {
    return to === id && (wanted === undefined || type === wanted);
  }

  #deliver(id: NodeId, isDropped: boolean, type?: string): number {
    const isTaken = (one: Message): boolean => this.#isFor(one, id, type) && !(isDropped && isLocalMessage(one));
    const taken = this.#messages.filter(isTaken);
    this.#messages = this.#messages.filter((one) => !isTaken(one));
    for (const one of taken) {
      this.#print(`${isDropped ? 'dropped: ' : ''}${describeMessage(one)}`);
      if (isDropped) continue;
      try {
        this.#at(id).node.step(one);
      } catch (error) {
        if (!(error instanceof ProposalDropped || error instanceof StepError)) throw error;
        this.#print(error.message);
      }
    }
    return taken.length;
  }

  #sendSnapshot({ id, node, storage }: TracedNode, to: NodeId): void {
    const one = message('MsgSnap', { from: id, to, term: node.raft.term, snapshot: storage.snapshot() });
    this.#messages.push(one);
    this.#print(describeMessage(one));
  }

  // Storage

  #processReady(traced: TracedNode): void {
    const { node, storage, isAsync } = traced;
    const ready = node.ready();
    this.#print(describeReady(ready));
    if (!isAsync) {
      store(storage, ready.hard, ready.entries, ready.snapshot);
      this.#apply(traced, ready.committed);
    }
    for (const one of ready.messages) {
      if (one.type === 'MsgStorageAppend') traced.appendWork.push(one);
      else if (one.type === 'MsgStorageApply') traced.applyWork.push(one);
      else this.#messages.push(one);
    }
    if (!isAsync) node.advance();
  }

  #processAppend(traced: TracedNode): void {
    const one = traced.appendWork.shift();
    if (one === undefined) return this.#print('no append work to perform');
    this.#printWork(one);
    store(traced.storage, { term: one.term, vote: one.vote, commit: one.commit }, one.entries, one.snapshot);
    this.#messages.push(...one.responses);
  }

  #processApply(traced: TracedNode): void {
    const one = traced.applyWork.shift();
    if (one === undefined) return this.#print('no apply work to perform');
    this.#printWork(one);
    this.#apply(traced, one.entries);
    this.#messages.push(...one.responses);
  }

  #printWork(one: Message): void {
    this.#print(`Processing:\n${describeMessage({ ...one, responses: [] })}\nResponses:`);
    for (const response of one.responses) this.#print(describeMessage(response));
  }

  #apply({ node, storage }: TracedNode, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const last = storage.history.at(-1);
      const conf = entry.type === 'EntryNormal' ? (last?.conf ?? NO_CONF) : node.applyConfChange(changesOf(entry));
      const update = entry.type === 'EntryNormal' ? entry.data : new Uint8Array();
      const data = new Uint8Array([...(last?.data ?? []), ...update]);
      storage.history.push({ index: entry.index, term: entry.term, conf, data });
    }
  }

  // Looking at nodes

  #raftLog({ storage }: TracedNode): void {
    const { firstIndex, lastIndex } = storage;
    if (firstIndex > lastIndex) return this.#print(`log is empty: first index=${firstIndex}, last index=${lastIndex}`);
    for (const entry of storage.entries(firstIndex, lastIndex + 1, Number.POSITIVE_INFINITY)) this.#print(describeEntry(entry));
  }

  #raftState(): void {
    for (const { id, node } of this.#nodes) {
      const { state, tracker, term, lead } = node.raft;
      this.#print(`${id}: ${state} (${tracker.config.voters.has(id) ? 'Voter' : 'Non-Voter'}) Term:${term} Lead:${lead}`);
    }
  }

  #stabilizeCommand(directive: Directive): void {
    const level = argument(directive, 'log-level')?.[0]?.toUpperCase();
    const before = this.#level;
    if (level !== undefined) this.#level = LEVELS.indexOf(level);
    const numbers = plain(directive);
    this.#stabilize(numbers.length === 0 ? this.#nodes : numbers.map((number) => this.#at(number)));
    this.#level = before;
  }

  #stabilize(nodes: readonly TracedNode[]): void {
    for (let isDone = false; !isDone; ) {
      isDone = true;
      const work = (id: NodeId, does: string, run: () => void): void => {
        isDone = false;
        this.#print(`> ${id} ${does}`);
        this.#indented(run);
      };
      for (const traced of nodes) if (traced.node.hasReady) work(traced.id, 'handling Ready', () => this.#processReady(traced));
      for (const { id } of nodes)
        if (this.#messages.some((one) => this.#isFor(one, id, undefined)))
          work(id, 'receiving messages', () => void this.#deliver(id, false));
      for (const traced of nodes)
        if (traced.appendWork.length > 0)
          work(traced.id, 'processing append thread', () => {
            while (traced.appendWork.length > 0) this.#processAppend(traced);
          });
      for (const traced of nodes)
        if (traced.applyWork.length > 0)
          work(traced.id, 'processing apply thread', () => {
            while (traced.applyWork.length > 0) this.#processApply(traced);
          });
    }
  }
}

function store(storage: TraceStorage, hard: HardState, entries: readonly Entry[], snapshot: Snapshot | undefined): void {
  if (!isNoState(hard)) storage.state = hard;
  if (snapshot !== undefined) {
    storage.applySnapshot(snapshot);
    storage.history.push(snapshot);
  }
  storage.append(entries);
}
