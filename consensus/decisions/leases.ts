// Leases: each allows one disruptive change. Few are given at the same time, and none while too many members look unhealthy.
import type { PeerId } from '../../swarm/ports/transport.ts';

/** One disruptive change at a time for each ten members, and at least one. */
const MEMBERS_PER_LEASE = 10;
export const BUSY = 'running already';
/** With this many members or more, no lease while more than this share look unhealthy: repairs do not fix such a fault. */
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

/** A request for a lease, and the health of the swarm as the leader sees it. */
interface Asked {
  id: string;
  by: PeerId;
  atMs: number;
  plan: string;
  members: number;
  sick: number;
  untilMs: number;
}

/** Disruptive changes that may run at the same time. */
export const mostLeases = (members: number): number => Math.max(1, Math.floor(members / MEMBERS_PER_LEASE));

/** So many members look unhealthy that repairs do not fix the fault. */
export const isStorm = (members: number, sick: number): boolean => members >= STORM_MEMBERS && sick > members * STORM_SHARE;

export class Leases {
  #byId = new Map<string, Lease>();

  /** A lease that ends later than the limit was dated by a clock that has been set back since: it does not count. */
  all(nowMs: number): Lease[] {
    return this.encodable().filter(({ untilMs }) => untilMs > nowMs && untilMs - nowMs <= MAX_LEASE_MS);
  }

  /** Both @return a refusal, after which nothing has changed; undefined if it was applied. */
  take({ id, by, atMs, plan, members, sick, untilMs }: Asked, index: number): string | undefined {
    if (untilMs - atMs > MAX_LEASE_MS) return `a lease lasts ${MAX_LEASE_MS / 60_000} minutes at most`;
    if (isStorm(members, sick)) return `${sick} of ${members} members look unhealthy: no disruptive changes`;
    for (const one of [...this.#byId.values()]) if (one.untilMs <= atMs) this.#byId.delete(one.id);
    const most = mostLeases(members);
    if (this.#byId.size >= most) return `${most} disruptive ${most === 1 ? 'change is' : 'changes are'} ${BUSY}`;
    if ([...this.#byId.values()].some((one) => one.plan === plan)) return `${plan} has a lease already`;
    this.#byId.set(id, { id, peer: by, plan, untilMs, fence: index });
    return undefined;
  }

  giveBack({ lease, by }: { lease: string; by: PeerId }): string | undefined {
    if (this.#byId.get(lease)?.peer !== by) return 'this member has no such lease';
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
