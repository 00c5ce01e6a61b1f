// A question to the whole swarm through any one peer: SQL is prepared here to learn what it reads, those tables are
// gathered (the swarm's from local state, the machines' by asking every member), and SQL runs here over the rows.
// The statement itself never travels.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Compute, SqlValue, TableRows } from '../../swarm/ports/compute.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { localRows, TABLES, type Table, type TableSources } from './tables.ts';

export const DEFAULT_TIMEOUT_MS = 5_000;
/** Rows that one peer may send of one table: a lying or flooding peer costs only its own rows. */
const MAX_ROWS_PER_PEER = 20_000;
const MAX_SQL_LENGTH = 10_000;

export interface QueryAnswer {
  columns: string[];
  rows: SqlValue[][];
  /** `local`: from this peer's state alone; `live`: the machines were asked now. */
  mode: 'local' | 'live';
  expected: number;
  answered: number;
  missing: { node: string; peer: PeerId; reason: string }[];
  tookMs: number;
}

export type QueryResult = { ok: true; answer: QueryAnswer } | { ok: false; message: string };

const requestSchema = z.tuple([z.string().max(64), z.array(z.string().max(64)).max(64)]);
const value = z.union([z.string(), z.number(), z.null()]);
const replySchema = z.array(z.array(value).max(64)).max(MAX_ROWS_PER_PEER);

/** Answers another peer's request for rows of a machine table. */
export function answerTable(body: Uint8Array, sources: TableSources): Uint8Array {
  const request = requestSchema.safeParse(decodeCbor(body));
  const table = request.success ? TABLES.find(({ name, scope }) => name === request.data[0] && scope === 'machine') : undefined;
  if (!request.success || table === undefined) throw new Error('no such table');
  const columns = request.data[1].filter((name) => table.columns.some((column) => column.name === name));
  return encodeCbor(localRows(table, columns, sources).slice(0, MAX_ROWS_PER_PEER));
}

export async function query(sql: string, timeoutMs: number, sources: TableSources, compute: Compute): Promise<QueryResult> {
  const startMs = sources.nowMonotonicMs();
  if (sql.length > MAX_SQL_LENGTH) return { ok: false, message: `the statement is longer than ${MAX_SQL_LENGTH} characters` };
  const needs = await compute.sqlNeeds(sql, TABLES, timeoutMs);
  if (!needs.ok) return { ok: false, message: explainSqlError(needs.message) };
  const needed = TABLES.filter(({ name }) => needs.tables[name] !== undefined);
  const gathered = await gather(needed, needs.tables, timeoutMs, sources);
  const ran = await compute.sqlRun(sql, TABLES, gathered.data, timeoutMs);
  if (!ran.ok) return { ok: false, message: explainSqlError(ran.message) };
  const { expected, missing } = gathered;
  const tookMs = Math.round(sources.nowMonotonicMs() - startMs);
  const mode = needed.some(({ scope }) => scope === 'machine') ? 'live' : 'local';
  const answer: QueryAnswer = {
    columns: ran.columns,
    rows: ran.rows,
    mode,
    expected,
    answered: expected - missing.length,
    missing,
    tookMs,
  };
  return { ok: true, answer };
}

function explainSqlError(message: string): string {
  const table = message.match(/no such table: (\S+)/);
  return table ? `${message}; there are: ${TABLES.map(({ name }) => name).join(', ')}` : message;
}

interface Gathered {
  data: TableRows[];
  expected: number;
  missing: QueryAnswer['missing'];
}

async function gather(
  tables: readonly Table[],
  columnsOf: Record<string, string[]>,
  timeoutMs: number,
  sources: TableSources,
): Promise<Gathered> {
  const { link } = sources;
  const members = link.members.map(({ peer }) => peer);
  const missing = new Map<PeerId, string>();
  const data = await Promise.all(
    tables.map(async (table): Promise<TableRows> => {
      const columns = columnsOf[table.name] ?? [];
      const rows = localRows(table, columns, sources);
      if (table.scope === 'machine') {
        const asked = await link.ask(members, 'table', encodeCbor([table.name, columns]), timeoutMs);
        for (const { peer, reason } of asked.missing) missing.set(peer, reason);
        for (const { peer, body } of asked.answered) {
          const reply = replySchema.safeParse(decodeCbor(body));
          if (reply.success) for (const row of reply.data) rows.push(row);
          else missing.set(peer, 'malformed answer');
        }
      }
      return { table: table.name, columns, rows };
    }),
  );
  const machine = tables.some(({ scope }) => scope === 'machine');
  return {
    data,
    expected: machine ? members.length : 1,
    missing: [...missing].map(([peer, reason]) => ({ node: link.nameOf(peer), peer, reason })),
  };
}
