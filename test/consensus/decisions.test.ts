// What the swarm decides: each decision taken once, leases within their bounds, the same state for all who apply the same, and
// checkpoints that nobody can make up.
import { describe, expect, it } from 'vitest';
import {
  Attestations,
  type CertifiedCheckpoint,
  certifiedFrom,
  isCertified,
  signersOf,
} from '../../consensus/decisions/checkpoint.ts';
import { type Decision, decisionSchema, isOlder, type Wish, wished } from '../../consensus/decisions/decision.ts';
import { isStorm, MAX_LEASE_MS, mostLeases } from '../../consensus/decisions/leases.ts';
import { DecisionState } from '../../consensus/decisions/state.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { makePeers } from '../support/crypto.ts';

const NOW = 1_000_000;
let ids = 0;
const idOf = (number: number): string => number.toString(16).padStart(32, '0');
const decision = (wish: Wish, by = 'alpha', atMs = NOW): Decision => wished(wish, by, idOf(++ids), atMs);
const pause = (peer: string): Wish => ({ kind: 'pause', peer, reason: 'being moved' });
const lease = (plan: string, given: Partial<Extract<Wish, { kind: 'lease' }>> = {}): Wish => ({
  kind: 'lease',
  plan,
  members: 10,
  sick: 1,
  untilMs: NOW + 60_000,
  ...given,
});

/** A state, and a place in the log for each decision. */
function world() {
  const state = new DecisionState();
  let index = 10;
  const take = (one: Decision) => state.apply(one, { index: ++index, term: 3 });
  return { state, take };
}

describe('decisions', () => {
  it('name one thing, and nothing means all', () => {
    for (const wish of [
      { kind: 'silence', policy: '*', target: null, untilMs: NOW, reason: 'x' },
      { kind: 'silence', policy: '', target: null, untilMs: NOW, reason: 'x' },
      { kind: 'pause', peer: '', reason: 'x' },
      { kind: 'pause', peer: 'a', reason: '' },
      { kind: 'stop-everything' },
    ])
      expect(decisionSchema.safeParse(decision(wish as Wish)).success, JSON.stringify(wish)).toBe(false);
    const { state, take } = world();
    expect(take(decision({ kind: 'silence', policy: null, target: null, untilMs: NOW * 2, reason: 'x' }))).toMatchObject({
      ok: false,
    });
    expect([state.index, state.silences(NOW)]).toEqual([0, []]);
  });

  it('are taken once, however often they are proposed', () => {
    const { state, take } = world();
    const one = decision(pause('beta'));
    expect([take(one), take(one), take(decision({ kind: 'wake', peer: 'beta', reason: 'done' })), take(one)]).toEqual([
      { ok: true, index: 11 },
      { ok: true, index: 11 },
      { ok: true, index: 13 },
      { ok: true, index: 11 },
    ]);
    expect([state.pauseOf('beta'), state.recent().length, state.index]).toEqual([undefined, 2, 13]);
  });

  it('that cannot be are refused, and change nothing', () => {
    const { state, take } = world();
    expect(take(decision({ kind: 'wake', peer: 'beta', reason: 'x' }))).toEqual({
      ok: false,
      reason: 'the member is not paused',
    });
    expect(take(decision({ kind: 'unsilence', silence: idOf(1) }))).toMatchObject({ ok: false });
    expect(state.encode()).toEqual(new DecisionState().encode());
  });

  it('give leases to one in ten at once, to nobody while too many look sick, and take them back', () => {
    const { state, take } = world();
    const first = decision(lease('plan-1'), 'beta');
    expect(take(first)).toMatchObject({ ok: true });
    expect(take(decision(lease('plan-2'), 'gamma'))).toEqual({
      ok: false,
      reason: '1 disruptive change is running already',
      busy: true,
    });
    expect(take(decision(lease('plan-2', { members: 30 }), 'gamma'))).toMatchObject({ ok: true });
    expect(take(decision(lease('plan-2', { members: 30 }), 'delta'))).toMatchObject({ ok: false });
    const [one, two] = state.leases(NOW);
    expect((two?.fence ?? 0) > (one?.fence ?? 0)).toBe(true);
    // Nobody gives back another's.
    expect(take(decision({ kind: 'release', lease: first.id }, 'gamma'))).toMatchObject({ ok: false });
    expect(take(decision({ kind: 'release', lease: first.id }, 'beta'))).toMatchObject({ ok: true });
    expect(take(decision(lease('plan-3', { sick: 5 }), 'beta'))).toEqual({
      ok: false,
      reason: '5 of 10 members look unhealthy: no disruptive changes',
    });
    expect(take(decision(lease('plan-3', { members: 30, untilMs: NOW + MAX_LEASE_MS + 1 }), 'beta'))).toMatchObject({
      ok: false,
    });
    // They end by themselves.
    expect(state.leases(NOW + 60_001)).toEqual([]);
    expect(take(decision(lease('plan-4', { untilMs: NOW + 200_000 }), 'beta', NOW + 60_001))).toMatchObject({ ok: true });
  });

  it('see a storm where more than two in five of five or more look sick, and let one in ten change at once', () => {
    const bound = (members: number): number =>
      Array.from({ length: members + 1 }, (_, sick) => sick).findIndex((sick) => isStorm(members, sick));
    expect([1, 4, 5, 6, 10, 11, 100].map((members) => [members, bound(members)])).toEqual([
      [1, -1],
      [4, -1],
      [5, 3],
      [6, 3],
      [10, 5],
      [11, 5],
      [100, 41],
    ]);
    expect([0, 1, 9, 10, 19, 20, 100].map(mostLeases)).toEqual([1, 1, 1, 1, 1, 2, 10]);
  });

  it('come to the same for all, over bytes too, and are told from a place on', () => {
    const { state, take } = world();
    for (let i = 0; i < 300; i++) take(decision(i % 3 === 0 ? pause(`peer-${i}`) : lease(`plan-${i}`, { members: 10_000 })));
    take(decision({ kind: 'silence', policy: 'service-exited', target: 'web', untilMs: NOW + 5_000, reason: 'being moved' }));
    const copy = new DecisionState();
    copy.restore(state.encode());
    expect(copy.encode()).toEqual(state.encode());
    expect(copy.silenceOn('service-exited', 'web', NOW)?.reason).toBe('being moved');
    expect([copy.silenceOn('service-exited', 'db', NOW), copy.silenceOn('service-exited', 'web', NOW + 5_001)]).toEqual([
      undefined,
      undefined,
    ]);
    expect(state.since(state.index - 3)?.map(({ index }) => index)).toEqual([state.index - 2, state.index - 1, state.index]);
    // What is further back than is kept.
    expect([state.since(11), state.since(state.index)]).toEqual([undefined, []]);
    expect(() => new DecisionState().restore(encodeCbor(['other']))).toThrow(RangeError);
  });
});

