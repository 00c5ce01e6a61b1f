// What happened, in order, folded into one hash: two runs with equal hashes did the same things at the same times.
import { createHash, type Hash } from 'node:crypto';

export interface TraceEvent {
  /** Virtual ms. */
  atMs: number;
  node: string;
  text: string;
}

const MAX_KEPT = 200_000;

export class Trace {
  readonly #hash: Hash = createHash('sha256');
  readonly kept: TraceEvent[] = [];
  count = 0;

  /** An event that people read too. */
  add(atMs: number, node: string, text: string): void {
    this.fold(atMs, node, text);
    if (this.kept.length < MAX_KEPT) this.kept.push({ atMs, node, text });
  }

  /** An event that only the hash needs: each message and its bytes' length, say. */
  fold(atMs: number, node: string, text: string): void {
    this.count++;
    this.#hash.update(`${Math.round(atMs * 1000)} ${node} ${text}\n`);
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }
}
