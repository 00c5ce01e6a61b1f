// Gray failures as one agent measures and judges them, by itself: which kind, for how long, whom it asks, and what it does about its own.
import { describe, expect, it } from 'vitest';
import type { Vitals } from '../../consensus/committee/fitness.ts';
import { CERTIFIED_MS, type Drain } from '../../consensus/decisions/drains.ts';
import type { Outcome } from '../../consensus/decisions/state.ts';
import { encodeCertificate } from '../../consensus/vote/certificate.ts';
import type { Claim, GrayKind, Vote } from '../../consensus/vote/claim.ts';
import { GrayWatch } from '../../node/coordination/gray.ts';
import type { Decisions } from '../../node/decisions/decisions.ts';
import type { Incident } from '../../node/detection/incident.ts';
import type { Measured, Watching } from '../../node/link/peer-selection.ts';
import type { Ports } from '../../node/ports/ports.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Disk, SimulatedStore } from '../../sim/machine/disk.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import { fakeMembers } from '../support/members.ts';
import { pass } from '../support/virtual.ts';

const WALL_MS = 1_700_000_000_000;
const WELL: Measured = { rttMs: 20, probes: 20, lostShare: 0, offsetMs: 0 };
const CALM: Vitals = { lagMs: 5, diskMs: 5, domain: '' };
const PEERS = ['a', 'b', 'c', 'd', 'e'];

/** The watch of `self` over five others; all of it can be made to be otherwise. */
function world(given: { members?: number; witnesses?: string[] } = {}) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => WALL_MS);
  const seen = new Map<string, Measured>(PEERS.map((peer) => [peer, WELL]));
  const its = {
    vitals: CALM,
    starved: false,
    drained: new Map<string, Drain>(),
    outcome: 'undecided',
    /** Of the witnesses who agree. */
    votes: undefined as Vote[] | undefined,
    drain: { ok: true, index: 1 } as Outcome,
  };
  const log = {
    claims: [] as string[],
    asked: [] as [Claim, string[]][],
    wishes: [] as unknown[],
    lines: [] as string[],
    ownDrains: [] as string[],
    restarts: 0,
    incidents: new Map<string, Incident>(),
  };
  const disk = new Disk();
  const ports = {
    clock,
    store: new SimulatedStore(disk, scheduler),
    random: new SeededRandom(1, 'gray'),
    crypto: { self: 'self', hash: (bytes: Uint8Array) => bytes.slice(0, 8) },
  } as unknown as Ports;
  const decisions = {
    proven: { drained: () => its.drained },
    wallMs: () => clock.wallMs(),
    decide: async (wish: unknown, withinMs: number) => {
      log.wishes.push([wish, withinMs]);
      return its.drain;
    },
    drain: async (peer: string, _forMs: number, reason: string) => void log.ownDrains.push(`${peer} ${reason}`),
  } as unknown as Decisions;
  const members = fakeMembers({ all: () => Array<Member>(given.members ?? 6) });
  const watching: Watching = {
    subjects: () => [...seen.keys()],
    measured: (peer) => seen.get(peer) ?? WELL,
    witnessesOf: () => given.witnesses ?? ['b', 'c', 'd', 'e'],
  };
  const vitals = {
    get now() {
      return its.vitals;
    },
    get isStarved() {
      return its.starved;
    },
  };
  const watch = new GrayWatch(ports, decisions, members, watching, vitals, {
    vote: async (claim, witnesses) => {
      log.asked.push([claim, witnesses]);
      log.claims.push(`${Math.floor(clock.monotonicMs() / 1_000)} ${claim.subject} ${claim.kind}`);
      const certificate = its.votes && { claim, witnesses, votes: its.votes };
      return { outcome: its.outcome, certificate } as never;
    },
    save: async (incident) => void log.incidents.set(incident.id, structuredClone(incident)),
    restart: () => void log.restarts++,
    log: (level, text) => void log.lines.push(`${level} ${text}`),
  });
  watch.start();
  const measure = (peer: string, measured: Partial<Measured>): void => void seen.set(peer, { ...WELL, ...measured });
  const drain = (peer: string, by = peer, proof: Uint8Array = new Uint8Array(64)): void =>
    void its.drained.set(peer, {
      by,
      peer,
      atMs: clock.wallMs(),
      forMs: 600_000,
      wishedMs: 0,
      reason: 'x',
      proof,
    });
  return { watch, its, log, disk, measure, drain, clock, pump: (ms: number) => pass(scheduler, ms) };
}

const voteOf = (witness: string): Vote => ({
  claimId: '0'.repeat(32),
  witness,
  verdict: 'yes',
  reason: 'own-measure',
  confidence: 80,
  signature: new Uint8Array(64),
});
const claimOn = (subject: string, kind: GrayKind): Claim => ({ subject, kind }) as Claim;
/** What proves that others found this agent to be so. */
const foundTo = (kind: GrayKind): Uint8Array => {
  const rest = { target: '', port: undefined, fromMs: 1, expiresAtMs: 2, evidenceDigest: new Uint8Array(32) };
  return encodeCertificate({ claim: { ...claimOn('self', kind), ...rest }, witnesses: ['b'], votes: [voteOf('b')] });
};

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

