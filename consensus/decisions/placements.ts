// Which member runs a service that several declare: one at a time. Whoever has it says so again and again to the coordinator, and stops
// it in time where nobody hears that; only then it is given to another, under a higher fence.
import { z } from 'zod';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Decision } from './decision.ts';

/** So long a member may run what is placed on it, from when it last asked a coordinator that then had a majority. */
export const PLACEMENT_MS = 15_000;
/** So much later it may be given to another: clocks do not run alike, and an end takes a moment. */
export const PLACEMENT_MARGIN_MS = 3_000;
const MAX_PLACEMENTS = 256;
const MAX_UNFIT = 32;
export const MAX_UNFIT_MS = 3_600_000;
/** Where nobody else takes it for so long, those who gave it up may, one after the other: who did so longest ago first. */
const UNFIT_AFTER_MS = 20_000;
const NEXT_UNFIT_MS = 5_000;

const unfitSchema = z.strictObject({ peer: z.string(), untilMs: z.number(), reason: z.string() });
export const placementSchema = z.strictObject({
  service: z.string(),
  /** Null where nobody has it. */
  peer: z.string().nullable(),
  /** Its place in the log: whoever had it before has a lower one. */
  fence: z.number().int().nonnegative(),
  sinceMs: z.number(),
  /** Why whoever had it before has it no longer. */
  reason: z.string(),
  /** Why it is to be given up; null where it is not. */
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

  /** Each of these @returns why it is not so; nothing has changed then. */
  place({ service, by, atMs }: Of<'place'>, index: number): string | undefined {
    const known = this.#byService.get(service);
    if (known === undefined && this.#byService.size >= MAX_PLACEMENTS) return `${MAX_PLACEMENTS} services are placed already`;
    if (known !== undefined && known.peer !== null) return `${service} is placed already`;
    const unfit = known?.unfit.filter(({ untilMs }) => untilMs > atMs) ?? [];
    // Rather one that could not run it lately than nobody.
    const oldestFirst = unfit.toSorted((a, b) => a.untilMs - b.untilMs);
    const rank = oldestFirst.findIndex(({ peer }) => peer === by);
    const freeMs = atMs - (known?.sinceMs ?? atMs);
    const why = freeMs > UNFIT_AFTER_MS + rank * NEXT_UNFIT_MS ? undefined : oldestFirst[rank];
    if (why !== undefined) return `this member could not run ${service} lately: ${why.reason}`;
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
    if (unfitUntilMs !== null && unfitUntilMs - atMs > MAX_UNFIT_MS) return 'nobody is unfit for more than an hour';
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
    if (known === undefined || known.peer === null) return `${service} is placed nowhere`;
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

/** As the coordinator: of which placements it has heard lately, by its own clock. Begun again by each that leads. */
export class Keeping {
  readonly #heardMs = new Map<string, { fence: number; peer: PeerId; atMs: number }>();

  /** Whoever has it says so, once it is sure that this agent leads. @returns whether it has it */
  keep(from: PeerId, service: string, fence: number, placement: Placement | undefined, nowMs: number): boolean {
    if (placement?.peer !== from || placement.fence !== fence) return false;
    this.#heardMs.set(service, { fence, peer: from, atMs: nowMs });
    return true;
  }

  /** Those that nobody has said anything of for too long. Once a second at least, while this agent leads. */
  overdue(placements: readonly Placement[], nowMs: number): Placement[] {
    return placements.filter(({ service, peer, fence }) => {
      if (peer === null) return this.#heardMs.delete(service) && false;
      const heard = this.#heardMs.get(service);
      if (heard?.fence === fence) return nowMs - heard.atMs > PLACEMENT_MS + PLACEMENT_MARGIN_MS;
      this.#heardMs.set(service, { fence, peer, atMs: nowMs }); // heard of first now: its time begins
      return false;
    });
  }

  clear(): void {
    this.#heardMs.clear();
  }
}
