// Which member runs a service that several declare: one at a time. The holder renews the placement with the leader, and stops the service
// in time if it cannot. Only then another member may take it, under a higher fence.
import { z } from 'zod';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Decision } from './decision.ts';

/** How long a member may run a placed service after its last renewal by a leader that then had a majority. */
export const PLACEMENT_MS = 15_000;
/** After this additional time another member may take it: clocks differ in speed, and a stop takes time. */
export const PLACEMENT_MARGIN_MS = 3_000;
const MAX_PLACEMENTS = 256;
const MAX_UNFIT = 32;
export const MAX_UNFIT_MS = 3_600_000;
/** If no other member takes it for this long, those that released it may, one after the other, the one that did so longest ago first. */
const UNFIT_AFTER_MS = 20_000;
const NEXT_UNFIT_MS = 5_000;

const unfitSchema = z.strictObject({ peer: z.string(), untilMs: z.number(), reason: z.string() });
export const placementSchema = z.strictObject({
  service: z.string(),
  /** Null if no member runs it. */
  peer: z.string().nullable(),
  /** The index of the decision in the log: each earlier holder has a lower one. */
  fence: z.number().int().nonnegative(),
  sinceMs: z.number(),
  /** Why the previous holder no longer has it. */
  reason: z.string(),
  /** Why the holder must release it; null if it need not. */
  move: z.string().nullable(),
  unfit: z.array(unfitSchema),
});
export type Placement = z.infer<typeof placementSchema>;
export const placementsSchema = z.array(placementSchema);

type Of<Kind extends Decision['kind']> = Extract<Decision, { kind: Kind }>;

export class Placements {
  #byService = new Map<string, Placement>();

  of(service: string): Placement | undefined {
    return this.#byService.get(service);
  }

  all(): Placement[] {
    return [...this.#byService.values()];
  }

  /** Each @returns a refusal, after which nothing has changed; undefined if it was applied. */
  place({ service, by, atMs }: Of<'place'>, index: number): string | undefined {
    const known = this.#byService.get(service);
    if (known === undefined && this.#byService.size >= MAX_PLACEMENTS) return `${MAX_PLACEMENTS} services are placed already`;
    if (known !== undefined && known.peer !== null) return `${service} is placed already`;
    const unfit = known?.unfit.filter(({ untilMs }) => untilMs > atMs) ?? [];
    // A member that failed to run it recently is better than none.
    const oldestFirst = unfit.toSorted((a, b) => a.untilMs - b.untilMs);
    const rank = oldestFirst.findIndex(({ peer }) => peer === by);
    const freeMs = atMs - (known?.sinceMs ?? atMs);
    const why = freeMs > UNFIT_AFTER_MS + rank * NEXT_UNFIT_MS ? undefined : oldestFirst[rank];
    if (why !== undefined) return `this member failed to run ${service} recently: ${why.reason}`;
    this.#byService.set(service, {
      service,
      peer: by,
      fence: index,
      sinceMs: atMs,
      reason: known?.reason ?? '',
      move: null,
      unfit,
    });
    return undefined;
  }

  unplace({ service, by, fence, atMs, unfitUntilMs, reason }: Of<'unplace'>): string | undefined {
    const known = this.#had(service, fence);
    if (known?.peer !== by) return `${service} is not placed on this member under fence ${fence}`;
    if (unfitUntilMs !== null && unfitUntilMs - atMs > MAX_UNFIT_MS) return 'a member is unfit for an hour at most';
    const others = known.unfit.filter((one) => one.peer !== by && one.untilMs > atMs).slice(1 - MAX_UNFIT);
    const unfit = unfitUntilMs === null ? others : [...others, { peer: by, untilMs: unfitUntilMs, reason }];
    this.#byService.set(service, { ...known, peer: null, sinceMs: atMs, reason, move: null, unfit });
    return undefined;
  }

  displace({ service, fence, atMs, reason }: Of<'displace'>): string | undefined {
    const known = this.#had(service, fence);
    if (known === undefined) return `${service} is not placed under fence ${fence}`;
    this.#byService.set(service, { ...known, peer: null, sinceMs: atMs, reason, move: null });
    return undefined;
  }

  move({ service, reason }: Of<'move'>): string | undefined {
    const known = this.#byService.get(service);
    if (known === undefined || known.peer === null) return `${service} is not placed`;
    this.#byService.set(service, { ...known, move: reason });
    return undefined;
  }

  #had(service: string, fence: number): Placement | undefined {
    const known = this.#byService.get(service);
    return known !== undefined && known.peer !== null && known.fence === fence ? known : undefined;
  }

  encodable(): Placement[] {
    return this.all().sort((a, b) => (a.service < b.service ? -1 : 1));
  }

  restore(placements: readonly Placement[]): void {
    this.#byService = new Map(placements.map((one) => [one.service, one]));
  }
}

/** The leader's record of the last renewal of each placement, by its own clock. Each new leader starts an empty one. */
export class Keeping {
  readonly #heardMs = new Map<string, { fence: number; peer: PeerId; atMs: number }>();

  /** The holder renews its placement; called once this agent is known to be the leader. @returns whether it is the holder */
  keep(from: PeerId, service: string, fence: number, placement: Placement | undefined, nowMs: number): boolean {
    if (placement?.peer !== from || placement.fence !== fence) return false;
    this.#heardMs.set(service, { fence, peer: from, atMs: nowMs });
    return true;
  }

  /** Placements that were not renewed in time. Called at least once a second while this agent is the leader. */
  overdue(placements: readonly Placement[], nowMs: number): Placement[] {
    return placements.filter(({ service, peer, fence }) => {
      if (peer === null) return this.#heardMs.delete(service) && false;
      const heard = this.#heardMs.get(service);
      if (heard?.fence === fence) return nowMs - heard.atMs > PLACEMENT_MS + PLACEMENT_MARGIN_MS;
      this.#heardMs.set(service, { fence, peer, atMs: nowMs }); // the first time here: its time starts now
      return false;
    });
  }

  clear(): void {
    this.#heardMs.clear();
  }
}