describe('what is asked of those that watch it too', () => {
  it('is named by kind and times, with a digest of what was measured, and those who are asked', async () => {
    const { log, measure, clock, pump } = world();
    measure('a', { lostShare: 0.5 });
    await pump(110_000);
    const [[claim, witnesses] = expect.fail()] = log.asked;
    const { evidenceDigest, fromMs, ...rest } = claim;
    expect([rest, witnesses]).toEqual([
      { subject: 'a', kind: 'lossy', target: '', port: undefined, expiresAtMs: fromMs + 60_000 },
      ['b', 'c', 'd', 'e'],
    ]);
    expect([evidenceDigest.length, fromMs <= clock.wallMs(), fromMs > clock.wallMs() - 60_000]).toEqual([8, true, true]);
    expect([log.lines, log.wishes]).toEqual([['info a looks lossy from here: undecided by 4 witnesses'], []]);
  });

  it('has it drained where they agree, and a refusal of that is told', async () => {
    const { log, its, measure, pump } = world();
    Object.assign(its, { votes: [voteOf('b'), voteOf('c'), voteOf('d')], outcome: 'certified' });
    measure('a', { rttMs: 900 });
    await pump(110_000);
    const [[claim] = expect.fail()] = log.asked;
    const proof = encodeCertificate({ claim, witnesses: ['b', 'c', 'd', 'e'], votes: its.votes ?? [] });
    const reason = 'slow: 3 of 4 witnesses measure the same';
    const wish = { kind: 'drain', peer: 'a', forMs: CERTIFIED_MS, wishedMs: claim.fromMs, proof, members: 1, isOrdered: false };
    expect(log.wishes).toEqual([[{ ...wish, reason }, 5_000]]);
    expect(log.lines).toEqual(['info a looks slow from here: certified by 4 witnesses']);
    its.drain = { ok: false, reason: 'two are drained already' };
    await pump(130_000);
    expect(log.lines.at(-1)).toBe('info a is not drained: two are drained already');
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
    expect(log.ownDrains).toEqual(['self stalled: disk latency 1200 ms, event loop lag 5 ms']);
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

  it('restarts once it is drained by its own wish and still late, once an hour', async () => {
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
  ])('does not restart where %s', async (_why, by, vitals, starved) => {
    const { log, its, drain, pump } = world();
    its.vitals = { ...CALM, diskMs: 1_200 };
    if (by === 'self') await pump(80_000);
    drain('self', by);
    Object.assign(its, { vitals, starved });
    await pump(200_000);
    expect(log.restarts).toBe(0);
  });

  it('restarts where others found it slow, and it is late: the story has their certificate', async () => {
    const { log, its, disk, drain, pump } = world();
    its.vitals = { ...CALM, lagMs: 200 };
    drain('self', 'b', foundTo('slow'));
    await pump(59_000);
    expect(log.restarts).toBe(0);
    await pump(6_000);
    const [incident] = log.incidents.values();
    expect(incident?.steps.map(({ stage, text }) => `${stage}: ${text}`)).toEqual([
      'detect: its witnesses find it slow: x',
      'vote: certified by its witnesses, on request of b',
      'act: releases placed services and its committee seat for 10 minutes',
      'act: event loop lag is 200 ms: the agent restarts; its services keep running',
    ]);
    expect(incident?.certificate).toMatch(/^[A-Za-z0-9+/]+=*$/);
    expect(incident).toMatchObject({ policy: 'gray-failure', target: 'self', severity: 'warning' });
    expect(log.lines.at(-1)).toBe('warn event loop lag is 200 ms: the agent restarts; its services keep running');
    expect([log.restarts, disk.content.has('gray/restarted')]).toEqual([1, true]);
    await pump(4_000_000);
    expect(log.restarts).toBe(1); // it has stopped
  });

  it('does not restart where others found it lossy', async () => {
    const { log, its, drain, pump } = world();
    its.vitals = { ...CALM, lagMs: 200 };
    drain('self', 'b', foundTo('lossy'));
    await pump(200_000);
    expect(log.restarts).toBe(0);
  });

  it.each<[string, unknown, number]>([
    ['an hour ago', WALL_MS + 65_000 - 3_600_000, 1],
    ['less than an hour ago', WALL_MS + 65_000 - 3_599_000, 0],
    ['in the future, by a clock that was wrong', WALL_MS + 3_600_000, 1],
    ['at a time that cannot be read', 'yesterday', 0],
  ])('that restarted %s', async (_when, before, restarts) => {
    const { log, its, disk, drain, pump } = world();
    disk.content.set('gray/restarted', encodeCbor(before));
    its.vitals = { ...CALM, lagMs: 600 };
    drain('self', 'b', foundTo('slow'));
    await pump(65_500);
    expect(log.restarts).toBe(restarts);
  });

  it('tells its drain as an incident, and closes it when that is over', async () => {
    const { log, its, drain, pump } = world();
    drain('self', 'operator');
    await pump(10_000);
    const story = () => [...log.incidents.values()].map(({ state, outcome, summary }) => `${state} ${outcome} ${summary}`);
    expect(story()).toEqual(['escalated escalated to a person drained: x']);
    its.drained.clear();
    await pump(10_000);
    expect(story()).toEqual(['resolved the drain has ended drained: x']);
    expect([...log.incidents.values()][0]?.steps.map(({ stage }) => stage)).toEqual(['detect', 'act', 'remember']);
    await pump(30_000);
    expect(log.incidents.size).toBe(1);
  });
});
