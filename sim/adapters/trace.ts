// The events of a run, in order, folded into one hash: two runs with equal hashes did the same things at the same times.
import { createHash } from 'node:crypto';

export interface TraceEvent {
  /** Virtual ms. */
  atMs: number;
  node: string;
  text: string;
  /** Its number among all events in the hash. */
  event: number;
}

/** Kinds of network traffic, as numbers in the hash. */
export const CARRIED = { message: 1, request: 2, answer: 3, refusal: 4, dial: 5, close: 6, gossip: 7, duplicate: 8 } as const;
export type Carried = keyof typeof CARRIED;

const MAX_KEPT = 200_000;

export class Trace {
  /** 128 bits of state that every event is mixed into: cheap, since there are millions of events. SHA-256 of it is the digest. */
  #a = 0x243f6a88;
  #b = 0x85a308d3;
  #c = 0x13198a2e;
  #d = 0x03707344;
  readonly kept: TraceEvent[] = [];
  count = 0;

  /** An event that people read too. */
  add(atMs: number, node: string, text: string): void {
    this.count++;
    this.#mix(Math.round(atMs * 1000));
    for (let i = 0; i < node.length; i++) this.#mix(node.charCodeAt(i));
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
    if (this.kept.length < MAX_KEPT) this.kept.push({ atMs, node, text, event: this.count });
  }

  /** An event that only the hash needs: an arrival. */
  fold(atMs: number, what: Carried, from: number, to: number, bytes: number): void {
    this.count++;
    this.#mix(Math.round(atMs * 1000));
    this.#mix(CARRIED[what]);
    this.#mix(from);
    this.#mix(to);
    this.#mix(bytes);
  }

  #mix(value: number): void {
    const t = this.#a ^ (value | 0) ^ Math.imul(value / 2 ** 32, 0x9e3779b1);
    this.#a = this.#b + Math.imul(t, 0x85ebca6b);
    this.#b = (this.#c << 13) | (this.#c >>> 19);
    this.#c = this.#d ^ t;
    this.#d = (Math.imul(this.#d, 0xc2b2ae35) + this.#a) | 0;
  }

  digest(): string {
    return createHash('sha256').update(`${this.#a} ${this.#b} ${this.#c} ${this.#d} ${this.count}`).digest('hex');
  }
}
