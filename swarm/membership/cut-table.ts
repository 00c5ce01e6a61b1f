// How many observers a member has (K), how many of their alerts make it unreachable (L), and how many make it down (H),
// by the number of members. As in Rapid (Suresh et al. 2018) H is close to K, so that one bad observer or two cut nobody off.
import { MAX_OBSERVERS } from './observers.ts';

export interface CutParameters {
  /** Observers of each member. */
  k: number;
  /** Alerts that make it `unreachable`: an observation. */
  l: number;
  /** Alerts that make it `down`: a verdict. Infinite where too few could give one. */
  h: number;
}

/** For n = 1 … 8; beyond, as for 8. Two members cannot tell who of them is cut off: there nobody is ever `down`. */
const TABLE: readonly CutParameters[] = [
  { k: 0, l: 1, h: Number.POSITIVE_INFINITY },
  { k: 1, l: 1, h: Number.POSITIVE_INFINITY },
  { k: 2, l: 1, h: 2 },
  { k: 3, l: 1, h: 2 },
  { k: 4, l: 2, h: 3 },
  { k: 5, l: 2, h: 4 },
  { k: 6, l: 2, h: 4 },
  { k: MAX_OBSERVERS, l: 3, h: 5 },
];

export function cutParameters(members: number): CutParameters {
  return TABLE[Math.max(0, Math.min(TABLE.length, members) - 1)] as CutParameters;
}
