// `kalos nova | log | pause | wake | failover`: what the swarm has decided, and deciding.

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
    coordinator === null ? paint('red', 'the swarm has no leader') : `${paint('bold', coordinator)} coordinates in term ${term}`,
    `this agent: ${seat}`,
    ...rosterLine(answer),
    '',
    table(
      ['node', 'seat', 'leads', 'behind'],
      committee.map((one) => [one.node, one.seat, one.leads ? 'yes' : '', one.behind]),
    ),
  ];
  if (vouchedFor !== null)
    lines.push(
      '',
      `decision ${vouchedFor.index} is attested by ${vouchedFor.signatures} of ${counted(vouchedFor.voters.length, 'voter')}: ${vouchedFor.voters.toSorted().join(', ')}`,
    );
  for (const [columns, rows] of holding(answer)) if (rows.length > 0) lines.push('', table(columns, rows));
  return [...lines, '', current(answer)].join('\n');
}

function rosterLine({ roster }: NovaAnswer): string[] {
  if (roster === null) return [];
  const same = roster.isSame ? 'as this agent knows it' : paint('yellow', 'this agent knows another');
  return [`roster epoch ${roster.epoch}: ${counted(roster.members, 'member')}, ${same}`];
}

/** What is decided and holds, a table of each. */
function holding(answer: NovaAnswer): [string[], (string | number | Moment | null)[][]][] {
  const { paused, drained, silences, leases, placements, quarantined } = answer;
  return [
    [
      ['service', 'runs on', 'fence', 'since', 'before'],
      placements.map((one) => [one.service, one.node ?? 'nowhere', one.fence, at(one.sinceMs), printable(one.reason)]),
    ],
    [['drained', 'until', 'why'], drained.map((one) => [one.node, at(one.untilMs), printable(one.reason)])],
    [['no witness any more', 'since', 'found by'], quarantined.map((one) => [one.node, at(one.atMs), one.by])],
    [['paused', 'since', 'why'], paused.map((one) => [one.node, at(one.atMs), printable(one.reason)])],
    [
      ['silence', 'policy', 'target', 'until', 'why'],
      silences.map((one) => [one.id, one.policy, one.target, at(one.untilMs), printable(one.reason)]),
    ],
    [['lease of', 'for', 'until'], leases.map((one) => [one.node, one.plan, at(one.untilMs)])],
  ];
}

export async function novaTransfer(directory: Directory, node: string): Promise<number> {
  await callAgent(directory, 'POST', '/v1/nova/transfer', { node });
  process.stdout.write(`${node} coordinates\n`);
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
  process.stdout.write(`decision ${index}: ${node} changes nothing by itself until: kalos wake ${node}\n`);
  return EXIT.ok;
}

export async function failOver(directory: Directory, service: string, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/placements/move', { service, reason });
  process.stdout.write(`decision ${index}: whoever runs ${service} gives it up; where it runs then: kalos nova status\n`);
  return EXIT.ok;
}

export async function pardon(directory: Directory, node: string, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/pardon', { node, reason });
  process.stdout.write(`decision ${index}: ${node} may be a witness again\n`);
  return EXIT.ok;
}

export async function wake(directory: Directory, node: string, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/wake', { node, reason });
  process.stdout.write(`decision ${index}: ${node} is awake\n`);
  return EXIT.ok;
}

/** Has nothing depend on a member for a while: what is placed there goes elsewhere, and it does not coordinate. */
export async function drain(directory: Directory, node: string, forMs: number, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/drain', {
    node,
    forMs,
    reason,
  });
  process.stdout.write(
    `decision ${index}: nothing is to depend on ${node} for ${exactly(forMs)}; kalos undrain ${node} ends it\n`,
  );
  return EXIT.ok;
}

export async function undrain(directory: Directory, node: string, reason: string): Promise<number> {
  const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/undrain', { node, reason });
  process.stdout.write(`decision ${index}: ${node} is drained no more\n`);
  return EXIT.ok;
}
