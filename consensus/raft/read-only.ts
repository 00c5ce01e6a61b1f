// Reads on their way through a node: those that wait for a leader's first commit, those that wait until a quorum has shown that the leader
// still is one, and those that may be answered.
import type { Message, NodeId } from './types.ts';

/** `safe`: a quorum is asked; `lease-based`: the leader's lease suffices, where clocks are trusted and quorums are checked. */
export type ReadOnlyOption = 'safe' | 'lease-based';

/** A read may be answered once the log is applied up to the index. */
export interface ReadState {
  index: number;
  context: string;
}

interface Pending {
  request: Message;
  index: number;
  acks: Map<NodeId, boolean>;
}

export class ReadOnly {
  readonly option: ReadOnlyOption;
  readonly #pending = new Map<string, Pending>();
  #postponed: Message[] = [];
  #states: ReadState[] = [];

  constructor(option: ReadOnlyOption) {
    this.option = option;
  }

  /** Another term: a quorum's answers no longer count for what was asked. */
  reset(): void {
    this.#pending.clear();
  }

  /** Until something of this term is committed. */
  postpone(request: Message): void {
    this.#postponed.push(request);
  }

  takePostponed(): readonly Message[] {
    const taken = this.#postponed;
    this.#postponed = [];
    return taken;
  }

  /** A read of this node may be answered. */
  allow(state: ReadState): void {
    this.#states.push(state);
  }

  get hasAllowed(): boolean {
    return this.#states.length > 0;
  }

  takeAllowed(): readonly ReadState[] {
    const taken = this.#states;
    this.#states = [];
    return taken;
  }

  get newest(): string {
    return [...this.#pending.keys()].at(-1) ?? '';
  }

  /** @param index what is committed as the request arrives */
  add(index: number, request: Message): void {
    const context = contextOf(request);
    if (!this.#pending.has(context)) this.#pending.set(context, { request, index, acks: new Map() });
  }

  /** Notes that a member answered the heartbeat that a read was sent with. @returns all who did */
  acknowledge(from: NodeId, context: string): ReadonlyMap<NodeId, boolean> {
    const pending = this.#pending.get(context);
    pending?.acks.set(from, true);
    return pending?.acks ?? new Map();
  }

  /** A quorum has answered: this read, and those that came before it. */
  advance(context: string): Pending[] {
    if (!this.#pending.has(context)) return [];
    const done: Pending[] = [];
    for (const [key, pending] of this.#pending) {
      done.push(pending);
      this.#pending.delete(key);
      if (key === context) break;
    }
    return done;
  }
}

const decoder = new TextDecoder();
export const contextOf = ({ entries }: Message): string => decoder.decode(entries[0]?.data ?? new Uint8Array());
