// Gray failures as one agent measures and judges them, by itself: which kind, for how long, whom it asks, and what it does about its own.
import { describe, expect, it } from 'vitest';
import type { Vitals } from '../../consensus/committee/fitness.ts';
import type { Drain } from '../../consensus/decisions/drains.ts';
import type { Claim, GrayKind } from '../../consensus/vote/claim.ts';
import { GrayWatch } from '../../node/coordination/gray.ts';
import type { Decisions } from '../../node/decisions/decisions.ts';
import type { Incident } from '../../node/detection/incident.ts';
import type { Measured } from '../../node/link/peer-selection.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Disk, SimulatedStore } from '../../sim/machine/disk.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { pass } from '../support/virtual.ts';

const WELL: Measured = { rttMs: 20, probes: 20, lostShare: 0, offsetMs: 0 };
const CALM: Vitals = { lagMs: 5, diskMs: 5, domain: '' };
const PEERS = ['a', 'b', 'c', 'd', 'e'];

/** The watch of `self` over five others; all of it can be made to be otherwise. */
function world(given: { members?: number; witnesses?: string[] } = {}) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => 1_700_000_000_000);
  const seen = new Map<string, Measured>(PEERS.map((peer) => [peer, WELL]));
  const its = { vitals: CALM, starved: false, drained: new Map<string, Drain>() };
  const log = { claims: [] as string[], ownDrains: [] as string[], restarts: 0, incidents: new Map<string, Incident>() };
  const disk = new Disk();
  const ports = {
    clock,
    store: new SimulatedStore(disk, scheduler),
    random: new SeededRandom(1, 'gray'),
    crypto: { self: 'self', hash: (bytes: Uint8Array) => bytes.slice(0, 8) },
  } as unknown as Ports;
  const decisions = {
    drained: () => its.drained,
    wallMs: () => clock.wallMs(),
    drain: async (peer: string, _forMs: number, reason: string) => void log.ownDrains.push(`${peer} ${reason}`),
  } as unknown as Decisions;
  const watch = new GrayWatch(ports, decisions, {
    self: 'self',
    subjects: () => [...seen.keys()],
    measured: (peer) => seen.get(peer) ?? WELL,
    witnessesOf: () => given.witnesses ?? ['b', 'c', 'd', 'e'],
    members: () => given.members ?? 6,
    vitals: () => its.vitals,
    isStarved: () => its.starved,
    vote: async (claim) => {
      log.claims.push(`${Math.floor(clock.monotonicMs() / 1_000)} ${claim.subject} ${claim.kind}`);
      return { outcome: 'undecided', certificate: undefined } as never;
    },
    nameOf: (peer) => peer,
    save: async (incident) => void log.incidents.set(incident.id, structuredClone(incident)),
    restart: () => void log.restarts++,
    log: () => undefined,
  });
  watch.start();
  const measure = (peer: string, measured: Partial<Measured>): void => void seen.set(peer, { ...WELL, ...measured });
  const drain = (peer: string, by = peer): void =>
    void its.drained.set(peer, {
      by,
      peer,
      atMs: clock.wallMs(),
      forMs: 600_000,
      wishedMs: 0,
      reason: 'x',
      proof: new Uint8Array(64),
    });
  return { watch, its, log, disk, measure, drain, clock, pump: (ms: number) => pass(scheduler, ms) };
}

const claimOn = (subject: string, kind: GrayKind): Claim => ({ subject, kind }) as Claim;

