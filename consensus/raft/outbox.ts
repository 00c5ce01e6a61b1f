// What a Raft node has to send: at once, or not before what its messages speak of is stored.
import type { Message, MessageType } from './types.ts';

const AFTER_APPEND: ReadonlySet<MessageType> = new Set<MessageType>(['MsgAppResp', 'MsgVoteResp', 'MsgPreVoteResp']);

export class Outbox {
  #atOnce: Message[] = [];
  #afterAppend: Message[] = [];

  get isEmpty(): boolean {
    return this.#atOnce.length + this.#afterAppend.length === 0;
  }

  add(one: Message): void {
    (AFTER_APPEND.has(one.type) ? this.#afterAppend : this.#atOnce).push(one);
  }

  /** Hands over all that there is. */
  take(): { atOnce: readonly Message[]; afterAppend: readonly Message[] } {
    const taken = { atOnce: this.#atOnce, afterAppend: this.#afterAppend };
    this.#atOnce = [];
    this.#afterAppend = [];
    return taken;
  }
}
