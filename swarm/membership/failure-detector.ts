// This agent as an observer: which members it observes, and its probes of them. Missed probes raise an alert (watch.ts). It also probes a
// member that a request waits for, and, while this agent may be cut off itself, every member that it is connected with.
import type { PeerId } from '../ports/transport.ts';
import type { Effect } from '../runtime/effects.ts';
import type { Member, MemberTable } from './member-table.ts';
import { observedBy } from './observers.ts';
import type { Probe } from './probe.ts';
import { type AlertKind, type Alerts, MAX_ALERTS } from './report.ts';
import type { RoundTrips } from './round-trips.ts';
import { PROBE_EVERY_MS, Watch } from './watch.ts';

export type ProbeNotice =
  | { kind: 'redial'; peer: PeerId }
  /** It does not answer this agent's probes. */
  | { kind: 'silent'; peer: PeerId };
type Effects = Effect<Probe, ProbeNotice, 'probe'>[];

export class FailureDetector {
  readonly #self: PeerId;
  readonly #members: MemberTable;
  /** Of the members that are observed, and of those that are probed for another reason. */
  readonly #watches = new Map<PeerId, Watch>();
  #subjects: ReadonlySet<PeerId> = new Set();
  /** For which configuration of the members the subjects were drawn. */
  #drawnFor = -1;
  #plannedMs = Number.POSITIVE_INFINITY;
  #tokens = 0;

  constructor(self: PeerId, members: MemberTable) {
    this.#self = self;
    this.#members = members;
  }

  /** Whom this agent is an observer of. */
  get subjects(): ReadonlySet<PeerId> {
    return this.#subjects;
  }

  /** When the timer `probe` is due. */
  get plannedMs(): number {
    return this.#plannedMs;
  }

  /** What the probes of a member measured; undefined where it is not probed. */
  measured(peer: PeerId): Pick<RoundTrips, 'rttMs' | 'losses'> | undefined {
    return this.#watches.get(peer)?.roundTrips;
  }

  alertOf(peer: PeerId): AlertKind | undefined {
    return this.#watches.get(peer)?.alert.kind;
  }

  /** It does not answer the probes of this agent. */
  isSilent(peer: PeerId): boolean {
    const alert = this.alertOf(peer);
    return alert === 'silent' || alert === 'refused';
  }

  /** This agent is connected with it, probes it, and it answers. */
  isAnswering(peer: PeerId): boolean {
    return this.#watches.get(peer)?.isCalm === true && this.#members.get(peer)?.connected === true;
  }

  /** The content of this agent's report: its alerts about the members that it observes. */
  alerts(): Alerts {
    const alerts = new Map<PeerId, AlertKind>();
    for (const peer of this.#subjects) {
      const alert = this.alertOf(peer);
      if (alert !== undefined && alerts.size < MAX_ALERTS) alerts.set(peer, alert);
    }
    return alerts;
  }

  forget(peer: PeerId): void {
    this.#watches.delete(peer);
  }

