// The outgoing messages of a Raft node: to send immediately, or only after the state that they acknowledge is stored.
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

  /** Takes all messages out. */
  take(): { atOnce: readonly Message[]; afterAppend: readonly Message[] } {
    const taken = { atOnce: this.#atOnce, afterAppend: this.#afterAppend };
    this.#atOnce = [];
    this.#afterAppend = [];
    return taken;
  }
}
