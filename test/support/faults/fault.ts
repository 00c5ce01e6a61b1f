// What a fault of the benchmark `healing` is, and what all of them share.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../clock.ts';
import type { Place } from './place.ts';

export const MIB = 1024 * 1024;

export interface Fault {
  kind: string;
  /** Nothing is wrong: whatever an agent does is needless. */
  calm?: boolean;
  /** The policies of which one names it; empty where nothing is wrong. */
  blames: readonly string[];
  /** Ms within which it must be over; as heal.ts has it where it is not given. */
  limitMs?: number;
  /** Why it cannot be made on this machine; undefined where it can. */
  lacks?(): string | undefined;
  /** The service's own declaration, in TOML, made once the namespaces are there. */
  declare(place: Place): Promise<string> | string;
  /** What the machine's owner lets the actuator do. */
  grant?(place: Place): string;
  /** Once it is made, it was: it may be over before anybody looks. */
  certain?: boolean;
  /** How long all must be well before. */
  settleMs?: number;
  inject(place: Place): Promise<void> | void;
  /** What is wrong, seen from outside; undefined where nothing is. */
  probe(place: Place): Promise<string | undefined>;
  /** A fair configuration of monit; undefined where it has no word for the fault. */
  monit?(place: Place): string;
}

/** What a fault remembers between its steps. */
const notes = new WeakMap<Place, Record<string, string | number>>();
export function note(place: Place): Record<string, string | number> {
  const known = notes.get(place) ?? {};
  notes.set(place, known);
  return known;
}

/** Waits until all that a fault declares is well, before it is made. */
export async function settle(fault: Fault, place: Place): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, fault.settleMs ?? 3_000));
  await eventually('the service to be well', async () => ((await place.answers()) === undefined ? true : undefined));
  mkdirSync(join(place.root, 'other'), { recursive: true });
}
