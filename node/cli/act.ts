// `kalos tools | act | rollback | approve | reject | stop-all | resume`: manual actions on one machine. They pass through the
// same executor as those of policies: guard, audit, transaction, verification.

import { counted } from '../../swarm/words.ts';
import type { Silence } from '../action/silences.ts';
import { readInput } from '../adapters/regular-file.ts';
import type { AgentStatus } from '../agent/agent-status.ts';
import { callAgent } from '../api/client.ts';
import type { NovaAnswer } from '../api/decision-routes.ts';
import type { ActAnswer } from '../api/routes.ts';
import { KalosError, notFound, reasonOf } from '../errors.ts';
import { printRows, printWhole, yaml } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, paint, printable } from './output.ts';
import { exactly, localTimes, Moment, when } from './times.ts';

interface ToolText {
  name: string;
  kind: 'read' | 'change';
  version: number;
  description: string;
  capability: string;
  risks: string[];
  input: {
    properties?: Record<string, { type?: string; enum?: string[]; const?: string; default?: unknown }>;
    required?: string[];
  };
  blastRadius?: string;
  verification?: { condition: string; stableMs: number; windowMs: number };
  timeoutMs?: number;
  rate?: { uses: number; withinMs: number };
}

const isForPeople = (format: Format): boolean => format === 'table' || format === 'wide';

async function toolsOf(directory: string | undefined): Promise<ToolText[]> {
  return callAgent<ToolText[]>(directory, 'GET', '/v1/tools');
}

function pick(tools: readonly ToolText[], name: string): ToolText {
  const tool = tools.find((known) => known.name === name);
  if (tool !== undefined) return tool;
  const known = tools.map((one) => one.name);
  throw notFound('tool', name, known, 'kalos tools');
}

export async function showTools(directory: string | undefined, name: string | undefined, format: Format): Promise<number> {
  const tools = await toolsOf(directory);
  const chosen = name === undefined ? tools : [pick(tools, name)];
  if (name !== undefined && isForPeople(format)) process.stdout.write(`${chosen.map(describe).join('\n')}\n`);
  else
    printRows(format, {
      headers: ['tool', 'risk', 'what it does'],
      rows: chosen.map((tool) => [tool.name, tool.risks.join(' or '), tool.description]),
      wide: {
        headers: ['tool', 'risk', 'arguments', 'needs', 'what it does'],
        rows: chosen.map((tool) => [tool.name, tool.risks.join(' or '), parameters(tool), tool.capability, tool.description]),
      },
      data: { tools: chosen },
    });
  return EXIT.ok;
}

/** `pid=integer`, `nice=…`; optional ones in brackets. */
function parameters({ input }: ToolText): string {
  return Object.entries(input.properties ?? {})
    .filter(([key]) => key !== 'tool')
    .map(([key, { type, enum: choices, default: fallback }]) => {
      const text = `${key}=${choices?.join('|') ?? type ?? '…'}`;
      return input.required?.includes(key) === true ? text : `[${text}${fallback === undefined ? '' : `, default ${fallback}`}]`;
    })
    .join(' ');
}

function describe(tool: ToolText): string {
  const { name, version, risks, description, capability, blastRadius, verification, timeoutMs, rate } = tool;
  const lines = [
    `${paint('bold', name)}  version ${version}, risk ${risks.join(' or ')}`,
    `  ${description}`,
    `  arguments     ${parameters(tool)}`,
    `  needs         ${capability === 'none' ? 'nothing' : `a rule of the actuator policy: ${capability}`}`,
  ];
  if (verification !== undefined && rate !== undefined)
    lines.push(
      `  blast radius  ${blastRadius}`,
      `  verification  ${verification.condition}, for ${exactly(verification.stableMs)}, within ${exactly(verification.windowMs)}`,
      `  limits        ${exactly(timeoutMs ?? 0)}; ${counted(rate.uses, 'use')} on a target in ${exactly(rate.withinMs)}`,
    );
  return lines.join('\n');
}

