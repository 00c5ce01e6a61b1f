// Versions of the roster: the leader records each change of its roster as a decision, an epoch. The roster itself is signed elsewhere
// (swarm/identity/). An epoch shows each member whether it has the same roster.
import { z } from 'zod';
import { HASH_BYTES } from '../../swarm/ports/crypto.ts';

export const epochShape = {
  /** The hash of all certificates and revocations. */
  digest: z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === HASH_BYTES),
  members: z.number().int().nonnegative(),
};
const rosterEpochSchema = z.strictObject({ epoch: z.number(), index: z.number(), atMs: z.number(), ...epochShape });
export type RosterEpoch = z.infer<typeof rosterEpochSchema>;
export const epochsSchema = rosterEpochSchema.nullable();

export class Epochs {
  newest: RosterEpoch | null = null;

  /** @returns a refusal, after which nothing has changed; undefined if it was applied */
  take({ digest, members, atMs }: Omit<RosterEpoch, 'epoch' | 'index'>, index: number): string | undefined {
    const { newest } = this;
    if (newest?.digest.every((byte, nth) => byte === digest[nth]) === true) return 'the roster has not changed';
    this.newest = { epoch: (newest?.epoch ?? 0) + 1, index, atMs, digest, members };
    return undefined;
  }
}
