// SQL over rows in memory, read-only, on node:sqlite. Runs only in a child process (compute-host.ts): a statement that
// takes too long is stopped by killing its process.

import { constants, DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../swarm/words.ts';
import {
  type ExactValue,
  type SqlAnswer,
  type SqlNeeds,
  type SqlValue,
  shownValue,
  type TableRows,
  type TableShape,
} from '../ports/compute.ts';
import { is, isName, tokens } from '../query/tokens.ts';
import { addFunctions } from './sql-functions.ts';

const MAX_HEAP_BYTES = 256 * 1024 * 1024;
const MAX_RESULT_ROWS = 100_000;
/** Limit of the result as text. */
const MAX_RESULT_BYTES = 16 * 1024 * 1024;
/** Limit of one value: Node's copies are outside SQLite's heap. */
const MAX_VALUE_BYTES = 4 * 1024 * 1024;
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
  db.limits.length = MAX_VALUE_BYTES;
  addFunctions(db);
  for (const { name, columns } of schema) {
    db.exec(`CREATE TABLE ${quoted(name)} (${columns.map((column) => `${quoted(column.name)} ${column.type}`).join(', ')})`);
  }
  return db;
}

/** Denies everything except reads from here on, and records the reads. */
function restrict(db: DatabaseSync, onRead: (table: string, column: string) => void): void {
  db.setAuthorizer((action, first, second) => {
    if (!ALLOWED_ACTIONS.has(action)) return constants.SQLITE_DENY;
    if (action === constants.SQLITE_FUNCTION && DENIED_FUNCTIONS.has(second ?? '')) return constants.SQLITE_DENY;
    if (action === constants.SQLITE_READ) onRead(first ?? '', second ?? '');
    return constants.SQLITE_OK;
  });
}

function reason(error: unknown): string {
  const message = messageOf(error);
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
    joinedBy(sql, schema, tables);
    return { ok: true, tables, columns: columns.map(({ name }) => name) };
  } catch (error) {
    return { ok: false, message: reason(error) };
  } finally {
    db.close();
  }
}

/**
 * SQLite does not report the columns of USING and NATURAL to the authorizer, nor tables of which only these are read: these columns
 * are added for each table of the statement that has them.
 */
function joinedBy(sql: string, schema: readonly TableShape[], read: Record<string, string[]>): void {
  const all = tokens(sql);
  const isNatural = all.some((token) => token.kind === 'word' && is(token, 'NATURAL'));
  const named = new Set<string>();
  for (let i = 0, inside = false; i < all.length; i++) {
    if (is(all[i], 'USING')) inside = true;
    else if (is(all[i], ')')) inside = false;
    else if (inside) named.add(all[i]?.text.toLowerCase() ?? '');
  }
  if (!isNatural && named.size === 0) return;
  for (const { name } of schema) if (all.some((token) => isName(token) && token.text.toLowerCase() === name)) read[name] ??= [];
  const shapes = schema.filter(({ name }) => read[name] !== undefined);
  for (const { name, columns } of shapes) {
    const isShared = (column: string): boolean =>
      shapes.some((other) => other.name !== name && other.columns.some((one) => one.name === column));
    for (const { name: column } of columns)
      if ((named.has(column) || (isNatural && isShared(column))) && !read[name]?.includes(column)) read[name]?.push(column);
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
    statement.setReadBigInts(true);
    const columns = statement.columns().map(({ name }) => name);
    const rows: SqlValue[][] = [];
    let bytes = 0;
    for (const row of statement.iterate() as unknown as Iterable<unknown[]>) {
      if (rows.length >= MAX_RESULT_ROWS) return { ok: false, message: `more than ${MAX_RESULT_ROWS} rows: add a LIMIT` };
      const shown = row.map(plain);
      bytes += shown.reduce<number>((sum, one) => sum + sizeOf(one), 0);
      if (bytes > MAX_RESULT_BYTES)
        return { ok: false, message: `more than ${MAX_RESULT_BYTES / 1_048_576} MiB: select fewer columns, or add a LIMIT` };
      rows.push(shown);
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
  for (const row of rows) insert.run(...row.map(bindable));
}

/** SQLite's integers have 64 bits with a sign; a larger value of the kernel becomes a REAL. */
function bindable(value: ExactValue): ExactValue {
  return typeof value === 'bigint' && BigInt.asIntN(64, value) !== value ? Number(value) : value;
}

const sizeOf = (value: SqlValue): number => (typeof value === 'string' ? value.length + 3 : 9);

function plain(value: unknown): SqlValue {
  if (typeof value === 'bigint') return shownValue(value);
  // As in SQLite's shell, because JSON has no form for it.
  if (typeof value === 'number' && !Number.isFinite(value)) return value > 0 ? 'Inf' : '-Inf';
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return typeof value === 'string' || typeof value === 'number' ? value : null;
}
