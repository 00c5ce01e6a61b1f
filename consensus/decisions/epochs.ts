// In which order it came about who belongs: the coordinator says so whenever its roster has changed, and each such decision is an epoch.
// Who belongs is signed elsewhere (swarm/identity/); an epoch lets everybody see whether it knows the same.
import { z } from 'zod';
import { HASH_BYTES } from '../../swarm/ports/crypto.ts';

export const epochShape = {
  /** Of who is certified as what, and who is no more. */
  digest: z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === HASH_BYTES),
  members: z.number().int().nonnegative(),
};
const rosterEpochSchema = z.strictObject({ epoch: z.number(), index: z.number(), atMs: z.number(), ...epochShape });
export type RosterEpoch = z.infer<typeof rosterEpochSchema>;
export const epochsSchema = rosterEpochSchema.nullable();

export class Epochs {
  newest: RosterEpoch | null = null;

  /** @returns why it is not so; nothing has changed then */
  take({ digest, members, atMs }: Omit<RosterEpoch, 'epoch' | 'index'>, index: number): string | undefined {
    const { newest } = this;
    if (newest?.digest.every((byte, nth) => byte === digest[nth]) === true) return 'it is that already';
    this.newest = { epoch: (newest?.epoch ?? 0) + 1, index, atMs, digest, members };
    return undefined;
  }
}
