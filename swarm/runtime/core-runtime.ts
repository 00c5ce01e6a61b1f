// Executes the effects of one core, in order: a `persist` is durable before any later effect.
import { encodeCbor } from '../dissemination/cbor.ts';
import type { Clock, Timer } from '../ports/clock.ts';
import type { Store } from '../ports/store.ts';
import type { PeerId } from '../ports/transport.ts';
import type { BaseInput, Core, Effect, Instant } from './effects.ts';

/** Batches that wait for a slow disk; beyond this peers' messages are dropped, as a network would. */
const MAX_WAITING_BATCHES = 1024;

export interface CoreOutlets<Message, Notice> {
  clock: Clock;
  store: Store;
  send(to: PeerId, message: Message): void;
  broadcast(message: Message): void;
  notice(notice: Notice): void;
  /** A disk refused a persist: the core must not continue as if it had succeeded. */
  failed(error: unknown): void;
}

export function instantOf(clock: Clock): Instant {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
}

export class CoreRuntime<Input, Message, Notice, TimerId extends string = string> {
  readonly #core: Core<Input, Message, Notice, TimerId>;
  readonly #outlets: CoreOutlets<Message, Notice>;
  readonly #timers = new Map<TimerId, Timer>();
  readonly #waiting: Effect<Message, Notice, TimerId>[][] = [];
  #running = false;
  #stopped = false;
  droppedMessages = 0;

  constructor(core: Core<Input, Message, Notice, TimerId>, outlets: CoreOutlets<Message, Notice>) {
    this.#core = core;
    this.#outlets = outlets;
  }

  /** Steps the core synchronously; its effects follow those of earlier steps. */
  post(input: Input | BaseInput<Message, TimerId>): void {
    if (this.#stopped) return;
    if (this.#waiting.length >= MAX_WAITING_BATCHES && (input as { kind?: string }).kind === 'message') {
      this.droppedMessages++;
      return;
    }
    const effects = this.#core.step(input, instantOf(this.#outlets.clock));
    if (effects.length === 0) return;
    this.#waiting.push(effects);
    if (!this.#running) this.#drain();
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#waiting.length = 0;
  }

  /** Runs synchronously until a persist must be awaited, then continues after its completion. */
  #drain(): void {
    this.#running = true;
    for (let batch = this.#waiting[0]; batch !== undefined && !this.#stopped; batch = this.#waiting[0]) {
      const effect = batch.shift();
      if (effect === undefined) {
        this.#waiting.shift();
      } else if (effect.kind === 'persist') {
        this.#persist(effect.key, effect.value);
        return;
      } else {
        this.#carryOut(effect);
      }
    }
    this.#running = false;
  }

  #persist(key: string, value: unknown): void {
    this.#outlets.store.write([{ kind: 'put', key, value: encodeCbor(value) }]).then(
      () => this.#drain(),
      (error: unknown) => {
        this.stop();
        this.#outlets.failed(error);
      },
    );
  }

  #carryOut(effect: Exclude<Effect<Message, Notice, TimerId>, { kind: 'persist' }>): void {
    switch (effect.kind) {
      case 'send':
        return this.#outlets.send(effect.to, effect.message);
      case 'broadcast':
        return this.#outlets.broadcast(effect.message);
      case 'notice':
        return this.#outlets.notice(effect.notice);
      case 'timer':
        return this.#setTimer(effect.id, effect.afterMs);
      case 'cancel':
        this.#timers.get(effect.id)?.cancel();
        this.#timers.delete(effect.id);
    }
  }

  #setTimer(id: TimerId, afterMs: number): void {
    this.#timers.get(id)?.cancel();
    const timer: Timer = this.#outlets.clock.after(afterMs, () => {
      if (this.#timers.get(id) !== timer) return; // replaced since: the token (the timer itself) is stale
      this.#timers.delete(id);
      this.post({ kind: 'timer', id });
    });
    this.#timers.set(id, timer);
  }
}