export interface ActOptions {
  dryRun: boolean;
  reason: string;
}

type Call = Record<string, string | string[]>;

function fileContent(path: string): string {
  try {
    return readInput(path).toString('utf8');
  } catch (error) {
    throw new KalosError('usage', `content=@${path} cannot be read: ${reasonOf(error)}`);
  }
}

/** Parses the arguments of one call, `key=value` each. A key that takes a list is repeated, once for each item. */
function callOf(tool: ToolText, args: readonly string[]): Call {
  const call: Call = { tool: tool.name };
  for (const argument of args) {
    const [, key = '', value = ''] = argument.match(/^([a-z_]+)=([\s\S]*)$/) ?? [];
    const before = call[key];
    if (tool.input.properties?.[key]?.type === 'array') call[key] = [...(Array.isArray(before) ? before : []), value];
    else if (key !== '' && before === undefined)
      call[key] = key === 'content' && value.startsWith('@') ? fileContent(value.slice(1)) : value;
    else
      throw new KalosError(
        'usage',
        `"${argument}" is not key=value, or repeats a key`,
        `kalos tools ${tool.name} shows its arguments`,
      );
  }
  return call;
}

/**
 * @param words a tool and its arguments, `key=value` each; a `+` and another tool for each further call of the plan.
 * @throws KalosError `usage` if an argument is not `key=value`, or is repeated.
 */
export async function callsOf(directory: string | undefined, words: readonly string[]): Promise<Call[]> {
  const tools = await toolsOf(directory);
  const groups: string[][] = [[]];
  for (const word of words) {
    if (word === '+') groups.push([]);
    else groups.at(-1)?.push(word);
  }
  return groups.map(([name = '', ...args]) => callOf(pick(tools, name), args));
}

/** @throws KalosError as `callsOf` does */
export async function act(
  directory: string | undefined,
  words: readonly string[],
  options: ActOptions,
  format: Format,
): Promise<number> {
  const calls = await callsOf(directory, words);
  const answer = await callAgent<ActAnswer>(directory, 'POST', '/v1/actions', { calls, ...options });
  return printAnswer(answer, format);
}

export async function rollback(directory: string | undefined, id: string, format: Format): Promise<number> {
  return printAnswer(await callAgent<ActAnswer>(directory, 'POST', `/v1/actions/${encodeURIComponent(id)}/rollback`), format);
}

const GOOD_RESULTS = new Set(['confirmed', 'dry-run', 'read']);
const REFUSED_RESULTS = new Set(['refused', 'escalate', 'shown']);

/** What agents before 0.4.0 answer for an irreversible action. */
const NOTHING_UNDOES = ['', 'nothing undoes it', 'nothing was changed'];

function describeAnswer({ result, detail, plan, diff, risk, undo, value }: ActAnswer): string {
  if (result === 'read') return yaml({ [detail]: value }).trimEnd();
  const back = risk === 'R0' ? '' : NOTHING_UNDOES.includes(undo) ? '; cannot be undone' : `; undone by: ${printable(undo)}`;
  return [
    `${paint(GOOD_RESULTS.has(result) ? 'green' : 'red', result)}  ${printable(localTimes(detail))}${plan === '' ? '' : `  (${plan})`}`,
    ...diff.map((line) => `  ${printable(line)}`),
    `  risk ${risk}${back}`,
  ].join('\n');
}

function printAnswer(answer: ActAnswer, format: Format): number {
  printWhole(format, { ...answer }, () => describeAnswer(answer));
  if (GOOD_RESULTS.has(answer.result)) return EXIT.ok;
  return REFUSED_RESULTS.has(answer.result) ? EXIT.refused : EXIT.error;
}

