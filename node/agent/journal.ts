// The stored journal of transactions, running and closed, by the plan's id. Bounded.
import type { Store } from '../../swarm/ports/store.ts';
import { decodeJournalEntry, isOpen, JOURNAL_PREFIX, type JournalEntry } from '../action/transaction.ts';

/** Closed entries kept for rollback; pruned once there are many more. */
const KEPT = 500;
const PRUNE_BEYOND = 1_000;
const MAX_READ = 10_000;

export class Journal {
  readonly #store: Store;
  #count = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The oldest first. */
  async all(): Promise<JournalEntry[]> {
    const stored = await this.#store.range(JOURNAL_PREFIX, { limit: MAX_READ });
    return stored.flatMap(([, bytes]) => decodeJournalEntry(bytes) ?? []).sort((a, b) => a.atMs - b.atMs);
  }

  async entry(planId: string): Promise<JournalEntry | undefined> {
    const bytes = await this.#store.get(`${JOURNAL_PREFIX}${planId}`);
    return bytes && decodeJournalEntry(bytes);
  }

  /** Drops the oldest closed entries once there are too many; the audit stays complete. @param more how many were added */
  async prune(more: number): Promise<void> {
    this.#count += more;
    if (this.#count <= PRUNE_BEYOND) return;
    const closed = (await this.all()).filter((entry) => !isOpen(entry));
    const old = closed.slice(0, Math.max(0, closed.length - KEPT));
    await this.#store.write(old.map(({ plan }) => ({ kind: 'delete', key: `${JOURNAL_PREFIX}${plan.id}` })));
    this.#count -= old.length;
  }
}
