// What the coordinator's planner sees and wishes for: what machines that are unwell have in common, and what is to go back, or elsewhere.
import { describe, expect, it } from 'vitest';
import { correlate, type Traits } from '../../consensus/committee/correlation.ts';
import { type MemberView, type PlannerView, plan } from '../../consensus/committee/planner.ts';
import { NOTHING_PUSHED } from '../../consensus/decisions/rollout.ts';

const traits = (peer: string, given: Partial<Traits> = {}): Traits => ({
  peer,
  version: '1.0.0',
  domain: '',
  release: '',
  policies: '',
  isAlive: true,
  unwell: undefined,
  ...given,
});
const ill = (sinceMs = 0, ...services: string[]) => ({ sinceMs, services });

describe('what is wrong with several machines', () => {
  it('is what those that are unwell share, and the others do not', () => {
    const racks = ['r1', 'r1', 'r1', 'r2', 'r2', 'r2', 'r3', 'r3'];
    const members = racks.map((domain, nth) => traits(`m${nth}`, { domain, unwell: domain === 'r2' ? ill() : undefined }));
    expect(correlate(members)).toEqual({ cause: 'domain', value: 'r2', unwell: ['m3', 'm4', 'm5'], having: 3, all: 8 });
    const versions = members.map((one, nth) => ({
      ...one,
      version: nth % 2 === 0 ? '1.1.0' : '1.0.0',
      unwell: nth % 2 === 0 ? ill() : undefined,
    }));
    expect(correlate(versions)).toMatchObject({ cause: 'version', value: '1.1.0', having: 4 });
  });

  it('is rather what is being tried than the version that it is', () => {
    const members = [0, 1, 2, 3, 4, 5].map((nth) =>
      traits(`m${nth}`, nth < 3 ? { version: '1.1.0', release: 'abc', unwell: ill() } : {}),
    );
    expect(correlate(members)).toMatchObject({ cause: 'release', value: 'abc' });
  });

  it('is a service, where that is unwell on all of them and nothing else explains it', () => {
    const members = [0, 1, 2, 3, 4, 5, 6, 7].map((nth) =>
      traits(`m${nth}`, nth < 3 ? { unwell: ill(0, 'db', `own-${nth}`) } : {}),
    );
    expect(correlate(members)).toMatchObject({ cause: 'service', value: 'db', having: 3 });
  });

  it('is nothing where few are unwell, and not seen where many are by chance', () => {
    const few = ['a', 'b', 'c', 'd'].map((peer, nth) => traits(peer, nth < 2 ? { unwell: ill() } : {}));
    expect(correlate(few)).toBeUndefined();
    const many = [...'abcdefgh'].map((peer, nth) => traits(peer, nth < 4 ? { unwell: ill(nth * 1_000) } : {}));
    expect(correlate(many)).toMatchObject({ cause: 'unknown', value: '' });
    const byAndBy = many.map((one, nth) => (nth < 4 ? { ...one, unwell: ill(nth * 100_000) } : one));
    expect(correlate(byAndBy)).toBeUndefined();
    // Three of thirty, of no kind.
    const chance = Array.from({ length: 30 }, (_, nth) => traits(`m${nth}`, nth < 3 ? { unwell: ill() } : {}));
    expect(correlate(chance)).toBeUndefined();
  });

  it('is no cut, beyond which nobody sees anything; but a rack that is gone', () => {
    const gone = [...'abcdefgh'].map((peer, nth) => traits(peer, nth < 4 ? { isAlive: false, unwell: ill() } : {}));
    expect(correlate(gone)).toBeUndefined();
    const rack = gone.map((one, nth) => ({ ...one, domain: nth < 4 ? 'r1' : 'r2' }));
    expect(correlate(rack)).toMatchObject({ cause: 'domain', value: 'r1' });
  });

  it('is no version that all run', () => {
    const members = [...'abcdefgh'].map((peer, nth) => traits(peer, { version: '2.0.0', ...(nth < 3 && { unwell: ill() }) }));
    expect(correlate(members)?.cause).toBe('unknown');
  });
});

const NOW_MS = 1_000_000;
const member = (name: string, given: Partial<MemberView> = {}): MemberView => ({
  peer: name,
  name,
  isAlive: true,
  ill: undefined,
  unwellMs: undefined,
  shortMs: undefined,
  services: [],
  version: '1.0.0',
  domain: '',
  ...given,
});
const view = (members: MemberView[], given: Partial<PlannerView> = {}): PlannerView => ({
  nowMs: NOW_MS,
  self: 'a',
  voters: ['a', 'b', 'c'],
  members,
  names: new Map(),
  bundles: NOTHING_PUSHED,
  upgrades: NOTHING_PUSHED,
  placements: [],
  movedMs: Number.NEGATIVE_INFINITY,
  ...given,
});
const placement = (service: string, peer: string) => ({ service, peer, fence: 1, sinceMs: 0, reason: '', move: null, unfit: [] });
const pushed = { id: 'f'.repeat(32), by: 'a', atMs: 0, signature: new Uint8Array(64) };

