// The leader's view of a follower: how far its log matches, which appends are in flight, and how it is sent more.
import type { NodeId } from './types.ts';

export type ProgressState = 'StateProbe' | 'StateReplicate' | 'StateSnapshot';

/** Appends that were sent and not answered, in order, with a limit on their number and bytes. */
export class Inflights {
  readonly #most: number;
  readonly #maxBytes: number;
  #sent: { index: number; bytes: number }[] = [];
  #bytes = 0;

  constructor(most: number, maxBytes: number) {
    this.#most = most;
    this.#maxBytes = maxBytes;
  }

  get count(): number {
    return this.#sent.length;
  }

  get isFull(): boolean {
    return this.#sent.length >= this.#most || (this.#maxBytes > 0 && this.#bytes >= this.#maxBytes);
  }

  add(index: number, bytes: number): void {
    if (this.isFull) throw new Error('cannot add into full inflights');
    this.#sent.push({ index, bytes });
    this.#bytes += bytes;
  }

  /** Appends up to the index were answered. */
  freeTo(index: number): void {
    let free = 0;
    while (free < this.#sent.length && (this.#sent[free]?.index ?? 0) <= index) this.#bytes -= this.#sent[free++]?.bytes ?? 0;
    this.#sent.splice(0, free);
  }

  copy(): Inflights {
    const copy = new Inflights(this.#most, this.#maxBytes);
    copy.#sent = [...this.#sent];
    copy.#bytes = this.#bytes;
    return copy;
  }

  fresh(): Inflights {
    return new Inflights(this.#most, this.#maxBytes);
  }
}

export class Progress {
  /** The last entry that it is known to have; the next entry to send. */
  match: number;
  next: number;
  state: ProgressState = 'StateProbe';
  isLearner: boolean;
  /** Whether a message of it came since the last quorum check. */
  recentActive = false;
  /** The index of the snapshot that was sent to it. */
  pendingSnapshot = 0;
  inflights: Inflights;
  /** Nothing is sent before its next message. */
  isFlowPaused = false;
  /** The highest commit that was sent to it. */
  #sentCommit = 0;

  constructor(match: number, next: number, inflights: Inflights, isLearner: boolean) {
    this.match = match;
    this.next = next;
    this.inflights = inflights;
    this.isLearner = isLearner;
  }

  copy(): Progress {
    const copy = new Progress(this.match, this.next, this.inflights.copy(), this.isLearner);
    copy.state = this.state;
    copy.recentActive = this.recentActive;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.isFlowPaused = this.isFlowPaused;
    copy.#sentCommit = this.#sentCommit;
    return copy;
  }

  #become(state: ProgressState): void {
    this.isFlowPaused = false;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights = this.inflights.fresh();
  }

  becomeProbe(): void {
    // If a snapshot was sent, it counts as received.
    const next = this.state === 'StateSnapshot' ? Math.max(this.match + 1, this.pendingSnapshot + 1) : this.match + 1;
    this.#become('StateProbe');
    this.#sendFrom(next);
  }

  becomeReplicate(): void {
    this.#become('StateReplicate');
    this.next = this.match + 1;
  }

  becomeSnapshot(index: number): void {
    this.#become('StateSnapshot');
    this.pendingSnapshot = index;
    this.next = index + 1;
    this.#sentCommit = index;
  }

  #sendFrom(next: number): void {
    this.next = next;
    // It may ignore a commit beyond its matching entries.
    this.#sentCommit = Math.min(this.#sentCommit, next - 1);
  }

  sentEntries(count: number, bytes: number): void {
    if (this.state === 'StateReplicate') {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      this.isFlowPaused = this.inflights.isFull;
    } else if (count > 0) {
      this.isFlowPaused = true;
    }
  }

  sentCommit(commit: number): void {
    this.#sentCommit = commit;
  }

  /** Whether a message with a commit would change its commit index. */
  canBumpCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1;
  }

  /** It has all entries up to the index. @returns whether that is new */
  update(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.isFlowPaused = false;
    return true;
  }

  /** It rejected entries after an index, with a hint of what may match. @returns whether the rejection is current */
  decrease(rejected: number, hint: number): boolean {
    if (this.state === 'StateReplicate') {
      if (rejected <= this.match) return false;
      this.#sendFrom(this.match + 1);
      return true;
    }
    if (this.next - 1 !== rejected) return false;
    this.#sendFrom(Math.max(Math.min(rejected, hint + 1), this.match + 1));
    this.isFlowPaused = false;
    return true;
  }

  get isPaused(): boolean {
    return this.state === 'StateSnapshot' || this.isFlowPaused;
  }

  toString(): string {
    const { count, isFull } = this.inflights;
    const more = [
      this.isLearner && ' learner',
      this.isPaused && ' paused',
      this.pendingSnapshot > 0 && ` pendingSnap=${this.pendingSnapshot}`,
      !this.recentActive && ' inactive',
      count > 0 && ` inflight=${count}${isFull ? '[full]' : ''}`,
    ];
    return `${this.state} match=${this.match} next=${this.next}${more.filter(Boolean).join('')}`;
  }
}

export type ProgressMap = ReadonlyMap<NodeId, Progress>;

export const inOrder = (progress: ProgressMap): [NodeId, Progress][] => [...progress].sort(([a], [b]) => a - b);
