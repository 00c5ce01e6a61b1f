// Who stopped a systemd unit: systemd itself does not distinguish a person's `service.stop`, a `systemctl stop`, a clean exit and a unit
// that was never started. Stored with the run that was stopped, so that a later stop by another is not mistaken for it.

import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../../swarm/dissemination/cbor.ts';
import type { Store } from '../../../swarm/ports/store.ts';
import type { ServiceSample, Step } from '../../ports/actuator.ts';

export interface UnitLook extends Pick<ServiceSample, 'state' | 'pid' | 'exitCode' | 'starts' | 'unitState'> {
  /** Number of the signal that ended it. */
  signal: number | undefined;
  /** Since when, in ms of CLOCK_MONOTONIC; 0 if it never changed. */
  sinceMonotonicMs: number;
  /** Id of this run, or the last; empty if systemd has forgotten it. */
  invocation: string;
}

const PREFIX = 'unit-stop/';
const MAX_UNITS = 256;
const stopSchema = z.strictObject({ by: z.enum(['person', 'policy']), invocation: z.string() });
type Stop = z.infer<typeof stopSchema>;

export class UnitStops {
  readonly #store: Pick<Store, 'range' | 'write'> | undefined;
  readonly #stops = new Map<string, Stop>();
  /** Changes that are neither confirmed nor undone, until their deadline; by id. */
  readonly #pending = new Map<string, { untilMs: number; units: readonly string[] }>();

  constructor(store: Pick<Store, 'range' | 'write'> | undefined) {
    this.#store = store;
  }

  async recall(): Promise<void> {
    for (const [key, value] of (await this.#store?.range(PREFIX, { limit: MAX_UNITS })) ?? []) {
      const stop = stopSchema.safeParse(decodeCbor(value)).data;
      if (stop !== undefined) this.#stops.set(key.slice(PREFIX.length), stop);
    }
  }

  /** Who stopped a unit, in its present state; while a change is running that is a person, so that no policy starts it. */
  whose(unit: string, { state, invocation }: UnitLook): Stop['by'] | undefined {
    const isPending = [...this.#pending.values()].some((one) => one.untilMs > performance.now() && one.units.includes(unit));
    if (isPending && state !== 'running') return 'person';
    const stop = this.#stops.get(unit);
    if (stop === undefined) return undefined;
    // If systemd has forgotten the run, for example after a boot, the unit has not run since.
    if (state !== 'running' && (invocation === '' || stop.invocation === '' || invocation === stop.invocation)) return stop.by;
    this.#stops.delete(unit);
    void this.#store?.write([{ kind: 'delete', key: PREFIX + unit }]).catch(() => undefined); // checked again at the next start
    return undefined;
  }

  armed(id: string, untilMs: number, steps: readonly Step[]): void {
    for (const [other, pending] of this.#pending) if (pending.untilMs <= performance.now()) this.#pending.delete(other);
    const verbs = new Map(steps.flatMap(({ do: [kind, verb, unit] }) => (kind === 'unit' ? [[String(unit), verb]] : [])));
    const units = [...verbs].flatMap(([unit, verb]) => (verb === 'stop' ? [unit] : []));
    if (units.length > 0) this.#pending.set(id, { untilMs, units });
  }

  async confirmed(id: string, by: Stop['by'], invocationOf: (unit: string) => string): Promise<void> {
    const units = this.#pending.get(id)?.units ?? [];
    const stops = units.map((unit) => [unit, { by, invocation: invocationOf(unit) }] as const);
    for (const [unit, stop] of stops) this.#stops.set(unit, stop);
    if (stops.length > 0)
      await this.#store?.write(stops.map(([unit, stop]) => ({ kind: 'put', key: PREFIX + unit, value: encodeCbor(stop) })));
    this.#pending.delete(id);
  }

  undone(id: string): void {
    this.#pending.delete(id);
  }
}
