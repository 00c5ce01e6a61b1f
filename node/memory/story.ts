// An incident as the machine that had it has signed it: what its witnesses keep, and answer with when that machine is gone.
import { z } from 'zod';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Incident } from '../detection/incident.ts';
import { incidentSchema } from './memory.ts';

const DOMAIN = 'kalos/story';

export interface Story {
  incident: Incident;
  /** Of the machine itself, over all of it. */
  signature: Uint8Array;
}

export const storySchema = z.strictObject({ incident: incidentSchema, signature: z.instanceof(Uint8Array) });

/** What the signature is over. */
export const storyBytes = (swarmId: string, incident: Incident): Uint8Array => encodeCbor([DOMAIN, swarmId, incident]);

/** As it came from any member: undefined where its own machine has not signed it. */
export function readStory(crypto: Crypto, swarmId: string, value: unknown): Story | undefined {
  const parsed = storySchema.safeParse(value);
  if (!parsed.success) return undefined;
  const { incident, signature } = parsed.data as Story;
  return crypto.verify(incident.node, storyBytes(swarmId, incident), signature) ? { incident, signature } : undefined;
}
