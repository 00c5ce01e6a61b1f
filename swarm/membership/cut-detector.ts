// The verdicts on members (Rapid's multi-process cut detection): L alerts of its observers make a member `unreachable`, H of them, stable,
// make it `down`, and those that go together go together. What this agent sees itself, it acts upon at once and for itself.
import type { PeerId } from '../ports/transport.ts';
import { LONG_ALERT_MS } from './damped-alert.ts';
import type { FailureDetector } from './failure-detector.ts';
import { type Liveness, postponed } from './liveness.ts';
import type { Member, MemberState, MemberTable } from './member-table.ts';
import type { Counted, ReportTable, Voice } from './report-table.ts';

/** Silence that H observers agree on, for so long, is a verdict. Where the machine refuses connections it is one at once. */
const DOWN_AFTER_MS = LONG_ALERT_MS;
/** Members of whom some observers say so and some not are waited for, so that those that go together are cut together. */
const BATCH_PATIENCE_MS = 10_000;
const MAX_ROUNDS = 4;

/** What observers say of a member, and since when. */
interface Case {
  /** That enough of them agree. */
  agreedMs: number | undefined;
  /** That some say so. */
  openedMs: number;
}

/** What the verdicts follow from. */
export interface Evidence {
  members: MemberTable;
  /** This agent's own report included. */
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

  /** Of whom something is said, or was until now. */
  concerned(): PeerId[] {
    return [...this.#cases.keys(), ...this.#evidence.reports.accused()];
  }

  /** Judges some; and all that are accused, where one was cut, or an observer has got or lost its voice by that: a few rounds are enough, and the sweep goes on. @returns the changes of state, in order */
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

  /** Who is known to be gone cannot speak; what this agent saw itself is never doubted. */
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
    // Retracted only when most of those who said it do: a verdict does not waver.
    if (state === 'down' && alerts >= l) return 'down';
    // Fewer than H others do not outweigh that it answers this agent.
    const seesIt = explicit < h && detector.isAnswering(peer);
    if (agreedMs !== undefined && this.#mayCut() && !seesIt) {
      if (refused >= h) return 'down';
      if (nowMs - agreedMs >= DOWN_AFTER_MS && this.#isBatchWhole(nowMs)) return 'down';
    }
    if (alerts >= l && !seesIt) return 'unreachable';
    if (detector.alertOf(peer) !== undefined && this.isCutOff()) return 'unreachable';
    if (liveness.isGraceOver(peer, nowMs)) return 'unreachable';
    // By its own sign, or because those who said otherwise say so no more.
    return met && !liveness.isLost(peer) ? 'alive' : state;
  }

  /** Where half of the members are gone, it is more likely that this half is cut off: then nobody is `down`. */
  #mayCut(): boolean {
    const present = this.#evidence.members.present();
    return present.filter(({ state }) => state === 'unreachable' || state === 'down').length * 2 < present.length;
  }

  /** Nobody else is about to be cut: or it was waited for long enough. */
  #isBatchWhole(nowMs: number): boolean {
    for (const { agreedMs, openedMs } of this.#cases.values()) {
      const isUndecided = agreedMs === undefined || nowMs - agreedMs < DOWN_AFTER_MS;
      if (isUndecided && nowMs - openedMs < BATCH_PATIENCE_MS) return false;
    }
    return true;
  }

  /** This agent's loop was held for so long: what came meanwhile, with a margin, may still change what observers agree on. */
  postpone(byMs: number, marginMs: number, nowMs: number): void {
    for (const known of this.#cases.values()) {
      known.openedMs = postponed(known.openedMs, byMs, nowMs);
      if (known.agreedMs !== undefined) known.agreedMs = postponed(known.agreedMs, byMs + marginMs, nowMs, nowMs + marginMs);
    }
  }
}

const speaks = ({ state }: Member): boolean => state === 'alive' || state === 'joining';
