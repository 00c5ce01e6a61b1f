// The members and their states, after Rapid (Suresh et al. 2018): each member has observers that probe it (failure-detector.ts), and an observer
// reports the members that it cannot reach. L reports make a member `unreachable`, H of them, stable, make it `down` (cut-detector.ts).
// On what an agent sees itself, above all a closed connection (liveness.ts), it acts immediately, and for itself only.
import type { PeerId } from '../ports/transport.ts';
import type { BaseInput, Core, Effect, Instant } from '../runtime/effects.ts';
import { CutDetector } from './cut-detector.ts';
import { FailureDetector, type ProbeNotice } from './failure-detector.ts';
import { Liveness, REDIAL_GRACE_MS } from './liveness.ts';
import { type Member, type MemberState, MemberTable } from './member-table.ts';
import type { Probe } from './probe.ts';
import type { Alerts } from './report.ts';
import { ReportTable } from './report-table.ts';

/** Changes within this time go into one report. */
const REPORT_BATCH_MS = 25;
/** A timer that is later than this shows that this agent's loop was held. */
const LATE_MS = 100;
const SWEEP_MS = 1_000;

export type DialOutcome = 'open' | 'refused' | 'silent';

export type MembershipInput =
  | { kind: 'start'; members: readonly PeerId[] }
  /** `added` and `removed`: by the roster. `heard`: something came from it; `spoke`: a status came that it signed so long ago, whichever peer brought it. */
  | { kind: 'added' | 'removed' | 'connected' | 'disconnected' | 'heard' | 'left'; peer: PeerId }
  /** A request waits for an answer of it: it is probed immediately, whether or not this agent observes it. */
  | { kind: 'doubted'; peer: PeerId }
  | { kind: 'spoke'; peer: PeerId; ageMs: number }
  | { kind: 'dialed'; peer: PeerId; outcome: DialOutcome }
  | { kind: 'report'; peer: PeerId; alerts: Alerts };

export type MembershipNotice =
  | ProbeNotice
  | { kind: 'changed'; peer: PeerId; state: MemberState }
  /** This agent's own report has changed. */
  | { kind: 'report'; alerts: Alerts };

type TimerId = 'sweep' | 'probe' | 'report';
type Effects = Effect<Probe, MembershipNotice, TimerId>[];

export class Membership implements Core<MembershipInput, Probe, MembershipNotice, TimerId> {
  readonly #self: PeerId;
  readonly members = new MemberTable();
  readonly detector: FailureDetector;
  /** The reports of all observers, this agent included. */
  readonly reports = new ReportTable();
  readonly #liveness: Liveness;
  readonly #cuts: CutDetector;
  #sweepMs = Number.POSITIVE_INFINITY;
  /** When the loop was last late. */
  #awakeMs = Number.NEGATIVE_INFINITY;
  #reporting = false;

  constructor(self: PeerId) {
    const { members, reports } = this;
    this.#self = self;
    this.detector = new FailureDetector(self, members);
    this.#liveness = new Liveness(self, members);
    this.#cuts = new CutDetector(self, { members, reports, detector: this.detector, liveness: this.#liveness });
  }

