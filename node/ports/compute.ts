// Work outside the agent's event loop: model inference and SQL, in processes that can be killed.

import type { Planned, PlannerView } from '../../consensus/committee/planner.ts';
import type { IncidentClass } from '../../models/features.ts';

export interface Classification {
  label: IncidentClass;
  /** Softmax probability of the label, 0–1. */
  confidence: number;
}

export type ColumnType = 'TEXT' | 'INTEGER' | 'REAL';
/** A value as it is shown, sent and stored: an integer beyond ±(2^53 − 1) is a string of its digits, which JSON and CSV do not round. */
export type SqlValue = string | number | null;
/** A value as a machine reads it and SQLite computes with it. */
export type ExactValue = SqlValue | bigint;

/** Converts a value to the form in which values leave a machine or a statement. */
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

/** The tables and columns that a statement reads, and the names of its result columns. */
export type SqlNeeds = { ok: true; tables: Record<string, string[]>; columns: string[] } | { ok: false; message: string };

export type SqlAnswer = { ok: true; columns: string[]; rows: SqlValue[][] } | { ok: false; message: string };

/** Maximum number of rows read from a table. */
export const MAX_INSPECTED = 50_000;

export type InspectAnswer = { ok: true; rows: Record<string, ExactValue | undefined>[] } | { ok: false; message: string };

/** The client name of the machine's owner (over its socket), whose statements never wait for others. */
export const OWNER = 'this machine';

export interface Compute {
  /** Runs the leader's planner outside the agent. @throws Error if it failed or took too long */
  plan(view: PlannerView, withinMs: number): Promise<Planned>;
  /** Classifies a feature vector (length as in the model's card); undefined if no model can run. */
  classify(features: readonly number[]): Promise<Classification | undefined>;
  /** Prepares a statement against empty tables, read-only, and returns what it reads. @param asker the client, here and below, for fair scheduling. */
  sqlNeeds(sql: string, schema: readonly TableShape[], timeoutMs: number, asker: string): Promise<SqlNeeds>;
  /** Runs a statement over given rows. */
  sqlRun(
    sql: string,
    schema: readonly TableShape[],
    data: readonly TableRows[],
    timeoutMs: number,
    asker: string,
  ): Promise<SqlAnswer>;
  /** Reads a table of this machine (node/adapters/inspect). @param where equalities by column, which may limit the rows. */
  inspect(
    table: string,
    where: ReadonlyMap<string, readonly SqlValue[]>,
    timeoutMs: number,
    asker: string,
  ): Promise<InspectAnswer>;
  close(): Promise<void>;
}
