// What is wrong with several machines at once, as one thing with one probable cause: what those that are unwell share, and the others do
// not. A cause in words of enums, names and versions that the coordinator holds already: no text from machines decides here.
import type { PeerId } from '../../swarm/ports/transport.ts';

const MIN_UNWELL = 3;
/** What explains it is of most of those that are unwell, makes most of those that have it so, and of the others few are. */
const MIN_COVER = 0.7;
const MIN_SHARE = 0.6;
const MAX_OTHERS = 0.2;
/** Of all, where no cause is seen: fewer are chance. */
const MIN_OF_ALL = 0.3;
/** And they became so within this of each other. */
const TOGETHER_MS = 180_000;

/** The likeliest first, where several explain the same. */
export const CAUSES = ['release', 'policies', 'version', 'domain', 'service', 'unknown'] as const;
export type Cause = (typeof CAUSES)[number];

/** What is known of a member, by its own status. */
export interface Traits {
  peer: PeerId;
  version: string;
  /** What fails together with it; empty where that is not known. */
  domain: string;
  /** The release, and the policies, that are being tried there; empty where none are. */
  release: string;
  policies: string;
  /** Connected with others: who is not may be on the other side of a cut. */
  isAlive: boolean;
  /** Undefined while it is well. */
  unwell: { sinceMs: number; services: readonly string[] } | undefined;
}

export interface Correlation {
  cause: Cause;
  /** Which version, domain or service; empty where it is unknown. */
  value: string;
  unwell: PeerId[];
  /** Of those that have the same. */
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
  // Who is gone, and that is all that is known, is for the list of members to tell.
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
    // What all have explains nothing, but for a service, which is seen only where it is unwell.
    if (having.length === members.length && cause !== 'service') return [];
    const cover = both / unwell.length;
    const share = both / having.length;
    const others = members.length - having.length;
    const othersUnwell = others === 0 ? 0 : (unwell.length - both) / others;
    const isCause = cover >= MIN_COVER && share >= MIN_SHARE && othersUnwell <= MAX_OTHERS;
    // Nothing is seen of a service where it is well: it comes last.
    return isCause ? [{ cause, value, having: having.length, score: cover * share - (cause === 'service' ? 1 : 0) }] : [];
  });
}
