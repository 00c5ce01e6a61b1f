// How long silence lasts before it counts as a failure. If members are short of CPU, or links stall, messages come with gaps, and a silence
// that is no longer than the usual gaps is no sign of a failure: the limit follows the longest recent gap, of the leader for a follower, of a
// majority for a leader (the idea of an accrual failure detector, Hayashibara et al. 2004, with a maximum in the place of a distribution).
import { majority } from '../quorum.ts';
import type { NodeId } from './types.ts';

/** Gaps are remembered for one to two of these. */
const REMEMBERED_MS = 30_000;
/** Silence counts after this multiple of the longest gap. */
const GAPS = 2.5;
const MAX_STRETCH = 8;
const MAX_LATE_IN_A_ROW = 3;

interface Gaps {
  heardMs: number;
  sinceMs: number;
  worstMs: number;
  worstBeforeMs: number;
}

export class Patience {
  readonly #gaps = new Map<NodeId, Gaps>();
  /** The fraction of a tick that is left over. */
  #credit = 0;
  #lateInARow = 0;

  heard(from: NodeId, nowMs: number): void {
    const gaps = this.#gaps.get(from);
    if (gaps === undefined) {
      this.#gaps.set(from, { heardMs: nowMs, sinceMs: nowMs, worstMs: 0, worstBeforeMs: 0 });
      return;
    }
    if (nowMs - gaps.sinceMs >= REMEMBERED_MS) Object.assign(gaps, { sinceMs: nowMs, worstBeforeMs: gaps.worstMs, worstMs: 0 });
    gaps.worstMs = Math.max(gaps.worstMs, nowMs - gaps.heardMs);
    gaps.heardMs = nowMs;
  }

  /** The leader has changed: followers send each other little, so that their gaps say nothing. */
  clear(): void {
    this.#gaps.clear();
  }

  #worstMs(id: NodeId): number {
    const { worstMs = 0, worstBeforeMs = 0 } = this.#gaps.get(id) ?? {};
    return Math.max(worstMs, worstBeforeMs);
  }

  /**
   * The factor by which silence must last longer than usual: 1 to 8.
   * @param others members of which a majority must be heard: the leader, or all other voters. @param silenceMs the limit without stalls.
   */
  stretch(others: readonly NodeId[], silenceMs: number): number {
    const worst = others.map((id) => this.#worstMs(id)).sort((a, b) => a - b);
    // This member counts towards the majority too.
    const heard = worst[majority(others.length + 1) - 2] ?? 0;
    return Math.min(MAX_STRETCH, Math.max(1, (heard * GAPS) / silenceMs));
  }

  /** Whether a tick counts as silence. @param isLate this member was stalled: it must first process the messages that came meanwhile */
  counts(stretch: number, isLate: boolean): boolean {
    this.#lateInARow = isLate ? this.#lateInARow + 1 : 0;
    // A member that is always late must still notice silence.
    if (isLate && this.#lateInARow % MAX_LATE_IN_A_ROW !== 0) return false;
    this.#credit += 1 / stretch;
    if (this.#credit < 1) return false;
    this.#credit = Math.min(1, this.#credit - 1);
    return true;
  }
}
