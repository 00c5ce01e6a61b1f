// Policies for all machines, in bundles: canaries first, then wave after wave.
import { z } from 'zod';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { type Kind, pushedShape, Rollout, type RolloutState, rolloutSchema, trialShape } from './rollout.ts';

/** The signed bytes: those of versions before 0.3.0, and the time of the push. */
const [UNDATED, DOMAIN] = ['kalos/bundle/1', 'kalos/bundle/2'];

const bundleSchema = z.strictObject({
  ...pushedShape,
  /** JSON: a list of policies. */
  policies: z.string(),
});
export type Bundle = z.infer<typeof bundleSchema>;

const howShape = {
  /** How many findings its policies may have on a machine during the soak time. */
  findings: z.number(),
};
export type BundlesHow = z.infer<z.ZodObject<typeof howShape>>;

export const bundlesSchema = rolloutSchema(bundleSchema, bundleSchema.extend({ ...howShape, ...trialShape }));
export type BundlesState = RolloutState<Bundle, BundlesHow>;

const BUNDLES: Kind<Bundle, BundlesHow> = {
  name: 'bundle',
  contentOf: ({ id, by, policies, signature, atMs, pushedMs }) => {
    return { id, by, policies, signature, atMs, ...(pushedMs !== undefined && { pushedMs }) };
  },
  bytesOf: (swarmId, { by, pushedMs, policies }) =>
    pushedMs === undefined ? encodeCbor([UNDATED, swarmId, by, policies]) : encodeCbor([DOMAIN, swarmId, by, pushedMs, policies]),
};

export const newBundles = (): Rollout<Bundle, BundlesHow> => new Rollout(BUNDLES);
