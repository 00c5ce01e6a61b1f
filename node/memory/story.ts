// An incident signed by its machine: witnesses keep it, and answer with it if that machine is down.
import { z } from 'zod';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Incident } from '../detection/incident.ts';
import { incidentSchema } from './memory.ts';

const DOMAIN = 'kalos/story';

export interface Story {
  incident: Incident;
  /** The machine's signature over the whole story. */
  signature: Uint8Array;
}

export const storySchema = z.strictObject({ incident: incidentSchema, signature: z.instanceof(Uint8Array) });

/** What the signature is over. */
export const storyBytes = (swarmId: string, incident: Incident): Uint8Array => encodeCbor([DOMAIN, swarmId, incident]);

/** Parses a story from any member: undefined if its own machine has not signed it. */
export function readStory(crypto: Crypto, swarmId: string, value: unknown): Story | undefined {
  const parsed = storySchema.safeParse(value);
  if (!parsed.success) return undefined;
  const { incident, signature } = parsed.data as Story;
  return crypto.verify(incident.node, storyBytes(swarmId, incident), signature) ? { incident, signature } : undefined;
}
