// Raft's messages, entries and snapshots as bytes. Input from others is checked: a member can be broken or hostile.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { changesOf } from './config.ts';
import type { ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot } from './types.ts';

/** Types of messages between members: the position of a type is its number. */
const TYPES: readonly MessageType[] = [
  'MsgProp',
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgTransferLeader',
  'MsgTimeoutNow',
  'MsgReadIndex',
  'MsgReadIndexResp',
  'MsgPreVote',
  'MsgPreVoteResp',
];
const ENTRY_TYPES: readonly EntryType[] = ['EntryNormal', 'EntryConfChange', 'EntryConfChangeV2'];

const MAX_ENTRIES = 10_000;
const MAX_MEMBERS = 64;
const count = z.int().nonnegative();
const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const entrySchema = z.tuple([
  count,
  count,
  z
    .int()
    .min(0)
    .max(ENTRY_TYPES.length - 1),
  bytes,
]);
const ids = z.array(count).max(MAX_MEMBERS);
const snapshotSchema = z.tuple([count, count, ids, ids, ids, ids, z.boolean(), bytes]);
const messageSchema = z.tuple([
  z
    .int()
    .min(0)
    .max(TYPES.length - 1),
  z.tuple([count, count, count, count, count, count]),
  z.tuple([z.boolean(), count, z.string().max(128)]),
  z.array(entrySchema).max(MAX_ENTRIES),
  snapshotSchema.nullable(),
]);
const hardStateSchema = z.tuple([count, count, count]);

type EntryWire = z.infer<typeof entrySchema>;
type SnapshotWire = z.infer<typeof snapshotSchema>;

const toEntry = ({ term, index, type, data }: Entry): EntryWire => [term, index, ENTRY_TYPES.indexOf(type), data];
const ofEntry = ([term, index, type, data]: EntryWire): Entry => ({
  term,
  index,
  type: ENTRY_TYPES[type] ?? 'EntryNormal',
  data,
});

const toSnapshot = ({ index, term, conf, data }: Snapshot): SnapshotWire => [
  index,
  term,
  conf.voters,
  conf.votersOutgoing,
  conf.learners,
  conf.learnersNext,
  conf.autoLeave,
  data,
];
function ofSnapshot([index, term, voters, votersOutgoing, learners, learnersNext, autoLeave, data]: SnapshotWire): Snapshot {
  const conf: ConfState = { voters, votersOutgoing, learners, learnersNext, autoLeave };
  return { index, term, conf, data };
}

export function encodeMessage(one: Message): Uint8Array {
  const { type, to, from, term, logTerm, index, commit, reject, rejectHint, context, entries, snapshot } = one;
  return encodeCbor([
    TYPES.indexOf(type),
    [to, from, term, logTerm, index, commit],
    [reject, rejectHint, context],
    entries.map(toEntry),
    snapshot === undefined ? null : toSnapshot(snapshot),
  ]);
}

/** @returns undefined if it is not a message between members, or an inconsistent one */
export function decodeMessage(encoded: Uint8Array): Message | undefined {
  const one = parsed(encoded);
  return one !== undefined && isSound(one) ? one : undefined;
}

/** What Raft assumes of each message. */
function isSound({ type, index, entries, snapshot }: Message): boolean {
  if (type === 'MsgSnap') return snapshot !== undefined && snapshot.index > 0;
  if (type === 'MsgProp' || type === 'MsgReadIndex') return entries.length > 0 && entries.every(isEntry);
  return type !== 'MsgApp' || entries.every((entry, i) => entry.index === index + 1 + i && entry.term > 0 && isEntry(entry));
}

function isEntry(entry: Entry): boolean {
  try {
    if (entry.type !== 'EntryNormal') changesOf(entry);
    return true;
  } catch {
    return false;
  }
}

function parsed(encoded: Uint8Array): Message | undefined {
  const wire = messageSchema.safeParse(decodeCbor(encoded));
  if (!wire.success) return undefined;
  const [type, [to, from, term, logTerm, index, commit], [reject, rejectHint, context], entries, snapshot] = wire.data;
  return {
    type: TYPES[type] ?? 'MsgProp',
    to,
    from,
    term,
    logTerm,
    index,
    commit,
    reject,
    rejectHint,
    context,
    vote: 0,
    entries: entries.map(ofEntry),
    snapshot: snapshot === null ? undefined : ofSnapshot(snapshot),
    responses: [],
  };
}

export const encodeEntry = (entry: Entry): Uint8Array => encodeCbor(toEntry(entry));
export function decodeEntry(encoded: Uint8Array): Entry | undefined {
  const wire = entrySchema.safeParse(decodeCbor(encoded));
  return wire.success ? ofEntry(wire.data) : undefined;
}

export const encodeSnapshot = (snapshot: Snapshot): Uint8Array => encodeCbor(toSnapshot(snapshot));
export function decodeSnapshot(encoded: Uint8Array): Snapshot | undefined {
  const wire = snapshotSchema.safeParse(decodeCbor(encoded));
  return wire.success ? ofSnapshot(wire.data) : undefined;
}

export const encodeHardState = ({ term, vote, commit }: HardState): Uint8Array => encodeCbor([term, vote, commit]);
export function decodeHardState(encoded: Uint8Array): HardState | undefined {
  const wire = hardStateSchema.safeParse(decodeCbor(encoded));
  if (!wire.success) return undefined;
  const [term, vote, commit] = wire.data;
  return { term, vote, commit };
}
