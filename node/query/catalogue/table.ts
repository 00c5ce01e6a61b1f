// What a table of the catalogue is: its columns, each with what it means, where its rows come from, and questions to ask it.

import type { ColumnType, Compute, ExactValue, SqlValue, TableShape } from '../../ports/compute.ts';
import { QueryGate } from '../query-gate.ts';
import { QueryLog } from '../query-log.ts';
import type { Reads } from '../reads.ts';

/** `swarm`: every peer holds all of it. `machine`: each machine has its own rows. */
export type TableScope = 'swarm' | 'machine';

export type Row = Record<string, ExactValue | undefined>;
/** The constraints of a statement: equalities by column, and patterns of LIKE by `COLUMN like`. */
export type Where = ReadonlyMap<string, readonly SqlValue[]>;
/** The key of patterns of LIKE in `Where`. */
export const likeOf = (column: string): string => `${column} like`;
export type Operator = '<' | '<=' | '>' | '>=' | '<>' | 'like' | 'not like';
/** Between a column and a literal of its type. */
export type Comparison = readonly [column: string, operator: Operator, value: SqlValue];

/** What rows are made of: all that the agent lets be read, and what questions keep for themselves. */
export interface TableSources extends Reads {
  queries: QueryLog;
  gate: QueryGate;
  /** A table of the machine that is read when it is asked for, in a process of its own. @throws Error where this machine has none. */
  inspect(table: string, where: Where, asker?: string): Promise<Row[]>;
}

/** For reading a table of the machine: whoever asked may have given up before. */
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
  /** Statements to try. */
  examples: readonly string[];
  /** One of these columns needs a constraint: by equality, by LIKE, or by another table's rows. */
  needs?: readonly string[];
  /** Whether these columns take a token: what is read with the agent's rights, what was done, what was asked. */
  isGuarded?(columns: readonly string[]): boolean;
  /** Whether these columns show what not every user of the machine may see: other members are told by right. */
  isPrivate?(columns: readonly string[]): boolean;
  /** @param columns that are wanted: no others need to be there. */
  rows(sources: TableSources, columns: readonly string[], where: Where): Row[] | Promise<Row[]>;
}

const TYPES: readonly string[] = ['TEXT', 'INTEGER', 'REAL'];

/** Columns from lines of `name TYPE what it means`. */
export function columns(text: string): Column[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [, name = '', type = '', description = ''] = line.trim().match(/^(\S+) (\S+) (.+)$/) ?? [];
      if (!TYPES.includes(type)) throw new RangeError(`no column: ${line}`);
      return { name, type: type as ColumnType, description };
    });
}

const NODE = 'node TEXT the machine that the row is of';

type Described = [name: string, description: string, text: string, examples: readonly string[]];
type Rest = Pick<Table, 'needs' | 'isGuarded' | 'isPrivate'> & {
  rows: (sources: TableSources, where: Where) => Row[] | Promise<Row[]>;
};

function machine([name, description, text, examples]: Described, { rows, ...rest }: Rest): Table {
  const all = columns(`${NODE}\n${text.trim()}`);
  const own: Table['rows'] = async (sources, _columns, where) => withNode(sources, await rows(sources, where));
  return { name, scope: 'machine', description, columns: all, examples, ...rest, rows: own };
}

/** A machine table that is read when asked for, with the agent's rights. */
export function inspected(...[name, description, text, examples, needs]: [...Described, needs?: readonly string[]]): Table {
  const rows: Rest['rows'] = (sources, where) => sources.inspect(name, where);
  return machine([name, description, text, examples], { ...(needs && { needs }), isGuarded: () => true, rows });
}

/** A machine table that the agent has at hand. */
export function known(
  ...[name, description, text, examples, rows, needs]: [...Described, rows: Rest['rows'], needs?: readonly string[]]
): Table {
  return machine([name, description, text, examples], { ...(needs && { needs }), rows });
}

/** One that shows what was done or asked, as routes for those with a token do. */
export function guarded(...[name, description, text, examples, rows]: [...Described, rows: Rest['rows']]): Table {
  return machine([name, description, text, examples], { isGuarded: () => true, isPrivate: () => true, rows });
}

/** What a table says of itself. */
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
