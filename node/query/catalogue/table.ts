// What a table of the catalogue is: its columns, each with what it means, where its rows come from, and questions to ask it.
import type { ColumnType, SqlValue, TableShape } from '../../../swarm/ports/compute.ts';
import type { Executor } from '../../agent/executor.ts';
import type { Healer } from '../../agent/healer.ts';
import type { PolicySet } from '../../agent/policies.ts';
import type { SwarmLink } from '../../agent/swarm-link.ts';
import type { Watcher } from '../../agent/watcher.ts';
import type { AuditLog } from '../../audit/audit-log.ts';
import type { Memory } from '../../memory/memory.ts';
import type { QueryLog } from '../query-log.ts';

/** `swarm`: every peer holds all of it. `machine`: each machine has its own rows. */
export type TableScope = 'swarm' | 'machine';

export type Row = Record<string, SqlValue | undefined>;
/** Equalities that the statement asks for, by column. */
export type Where = ReadonlyMap<string, readonly SqlValue[]>;

export interface TableSources {
  link: SwarmLink;
  watcher: Watcher;
  memory: Memory;
  healer: Healer;
  executor: Executor;
  policies: PolicySet;
  audit: AuditLog;
  queries: QueryLog;
  version: string;
  nowMonotonicMs(): number;
  nowWallMs(): number;
  /** A table of the machine that is read when it is asked for, in a process of its own. @throws Error where this machine has none. */
  inspect(table: string, where: Where): Promise<Row[]>;
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
  /** One of these must be given by equality: without it nothing is meant. */
  needs?: readonly string[];
  /** Whether these columns show what only the agent may read. */
  isGuarded?(columns: readonly string[]): boolean;
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

/** A machine table that is read when asked for. @param reader its name there, where it is another. */
export function inspected(
  name: string,
  description: string,
  text: string,
  examples: readonly string[],
  more: { needs?: readonly string[]; reader?: string } = {},
): Table {
  const { reader = name, ...rest } = more;
  return {
    name,
    scope: 'machine',
    description,
    columns: columns(`${NODE}\n${text.trim()}`),
    examples,
    ...rest,
    isGuarded: () => true,
    rows: async (sources, _columns, where) => withNode(sources, await sources.inspect(reader, where)),
  };
}

/** A machine table that the agent has at hand. */
export function known(
  name: string,
  description: string,
  text: string,
  examples: readonly string[],
  rows: (sources: TableSources, where: Where) => Row[] | Promise<Row[]>,
  needs?: readonly string[],
): Table {
  return {
    name,
    scope: 'machine',
    description,
    columns: columns(`${NODE}\n${text.trim()}`),
    examples,
    ...(needs === undefined ? {} : { needs }),
    rows: async (sources, _columns, where) => withNode(sources, await rows(sources, where)),
  };
}

export function withNode({ link: { name: node } }: TableSources, rows: readonly Row[]): Row[] {
  return rows.map((row) => ({ node, ...row }));
}
