// Policies for all machines, in bundles: canaries first, then all at once.
import { z } from 'zod';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Wish } from './decision.ts';
import { isLate, missingOf, pushedShape, Rollout, type RolloutState, rolloutSchema, trialShape } from './rollout.ts';

const DOMAIN = 'kalos/bundle/1';
/** So many members that say it does harm are believed, once all have it; fewer where there are fewer. */
const BAD_REPORTS = 2;

const bundleSchema = z.strictObject({
  ...pushedShape,
  /** JSON: a list of policies. */
  policies: z.string(),
});
export type Bundle = z.infer<typeof bundleSchema>;

const howShape = {
  /** What its policies may find on a machine while it is watched. */
  findings: z.number(),
};
type How = z.infer<z.ZodObject<typeof howShape>>;

export const bundlesSchema = rolloutSchema(bundleSchema, bundleSchema.extend({ ...howShape, ...trialShape }));
export type BundlesState = RolloutState<Bundle, How>;

export const newBundles = (): Rollout<Bundle, How> =>
  new Rollout({
    name: 'bundle',
    contentOf: ({ id, by, policies, signature, atMs }) => ({ id, by, policies, signature, atMs }),
  });

export const bundleBytes = (swarmId: string, by: PeerId, policies: string): Uint8Array =>
  encodeCbor([DOMAIN, swarmId, by, policies]);

/** Whether who is said to have pushed a bundle did. Whether that one may, the roster tells. */
export const isSigned = (crypto: Pick<Crypto, 'verify'>, swarmId: string, { by, policies, signature }: Bundle): boolean =>
  crypto.verify(by, bundleBytes(swarmId, by, policies), signature);

/** What the coordinator wishes for next: on, or back; undefined while it is to wait. */
export function nextOf(
  { candidate }: BundlesState,
  members: number,
  nowMs: number,
  nameOf: (peer: PeerId) => string,
): Wish | undefined {
  if (candidate === null) return undefined;
  const { id, phase, reports, soakMs, sinceMs } = candidate;
  const back = (reason: string): Wish => ({ kind: 'bundle-withdraw', bundle: id, reason: reason.slice(0, 200) });
  const bad = reports.filter(({ ok }) => !ok);
  const [first] = bad;
  if (first !== undefined && (phase === 'canary' || bad.length >= Math.min(BAD_REPORTS, members)))
    return back(`${nameOf(first.peer)}: ${first.reason}`);
  const missing = missingOf(candidate);
  const isDue = nowMs - sinceMs >= soakMs;
  if (isDue && bad.length === 0 && missing.length === 0) return { kind: 'bundle-advance', bundle: id };
  if (!isLate(candidate, nowMs)) return undefined;
  return back(
    missing.length === 0 ? 'a member says that it does harm' : `${missing.map(nameOf).join(', ')} did not say how it does`,
  );
}
