// Cases: repairs of a finding, with the state of the machine and whether they helped. A similar case, of the same policy
// on another target, is evidence for a new one; node/decision/decide.ts gives it a weight.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store } from '../../swarm/ports/store.ts';
import type { RemedyRecord } from '../decision/decide.ts';

const PREFIX = 'solved/';
/** The oldest are removed first. */
export const MAX_CASES = 2_000;
/** Cosine of the angle between two feature vectors from which on they are similar. */
const SIMILAR = 0.9;

export const caseSchema = z.strictObject({
  /** The plan's id. */
  id: z.string(),
  incident: z.string(),
  policy: z.string(),
  target: z.string(),
  /** The tools, in order. */
  tools: z.string(),
  /** Description of the plan. */
  plan: z.string(),
  worked: z.boolean(),
  atMs: z.number(),
  /** Features of the incident model; empty if the history was too short. */
  features: z.array(z.number()),
});
export type Case = z.infer<typeof caseSchema>;

export class Cases {
  readonly #store: Store;
  readonly #cases = new Map<string, Case>();

  constructor(store: Store) {
    this.#store = store;
  }

  async open(): Promise<void> {
    for (const [, bytes] of await this.#store.range(PREFIX, { limit: MAX_CASES })) {
      const parsed = caseSchema.safeParse(decodeCbor(bytes));
      if (parsed.success) this.#cases.set(parsed.data.id, parsed.data);
    }
  }

  /** Oldest first. */
  all(): Case[] {
    return [...this.#cases.values()].sort((a, b) => a.atMs - b.atMs || (a.id < b.id ? -1 : 1));
  }

  async learn(one: Case): Promise<void> {
    this.#cases.set(one.id, one);
    const [oldest] = this.#cases.size > MAX_CASES ? this.all() : [];
    if (oldest !== undefined) this.#cases.delete(oldest.id);
    await this.#store.write([
      { kind: 'put', key: `${PREFIX}${one.id}`, value: encodeCbor(one) },
      ...(oldest === undefined ? [] : [{ kind: 'delete' as const, key: `${PREFIX}${oldest.id}` }]),
    ]);
  }

  /** The results of the tools on other targets of the policy, while the machine was in a similar state. */
  similar(policy: string, target: string, tools: string, features: readonly number[] | undefined): RemedyRecord {
    const record = { worked: 0, failed: 0 };
    for (const one of this.#cases.values()) {
      if (one.policy !== policy || one.tools !== tools || one.target === target) continue;
      if (!looksLike(one.features, features)) continue;
      if (one.worked) record.worked++;
      else record.failed++;
    }
    return record;
  }
}

/** Without features of both, cases of one policy count as similar. */
function looksLike(a: readonly number[], b: readonly number[] | undefined): boolean {
  if (a.length === 0 || b === undefined || a.length !== b.length) return true;
  const dot = (x: readonly number[], y: readonly number[]): number =>
    x.reduce((sum, value, i) => sum + squash(value) * squash(y[i] ?? 0), 0);
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  return lengths === 0 || dot(a, b) / lengths >= SIMILAR;
}

/** Shares and counts on one scale. */
function squash(value: number): number {
  return Math.abs(value) <= 1 ? value : value / (1 + Math.abs(value));
}