export async function answerApproval(
  directory: string | undefined,
  id: string | undefined,
  answer: 'approved' | 'rejected',
  format: Format,
): Promise<number> {
  if (id === undefined) return listApprovals(directory, format);
  await callAgent(directory, 'POST', `/v1/approvals/${encodeURIComponent(id)}`, { answer });
  printWhole(format, { id, answer }, () => `${id} ${answer}`);
  return EXIT.ok;
}

async function listApprovals(directory: string | undefined, format: Format): Promise<number> {
  const { approvals } = await callAgent<AgentStatus>(directory, 'GET', '/v1/status');
  if (approvals.length === 0 && isForPeople(format)) process.stdout.write('no pending approvals\n');
  else
    printRows(format, {
      headers: ['id', 'incident', 'change'],
      rows: approvals.map(({ id, incident, diff }) => [id, incident, diff.join('; ')]),
      data: { approvals },
    });
  return approvals.length === 0 ? EXIT.ok : EXIT.pending;
}

/** The id of a silence of the swarm is that of its decision. */
const SWARM_SILENCE = /^[0-9a-f]{32}$/;

export interface SilenceOptions {
  policy?: string;
  target?: string;
  for?: number;
  reason: string;
  lift?: string;
  everywhere?: boolean;
}

/** Adds a silence, removes one, or lists them. */
export async function silence(directory: string | undefined, options: SilenceOptions, format: Format): Promise<number> {
  const { policy, target, for: forMs, reason, lift, everywhere = false } = options;
  if (lift !== undefined) {
    if (SWARM_SILENCE.test(lift)) await callAgent(directory, 'POST', '/v1/swarm-silences/lift', { silence: lift });
    else await callAgent(directory, 'POST', `/v1/silences/${encodeURIComponent(lift)}/lift`);
    printWhole(format, { id: lift, lifted: true }, () => `${lift} is removed`);
  } else if (policy !== undefined || target !== undefined) {
    if (forMs === undefined) throw new KalosError('usage', 'a silence needs a duration', 'add --for 30m');
    if (everywhere) {
      const { index } = await callAgent<{ index: number }>(directory, 'POST', '/v1/swarm-silences', {
        policy,
        target,
        forMs,
        reason,
      });
      printWhole(format, { index }, () => `decision ${index}: silenced on all machines; see: kalos log show ${index}`);
      return EXIT.ok;
    }
    const made = await callAgent<Silence>(directory, 'POST', '/v1/silences', { policy, target, forMs, reason });
    printWhole(format, { ...made }, () => `${made.id} until ${when(made.untilMs)}`);
  } else {
    await listSilences(directory, format);
  }
  return EXIT.ok;
}

async function listSilences(directory: string | undefined, format: Format): Promise<void> {
  const { silences: here } = await callAgent<AgentStatus>(directory, 'GET', '/v1/status');
  const { silences: everywhere } = await callAgent<NovaAnswer>(directory, 'GET', '/v1/nova');
  const silences = [
    ...here.map((one) => ({ ...one, where: 'this machine' })),
    ...everywhere.map((one) => ({ ...one, where: 'all machines' })),
  ];
  if (silences.length === 0 && isForPeople(format)) process.stdout.write('no silences\n');
  else
    printRows(format, {
      headers: ['id', 'policy', 'target', 'where', 'until', 'reason'],
      rows: silences.map((one) => [
        one.id,
        one.policy ?? 'all',
        one.target ?? 'all',
        one.where,
        new Moment(one.untilMs),
        one.reason,
      ]),
      data: { silences },
    });
}

export async function stopAll(directory: string | undefined, reason: string): Promise<number> {
  await callAgent(directory, 'POST', '/v1/halt', { reason });
  process.stdout.write('actions are halted, also after a restart; kalos resume allows them\n');
  return EXIT.ok;
}

export async function resume(directory: string | undefined): Promise<number> {
  await callAgent(directory, 'POST', '/v1/resume', {});
  process.stdout.write('actions are allowed again\n');
  return EXIT.ok;
}
