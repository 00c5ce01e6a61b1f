// Whom a member has to do with: who watches it and votes for it, without those that lied, and whom it keeps connections with.
import { describe, expect, it } from 'vitest';
import { PeerSelection } from '../../node/link/peer-selection.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { Membership } from '../../swarm/membership/membership.ts';
import { drawnBy, observersOf } from '../../swarm/membership/observers.ts';
import type { ClockOffsets } from '../../swarm/state/clock-offsets.ts';

const PEERS = Array.from({ length: 30 }, (_, i) => `p${i}`);

function world(given: { subjects?: string[]; states?: Record<string, Member['state']>; aheadMs?: ClockOffsets['aheadMs'] } = {}) {
  const its = { version: 1, alive: ['self', ...PEERS], liars: new Set<string>() as ReadonlySet<string> };
  const watched: Record<string, unknown> = {
    p1: { rttMs: 12, losses: { probes: 40, share: 0.25 } },
    p2: { rttMs: 30, losses: undefined },
    p3: {},
  };
  const membership = {
    members: {
      get version() {
        return its.version;
      },
      alive: () => its.alive,
      get: (peer: string) => {
        const state = given.states?.[peer] ?? 'alive';
        return peer === 'p4' ? undefined : { state };
      },
    },
    detector: {
      subjects: new Set(given.subjects ?? ['p1', 'p2', 'p3', 'p4']),
      measured: (peer: string) => watched[peer],
    },
  } as unknown as Membership;
  const clocks = { aheadMs: given.aheadMs ?? (() => undefined) } as unknown as ClockOffsets;
  return { its, circles: new PeerSelection('self', membership, clocks, { monotonicMs: () => 100 }, () => its.liars) };
}

describe('the witnesses of a member', () => {
  it('are its observers, without those that lied', () => {
    const { its, circles } = world();
    const all = circles.witnesses();
    expect(all).toEqual(observersOf('self', PEERS));
    its.liars = new Set([all[0] as string, 'self']);
    expect(circles.witnesses()).toEqual(
      observersOf(
        'self',
        PEERS.filter((peer) => peer !== all[0]),
      ),
    );
  });

  it('are drawn again once the membership is another, and not before', () => {
    const { its, circles } = world();
    const before = circles.witnesses();
    its.alive = ['self', ...before.slice(1)];
    expect(circles.witnesses()).toBe(before);
    its.version = 2;
    expect(circles.witnesses()).toEqual(before.slice(1).sort());
  });
});

describe('those whom a member watches', () => {
  it('are those that are there, or may be', () => {
    const { circles } = world({ states: { p1: 'unreachable', p2: 'down', p3: 'alive' } });
    expect(circles.subjects()).toEqual(['p1', 'p3']);
  });

  it('have witnesses beside it', () => {
    const { circles } = world();
    const all = PEERS.map((peer) => [peer, observersOf(peer, ['self', ...PEERS])] as const);
    expect(all.some(([, observers]) => observers.includes('self'))).toBe(true);
    for (const [peer, observers] of all) expect(circles.witnessesOf(peer)).toEqual(observers.filter((one) => one !== 'self'));
  });

  it('are measured: round trip, losses and clock, as far as it has them', () => {
    const { circles } = world({ aheadMs: (peer, nowMs) => (peer === 'p1' ? nowMs - 5 : undefined) });
    expect(['p1', 'p2', 'p4'].map((peer) => circles.measured(peer))).toEqual([
      { rttMs: 12, probes: 40, lostShare: 0.25, offsetMs: 95 },
      { rttMs: 30, probes: 0, lostShare: 0, offsetMs: undefined },
      { rttMs: undefined, probes: 0, lostShare: 0, offsetMs: undefined },
    ]);
    expect(circles.slowestRttMs()).toBe(30);
    expect(world({ subjects: [] }).circles.slowestRttMs()).toBe(0);
  });
});

describe('in a large swarm a member is connected', () => {
  it('with its witnesses, those whom it watches, and six others, the same until the membership is another', () => {
    const { its, circles } = world({ subjects: ['p1', 'p2'] });
    let others: readonly string[] = PEERS;
    const near = circles.near(() => others);
    expect(near).toEqual([...circles.witnesses(), 'p1', 'p2', ...drawnBy('neighbour', 'self', PEERS, 6)]);
    expect(near.length).toBe(7 + 2 + 6);
    others = ['p29'];
    expect(circles.near(() => others)).toEqual(near);
    its.version = 2;
    expect(circles.near(() => others)).toEqual([...circles.witnesses(), 'p1', 'p2', 'p29']);
  });
});
