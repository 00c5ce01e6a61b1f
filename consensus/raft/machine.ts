// The state machine of a log: commands change it, with the same result on all members that apply them in the log's order.
import type { EntryId } from './types.ts';

export interface StateMachine<Command, Result> {
  /** A decoded command; undefined if it is invalid: no member proposes such a command, and all members skip the same ones. */
  parse(decoded: unknown): Command | undefined;
  /** The result of a command at its index in the log. It may depend on nothing but the state and the command. */
  apply(command: Command, at: EntryId): Result;
  encode(): Uint8Array;
  /** Restores the empty state if `data` is empty. @throws RangeError if it is not such a state */
  restore(data: Uint8Array): void;
}

export type CommandOf<Machine extends StateMachine<unknown, unknown>> = NonNullable<ReturnType<Machine['parse']>>;
export type ResultOf<Machine extends StateMachine<unknown, unknown>> = ReturnType<Machine['apply']>;
