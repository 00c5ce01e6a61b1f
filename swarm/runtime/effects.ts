// The effects of protocol cores: `step(input, now)` returns them as data, and a runtime executes them.
// Timers are data with an id and a token; setting an id again replaces it, and a stale token is ignored by the runtime.
import type { PeerId } from '../ports/transport.ts';

export interface Instant {
  /** Monotonic ms: for intervals. */
  monotonicMs: number;
  /** Wall-clock ms since the epoch: for data that is signed or shown. */
  wallMs: number;
}

export type Effect<Message, Notice, TimerId extends string = string> =
  | { kind: 'send'; to: PeerId; message: Message }
  | { kind: 'broadcast'; message: Message }
  /** Finished before any later effect is executed; the value is encoded as CBOR. */
  | { kind: 'persist'; key: string; value: unknown }
  | { kind: 'timer'; id: TimerId; afterMs: number }
  | { kind: 'cancel'; id: TimerId }
  | { kind: 'notice'; notice: Notice };

/** The inputs of every core, besides its own. */
export type BaseInput<Message, TimerId extends string = string> =
  | { kind: 'message'; from: PeerId; message: Message }
  | { kind: 'timer'; id: TimerId };

export interface Core<Input, Message, Notice, TimerId extends string = string> {
  step(input: Input | BaseInput<Message, TimerId>, now: Instant): Effect<Message, Notice, TimerId>[];
}
