// An observer's damped alert about one member: the more alerts there were, and the longer they lasted, the slower it is retracted. So a member
// that flaps does not make the views of all others flap (route flap damping, RFC 2439, by count instead of by penalty).
import type { AlertKind } from './report.ts';

/** An alert whose retraction takes longer than this becomes `flapping` first. */
const SLOW_MS = 1_000;
/** Answers in a row that retract a short alert. */
const ANSWERS_TO_TRUST = 3;
const MAX_ANSWERS_TO_TRUST = 50;
/** An alert of this length made its subject `down`: it is retracted after this long a time of answers, doubled with each further alert. */
export const LONG_ALERT_MS = 5_000;
const LONG_HOLD_MS = 5_000;
const MAX_HOLD_MS = 20_000;
const FLAPS_FORGOTTEN_MS = 600_000;

/** The effect of an answer on the alert. */
export type Retraction = 'none' | 'milder' | 'short' | 'long';

export class DampedAlert {
  kind: AlertKind | undefined;
  #raisedMs = 0;
  /** Answers in a row, and the time of the first one. */
  #answers = 0;
  #answersSinceMs = 0;
  #shortFlaps = 0;
  #longFlaps = 0;
  #flappedMs = Number.NEGATIVE_INFINITY;

  /** @returns whether that is a change: `refused` does not become `silent` again. */
  raise(kind: AlertKind, nowMs: number): boolean {
    this.#answers = 0;
    if (this.kind === kind || (this.kind === 'refused' && kind === 'silent')) return false;
    if (this.kind === undefined) this.#raisedMs = nowMs;
    this.kind = kind;
    return true;
  }

  /** Whether it has lasted so long that its subject is unlikely to answer soon. */
  isOld(nowMs: number): boolean {
    return this.kind !== undefined && nowMs - this.#raisedMs > 2 * LONG_ALERT_MS;
  }

  /** A probe was not answered: answers count from the first again. */
  missed(): void {
    this.#answers = 0;
  }

  /** A probe was answered. @returns the effect on the alert; `short` or `long`, by its length, if it is retracted */
  answered(nowMs: number): Retraction {
    if (this.#answers++ === 0) this.#answersSinceMs = nowMs;
    if (this.kind === undefined) return 'none';
    if (this.#isTrusted(nowMs)) return this.retract(nowMs);
    if (this.kind === 'flapping' || nowMs - this.#answersSinceMs < SLOW_MS) return 'none';
    this.kind = 'flapping';
    return 'milder';
  }

  retract(nowMs: number): 'short' | 'long' {
    this.kind = undefined;
    this.#flappedMs = nowMs;
    if (this.#wasLong) this.#longFlaps++;
    else this.#shortFlaps++;
    return this.#wasLong ? 'long' : 'short';
  }

  get #wasLong(): boolean {
    return this.#answersSinceMs - this.#raisedMs >= LONG_ALERT_MS;
  }

  #isTrusted(nowMs: number): boolean {
    if (nowMs - this.#flappedMs > FLAPS_FORGOTTEN_MS) this.#shortFlaps = this.#longFlaps = 0;
    if (this.#wasLong) return nowMs - this.#answersSinceMs >= Math.min(MAX_HOLD_MS, LONG_HOLD_MS * 2 ** this.#longFlaps);
    return this.#answers >= Math.min(MAX_ANSWERS_TO_TRUST, ANSWERS_TO_TRUST * 2 ** this.#shortFlaps);
  }
}
