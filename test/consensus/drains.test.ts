// What proves a drain: a signature, or a certificate of those that watch the member, each for now and for no longer than it says.
import { describe, expect, it } from 'vitest';
import { CERTIFIED_MS, type Drain, drainBytes, isProven } from '../../consensus/decisions/drains.ts';
import { certificateQuorum } from '../../consensus/quorum.ts';
import { encodeCertificate } from '../../consensus/vote/certificate.ts';
import { type Claim, claimIdOf, voteBytes } from '../../consensus/vote/claim.ts';
import { observersOf } from '../../swarm/membership/observers.ts';
import { makePeers } from '../support/crypto.ts';

const SWARM = 'swarm';
const NOW_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

async function world() {
  const peers = await makePeers(8);
  const [issuer, subject, other] = peers;
  if (issuer === undefined || subject === undefined || other === undefined) throw new Error('nobody is there');
  const names = peers.map(({ self }) => self);
  const believed = { mayDecide: (peer: string) => peer === issuer.self, members: () => names, liars: new Set<string>() };
  const holds = (drain: Drain) => isProven(other, SWARM, drain, believed);
  const wish = (by = issuer, given: Partial<Drain> = {}): Drain => {
    const wished = { by: by.self, peer: subject.self, forMs: HOUR_MS, wishedMs: NOW_MS };
    return { ...wished, atMs: NOW_MS + 1_000, reason: '', proof: by.sign(drainBytes(SWARM, wished)), ...given };
  };
  const certified = (given: Partial<Drain> = {}): Drain => {
    const times = { fromMs: NOW_MS, expiresAtMs: NOW_MS + 60_000 };
    const evidenceDigest = other.hash(new Uint8Array([1]));
    const claim: Claim = { subject: subject.self, kind: 'slow', target: '', port: undefined, ...times, evidenceDigest };
    const claimId = claimIdOf(SWARM, claim, other.hash);
    const witnesses = observersOf(subject.self, names).slice(1);
    const votes = witnesses.slice(0, certificateQuorum(witnesses.length)).map((witness) => {
      const unsigned = { claimId, witness, verdict: 'yes', reason: 'own-measure', confidence: 80 } as const;
      const signer = peers.find(({ self }) => self === witness);
      return { ...unsigned, signature: signer?.sign(voteBytes(SWARM, unsigned)) ?? new Uint8Array(64) };
    });
    const proof = encodeCertificate({ claim, witnesses, votes });
    const drain = { by: other.self, peer: subject.self, forMs: CERTIFIED_MS, wishedMs: NOW_MS, atMs: NOW_MS + 1_000, reason: '' };
    return { ...drain, proof, ...given };
  };
  return { issuer, subject, other, holds, wish, certified };
}

describe('a drain', () => {
  it('is an issuer’s wish, or the member’s own, as it was signed', async () => {
    const { subject, other, holds, wish } = await world();
    expect([holds(wish()), holds(wish(subject)), holds(wish(other))]).toEqual([true, true, false]);
    expect(holds(wish(undefined, { forMs: HOUR_MS + 1 }))).toBe(false);
    expect(holds(wish(undefined, { peer: other.self }))).toBe(false);
  });

  it('that ended is not brought back: neither by whoever orders decisions, nor under a later time', async () => {
    const { holds, wish, certified } = await world();
    const later = NOW_MS + 2 * HOUR_MS;
    expect(holds(wish(undefined, { atMs: later }))).toBe(false);
    expect(holds(wish(undefined, { atMs: later, wishedMs: later }))).toBe(false);
    expect([holds(certified()), holds(certified({ atMs: later })), holds(certified({ atMs: later, wishedMs: later }))]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('by certificate is for ten minutes, whatever else is said', async () => {
    const { holds, certified } = await world();
    expect(holds(certified({ forMs: CERTIFIED_MS + 1 }))).toBe(false);
  });
});
