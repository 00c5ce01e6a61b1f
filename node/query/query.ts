// A question to the whole swarm through any one peer: SQL is prepared here to learn what it reads, those tables are
// gathered (the swarm's from local state, the machines' by asking the members concerned), and SQL runs here over the rows.
// The statement itself never travels: tables, columns and plain equalities do.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Compute, SqlValue, TableRows } from '../../swarm/ports/compute.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import { localRows, TABLES } from './catalogue/catalogue.ts';
import type { Table, TableSources, Where } from './catalogue/table.ts';
import { equalities } from './predicates.ts';
import { type Selector, selectorOf } from './selector.ts';

export const DEFAULT_TIMEOUT_MS = 5_000;
/** What one peer may send of one table: a lying or flooding peer costs only its own rows. */
const MAX_ROWS_PER_PEER = 20_000;
const MAX_BYTES_PER_PEER = 3_000_000;
/** Of all peers together, before SQL runs. */
const MAX_ROWS = 400_000;
const MAX_SQL_LENGTH = 10_000;
const NOTHING: Where = new Map();

export interface QueryOptions {
  timeoutMs: number;
  /** `local`: machine tables have this machine's rows alone; `live`: the members concerned are asked. */
  mode: 'local' | 'live';
  /** Which members are asked: names, or `column=value` of the table nodes; undefined: all. */
  nodes: string | undefined;
  /** Whether who asks may see what machines read with their agents' rights. */
  isTrusted: boolean;
}

export interface QueryAnswer {
  columns: string[];
  rows: SqlValue[][];
  /** `local`: from this peer's state alone; `live`: machines were asked now. */
  mode: 'local' | 'live';
  /** The newest term of the election that this peer knows. */
  epoch: number;
  expected: number;
  answered: number;
  missing: { node: string; peer: PeerId; reason: string }[];
  /** Whose rows were too many: only the first of them are there. */
  truncated: { node: string; table: string }[];
  /** Ms that the answer of each machine took: its rows are no older. */
  ages: Record<string, number>;
  tookMs: number;
}

export type QueryResult = { ok: true; answer: QueryAnswer } | { ok: false; message: string };

const value = z.union([z.string(), z.number(), z.null()]);
const requestSchema = z.tuple([
  z.string().max(64),
  z.array(z.string().max(64)).max(64),
  z.array(z.tuple([z.string().max(64), z.array(value).max(1_000)])).max(16),
]);
const replySchema = z.tuple([z.array(z.array(value).max(64)).max(MAX_ROWS_PER_PEER), z.boolean()]);

/** As many as one peer sends, and whether that is all. */
function bounded(rows: SqlValue[][]): { rows: SqlValue[][]; truncated: boolean } {
  let [count, bytes] = [0, 0];
  while (count < Math.min(rows.length, MAX_ROWS_PER_PEER) && bytes < MAX_BYTES_PER_PEER) {
    for (const one of rows[count] ?? []) bytes += typeof one === 'string' ? one.length + 3 : 9;
    count++;
  }
  return { rows: rows.slice(0, count), truncated: count < rows.length };
}

/** Answers another member's request for rows of a machine table. */
export async function answerTable(from: PeerId, body: Uint8Array, sources: TableSources): Promise<Uint8Array> {
  const request = requestSchema.safeParse(decodeCbor(body));
  const table = request.success ? TABLES.find(({ name, scope }) => name === request.data[0] && scope === 'machine') : undefined;
  if (!request.success || table === undefined) throw new Error('no such table');
  const has = (name: string): boolean => table.columns.some((column) => column.name === name);
  const columns = request.data[1].filter(has);
  const where = new Map(request.data[2].filter(([name]) => has(name)));
  const [startMs, what] = [sources.nowMonotonicMs(), `${table.name} (${columns.join(', ')})`];
  const log = (rows: number, error: string): void =>
    sources.queries.add({
      atMs: sources.nowWallMs(),
      by: sources.link.nameOf(from),
      what,
      tookMs: sources.nowMonotonicMs() - startMs,
      rows,
      error,
    });
  try {
    const { rows, truncated } = bounded(await localRows(table, columns, where, sources));
    log(rows.length, '');
    return encodeCbor([rows, truncated]);
  } catch (error) {
    log(0, (error as Error).message);
    throw error;
  }
}

export async function query(sql: string, options: QueryOptions, sources: TableSources, compute: Compute): Promise<QueryResult> {
  const startMs = sources.nowMonotonicMs();
  const result = await ask(sql, options, sources, compute);
  const tookMs = Math.round(sources.nowMonotonicMs() - startMs);
  const [rows, error] = result.ok ? [result.answer.rows.length, ''] : [0, result.message];
  sources.queries.add({ atMs: sources.nowWallMs(), by: '', what: sql, tookMs, rows, error });
  return result.ok ? { ok: true, answer: { ...result.answer, tookMs } } : result;
}

