// etcd/raft's traces of quorums and of configurations.
import {
  Changer,
  type ConfChange,
  ConfChangeError,
  describeConfig,
  NO_CONFIG,
  type Tracked,
} from '../../../consensus/raft/config.ts';
import { inOrder } from '../../../consensus/raft/progress.ts';
import { JointVoters } from '../../../consensus/raft/quorum.ts';
import type { NodeId } from '../../../consensus/raft/types.ts';
import { argument, type Directive, flag } from './data-driven.ts';

const KINDS: Readonly<Record<string, ConfChange['type']>> = {
  v: 'ConfChangeAddNode',
  l: 'ConfChangeAddLearnerNode',
  r: 'ConfChangeRemoveNode',
  u: 'ConfChangeUpdateNode',
};

/** `v1 l2 r3 u4` */
export function parseChanges(text: string): ConfChange[] {
  return text
    .split(/\s+/)
    .filter((token) => token !== '')
    .map((token) => {
      const type = KINDS[token[0] ?? ''];
      if (type === undefined) throw new Error(`unknown input: ${token}`);
      return { type, node: Number(token.slice(1)) };
    });
}

/** Runs one command after the other on one configuration. */
export function confChangeTrace(): (directive: Directive) => string {
  let tracked: Tracked = { config: NO_CONFIG, progress: new Map() };
  let lastIndex = 0;
  return (directive) => {
    const changer = new Changer(tracked, lastIndex++, { maxInflight: 10, maxInflightBytes: 0 });
    const changes = parseChanges(directive.input);
    try {
      if (directive.command === 'simple') tracked = changer.simple(changes);
      else if (directive.command === 'enter-joint') tracked = changer.enterJoint(flag(directive, 'autoleave'), changes);
      else if (directive.command === 'leave-joint') tracked = changer.leaveJoint();
      else return 'unknown command\n';
    } catch (error) {
      if (error instanceof ConfChangeError) return `${error.message}\n`;
      throw error;
    }
    return `${describeConfig(tracked.config)}\n${inOrder(tracked.progress)
      .map(([id, progress]) => `${id}: ${progress}\n`)
      .join('')}`;
  };
}

export function quorumTrace(directive: Directive): string {
  const numbers = (key: string): NodeId[] | undefined =>
    argument(directive, key)
      ?.filter((one) => one !== 'zero')
      .map(Number);
  const incoming = numbers('cfg') ?? [];
  const outgoing = numbers('cfgj');
  const voters = new JointVoters(incoming, outgoing ?? []);
  // Values are given to members in the order in which they are first named.
  const named = [...new Set([...incoming, ...(outgoing ?? [])])];
  const given = (key: string): Map<NodeId, string> =>
    new Map(
      named.flatMap((id, i) => [[id, argument(directive, key)?.[i] ?? '_'] as [NodeId, string]]).filter(([, one]) => one !== '_'),
    );
  if (directive.command === 'vote') {
    const votes = new Map([...given('votes')].map(([id, vote]) => [id, vote === 'y']));
    return `${voters.vote(votes)}\n`;
  }
  const acked = new Map([...given('idx')].map(([id, index]) => [id, Number(index)]));
  const committed = voters.committed((id) => acked.get(id));
  const text = committed === Number.POSITIVE_INFINITY ? '∞' : String(committed);
  return `${chart(voters.ids(), acked)}${text}\n`;
}

/** How far each has come beside the others. */
function chart(ids: readonly NodeId[], acked: ReadonlyMap<NodeId, number>): string {
  if (ids.length === 0) return '<empty majority quorum>';
  const sorted = ids.map((id) => ({ id, index: acked.get(id) ?? 0 })).sort((a, b) => a.index - b.index || a.id - b.id);
  // Those that have come as far have bars as long.
  const bars = new Map(sorted.map(({ id, index }) => [id, sorted.findIndex((one) => one.index === index)]));
  const n = ids.length;
  const rows = ids.map((id) => {
    const bar = bars.get(id) ?? 0;
    const mark = acked.has(id) ? `${'x'.repeat(bar)}>${' '.repeat(n - bar)}` : `?${' '.repeat(n)}`;
    return `${mark} ${String(acked.get(id) ?? 0).padStart(5)}    (id=${id})\n`;
  });
  return `${' '.repeat(n)}    idx\n${rows.join('')}`;
}
