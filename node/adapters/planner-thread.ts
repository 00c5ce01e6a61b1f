// NOVA's planner in its own thread: started while this agent is leader, and stopped afterwards. A thread that fails or takes
// too long is replaced at the next run: it has no state of its own.
import { parentPort, Worker } from 'node:worker_threads';
import { type Planned, type PlannerView, plan } from '../../consensus/committee/planner.ts';

/** An idle thread is stopped after this time, to free its memory. */
const IDLE_MS = 30_000;
const HEAP_MIB = 64;

interface Waiting {
  resolve(planned: Planned): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

export class PlannerThread {
  readonly #entry: string;
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #next = 1;
  readonly #waiting = new Map<number, Waiting>();

  /** @param entry the `kalos` entry, called with `plan-host`. */
  constructor(entry: string) {
    this.#entry = entry;
  }

  plan(view: PlannerView, withinMs: number): Promise<Planned> {
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    const [worker, id] = [this.#worker, this.#next++];
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#end(`the planner took longer than ${withinMs} ms`), withinMs);
      this.#waiting.set(id, { resolve, reject, timer });
      worker.postMessage({ id, view });
    });
  }

  #start(): Worker {
    const worker = new Worker(this.#entry, {
      argv: ['plan-host'],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
    });
    worker.unref();
    worker.on('message', ({ id, planned }: { id: number; planned: Planned }) => this.#settle(id, planned));
    worker.on('error', (error) => this.#gone(worker, `the planner failed: ${error.message}`));
    worker.on('exit', () => this.#gone(worker, 'the planner exited'));
    return worker;
  }

  #settle(id: number, planned: Planned): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    waiting.resolve(planned);
    if (this.#waiting.size === 0) this.#idle = setTimeout(() => this.#end('idle'), IDLE_MS).unref();
  }

  #gone(worker: Worker, why: string): void {
    if (this.#worker === worker) this.#end(why);
  }

  #end(why: string): void {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.terminate().catch(() => undefined); // it has exited already
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Error(why));
    }
    this.#waiting.clear();
  }

  close(): void {
    this.#end('the agent is stopping');
  }
}

/** The thread's side. */
export function hostPlanner(): void {
  parentPort?.on('message', ({ id, view }: { id: number; view: PlannerView }) =>
    parentPort?.postMessage({ id, planned: plan(view) }),
  );
}
