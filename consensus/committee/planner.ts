// The coordinator's plan for the whole swarm: the next step of a roll-out, services that should move, and incidents that several machines
// share. Plain data in, plain data out: it runs beside the agent, and if a run fails the next one plans again.
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { BundlesState } from '../decisions/bundles.ts';
import type { Wish } from '../decisions/decision.ts';
import type { Placement } from '../decisions/placements.ts';
import { isTurnOf } from '../decisions/rollout.ts';
import type { UpgradesState } from '../decisions/upgrades.ts';
import { nextStep } from '../decisions/waves.ts';
import { type Correlation, correlate, type Traits } from './correlation.ts';

/** A member must be short of a resource for this long before a placed service moves away from it. */
const SHORT_FOR_MS = 120_000;
const MOVE_EVERY_MS = 600_000;

export interface MemberView {
  peer: PeerId;
  name: string;
  isAlive: boolean;
  /** Why it is unhealthy, in words; undefined if it is healthy. */
  ill: string | undefined;
  /** Since when it is unhealthy, by its own status or because it is down. */
  unwellMs: number | undefined;
  /** Since when it is short of CPU, memory or I/O. */
  shortMs: number | undefined;
  /** Unhealthy services on it. */
  services: readonly string[];
  version: string;
  domain: string;
}

export interface PlannerView {
  nowMs: number;
  self: PeerId;
  voters: readonly PeerId[];
  members: readonly MemberView[];
  /** Names of members with a roll-out, which may have left since. */
  names: ReadonlyMap<PeerId, string>;
  bundles: BundlesState;
  upgrades: UpgradesState;
  placements: readonly Placement[];
  /** When this planner moved a service last. */
  movedMs: number;
}

export interface Planned {
  wish: Wish | undefined;
  correlation: Correlation | undefined;
}

export function plan(view: PlannerView): Planned {
  const { members, bundles, upgrades } = view;
  const correlation = correlate(members.map((member) => traitsOf(member, view)));
  const nameOf = (peer: PeerId): string => members.find((one) => one.peer === peer)?.name ?? view.names.get(peer) ?? peer;
  const wish =
    (correlation && stop(correlation, view)) ??
    nextStep('bundle', bundles, view, nameOf) ??
    nextStep('upgrade', upgrades, view, nameOf) ??
    move(view);
  return { wish, correlation };
}

function traitsOf(
  { peer, version, domain, isAlive, unwellMs, services }: MemberView,
  { bundles, upgrades }: PlannerView,
): Traits {
  const tried = (one: typeof bundles.candidate | typeof upgrades.candidate): string =>
    one !== null && isTurnOf(one, peer) ? one.id : '';
  const unwell = unwellMs === undefined ? undefined : { sinceMs: unwellMs, services };
  return { peer, version, domain, release: tried(upgrades.candidate), policies: tried(bundles.candidate), isAlive, unwell };
}

/** A roll-out that the unhealthy members share is rolled back. */
function stop({ cause, value, unwell, having, all }: Correlation, { bundles, upgrades }: PlannerView): Wish | undefined {
  const reason = `${unwell.length} of ${all} members are unhealthy; ${having} members run it`;
  if (cause === 'release' && upgrades.candidate?.id === value) return { kind: 'upgrade-withdraw', upgrade: value, reason };
  if (cause === 'policies' && bundles.candidate?.id === value) return { kind: 'bundle-withdraw', bundle: value, reason };
  return undefined;
}

/** A service of a member that has been short of a resource for long, if a member that is not runs fewer. */
function move({ members, placements, nowMs, movedMs }: PlannerView): Wish | undefined {
  if (nowMs - movedMs < MOVE_EVERY_MS) return undefined;
  const has = (peer: PeerId): number => placements.filter((one) => one.peer === peer).length;
  for (const { service, peer, move: reason } of placements) {
    const member = members.find((one) => one.peer === peer);
    if (member?.shortMs === undefined || reason !== null || nowMs - member.shortMs < SHORT_FOR_MS) continue;
    const able = members.some(
      (one) => one.isAlive && one.ill === undefined && one.shortMs === undefined && has(one.peer) < has(member.peer),
    );
    if (able) return { kind: 'move', service, reason: `${member.name} is short of CPU, memory or I/O` };
  }
  return undefined;
}
