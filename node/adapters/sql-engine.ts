// SQL over rows in memory, read-only, on node:sqlite. Runs in a child process only (compute-host.ts): a statement that
// runs wild is ended by killing its process.
import { constants, DatabaseSync } from 'node:sqlite';
import type { SqlAnswer, SqlNeeds, SqlValue, TableRows, TableShape } from '../../swarm/ports/compute.ts';

const MAX_HEAP_BYTES = 256 * 1024 * 1024;
const MAX_RESULT_ROWS = 100_000;
const ALLOWED_ACTIONS = new Set([
  constants.SQLITE_SELECT,
  constants.SQLITE_READ,
  constants.SQLITE_FUNCTION,
  constants.SQLITE_RECURSIVE,
]);
const DENIED_FUNCTIONS = new Set(['load_extension', 'readfile', 'writefile', 'edit', 'fts3_tokenizer']);

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

function emptyTables(schema: readonly TableShape[]): DatabaseSync {
  const db = new DatabaseSync(':memory:', { allowExtension: false });
  db.exec(`PRAGMA hard_heap_limit = ${MAX_HEAP_BYTES}`);
  for (const { name, columns } of schema) {
    db.exec(`CREATE TABLE ${quoted(name)} (${columns.map((column) => `${quoted(column.name)} ${column.type}`).join(', ')})`);
  }
  return db;
}

/** Denies all but reads from here on, and notes what is read. */
function restrict(db: DatabaseSync, onRead: (table: string, column: string) => void): void {
  db.setAuthorizer((action, first, second) => {
    if (!ALLOWED_ACTIONS.has(action)) return constants.SQLITE_DENY;
    if (action === constants.SQLITE_FUNCTION && DENIED_FUNCTIONS.has(second ?? '')) return constants.SQLITE_DENY;
    if (action === constants.SQLITE_READ) onRead(first ?? '', second ?? '');
    return constants.SQLITE_OK;
  });
}

function reason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /not authorized|prohibited/.test(message) ? `${message}: only SELECT is possible` : message;
}

export function sqlNeeds(sql: string, schema: readonly TableShape[]): SqlNeeds {
  const db = emptyTables(schema);
  const tables: Record<string, string[]> = {};
  const known = new Set(schema.map(({ name }) => name));
  try {
    restrict(db, (table, column) => {
      if (!known.has(table)) return;
      tables[table] ??= [];
      if (column !== '' && !tables[table].includes(column)) tables[table].push(column);
    });
    const columns = db.prepare(sql).columns();
    return { ok: true, tables, columns: columns.map(({ name }) => name) };
  } catch (error) {
    return { ok: false, message: reason(error) };
  } finally {
    db.close();
  }
}

export function sqlRun(sql: string, schema: readonly TableShape[], data: readonly TableRows[]): SqlAnswer {
  const db = emptyTables(schema);
  try {
    db.exec('BEGIN');
    for (const { table, columns, rows } of data) fill(db, table, columns, rows);
    db.exec('COMMIT');
    restrict(db, () => undefined);
    const statement = db.prepare(sql);
    statement.setReturnArrays(true);
    const columns = statement.columns().map(({ name }) => name);
    const rows: SqlValue[][] = [];
    for (const row of statement.iterate() as unknown as Iterable<unknown[]>) {
      if (rows.length >= MAX_RESULT_ROWS) return { ok: false, message: `more than ${MAX_RESULT_ROWS} rows: add a LIMIT` };
      rows.push(row.map(plain));
    }
    return { ok: true, columns, rows };
  } catch (error) {
    return { ok: false, message: reason(error) };
  } finally {
    db.close();
  }
}

function fill(db: DatabaseSync, table: string, columns: readonly string[], rows: TableRows['rows']): void {
  // A query like `select count(*)` reads no column, but the rows must be there to be counted.
  if (columns.length === 0) {
    const insert = db.prepare(`INSERT INTO ${quoted(table)} DEFAULT VALUES`);
    for (const _ of rows) insert.run();
    return;
  }
  const insert = db.prepare(
    `INSERT INTO ${quoted(table)} (${columns.map(quoted).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
  );
  for (const row of rows) insert.run(...row);
}

function plain(value: unknown): SqlValue {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return typeof value === 'string' || typeof value === 'number' ? value : null;
}
