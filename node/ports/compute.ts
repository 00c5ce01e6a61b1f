// Work that does not belong on the agent's own loop: model inference and SQL, in processes that can be killed.

import type { Planned, PlannerView } from '../../consensus/committee/planner.ts';
import type { IncidentClass } from '../../models/features.ts';

export interface Classification {
  label: IncidentClass;
  /** Softmax probability of the label, 0–1. */
  confidence: number;
}

export type ColumnType = 'TEXT' | 'INTEGER' | 'REAL';
/** As it is shown, sent and stored: a whole number beyond ±(2^53 − 1) is a text of its digits, which JSON and CSV do not round. */
export type SqlValue = string | number | null;
/** As a machine reads it, and SQLite computes with it. */
export type ExactValue = SqlValue | bigint;

/** The one form in which values leave a machine, or a statement. */
export function shownValue(value: ExactValue): SqlValue {
  if (typeof value !== 'bigint') return value;
  const near = Number(value);
  return Number.isSafeInteger(near) ? near : String(value);
}

export interface TableShape {
  name: string;
  columns: readonly { name: string; type: ColumnType }[];
}

export interface TableRows {
  table: string;
  columns: readonly string[];
  rows: readonly (readonly ExactValue[])[];
}

/** What a statement reads: tables, and the columns of each; and the names of the columns that come of it. */
export type SqlNeeds = { ok: true; tables: Record<string, string[]>; columns: string[] } | { ok: false; message: string };

export type SqlAnswer = { ok: true; columns: string[]; rows: SqlValue[][] } | { ok: false; message: string };

/** Rows of a table that are read at most. */
export const MAX_INSPECTED = 50_000;

export type InspectAnswer = { ok: true; rows: Record<string, ExactValue | undefined>[] } | { ok: false; message: string };

/** Who asks as whoever has this machine (over its socket): nobody else's statement holds theirs up. */
export const OWNER = 'this machine';

export interface Compute {
  /** Has the coordinator's planner think, beside the agent. @throws Error where it ended, or took too long */
  plan(view: PlannerView, withinMs: number): Promise<Planned>;
  /** Classifies a feature vector (length as in the model's card); undefined where no model can run. */
  classify(features: readonly number[]): Promise<Classification | undefined>;
  /** Prepares a statement against empty tables, read-only, and tells what it needs. @param asker for whom, here and below: each has its turn. */
  sqlNeeds(sql: string, schema: readonly TableShape[], timeoutMs: number, asker: string): Promise<SqlNeeds>;
  /** Runs a statement over the rows given. */
  sqlRun(
    sql: string,
    schema: readonly TableShape[],
    data: readonly TableRows[],
    timeoutMs: number,
    asker: string,
  ): Promise<SqlAnswer>;
  /** Reads a table of this machine (node/adapters/inspect). @param where equalities by column, of which rows may take notice. */
  inspect(
    table: string,
    where: ReadonlyMap<string, readonly SqlValue[]>,
    timeoutMs: number,
    asker: string,
  ): Promise<InspectAnswer>;
  close(): Promise<void>;
}
