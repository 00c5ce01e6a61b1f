// What the local API answers about incidents: the chain from sample to outcome, and the minute before.
import { z } from 'zod';
import { incidentSchema as kept } from '../../memory/memory.ts';
import { recordingSchema } from '../../telemetry/flight-recorder.ts';
import { wallMs } from './units.ts';

export const incidentAnswer = kept
  .extend({
    openedMs: wallMs,
    closedMs: wallMs.describe('Wall clock, ms since 1970-01-01 UTC; 0 while it is open'),
    outcome: z.string().describe('How it ended, in a word or two; empty while it is open'),
    cause: z.string().describe('The incident that it belongs to; empty where it is the first itself'),
    certificate: z.string().describe('CBOR in base64, to be checked offline; empty where there is none'),
  })
  .meta({ id: 'Incident' });

export const explanationAnswer = z
  .strictObject({
    incident: incidentAnswer,
    source: z
      .enum(['local', 'remote', 'witness'])
      .describe('Whether it is of the agent that was asked, of the machine that had it, or of a witness that it reported to'),
    toldBy: z.string().optional().describe('That witness'),
    certificate: z
      .discriminatedUnion('present', [
        z.strictObject({ present: z.literal(false) }),
        z.strictObject({ present: z.literal(true), valid: z.boolean(), detail: z.string(), witnesses: z.array(z.string()) }),
      ])
      .describe('As the agent that was asked has checked it'),
    ownVote: z
      .strictObject({ verdict: z.string(), reason: z.string(), confidence: z.number() })
      .optional()
      .describe('Of the agent that was asked, if it was a witness'),
  })
  .meta({ id: 'Explanation' });

export const recordingAnswer = recordingSchema.meta({ id: 'Recording' });
