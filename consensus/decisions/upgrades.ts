// Releases of KALOS itself: canaries first, then wave after wave, so that never many agents are new, or starting anew, at once. A
// release is known by the hash of its archive; which machines take any at all, they say themselves.
import { z } from 'zod';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { Wish } from './decision.ts';
import { isLate, missingOf, pushedShape, Rollout, type RolloutState, rolloutSchema, trialShape, turnOf } from './rollout.ts';

const DOMAIN = 'kalos/upgrade/1';
export const MOST_WAVE = 256;
/** No wave is a larger share of all members. */
const WAVE_SHARE = 0.25;
/** An agent that starts anew is back by then. */
const BACK_WITHIN_MS = 45_000;
/** So many of one wave that look sick, or are gone, have one cause. */
const ILL_TOGETHER = 2;

const upgradeSchema = z.strictObject({
  ...pushedShape,
  version: z.string(),
  /** SHA-256 of the archive, in hex. */
  digest: z.string(),
  /** Of the archive. */
  bytes: z.number(),
});
export type Upgrade = z.infer<typeof upgradeSchema>;

export const upgradesSchema = rolloutSchema(upgradeSchema, upgradeSchema.extend(trialShape));
export type UpgradesState = RolloutState<Upgrade>;

export const newUpgrades = (): Rollout<Upgrade> =>
  new Rollout({
    name: 'upgrade',
    contentOf: ({ id, by, atMs, signature, version, digest, bytes }) => ({ id, by, atMs, signature, version, digest, bytes }),
  });

type Signed = Pick<Upgrade, 'by' | 'version' | 'digest' | 'bytes'>;

export const upgradeBytes = (swarmId: string, { by, version, digest, bytes }: Signed): Uint8Array =>
  encodeCbor([DOMAIN, swarmId, by, version, digest, bytes]);

/** Whether who is said to have pushed it did. Whether that one may, the roster tells. */
export const isSignedUpgrade = (crypto: Pick<Crypto, 'verify'>, swarmId: string, upgrade: Upgrade): boolean =>
  crypto.verify(upgrade.by, upgradeBytes(swarmId, upgrade), upgrade.signature);

/** The swarm, as its coordinator sees it. */
export interface SwarmView {
  self: PeerId;
  /** Those that are there. */
  alive: readonly PeerId[];
  members: number;
  voters: readonly PeerId[];
  /** What is wrong with a member, in words; undefined where nothing is. */
  ill(peer: PeerId): string | undefined;
  nameOf(peer: PeerId): string;
}

/** What the coordinator wishes for next: on, or back; undefined while it is to wait. */
export function nextUpgrade({ candidate }: UpgradesState, view: SwarmView, nowMs: number): Wish | undefined {
  if (candidate === null) return undefined;
  const { id, phase, reports, soakMs, sinceMs } = candidate;
  const back = (reason: string): Wish => ({ kind: 'upgrade-withdraw', upgrade: id, reason: reason.slice(0, 200) });
  const bad = reports.find(({ ok }) => !ok);
  if (bad !== undefined) return back(`${view.nameOf(bad.peer)}: ${bad.reason}`);
  const turn = turnOf(candidate);
  const ill = nowMs - sinceMs < BACK_WITHIN_MS ? [] : turn.filter((peer) => view.ill(peer) !== undefined);
  const [first] = ill;
  if (first !== undefined && (phase === 'canary' || ill.length >= Math.min(ILL_TOGETHER, turn.length))) {
    const which = ill.map((peer) => `${view.nameOf(peer)} ${view.ill(peer)}`).join(', ');
    return back(`since it is their turn: ${which}`);
  }
  // Who is gone alone, of a wave, is not waited for.
  const missing = missingOf(candidate).filter((peer) => phase === 'canary' || view.ill(peer) === undefined);
  if (missing.length > 0)
    return isLate(candidate, nowMs) ? back(`${missing.map(view.nameOf).join(', ')} did not say how it does`) : undefined;
  if (nowMs - sinceMs < soakMs) return undefined;
  return {
    kind: 'upgrade-advance',
    upgrade: id,
    next: nextWave([...candidate.canary, ...(candidate.before ?? []), ...(candidate.wave ?? [])], view),
  };
}

/** Twice as many as before, a quarter of all at most, less than half of those who vote, and the coordinator last. */
function nextWave(done: readonly PeerId[], { self, alive, members, voters, ill }: SwarmView): PeerId[] {
  const left = alive.filter((peer) => peer !== self && !done.includes(peer) && ill(peer) === undefined);
  if (left.length === 0) return alive.includes(self) && !done.includes(self) ? [self] : [];
  const most = Math.max(1, Math.min(done.length * 2, Math.floor(members * WAVE_SHARE), MOST_WAVE));
  let votersLeft = Math.max(1, Math.floor((voters.length - 1) / 2));
  const wave: PeerId[] = [];
  for (const peer of [...left].sort()) {
    if (wave.length >= most) break;
    const votes = voters.includes(peer);
    if (votes && votersLeft === 0) continue;
    if (votes) votersLeft--;
    wave.push(peer);
  }
  return wave;
}
