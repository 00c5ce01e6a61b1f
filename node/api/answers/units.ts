// Units of the answers of the local API, so that OpenAPI shows the unit of each number.
import { z } from 'zod';

export const wallMs = z.number().describe('Wall clock: milliseconds since 1970-01-01 UTC');
export const milliseconds = z.number().describe('Milliseconds');
export const bytes = z.number().describe('Bytes');
export const count = z.number().int().nonnegative();

export const node = z.string().describe('The name of a member');
export const peer = z.string().describe('The peer id of a member: a digest of its public key');
