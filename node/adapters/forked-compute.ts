// The Compute port on child processes: one for SQL, one for models, started when needed, ended when idle, and killed
// when a job outlasts its time.
import { type ChildProcess, fork } from 'node:child_process';
import type {
  Classification,
  Compute,
  ExactValue,
  InspectAnswer,
  SqlAnswer,
  SqlNeeds,
  SqlValue,
  TableRows,
  TableShape,
} from '../../swarm/ports/compute.ts';
import type { Job } from './compute-host.ts';
import { PlannerThread } from './planner-thread.ts';

/** An idle child gives its memory back after this. */
const IDLE_MS = 15_000;
const CLASSIFY_TIMEOUT_MS = 10_000;
/** For a child to start, on top of the job's own time. */
const START_ALLOWANCE_MS = 3_000;
const MAX_WAITING = 32;
const OLD_SPACE_MIB = 192;

type JobBody = Job extends infer J ? (J extends Job ? Omit<J, 'id'> : never) : never;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

class Worker {
  readonly #entry: string;
  #child: ChildProcess | undefined;
  #idle: NodeJS.Timeout | undefined;
  #next = 1;
  readonly #waiting = new Map<number, Waiting>();

  constructor(entry: string) {
    this.#entry = entry;
  }

  run(body: JobBody, timeoutMs: number): Promise<unknown> {
    if (this.#waiting.size >= MAX_WAITING) return Promise.reject(new Error('too many questions at a time: try again'));
    clearTimeout(this.#idle);
    this.#child ??= this.#start();
    const child = this.#child;
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#end(`took longer than ${timeoutMs} ms and was stopped`),
        timeoutMs + START_ALLOWANCE_MS,
      );
      this.#waiting.set(id, { resolve, reject, timer });
      child.send({ ...body, id });
    });
  }

  #start(): ChildProcess {
    const execArgv = [`--max-old-space-size=${OLD_SPACE_MIB}`, '--disable-warning=ExperimentalWarning'];
    const child = fork(this.#entry, ['compute-host'], {
      execArgv,
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child.on('message', (message: { id: number; value?: unknown; error?: string }) => this.#settle(message));
    child.on('exit', () => {
      if (this.#child === child) this.#end('the worker process ended');
    });
    child.on('error', () => undefined); // an exit follows, or the job's timer
    return child;
  }

  #settle({ id, value, error }: { id: number; value?: unknown; error?: string }): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (error === undefined) waiting.resolve(value);
    else waiting.reject(new Error(error));
    if (this.#waiting.size === 0) this.#idle = setTimeout(() => this.#end('idle'), IDLE_MS);
  }

  /** Ends the child and every job that waits for it. */
  #end(why: string): void {
    clearTimeout(this.#idle);
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Error(why));
    }
    this.#waiting.clear();
  }

  close(): void {
    this.#end('the agent stops');
  }
}

export class ForkedCompute implements Compute {
  readonly #models: Worker;
  readonly #sql: Worker;
  readonly #inspection: Worker;
  readonly #planner: PlannerThread;
  readonly #modelPath: string;

  /** @param entry the script to fork: the `kalos` entry, called with `compute-host` or `plan-host`. */
  constructor(entry: string, modelPath: string) {
    this.#models = new Worker(entry);
    this.#sql = new Worker(entry);
    this.#inspection = new Worker(entry);
    this.#planner = new PlannerThread(entry);
    this.#modelPath = modelPath;
  }

  plan(view: unknown, withinMs: number): Promise<unknown> {
    return this.#planner.plan(view, withinMs);
  }

  async classify(features: readonly number[]): Promise<Classification | undefined> {
    try {
      return (await this.#models.run(
        { kind: 'classify', model: this.#modelPath, features: [...features] },
        CLASSIFY_TIMEOUT_MS,
      )) as Classification;
    } catch {
      return undefined; // no runtime on this machine, or no model: the tier abstains
    }
  }

  sqlNeeds(sql: string, schema: readonly TableShape[], timeoutMs: number): Promise<SqlNeeds> {
    return this.#ask<SqlNeeds>({ kind: 'sql-needs', sql, schema: shapes(schema) }, timeoutMs);
  }

  sqlRun(sql: string, schema: readonly TableShape[], data: readonly TableRows[], timeoutMs: number): Promise<SqlAnswer> {
    return this.#ask<SqlAnswer>({ kind: 'sql-run', sql, schema: shapes(schema), data: [...data] }, timeoutMs);
  }

  async inspect(table: string, where: ReadonlyMap<string, readonly SqlValue[]>, timeoutMs: number): Promise<InspectAnswer> {
    try {
      const asked = new Map([...where].map(([name, values]) => [name, [...values]]));
      const rows = await this.#inspection.run({ kind: 'inspect', table, where: asked }, timeoutMs);
      return { ok: true, rows: rows as Record<string, ExactValue | undefined>[] };
    } catch (error) {
      return { ok: false, message: (error as Error).message };
    }
  }

  async #ask<Answer>(job: JobBody, timeoutMs: number): Promise<Answer | { ok: false; message: string }> {
    try {
      return (await this.#sql.run(job, timeoutMs)) as Answer;
    } catch (error) {
      return { ok: false, message: `the query ${(error as Error).message}` };
    }
  }

  async close(): Promise<void> {
    this.#models.close();
    this.#sql.close();
    this.#inspection.close();
    this.#planner.close();
  }
}

/** Names and types only: tables carry functions, which do not travel between processes. */
function shapes(schema: readonly TableShape[]): TableShape[] {
  return schema.map(({ name, columns }) => ({
    name,
    columns: columns.map((column) => ({ name: column.name, type: column.type })),
  }));
}
