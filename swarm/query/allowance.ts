// The rate of requests that an agent sends to another member for its users, below that member's limit (swarm/libp2p/budgets.ts). So no user
// can get this agent disconnected, and each user has its share, however many requests another user has queued.
import type { Clock, Timer } from '../ports/clock.ts';
import { type PeerId, TransportError } from '../ports/transport.ts';
import { FairQueue } from './fair-queue.ts';

/** Half of what a member accepts: the rest is for requests of the swarm itself. */
export const A_SECOND = 5;
export const AT_ONCE = 50;
/** Queued requests of one user to one member. */
export const MAX_WAITING = 100;
const MAX_ASKERS = 200;
const PERIOD_MS = 1_000 / A_SECOND;
const MAX_PEERS = 2_000;

interface Waiting {
  go(): void;
}

interface Bucket {
  left: number;
  atMs: number;
  waiting: FairQueue<Waiting>;
  timer: Timer | undefined;
}

export class Allowance {
  readonly #clock: Clock;
  readonly #buckets = new Map<PeerId, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a request may be sent now. */
  take(peer: PeerId): boolean {
    const bucket = this.#bucketOf(peer);
    if (!bucket.waiting.isEmpty || bucket.left < 1) return false;
    bucket.left--;
    return true;
  }

  /** Waits for this user's turn. @throws TransportError if that is not within the time, or its queue is full. */
  turn(peer: PeerId, asker: string, withinMs: number): Promise<void> {
    const bucket = this.#bucketOf(peer);
    return new Promise((resolve, reject) => {
      const one: Waiting = {
        go: () => {
          late.cancel();
          resolve();
        },
      };
      const late = this.#clock.after(withinMs, () => {
        bucket.waiting.drop(asker, one);
        reject(
          new TransportError('refused', `not asked: this agent’s limit of ${A_SECOND} requests a second to a member is used up`),
        );
      });
      if (bucket.waiting.add(asker, one)) return this.#schedule(bucket);
      late.cancel();
      reject(new TransportError('refused', `not asked: ${MAX_WAITING} requests to it are queued already`));
    });
  }

  #bucketOf(peer: PeerId): Bucket {
    const nowMs = this.#clock.monotonicMs();
    let bucket = this.#buckets.get(peer);
    if (bucket === undefined) {
      if (this.#buckets.size >= MAX_PEERS) this.#forget(nowMs);
      bucket = { left: AT_ONCE, atMs: nowMs, waiting: new FairQueue(MAX_WAITING, MAX_ASKERS), timer: undefined };
      this.#buckets.set(peer, bucket);
    }
    bucket.left = Math.min(AT_ONCE, bucket.left + (nowMs - bucket.atMs) / PERIOD_MS);
    bucket.atMs = nowMs;
    return bucket;
  }

  /** Removes buckets that are full again. */
  #forget(nowMs: number): void {
    for (const [peer, { left, atMs, waiting }] of [...this.#buckets])
      if (waiting.isEmpty && left + (nowMs - atMs) / PERIOD_MS >= AT_ONCE) this.#buckets.delete(peer);
  }

  #schedule(bucket: Bucket): void {
    if (bucket.timer !== undefined || bucket.waiting.isEmpty) return;
    bucket.timer = this.#clock.after(Math.max(1, Math.ceil((1 - bucket.left) * PERIOD_MS)), () => {
      bucket.timer = undefined;
      this.#next(bucket);
      this.#schedule(bucket);
    });
  }

  #next(bucket: Bucket): void {
    const nowMs = this.#clock.monotonicMs();
    bucket.left = Math.min(AT_ONCE, bucket.left + (nowMs - bucket.atMs) / PERIOD_MS);
    bucket.atMs = nowMs;
    for (let one = bucket.left >= 1 ? bucket.waiting.next() : undefined; one !== undefined; ) {
      bucket.left--;
      one.go();
      one = bucket.left >= 1 ? bucket.waiting.next() : undefined;
    }
  }
}