  step(input: MembershipInput | BaseInput<Probe, TimerId>, { monotonicMs: nowMs }: Instant): Effects {
    this.#allowForOwnStall(nowMs);
    switch (input.kind) {
      case 'start':
        this.members.add(this.#self, 'alive', nowMs);
        for (const peer of input.members) this.members.add(peer, 'unreachable', nowMs);
        return this.#sweepLater(nowMs);
      case 'added':
        return this.members.add(input.peer, 'joining', nowMs) ? [changed(input.peer, 'joining')] : [];
      case 'removed':
        return this.#removed(input.peer, nowMs);
      case 'spoke':
        return this.#spoke(input.peer, input.ageMs, nowMs);
      case 'connected':
        return this.#connected(input.peer, nowMs);
      case 'disconnected':
        return this.#disconnected(input.peer, nowMs);
      case 'heard':
        return this.#heard(input.peer, nowMs);
      case 'left':
        return this.#left(input.peer, nowMs);
      case 'doubted':
        return this.detector.doubt(input.peer, nowMs);
      case 'dialed':
        return this.#dialed(input.peer, input.outcome, nowMs);
      case 'report':
        return this.#reported(input.peer, input.alerts, nowMs);
      case 'message':
        return this.#probed(input.from, input.message, nowMs);
      case 'timer':
        return this.#timer(input.id, nowMs);
    }
  }

  #timer(id: TimerId, nowMs: number): Effects {
    switch (id) {
      case 'sweep':
        return [...this.#sweep(nowMs), ...this.#sweepLater(nowMs)];
      case 'report':
        this.#reporting = false;
        return [notice({ kind: 'report', alerts: this.reports.by(this.#self) })];
      case 'probe':
        return this.#probe(nowMs);
    }
  }

  /** A late timer shows that this loop was held: what others have sent meanwhile is still to be read, so their silence does not count. */
  #allowForOwnStall(nowMs: number): void {
    const lateMs = nowMs - Math.max(Math.min(this.detector.plannedMs, this.#sweepMs), this.#awakeMs);
    if (lateMs <= LATE_MS) return;
    this.#awakeMs = nowMs;
    this.detector.postpone(lateMs + LATE_MS);
    this.#liveness.postpone(lateMs, nowMs);
    this.#cuts.postpone(lateMs, LATE_MS, nowMs);
  }

  // The set of members

  #other(peer: PeerId): Member | undefined {
    return peer === this.#self ? undefined : this.members.get(peer);
  }

  #removed(peer: PeerId, nowMs: number): Effects {
    if (this.#other(peer) === undefined) return [];
    this.#forget(peer);
    this.members.remove(peer);
    return this.#judge(this.#cuts.concerned(), nowMs);
  }

  #left(peer: PeerId, nowMs: number): Effects {
    const member = this.#other(peer);
    if (member === undefined) return [];
    this.#forget(peer);
    const effects = this.members.change(member, 'left', nowMs) ? [changed(peer, 'left')] : [];
    return [...effects, ...this.#judge(this.#cuts.concerned(), nowMs)];
  }

  /** Neither its reports nor those about it count any longer. */
  #forget(peer: PeerId): void {
    this.#liveness.forget(peer);
    this.detector.forget(peer);
    this.#cuts.forget(peer);
    this.reports.forget(peer);
  }

  // Signs of life, and their end

  /** A message that was under way when its sender left does not bring it back. */
  #heard(peer: PeerId, nowMs: number): Effects {
    const member = this.#other(peer);
    if (member === undefined || member.state === 'left') return [];
    this.#liveness.seen(member, nowMs);
    this.detector.heard(peer, nowMs);
    return this.#unlessSettled(member, nowMs);
  }

  /** It has signed a status that is newer than all before: a member that left is back. */
  #spoke(peer: PeerId, ageMs: number, nowMs: number): Effects {
    const member = this.#other(peer);
    if (member === undefined) return [];
    this.#liveness.seen(member, nowMs - ageMs);
    return this.#unlessSettled(member, nowMs);
  }

  #unlessSettled(member: Member, nowMs: number): Effects {
    return member.state === 'alive' && !this.#cuts.hasCase(member.peer) ? [] : this.#returned(member, nowMs);
  }

  #returned(member: Member, nowMs: number): Effects {
    if (member.state === 'left') this.members.change(member, 'joining', nowMs);
    return this.#judge([member.peer], nowMs);
  }

  #connected(peer: PeerId, nowMs: number): Effects {
    const member = this.members.get(peer);
    if (member === undefined) return [];
    member.connected = true;
    this.#liveness.seen(member, nowMs);
    const isCleared = this.detector.connected(peer, nowMs);
    const effects = this.#returned(member, nowMs);
    return [...effects, ...(isCleared ? this.#reportChanged(nowMs) : []), ...this.detector.plan(nowMs)];
  }

  #disconnected(peer: PeerId, nowMs: number): Effects {
    const member = this.members.get(peer);
    if (member === undefined) return [];
    member.connected = false;
    if (member.state !== 'alive' && member.state !== 'joining') return [];
    this.#liveness.lost(peer, nowMs);
    return [notice({ kind: 'redial', peer })];
  }

