// How often an agent asks another member for its users, below what that one takes from any (swarm/libp2p/budgets.ts): so nobody who may
// ask this agent has others cut it off, and each who asks has a turn, however many requests somebody else has waiting.
import type { Clock, Timer } from '../ports/clock.ts';
import { type PeerId, TransportError } from '../ports/transport.ts';

/** Half of what a member takes: the rest is for what the swarm itself asks. */
export const A_SECOND = 5;
export const AT_ONCE = 50;
/** Of one who asks, at one member. */
export const MAX_WAITING = 100;
const PERIOD_MS = 1_000 / A_SECOND;
const MAX_PEERS = 2_000;

interface Waiting {
  go(): void;
}

interface Bucket {
  left: number;
  atMs: number;
  /** By who asks; whose turn is next comes first. */
  waiting: Map<string, Waiting[]>;
  timer: Timer | undefined;
}

export class Allowance {
  readonly #clock: Clock;
  readonly #buckets = new Map<PeerId, Bucket>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether a member may be asked at once. */
  take(peer: PeerId): boolean {
    const bucket = this.#bucketOf(peer);
    if (bucket.waiting.size > 0 || bucket.left < 1) return false;
    bucket.left--;
    return true;
  }

  /** Until it is this asker's turn. @throws TransportError where that is not within the time, or too much of its own waits already. */
  turn(peer: PeerId, asker: string, withinMs: number): Promise<void> {
    const bucket = this.#bucketOf(peer);
    const own = bucket.waiting.get(asker) ?? [];
    if (own.length >= MAX_WAITING)
      return Promise.reject(new TransportError('refused', `not asked: ${MAX_WAITING} requests to it wait here already`));
    return new Promise((resolve, reject) => {
      const one: Waiting = {
        go: () => {
          late.cancel();
          resolve();
        },
      };
      const late = this.#clock.after(withinMs, () => {
        this.#drop(bucket, asker, one);
        reject(
          new TransportError(
            'refused',
            `not asked: this agent asks a member ${A_SECOND} times a second, and it was not its turn in time`,
          ),
        );
      });
      bucket.waiting.set(asker, [...own, one]);
      this.#schedule(bucket);
    });
  }

  #bucketOf(peer: PeerId): Bucket {
    const nowMs = this.#clock.monotonicMs();
    let bucket = this.#buckets.get(peer);
    if (bucket === undefined) {
      if (this.#buckets.size >= MAX_PEERS) this.#forget(nowMs);
      bucket = { left: AT_ONCE, atMs: nowMs, waiting: new Map(), timer: undefined };
      this.#buckets.set(peer, bucket);
    }
    bucket.left = Math.min(AT_ONCE, bucket.left + (nowMs - bucket.atMs) / PERIOD_MS);
    bucket.atMs = nowMs;
    return bucket;
  }

  /** Those that are full again. */
  #forget(nowMs: number): void {
    for (const [peer, { left, atMs, waiting }] of [...this.#buckets])
      if (waiting.size === 0 && left + (nowMs - atMs) / PERIOD_MS >= AT_ONCE) this.#buckets.delete(peer);
  }

  #drop({ waiting }: Bucket, asker: string, one: Waiting): void {
    const left = waiting.get(asker)?.filter((other) => other !== one) ?? [];
    if (left.length === 0) waiting.delete(asker);
    else waiting.set(asker, left);
  }

  #schedule(bucket: Bucket): void {
    if (bucket.timer !== undefined || bucket.waiting.size === 0) return;
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
    while (bucket.left >= 1) {
      const [first] = bucket.waiting;
      if (first === undefined) return;
      const [asker, [one, ...others]] = first;
      bucket.waiting.delete(asker);
      if (others.length > 0) bucket.waiting.set(asker, others);
      bucket.left--;
      one?.go();
    }
  }
}
