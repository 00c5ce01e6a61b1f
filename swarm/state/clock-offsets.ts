// How far this machine's clock is from its peers': each status carries its sender's wall clock, and what is on its way for a
// while can only look older. So the highest of a peer's recent offsets is the nearest to the truth, and the median of the
// peers says who is off (the idea of Cristian 1989; a vote of clocks as in Marzullo's, without its intervals).
import type { PeerId } from '../ports/transport.ts';

/** Two periods of a calm status and a margin. */
const WINDOW_MS = 65_000;
const MAX_HEARD = 16;
/** The median of so many is as good as that of all. */
const MAX_PEERS = 64;
/** With one peer alone nobody knows which of the two is off. */
const MIN_PEERS = 2;
/** The median is not made anew more often than this. */
const GOOD_FOR_MS = 10_000;
/** Our own clock was set when it moved this much against the monotonic one: what was heard before says nothing any more. */
const STEP_MS = 500;

interface Heard {
  offsetMs: number;
  atMs: number;
}

export class ClockOffsets {
  readonly #heard = new Map<PeerId, Heard[]>();
  /** Our wall clock at monotonic 0, by the last look at both. */
  #base: number | undefined;
  #droppedMs = Number.NEGATIVE_INFINITY;
  #judged: { behindMs: number | undefined; atMs: number } | undefined;

  /**
   * @param theirMs the sender's wall clock. @param ourMs this machine's, at arrival. @param nowMs monotonic.
   * @param lateMs what it may have waited on its way, and here before it was read: so much older than it is it may look.
   */
  heard(peer: PeerId, theirMs: number, ourMs: number, nowMs: number, lateMs = 0): void {
    const base = ourMs - nowMs;
    if (this.#base !== undefined && Math.abs(base - this.#base) > STEP_MS) {
      this.#heard.clear();
      this.#judged = undefined;
    }
    this.#base = base;
    let recent = this.#heard.get(peer);
    if (recent === undefined) {
      if (this.#heard.size >= MAX_PEERS && !this.#dropSilent(nowMs)) return;
      recent = [];
      this.#heard.set(peer, recent);
    }
    forgetOld(recent, nowMs);
    if (recent.length === MAX_HEARD) recent.shift();
    const offsetMs = theirMs - ourMs;
    recent.push({ offsetMs: offsetMs < 0 ? Math.min(0, offsetMs + lateMs) : offsetMs, atMs: nowMs });
  }

  /** Makes room of those that were not heard for long; false where there are none. */
  #dropSilent(nowMs: number): boolean {
    if (nowMs - this.#droppedMs < GOOD_FOR_MS) return false;
    this.#droppedMs = nowMs;
    const before = this.#heard.size;
    for (const [peer, recent] of this.#heard) if (nowMs - (recent.at(-1)?.atMs ?? 0) >= WINDOW_MS) this.#heard.delete(peer);
    return this.#heard.size < before;
  }

  forget(peer: PeerId): void {
    this.#heard.delete(peer);
  }

  /** Ms that this clock is behind the median of its peers'; negative where it is ahead; undefined with too few of them. */
  behindMs(nowMs: number): number | undefined {
    if (this.#judged?.behindMs === undefined || nowMs - this.#judged.atMs >= GOOD_FOR_MS)
      this.#judged = { behindMs: this.#median(nowMs), atMs: nowMs };
    return this.#judged.behindMs;
  }

  /** Ms that a peer's clock is ahead of the median of all; undefined where too few are known, or that one is not. */
  aheadMs(peer: PeerId, nowMs: number): number | undefined {
    const recent = this.#heard.get(peer);
    const [most, behindMs] = [recent && nearestOf(recent, nowMs), this.behindMs(nowMs)];
    return most === undefined || behindMs === undefined ? undefined : most - behindMs;
  }

  #median(nowMs: number): number | undefined {
    const nearest = [...this.#heard.values()].flatMap((recent) => nearestOf(recent, nowMs) ?? []);
    if (nearest.length < MIN_PEERS) return undefined;
    const sorted = nearest.sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 === 1 ? sorted[middle] : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  }
}

function nearestOf(recent: Heard[], nowMs: number): number | undefined {
  forgetOld(recent, nowMs);
  let most: number | undefined;
  for (const { offsetMs } of recent) most = Math.max(most ?? offsetMs, offsetMs);
  return most;
}

/** They are in order of time. */
function forgetOld(recent: Heard[], nowMs: number): void {
  while (recent[0] !== undefined && nowMs - recent[0].atMs >= WINDOW_MS) recent.shift();
}
