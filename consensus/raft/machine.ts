// What a log is about: a state that commands change, the same for all who apply them in the log's order.
import type { EntryId } from './types.ts';

export interface StateMachine<Command, Result> {
  /** A command as it was decoded; undefined where it is none: nobody proposes such, and all members leave out the same. */
  parse(decoded: unknown): Command | undefined;
  /** What a command comes to where it stands in the log. Nothing but the state and the command may matter. */
  apply(command: Command, at: EntryId): Result;
  encode(): Uint8Array;
  /** From nothing where `data` is empty. @throws RangeError where it is no such state */
  restore(data: Uint8Array): void;
}

export type CommandOf<Machine extends StateMachine<unknown, unknown>> = NonNullable<ReturnType<Machine['parse']>>;
export type ResultOf<Machine extends StateMachine<unknown, unknown>> = ReturnType<Machine['apply']>;
