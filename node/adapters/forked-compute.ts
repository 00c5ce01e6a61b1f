// The Compute port on child processes: two for SQL (the owner's, everybody else's), one for models, one that reads the machine.
import type { Planned, PlannerView } from '../../consensus/committee/planner.ts';
import {
  type Classification,
  type Compute,
  type ExactValue,
  type InspectAnswer,
  OWNER,
  type SqlAnswer,
  type SqlNeeds,
  type SqlValue,
  type TableRows,
  type TableShape,
} from '../ports/compute.ts';
import { ChildWorker, type JobBody } from './child-worker.ts';
import { PlannerThread } from './planner-thread.ts';

const CLASSIFY_TIMEOUT_MS = 10_000;
/** Reads of the machine run concurrently, so that a hung one does not block others. */
const INSPECTIONS_AT_ONCE = 8;
const OWN = 'the agent';

export class ForkedCompute implements Compute {
  readonly #models: ChildWorker;
  readonly #ownersSql: ChildWorker;
  readonly #othersSql: ChildWorker;
  readonly #inspection: ChildWorker;
  readonly #planner: PlannerThread;
  readonly #modelPath: string;

  /** @param entry the script to fork: the `kalos` entry, called with `compute-host` or `plan-host`. */
  constructor(entry: string, modelPath: string) {
    this.#models = new ChildWorker(entry, 1);
    this.#ownersSql = new ChildWorker(entry, 1);
    this.#othersSql = new ChildWorker(entry, 1);
    this.#inspection = new ChildWorker(entry, INSPECTIONS_AT_ONCE);
    this.#planner = new PlannerThread(entry);
    this.#modelPath = modelPath;
  }

  plan(view: PlannerView, withinMs: number): Promise<Planned> {
    return this.#planner.plan(view, withinMs);
  }

  async classify(features: readonly number[]): Promise<Classification | undefined> {
    try {
      return (await this.#models.run(
        { kind: 'classify', model: this.#modelPath, features: [...features] },
        CLASSIFY_TIMEOUT_MS,
        OWN,
      )) as Classification;
    } catch {
      return undefined; // no runtime on this machine, or no model: the tier abstains
    }
  }

  sqlNeeds(sql: string, schema: readonly TableShape[], timeoutMs: number, asker: string): Promise<SqlNeeds> {
    return this.#ask<SqlNeeds>({ kind: 'sql-needs', sql, schema: shapes(schema) }, timeoutMs, asker);
  }

  sqlRun(
    sql: string,
    schema: readonly TableShape[],
    data: readonly TableRows[],
    timeoutMs: number,
    asker: string,
  ): Promise<SqlAnswer> {
    return this.#ask<SqlAnswer>({ kind: 'sql-run', sql, schema: shapes(schema), data: [...data] }, timeoutMs, asker);
  }

  async inspect(
    table: string,
    where: ReadonlyMap<string, readonly SqlValue[]>,
    timeoutMs: number,
    asker: string,
  ): Promise<InspectAnswer> {
    try {
      const asked = new Map([...where].map(([name, values]) => [name, [...values]]));
      const rows = await this.#inspection.run({ kind: 'inspect', table, where: asked }, timeoutMs, asker);
      return { ok: true, rows: rows as Record<string, ExactValue | undefined>[] };
    } catch (error) {
      return { ok: false, message: (error as Error).message };
    }
  }

  async #ask<Answer>(job: JobBody, timeoutMs: number, asker: string): Promise<Answer | { ok: false; message: string }> {
    try {
      const worker = asker === OWNER ? this.#ownersSql : this.#othersSql;
      return (await worker.run(job, timeoutMs, asker)) as Answer;
    } catch (error) {
      return { ok: false, message: `the query ${(error as Error).message}` };
    }
  }

  async close(): Promise<void> {
    this.#models.close();
    this.#ownersSql.close();
    this.#othersSql.close();
    this.#inspection.close();
    this.#planner.close();
  }
}

/** Only names and types: tables have functions, which cannot be sent between processes. */
function shapes(schema: readonly TableShape[]): TableShape[] {
  return schema.map(({ name, columns }) => ({
    name,
    columns: columns.map((column) => ({ name: column.name, type: column.type })),
  }));
}
