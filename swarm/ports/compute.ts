// Work that does not belong on the agent's own loop: model inference and SQL, in processes that can be killed.

export interface Classification {
  label: string;
  /** Softmax probability of the label, 0–1. */
  confidence: number;
}

export type ColumnType = 'TEXT' | 'INTEGER' | 'REAL';
export type SqlValue = string | number | null;

export interface TableShape {
  name: string;
  columns: readonly { name: string; type: ColumnType }[];
}

export interface TableRows {
  table: string;
  columns: readonly string[];
  rows: readonly (readonly SqlValue[])[];
}

/** What a statement reads: tables, and the columns of each; and the names of the columns that come of it. */
export type SqlNeeds = { ok: true; tables: Record<string, string[]>; columns: string[] } | { ok: false; message: string };

export type SqlAnswer = { ok: true; columns: string[]; rows: SqlValue[][] } | { ok: false; message: string };

/** Rows of a table that are read at most. */
export const MAX_INSPECTED = 50_000;

export type InspectAnswer = { ok: true; rows: Record<string, SqlValue | undefined>[] } | { ok: false; message: string };

export interface Compute {
  /** Has the coordinator's planner think, beside the agent. @throws Error where it ended, or took too long */
  plan(view: unknown, withinMs: number): Promise<unknown>;
  /** Classifies a feature vector (length as in the model's card); undefined where no model can run. */
  classify(features: readonly number[]): Promise<Classification | undefined>;
  /** Prepares a statement against empty tables, read-only, and tells what it needs. */
  sqlNeeds(sql: string, schema: readonly TableShape[], timeoutMs: number): Promise<SqlNeeds>;
  /** Runs a statement over the rows given. */
  sqlRun(sql: string, schema: readonly TableShape[], data: readonly TableRows[], timeoutMs: number): Promise<SqlAnswer>;
  /** Reads a table of this machine (node/adapters/inspect). @param where equalities by column, of which rows may take notice. */
  inspect(table: string, where: ReadonlyMap<string, readonly SqlValue[]>, timeoutMs: number): Promise<InspectAnswer>;
  close(): Promise<void>;
}
