// Authorizations for one disruptive change each, of which only a few are given at once, and none while too many members look sick.
import type { PeerId } from '../../swarm/ports/transport.ts';

/** Disruptive changes at once: one for each ten members, and one at least. */
const MEMBERS_PER_LEASE = 10;
export const BUSY = 'under way already';
/** From so many members on, none while more than this share look sick: then something is wrong that no repair mends. */
const STORM_MEMBERS = 5;
const STORM_SHARE = 0.4;
export const MAX_LEASE_MS = 300_000;

export interface Lease {
  id: string;
  peer: PeerId;
  plan: string;
  untilMs: number;
  /** The lease's place in the log: a later one has a higher fence. */
  fence: number;
}

/** What is asked for, and how the members are, as the coordinator says. */
interface Asked {
  id: string;
  by: PeerId;
  atMs: number;
  plan: string;
  members: number;
  sick: number;
  untilMs: number;
}

/** Disruptive changes that may be made at once. */
export const mostLeases = (members: number): number => Math.max(1, Math.floor(members / MEMBERS_PER_LEASE));

/** Something is wrong that no repair mends. */
export const isStorm = (members: number, sick: number): boolean => members >= STORM_MEMBERS && sick > members * STORM_SHARE;

export class Leases {
  #byId = new Map<string, Lease>();

  /** None lasts for longer than it was given for: what ends later was dated by a clock that has been set back since. */
  all(nowMs: number): Lease[] {
    return this.encodable().filter(({ untilMs }) => untilMs > nowMs && untilMs - nowMs <= MAX_LEASE_MS);
  }

  /** Each of these @returns why it is not so; nothing has changed then. */
  take({ id, by, atMs, plan, members, sick, untilMs }: Asked, index: number): string | undefined {
    if (untilMs - atMs > MAX_LEASE_MS) return `a lease lasts ${MAX_LEASE_MS / 60_000} minutes at most`;
    if (isStorm(members, sick)) return `${sick} of ${members} members look sick: nothing disruptive is done`;
    for (const one of [...this.#byId.values()]) if (one.untilMs <= atMs) this.#byId.delete(one.id);
    const most = mostLeases(members);
    if (this.#byId.size >= most) return `${most} disruptive ${most === 1 ? 'change is' : 'changes are'} ${BUSY}`;
    if ([...this.#byId.values()].some((one) => one.plan === plan)) return `${plan} has a lease already`;
    this.#byId.set(id, { id, peer: by, plan, untilMs, fence: index });
    return undefined;
  }

  giveBack({ lease, by }: { lease: string; by: PeerId }): string | undefined {
    if (this.#byId.get(lease)?.peer !== by) return 'there is no such lease of this member';
    this.#byId.delete(lease);
    return undefined;
  }

  encodable(): Lease[] {
    return [...this.#byId.values()];
  }

  restore(leases: readonly Lease[]): void {
    this.#byId = new Map(leases.map((one) => [one.id, one]));
  }
}
