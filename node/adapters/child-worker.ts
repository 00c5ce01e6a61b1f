// A child process that works for the agent: started when needed, ended when idle. Jobs have their turn by who asks, and their time from when they
// run; one that outlasts it has the child killed, and costs nobody else more than that time.
import { type ChildProcess, fork } from 'node:child_process';
import { FairQueue } from '../../swarm/query/fair-queue.ts';
import type { Job } from './compute-host.ts';

/** An idle child gives its memory back after this. */
const IDLE_MS = 15_000;
/** For a child to start, on top of the job's own time. */
const START_ALLOWANCE_MS = 3_000;
/** Of one who asks. */
const MAX_WAITING = 32;
/** Of all who ask: whoever comes first with nothing in turn yet is taken still. */
const MAX_ASKERS = 64;
const OLD_SPACE_MIB = 192;

export type JobBody = Job extends infer J ? (J extends Job ? Omit<J, 'id'> : never) : never;

interface Waiting {
  id: number;
  body: JobBody;
  timeoutMs: number;
  asker: string;
  /** A child has ended under it, for the sake of another job. */
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

  /** @param entry the script to fork. @param width how many jobs the child is given at a time. */
  constructor(entry: string, width: number) {
    this.#entry = entry;
    this.#width = width;
  }

  /** @param timeoutMs from when it runs. @throws Error where it does not end in time, or too much of this asker's waits already. */
  run(body: JobBody, timeoutMs: number, asker: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const one = { id: this.#next++, body, timeoutMs, asker, again: false, timer: undefined, resolve, reject };
      if (this.#waiting.add(asker, one)) this.#turn();
      else reject(new Error('waits behind too many others: try again'));
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

  /** The child ends, for the sake of one job; what else it had at hand begins again, once. */
  #end(cause: Waiting | undefined, why: string): void {
    this.#kill();
    const others = [...this.#running.values()];
    this.#running.clear();
    for (const one of others.reverse()) {
      clearTimeout(one.timer);
      if (one === cause) one.reject(new Error(why));
      else if (one.again) one.reject(new Error('was interrupted twice, by what others asked: try again'));
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
      reject(new Error('was given up: the agent stops'));
    }
    this.#kill();
  }
}
