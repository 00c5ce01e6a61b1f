// Who belongs and who lives, after Rapid (Suresh et al. 2018): each member has observers that probe it; what an observer
// cannot reach stands in its report; L reports make a member `unreachable`, H of them, stable, `down`, several at once.
// What an agent sees with its own eyes, a closed connection above all, it acts upon at once and for itself.
import type { PeerId } from '../ports/transport.ts';
import type { BaseInput, Core, Effect, Instant } from '../runtime/effects.ts';
import { silenceMs } from './ages.ts';
import { observedBy } from './observers.ts';
import type { Probe } from './probe.ts';
import { type AlertKind, type Alerts, MAX_ALERTS } from './report.ts';
import { type Counted, ReportTable, type Voice } from './report-table.ts';
import { LONG_ALERT_MS, PROBE_EVERY_MS, Watch } from './watch.ts';
import { Who } from './who.ts';

/** `joining`: admitted, and not heard of yet. `left`: said farewell. Who is removed is no member any more, and not here. */
export type MemberState = 'joining' | 'alive' | 'unreachable' | 'down' | 'left';

export interface Member {
  peer: PeerId;
  state: MemberState;
  connected: boolean;
  /** Whether a sign of it was seen since this agent started. */
  met: boolean;
  /** Monotonic ms of the last sign of life. */
  heardMs: number;
  /** Monotonic ms of the last change of state. */
  sinceMs: number;
}

export const MAX_MEMBERS = 10_000;
/** How long a closed connection may stay closed before its peer counts as unreachable, where nobody says sooner. */
export const REDIAL_GRACE_MS = 1_000;
/** Silence that H observers agree on, for so long, is a verdict. Where the machine refuses connections it is one at once. */
const DOWN_AFTER_MS = LONG_ALERT_MS;
/** Members of whom some observers say so and some not are waited for, so that those that go together are cut together. */
const BATCH_PATIENCE_MS = 10_000;
/** What several observers see within this is one report. */
const REPORT_BATCH_MS = 25;
/** A timer that comes later than this says that the loop was held. */
const LATE_MS = 100;
const SWEEP_MS = 1_000;
const MAX_ROUNDS = 4;

export type DialOutcome = 'open' | 'refused' | 'silent';

export type MembershipInput =
  | { kind: 'start'; members: readonly PeerId[] }
  /** `added` and `removed`: by the roster. `heard`: something came from it; `spoke`: a status came that it signed so long ago, whoever brought it. */
  | { kind: 'added' | 'removed' | 'connected' | 'disconnected' | 'heard' | 'left'; peer: PeerId }
  /** A request waits for it: it is probed at once, whether or not this agent observes it. */
  | { kind: 'doubted'; peer: PeerId }
  | { kind: 'spoke'; peer: PeerId; ageMs: number }
  | { kind: 'dialed'; peer: PeerId; outcome: DialOutcome }
  | { kind: 'report'; peer: PeerId; alerts: Alerts };

export type MembershipNotice =
  | { kind: 'changed'; peer: PeerId; state: MemberState }
  | { kind: 'redial'; peer: PeerId }
  /** It does not answer this agent's probes. */
  | { kind: 'silent'; peer: PeerId }
  /** This observer's own report is another now. */
  | { kind: 'report'; alerts: Alerts };

type TimerId = 'sweep' | 'probe' | 'report';
type Effects = Effect<Probe, MembershipNotice, TimerId>[];

/** What observers say of a member, and since when. */
interface Case {
  /** That enough of them agree. */
  agreedMs: number | undefined;
  /** That some say so. */
  openedMs: number;
}

export class Membership implements Core<MembershipInput, Probe, MembershipNotice, TimerId> {
  readonly #self: PeerId;
  readonly #members = new Map<PeerId, Member>();
  /** Lost by this agent itself: when its connection closed, or that nothing came for long. */
  readonly #lostMs = new Map<PeerId, number>();
  readonly #watches = new Map<PeerId, Watch>();
  /** Whom this agent is an observer of. */
  #subjects: ReadonlySet<PeerId> = new Set();
  /** This agent's own report included. */
  readonly #reports = new ReportTable();
  readonly #cases = new Map<PeerId, Case>();
  /** All but those that left. */
  readonly #who = new Who(() => this.members().map(({ peer }) => peer));
  #plannedMs = Number.POSITIVE_INFINITY;
  #sweepMs = Number.POSITIVE_INFINITY;
  /** When a timer came last. */
  #awakeMs = Number.NEGATIVE_INFINITY;
  #reporting = false;
  #tokens = 0;
  #silentMs = 0;
  /** Moves with every change of who is known, or of anyone's state. */
  version = 0;
  /** Moves with every change of who belongs. */
  #roll = 0;
  #assignedFor = -1;

