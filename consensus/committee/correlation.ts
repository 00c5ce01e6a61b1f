// Correlates incidents of several machines: one probable cause, which is what the unhealthy members share and the others do not. A cause
// consists of enums, names and versions that the coordinator has already: no text from a machine is used here.
import type { PeerId } from '../../swarm/ports/transport.ts';

const MIN_UNWELL = 3;
/** A cause is shared by most unhealthy members, most members that have it are unhealthy, and few of the others are. */
const MIN_COVER = 0.7;
const MIN_SHARE = 0.6;
const MAX_OTHERS = 0.2;
/** The share of all members from which on there is a report without a known cause: fewer are chance. */
const MIN_OF_ALL = 0.3;
/** And they became unhealthy within this time of each other. */
const TOGETHER_MS = 180_000;

/** The likeliest first, if several explain the same. */
export const CAUSES = ['release', 'policies', 'version', 'domain', 'service', 'unknown'] as const;
export type Cause = (typeof CAUSES)[number];

/** A member as its own status describes it. */
export interface Traits {
  peer: PeerId;
  version: string;
  /** Its failure domain; empty if unknown. */
  domain: string;
  /** The release, and the policies, that are rolling out there; empty if none are. */
  release: string;
  policies: string;
  /** Connected with others: a member that is not may be on the other side of a partition. */
  isAlive: boolean;
  /** Undefined while it is healthy. */
  unwell: { sinceMs: number; services: readonly string[] } | undefined;
}

export interface Correlation {
  cause: Cause;
  /** Which version, domain or service; empty if unknown. */
  value: string;
  unwell: PeerId[];
  /** How many members have the same value. */
  having: number;
  all: number;
}

export function correlate(members: readonly Traits[]): Correlation | undefined {
  const unwell = members.filter((one) => one.unwell !== undefined);
  if (unwell.length < MIN_UNWELL) return undefined;
  const explained = CAUSES.flatMap((cause) => explanations(cause, members, unwell));
  const [best] = explained.toSorted((a, b) => b.score - a.score);
  const seen = { unwell: unwell.map(({ peer }) => peer), all: members.length };
  if (best !== undefined) return { cause: best.cause, value: best.value, having: best.having, ...seen };
  // Members that are down, with nothing else known, are shown in the list of members only.
  const there = unwell.filter(({ isAlive }) => isAlive);
  const since = there.map((one) => one.unwell?.sinceMs ?? 0);
  const isTogether = Math.max(...since) - Math.min(...since) <= TOGETHER_MS;
  if (there.length < MIN_UNWELL || !isTogether || there.length < members.length * MIN_OF_ALL) return undefined;
  return { cause: 'unknown', value: '', having: members.length, ...seen };
}

function valuesOf(cause: Cause, one: Traits): readonly string[] {
  if (cause === 'unknown') return [];
  return (cause === 'service' ? (one.unwell?.services ?? []) : [one[cause]]).filter((value) => value !== '');
}

function explanations(cause: Cause, members: readonly Traits[], unwell: readonly Traits[]) {
  const values = [...new Set(unwell.flatMap((one) => valuesOf(cause, one)))];
  return values.flatMap((value) => {
    const having = members.filter((one) => valuesOf(cause, one).includes(value));
    const both = having.filter((one) => one.unwell !== undefined).length;
    // A value that all members share explains nothing. A service is the exception: it is known only on unhealthy members.
    if (having.length === members.length && cause !== 'service') return [];
    const cover = both / unwell.length;
    const share = both / having.length;
    const others = members.length - having.length;
    const othersUnwell = others === 0 ? 0 : (unwell.length - both) / others;
    const isCause = cover >= MIN_COVER && share >= MIN_SHARE && othersUnwell <= MAX_OTHERS;
    // Healthy services are not known here: a service comes last.
    return isCause ? [{ cause, value, having: having.length, score: cover * share - (cause === 'service' ? 1 : 0) }] : [];
  });
}
