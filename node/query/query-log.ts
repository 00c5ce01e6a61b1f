// The recent queries to this agent, with their users: bounded, in memory.
import type { SqlValue } from '../ports/compute.ts';

const MAX_ENTRIES = 500;
const MAX_TEXT = 500;

export interface Asked {
  atMs: number;
  /** The member that asked; empty for this agent's own users. */
  by: string;
  what: string;
  tookMs: number;
  rows: number;
  error: string;
}

export class QueryLog {
  readonly #asked: Asked[] = [];

  add(asked: Asked): void {
    this.#asked.push({ ...asked, what: asked.what.slice(0, MAX_TEXT) });
    if (this.#asked.length > MAX_ENTRIES) this.#asked.shift();
  }

  all(): Record<string, SqlValue>[] {
    return this.#asked.map(({ atMs, by, what, tookMs, rows, error }) => ({
      time: Math.floor(atMs / 1_000),
      asked_by: by,
      what,
      took_ms: Math.round(tookMs),
      rows,
      error,
    }));
  }
}