describe('the planner', () => {
  it('wishes for nothing where nothing is to be done', () => {
    expect(plan(view([...'abcde'].map((name) => member(name))))).toEqual({ wish: undefined, correlation: undefined });
  });

  it('has a release taken back that is what those that are unwell share', () => {
    const trial = { canary: ['b'], before: [], wave: ['c', 'd'], soakMs: 60_000, sinceMs: NOW_MS, reports: [] };
    const candidate = { ...pushed, version: '1.1.0', digest: '0'.repeat(64), bytes: 9, ...trial, phase: 'wave' as const };
    const upgrades = { ...NOTHING_PUSHED, candidate };
    const members = [...'abcdefgh'].map((name) => member(name, 'bcd'.includes(name) ? { unwellMs: NOW_MS } : {}));
    const { wish, correlation } = plan(view(members, { upgrades }));
    expect(correlation?.cause).toBe('release');
    expect(wish).toEqual({
      kind: 'upgrade-withdraw',
      upgrade: pushed.id,
      reason: '3 of 8 members are unhealthy; 3 members run it',
    });
  });

  it('has policies taken back likewise, before anybody says so', () => {
    const trial = { canary: ['b', 'c', 'd'], soakMs: 60_000, sinceMs: NOW_MS, reports: [], phase: 'canary' as const };
    const bundles = { ...NOTHING_PUSHED, candidate: { ...pushed, policies: '[]', findings: 0, ...trial } };
    const members = [...'abcdefgh'].map((name) => member(name, 'bcd'.includes(name) ? { unwellMs: NOW_MS } : {}));
    expect(plan(view(members, { bundles })).wish).toMatchObject({ kind: 'bundle-withdraw' });
  });

  it('moves what a member runs for the swarm that is long short of something, to where there is less, and not again soon', () => {
    const short = { shortMs: NOW_MS - 130_000 };
    const members = [member('a'), member('b', short), member('c', { ill: 'is drained' })];
    const placements = [placement('db', 'b')];
    expect(plan(view(members, { placements })).wish).toEqual({
      kind: 'move',
      service: 'db',
      reason: 'b is short of CPU, memory or I/O',
    });
    expect(plan(view(members, { placements, movedMs: NOW_MS - 60_000 })).wish).toBeUndefined();
    const lately = [member('a'), member('b', { shortMs: NOW_MS - 30_000 })];
    expect(plan(view(lately, { placements })).wish).toBeUndefined();
    const nowhere = [member('a', short), member('b', short), member('c', { ill: 'is drained' })];
    expect(plan(view(nowhere, { placements })).wish).toBeUndefined();
  });

  it('moves something ten minutes after the last move at the soonest, of who is short for two minutes, to who has fewer', () => {
    const since = (ms: number, given: Partial<PlannerView> = {}) =>
      plan(view([member('a'), member('b', { shortMs: NOW_MS - ms })], { placements: [placement('db', 'b')], ...given })).wish
        ?.kind;
    expect([since(119_999), since(120_000)]).toEqual([undefined, 'move']);
    expect([since(120_000, { movedMs: NOW_MS - 599_999 }), since(120_000, { movedMs: NOW_MS - 600_000 })]).toEqual([
      undefined,
      'move',
    ]);
    expect(since(120_000, { placements: [{ ...placement('db', 'b'), move: 'under way' }] })).toBeUndefined();
    expect(since(120_000, { placements: [placement('db', 'b'), placement('web', 'a')] })).toBeUndefined();
    expect(since(120_000, { placements: [placement('db', 'gone')] })).toBeUndefined();
  });

  it('has nothing taken back that is not being tried any more, or is not what they share', () => {
    const trial = { canary: ['a', 'b', 'c'], soakMs: NOW_MS, phase: 'canary' as const, sinceMs: NOW_MS, reports: [] };
    const upgrades = { ...NOTHING_PUSHED, candidate: { ...pushed, version: '1.1.0', digest: 'd', bytes: 1, ...trial } };
    const bundles = { ...NOTHING_PUSHED, candidate: { ...pushed, policies: '[]', findings: 0, ...trial } };
    const racks = [...'abcdefgh'].map((name, nth) =>
      member(name, { domain: nth < 5 && nth > 1 ? 'r1' : 'r2', ...(nth < 5 && nth > 1 && { unwellMs: 0 }) }),
    );
    for (const given of [{ upgrades }, { bundles }]) {
      const { wish, correlation } = plan(view(racks, given));
      expect([correlation?.cause, wish]).toEqual(['domain', undefined]);
    }
    const canaries = [...'abcdefgh'].map((name, nth) => member(name, nth < 3 ? { unwellMs: 0 } : {}));
    expect(plan(view(canaries, { upgrades })).wish).toEqual({
      kind: 'upgrade-withdraw',
      upgrade: pushed.id,
      reason: '3 of 8 members are unhealthy; 3 members run it',
    });
    expect(plan(view(canaries, { bundles })).wish).toEqual({
      kind: 'bundle-withdraw',
      bundle: pushed.id,
      reason: '3 of 8 members are unhealthy; 3 members run it',
    });
  });
});
