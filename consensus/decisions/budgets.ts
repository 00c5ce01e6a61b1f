// How many changes policies may make on a machine within a time: an upper limit; the machine's own limits may be lower. Each machine counts
// its own changes. A budget of one machine takes precedence over the budget of all machines.
import { z } from 'zod';
import type { PeerId } from '../../swarm/ports/transport.ts';

/** A machine remembers this many changes. */
export const MAX_CHANGES = 500;
const MAX_BUDGETS = 1_000;

export const budgetShape = {
  /** Null: each machine without its own budget. */
  peer: z.string().min(1).max(100).nullable(),
  changes: z.number().int().min(0).max(MAX_CHANGES),
  withinMs: z.number().int().min(60_000).max(2_592_000_000),
};
const budgetSchema = z.strictObject({ by: z.string(), atMs: z.number(), reason: z.string(), ...budgetShape });
export type Budget = z.infer<typeof budgetSchema>;
export const budgetsSchema = z.array(budgetSchema);

export class Budgets {
  #byPeer = new Map<PeerId | null, Budget>();

  get isBlank(): boolean {
    return this.#byPeer.size === 0;
  }

  /** The budget of a member. */
  of(peer: PeerId): Budget | undefined {
    return this.#byPeer.get(peer) ?? this.#byPeer.get(null);
  }

  all(): Budget[] {
    const key = ({ peer }: Budget): string => peer ?? '';
    return [...this.#byPeer.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  }

  /** Both @return a refusal, after which nothing has changed; undefined if it was applied. */
  set({ peer, changes, withinMs, by, atMs, reason }: Budget): string | undefined {
    if (!this.#byPeer.has(peer) && this.#byPeer.size >= MAX_BUDGETS)
      return `there are ${MAX_BUDGETS} budgets already: remove one first`;
    this.#byPeer.set(peer, { peer, changes, withinMs, by, atMs, reason });
    return undefined;
  }

  lift(peer: PeerId | null): string | undefined {
    return this.#byPeer.delete(peer) ? undefined : 'there is no such budget';
  }

  restore(budgets: readonly Budget[]): void {
    this.#byPeer = new Map(budgets.map((one) => [one.peer, one]));
  }
}
