// How many changes policies may make on a machine in a while: a ceiling that binds at once, and that the machine's own brakes may be
// below. Each machine counts its own; for all machines is said as such, and one's own goes before it.
import { z } from 'zod';
import type { PeerId } from '../../swarm/ports/transport.ts';

/** A machine remembers so many. */
export const MAX_CHANGES = 500;
const MAX_BUDGETS = 1_000;

export const budgetShape = {
  /** Null: each machine that has none of its own. */
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

  /** What holds for a member. */
  of(peer: PeerId): Budget | undefined {
    return this.#byPeer.get(peer) ?? this.#byPeer.get(null);
  }

  all(): Budget[] {
    const key = ({ peer }: Budget): string => peer ?? '';
    return [...this.#byPeer.values()].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  }

  /** Each of these @returns why it is not so; nothing has changed then. */
  set({ peer, changes, withinMs, by, atMs, reason }: Budget): string | undefined {
    if (!this.#byPeer.has(peer) && this.#byPeer.size >= MAX_BUDGETS) return `there are ${MAX_BUDGETS} budgets already`;
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
