// What Raft nodes store and send, named as in etcd/raft.

/** A member's number: positive and safe; 0 is nobody. */
export type NodeId = number;
export const NONE: NodeId = 0;
/** As logs show it. */
export const hex = (id: NodeId): string => id.toString(16);
/** Whom messages are for that go to the node's own storage, where that works beside it. */
export const APPEND_THREAD: NodeId = -1;
export const APPLY_THREAD: NodeId = -2;

export type EntryType = 'EntryNormal' | 'EntryConfChange' | 'EntryConfChangeV2';

export interface Entry {
  term: number;
  index: number;
  type: EntryType;
  data: Uint8Array;
}

export interface EntryId {
  term: number;
  index: number;
}

/** Of a new leader's first entry: nothing. */
export const NO_DATA = new Uint8Array();

export interface ConfState {
  voters: NodeId[];
  votersOutgoing: NodeId[];
  learners: NodeId[];
  learnersNext: NodeId[];
  autoLeave: boolean;
}

export const NO_CONF: ConfState = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

export interface Snapshot extends EntryId {
  conf: ConfState;
  data: Uint8Array;
}

/** What must be on disk before anything that follows from it is said. */
export interface HardState {
  term: number;
  vote: NodeId;
  commit: number;
}

export const NO_STATE: HardState = { term: 0, vote: NONE, commit: 0 };

export const isSameState = (a: HardState, b: HardState): boolean =>
  a.term === b.term && a.vote === b.vote && a.commit === b.commit;
export const isNoState = (state: HardState): boolean => isSameState(state, NO_STATE);

export type MessageType =
  | 'MsgHup'
  | 'MsgBeat'
  | 'MsgProp'
  | 'MsgApp'
  | 'MsgAppResp'
  | 'MsgVote'
  | 'MsgVoteResp'
  | 'MsgSnap'
  | 'MsgHeartbeat'
  | 'MsgHeartbeatResp'
  | 'MsgUnreachable'
  | 'MsgSnapStatus'
  | 'MsgCheckQuorum'
  | 'MsgTransferLeader'
  | 'MsgTimeoutNow'
  | 'MsgReadIndex'
  | 'MsgReadIndexResp'
  | 'MsgPreVote'
  | 'MsgPreVoteResp'
  | 'MsgStorageAppend'
  | 'MsgStorageAppendResp'
  | 'MsgStorageApply'
  | 'MsgStorageApplyResp'
  | 'MsgForgetLeader';

export interface Message {
  type: MessageType;
  to: NodeId;
  from: NodeId;
  term: number;
  /** Of the entry before the first one, or the last one of a candidate. */
  logTerm: number;
  index: number;
  entries: readonly Entry[];
  commit: number;
  /** Of a hard state that is to be stored. */
  vote: NodeId;
  snapshot: Snapshot | undefined;
  reject: boolean;
  rejectHint: number;
  /** Of a read, or of a vote that a leader asked for; '' for none. */
  context: string;
  /** Sent once what the message asks for is stored. */
  responses: readonly Message[];
}

const EMPTY: Message = {
  type: 'MsgHup',
  to: NONE,
  from: NONE,
  term: 0,
  logTerm: 0,
  index: 0,
  entries: [],
  commit: 0,
  vote: NONE,
  snapshot: undefined,
  reject: false,
  rejectHint: 0,
  context: '',
  responses: [],
};

export const message = (type: MessageType, rest: Partial<Message> = {}): Message => ({ ...EMPTY, ...rest, type });

const LOCAL: ReadonlySet<MessageType> = new Set<MessageType>([
  'MsgHup',
  'MsgBeat',
  'MsgUnreachable',
  'MsgSnapStatus',
  'MsgCheckQuorum',
  'MsgStorageAppend',
  'MsgStorageAppendResp',
  'MsgStorageApply',
  'MsgStorageApplyResp',
]);
const RESPONSES: ReadonlySet<MessageType> = new Set<MessageType>([
  'MsgAppResp',
  'MsgVoteResp',
  'MsgHeartbeatResp',
  'MsgUnreachable',
  'MsgReadIndexResp',
  'MsgPreVoteResp',
  'MsgStorageAppendResp',
  'MsgStorageApplyResp',
]);

/** Whether it must not come over a network. */
export const isLocal = (type: MessageType): boolean => LOCAL.has(type);
export const isResponse = (type: MessageType): boolean => RESPONSES.has(type);
export const isStorage = (id: NodeId): boolean => id === APPEND_THREAD || id === APPLY_THREAD;

/** Bytes that an entry takes beside its data: its term, index and type. */
const ENTRY_BYTES = 12;
export const entryBytes = ({ data }: Entry): number => ENTRY_BYTES + data.length;
export const bytesOf = (entries: readonly Entry[]): number => entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
/** What was proposed, without what carries it: a new leader's empty entry counts for nothing. */
export const payloadBytes = (entries: readonly Entry[]): number => entries.reduce((sum, { data }) => sum + data.length, 0);

/** As many of the first entries as do not exceed the bytes, and one at least. */
export function limited(entries: readonly Entry[], maxBytes: number): readonly Entry[] {
  let bytes = 0;
  for (const [i, entry] of entries.entries()) {
    bytes += entryBytes(entry);
    if (i > 0 && bytes > maxBytes) return entries.slice(0, i);
  }
  return entries;
}

/** The proposal was not taken: there is no leader, a leader is being changed, or too much waits. */
export class ProposalDropped extends Error {
  constructor() {
    super('raft proposal dropped');
  }
}
