// One observer's watch over one member: probes with a timeout that follows the round trips, two misses before an alert, and
// the slower to take an alert back the more often, and the longer, there was one.
import type { AlertKind } from './report.ts';

/** A member from which nothing came for so long is probed. */
export const PROBE_EVERY_MS = 3_000;
/** While it answers again, but is not believed yet. */
const PROBE_QUICKLY_MS = 200;
const PROBE_ALERTED_MS = 1_000;
const PROBE_LONG_ALERTED_MS = 3_000;
const MIN_TIMEOUT_MS = 500;
const MAX_TIMEOUT_MS = 3_000;
/** Before the first round trip was measured. */
const FIRST_TIMEOUT_MS = 1_500;
/** Answers to so many probes are still recognised when they come late. */
const MAX_OUT = 4;
const MISSES_TO_ALERT = 2;
/** A word that is taken back later than this is changed first. */
const SLOW_MS = 1_000;
/** Answers in a row that take an alert back that was a short one. */
const ANSWERS_TO_TRUST = 3;
const MAX_ANSWERS_TO_TRUST = 50;
/** An alert that lasted as long as this made its subject `down`: it is taken back after so long a time of answers, and twice as long each time again. */
export const LONG_ALERT_MS = 5_000;
const LONG_HOLD_MS = 5_000;
const MAX_HOLD_MS = 20_000;
const FLAPS_FORGOTTEN_MS = 600_000;
/** What became of so many probes is remembered. */
const KEPT_PROBES = 32;

export class Watch {
  /** When it is to be probed next, or an answer is too late. */
  dueMs: number;
  alert: AlertKind | undefined;
  /** The last few probes: an answer says by its token which it is for, so that late ones measure as well. */
  #sent: { token: number; atMs: number }[] = [];
  #awaiting = false;
  #missed = 0;
  #answered = 0;
  /** Of the last probes, whether they were answered in time. */
  #inTime: boolean[] = [];
  /** When a round trip was last complete. */
  #roundTripMs: number;
  #answersSinceMs = 0;
  #alertedMs = 0;
  #shortFlaps = 0;
  #longFlaps = 0;
  #flappedMs = Number.NEGATIVE_INFINITY;
  /** Smoothed round trip and its variation (RFC 6298). */
  #srttMs: number | undefined;
  #varMs = 0;

  constructor(dueMs: number) {
    this.dueMs = dueMs;
    this.#roundTripMs = dueMs;
  }

