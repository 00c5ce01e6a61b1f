// `kalos nova | log | pause | wake | failover`: the swarm's decisions, and commands that propose one.

import { counted } from '../../swarm/words.ts';
import { callAgent } from '../api/client.ts';
import type { AsOf, LogAnswer, NovaAnswer } from '../api/decision-routes.ts';
import type { ReadMode } from '../decisions/reads.ts';
import { printRows, printWhole } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, paint, printable, table } from './output.ts';
import { exactly, localTimes, Moment, readable } from './times.ts';

type Directory = string | undefined;

const at = (ms: number): Moment => new Moment(ms);
const current = ({ read, index, term }: AsOf): string => paint('dim', `as of decision ${index}, term ${term}, read ${read}`);

export async function novaStatus(directory: Directory, read: ReadMode, format: Format): Promise<number> {
  const answer = await callAgent<NovaAnswer>(directory, 'POST', '/v1/nova/read', { read });
  const code = answer.coordinator === null ? EXIT.noQuorum : EXIT.ok;
  printWhole(format, { ...answer }, () => describeNova(answer));
  return code;
}

function describeNova(answer: NovaAnswer): string {
  const { coordinator, term, seat, committee, vouchedFor } = answer;
  const lines = [
    coordinator === null ? paint('red', 'the swarm has no leader') : `leader ${paint('bold', coordinator)}, term ${term}`,
    `this agent: ${seat}`,
    ...rosterLine(answer),
    '',
    table(
      ['node', 'seat', 'leader', 'behind'],
      committee.map((one) => [one.node, one.seat, one.leads ? 'yes' : '', one.behind]),
    ),
  ];
  if (vouchedFor !== null)
    lines.push(
      '',
      `decision ${vouchedFor.index} is signed by ${vouchedFor.signatures} of ${counted(vouchedFor.voters.length, 'voter')}: ${vouchedFor.voters.toSorted().join(', ')}`,
    );
  for (const [columns, rows] of tablesOf(answer)) if (rows.length > 0) lines.push('', table(columns, rows));
  return [...lines, '', current(answer)].join('\n');
}

function rosterLine({ roster }: NovaAnswer): string[] {
  if (roster === null) return [];
  const same = roster.isSame ? 'same as here' : paint('yellow', 'differs from this agent’s roster');
  return [`roster epoch ${roster.epoch}: ${counted(roster.members, 'member')}, ${same}`];
}

/** The decisions in force, one table for each kind. */
function tablesOf(answer: NovaAnswer): [string[], (string | number | Moment | null)[][]][] {
  const { paused, drained, silences, leases, placements, quarantined } = answer;
  return [
    [
      ['service', 'runs on', 'fencing token', 'since', 'reason of move'],
      placements.map((one) => [one.service, one.node ?? 'none', one.fence, at(one.sinceMs), printable(one.reason)]),
    ],
    [['drained', 'until', 'reason'], drained.map((one) => [one.node, at(one.untilMs), printable(one.reason)])],
    [['quarantined', 'since', 'reported by'], quarantined.map((one) => [one.node, at(one.atMs), one.by])],
    [['paused', 'since', 'reason'], paused.map((one) => [one.node, at(one.atMs), printable(one.reason)])],
    [
      ['silence', 'policy', 'target', 'until', 'reason'],
      silences.map((one) => [one.id, one.policy, one.target, at(one.untilMs), printable(one.reason)]),
    ],
    [['lease of', 'plan', 'until'], leases.map((one) => [one.node, one.plan, at(one.untilMs)])],
  ];
}

export async function novaTransfer(directory: Directory, node: string): Promise<number> {
  await callAgent(directory, 'POST', '/v1/nova/transfer', { node });
  process.stdout.write(`${node} is leader\n`);
  return EXIT.ok;
}

export async function logTail(directory: Directory, read: ReadMode, limit: number, format: Format): Promise<number> {
  const forReader = format === 'csv' ? (text: string) => text : localTimes;
  const answer = await callAgent<LogAnswer>(directory, 'POST', '/v1/log', { read, limit });
  printRows(format, {
    data: { ...answer },
    headers: ['index', 'term', 'time', 'by', 'decision'],
    rows: answer.decisions.map((one) => [one.index, one.term, at(one.atMs), one.by, forReader(one.what)]),
    wide: {
      headers: ['index', 'term', 'time', 'by', 'kind', 'id', 'decision'],
      rows: answer.decisions.map((one) => [one.index, one.term, at(one.atMs), one.by, one.kind, one.id, forReader(one.what)]),
    },
  });
  if (format === 'table' || format === 'wide') process.stdout.write(`${current(answer)}\n`);
  return EXIT.ok;
}

export async function logShow(directory: Directory, which: string, read: ReadMode, format: Format): Promise<number> {
  const answer = await callAgent<AsOf & { index: number; what: string; decision: Record<string, unknown> }>(
    directory,
    'POST',
    `/v1/log/${encodeURIComponent(which)}`,
    { read },
  );
  printWhole(format, { ...answer }, () => {
    const fields = Object.entries(answer.decision).map(([key, value]) => {
      const [name, text] = readable(key, value);
      return `  ${name.padEnd(8)} ${printable(text)}`;
    });
    return [printable(localTimes(answer.what)), ...fields, current(answer)].join('\n');
  });
  return EXIT.ok;
}

export async function pause(directory: Directory, node: string, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/pause', { node, reason });
  process.stdout.write(`decision ${index}: ${node} is paused; resume it with: kalos wake ${node}\n`);
  return EXIT.ok;
}

export async function failOver(directory: Directory, service: string, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/placements/move', { service, reason });
  process.stdout.write(`decision ${index}: ${service} moves to another member; see: kalos nova status\n`);
  return EXIT.ok;
}

export async function pardon(directory: Directory, node: string, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/pardon', { node, reason });
  process.stdout.write(`decision ${index}: ${node} may be a witness again\n`);
  return EXIT.ok;
}

export async function wake(directory: Directory, node: string, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/wake', { node, reason });
  process.stdout.write(`decision ${index}: ${node} is resumed\n`);
  return EXIT.ok;
}

/** Drains a member for a while: its placed services move, and it cannot be leader. */
export async function drain(directory: Directory, node: string, forMs: number, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/drain', {
    node,
    forMs,
    reason,
  });
  process.stdout.write(`decision ${index}: ${node} is drained for ${exactly(forMs)}; end it with: kalos undrain ${node}\n`);
  return EXIT.ok;
}

export async function undrain(directory: Directory, node: string, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/undrain', { node, reason });
  process.stdout.write(`decision ${index}: ${node} is undrained\n`);
  return EXIT.ok;
}
