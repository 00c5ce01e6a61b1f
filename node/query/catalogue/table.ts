// A table of the catalogue: its columns with their meaning, the source of its rows, and example queries.

import type { ColumnType, Compute, ExactValue, SqlValue, TableShape } from '../../ports/compute.ts';
import { QueryGate } from '../query-gate.ts';
import { QueryLog } from '../query-log.ts';
import type { Reads } from '../reads.ts';

/** `swarm`: every agent has all rows. `machine`: each machine has its own rows. */
export type TableScope = 'swarm' | 'machine';

export type Row = Record<string, ExactValue | undefined>;
/** The constraints of a statement: equalities by column, and patterns of LIKE by `COLUMN like`. */
export type Where = ReadonlyMap<string, readonly SqlValue[]>;
/** The key of patterns of LIKE in `Where`. */
export const likeOf = (column: string): string => `${column} like`;
export type Operator = '<' | '<=' | '>' | '>=' | '<>' | 'like' | 'not like';
/** A comparison of a column with a literal of its type. */
export type Comparison = readonly [column: string, operator: Operator, value: SqlValue];

/** The sources of rows: the agent's reads, and what queries need beside them. */
export interface TableSources extends Reads {
  queries: QueryLog;
  gate: QueryGate;
  /** Reads a table of the machine on request, in its own process. @throws Error if this machine has no such table. */
  inspect(table: string, where: Where, asker?: string): Promise<Row[]>;
}

/** Time limit for reading a table of the machine: the client may have given up before. */
const INSPECT_WITHIN_MS = 10_000;

export function tableSources(reads: Reads, compute: Compute): TableSources {
  const inspect: TableSources['inspect'] = async (table, where, asker = '') => {
    const answer = await compute.inspect(table, where, INSPECT_WITHIN_MS, asker);
    if (!answer.ok) throw new Error(answer.message);
    return answer.rows;
  };
  return { ...reads, queries: new QueryLog(), gate: new QueryGate(), inspect };
}

export interface Column {
  name: string;
  type: ColumnType;
  description: string;
}

export interface Table extends TableShape {
  scope: TableScope;
  description: string;
  columns: readonly Column[];
  /** Example statements. */
  examples: readonly string[];
  /** One of these columns needs a constraint: by equality, by LIKE, or by another table's rows. */
  needs?: readonly string[];
  /** Whether these columns need a token: tables read with the agent's rights, past actions, past queries. */
  isGuarded?(columns: readonly string[]): boolean;
  /** Whether these columns are private: not every user of the machine may see them, and other members need permission. */
  isPrivate?(columns: readonly string[]): boolean;
  /** @param columns the requested columns; others may be left out. */
  rows(sources: TableSources, columns: readonly string[], where: Where): Row[] | Promise<Row[]>;
}

const TYPES: readonly string[] = ['TEXT', 'INTEGER', 'REAL'];

/** Parses columns from lines of `name TYPE meaning`. */
export function columns(text: string): Column[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [, name = '', type = '', description = ''] = line.trim().match(/^(\S+) (\S+) (.+)$/) ?? [];
      if (!TYPES.includes(type)) throw new RangeError(`not a column: ${line}`);
      return { name, type: type as ColumnType, description };
    });
}

const NODE = 'node TEXT machine of this row';

type Described = [name: string, description: string, text: string, examples: readonly string[]];
type Rest = Pick<Table, 'needs' | 'isGuarded' | 'isPrivate'> & {
  rows: (sources: TableSources, where: Where) => Row[] | Promise<Row[]>;
};

function machine([name, description, text, examples]: Described, { rows, ...rest }: Rest): Table {
  const all = columns(`${NODE}\n${text.trim()}`);
  const own: Table['rows'] = async (sources, _columns, where) => withNode(sources, await rows(sources, where));
  return { name, scope: 'machine', description, columns: all, examples, ...rest, rows: own };
}

/** A machine table that is read on request, with the agent's rights. */
export function inspected(...[name, description, text, examples, needs]: [...Described, needs?: readonly string[]]): Table {
  const rows: Rest['rows'] = (sources, where) => sources.inspect(name, where);
  return machine([name, description, text, examples], { ...(needs && { needs }), isGuarded: () => true, rows });
}

/** A machine table from the agent's memory. */
export function known(
  ...[name, description, text, examples, rows, needs]: [...Described, rows: Rest['rows'], needs?: readonly string[]]
): Table {
  return machine([name, description, text, examples], { ...(needs && { needs }), rows });
}

/** A machine table of past actions or queries: it needs a token, like the routes about them. */
export function guarded(...[name, description, text, examples, rows]: [...Described, rows: Rest['rows']]): Table {
  return machine([name, description, text, examples], { isGuarded: () => true, isPrivate: () => true, rows });
}

/** The description of a table for the API. */
export const describedTable = ({ name, scope, description, columns: all, examples, needs = [] }: Table) => ({
  name,
  scope,
  description,
  columns: all,
  examples,
  needs,
});

export function withNode({ swarm: { name: node } }: TableSources, rows: readonly Row[]): Row[] {
  return rows.map((row) => ({ node, ...row }));
}
