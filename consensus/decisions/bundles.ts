// Policies for all machines: a bundle is tried on a few first, then taken by all, and goes back where it does harm; the last good one is
// kept. Who may push one has signed it: a coordinator that lies can hold it back, and cannot make another.
import { z } from 'zod';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Decision, Wish } from './decision.ts';

const DOMAIN = 'kalos/bundle/1';
/** Canaries may take so much longer than they are to watch it; then it goes back. */
const CANARY_PATIENCE_MS = 120_000;
/** So many members that say it does harm are believed, once all have it; fewer where there are fewer. */
const BAD_REPORTS = 2;
const MAX_REPORTS = 64;

const reportSchema = z.strictObject({ peer: z.string(), ok: z.boolean(), reason: z.string() });
const bundleSchema = z.strictObject({
  id: z.string(),
  by: z.string(),
  atMs: z.number(),
  /** JSON: a list of policies. */
  policies: z.string(),
  signature: z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === SIGNATURE_BYTES),
});
export type Bundle = z.infer<typeof bundleSchema>;

const candidateSchema = bundleSchema.extend({
  canary: z.array(z.string()),
  soakMs: z.number(),
  findings: z.number(),
  phase: z.enum(['canary', 'all']),
  /** Since when it is in this phase. */
  sinceMs: z.number(),
  reports: z.array(reportSchema),
});
export type Candidate = z.infer<typeof candidateSchema>;

const endedSchema = z.strictObject({
  id: z.string(),
  outcome: z.enum(['everywhere', 'back']),
  reason: z.string(),
  atMs: z.number(),
});

export const bundlesSchema = z.strictObject({
  good: bundleSchema.nullable(),
  before: bundleSchema.nullable(),
  candidate: candidateSchema.nullable(),
  /** What became of the last one. */
  ended: endedSchema.nullable(),
});
export type BundlesState = z.infer<typeof bundlesSchema>;
export const NO_BUNDLES: BundlesState = { good: null, before: null, candidate: null, ended: null };

type Of<Kind extends Decision['kind']> = Extract<Decision, { kind: Kind }>;

export const bundleBytes = (swarmId: string, by: PeerId, policies: string): Uint8Array =>
  encodeCbor([DOMAIN, swarmId, by, policies]);

/** Whether who is said to have pushed a bundle did. Whether that one may, the roster tells. */
export const isSigned = (crypto: Pick<Crypto, 'verify'>, swarmId: string, { by, policies, signature }: Bundle): boolean =>
  crypto.verify(by, bundleBytes(swarmId, by, policies), signature);

export class Bundles {
  #state: BundlesState = NO_BUNDLES;

  get state(): BundlesState {
    return this.#state;
  }

  restore(state: BundlesState): void {
    this.#state = state;
  }

  /** What a member is to judge by. */
  wantedBy(peer: PeerId): Bundle | undefined {
    const { candidate, good } = this.#state;
    const isIts = candidate !== null && (candidate.phase === 'all' || candidate.canary.includes(peer));
    return (isIts ? candidate : good) ?? undefined;
  }

  /** Each of these @returns why it is not so; nothing has changed then. */
  push({ id, by, atMs, policies, signature, canary, soakMs, findings }: Of<'bundle'>): string | undefined {
    if (this.#state.candidate !== null) return `bundle ${this.#state.candidate.id.slice(0, 8)} is being tried`;
    if (new Set(canary).size < canary.length) return 'a canary is named twice';
    const candidate = {
      id,
      by,
      atMs,
      policies,
      signature,
      canary,
      soakMs,
      findings,
      phase: 'canary' as const,
      sinceMs: atMs,
      reports: [],
    };
    this.#state = { ...this.#state, candidate };
    return undefined;
  }

  report({ by, bundle, ok, reason }: Of<'bundle-report'>): string | undefined {
    const candidate = this.#candidate(bundle);
    if (candidate === undefined) return 'no such bundle is being tried';
    if (candidate.phase === 'canary' && !candidate.canary.includes(by)) return 'only the canaries say how it does';
    const others = candidate.reports.filter(({ peer }) => peer !== by);
    if (others.length >= MAX_REPORTS) return 'enough is known of it';
    this.#state = { ...this.#state, candidate: { ...candidate, reports: [...others, { peer: by, ok, reason }] } };
    return undefined;
  }

  /** From the canaries to all, or from all to the last good one: only where nothing speaks against it, whoever coordinates. */
  advance({ bundle, atMs }: Of<'bundle-advance'>): string | undefined {
    const candidate = this.#candidate(bundle);
    if (candidate === undefined) return 'no such bundle is being tried';
    if (atMs - candidate.sinceMs < candidate.soakMs) return 'it has not been watched for long enough';
    if (candidate.reports.some(({ ok }) => !ok)) return 'somebody says that it does harm';
    if (candidate.phase === 'canary') {
      const said = new Set(candidate.reports.map(({ peer }) => peer));
      if (!candidate.canary.every((peer) => said.has(peer))) return 'not all canaries have said how it does';
      this.#state = { ...this.#state, candidate: { ...candidate, phase: 'all', sinceMs: atMs, reports: [] } };
      return undefined;
    }
    const { id, by, policies, signature, atMs: pushedMs } = candidate;
    this.#state = {
      good: { id, by, policies, signature, atMs: pushedMs },
      before: this.#state.good,
      candidate: null,
      ended: { id, outcome: 'everywhere', reason: '', atMs },
    };
    return undefined;
  }

  withdraw({ bundle, reason, atMs }: Of<'bundle-withdraw'>): string | undefined {
    const { candidate, good, before } = this.#state;
    const ended = { id: bundle, outcome: 'back' as const, reason, atMs };
    if (candidate?.id === bundle) this.#state = { ...this.#state, candidate: null, ended };
    else if (good?.id === bundle && candidate === null) this.#state = { good: before, before: null, candidate: null, ended };
    else return 'no such bundle is being tried, or in force';
    return undefined;
  }

  #candidate(id: string): Candidate | undefined {
    const { candidate } = this.#state;
    return candidate?.id === id ? candidate : undefined;
  }
}

/** What the coordinator wishes for next: on, or back; undefined while it is to wait. */
export function nextOf(
  { candidate }: BundlesState,
  members: number,
  nowMs: number,
  nameOf: (peer: PeerId) => string,
): Wish | undefined {
  if (candidate === null) return undefined;
  const { id, phase, canary, reports, soakMs, sinceMs } = candidate;
  const back = (reason: string): Wish => ({ kind: 'bundle-withdraw', bundle: id, reason: reason.slice(0, 200) });
  const bad = reports.filter(({ ok }) => !ok);
  const [first] = bad;
  if (first !== undefined && (phase === 'canary' || bad.length >= Math.min(BAD_REPORTS, members)))
    return back(`${nameOf(first.peer)}: ${first.reason}`);
  const leftMs = sinceMs + soakMs - nowMs;
  if (phase === 'all') return leftMs > 0 || bad.length > 0 ? late(leftMs, back) : { kind: 'bundle-advance', bundle: id };
  const missing = canary.filter((peer) => reports.every((report) => report.peer !== peer));
  if (missing.length === 0) return leftMs > 0 ? undefined : { kind: 'bundle-advance', bundle: id };
  return late(leftMs, back, `${missing.map(nameOf).join(', ')} did not say how it does`);
}

function late(leftMs: number, back: (reason: string) => Wish, reason = 'a member says that it does harm'): Wish | undefined {
  return leftMs < -CANARY_PATIENCE_MS ? back(reason) : undefined;
}
