// A child process that works for the agent: started when needed, stopped when idle. Jobs are scheduled fairly between clients, and their time counts from when they
// run. If a job exceeds its time, the child is killed; other clients lose at most that time.
import { type ChildProcess, fork } from 'node:child_process';
import { FairQueue } from '../../swarm/query/fair-queue.ts';
import type { Job } from './compute-host.ts';

/** An idle child is stopped after this time, to free its memory. */
const IDLE_MS = 15_000;
/** Time for a child to start, in addition to the job's own time. */
const START_ALLOWANCE_MS = 3_000;
/** Queued jobs of one client. */
const MAX_WAITING = 32;
/** Number of clients with queued jobs. */
const MAX_ASKERS = 64;
const OLD_SPACE_MIB = 192;

export type JobBody = Job extends infer J ? (J extends Job ? Omit<J, 'id'> : never) : never;

interface Waiting {
  id: number;
  body: JobBody;
  timeoutMs: number;
  asker: string;
  /** Its child was killed once because of another job. */
  again: boolean;
  timer: NodeJS.Timeout | undefined;
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class ChildWorker {
  readonly #entry: string;
  readonly #width: number;
  #child: ChildProcess | undefined;
  #idle: NodeJS.Timeout | undefined;
  #next = 1;
  readonly #waiting = new FairQueue<Waiting>(MAX_WAITING, MAX_ASKERS);
  readonly #running = new Map<number, Waiting>();

  /** @param entry the script to fork. @param width number of concurrent jobs of the child. */
  constructor(entry: string, width: number) {
    this.#entry = entry;
    this.#width = width;
  }

  /** @param timeoutMs from when it runs. @throws Error if it does not end in time, or if the client's queue is full. */
  run(body: JobBody, timeoutMs: number, asker: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const one = { id: this.#next++, body, timeoutMs, asker, again: false, timer: undefined, resolve, reject };
      if (this.#waiting.add(asker, one)) this.#turn();
      else reject(new Error('was rejected: the queue is full, try again'));
    });
  }

  #turn(): void {
    while (this.#running.size < this.#width && !this.#waiting.isEmpty) {
      const one = this.#waiting.next();
      if (one !== undefined) this.#begin(one);
    }
    if (this.#running.size > 0 || this.#child === undefined) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#kill(), IDLE_MS);
  }

  #begin(one: Waiting): void {
    clearTimeout(this.#idle);
    const isNew = this.#child === undefined;
    this.#child ??= this.#start();
    const withinMs = one.timeoutMs + (isNew ? START_ALLOWANCE_MS : 0);
    one.timer = setTimeout(() => this.#end(one, `took longer than ${one.timeoutMs} ms and was stopped`), withinMs);
    this.#running.set(one.id, one);
    this.#child.send({ ...one.body, id: one.id });
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
      if (this.#child !== child) return;
      const [first] = this.#running.values();
      this.#end(first, 'ended the worker process');
    });
    child.on('error', () => undefined); // an exit follows, or the job's timer
    return child;
  }

  #settle({ id, value, error }: { id: number; value?: unknown; error?: string }): void {
    const one = this.#running.get(id);
    if (one === undefined) return;
    this.#running.delete(id);
    clearTimeout(one.timer);
    if (error === undefined) one.resolve(value);
    else one.reject(new Error(error));
    this.#turn();
  }

  #kill(): void {
    clearTimeout(this.#idle);
    this.#child?.kill('SIGKILL');
    this.#child = undefined;
  }

  /** Kills the child because of one job; its other jobs are restarted once. */
  #end(cause: Waiting | undefined, why: string): void {
    this.#kill();
    const others = [...this.#running.values()];
    this.#running.clear();
    for (const one of others.reverse()) {
      clearTimeout(one.timer);
      if (one === cause) one.reject(new Error(why));
      else if (one.again) one.reject(new Error('was interrupted twice by other queries: try again'));
      else this.#waiting.back(one.asker, { ...one, again: true });
    }
    this.#turn();
  }

  close(): void {
    const left = [...this.#running.values()];
    for (let one = this.#waiting.next(); one !== undefined; one = this.#waiting.next()) left.push(one);
    this.#running.clear();
    for (const { timer, reject } of left) {
      clearTimeout(timer);
      reject(new Error('was cancelled: the agent is stopping'));
    }
    this.#kill();
  }
}
