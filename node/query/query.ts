// A query over the whole swarm on any member: SQL is prepared here to find the tables that it reads, these are
// gathered (the swarm's from local state, the machines' from their members), and SQL runs here over the rows.
// The statement never travels. A request has a table, columns, simple conditions and a reduction of the rows.

import type { PeerId } from '../../swarm/ports/transport.ts';
import { counted } from '../../swarm/words.ts';
import type { Compute } from '../ports/compute.ts';
import type { QueryResult } from './answer.ts';
import { TABLES } from './catalogue/catalogue.ts';
import type { Table, TableSources } from './catalogue/table.ts';
import type { Gathered, Gathering } from './gather.ts';
import { joinsOf } from './joins.ts';
import { NO_PREDICATES, type Predicates, predicates } from './predicates.ts';
import { type Reduced, reductionOf } from './reduction.ts';
import { type Selector, selectorOf } from './selector.ts';
import { gatherStages, stagesOf } from './stages.ts';

export const DEFAULT_TIMEOUT_MS = 5_000;
/** Limit of all members' rows, before SQL runs. */
const MAX_ROWS = 400_000;
/** Usual rows per machine of large tables, for an estimate before members are queried. */
const USUAL_ROWS: Readonly<Record<string, number>> = {
  process_open_files: 5_000,
  process_open_sockets: 1_000,
  deb_packages: 1_000,
};
const DEFAULT_USUAL_ROWS = 300;
const NARROWER = 'query fewer nodes, add WHERE column = …, or aggregate (count, sum, LIMIT)';
const MAX_SQL_LENGTH = 10_000;
/** Limit of SQL itself, in addition to the time for machines: one process runs all statements one after the other. */
const MAX_SQL_MS = 5_000;

export interface QueryOptions {
  timeoutMs: number;
  /** `local`: machine tables have only this machine's rows; `live`: members are queried. */
  mode: 'local' | 'live';
  /** The members to query: names, or `column=value` of the table nodes; undefined: all. */
  nodes: string | undefined;
  /** Whether the user may see tables that are read with the agents' rights. */
  isTrusted: boolean;
  /** The user: queries are scheduled fairly between users. */
  asker: string;
}

export async function query(sql: string, options: QueryOptions, sources: TableSources, compute: Compute): Promise<QueryResult> {
  const startMs = sources.nowMonotonicMs();
  const result = await sources.gate.through(options.asker, () => ask(sql, options, sources, compute));
  const tookMs = Math.round(sources.nowMonotonicMs() - startMs);
  const [rows, error] = result.ok ? [result.answer.rows.length, ''] : [0, result.message];
  sources.queries.add({ atMs: sources.nowWallMs(), by: '', what: sql, tookMs, rows, error });
  return result.ok ? { ok: true, answer: { ...result.answer, tookMs } } : result;
}

async function ask(sql: string, options: QueryOptions, sources: TableSources, compute: Compute): Promise<QueryResult> {
  if (sql.length > MAX_SQL_LENGTH) return refused(`the statement is longer than ${MAX_SQL_LENGTH} characters`);
  const selector = selectorOf(options.nodes);
  if (typeof selector === 'string') return refused(selector);
  if (selector !== undefined && !sources.swarm.members.some(({ peer }) => selector(sources.swarm, peer)))
    return refused(`no member matches ${options.nodes}; see kalos members`);
  const sqlMs = Math.min(options.timeoutMs, MAX_SQL_MS);
  const needs = await compute.sqlNeeds(sql, TABLES, sqlMs, options.asker);
  if (!needs.ok) return refused(explainSqlError(needs.message));
  const needed = TABLES.filter(({ name }) => needs.tables[name] !== undefined);
  const { of: conditions, isAll } = predicates(sql, TABLES);
  for (const table of needed) {
    if (table.isGuarded?.(needs.tables[table.name] ?? []) === true && !options.isTrusted)
      return refused(`${table.name} needs an API token, as it is read with the agents’ rights (kalos api-token create)`);
  }
  const [only, ...others] = needed;
  const reduced =
    isAll && only?.scope === 'machine' && others.length === 0
      ? await reduction(sql, only, compute, sqlMs, options.asker)
      : undefined;
  const plan = needed.map((table): Gathering => {
    const request = {
      columns: needs.tables[table.name] ?? [],
      ...(conditions.get(table.name) ?? NO_PREDICATES),
      reduction: reduced?.reduction,
    };
    const columns = reduced?.reduction[0] === 'groups' ? reduced.table.columns.map(({ name }) => name) : request.columns;
    return { table, columns, request, peers: concerned(table, request, selector, options.mode, sources) };
  });
  const joins = joinsOf(sql, TABLES);
  const stages = stagesOf(plan, joins);
  if (typeof stages === 'string') return refused(stages);
  const cost = (stages[0] ?? []).map(estimated).find((one) => one !== undefined);
  if (cost !== undefined) return refused(cost);
  const gathered = await gatherStages(stages, joins, options.timeoutMs, sources, options.asker);
  if (typeof gathered === 'string') return refused(gathered);
  const count = gathered.data.reduce((sum, { rows }) => sum + rows.length, 0);
  if (count > MAX_ROWS)
    return refused(
      `the query needs ${counted(count, 'row')} of ${needed.map(({ name }) => name).join(', ')}, limit ${MAX_ROWS}: ${NARROWER}`,
    );
  const schema = reduced === undefined ? TABLES : [reduced.table];
  const ran = await compute.sqlRun(reduced?.sql ?? sql, schema, gathered.data, Math.max(1_000, sqlMs), options.asker);
  if (!ran.ok) return refused(explainSqlError(ran.message));
  return { ok: true, answer: { columns: needs.columns, rows: ran.rows, ...summed(gathered, options.mode, sources), tookMs: 0 } };
}