  /** The outcome of a dial: a refusal is certain, silence is only an alert. */
  #dialed(peer: PeerId, outcome: DialOutcome, nowMs: number): Effects {
    const member = this.members.get(peer);
    if (member === undefined || outcome === 'open' || member.connected || member.state === 'left') return [];
    const effects = this.detector.dialed(peer, outcome, nowMs) ? this.#reportChanged(nowMs) : [];
    if (outcome === 'refused') this.#liveness.refused(peer, nowMs);
    return [...effects, ...this.#judge([peer], nowMs)];
  }

  // Probes

  #probe(nowMs: number): Effects {
    const { silent, effects } = this.detector.probe(nowMs);
    // This agent does not report members that it does not observe: their silence counts for this agent alone.
    for (const peer of silent) if (!this.detector.subjects.has(peer)) this.#liveness.lost(peer, nowMs - REDIAL_GRACE_MS);
    const reported = silent.length > 0 ? this.#reportChanged(nowMs) : [];
    return [...effects, ...reported, ...this.detector.plan(nowMs)];
  }

  #probed(from: PeerId, { kind, token }: Probe, nowMs: number): Effects {
    if (this.members.get(from) === undefined) return [];
    const effects = this.#heard(from, nowMs);
    if (kind === 'ping') return [...effects, { kind: 'send', to: from, message: { kind: 'pong', token } }];
    const isCleared = this.detector.answered(from, token, nowMs);
    if (!this.#cuts.isCutOff()) this.detector.release(from);
    return [...effects, ...(isCleared ? this.#reportChanged(nowMs) : []), ...this.detector.plan(nowMs)];
  }

  // Reports

  #reportIfChanged(nowMs: number): Effects {
    const before = this.reports.by(this.#self);
    const alerts = this.detector.alerts();
    const same = alerts.size === before.size && [...alerts].every(([peer, kind]) => before.get(peer) === kind);
    return same ? [] : this.#reportChanged(nowMs);
  }

  #reportChanged(nowMs: number): Effects {
    const gone = [...this.reports.by(this.#self).keys()];
    this.reports.set(this.#self, this.detector.alerts());
    if (this.#cuts.isCutOff()) this.detector.lookAround(nowMs);
    const effects = this.#judge([...gone, ...this.#cuts.concerned()], nowMs);
    if (this.#reporting) return effects;
    this.#reporting = true;
    return [...effects, { kind: 'timer', id: 'report', afterMs: REPORT_BATCH_MS }];
  }

  #reported(observer: PeerId, alerts: Alerts, nowMs: number): Effects {
    if (this.#other(observer) === undefined) return [];
    const before = this.reports.by(observer);
    this.reports.set(observer, alerts);
    this.detector.hurry(alerts.keys(), nowMs);
    return [...this.#judge([...alerts.keys(), ...before.keys()], nowMs), ...this.detector.plan(nowMs)];
  }

  #judge(peers: Iterable<PeerId>, nowMs: number): Effects {
    return this.#cuts.judge(peers, nowMs).map(({ peer, state }) => changed(peer, state));
  }

  // The sweep

  #sweepLater(nowMs: number): Effects {
    this.#sweepMs = nowMs + SWEEP_MS;
    return [{ kind: 'timer', id: 'sweep', afterMs: SWEEP_MS }];
  }

  #sweep(nowMs: number): Effects {
    const effects: Effects = [];
    if (this.detector.draw(nowMs)) effects.push(...this.#reportIfChanged(nowMs), ...this.detector.plan(nowMs));
    const open = [...this.#liveness.lostPeers, ...this.#cuts.cases];
    if (open.length > 0) effects.push(...this.#judge(open, nowMs));
    for (const { peer, state, heardMs } of this.#liveness.silent(nowMs)) {
      if (state !== 'alive') continue; // judged with another
      this.#liveness.lost(peer, heardMs);
      effects.push(...this.#judge([peer], nowMs));
    }
    return effects;
  }
}

const notice = (what: MembershipNotice): Effects[number] => ({ kind: 'notice', notice: what });
const changed = (peer: PeerId, state: MemberState): Effects[number] => notice({ kind: 'changed', peer, state });
