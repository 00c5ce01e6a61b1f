// Rows of machines: how an agent requests them from members, how it answers, and how answers are combined. The statement never
// travels. A request has a table, columns, simple conditions and a reduction of the rows.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { SqlValue, TableRows } from '../ports/compute.ts';
import { localRows, type RowsRequest, TABLES } from './catalogue/catalogue.ts';
import type { Table, TableSources } from './catalogue/table.ts';
import { AGGREGATES, reducedBy } from './reduction.ts';

/** Limit of one member's rows of one table: a lying or flooding member loses only its own rows. */
const MAX_ROWS_PER_PEER = 20_000;
const MAX_BYTES_PER_PEER = 3_000_000;
/** Limit of all members' rows of one table. */
const MAX_GATHERED_BYTES = 64_000_000;

const value = z.union([z.string(), z.number(), z.null()]);
const named = z.string().max(64);
const reductionSchema = z.union([
  z.null(),
  z.tuple([z.literal('groups'), z.array(named).max(64), z.array(z.tuple([z.enum(AGGREGATES), named])).max(64)]),
  z.tuple([z.literal('top'), z.array(z.tuple([named, z.boolean()])).max(64), z.int().min(0)]),
]);
const requestSchema = z.tuple([
  named,
  z.array(named).max(64),
  z.array(z.tuple([named, z.array(value).max(1_000)])).max(64),
  z.array(z.tuple([named, z.enum(['<', '<=', '>', '>=', '<>', 'like', 'not like']), value])).max(64),
  reductionSchema,
]);
const replySchema = z.tuple([z.array(z.array(value).max(64)).max(MAX_ROWS_PER_PEER), z.boolean()]);

/** The rows within the limit of one member, and whether some were left out. */
function bounded({ rows, truncated }: { rows: SqlValue[][]; truncated: boolean }): { rows: SqlValue[][]; truncated: boolean } {
  let [count, bytes] = [0, 0];
  while (count < Math.min(rows.length, MAX_ROWS_PER_PEER) && bytes < MAX_BYTES_PER_PEER) {
    for (const one of rows[count] ?? []) bytes += typeof one === 'string' ? one.length + 3 : 9;
    count++;
  }
  return { rows: rows.slice(0, count), truncated: truncated || count < rows.length };
}

/** The table and the request; undefined if there is no such table or column. */
function requested(body: Uint8Array): { table: Table; request: RowsRequest } | undefined {
  const parsed = requestSchema.safeParse(decodeCbor(body));
  const table = parsed.success && TABLES.find(({ name, scope }) => name === parsed.data[0] && scope === 'machine');
  if (!table) return undefined;
  const [, columns, equal, compare, reduction] = parsed.data;
  const has = (name: string): boolean => table.columns.some((column) => column.name === name);
  const request = { columns, equal: new Map(equal), compare, reduction: reduction ?? undefined };
  return columnsOf(request).every(has) ? { table, request } : undefined;
}

/** All columns that an answer reveals: those sent, those of conditions, and those of the reduction. */
function columnsOf({ columns, equal, compare, reduction }: RowsRequest): string[] {
  return [
    ...columns,
    ...equal.keys(),
    ...compare.map(([name]) => name),
    ...(reduction === undefined ? [] : reducedBy(reduction)),
  ];
}

/** Answers another member's request for rows of a machine table. */
export async function answerTable(from: PeerId, body: Uint8Array, sources: TableSources): Promise<Uint8Array> {
  const asked = requested(body);
  if (asked === undefined) throw new Error('no such table');
  const { table, request } = asked;
  const [startMs, what] = [sources.nowMonotonicMs(), `${table.name} (${request.columns.join(', ')})`];
  const log = (rows: number, error: string): void =>
    sources.queries.add({
      atMs: sources.nowWallMs(),
      by: sources.swarm.nameOf(from),
      what,
      tookMs: sources.nowMonotonicMs() - startMs,
      rows,
      error,
    });
  const refusal = table.isPrivate?.(columnsOf(request)) === true ? sources.inspectionRefusal(from) : undefined;
  try {
    if (refusal !== undefined) throw new Error(refusal);
    const { rows, truncated } = bounded(await localRows(table, request, sources, `member ${from}`));
    log(rows.length, '');
    return encodeCbor([rows, truncated]);
  } catch (error) {
    log(0, (error as Error).message);
    throw error;
  }
}

/** A request, and the members it goes to; `columns` are those of the received rows. */
export interface Gathering {
  table: Table;
  columns: readonly string[];
  request: RowsRequest;
  /** The members that can have rows; empty for a table that every agent has. */
  peers: readonly PeerId[];
}

export interface Gathered {
  data: TableRows[];
  expected: Set<PeerId>;
  missing: Map<PeerId, string>;
  truncated: { node: string; table: string }[];
  ages: Record<string, number>;
}

export async function gather(
  all: readonly Gathering[],
  timeoutMs: number,
  sources: TableSources,
  asker: string,
): Promise<Gathered> {
  const { swarm } = sources;
  const gathered: Gathered = { data: [], expected: new Set(), missing: new Map(), truncated: [], ages: {} };
  await Promise.all(
    all.map(async ({ table, columns, request, peers }): Promise<void> => {
      const rows: SqlValue[][] = [];
      gathered.data.push({ table: table.name, columns, rows });
      const take = (peer: PeerId, got: { rows: SqlValue[][]; truncated: boolean }, tookMs: number): void => {
        const name = swarm.nameOf(peer);
        for (const row of got.rows) rows.push(row);
        if (got.truncated) gathered.truncated.push({ node: name, table: table.name });
        if (table.scope === 'machine') gathered.ages[name] = Math.max(gathered.ages[name] ?? 0, Math.round(tookMs));
      };
      const own = async (): Promise<void> => {
        try {
          const got = await localRows(table, request, sources, asker);
          take(swarm.self, table.scope === 'machine' ? bounded(got) : got, 0);
        } catch (error) {
          if (table.scope === 'swarm') throw error;
          gathered.missing.set(swarm.self, (error as Error).message);
        }
      };
      if (table.scope === 'swarm') return own();
      for (const peer of peers) gathered.expected.add(peer);
      const answered = (peer: PeerId, body: Uint8Array, tookMs: number): void => {
        const parsed = replySchema.safeParse(decodeCbor(body));
        if (!parsed.success) gathered.missing.set(peer, 'malformed answer');
        else take(peer, { rows: claimedBy(swarm.nameOf(peer), columns, parsed.data[0]), truncated: parsed.data[1] }, tookMs);
      };
      const options = { timeoutMs, maxBytes: MAX_GATHERED_BYTES, asker, take: answered };
      const asking = swarm.ask(peers, 'table', encoded(table, request), options);
      if (peers.includes(swarm.self)) await own();
      for (const { peer, reason } of await asking) gathered.missing.set(peer, reason);
    }),
  );
  return gathered;
}

const encoded = ({ name }: Table, { columns, equal, compare, reduction }: RowsRequest): Uint8Array =>
  encodeCbor([name, [...columns], [...equal].map(([column, values]) => [column, [...values]]), compare, reduction ?? null]);

/** A member's rows are always its own, also if their column node says otherwise. */
function claimedBy(name: string, columns: readonly string[], rows: SqlValue[][]): SqlValue[][] {
  const at = columns.indexOf('node');
  if (at >= 0) for (const row of rows) row[at] = name;
  return rows.filter((row) => row.length === columns.length);
}
