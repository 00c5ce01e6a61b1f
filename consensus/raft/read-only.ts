// Reads in progress on a node: those that wait for the leader's first commit, those that wait until a quorum has confirmed the leader, and
// those that may be answered.
import type { Message, NodeId } from './types.ts';

/** `safe`: asks a quorum. `lease-based`: the leader's lease suffices, if clocks are trusted and quorums are checked. */
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

  /** A new term: answers to earlier requests no longer count. */
  reset(): void {
    this.#pending.clear();
  }

  /** Reads that wait until an entry of this term is committed. */
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

  /** @param index the commit index when the request arrives */
  add(index: number, request: Message): void {
    const context = contextOf(request);
    if (!this.#pending.has(context)) this.#pending.set(context, { request, index, acks: new Map() });
  }

  /** Records that a member answered the heartbeat of a read. @returns all members that did */
  acknowledge(from: NodeId, context: string): ReadonlyMap<NodeId, boolean> {
    const pending = this.#pending.get(context);
    pending?.acks.set(from, true);
    return pending?.acks ?? new Map();
  }

  /** A quorum has answered: this read and all earlier ones may be answered. */
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
