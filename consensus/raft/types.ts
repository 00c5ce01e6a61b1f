// What Raft nodes store and send, named as in etcd/raft.

/** A member's Raft id: a positive safe integer; 0 means no member. */
export type NodeId = number;
export const NONE: NodeId = 0;
/** As logs show it. */
export const hex = (id: NodeId): string => id.toString(16);
/** Receivers of messages to the node's own storage, if storage is asynchronous. */
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

/** The data of a new leader's first entry: empty. */
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

/** State that must be on disk before any message that depends on it is sent. */
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
  /** Of the entry before the first one, or of a candidate's last one. */
  logTerm: number;
  index: number;
  entries: readonly Entry[];
  commit: number;
  /** Of a hard state to store. */
  vote: NodeId;
  snapshot: Snapshot | undefined;
  reject: boolean;
  rejectHint: number;
  /** Of a read, or of a vote request in a leadership transfer; '' for none. */
  context: string;
  /** Sent once the data of this message is stored. */
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

/** Whether a message is local: it must not come from the network. */
export const isLocal = (type: MessageType): boolean => LOCAL.has(type);
export const isResponse = (type: MessageType): boolean => RESPONSES.has(type);
export const isStorage = (id: NodeId): boolean => id === APPEND_THREAD || id === APPLY_THREAD;

/** Bytes of an entry besides its data: its term, index and type. */
const ENTRY_BYTES = 12;
export const entryBytes = ({ data }: Entry): number => ENTRY_BYTES + data.length;
export const bytesOf = (entries: readonly Entry[]): number => entries.reduce((sum, entry) => sum + entryBytes(entry), 0);
/** The bytes of the proposed data only: a new leader's empty entry counts as 0. */
export const payloadBytes = (entries: readonly Entry[]): number => entries.reduce((sum, { data }) => sum + data.length, 0);

/** As many of the first entries as fit into the bytes, and at least one. */
export function limited(entries: readonly Entry[], maxBytes: number): readonly Entry[] {
  let bytes = 0;
  for (const [i, entry] of entries.entries()) {
    bytes += entryBytes(entry);
    if (i > 0 && bytes > maxBytes) return entries.slice(0, i);
  }
  return entries;
}

/** The proposal was not accepted: there is no leader, leadership is being transferred, or too many proposals wait. */
export class ProposalDropped extends Error {
  constructor() {
    super('raft proposal dropped');
  }
}
