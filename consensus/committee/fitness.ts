// Whether a member is in a state to sit in the committee: by what it measures of itself, and tells when it is asked.
import { z } from 'zod';

/** An agent whose loop, or whose disk, takes longer than this holds the others up. */
const MAX_LAG_MS = 500;
const MAX_DISK_MS = 1_000;
/** Who has been unfit for so long is replaced, where there is somebody to do it. */
export const UNFIT_MS = 60_000;
const MAX_DOMAIN_CHARS = 24;

export interface Vitals {
  /** How late its timers are, of the last minute nearly the worst. */
  lagMs: number;
  /** How long its disk takes to keep something, as a rule. */
  diskMs: number;
  /** What fails together with it: a rack, a room, a power line; empty where nobody said. */
  domain: string;
}

export const domainSchema = z
  .string()
  .max(MAX_DOMAIN_CHARS)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'letters, digits, dot, dash and underscore, at most 24');

const figure = z.number().nonnegative();
const vitalsSchema = z.tuple([figure, figure, domainSchema.or(z.literal(''))]);

const ZONES = 65_535;

/** A number for a domain, as statuses carry it; 0 where there is none. Two of some hundred may share one by chance. */
export function zoneOf(domain: string): number {
  if (domain === '') return 0;
  let hash = 2_166_136_261; // FNV-1a
  for (const letter of domain) hash = Math.imul(hash ^ letter.charCodeAt(0), 16_777_619);
  return 1 + ((hash >>> 0) % ZONES);
}

export const isFit = ({ lagMs, diskMs }: Vitals): boolean => lagMs <= MAX_LAG_MS && diskMs <= MAX_DISK_MS;

export const vitalsToWire = ({ lagMs, diskMs, domain }: Vitals): unknown[] => [Math.round(lagMs), Math.round(diskMs), domain];

/** Of who says nothing of it, nothing bad is known. */
export function vitalsFromWire(wire: unknown): Vitals {
  const [lagMs, diskMs, domain] = vitalsSchema.safeParse(wire).data ?? [0, 0, ''];
  return { lagMs, diskMs, domain };
}
