// Whether a member is fit for the committee: from figures that it measures itself, and reports on request.
import { z } from 'zod';

/** An agent whose event loop or disk takes longer than this slows the others down. */
const MAX_LAG_MS = 500;
const MAX_DISK_MS = 1_000;
/** A voter that has been unfit for this long is replaced, if another member can take its place. */
export const UNFIT_MS = 60_000;
const MAX_DOMAIN_CHARS = 24;

export interface Vitals {
  /** How late its timers are: a high percentile of the last minute. */
  lagMs: number;
  /** How long its disk usually takes for a synced write. */
  diskMs: number;
  /** Its failure domain, such as a rack, a room or a power line; empty if none is configured. */
  domain: string;
}

export const domainSchema = z
  .string()
  .max(MAX_DOMAIN_CHARS)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, dot, dash and underscore, at most 24');

const figure = z.number().nonnegative();
const vitalsSchema = z.tuple([figure, figure, domainSchema.or(z.literal(''))]);

const ZONES = 65_535;

/** The number of a domain in a status; 0 if there is none. Two of some hundred domains may share a number by chance. */
export function zoneOf(domain: string): number {
  if (domain === '') return 0;
  let hash = 2_166_136_261; // FNV-1a
  for (const letter of domain) hash = Math.imul(hash ^ letter.charCodeAt(0), 16_777_619);
  return 1 + ((hash >>> 0) % ZONES);
}

export const isFit = ({ lagMs, diskMs }: Vitals): boolean => lagMs <= MAX_LAG_MS && diskMs <= MAX_DISK_MS;

export const vitalsToWire = ({ lagMs, diskMs, domain }: Vitals): unknown[] => [Math.round(lagMs), Math.round(diskMs), domain];

/** A member that reports no figures counts as fit. */
export function vitalsFromWire(wire: unknown): Vitals {
  const [lagMs, diskMs, domain] = vitalsSchema.safeParse(wire).data ?? [0, 0, ''];
  return { lagMs, diskMs, domain };
}
