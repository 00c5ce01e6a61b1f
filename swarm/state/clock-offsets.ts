// The offset of this machine's clock from its peers': each status carries its sender's wall clock, and a delay can only make it look older.
// So the highest of a peer's recent offsets is the most accurate, and the median of the peers shows which clock is wrong (the idea of
// Cristian 1989; a vote of clocks as in Marzullo's algorithm, without its intervals).
import type { PeerId } from '../ports/transport.ts';

/** Two periods of a calm status and a margin. */
const WINDOW_MS = 65_000;
const MAX_HEARD = 16;
/** The median of this many peers is as good as that of all. */
const MAX_PEERS = 64;
/** With one peer alone it is unknown which of the two clocks is wrong. */
const MIN_PEERS = 2;
/** The median is computed at most this often. */
const GOOD_FOR_MS = 10_000;
/** Smaller differences of clocks are not corrected. */
const SAME_MS = 2_000;

interface Heard {
  /** How far its wall clock is ahead of our monotonic clock: our own wall clock may be set at any time without effect here. */
  aheadMs: number;
  atMs: number;
}

export class ClockOffsets {
  readonly #heard = new Map<PeerId, Heard[]>();
  #droppedMs = Number.NEGATIVE_INFINITY;
  /** The most accurate offset of each peer, sorted. */
  #judged: { nearest: readonly number[]; atMs: number } | undefined;
  /** A cache, valid while neither the peers' clocks nor our own have changed. */
  #corrected: { nearest: readonly number[]; baseMs: number; ms: number } | undefined;

  /**
   * @param theirMs the sender's wall clock, at arrival. @param nowMs monotonic.
   * @param late the longest delay on the way and in this agent's queue, and this machine's wall clock: the sender's clock may look behind
   * by this much without being so
   */
  heard(peer: PeerId, theirMs: number, nowMs: number, late = { byMs: 0, ourMs: theirMs }): void {
    let recent = this.#heard.get(peer);
    if (recent === undefined) {
      if (this.#heard.size >= MAX_PEERS && !this.#dropSilent(nowMs)) return;
      recent = [];
      this.#heard.set(peer, recent);
    }
    forgetOld(recent, nowMs);
    if (recent.length === MAX_HEARD) recent.shift();
    const behindMs = Math.max(0, late.ourMs - theirMs);
    recent.push({ aheadMs: theirMs - nowMs + Math.min(behindMs, late.byMs), atMs: nowMs });
  }

  /** Removes peers that were silent for long; false if there are none. */
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

  /**
   * Ms that this clock is behind the median of its peers'; negative if it is ahead; undefined with too few of them.
   * @param ourMs the wall clock here, now
   */
  behindMs(ourMs: number, nowMs: number): number | undefined {
    const nearest = this.#nearest(nowMs);
    return nearest.length < MIN_PEERS ? undefined : medianOf(nearest) - (ourMs - nowMs);
  }

  /**
   * What to add to this clock to get the time of most of the swarm. This clock counts as one of them; if two halves differ, the half with
   * this clock wins.
   */
  correctionMs(ourMs: number, nowMs: number): number {
    const [nearest, baseMs] = [this.#nearest(nowMs), ourMs - nowMs];
    const known = this.#corrected;
    if (known?.nearest !== nearest || Math.abs(known.baseMs - baseMs) >= 1)
      this.#corrected = { nearest, baseMs, ms: offsetOf(nearest, baseMs) };
    return this.#corrected?.ms ?? 0;
  }

  /** Ms that a peer's clock is ahead of the median of all; undefined if too few clocks, or not this one, are known. */
  aheadMs(peer: PeerId, nowMs: number): number | undefined {
    const recent = this.#heard.get(peer);
    const [most, nearest] = [recent && nearestOf(recent, nowMs), this.#nearest(nowMs)];
    return most === undefined || nearest.length < MIN_PEERS ? undefined : most - medianOf(nearest);
  }

  #nearest(nowMs: number): readonly number[] {
    const isGood =
      this.#judged !== undefined && this.#judged.nearest.length >= MIN_PEERS && nowMs - this.#judged.atMs < GOOD_FOR_MS;
    if (this.#judged === undefined || !isGood) {
      const nearest = [...this.#heard.values()].flatMap((recent) => nearestOf(recent, nowMs) ?? []);
      this.#judged = { nearest: nearest.sort((a, b) => a - b), atMs: nowMs };
    }
    return this.#judged.nearest;
  }
}

function offsetOf(nearest: readonly number[], baseMs: number): number {
  const offsets = [0, ...nearest.map((aheadMs) => aheadMs - baseMs)].sort((a, b) => a - b);
  const middle = [offsets[(offsets.length - 1) >> 1] ?? 0, offsets[offsets.length >> 1] ?? 0];
  const [offset = 0] = middle.sort((a, b) => Math.abs(a) - Math.abs(b));
  return Math.abs(offset) < SAME_MS ? 0 : offset;
}

function medianOf(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

function nearestOf(recent: Heard[], nowMs: number): number | undefined {
  forgetOld(recent, nowMs);
  let most: number | undefined;
  for (const { aheadMs } of recent) most = Math.max(most ?? aheadMs, aheadMs);
  return most;
}

/** @param recent sorted by time */
function forgetOld(recent: Heard[], nowMs: number): void {
  while (recent[0] !== undefined && nowMs - recent[0].atMs >= WINDOW_MS) recent.shift();
}
