// What this agent itself knows of the others' lives: when a sign of each came last, and whose connection it has lost. A sign of life from
// before a loss proves nothing.
import type { PeerId } from '../ports/transport.ts';
import { silenceMs } from './ages.ts';
import type { Member, MemberTable } from './member-table.ts';

/** How long a closed connection may stay closed before its peer counts as unreachable, where nobody says sooner. */
export const REDIAL_GRACE_MS = 1_000;

export class Liveness {
  readonly #self: PeerId;
  readonly #members: MemberTable;
  /** Lost by this agent itself: when its connection closed, or that nothing came for long. */
  readonly #lostMs = new Map<PeerId, number>();
  /** Nobody can have been silent for too long before then. */
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

  /** Lost since then; it counts once the grace is over. */
  lost(peer: PeerId, sinceMs: number): void {
    this.#lostMs.set(peer, sinceMs);
  }

  /** Its machine refuses connections: what is lost has no grace. */
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

  /** Who has been silent for too long. Looks at all, and notes when the first of the others could be: before then nobody needs to be looked at. */
  silent(nowMs: number): Member[] {
    if (nowMs < this.#silentMs) return [];
    const mostMs = silenceMs(this.#members.size);
    const alive = this.#members.all().filter(({ peer, state }) => state === 'alive' && peer !== this.#self);
    const silent = alive.filter(({ heardMs }) => nowMs - heardMs > mostMs);
    const earliestMs = alive.reduce((ms, { heardMs }) => (nowMs - heardMs > mostMs ? ms : Math.min(ms, heardMs)), nowMs);
    this.#silentMs = earliestMs + mostMs;
    return silent;
  }

  /** This agent's loop was held for so long: that is not the others' silence. */
  postpone(byMs: number, nowMs: number): void {
    for (const member of this.#members.all()) member.heardMs = postponed(member.heardMs, byMs, nowMs);
    for (const [peer, lostMs] of this.#lostMs) this.#lostMs.set(peer, postponed(lostMs, byMs, nowMs));
  }
}

/** Never to later than a time, by default now: no sign of life would be later than that it was lost. */
export function postponed(ms: number, byMs: number, nowMs: number, mostMs = nowMs): number {
  return Math.max(ms, Math.min(mostMs, ms + byMs));
}
