// One observer's watch over one member: when it is probed, and which answers are awaited; two misses raise an alert. Measurements are in
// round-trips.ts, the retraction of alerts in damped-alert.ts.
import { DampedAlert } from './damped-alert.ts';
import type { AlertKind } from './report.ts';
import { RoundTrips } from './round-trips.ts';

/** A member that sent nothing for this long is probed. */
export const PROBE_EVERY_MS = 3_000;
/** The interval while it answers again and its alert is not retracted yet. */
const PROBE_QUICKLY_MS = 200;
const PROBE_ALERTED_MS = 1_000;
const PROBE_LONG_ALERTED_MS = 3_000;
/** Late answers to this many probes are still recognised. */
const MAX_OUT = 4;
const MISSES_TO_ALERT = 2;

export class Watch {
  /** When the next probe is due, or an answer is too late. */
  dueMs: number;
  readonly alert = new DampedAlert();
  readonly roundTrips = new RoundTrips();
  /** The last few probes: an answer says by its token which it is for, so that late ones measure as well. */
  #sent: { token: number; atMs: number }[] = [];
  #awaiting = false;
  #missed = 0;
  /** When a round trip was last complete. */
  #roundTripMs: number;

  constructor(dueMs: number) {
    this.dueMs = dueMs;
    this.#roundTripMs = dueMs;
  }

  get isAwaiting(): boolean {
    return this.#awaiting;
  }

  /** There is no alert, and no probe was missed. */
  get isCalm(): boolean {
    return this.alert.kind === undefined && this.#missed === 0;
  }

  sent(token: number, nowMs: number): void {
    this.#sent = [...this.#sent, { token, atMs: nowMs }].slice(-MAX_OUT);
    this.#awaiting = true;
    this.dueMs = nowMs + this.roundTrips.timeoutMs;
  }

  /** Another message came from it: no probe is needed now, unless it is suspected. Such a message does not prove that ours arrive there. */
  heard(nowMs: number): void {
    if (this.isCalm && !this.#awaiting) this.dueMs = Math.min(nowMs, this.#roundTripMs + PROBE_EVERY_MS) + PROBE_EVERY_MS;
  }

  /** It is probed now, unless an answer is awaited or there is an alert. */
  hurry(nowMs: number): void {
    if (this.isCalm && !this.#awaiting) this.dueMs = nowMs;
  }

  /** This agent was late itself: that does not count as silence of the other. */
  stretch(byMs: number): void {
    this.dueMs += byMs;
  }

  /** No answer in time. @returns whether that raised an alert. */
  missed(nowMs: number): boolean {
    this.#awaiting = false;
    this.roundTrips.ended(false);
    this.#missed++;
    this.alert.missed();
    const alertedMs = this.alert.isOld(nowMs) ? PROBE_LONG_ALERTED_MS : PROBE_ALERTED_MS;
    this.dueMs = nowMs + (this.alert.kind === undefined ? 0 : alertedMs);
    return this.#missed >= MISSES_TO_ALERT && this.raise('silent', nowMs);
  }

  /** @returns whether that is a change. */
  raise(kind: AlertKind, nowMs: number): boolean {
    const isNews = this.alert.raise(kind, nowMs);
    if (isNews) this.dueMs = Math.max(this.dueMs, nowMs + PROBE_QUICKLY_MS);
    return isNews;
  }

  /** An answer came. @returns whether it retracted an alert, or made it a milder one. */
  answered(token: number, nowMs: number): boolean {
    const probe = this.#sent.find((one) => one.token === token);
    if (probe === undefined) return false;
    this.roundTrips.measured(nowMs - probe.atMs);
    this.#roundTripMs = nowMs;
    this.#sent = [];
    if (this.#awaiting) this.roundTrips.ended(true);
    this.#rest(nowMs);
    const retraction = this.alert.answered(nowMs);
    // Losses while it was unreachable say nothing about its state now.
    if (retraction === 'long') this.roundTrips.forgetLosses();
    return retraction !== 'none';
  }

  /** It came back as from a restart, by a new connection. @returns whether that retracted an alert. */
  connected(nowMs: number): boolean {
    this.roundTrips.forgetLosses();
    this.#rest(nowMs);
    if (this.alert.kind !== 'refused') return false;
    this.alert.retract(nowMs);
    return true;
  }

  /** Nothing is awaited, and the next probe is a while off. */
  #rest(nowMs: number): void {
    this.#awaiting = false;
    this.#missed = 0;
    this.dueMs = nowMs + (this.alert.kind === undefined ? PROBE_EVERY_MS : PROBE_QUICKLY_MS);
  }
}
