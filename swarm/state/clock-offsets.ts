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
/** The median is not made again more often than this. */
const GOOD_FOR_MS = 10_000;
/** Clocks that differ by less are the same: what is dated by one is not worth correcting. */
const SAME_MS = 2_000;

interface Heard {
  /** What its clock is ahead of the one here that nobody sets: our own wall clock may be set at any time, and that changes nothing. */
  aheadMs: number;
  atMs: number;
}

export class ClockOffsets {
  readonly #heard = new Map<PeerId, Heard[]>();
  #droppedMs = Number.NEGATIVE_INFINITY;
  /** The nearest of each peer, in order. */
  #judged: { nearest: readonly number[]; atMs: number } | undefined;
  /** Asked for often: it stays while neither the peers' clocks nor our own have moved. */
  #corrected: { nearest: readonly number[]; baseMs: number; ms: number } | undefined;

  /**
   * @param theirMs the sender's wall clock, at arrival. @param nowMs monotonic.
   * @param late for how long it may have waited on its way, and here before it was read, and this machine's wall clock: by so
   * much its clock may look behind, and is not
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

  /** Ms that this clock is behind the median of its peers'; negative where it is ahead; undefined with too few of them. @param ourMs the wall clock here, now. */
  behindMs(ourMs: number, nowMs: number): number | undefined {
    const nearest = this.#nearest(nowMs);
    return nearest.length < MIN_PEERS ? undefined : medianOf(nearest) - (ourMs - nowMs);
  }

  /**
   * What to add to this clock for the time as most of the swarm has it: its own counts as one of them, and where two halves differ it is
   * the one that is believed.
   */
  correctionMs(ourMs: number, nowMs: number): number {
    const [nearest, baseMs] = [this.#nearest(nowMs), ourMs - nowMs];
    const known = this.#corrected;
    if (known?.nearest !== nearest || Math.abs(known.baseMs - baseMs) >= 1)
      this.#corrected = { nearest, baseMs, ms: offsetOf(nearest, baseMs) };
    return this.#corrected?.ms ?? 0;
  }

  /** Ms that a peer's clock is ahead of the median of all; undefined where too few are known, or that one is not. */
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

/** They are in order of time. */
function forgetOld(recent: Heard[], nowMs: number): void {
  while (recent[0] !== undefined && nowMs - recent[0].atMs >= WINDOW_MS) recent.shift();
}
