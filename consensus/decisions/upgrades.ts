// Releases of KALOS itself: canaries first, then wave after wave, so that only few agents are new, or restart, at the same time. A release
// is identified by the hash of its archive. Each machine's configuration says whether it accepts releases.
import { z } from 'zod';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { type Kind, pushedShape, Rollout, type RolloutState, rolloutSchema, trialShape } from './rollout.ts';

/** The signed bytes: those of versions before 0.3.0, and the time of the push. */
const [UNDATED, DOMAIN] = ['kalos/upgrade/1', 'kalos/upgrade/2'];

const upgradeSchema = z.strictObject({
  ...pushedShape,
  version: z.string(),
  /** SHA-256 of the archive, in hex. */
  digest: z.string(),
  /** Of the archive. */
  bytes: z.number(),
});
export type Upgrade = z.infer<typeof upgradeSchema>;

export const upgradesSchema = rolloutSchema(upgradeSchema, upgradeSchema.extend(trialShape));
export type UpgradesState = RolloutState<Upgrade>;

const UPGRADES: Kind<Upgrade> = {
  name: 'upgrade',
  contentOf: ({ id, by, atMs, pushedMs, signature, version, digest, bytes }) => {
    return { id, by, atMs, ...(pushedMs !== undefined && { pushedMs }), signature, version, digest, bytes };
  },
  bytesOf: (swarmId, { by, pushedMs, version, digest, bytes }) =>
    pushedMs === undefined
      ? encodeCbor([UNDATED, swarmId, by, version, digest, bytes])
      : encodeCbor([DOMAIN, swarmId, by, pushedMs, version, digest, bytes]),
};

export const newUpgrades = (): Rollout<Upgrade> => new Rollout(UPGRADES);
