// The send queue to one other member of the committee: small messages are batched, large ones follow in parts. It sends no more than the
// receiver's budget for a member allows, so that a busy log is slowed down and not disconnected.
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import { isPart, packed } from '../raft/frames.ts';

/** Half of what a member may send (swarm/libp2p/budgets.ts): the rest is for all other messages. */
const RATES = {
  messages: { perMs: 0.25, atOnce: 500 },
  bytes: { perMs: 500, atOnce: 2_000_000 },
};
/** The largest snapshot, and a margin. */
const MAX_WAITING_BYTES = 80_000_000;

export class SendQueue {
  readonly #clock: Clock;
  readonly #send: (bytes: Uint8Array) => void;
  #small: Uint8Array[] = [];
  #parts: Uint8Array[] = [];
  #waitingBytes = 0;
  #left = { messages: RATES.messages.atOnce, bytes: RATES.bytes.atOnce };
  #atMs: number;
  #later: Timer | undefined;
  #soon = false;

  constructor(clock: Clock, send: (bytes: Uint8Array) => void) {
    this.#clock = clock;
    this.#send = send;
    this.#atMs = clock.monotonicMs();
  }

  /** @returns false if the queue is full: the message is dropped. */
  push(frame: Uint8Array): boolean {
    if (this.#waitingBytes + frame.length > MAX_WAITING_BYTES) return false;
    this.#waitingBytes += frame.length;
    (isPart(frame) ? this.#parts : this.#small).push(frame);
    if (this.#soon || this.#later !== undefined) return true;
    // All messages of one turn of the event loop are sent together.
    this.#soon = true;
    Promise.resolve().then(() => this.#flush());
    return true;
  }

  /** Drops all that waits. */
  clear(): void {
    this.#later?.cancel();
    this.#later = undefined;
    [this.#small, this.#parts, this.#waitingBytes] = [[], [], 0];
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    const passedMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    for (const what of ['messages', 'bytes'] as const)
      this.#left[what] = Math.min(RATES[what].atOnce, this.#left[what] + passedMs * RATES[what].perMs);
  }

  #flush(): void {
    this.#soon = false;
    this.#later = undefined;
    this.#refill();
    while (this.#small.length > 0 || this.#parts.length > 0) {
      if (this.#left.messages < 1 || this.#left.bytes < 0) return this.#goOnLater();
      const bytes = packed(this.#small) ?? packed(this.#parts);
      if (bytes === undefined) break;
      this.#left.messages--;
      this.#left.bytes -= bytes.length;
      this.#send(bytes);
    }
    this.#waitingBytes = 0;
  }

  #goOnLater(): void {
    this.#waitingBytes = [...this.#small, ...this.#parts].reduce((sum, { length }) => sum + length, 0);
    const messagesMs = (1 - this.#left.messages) / RATES.messages.perMs;
    const bytesMs = -this.#left.bytes / RATES.bytes.perMs;
    this.#later = this.#clock.after(Math.ceil(Math.max(1, messagesMs, bytesMs)), () => this.#flush());
  }
}