describe('what is measured of another', () => {
  it.each([
    ['slow', { rttMs: 401 }],
    ['lossy', { lostShare: 0.15 }],
    ['lossy', { lostShare: 0.5, probes: 10 }],
    ['skewed', { offsetMs: 5_001 }],
    ['skewed', { offsetMs: -5_001 }],
    ['skewed', { offsetMs: 6_000, lostShare: 0.5, rttMs: 900 }],
    ['lossy', { lostShare: 0.5, rttMs: 900 }],
  ] as const)('is %s: %o', async (kind, measured) => {
    const { log, measure, pump } = world();
    measure('a', measured);
    await pump(110_000);
    expect(log.claims.map((claim) => claim.replace(/^\d+ /, ''))).toEqual([`a ${kind}`]);
  });

  it.each([
    { rttMs: 400 },
    { rttMs: undefined },
    { lostShare: 0.14 },
    { lostShare: 1, probes: 9 },
    { offsetMs: 5_000 },
    { offsetMs: undefined },
  ])('is nothing: %o', async (measured) => {
    const { log, measure, pump } = world();
    measure('a', measured);
    await pump(200_000);
    expect(log.claims).toEqual([]);
  });

  it('is compared with the others: half a world away is not slow', async () => {
    const { log, measure, pump } = world();
    for (const peer of PEERS) measure(peer, { rttMs: 200 });
    measure('a', { rttMs: 1_000 });
    await pump(200_000);
    expect(log.claims).toEqual([]);
    measure('a', { rttMs: 1_001 });
    await pump(110_000);
    expect(log.claims.length).toBe(1);
  });

  it('is this agent’s own where most look so, and then nobody is accused', async () => {
    const { log, measure, pump } = world();
    for (const peer of ['a', 'b', 'c']) measure(peer, { lostShare: 0.5 });
    await pump(200_000);
    expect(log.claims).toEqual([]);
    measure('c', {});
    await pump(110_000);
    expect(log.claims.length).toBe(2);
  });
});

describe('a suspicion', () => {
  it('is asked about after a minute, and again two minutes later while it lasts', async () => {
    const { log, measure, pump } = world();
    measure('a', { lostShare: 0.5 });
    await pump(60_000);
    expect(log.claims).toEqual([]);
    await pump(30_000);
    expect(log.claims.length).toBe(1);
    await pump(100_000);
    expect(log.claims.length).toBe(1);
    await pump(40_000);
    expect(log.claims.length).toBe(2);
    measure('a', {});
    await pump(400_000);
    expect(log.claims.length).toBe(2);
  });

  it('outlasts a moment without it, not twenty seconds', async () => {
    for (const [wellMs, claims] of [
      [10_000, 1],
      [30_000, 0],
    ] as const) {
      const { log, measure, pump } = world();
      measure('a', { lostShare: 0.5 });
      await pump(40_000);
      measure('a', {});
      await pump(wellMs);
      measure('a', { lostShare: 0.5 });
      await pump(50_000);
      expect(log.claims.length, `${wellMs}`).toBe(claims);
    }
  });

  it('is kept to itself in a small swarm, without enough witnesses, and of one that is drained', async () => {
    for (const given of [{ members: 4 }, { witnesses: ['b', 'c', 'd'] }]) {
      const { log, measure, pump } = world(given);
      measure('a', { lostShare: 0.5 });
      await pump(200_000);
      expect(log.claims).toEqual([]);
    }
    const { log, measure, drain, pump } = world();
    drain('a', 'b');
    measure('a', { lostShare: 0.5 });
    await pump(450_000);
    expect(log.claims).toEqual([]);
    await pump(60_000); // it ends soon: it is looked at again
    expect(log.claims.length).toBe(1);
  });
});

describe('a witness of a gray failure', () => {
  it('agrees from a lower limit on, denies what it does not see, and abstains where it knows too little', async () => {
    const { watch, measure, pump } = world();
    await pump(6_000);
    const says = (measured: Partial<Measured>, kind: GrayKind = 'lossy'): string => {
      measure('a', measured);
      return watch.evidenceOn(claimOn('a', kind)).verdict;
    };
    expect(says({ lostShare: 0.09 })).toBe('yes');
    expect(says({ lostShare: 0.089 })).toBe('no');
    expect([says({ rttMs: 241 }, 'slow'), says({ rttMs: 240 }, 'slow')]).toEqual(['yes', 'no']);
    expect([says({ offsetMs: 3_001 }, 'skewed'), says({ offsetMs: 3_000 }, 'skewed')]).toEqual(['yes', 'no']);
    expect(says({ lostShare: 0.5 }, 'slow')).toBe('abstain');
    expect([says({ rttMs: undefined, lostShare: 0.5 }), says({ probes: 9, lostShare: 0.5 })]).toEqual(['abstain', 'abstain']);
    expect(watch.evidenceOn(claimOn('a', 'lossy'))).toEqual({ verdict: 'abstain', reason: 'no-evidence', confidence: 0 });
    for (const peer of PEERS) measure(peer, { lostShare: 0.5 });
    await pump(6_000);
    expect(says({ lostShare: 0.5 })).toBe('abstain');
  });
});

