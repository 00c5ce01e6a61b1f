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

/** A member, as the coordinator sees it. */
interface Seen {
  peer: PeerId;
  isAlive: boolean;
  /** What is wrong with it, in words; undefined where nothing is. */
  ill: string | undefined;
}

/** The swarm, as its coordinator sees it. */
interface SwarmView {
  nowMs: number;
  self: PeerId;
  voters: readonly PeerId[];
  members: readonly Seen[];
}

/** What the coordinator wishes for next: on, or back; undefined while it is to wait. */
export function nextUpgrade({ candidate }: UpgradesState, view: SwarmView, nameOf: (peer: PeerId) => string): Wish | undefined {
  if (candidate === null) return undefined;
  const { nowMs } = view;
  const { id, phase, reports, soakMs, sinceMs } = candidate;
  const back = (reason: string): Wish => ({ kind: 'upgrade-withdraw', upgrade: id, reason: reason.slice(0, 200) });
  const bad = reports.find(({ ok }) => !ok);
  if (bad !== undefined) return back(`${nameOf(bad.peer)}: ${bad.reason}`);
  const turn = turnOf(candidate);
  const illOf = new Map(view.members.map(({ peer, ill }) => [peer, ill]));
  const isIll = (peer: PeerId): boolean => !illOf.has(peer) || illOf.get(peer) !== undefined;
  const ill = nowMs - sinceMs < BACK_WITHIN_MS ? [] : turn.filter(isIll);
  if (ill.length > 0 && (phase === 'canary' || ill.length >= Math.min(ILL_TOGETHER, turn.length)))
    return back(`since it is their turn: ${ill.map((peer) => `${nameOf(peer)} ${illOf.get(peer) ?? 'is gone'}`).join(', ')}`);
  // Who is gone alone, of a wave, is not waited for.
  const missing = missingOf(candidate).filter((peer) => phase === 'canary' || !isIll(peer));
  if (missing.length > 0)
    return isLate(candidate, nowMs) ? back(`${missing.map(nameOf).join(', ')} did not say how it does`) : undefined;
  if (nowMs - sinceMs < soakMs) return undefined;
  const { canary, before = [], wave = [] } = candidate;
  return { kind: 'upgrade-advance', upgrade: id, next: nextWave([...canary, ...before, ...wave], view) };
}

/** Twice as many as before, a quarter of all at most, less than half of those who vote, and the coordinator last. */
function nextWave(done: readonly PeerId[], { self, members, voters }: SwarmView): PeerId[] {
  const left = members.filter(({ peer, isAlive }) => isAlive && !done.includes(peer));
  const others = left.flatMap(({ peer, ill }) => (peer === self || ill !== undefined ? [] : [peer]));
  if (others.length === 0) return left.some(({ peer }) => peer === self) ? [self] : [];
  const most = Math.max(1, Math.min(done.length * 2, Math.floor(members.length * WAVE_SHARE), MOST_WAVE));
  let votersLeft = Math.max(1, Math.floor((voters.length - 1) / 2));
  const wave: PeerId[] = [];
  for (const peer of others.sort()) {
    if (wave.length >= most) break;
    const votes = voters.includes(peer);
    if (votes && votersLeft === 0) continue;
    if (votes) votersLeft--;
    wave.push(peer);
  }
  return wave;
}
