// Raft's messages, entries and states as etcd/raft's traces write them.
import { changesOf } from '../../../consensus/raft/config.ts';
import type { Ready } from '../../../consensus/raft/raw-node.ts';
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type ConfState,
  type Entry,
  type HardState,
  hex,
  isNoState,
  type Message,
  type NodeId,
  type Snapshot,
} from '../../../consensus/raft/types.ts';

const LETTERS = {
  ConfChangeAddNode: 'v',
  ConfChangeAddLearnerNode: 'l',
  ConfChangeRemoveNode: 'r',
  ConfChangeUpdateNode: 'u',
} as const;

const targetOf = (id: NodeId): string => (id === APPEND_THREAD ? 'AppendThread' : id === APPLY_THREAD ? 'ApplyThread' : hex(id));

/** As Go quotes a string. */
const quoted = (data: Uint8Array): string => JSON.stringify(new TextDecoder().decode(data));

export function describeEntry(entry: Entry): string {
  const { term, index, type, data } = entry;
  const changes = (): string =>
    changesOf(entry)
      .changes.map((change) => `${LETTERS[change.type]}${change.node}`)
      .join(' ');
  const text = type === 'EntryNormal' ? quoted(data) : changes();
  return `${term}/${index} ${type}${text === '' ? '' : ` ${text}`}`;
}

const list = (ids: readonly NodeId[]): string => `[${ids.join(' ')}]`;

const describeConf = ({ voters, votersOutgoing, learners, learnersNext, autoLeave }: ConfState): string =>
  `Voters:${list(voters)} VotersOutgoing:${list(votersOutgoing)} Learners:${list(learners)} LearnersNext:${list(learnersNext)} AutoLeave:${autoLeave}`;

const describeSnapshot = ({ index, term, conf }: Snapshot): string =>
  `Index:${index} Term:${term} ConfState:${describeConf(conf)}`;

const describeHard = ({ term, vote, commit }: HardState): string =>
  `Term:${term}${vote === 0 ? '' : ` Vote:${hex(vote)}`} Commit:${commit}`;

export function describeMessage(one: Message, indent = ''): string {
  const { from, to, type, term, logTerm, index, reject, rejectHint, commit, vote, entries, snapshot, responses } = one;
  let text = `${indent}${targetOf(from)}->${targetOf(to)} ${type} Term:${term} Log:${logTerm}/${index}`;
  if (reject) text += ` Rejected (Hint: ${rejectHint})`;
  if (commit !== 0) text += ` Commit:${commit}`;
  if (vote !== 0) text += ` Vote:${hex(vote)}`;
  const [first] = entries;
  if (entries.length === 1 && first !== undefined) text += ` Entries:[${describeEntry(first)}]`;
  else if (entries.length > 1)
    text += ` Entries:[${entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`).join('')}\n${indent}]`;
  if (snapshot !== undefined) text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`;
  if (responses.length > 0)
    text += ` Responses:[${responses.map((response) => `\n${describeMessage(response, `${indent}  `)}`).join('')}\n${indent}]`;
  return text;
}

export function describeReady({ soft, hard, readStates, entries, snapshot, committed, messages, mustSync }: Ready): string {
  const lines: string[] = [];
  if (soft !== undefined) lines.push(`Lead:${hex(soft.lead)} State:${soft.state}`);
  if (!isNoState(hard)) lines.push(`HardState ${describeHard(hard)}`);
  if (readStates.length > 0) {
    const bytes = (context: string): string => `[${[...new TextEncoder().encode(context)].join(' ')}]`;
    lines.push(`ReadStates [${readStates.map(({ index, context }) => `{${index} ${bytes(context)}}`).join(' ')}]`);
  }
  if (entries.length > 0) lines.push('Entries:', ...entries.map(describeEntry));
  if (snapshot !== undefined) lines.push(`Snapshot ${describeSnapshot(snapshot)}`);
  if (committed.length > 0) lines.push('CommittedEntries:', ...committed.map(describeEntry));
  if (messages.length > 0) lines.push('Messages:', ...messages.map((one) => describeMessage(one)));
  return lines.length === 0 ? '<empty Ready>\n' : `Ready MustSync=${mustSync}:\n${lines.join('\n')}\n`;
}
