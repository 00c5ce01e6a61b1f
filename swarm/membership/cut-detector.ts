// The verdicts on members (Rapid's multi-process cut detection): L alerts of its observers make a member `unreachable`, and H of them, stable,
// make it `down`. Members that fail together are cut together. What this agent sees itself makes a member `unreachable` for this agent only,
// and immediately.
import type { PeerId } from '../ports/transport.ts';
import { LONG_ALERT_MS } from './damped-alert.ts';
import type { FailureDetector } from './failure-detector.ts';
import { type Liveness, postponed } from './liveness.ts';
import type { Member, MemberState, MemberTable } from './member-table.ts';
import type { Counted, ReportTable, Voice } from './report-table.ts';

/** Silence that H observers agree on for this long makes a member `down`. If its machine refuses connections, it is `down` immediately. */
const DOWN_AFTER_MS = LONG_ALERT_MS;
/** A verdict waits this long for other members whose observers do not agree yet, so that members that fail together are cut together. */
const BATCH_PATIENCE_MS = 10_000;
const MAX_ROUNDS = 4;

/** The alerts about a member: since when there are some, and since when enough observers agree. */
interface Case {
  /** Undefined while fewer than H observers agree. */
  agreedMs: number | undefined;
  openedMs: number;
}

/** What the verdicts are based on. */
export interface Evidence {
  members: MemberTable;
  /** Of all observers, this agent included. */
  reports: ReportTable;
  detector: FailureDetector;
  liveness: Liveness;
}

export class CutDetector {
  readonly #self: PeerId;
  readonly #evidence: Evidence;
  readonly #cases = new Map<PeerId, Case>();

  constructor(self: PeerId, evidence: Evidence) {
    this.#self = self;
    this.#evidence = evidence;
  }

  /** Some observers have alerts about it. */
  hasCase(peer: PeerId): boolean {
    return this.#cases.has(peer);
  }

  get cases(): IterableIterator<PeerId> {
    return this.#cases.keys();
  }

  forget(peer: PeerId): void {
    this.#cases.delete(peer);
  }

  /** More than half of those that it observes do not answer: then it may be this agent that is cut off. */
  isCutOff(): boolean {
    const { reports, detector } = this.#evidence;
    return reports.by(this.#self).size * 2 > detector.subjects.size;
  }

  /** Members about which there are alerts, or were until now. */
  concerned(): PeerId[] {
    return [...this.#cases.keys(), ...this.#evidence.reports.accused()];
  }

  /** Judges these members. If one was cut, or an observer's reports count from now on or no longer, it judges all accused members again: a few rounds are enough, and the sweep goes on. @returns the changes of state, in order */
  judge(peers: Iterable<PeerId>, nowMs: number): { peer: PeerId; state: MemberState }[] {
    const { members } = this.#evidence;
    const changes: { peer: PeerId; state: MemberState }[] = [];
    let toJudge = new Set(peers);
    for (let round = 0; round < MAX_ROUNDS && toJudge.size > 0; round++) {
      let concernsAll = false;
      for (const peer of toJudge) {
        const member = members.get(peer);
        if (member === undefined || peer === this.#self || member.state === 'left') continue;
        const spoke = speaks(member);
        if (!members.change(member, this.#verdict(member, nowMs), nowMs)) continue;
        changes.push({ peer, state: member.state });
        if (member.state === 'down' || speaks(member) !== spoke) concernsAll = true;
      }
      toJudge = new Set(concernsAll ? this.concerned() : []);
    }
    return changes;
  }

  #verdict(member: Member, nowMs: number): MemberState {
    const { members, reports } = this.#evidence;
    const { k, l, h } = members.parameters;
    const counted = reports.count(
      member.peer,
      () => members.observersOf(member.peer),
      (observer) => this.#voiceOf(observer),
      k,
    );
    this.#keepCase(member.peer, counted, h, nowMs);
    return this.#stateOf(member, { ...counted, l, h }, nowMs);
  }

  /** The reports of an observer that is gone do not count; those of this agent itself are never doubted. */
  #voiceOf(observer: PeerId): Voice {
    if (observer === this.#self) return 'own';
    const state = this.#evidence.members.get(observer)?.state;
    return state === 'unreachable' || state === 'down' ? 'gone' : 'heard';
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

  #stateOf({ peer, state, met }: Member, says: Counted & { l: number; h: number }, nowMs: number): MemberState {
    const { detector, liveness } = this.#evidence;
    const { explicit, alerts, refused, l, h } = says;
    const agreedMs = this.#cases.get(peer)?.agreedMs;
    // A verdict ends only when most of its alerts are retracted, so that it does not waver.
    if (state === 'down' && alerts >= l) return 'down';
    // It answers this agent: fewer than H other observers do not outweigh that.
    const seesIt = explicit < h && detector.isAnswering(peer);
    if (agreedMs !== undefined && this.#mayCut() && !seesIt) {
      if (refused >= h) return 'down';
      if (nowMs - agreedMs >= DOWN_AFTER_MS && this.#isBatchWhole(nowMs)) return 'down';
    }
    if (alerts >= l && !seesIt) return 'unreachable';
    if (detector.alertOf(peer) !== undefined && this.isCutOff()) return 'unreachable';
    if (liveness.isGraceOver(peer, nowMs)) return 'unreachable';
    // It has given a sign of life itself, or the alerts about it were retracted.
    return met && !liveness.isLost(peer) ? 'alive' : state;
  }

  /** If half of the members are gone, it is more likely that this half is cut off: then no member is `down`. */
  #mayCut(): boolean {
    const present = this.#evidence.members.present();
    return present.filter(({ state }) => state === 'unreachable' || state === 'down').length * 2 < present.length;
  }

  /** No other member is about to be cut, or the verdict has waited long enough for it. */
  #isBatchWhole(nowMs: number): boolean {
    for (const { agreedMs, openedMs } of this.#cases.values()) {
      const isUndecided = agreedMs === undefined || nowMs - agreedMs < DOWN_AFTER_MS;
      if (isUndecided && nowMs - openedMs < BATCH_PATIENCE_MS) return false;
    }
    return true;
  }

  /** This agent's loop was late by so much: reports may have come that it has not read yet, for which the margin leaves time. */
  postpone(byMs: number, marginMs: number, nowMs: number): void {
    for (const known of this.#cases.values()) {
      known.openedMs = postponed(known.openedMs, byMs, nowMs);
      if (known.agreedMs !== undefined) known.agreedMs = postponed(known.agreedMs, byMs + marginMs, nowMs, nowMs + marginMs);
    }
  }
}

const speaks = ({ state }: Member): boolean => state === 'alive' || state === 'joining';
