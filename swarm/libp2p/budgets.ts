// Rate limits of one peer at this agent: for each kind a rate and a burst. Members too can be hostile or broken: a peer over its limit is
// disconnected, and not admitted again for some time. The limits are far above what an honest peer needs.
import type { PeerId } from '../ports/transport.ts';

/** `gossip`: remote procedure calls of gossipsub, and each message in them. `messages`: one-way ones. `streams`: opened by the peer, of any protocol. `bytes`: on those. */
const LIMITS = {
  gossip: { aSecond: 2_000, atOnce: 10_000 },
  messages: { aSecond: 500, atOnce: 2_000 },
  requests: { aSecond: 10, atOnce: 100 },
  streams: { aSecond: 50, atOnce: 300 },
  bytes: { aSecond: 1_000_000, atOnce: 8_000_000 },
} as const;
export type BudgetKind = keyof typeof LIMITS;

const BARRED_MS = 60_000;
const MAX_BARRED = 1_000;

/** The tokens that are left, and as of when. */
interface Bucket {
  left: number;
  atMs: number;
}

/** A token bucket. */
export class Budget {
  readonly #limit: { aSecond: number; atOnce: number };
  readonly #bucket: Bucket;

  constructor(kind: BudgetKind, nowMs: number) {
    this.#limit = LIMITS[kind];
    this.#bucket = { left: this.#limit.atOnce, atMs: nowMs };
  }

  /** @returns whether there was enough. */
  spend(amount: number, nowMs: number): boolean {
    const { aSecond, atOnce } = this.#limit;
    const bucket = this.#bucket;
    bucket.left = Math.min(atOnce, bucket.left + ((nowMs - bucket.atMs) / 1_000) * aSecond) - amount;
    bucket.atMs = nowMs;
    return bucket.left >= 0;
  }
}

export class Budgets {
  readonly #nowMs: () => number;
  readonly #over: (peer: PeerId, kind: BudgetKind) => void;
  readonly #byPeer = new Map<PeerId, Map<BudgetKind, Budget>>();
  readonly #barredUntilMs = new Map<PeerId, number>();

  /** @param over called once each time that a peer is barred */
  constructor(nowMs: () => number, over: (peer: PeerId, kind: BudgetKind) => void) {
    this.#nowMs = nowMs;
    this.#over = over;
  }

  /** @returns whether the peer is within its budget */
  spend(peer: PeerId, kind: BudgetKind, amount = 1): boolean {
    const kinds = this.#byPeer.get(peer) ?? new Map<BudgetKind, Budget>();
    this.#byPeer.set(peer, kinds);
    const budget = kinds.get(kind) ?? new Budget(kind, this.#nowMs());
    kinds.set(kind, budget);
    if (budget.spend(amount, this.#nowMs())) return true;
    this.bar(peer, kind);
    return false;
  }

  bar(peer: PeerId, kind: BudgetKind): void {
    if (this.isBarred(peer)) return;
    if (this.#barredUntilMs.size >= MAX_BARRED) this.#barredUntilMs.clear();
    this.#barredUntilMs.set(peer, this.#nowMs() + BARRED_MS);
    this.#over(peer, kind);
  }

  isBarred(peer: PeerId): boolean {
    const untilMs = this.#barredUntilMs.get(peer);
    if (untilMs !== undefined && untilMs <= this.#nowMs()) this.#barredUntilMs.delete(peer);
    return this.#barredUntilMs.has(peer);
  }

  /** The peer is no longer connected. */
  forget(peer: PeerId): void {
    this.#byPeer.delete(peer);
  }
}
