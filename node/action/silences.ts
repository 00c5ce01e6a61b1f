// Silences: a person's word that a policy, or all of them on one target, is to be left alone for a while. A silenced
// finding is still an incident and is still explained; nothing is done about it. Each has an end, and none means "all".
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store } from '../../swarm/ports/store.ts';

const PREFIX = 'silence/';
const MAX_SILENCES = 256;
export const MAX_SILENCE_MS = 30 * 86_400_000;

const name = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[^*?]+$/, 'names one thing: no wildcards');

/** What is silenced: a policy, a target (a service, say), or a policy on a target; never nothing at all. */
export const silenceRequestSchema = z
  .strictObject({
    policy: name.optional(),
    target: name.optional(),
    forMs: z.number().int().min(1_000).max(MAX_SILENCE_MS),
    reason: z.string().min(1).max(200),
  })
  .refine(({ policy, target }) => policy !== undefined || target !== undefined, 'name a policy, a target, or both');
export type SilenceRequest = z.infer<typeof silenceRequestSchema>;

const silenceSchema = z.strictObject({
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
  readonly #silences = new Map<string, Silence>();

  constructor(store: Store) {
    this.#store = store;
  }

  async open(): Promise<void> {
    for (const [, bytes] of await this.#store.range(PREFIX, { limit: MAX_SILENCES })) {
      const parsed = silenceSchema.safeParse(decodeCbor(bytes));
      if (parsed.success) this.#silences.set(parsed.data.id, parsed.data);
    }
  }

  /** Those that have not ended, the next to end first. */
  active(wallMs: number): Silence[] {
    return [...this.#silences.values()].filter(({ untilMs }) => untilMs > wallMs).sort((a, b) => a.untilMs - b.untilMs);
  }

  /** The silence that covers a finding; undefined where none does. */
  covering(policy: string, target: string, wallMs: number): Silence | undefined {
    return this.active(wallMs).find((silence) => (silence.policy ?? policy) === policy && (silence.target ?? target) === target);
  }

  /** Durable once it resolves. @throws RangeError where there are too many already. */
  async add(id: string, { policy, target, forMs, reason }: SilenceRequest, wallMs: number): Promise<Silence> {
    const ended = [...this.#silences.values()].filter(({ untilMs }) => untilMs <= wallMs);
    for (const old of ended) this.#silences.delete(old.id);
    if (this.#silences.size >= MAX_SILENCES) throw new RangeError(`there are ${MAX_SILENCES} silences already`);
    const silence: Silence = { id, untilMs: wallMs + forMs, reason, ...(policy && { policy }), ...(target && { target }) };
    this.#silences.set(id, silence);
    await this.#store.write([
      { kind: 'put', key: PREFIX + id, value: encodeCbor(silence) },
      ...ended.map((old) => ({ kind: 'delete' as const, key: PREFIX + old.id })),
    ]);
    return silence;
  }

  /** False where there is none of that id. */
  async remove(id: string): Promise<boolean> {
    if (!this.#silences.delete(id)) return false;
    await this.#store.write([{ kind: 'delete', key: PREFIX + id }]);
    return true;
  }
}
