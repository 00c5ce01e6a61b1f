// What a leader knows of a follower: how far its log matches, what is under way to it, and in which way it is sent more.
import type { NodeId } from './types.ts';

export type ProgressState = 'StateProbe' | 'StateReplicate' | 'StateSnapshot';

/** Appends that were sent and not answered, in order: how many there may be, and how many bytes. */
export class Inflights {
  readonly #most: number;
  readonly #mostBytes: number;
  #sent: { index: number; bytes: number }[] = [];
  #bytes = 0;

  constructor(most: number, mostBytes: number) {
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  get count(): number {
    return this.#sent.length;
  }

  get isFull(): boolean {
    return this.#sent.length >= this.#most || (this.#mostBytes > 0 && this.#bytes >= this.#mostBytes);
  }

  add(index: number, bytes: number): void {
    if (this.isFull) throw new Error('cannot add into full inflights');
    this.#sent.push({ index, bytes });
    this.#bytes += bytes;
  }

  /** Those up to the index were answered. */
  freeTo(index: number): void {
    let free = 0;
    while (free < this.#sent.length && (this.#sent[free]?.index ?? 0) <= index) this.#bytes -= this.#sent[free++]?.bytes ?? 0;
    this.#sent.splice(0, free);
  }

  copy(): Inflights {
    const copy = new Inflights(this.#most, this.#mostBytes);
    copy.#sent = [...this.#sent];
    copy.#bytes = this.#bytes;
    return copy;
  }

  fresh(): Inflights {
    return new Inflights(this.#most, this.#mostBytes);
  }
}

export class Progress {
  /** It has all up to here; what is next to be sent. */
  match: number;
  next: number;
  state: ProgressState = 'StateProbe';
  isLearner: boolean;
  /** Whether it was heard since quorums were last checked. */
  recentActive = false;
  /** The snapshot that it was sent. */
  pendingSnapshot = 0;
  inflights: Inflights;
  /** Nothing is sent before it is heard again. */
  isFlowPaused = false;
  /** The highest commit that it was sent. */
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
    // Where it was sent a snapshot it is taken to have it.
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
    // What comes with a commit that lies beyond what matches may be ignored.
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

  /** Whether sending a commit can help it. */
  canBumpCommit(commit: number): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1;
  }

  /** It has all up to the index. @returns whether that is news */
  update(index: number): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.isFlowPaused = false;
    return true;
  }

  /** It refused what follows an index, and says what may match. @returns whether that is news */
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
