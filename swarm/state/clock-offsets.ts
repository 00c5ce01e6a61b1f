// How far this machine's clock is from its peers': each status carries its sender's wall clock, and what is on its way for a
// while can only look older. So the highest of a peer's recent offsets is the nearest to the truth, and the median of the
// peers says who is off (the idea of Cristian 1989; a vote of clocks as in Marzullo's, without its intervals).
import type { PeerId } from '../ports/transport.ts';

/** Two periods of a calm status and a margin. */
const WINDOW_MS = 65_000;
const MAX_HEARD = 16;
const MAX_PEERS = 1_000;
/** With one peer alone nobody knows which of the two is off. */
const MIN_PEERS = 2;

export class ClockOffsets {
  readonly #heard = new Map<PeerId, { offsetMs: number; atMs: number }[]>();

  /** @param theirMs the sender's wall clock. @param ourMs this machine's, at arrival. @param nowMs monotonic. */
  heard(peer: PeerId, theirMs: number, ourMs: number, nowMs: number): void {
    if (!this.#heard.has(peer) && this.#heard.size >= MAX_PEERS) return;
    const recent = (this.#heard.get(peer) ?? []).filter(({ atMs }) => nowMs - atMs < WINDOW_MS);
    this.#heard.set(peer, [...recent.slice(1 - MAX_HEARD), { offsetMs: theirMs - ourMs, atMs: nowMs }]);
  }

  forget(peer: PeerId): void {
    this.#heard.delete(peer);
  }

  /** Ms that this clock is behind the median of its peers'; negative where it is ahead; undefined with too few of them. */
  behindMs(nowMs: number): number | undefined {
    const nearest = [...this.#heard.values()].flatMap((all) => {
      const recent = all.filter(({ atMs }) => nowMs - atMs < WINDOW_MS).map(({ offsetMs }) => offsetMs);
      return recent.length === 0 ? [] : [Math.max(...recent)];
    });
    if (nearest.length < MIN_PEERS) return undefined;
    const sorted = nearest.sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2 === 1 ? sorted[middle] : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
  }
}