  /** Smoothed; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#srttMs;
  }

  /** Of the last probes: how many, and the share that was not answered in time. */
  get losses(): { probes: number; share: number } {
    const probes = this.#inTime.length;
    return { probes, share: probes === 0 ? 0 : this.#inTime.filter((inTime) => !inTime).length / probes };
  }

  #ended(inTime: boolean): void {
    this.#inTime.push(inTime);
    if (this.#inTime.length > KEPT_PROBES) this.#inTime.shift();
  }

  get isAwaiting(): boolean {
    return this.#awaiting;
  }

  /** Nothing is wrong and nothing is doubted. */
  get isCalm(): boolean {
    return this.alert === undefined && this.#missed === 0;
  }

  #timeoutMs(): number {
    if (this.#srttMs === undefined) return FIRST_TIMEOUT_MS;
    return Math.min(MAX_TIMEOUT_MS, Math.max(MIN_TIMEOUT_MS, this.#srttMs + 4 * this.#varMs));
  }

  sent(token: number, nowMs: number): void {
    this.#sent = [...this.#sent, { token, atMs: nowMs }].slice(-MAX_OUT);
    this.#awaiting = true;
    this.dueMs = nowMs + this.#timeoutMs();
  }

  /** Something else came from it: no need to probe now, where nothing is doubted. But what comes does not show that anything gets there. */
  heard(nowMs: number): void {
    if (this.isCalm && !this.#awaiting) this.dueMs = Math.min(nowMs, this.#roundTripMs + PROBE_EVERY_MS) + PROBE_EVERY_MS;
  }

  /** Own lateness is not the other's silence. */
  stretch(byMs: number): void {
    this.dueMs += byMs;
  }

  /** No answer in time. @returns whether that raised an alert. */
  missed(nowMs: number): boolean {
    this.#awaiting = false;
    this.#ended(false);
    this.#missed++;
    this.#answered = 0;
    const isLong = this.alert !== undefined && nowMs - this.#alertedMs > 2 * LONG_ALERT_MS;
    this.dueMs = this.alert === undefined ? nowMs : nowMs + (isLong ? PROBE_LONG_ALERTED_MS : PROBE_ALERTED_MS);
    return this.#missed >= MISSES_TO_ALERT && this.raise('silent', nowMs);
  }

  /** @returns whether that is news. */
  raise(kind: AlertKind, nowMs: number): boolean {
    this.#answered = 0;
    if (this.alert === kind || (this.alert === 'refused' && kind === 'silent')) return false;
    if (this.alert === undefined) this.#alertedMs = nowMs;
    this.alert = kind;
    this.dueMs = Math.max(this.dueMs, nowMs + PROBE_QUICKLY_MS);
    return true;
  }

  /** An answer came. @returns whether it took an alert back, or made it a milder one. */
  answered(token: number, nowMs: number): boolean {
    const probe = this.#sent.find((one) => one.token === token);
    if (probe === undefined) return false;
    this.#measured(nowMs - probe.atMs);
    this.#roundTripMs = nowMs;
    this.#sent = [];
    if (this.#awaiting) this.#ended(true);
    this.#awaiting = false;
    this.#missed = 0;
    if (this.#answered++ === 0) this.#answersSinceMs = nowMs;
    this.dueMs = nowMs + (this.alert === undefined ? PROBE_EVERY_MS : PROBE_QUICKLY_MS);
    if (this.alert === undefined) return false;
    if (this.#isTrusted(nowMs)) return this.#clear(nowMs);
    if (this.alert === 'flapping' || nowMs - this.#answersSinceMs < SLOW_MS) return false;
    this.alert = 'flapping';
    return true;
  }

  /** It came back as from a restart, by a new connection. @returns whether that took an alert back. */
  connected(nowMs: number): boolean {
    this.#inTime = [];
    this.#missed = 0;
    this.#awaiting = false;
    this.dueMs = nowMs + (this.alert === undefined ? PROBE_EVERY_MS : PROBE_QUICKLY_MS);
    return this.alert === 'refused' && this.#clear(nowMs);
  }

  #measured(rttMs: number): void {
    if (this.#srttMs === undefined) {
      this.#srttMs = rttMs;
      this.#varMs = rttMs / 2;
      return;
    }
    this.#varMs += (Math.abs(rttMs - this.#srttMs) - this.#varMs) / 4;
    this.#srttMs += (rttMs - this.#srttMs) / 8;
  }

  #isTrusted(nowMs: number): boolean {
    if (nowMs - this.#flappedMs > FLAPS_FORGOTTEN_MS) this.#shortFlaps = this.#longFlaps = 0;
    const wasLong = this.#answersSinceMs - this.#alertedMs >= LONG_ALERT_MS;
    if (wasLong) return nowMs - this.#answersSinceMs >= Math.min(MAX_HOLD_MS, LONG_HOLD_MS * 2 ** this.#longFlaps);
    return this.#answered >= Math.min(MAX_ANSWERS_TO_TRUST, ANSWERS_TO_TRUST * 2 ** this.#shortFlaps);
  }

  #clear(nowMs: number): true {
    const wasLong = this.#answersSinceMs - this.#alertedMs >= LONG_ALERT_MS;
    // What was lost while it was gone says nothing of how it does now.
    if (wasLong) this.#inTime = [];
    if (wasLong) this.#longFlaps++;
    else this.#shortFlaps++;
    this.#flappedMs = nowMs;
    this.alert = undefined;
    return true;
  }
}
