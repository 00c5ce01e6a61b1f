// Signs of life that this agent has seen itself: when the last one of each member came, and which members it has lost. A sign from before
// a loss does not end the loss.
import type { PeerId } from '../ports/transport.ts';
import { silenceMs } from './ages.ts';
import type { Member, MemberTable } from './member-table.ts';

/** A connection that stays closed for longer than this makes its peer unreachable; a refused dial does so at once. */
export const REDIAL_GRACE_MS = 1_000;

export class Liveness {
  readonly #self: PeerId;
  readonly #members: MemberTable;
  /** Since when: its connection closed then, or its last sign of life came then and nothing since. */
  readonly #lostMs = new Map<PeerId, number>();
  /** Before this time no member can have been silent for too long. */
  #silentMs = 0;

  constructor(self: PeerId, members: MemberTable) {
    this.#self = self;
    this.#members = members;
  }

  /** A sign of life from then. */
  seen(member: Member, atMs: number): void {
    member.heardMs = Math.max(member.heardMs, atMs);
    const lostMs = this.#lostMs.get(member.peer);
    if (lostMs !== undefined && atMs < lostMs) return;
    member.met = true;
    this.#lostMs.delete(member.peer);
  }

  /** Lost since then; it counts when the grace period is over. */
  lost(peer: PeerId, sinceMs: number): void {
    this.#lostMs.set(peer, sinceMs);
  }

  /** Its machine refuses connections: its loss counts without a grace period. */
  refused(peer: PeerId, nowMs: number): void {
    const lostMs = this.#lostMs.get(peer);
    if (lostMs !== undefined) this.#lostMs.set(peer, Math.min(lostMs, nowMs - REDIAL_GRACE_MS));
  }

  isLost(peer: PeerId): boolean {
    return this.#lostMs.has(peer);
  }

  isGraceOver(peer: PeerId, nowMs: number): boolean {
    const lostMs = this.#lostMs.get(peer);
    return lostMs !== undefined && nowMs - lostMs >= REDIAL_GRACE_MS;
  }

  get lostPeers(): IterableIterator<PeerId> {
    return this.#lostMs.keys();
  }

  forget(peer: PeerId): void {
    this.#lostMs.delete(peer);
  }

  /** The members that have been silent for too long. It also computes when the next one could be, and checks no member before that. */
  silent(nowMs: number): Member[] {
    if (nowMs < this.#silentMs) return [];
    const maxMs = silenceMs(this.#members.size);
    const alive = this.#members.all().filter(({ peer, state }) => state === 'alive' && peer !== this.#self);
    const silent = alive.filter(({ heardMs }) => nowMs - heardMs > maxMs);
    const earliestMs = alive.reduce((ms, { heardMs }) => (nowMs - heardMs > maxMs ? ms : Math.min(ms, heardMs)), nowMs);
    this.#silentMs = earliestMs + maxMs;
    return silent;
  }

  /** This agent's loop was held for so long: that is not the others' silence. */
  postpone(byMs: number, nowMs: number): void {
    for (const member of this.#members.all()) member.heardMs = postponed(member.heardMs, byMs, nowMs);
    for (const [peer, lostMs] of this.#lostMs) this.#lostMs.set(peer, postponed(lostMs, byMs, nowMs));
  }
}

/** Later by so much, but not later than a limit, by default now: a loss in the future would outlast every sign of life. */
export function postponed(ms: number, byMs: number, nowMs: number, maxMs = nowMs): number {
  return Math.max(ms, Math.min(maxMs, ms + byMs));
}