async function ask(sql: string, options: QueryOptions, sources: TableSources, compute: Compute): Promise<QueryResult> {
  if (sql.length > MAX_SQL_LENGTH) return { ok: false, message: `the statement is longer than ${MAX_SQL_LENGTH} characters` };
  const selector = selectorOf(options.nodes);
  if (typeof selector === 'string') return { ok: false, message: selector };
  if (selector !== undefined && !sources.link.members.some(({ peer }) => selector(sources.link, peer)))
    return { ok: false, message: `no member is meant by ${options.nodes}; see kalos members` };
  const needs = await compute.sqlNeeds(sql, TABLES, options.timeoutMs);
  if (!needs.ok) return { ok: false, message: explainSqlError(needs.message) };
  const needed = TABLES.filter(({ name }) => needs.tables[name] !== undefined);
  const where = equalities(sql, TABLES);
  const guarded = needed.find((table) => table.isGuarded?.(needs.tables[table.name] ?? []) === true);
  if (guarded !== undefined && !options.isTrusted)
    return { ok: false, message: `${guarded.name} is read with the agents’ rights: that needs a token (kalos api-token create)` };
  for (const table of needed) {
    const given = where.get(table.name) ?? NOTHING;
    if (table.needs !== undefined && !table.needs.some((name) => given.has(name)))
      return {
        ok: false,
        message: `${table.name} has to be asked with ${table.needs.map((name) => `${name} = '…'`).join(' or ')}, and no OR`,
      };
  }
  const gathered = await gather({ tables: needed, columnsOf: needs.tables, where, selector, ...options }, sources);
  const count = gathered.data.reduce((sum, { rows }) => sum + rows.length, 0);
  if (count > MAX_ROWS)
    return {
      ok: false,
      message: `it would take ${count} rows of ${needed.map(({ name }) => name).join(', ')}: ask fewer nodes, or narrow it with WHERE column = …`,
    };
  const leftMs = Math.max(1_000, options.timeoutMs);
  const ran = await compute.sqlRun(sql, TABLES, gathered.data, leftMs);
  if (!ran.ok) return { ok: false, message: explainSqlError(ran.message) };
  const { data: _, ...rest } = gathered;
  return { ok: true, answer: { columns: ran.columns, rows: ran.rows, ...rest, epoch: sources.link.term, tookMs: 0 } };
}

function explainSqlError(message: string): string {
  const table = message.match(/no such table: (\S+)/);
  return table ? `${message}; there are: ${TABLES.map(({ name }) => name).join(', ')}; see kalos tables` : message;
}

interface Needs {
  tables: readonly Table[];
  columnsOf: Record<string, string[]>;
  where: ReadonlyMap<string, Where>;
  selector: Selector | undefined;
  mode: 'local' | 'live';
  timeoutMs: number;
}

type Gathered = Pick<QueryAnswer, 'expected' | 'answered' | 'missing' | 'truncated' | 'ages' | 'mode'> & { data: TableRows[] };

/** The members that rows of a table can be of. */
function concerned({ where, selector, mode }: Needs, table: Table, { link }: TableSources): PeerId[] {
  const names = where.get(table.name)?.get('node');
  const all = mode === 'local' ? [link.self] : link.members.map(({ peer }) => peer);
  return all.filter(
    (peer) => (names === undefined || names.includes(link.nameOf(peer))) && (selector === undefined || selector(link, peer)),
  );
}

async function gather(needs: Needs, sources: TableSources): Promise<Gathered> {
  const { link } = sources;
  const [missing, ages] = [new Map<PeerId, string>(), new Map<PeerId, number>()];
  const truncated: QueryAnswer['truncated'] = [];
  const expected = new Set<PeerId>();
  const data = await Promise.all(
    needs.tables.map(async (table): Promise<TableRows> => {
      const columns = needs.columnsOf[table.name] ?? [];
      const where = needs.where.get(table.name) ?? NOTHING;
      if (table.scope === 'swarm') return { table: table.name, columns, rows: await localRows(table, columns, where, sources) };
      const peers = concerned(needs, table, sources);
      for (const peer of peers) expected.add(peer);
      const rows: SqlValue[][] = [];
      const take = (peer: PeerId, got: SqlValue[][], isCut: boolean, tookMs: number): void => {
        for (const row of got) rows.push(row);
        if (isCut) truncated.push({ node: link.nameOf(peer), table: table.name });
        ages.set(peer, Math.max(ages.get(peer) ?? 0, Math.round(tookMs)));
      };
      const body = encodeCbor([table.name, columns, [...where].map(([name, values]) => [name, [...values]])]);
      const own = async (): Promise<void> => {
        if (!peers.includes(link.self)) return;
        try {
          const got = bounded(await localRows(table, columns, where, sources));
          take(link.self, got.rows, got.truncated, 0);
        } catch (error) {
          missing.set(link.self, (error as Error).message);
        }
      };
      const [asked] = await Promise.all([link.ask(peers, 'table', body, needs.timeoutMs), own()]);
      for (const { peer, reason } of asked.missing) missing.set(peer, reason);
      for (const { peer, body: reply, tookMs } of asked.answered) {
        const parsed = replySchema.safeParse(decodeCbor(reply));
        if (parsed.success) take(peer, claimedBy(link.nameOf(peer), columns, parsed.data[0]), parsed.data[1], tookMs);
        else missing.set(peer, 'malformed answer');
      }
      return { table: table.name, columns, rows };
    }),
  );
  return {
    data,
    mode: expected.size > 0 && needs.mode === 'live' ? 'live' : 'local',
    expected: Math.max(1, expected.size),
    answered: Math.max(1, expected.size) - missing.size,
    missing: [...missing].map(([peer, reason]) => ({ node: link.nameOf(peer), peer, reason })),
    truncated,
    ages: Object.fromEntries([...ages].map(([peer, ageMs]) => [link.nameOf(peer), ageMs])),
  };
}

/** Whatever a peer says of which node its rows are: they are its own. */
function claimedBy(name: string, columns: readonly string[], rows: SqlValue[][]): SqlValue[][] {
  const at = columns.indexOf('node');
  if (at >= 0) for (const row of rows) row[at] = name;
  return rows.filter((row) => row.length === columns.length);
}
