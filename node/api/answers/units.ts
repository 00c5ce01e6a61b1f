// What the answers of the local API measure in: in OpenAPI each figure says its unit.
import { z } from 'zod';

/** Wall clock. */
export const wallMs = z.number().describe('Wall clock: milliseconds since 1970-01-01 UTC');
export const milliseconds = z.number().describe('Milliseconds');
export const bytes = z.number().describe('Bytes');
export const count = z.number().int().nonnegative();
/** Of a machine. */
export const node = z.string().describe('The name of a member');
export const peer = z.string().describe('The peer id of a member: a digest of its public key');