describe('checkpoints', () => {
  it('hold by a majority of the voters, each once, and for exactly what was signed', async () => {
    const [a, b, c, d] = await makePeers(4);
    if (a === undefined || b === undefined || c === undefined || d === undefined) throw new Error('no peers');
    const voters = [a.self, b.self, c.self].sort();
    const checkpoint = { index: 7, digest: a.hash(encodeCbor('state')), voters };
    const gathering = new Attestations(a, 'swarm');
    gathering.attest(checkpoint);
    expect(gathering.newest).toBeUndefined();
    // Who does not vote; who signs something else; who signs in another's name.
    gathering.receive(d.self, new Attestations(d, 'swarm').attest({ ...checkpoint, voters: [...voters, d.self] }));
    gathering.receive(b.self, new Attestations(b, 'swarm').attest({ ...checkpoint, index: 8 }));
    gathering.receive(b.self, new Attestations(c, 'swarm').attest(checkpoint));
    gathering.receive(b.self, new Attestations(b, 'another swarm').attest(checkpoint));
    expect(gathering.newest).toBeUndefined();
    gathering.receive(b.self, new Attestations(b, 'swarm').attest(checkpoint));
    const newest = certifiedFrom(decodeCbor(encodeCbor(gathering.newest))) as CertifiedCheckpoint;
    expect([isCertified(d, 'swarm', newest), isCertified(d, 'another swarm', newest)]).toEqual([true, false]);
    expect(signersOf(d, 'swarm', newest).sort()).toEqual([a.self, b.self].sort());
    expect(isCertified(d, 'swarm', { ...newest, index: 9 })).toBe(false);
    const [first] = newest.signatures;
    expect(isCertified(d, 'swarm', { ...newest, signatures: first === undefined ? [] : [first, first, first] })).toBe(false);
    expect(isCertified(d, 'swarm', { ...newest, voters: [a.self] })).toBe(false);
  });
});

describe('a version', () => {
  it.each([
    ['0.3.0', '0.4.0', true],
    ['0.9.9', '0.10.0', true],
    ['0.4.0', '0.4.0', false],
    ['0.4.1', '0.4.0', false],
    ['0.4.0-rc.1', '0.4.0', false],
    ['0.4.1+build', '0.4.2', true],
    ['of no form', '0.0.1', true],
    ['of no form', '0.0.0', false],
  ])('%s is older than %s: %s', (version, than, isIt) => {
    expect(isOlder(version, than)).toBe(isIt);
  });
});
