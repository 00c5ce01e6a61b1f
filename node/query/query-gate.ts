// Limits the concurrent queries of this agent's users: the rows of each are in memory until SQL has run over them.
import { FairQueue } from '../../swarm/query/fair-queue.ts';
import type { QueryResult } from './answer.ts';

const AT_ONCE = 6;
/** Limit of one user. */
const EACH = 3;
const MAX_WAITING = 32;
const MAX_ASKERS = 200;

interface Waiting {
  asker: string;
  go(): void;
}

export class QueryGate {
  readonly #waiting = new FairQueue<Waiting>(MAX_WAITING, MAX_ASKERS);
  readonly #inside = new Map<string, number>();

  async through(asker: string, work: () => Promise<QueryResult>): Promise<QueryResult> {
    if (!this.#mayEnter(asker)) {
      const entered = new Promise<boolean>((resolve) => {
        if (!this.#waiting.add(asker, { asker, go: () => resolve(true) })) resolve(false);
      });
      if (!(await entered)) return { ok: false, message: `${MAX_WAITING} of your queries are queued already: try again` };
    } else this.#enter(asker);
    try {
      return await work();
    } finally {
      this.#exit(asker);
    }
  }

  #mayEnter(asker: string): boolean {
    const all = [...this.#inside.values()].reduce((sum, one) => sum + one, 0);
    return all < AT_ONCE && (this.#inside.get(asker) ?? 0) < EACH;
  }

  #enter(asker: string): void {
    this.#inside.set(asker, (this.#inside.get(asker) ?? 0) + 1);
  }

  #exit(asker: string): void {
    const left = (this.#inside.get(asker) ?? 1) - 1;
    if (left === 0) this.#inside.delete(asker);
    else this.#inside.set(asker, left);
    const passed: Waiting[] = [];
    for (let one = this.#waiting.next(); one !== undefined; one = this.#waiting.next()) {
      if (this.#mayEnter(one.asker)) {
        this.#enter(one.asker);
        one.go();
      } else passed.push(one);
    }
    for (const one of passed) this.#waiting.add(one.asker, one);
  }
}
