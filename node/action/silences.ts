// Silences: a person's decision that a policy, or every policy on one target, is not acted on for a while. A silenced finding is still an
// incident and is still explained. Each silence expires, and none covers everything.
import { z } from 'zod';
import { decodeCbor, encodeCbor, toHex } from '../../swarm/dissemination/cbor.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { Random } from '../../swarm/ports/random.ts';
import type { Store } from '../../swarm/ports/store.ts';
import type { Reporter } from '../reporter.ts';

const PREFIX = 'silence/';
const ID_BYTES = 5;
const MAX_SILENCES = 256;
export const MAX_SILENCE_MS = 30 * 86_400_000;

const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^*?]+$/, 'must be one target, no wildcards');

/** What is silenced: a policy, a target (such as a service), or a policy on a target. */
export const silenceRequestSchema = z
  .strictObject({
    policy: name.optional(),
    target: name.optional(),
    forMs: z.number().int().min(1_000).max(MAX_SILENCE_MS),
    reason: z.string().min(1).max(200),
  })
  .refine(({ policy, target }) => policy !== undefined || target !== undefined, 'name a policy, a target, or both');
export type SilenceRequest = z.infer<typeof silenceRequestSchema>;

export const silenceSchema = z.strictObject({
  id: z.string(),
  policy: name.optional(),
  target: name.optional(),
  /** Wall clock. */
  untilMs: z.number(),
  reason: z.string(),
});
export type Silence = z.infer<typeof silenceSchema>;

export class Silences {
  readonly #store: Store;
  readonly #clock: Pick<Clock, 'monotonicMs' | 'wallMs'>;
  readonly #random: Random;
  readonly #reporter: Pick<Reporter, 'noted'>;
  readonly #silences = new Map<string, Silence>();
  /** Monotonic expiry of silences added since this agent started: changes of the wall clock do not move it. */
  readonly #endsMs = new Map<string, number>();

  constructor(
    { store, clock, random }: { store: Store; clock: Pick<Clock, 'monotonicMs' | 'wallMs'>; random: Random },
    reporter: Pick<Reporter, 'noted'>,
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#random = random;
    this.#reporter = reporter;
  }

  async open(): Promise<void> {
    for (const [, bytes] of await this.#store.range(PREFIX, { limit: MAX_SILENCES })) {
      const parsed = silenceSchema.safeParse(decodeCbor(bytes));
      if (parsed.success) this.#silences.set(parsed.data.id, parsed.data);
    }
  }

  /** With its expiry by the wall clock as it is set now; after a restart only the wall clock is known. */
  #dated(silence: Silence): Silence {
    const endMs = this.#endsMs.get(silence.id);
    return endMs === undefined ? silence : { ...silence, untilMs: this.#clock.wallMs() + endMs - this.#clock.monotonicMs() };
  }

  /** Those that have not expired, the next to expire first. */
  active(): Silence[] {
    const wallMs = this.#clock.wallMs();
    return [...this.#silences.values()]
      .map((silence) => this.#dated(silence))
      .filter(({ untilMs }) => untilMs > wallMs)
      .sort((a, b) => a.untilMs - b.untilMs);
  }

  /** The silence that covers a finding; undefined if none does. */
  covering(policy: string, target: string): Silence | undefined {
    return this.active().find((silence) => (silence.policy ?? policy) === policy && (silence.target ?? target) === target);
  }

  /** Durable and recorded once it resolves. @throws RangeError if there are too many. */
  async add({ policy, target, forMs, reason }: SilenceRequest, id = this.#newId()): Promise<Silence> {
    const active = new Set(this.active().map((one) => one.id));
    const expired = [...this.#silences.values()].filter((one) => !active.has(one.id));
    for (const old of expired) this.#forget(old.id);
    if (this.#silences.size >= MAX_SILENCES) throw new RangeError(`there are already ${MAX_SILENCES} silences: remove one first`);
    const untilMs = this.#clock.wallMs() + forMs;
    const silence: Silence = { id, untilMs, reason, ...(policy && { policy }), ...(target && { target }) };
    this.#silences.set(id, silence);
    this.#endsMs.set(id, this.#clock.monotonicMs() + forMs);
    await this.#store.write([
      { kind: 'put', key: PREFIX + id, value: encodeCbor(silence) },
      ...expired.map((old) => ({ kind: 'delete' as const, key: PREFIX + old.id })),
    ]);
    const what = [policy ?? 'every policy', target === undefined ? '' : `on ${target}`].join(' ').trim();
    await this.#reporter.noted(`silenced ${what} for ${Math.round(forMs / 1000)} s: ${reason}`, id);
    return silence;
  }

  #newId(): string {
    return `sil-${toHex(this.#random.bytes(ID_BYTES))}`;
  }

  #forget(id: string): boolean {
    this.#endsMs.delete(id);
    return this.#silences.delete(id);
  }

  /** False if no silence has that id. */
  async remove(id: string): Promise<boolean> {
    if (!this.#forget(id)) return false;
    await this.#store.write([{ kind: 'delete', key: PREFIX + id }]);
    await this.#reporter.noted('the silence was removed', id);
    return true;
  }
}