describe('an agent that does badly itself', () => {
  it('has itself drained after a minute without a break, and again where that came to nothing', async () => {
    const { log, its, pump } = world();
    its.vitals = { ...CALM, lagMs: 600 };
    await pump(50_000);
    its.vitals = CALM;
    await pump(10_000);
    its.vitals = { ...CALM, diskMs: 1_200 };
    await pump(50_000);
    expect(log.ownDrains).toEqual([]);
    await pump(25_000);
    expect(log.ownDrains).toEqual(['self stalled: its disk takes 1200 ms, its loop is 5 ms late']);
    await pump(100_000);
    expect(log.ownDrains.length).toBe(1);
    await pump(30_000);
    expect(log.ownDrains.length).toBe(2);
  });

  it('does not where other programs have the CPUs, it is drained already, or nobody could take over', async () => {
    const starved = world();
    Object.assign(starved.its, { vitals: { ...CALM, lagMs: 600 }, starved: true });
    const drained = world();
    Object.assign(drained.its, { vitals: { ...CALM, diskMs: 1_200 } });
    drained.drain('self', 'operator');
    const small = world({ members: 4 });
    Object.assign(small.its, { vitals: { ...CALM, diskMs: 1_200 } });
    for (const { log, pump } of [starved, drained, small]) {
      await pump(200_000);
      expect(log.ownDrains).toEqual([]);
    }
    // The disk is its own, whoever has the CPUs.
    starved.its.vitals = { ...CALM, diskMs: 1_200 };
    await starved.pump(70_000);
    expect(starved.log.ownDrains.length).toBe(1);
  });

  it('starts anew once it is drained by its own wish and still late, once an hour', async () => {
    const { log, its, disk, drain, pump } = world();
    its.vitals = { ...CALM, lagMs: 600 };
    await pump(80_000);
    expect(log.ownDrains.length).toBe(1);
    drain('self');
    await pump(50_000);
    expect(log.restarts).toBe(0);
    await pump(30_000);
    expect([log.restarts, disk.content.has('gray/restarted')]).toEqual([1, true]);
    const [incident] = log.incidents.values();
    expect(incident?.steps.map(({ stage }) => stage)).toEqual(['detect', 'act', 'act']);
    await pump(300_000);
    expect(log.restarts).toBe(1); // it has stopped
  });

  it.each([
    ['a person wants the drain', 'operator', { ...CALM, lagMs: 600 }, false],
    ['its loop is in time', 'self', { ...CALM, lagMs: 199, diskMs: 1_200 }, false],
    ['others have the CPUs', 'self', { ...CALM, lagMs: 600, diskMs: 1_200 }, true],
  ])('does not start anew where %s', async (_why, by, vitals, starved) => {
    const { log, its, drain, pump } = world();
    its.vitals = { ...CALM, diskMs: 1_200 };
    if (by === 'self') await pump(80_000);
    drain('self', by);
    Object.assign(its, { vitals, starved });
    await pump(200_000);
    expect(log.restarts).toBe(0);
  });

  it('tells its drain as an incident, and closes it when that is over', async () => {
    const { log, its, drain, pump } = world();
    drain('self', 'operator');
    await pump(10_000);
    const story = () => [...log.incidents.values()].map(({ state, outcome, summary }) => `${state} ${outcome} ${summary}`);
    expect(story()).toEqual(['escalated escalated: a person must look drained: x']);
    its.drained.clear();
    await pump(10_000);
    expect(story()).toEqual(['resolved it is drained no more drained: x']);
    await pump(30_000);
    expect(log.incidents.size).toBe(1);
  });
});
