// What the local API answers about incidents: the chain from sample to outcome, and the minute before.
import { z } from 'zod';
import { incidentSchema as kept } from '../../memory/memory.ts';
import { recordingSchema } from '../../telemetry/flight-recorder.ts';
import { wallMs } from './units.ts';

export const incidentAnswer = kept
  .extend({
    openedMs: wallMs,
    closedMs: wallMs.describe('Wall clock, ms since 1970-01-01 UTC; 0 while it is open'),
    outcome: z.string().describe('Outcome; empty while it is open'),
    cause: z.string().describe('The root incident of the group; empty for the root itself'),
    certificate: z.string().describe('CBOR in base64, can be checked offline; empty if there is none'),
  })
  .meta({ id: 'Incident' });

export const explanationAnswer = z
  .strictObject({
    incident: incidentAnswer,
    source: z
      .enum(['local', 'remote', 'witness'])
      .describe('Source: the queried agent, the affected machine, or one of its witnesses'),
    toldBy: z.string().optional().describe('The witness, if the source is a witness'),
    certificate: z
      .discriminatedUnion('present', [
        z.strictObject({ present: z.literal(false) }),
        z.strictObject({ present: z.literal(true), valid: z.boolean(), detail: z.string(), witnesses: z.array(z.string()) }),
      ])
      .describe('Check result of the queried agent'),
    ownVote: z
      .strictObject({ verdict: z.string(), reason: z.string(), confidence: z.number() })
      .optional()
      .describe('Vote of the queried agent, if it was a witness'),
  })
  .meta({ id: 'Explanation' });

export const recordingAnswer = recordingSchema.meta({ id: 'Recording' });