  /** Draws the members that this agent observes, if the configuration has changed. The sweep calls it, since many members may join at once. @returns whether it has changed */
  draw(nowMs: number): boolean {
    if (this.#drawnFor === this.#members.configuration) return false;
    this.#drawnFor = this.#members.configuration;
    this.#subjects = new Set(observedBy(this.#self, this.#members.peers));
    for (const peer of this.#watches.keys()) if (!this.#subjects.has(peer)) this.#watches.delete(peer);
    let nth = 0;
    for (const peer of this.#subjects) {
      // Spread over the period, so that they do not all come due together.
      const dueMs = nowMs + (PROBE_EVERY_MS * ++nth) / (this.#subjects.size + 1);
      if (!this.#watches.has(peer)) this.#watches.set(peer, new Watch(dueMs));
    }
    return true;
  }

  /** Sets the timer to when the first of those watched is due. */
  plan(nowMs: number): Effects {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const watch of this.#watches.values()) dueMs = Math.min(dueMs, watch.dueMs);
    if (dueMs === Number.POSITIVE_INFINITY || dueMs >= this.#plannedMs) return [];
    this.#plannedMs = Math.max(dueMs, nowMs); // overdue is due now, and no sign that this loop was held
    return [{ kind: 'timer', id: 'probe', afterMs: this.#plannedMs - nowMs }];
  }

  /** The timer fired. @returns the members whose silence has raised an alert just now; `plan` is to follow. */
  probe(nowMs: number): { silent: PeerId[]; effects: Effects } {
    this.#plannedMs = Number.POSITIVE_INFINITY;
    const silent: PeerId[] = [];
    const effects: Effects = [];
    for (const [peer, watch] of this.#watches) {
      if (watch.dueMs > nowMs) continue;
      const member = this.#members.get(peer);
      if (member === undefined) continue;
      if (watch.isAwaiting && watch.missed(nowMs)) {
        silent.push(peer);
        effects.push({ kind: 'notice', notice: { kind: 'silent', peer } });
      }
      if (watch.dueMs > nowMs) continue;
      // A member that has not been heard of yet is not dialed for a probe.
      if (member.state === 'joining') watch.dueMs = nowMs + PROBE_EVERY_MS;
      else effects.push(this.#send(member, watch, nowMs));
    }
    return { silent, effects };
  }

  #send({ peer, connected }: Member, watch: Watch, nowMs: number): Effects[number] {
    this.#tokens = (this.#tokens + 1) >>> 0;
    watch.sent(this.#tokens, nowMs);
    if (!connected) return { kind: 'notice', notice: { kind: 'redial', peer } };
    return { kind: 'send', to: peer, message: { kind: 'ping', token: this.#tokens } };
  }

  /** @returns whether that retracted an alert, or made it a milder one. */
  answered(peer: PeerId, token: number, nowMs: number): boolean {
    return this.#watches.get(peer)?.answered(token, nowMs) === true;
  }

  /** Ends the watch over a member that was probed for another reason, where nothing is wrong with it. */
  release(peer: PeerId): void {
    if (!this.#subjects.has(peer) && this.#watches.get(peer)?.isCalm === true) this.#watches.delete(peer);
  }

  /** Something other than an answer to a probe came from it. */
  heard(peer: PeerId, nowMs: number): void {
    this.#watches.get(peer)?.heard(nowMs);
  }

  /** @returns whether that retracted an alert. */
  connected(peer: PeerId, nowMs: number): boolean {
    return this.#watches.get(peer)?.connected(nowMs) === true;
  }

  /** The outcome of a dial. @returns whether it raised an alert about a member that this agent observes. */
  dialed(peer: PeerId, found: 'refused' | 'silent', nowMs: number): boolean {
    return this.#subjects.has(peer) && this.#watches.get(peer)?.raise(found, nowMs) === true;
  }

  /** Other observers have alerts about these members: the watched ones among them are probed now. */
  hurry(peers: Iterable<PeerId>, nowMs: number): void {
    for (const peer of peers) this.#watches.get(peer)?.hurry(nowMs);
  }

  /** A request waits for an answer of this member: it is probed now, whether or not this agent observes it. */
  doubt(peer: PeerId, nowMs: number): Effects {
    if (this.#members.get(peer)?.connected !== true) return [];
    const watch = this.#watches.get(peer) ?? new Watch(nowMs);
    this.#watches.set(peer, watch);
    watch.hurry(nowMs);
    return this.plan(nowMs);
  }

  /** Probes every connected member: an agent that may be cut off gets no reports, and has to find out itself. */
  lookAround(nowMs: number): void {
    for (const { peer, connected } of this.#members.all())
      if (connected && peer !== this.#self && !this.#watches.has(peer)) this.#watches.set(peer, new Watch(nowMs));
  }

  /** This agent's loop was late by so much: answers may have come that it has not read yet. */
  postpone(byMs: number): void {
    for (const watch of this.#watches.values()) if (watch.isAwaiting) watch.stretch(byMs);
  }
}