  constructor(self: PeerId) {
    this.#self = self;
  }

  /** All members but those that left, the agent itself included. */
  members(): Member[] {
    return [...this.#members.values()].filter((member) => member.state !== 'left');
  }

  /** Those that left included. */
  all(): Member[] {
    return [...this.#members.values()];
  }

  get size(): number {
    return this.#members.size;
  }

  get(peer: PeerId): Member | undefined {
    return this.#members.get(peer);
  }

  alive(): PeerId[] {
    return this.members()
      .filter((member) => member.state === 'alive')
      .map((member) => member.peer);
  }

  /** What is measured of a member that this agent observes. */
  watchOf(peer: PeerId): Pick<Watch, 'rttMs' | 'losses'> | undefined {
    return this.#watches.get(peer);
  }

  /** To the probes of this agent. */
  isSilent(peer: PeerId): boolean {
    return ['silent', 'refused'].includes(this.#watches.get(peer)?.alert ?? '');
  }

  /** Whom this agent is an observer of. */
  get subjects(): ReadonlySet<PeerId> {
    return this.#subjects;
  }

  /** Who says that it cannot reach a member, and how; this agent's own word included. */
  accusersOf(peer: PeerId): { observer: PeerId; kind: AlertKind }[] {
    const accusers = [...(this.#reports.accusersOf(peer) ?? [])];
    return accusers.map((observer) => ({ observer, kind: this.#reports.kindOf(observer, peer) ?? 'silent' }));
  }

  step(input: MembershipInput | BaseInput<Probe, TimerId>, now: Instant): Effects {
    this.#allowForOwnStall(now);
    switch (input.kind) {
      case 'start':
        this.#add(this.#self, 'alive', now);
        for (const peer of input.members) this.#add(peer, 'unreachable', now);
        this.#sweepMs = now.monotonicMs + SWEEP_MS;
        return [{ kind: 'timer', id: 'sweep', afterMs: SWEEP_MS }];
      case 'added':
        return this.#add(input.peer, 'joining', now) ? [changed(input.peer, 'joining')] : [];
      case 'removed':
        return this.#remove(input.peer, now);
      case 'spoke':
        return this.#spoke(input.peer, input.ageMs, now);
      case 'connected':
        return this.#connected(input.peer, now);
      case 'disconnected':
        return this.#disconnected(input.peer, now);
      case 'heard':
        return this.#heard(input.peer, now);
      case 'left':
        return this.#left(input.peer, now);
      case 'doubted':
        return this.#doubted(input.peer, now);
      case 'dialed':
        return this.#dialed(input.peer, input.outcome, now);
      case 'report':
        return this.#reported(input.peer, input.alerts, now);
      case 'message':
        return this.#probed(input.from, input.message, now);
      case 'timer':
        return this.#timer(input.id, now);
    }
  }

  #timer(id: TimerId, now: Instant): Effects {
    switch (id) {
      case 'sweep': {
        const effects = this.#sweep(now);
        this.#sweepMs = now.monotonicMs + SWEEP_MS;
        return [...effects, { kind: 'timer', id: 'sweep', afterMs: SWEEP_MS }];
      }
      case 'report':
        this.#reporting = false;
        return [notice({ kind: 'report', alerts: this.#reports.by(this.#self) })];
      case 'probe':
        return this.#probe(now);
    }
  }

  // Who belongs

  #add(peer: PeerId, state: MemberState, now: Instant): boolean {
    if (this.#members.has(peer) || this.#members.size >= MAX_MEMBERS) return false;
    this.#members.set(peer, { peer, state, connected: false, met: false, heardMs: now.monotonicMs, sinceMs: now.monotonicMs });
    this.#rolled();
    return true;
  }

  #rolled(): void {
    this.version++;
    this.#roll++;
    this.#who.changed();
  }

  #remove(peer: PeerId, now: Instant): Effects {
    if (!this.#members.has(peer) || peer === this.#self) return [];
    this.#forget(peer);
    this.#members.delete(peer);
    this.#rolled();
    return this.#judge(this.#concerned(), now);
  }

  /** What it said and what was said of it counts no more. */
  #forget(peer: PeerId): void {
    this.#lostMs.delete(peer);
    this.#watches.delete(peer);
    this.#cases.delete(peer);
    this.#reports.forget(peer);
  }

  #left(peer: PeerId, now: Instant): Effects {
    if (!this.#members.has(peer) || peer === this.#self) return [];
    this.#forget(peer);
    const effects = this.#change(peer, 'left', now);
    this.#rolled();
    return [...effects, ...this.#judge(this.#concerned(), now)];
  }

  // Signs of life, and their end

  /** A sign of life from then; of before it was lost it proves nothing. */
  #seen(member: Member, atMs: number): void {
    member.heardMs = Math.max(member.heardMs, atMs);
    const lostMs = this.#lostMs.get(member.peer);
    if (lostMs !== undefined && atMs < lostMs) return;
    member.met = true;
    this.#lostMs.delete(member.peer);
  }

  /** What was under way when it left brings nobody back. */
  #heard(peer: PeerId, now: Instant): Effects {
    const member = this.#members.get(peer);
    if (member === undefined || peer === this.#self || member.state === 'left') return [];
    this.#seen(member, now.monotonicMs);
    this.#watches.get(peer)?.heard(now.monotonicMs);
    return this.#unlessSettled(member, now);
  }

  /** A status that is newer than all before it: one that left is back. */
  #spoke(peer: PeerId, ageMs: number, now: Instant): Effects {
    const member = this.#members.get(peer);
    if (member === undefined || peer === this.#self) return [];
    this.#seen(member, now.monotonicMs - ageMs);
    return this.#unlessSettled(member, now);
  }

  #unlessSettled(member: Member, now: Instant): Effects {
    const { peer } = member;
    return member.state === 'alive' && !this.#cases.has(peer) ? [] : this.#returned(member, now);
  }

  #returned(member: Member, now: Instant): Effects {
    if (member.state === 'left') {
      member.state = 'joining';
      this.#rolled();
    }
    return this.#judge([member.peer], now);
  }

  #connected(peer: PeerId, now: Instant): Effects {
    const member = this.#members.get(peer);
    if (member === undefined) return [];
    member.connected = true;
    this.#seen(member, now.monotonicMs);
    const cleared = this.#watches.get(peer)?.connected(now.monotonicMs) === true;
    return [...this.#returned(member, now), ...(cleared ? this.#reportChanged(now) : []), ...this.#plan(now)];
  }

  #disconnected(peer: PeerId, now: Instant): Effects {
    const member = this.#members.get(peer);
    if (member === undefined) return [];
    member.connected = false;
    if (member.state !== 'alive' && member.state !== 'joining') return [];
    this.#lostMs.set(peer, now.monotonicMs);
    return [notice({ kind: 'redial', peer })];
  }

  /** What came of a dial: refused is certain, silence is what it is. */
  #dialed(peer: PeerId, outcome: DialOutcome, now: Instant): Effects {
    const member = this.#members.get(peer);
    if (member === undefined || outcome === 'open' || member.connected || member.state === 'left') return [];
    const effects: Effects = [];
    if (this.#subjects.has(peer) && this.#watches.get(peer)?.raise(outcome, now.monotonicMs) === true)
      effects.push(...this.#reportChanged(now));
    // Lost once the grace is over: at once where it was refused.
    const lostMs = this.#lostMs.get(peer);
    if (lostMs !== undefined && outcome === 'refused')
      this.#lostMs.set(peer, Math.min(lostMs, now.monotonicMs - REDIAL_GRACE_MS));
    return [...effects, ...this.#judge([peer], now)];
  }

  // Probes

  /** Whom this agent observes, made again where the members changed: not at once, for many may come together. */
  #assign(now: Instant): Effects {
    if (this.#assignedFor === this.#roll) return [];
    this.#assignedFor = this.#roll;
    this.#subjects = new Set(observedBy(this.#self, this.#who.peers));
    for (const peer of this.#watches.keys()) if (!this.#subjects.has(peer)) this.#watches.delete(peer);
    let nth = 0;
    for (const peer of this.#subjects) {
      // Spread over the period, so that they do not all come due together.
      const dueMs = now.monotonicMs + (PROBE_EVERY_MS * ++nth) / (this.#subjects.size + 1);
      if (!this.#watches.has(peer)) this.#watches.set(peer, new Watch(dueMs));
    }
    return [...this.#reportIfChanged(now), ...this.#plan(now)];
  }

  /** Sets the timer to when the first of those watched is due. */
  #plan(now: Instant): Effects {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const watch of this.#watches.values()) dueMs = Math.min(dueMs, watch.dueMs);
    if (dueMs === Number.POSITIVE_INFINITY || dueMs >= this.#plannedMs) return [];
    this.#plannedMs = Math.max(dueMs, now.monotonicMs); // overdue is due now, and no sign that this loop was held
    return [{ kind: 'timer', id: 'probe', afterMs: this.#plannedMs - now.monotonicMs }];
  }

  #probe(now: Instant): Effects {
    const nowMs = now.monotonicMs;
    this.#plannedMs = Number.POSITIVE_INFINITY;
    const effects: Effects = [];
    let raised = false;
    for (const [peer, watch] of this.#watches) {
      if (watch.dueMs > nowMs) continue;
      const member = this.#members.get(peer);
      if (member === undefined) continue;
      if (watch.isAwaiting && watch.missed(nowMs)) {
        raised = true;
        effects.push(notice({ kind: 'silent', peer }));
        if (!this.#subjects.has(peer)) this.#lostMs.set(peer, nowMs - REDIAL_GRACE_MS);
      }
      if (watch.dueMs > nowMs) continue;
      // Who is only about to join is not looked for.
      if (member.state === 'joining') watch.dueMs = nowMs + PROBE_EVERY_MS;
      else effects.push(...this.#sendProbe(member, watch, nowMs));
    }
    if (raised) effects.push(...this.#reportChanged(now));
    return [...effects, ...this.#plan(now)];
  }

  /** A timer that is late says that this loop was held: what others sent meanwhile is still to be read, and nobody's silence counts. */
  #allowForOwnStall({ monotonicMs: nowMs }: Instant): void {
    const lateMs = nowMs - Math.max(Math.min(this.#plannedMs, this.#sweepMs), this.#awakeMs);
    if (lateMs <= LATE_MS) return;
    this.#awakeMs = nowMs;
    for (const watch of this.#watches.values()) if (watch.isAwaiting) watch.stretch(lateMs + LATE_MS);
    // Never to a time that is still to come: no sign of life would be later than that it was lost.
    const later = (ms: number, byMs: number, mostMs = nowMs): number => Math.max(ms, Math.min(mostMs, ms + byMs));
    for (const member of this.#members.values()) member.heardMs = later(member.heardMs, lateMs);
    for (const [peer, lostMs] of this.#lostMs) this.#lostMs.set(peer, later(lostMs, lateMs));
    for (const known of this.#cases.values()) {
      known.openedMs = later(known.openedMs, lateMs);
      if (known.agreedMs !== undefined) known.agreedMs = later(known.agreedMs, lateMs + LATE_MS, nowMs + LATE_MS);
    }
  }

  /** More than half of those that it watches do not answer: then it may be this agent that is cut off. */
  #isCutOff(): boolean {
    const alerts = this.#reports.by(this.#self).size;
    return alerts * 2 > this.#subjects.size;
  }

  /** Cut off, it hears no reports: it looks for itself who of those that it is connected with still answers. */
  #lookAround(now: Instant): void {
    for (const { peer, connected } of this.#members.values())
      if (connected && peer !== this.#self && !this.#watches.has(peer)) this.#watches.set(peer, new Watch(now.monotonicMs));
  }

  #doubted(peer: PeerId, now: Instant): Effects {
    if (this.#members.get(peer)?.connected !== true) return [];
    const watch = this.#watches.get(peer) ?? new Watch(now.monotonicMs);
    this.#watches.set(peer, watch);
    if (watch.isCalm && !watch.isAwaiting) watch.dueMs = now.monotonicMs;
    return this.#plan(now);
  }

  #sendProbe(member: Member, watch: Watch, nowMs: number): Effects {
    this.#tokens = (this.#tokens + 1) >>> 0;
    watch.sent(this.#tokens, nowMs);
    if (!member.connected) return [notice({ kind: 'redial', peer: member.peer })];
    return [{ kind: 'send', to: member.peer, message: { kind: 'ping', token: this.#tokens } }];
  }

  #probed(from: PeerId, { kind, token }: Probe, now: Instant): Effects {
    const member = this.#members.get(from);
    if (member === undefined) return [];
    const effects = this.#heard(from, now);
    if (kind === 'ping') return [...effects, { kind: 'send', to: from, message: { kind: 'pong', token } }];
    const watch = this.#watches.get(from);
    const cleared = watch?.answered(token, now.monotonicMs) === true;
    if (watch?.isCalm === true && !this.#subjects.has(from) && !this.#isCutOff()) this.#watches.delete(from);
    return [...effects, ...(cleared ? this.#reportChanged(now) : []), ...this.#plan(now)];
  }

  // Reports

  #ownAlerts(): Alerts {
    const alerts = new Map<PeerId, AlertKind>();
    for (const peer of this.#subjects) {
      const alert = this.#watches.get(peer)?.alert;
      if (alert !== undefined && alerts.size < MAX_ALERTS) alerts.set(peer, alert);
    }
    return alerts;
  }

  #reportIfChanged(now: Instant): Effects {
    const before = this.#reports.by(this.#self);
    const alerts = this.#ownAlerts();
    const same = alerts.size === before.size && [...alerts].every(([peer, kind]) => before.get(peer) === kind);
    return same ? [] : this.#reportChanged(now);
  }

  #reportChanged(now: Instant): Effects {
    const gone = [...this.#reports.by(this.#self).keys()];
    this.#reports.set(this.#self, this.#ownAlerts());
    if (this.#isCutOff()) this.#lookAround(now);
    const effects = this.#judge([...gone, ...this.#concerned()], now);
    if (this.#reporting) return effects;
    this.#reporting = true;
    return [...effects, { kind: 'timer', id: 'report', afterMs: REPORT_BATCH_MS }];
  }

  #reported(observer: PeerId, alerts: Alerts, now: Instant): Effects {
    if (observer === this.#self || !this.#members.has(observer)) return [];
    const before = this.#reports.by(observer);
    this.#reports.set(observer, alerts);
    for (const peer of alerts.keys()) {
      // Another observer of one that I watch has something to say: I look at once.
      const watch = this.#watches.get(peer);
      if (watch?.isCalm === true && !watch.isAwaiting) watch.dueMs = now.monotonicMs;
    }
    return [...this.#judge([...alerts.keys(), ...before.keys()], now), ...this.#plan(now)];
  }

  // Verdicts

  /** Who is known to be gone cannot speak; what this agent saw itself is never doubted. */
  #voiceOf(observer: PeerId): Voice {
    if (observer === this.#self) return 'own';
    const state = this.#members.get(observer)?.state;
    return state === 'unreachable' || state === 'down' ? 'gone' : 'heard';
  }

  /** Of whom something is said, or was until now. */
  #concerned(): PeerId[] {
    return [...this.#cases.keys(), ...this.#reports.accused()];
  }

  /** Judges some; and all that are accused, where one was cut, or an observer has got or lost its voice by that: a few rounds are enough, and the sweep goes on. */
  #judge(peers: Iterable<PeerId>, now: Instant): Effects {
    const effects: Effects = [];
    let toJudge = new Set(peers);
    for (let round = 0; round < MAX_ROUNDS && toJudge.size > 0; round++) {
      let concernsAll = false;
      for (const peer of toJudge) {
        const spoke = this.#speaks(peer);
        const judged = this.#judgeOne(peer, now);
        effects.push(...judged);
        const cut = judged.length > 0 && this.#members.get(peer)?.state === 'down';
        if (cut || this.#speaks(peer) !== spoke) concernsAll = true;
      }
      toJudge = new Set(concernsAll ? this.#concerned() : []);
    }
    return effects;
  }

  #speaks(peer: PeerId): boolean {
    const state = this.#members.get(peer)?.state;
    return state === 'alive' || state === 'joining';
  }

  #judgeOne(peer: PeerId, now: Instant): Effects {
    const member = this.#members.get(peer);
    if (member === undefined || peer === this.#self || member.state === 'left') return [];
    const { k, l, h } = this.#who.parameters;
    const counted = this.#reports.count(
      peer,
      () => this.#who.observersOf(peer),
      (observer) => this.#voiceOf(observer),
      k,
    );
    this.#keepCase(peer, counted, h, now.monotonicMs);
    return this.#change(peer, this.#stateOf(member, { ...counted, l, h }, now.monotonicMs), now);
  }

  #keepCase(peer: PeerId, { alerts, silent }: Counted, h: number, nowMs: number): void {
    if (alerts === 0) {
      this.#cases.delete(peer);
      return;
    }
    const known = this.#cases.get(peer) ?? { agreedMs: undefined, openedMs: nowMs };
    this.#cases.set(peer, known);
    if (silent < h) known.agreedMs = undefined;
    else known.agreedMs ??= nowMs;
  }

  #stateOf(member: Member, says: Counted & { l: number; h: number }, nowMs: number): MemberState {
    const { peer, state } = member;
    const { explicit, alerts, refused, l, h } = says;
    const agreedMs = this.#cases.get(peer)?.agreedMs;
    // Taken back only when most of those who said it do: a verdict does not waver.
    if (state === 'down' && alerts >= l) return 'down';
    const seesIt = explicit < h && this.#seesIt(peer);
    if (agreedMs !== undefined && this.#mayCut() && !seesIt) {
      if (refused >= h) return 'down';
      if (nowMs - agreedMs >= DOWN_AFTER_MS && this.#isBatchWhole(nowMs)) return 'down';
    }
    if (alerts >= l && !seesIt) return 'unreachable';
    if (this.#watches.get(peer)?.alert !== undefined && this.#isCutOff()) return 'unreachable';
    const lostMs = this.#lostMs.get(peer);
    if (lostMs !== undefined && nowMs - lostMs >= REDIAL_GRACE_MS) return 'unreachable';
    // By its own sign, or because those who said otherwise say so no more.
    return member.met && lostMs === undefined ? 'alive' : state;
  }

  /** This agent watches it, and it answers: fewer than H others who say otherwise do not outweigh that. */
  #seesIt(peer: PeerId): boolean {
    const watch = this.#watches.get(peer);
    return watch?.isCalm === true && this.#members.get(peer)?.connected === true;
  }

  /** Where half of the members are gone, it is more likely that this half is cut off: then nobody is `down`. */
  #mayCut(): boolean {
    let gone = 0;
    let all = 0;
    for (const { state } of this.#members.values()) {
      if (state === 'left') continue;
      all++;
      if (state === 'unreachable' || state === 'down') gone++;
    }
    return gone * 2 < all;
  }

  /** Nobody else is about to be cut: or it was waited for long enough. */
  #isBatchWhole(nowMs: number): boolean {
    for (const { agreedMs, openedMs } of this.#cases.values()) {
      const isUndecided = agreedMs === undefined || nowMs - agreedMs < DOWN_AFTER_MS;
      if (isUndecided && nowMs - openedMs < BATCH_PATIENCE_MS) return false;
    }
    return true;
  }

  #change(peer: PeerId, state: MemberState, now: Instant): Effects {
    const member = this.#members.get(peer);
    if (member === undefined || member.state === state) return [];
    member.state = state;
    this.version++;
    member.sinceMs = now.monotonicMs;
    return [changed(peer, state)];
  }

  // The sweep

  #sweep(now: Instant): Effects {
    const effects = this.#assign(now);
    const open = [...this.#lostMs.keys(), ...this.#cases.keys()];
    if (open.length > 0) effects.push(...this.#judge(open, now));
    if (now.monotonicMs >= this.#silentMs) effects.push(...this.#sweepSilent(now));
    return effects;
  }

  /** Looks at all, and notes when the first of them could be silent for too long: before then nobody needs to be looked at. */
  #sweepSilent(now: Instant): Effects {
    const effects: Effects = [];
    const mostMs = silenceMs(this.#members.size);
    let earliestMs = now.monotonicMs;
    for (const { peer, state, heardMs } of this.#members.values()) {
      if (state !== 'alive' || peer === this.#self) continue;
      if (now.monotonicMs - heardMs > mostMs) {
        this.#lostMs.set(peer, heardMs);
        effects.push(...this.#judge([peer], now));
      } else earliestMs = Math.min(earliestMs, heardMs);
    }
    this.#silentMs = earliestMs + mostMs;
    return effects;
  }
}

const notice = (what: MembershipNotice): Effects[number] => ({ kind: 'notice', notice: what });
const changed = (peer: PeerId, state: MemberState): Effects[number] => notice({ kind: 'changed', peer, state });
