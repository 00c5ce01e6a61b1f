// All tables that SQL sees.
import type { SqlValue } from '../../../swarm/ports/compute.ts';
import { AGENT_TABLES } from './agent.ts';
import { LINUX_TABLES } from './linux.ts';
import type { Table, TableSources, Where } from './table.ts';

export const TABLES: readonly Table[] = [...AGENT_TABLES, ...LINUX_TABLES];

/** The rows of a table that meet the equalities, with just the columns asked for, in that order. @throws Error where the machine has no such table. */
export async function localRows(
  table: Table,
  columns: readonly string[],
  where: Where,
  sources: TableSources,
): Promise<SqlValue[][]> {
  const asked = [...new Set([...columns, ...where.keys()])];
  const rows = await table.rows(sources, asked, where);
  const meets = (row: Record<string, SqlValue | undefined>): boolean =>
    [...where].every(([name, values]) => row[name] === undefined || values.includes(row[name] ?? null));
  return rows.filter(meets).map((row) => columns.map((name) => row[name] ?? null));
}