const refused = (message: string): QueryResult => ({ ok: false, message });

/** How machines reduce their rows for this statement; undefined if SQLite needs more than the reduced rows. */
async function reduction(
  sql: string,
  table: Table,
  compute: Compute,
  timeoutMs: number,
  asker: string,
): Promise<Reduced | undefined> {
  const reduced = reductionOf(sql, table);
  if (reduced === undefined || reduced.reduction[0] === 'top') return reduced;
  return (await compute.sqlNeeds(reduced.sql, [reduced.table], timeoutMs, asker)).ok ? reduced : undefined;
}

/** The refusal if the estimate exceeds the row limit. A request with equalities is not estimated, as these leave few rows. */
function estimated({ table, request: { equal, reduction: reduces }, peers }: Gathering): string | undefined {
  const usual = USUAL_ROWS[table.name] ?? DEFAULT_USUAL_ROWS;
  const each = reduces?.[0] === 'top' ? Math.min(usual, reduces[2]) : usual;
  if (reduces?.[0] === 'groups' || [...equal.keys()].some((name) => name !== 'node') || peers.length * each <= MAX_ROWS)
    return undefined;
  return `${table.name} has about ${usual} rows per machine: ${counted(peers.length, 'machine')} ${peers.length === 1 ? 'has' : 'have'} ${peers.length * each}, limit ${MAX_ROWS}: ${NARROWER}`;
}

/** The members that can have rows of a table. */
function concerned(
  table: Table,
  { equal }: Predicates,
  selector: Selector | undefined,
  mode: QueryOptions['mode'],
  { swarm }: TableSources,
): PeerId[] {
  if (table.scope === 'swarm') return [];
  const names = equal.get('node');
  const all = mode === 'local' ? [swarm.self] : swarm.members.map(({ peer }) => peer);
  return all.filter(
    (peer) => (names === undefined || names.includes(swarm.nameOf(peer))) && (selector === undefined || selector(swarm, peer)),
  );
}

/** The description of an answer: its mode, its age, and the members that did not answer. */
function summed({ expected, missing, truncated, ages }: Gathered, mode: QueryOptions['mode'], { swarm, decided }: TableSources) {
  const count = Math.max(1, expected.size);
  return {
    mode: expected.size > 0 && mode === 'live' ? ('live' as const) : ('local' as const),
    epoch: swarm.term,
    rosterEpoch: decided.rosterEpoch,
    index: decided.index,
    expected: count,
    answered: count - missing.size,
    missing: [...missing].map(([peer, reason]) => ({ node: swarm.nameOf(peer), peer, reason })),
    truncated,
    ages,
  };
}

function explainSqlError(message: string): string {
  const table = message.match(/no such table: (\S+)/);
  return table ? `${message}; tables: ${TABLES.map(({ name }) => name).join(', ')}; see kalos tables` : message;
}
