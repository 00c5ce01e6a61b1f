// All tables of the query language.
import { MAX_INSPECTED, type SqlValue } from '../../ports/compute.ts';
import { compares, type Predicates } from '../predicates.ts';
import { compareValues, type Reduction, reduced } from '../reduction.ts';
import { AGENT_TABLES } from './agent.ts';
import { LINUX_TABLES } from './linux.ts';
import { likeOf, type Row, type Table, type TableSources, type Where } from './table.ts';

export const TABLES: readonly Table[] = [...AGENT_TABLES, ...LINUX_TABLES];

/** A request for rows of a table: `columns` includes those of the reduction. */
export interface RowsRequest extends Predicates {
  columns: readonly string[];
  reduction: Reduction | undefined;
}

function withPatterns(equal: Where, compare: Predicates['compare']): Where {
  const where = new Map(equal);
  for (const [column, operator, value] of compare)
    if (operator === 'like') where.set(likeOf(column), [...(where.get(likeOf(column)) ?? []), value]);
  return where;
}

/**
 * The rows of a table that meet the conditions, with the requested columns in the requested order, or the reduced rows.
 * @param asker the client.
 * @throws Error if the machine has no such table.
 */
export async function localRows(
  table: Table,
  { columns, equal, compare, reduction }: RowsRequest,
  sources: TableSources,
  asker = '',
): Promise<{ rows: SqlValue[][]; truncated: boolean }> {
  const asked = new Set([...columns, ...equal.keys(), ...compare.map(([name]) => name)]);
  const inspect: TableSources['inspect'] = (name, where) => sources.inspect(name, where, asker);
  const rows = await table.rows({ ...sources, inspect }, [...asked], withPatterns(equal, compare));
  const meets = (row: Row): boolean =>
    // Some columns only constrain the request: SQL evaluates those. If rows are reduced, no row meets them.
    [...equal].every(
      ([name, values]) =>
        (row[name] === undefined && reduction === undefined) ||
        values.some((value) => compareValues(value, row[name] ?? null) === 0),
    ) && compare.every(([name, operator, value]) => compares(row[name], operator, value));
  return { rows: reduced(rows.filter(meets), columns, reduction), truncated: rows.length >= MAX_INSPECTED };
}
