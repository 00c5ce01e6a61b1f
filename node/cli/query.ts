// `kalos query "select …"`: SQL over the whole swarm, through the agent of this machine; `kalos tables` lists the tables.

import { counted } from '../../swarm/words.ts';
import { callAgent } from '../api/client.ts';
import { type KalosError, notFound } from '../errors.ts';
import type { QueryAnswer } from '../query/answer.ts';
import { TABLES } from '../query/catalogue/catalogue.ts';
import { describedTable } from '../query/catalogue/table.ts';
import { PACK, type Question } from '../query/pack.ts';
import type { QueryOptions } from '../query/query.ts';
import { printRows } from './data.ts';
import { EXIT } from './exit-codes.ts';
import { type Format, paint, printable } from './output.ts';
import { exactly, Moment } from './times.ts';

type RunOptions = Partial<Omit<QueryOptions, 'isTrusted' | 'asker'>> & {
  timeoutMs: number;
  /** Columns in ISO 8601, shown to people in local time. */
  moments?: readonly string[];
};

/** @param none thrown if there are no rows */
export async function runQuery(
  directory: string | undefined,
  sql: string,
  { timeoutMs, mode = 'live', nodes, moments = [] }: RunOptions,
  format: Format,
  none?: KalosError,
): Promise<number> {
  const answer = await callAgent<QueryAnswer>(directory, 'POST', '/v1/query', { sql, timeoutMs, mode, nodes });
  if (none !== undefined && answer.rows.length === 0 && answer.missing.length === 0) throw none;
  const rows = answer.rows.map((row) => Object.fromEntries(answer.columns.map((name, i) => [name, row[i] ?? null])));
  const shown = answer.rows.map((row) => row.map((one, i) => (moments.includes(answer.columns[i] ?? '') ? momentOf(one) : one)));
  printRows(format, { headers: answer.columns, rows: shown, data: { ...answer, rows } });
  if (format !== 'json' && format !== 'yaml') printCompleteness(answer);
  return answer.missing.length + answer.truncated.length > 0 ? EXIT.partial : EXIT.ok;
}

/** The text comes from another machine: it may not be a time. */
function momentOf(cell: unknown): unknown {
  const ms = Date.parse(String(cell));
  return Number.isNaN(ms) ? cell : new Moment(ms);
}

function printCompleteness(answer: QueryAnswer): void {
  const from =
    answer.mode === 'local' ? 'from this agent’s own data' : `${answer.answered} of ${counted(answer.expected, 'node')} answered`;
  process.stderr.write(paint('dim', `${counted(answer.rows.length, 'row')}, ${from}, ${exactly(answer.tookMs)}\n`));
  for (const { node, reason } of answer.missing)
    process.stderr.write(paint('yellow', `missing: ${printable(node)} (${printable(reason)})\n`));
  for (const { node, table } of answer.truncated)
    process.stderr.write(paint('yellow', `truncated: ${table} of ${node}; narrow it with WHERE column = …\n`));
}

/** The SQL of a prepared query. @throws KalosError */
export async function questionOf(directory: string | undefined, name: string): Promise<string> {
  const questions = await callAgent<Question[]>(directory, 'GET', '/v1/questions');
  const question = questions.find((one) => one.name === name);
  if (question !== undefined) return question.sql;
  const known = questions.map((one) => one.name);
  throw notFound('prepared query', name, known, 'kalos tables --questions');
}

const TOP_TIMEOUT_MS = 2_000;

export function topOfSwarm(directory: string | undefined): Promise<number> {
  const sql =
    'select node, state, round(cpu * 100) as cpu_percent, round(memory * 100) as memory_percent, psi_cpu, psi_memory, psi_io, load_1m, open_incidents as incidents, age_ms / 1000 as age_s from nodes order by cpu desc';
  return runQuery(directory, sql, { timeoutMs: TOP_TIMEOUT_MS }, 'table');
}

export function topOfNode(directory: string | undefined, node: string): Promise<number> {
  const sql =
    'select pid, name, state, round(cpu * 100) as cpu_percent, resident_size / 1048576 as mib, threads from processes order by cpu desc, mib desc limit 30';
  return runQuery(directory, sql, { timeoutMs: TOP_TIMEOUT_MS, nodes: node }, 'table');
}

/** Prepared queries of the package, and of this machine's agent if one runs. */
export async function listQuestions(directory: string | undefined, format: Format): Promise<number> {
  const questions = await callAgent<Question[]>(directory, 'GET', '/v1/questions').catch(() => PACK);
  printRows(format, {
    headers: ['name', 'asks'],
    rows: questions.map(({ name, asks }) => [name, asks]),
    wide: { headers: ['name', 'asks', 'sql'], rows: questions.map(({ name, asks, sql }) => [name, asks, sql]) },
    data: { questions },
  });
  return EXIT.ok;
}

/** The catalogue needs no agent. */
export function listTables(format: Format): number {
  const shown = TABLES.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  printRows(format, {
    headers: ['table', 'scope', 'description'],
    rows: shown.map(({ name, scope, description }) => [name, scope, description]),
    data: {
      tables: shown.map(describedTable),
    },
  });
  return EXIT.ok;
}

export function showTable(given: string, format: Format): number {
  const table = TABLES.find(({ name }) => name === given);
  const known = TABLES.map((one) => one.name);
  if (table === undefined) throw notFound('table', given, known, 'kalos tables');
  const { name, scope, description, columns, examples, needs = [] } = table;
  if (format !== 'table' && format !== 'wide') {
    printRows(format, {
      headers: ['column', 'type', 'description'],
      rows: columns.map((column) => [column.name, column.type, column.description]),
      data: describedTable(table),
    });
    return EXIT.ok;
  }
  const width = Math.max(...columns.map((column) => column.name.length));
  const lines = [
    `${paint('bold', name)}  ${description}`,
    scope === 'swarm' ? 'replicated: answered by this agent alone' : 'per machine: the query goes to the members concerned',
    ...(needs.length === 0
      ? []
      : [`  needs a constraint: ${needs.map((one) => `${one} = '…', ${one} LIKE '/…%'`).join(', ')}, or a JOIN`]),
    '',
    ...columns.map((column) => `  ${column.name.padEnd(width)}  ${column.type.padEnd(7)}  ${column.description}`),
    '',
    ...examples.map((example) => `  kalos query "${example}"`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return EXIT.ok;
}
