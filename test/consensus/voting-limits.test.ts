// Votes to the letter: what a claim and a vote may hold, which times a witness bears with, how much it takes on, and what it keeps.
import { describe, expect, it } from 'vitest';
import { areDrawn, decodeCertificate, drawnFor, encodeCertificate, verifyCertificate } from '../../consensus/vote/certificate.ts';
import {
  type Claim,
  claimFromWire,
  claimIdOf,
  claimTarget,
  claimToWire,
  type Vote,
  type VoteReason,
  type VoteVerdict,
  voteBytes,
  voteFromWire,
  voteToWire,
} from '../../consensus/vote/claim.ts';
import { CLAIM_LIFE_MS, CLOCK_TOLERANCE_MS, VOTE_DEADLINE_MS, Voting } from '../../consensus/vote/voting.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

const SWARM = 'd'.repeat(32);
const WALL_MS = 1_700_000_000_000;
const peers = Array.from({ length: 40 }, (_, nth) => new ModelledCrypto(simulatedPeer(nth, 1), new Uint8Array([1])));
const [subject, ...witnesses] = peers.slice(0, 5) as [ModelledCrypto, ...ModelledCrypto[]];
const ids = witnesses.map(({ self }) => self);
const [first, second, third, fourth] = witnesses as [ModelledCrypto, ModelledCrypto, ModelledCrypto, ModelledCrypto];
const now = (ms: number) => ({ monotonicMs: ms, wallMs: WALL_MS + ms });

const claim: Claim = {
  subject: subject.self,
  kind: 'service-down',
  target: 'web',
  port: 8080,
  fromMs: WALL_MS,
  expiresAtMs: WALL_MS + 60_000,
  evidenceDigest: subject.hash(new Uint8Array([1])),
};
const warrant = {
  plan: 'inc-1-1',
  calls: claim.evidenceDigest,
  precondition: claim.evidenceDigest,
  nonce: new Uint8Array(16),
  epoch: 0,
  term: 0,
};
const idOf = (what: Claim): string => claimIdOf(SWARM, what, subject.hash);
const named = (nth: number, more: Partial<Claim> = {}): Claim => ({ ...claim, target: `t${nth}`, ...more });

function voteOf(witness: ModelledCrypto, verdict: VoteVerdict, what = claim, reason: VoteReason = 'port-refused'): Vote {
  const unsigned = { claimId: idOf(what), witness: witness.self, verdict, reason, confidence: 90 };
  return { ...unsigned, signature: witness.sign(voteBytes(SWARM, unsigned)) };
}
const raise = (voting: Voting, what = claim, asked: readonly string[] = ids) =>
  voting.step({ kind: 'claim', claim: what, witnesses: asked }, now(0));
const vote = (voting: Voting, from: ModelledCrypto, given: Vote) =>
  voting.step({ kind: 'message', from: from.self, message: { type: 'vote', vote: given } }, now(10));
const ask = (voting: Voting, what: Claim, from = subject.self, ms = 0) =>
  voting.step({ kind: 'message', from, message: { type: 'claim', claim: what } }, now(ms));
const say = (voting: Voting, what: Claim) =>
  voting.step({ kind: 'evidence', claimId: idOf(what), verdict: 'yes', reason: 'port-refused', confidence: 90 }, now(5));

describe('a claim on the wire', () => {
  const wire = claimToWire({ ...claim, warrant, check: { kind: 'http', path: '/h' } });

  it('has eight fields, nine with a warrant, and ten with a check', () => {
    expect([claimToWire(claim), claimToWire({ ...claim, warrant }), wire].map((one) => [one.length, one[0]])).toEqual([
      [8, 1],
      [9, 2],
      [10, 3],
    ]);
    expect(claimToWire({ ...claim, port: undefined, check: { kind: 'tcp' } }).slice(4)).toEqual([
      null,
      claim.fromMs,
      claim.expiresAtMs,
      claim.evidenceDigest,
      null,
      ['tcp'],
    ]);
  });

  it.each<[string, number, unknown]>([
    ['a subject of 64 characters', 1, 's'.repeat(64)],
    ['the first kind', 2, 0],
    ['the last kind', 2, 7],
    ['a target of 64 characters', 3, 't'.repeat(64)],
    ['the first port', 4, 1],
    ['the last port', 4, 65_535],
    ['no port', 4, null],
    ['no warrant', 8, null],
    ['a warrant of a plan with 100 characters', 8, Object.values({ ...warrant, plan: 'p'.repeat(100) })],
    ['a path of 200 characters', 9, ['http', `/${'x'.repeat(199)}`]],
    ['a check by TCP', 9, ['tcp']],
  ])('may have %s', (_title, at, value) => {
    const given = wire.with(at, value);
    const parsed = claimFromWire(given);
    expect(parsed && claimToWire(parsed)).toEqual(given);
  });

  it.each<[string, number, unknown]>([
    ['a version to come', 0, 4],
    ['a version of before checks', 0, 2],
    ['the first version', 0, 1],
    ['a subject of 65 characters', 1, 's'.repeat(65)],
    ['a kind that is none', 2, 8],
    ['a kind below the first', 2, -1],
    ['half a kind', 2, 0.5],
    ['a target of 65 characters', 3, 't'.repeat(65)],
    ['port 0', 4, 0],
    ['port 65536', 4, 65_536],
    ['a time that is no whole number', 5, 0.5],
    ['an end that is no whole number', 6, 0.5],
    ['a digest of 31 bytes', 7, new Uint8Array(31)],
    ['a digest of 33 bytes', 7, new Uint8Array(33)],
    ['a warrant of no plan', 8, Object.values({ ...warrant, plan: '' })],
    ['a warrant of a plan with 101 characters', 8, Object.values({ ...warrant, plan: 'p'.repeat(101) })],
    ['a nonce of 15 bytes', 8, Object.values({ ...warrant, nonce: new Uint8Array(15) })],
    ['an epoch below 0', 8, Object.values({ ...warrant, epoch: -1 })],
    ['a term below 0', 8, Object.values({ ...warrant, term: -1 })],
    ['a path of 201 characters', 9, ['http', `/${'x'.repeat(200)}`]],
    ['a check of another kind', 9, ['udp']],
  ])('has never %s', (_title, at, value) => {
    expect(claimFromWire(wire.with(at, value))).toBeUndefined();
  });

  it('says by its version what it has: none has less or more', () => {
    const plain = claimToWire(claim);
    const withWarrant = claimToWire({ ...claim, warrant });
    for (const wrong of [
      [...plain, null],
      withWarrant.with(0, 1),
      plain.with(0, 2),
      withWarrant.with(8, null),
      plain.with(0, 3),
      withWarrant.with(0, 3),
      [...wire, null],
      wire.slice(0, 7),
      'text',
    ])
      expect(claimFromWire(wrong)).toBeUndefined();
  });

  it('has a target of 64 characters at most: a longer one ends with a hash of the whole', () => {
    const long = (last: string): string => `${'t'.repeat(64)}${last}`;
    expect(claimTarget('t'.repeat(64), subject.hash)).toBe('t'.repeat(64));
    const [one, other] = [claimTarget(long('a'), subject.hash), claimTarget(long('b'), subject.hash)];
    expect([one.length, one === other]).toEqual([64, false]);
    expect(one).toMatch(/^t{47}~[0-9a-f]{16}$/);
  });
});

describe('a vote on the wire', () => {
  const wire = voteToWire(voteOf(first, 'yes'));

  it.each<[string, number, unknown, boolean]>([
    ['no confidence', 4, 0, true],
    ['full confidence', 4, 100, true],
    ['the last verdict', 2, 2, true],
    ['the last reason', 3, 10, true],
    ['more than full confidence', 4, 101, false],
    ['less than none', 4, -1, false],
    ['a verdict that is none', 2, 3, false],
    ['a reason that is none', 3, 11, false],
    ['an id of 31 digits', 0, '0'.repeat(31), false],
    ['an id of 33 digits', 0, '0'.repeat(33), false],
    ['a witness of 65 characters', 1, 'w'.repeat(65), false],
    ['a signature of 63 bytes', 5, new Uint8Array(63), false],
  ])('with %s', (_title, at, value, isRight) => {
    const given = wire.with(at, value);
    const parsed = voteFromWire(given);
    expect(parsed && voteToWire(parsed)).toEqual(isRight ? given : undefined);
  });
});

describe('a claimant', () => {
  it('asks each witness once, and waits for as long as the deadline', () => {
    const voting = new Voting(subject, SWARM);
    expect(raise(voting)).toEqual([
      ...ids.map((to) => ({ kind: 'send', to, message: { type: 'claim', claim } })),
      { kind: 'timer', id: `deadline ${idOf(claim)}`, afterMs: VOTE_DEADLINE_MS },
    ]);
    expect(raise(voting)).toEqual([]);
    expect([VOTE_DEADLINE_MS, CLAIM_LIFE_MS, CLOCK_TOLERANCE_MS]).toEqual([1_500, 60_000, 3_600_000]);
  });

  it('is told the outcome as soon as it is certain, with the votes in order, and nothing after it', () => {
    const voting = new Voting(subject, SWARM);
    raise(voting);
    vote(voting, first, voteOf(first, 'no'));
    for (const one of [second, third, second]) expect(vote(voting, one, voteOf(one, 'yes'))).toEqual([]); // said again is no lie
    const votes = witnesses
      .map((one) => voteOf(one, one === first ? 'no' : 'yes'))
      .sort((a, b) => (a.witness < b.witness ? -1 : 1));
    const certificate = { claim, witnesses: ids, votes: votes.filter(({ verdict }) => verdict === 'yes') };
    expect(vote(voting, fourth, voteOf(fourth, 'yes'))).toEqual([
      { kind: 'cancel', id: `deadline ${idOf(claim)}` },
      {
        kind: 'notice',
        notice: {
          kind: 'decided',
          result: { claimId: idOf(claim), claim, outcome: 'certified', witnesses: ids, votes, certificate },
        },
      },
    ]);
    expect(voting.step({ kind: 'timer', id: `deadline ${idOf(claim)}` }, now(1_500))).toEqual([]);
  });

  it('is undecided once all have spoken, and neither yes nor no has enough', () => {
    const voting = new Voting(subject, SWARM);
    raise(voting);
    const said = witnesses.flatMap((one, nth) => vote(voting, one, voteOf(one, nth % 2 === 0 ? 'yes' : 'abstain')));
    expect(said[1]).toMatchObject({ notice: { result: { outcome: 'undecided', certificate: undefined } } });
    expect(said.length).toBe(2);
  });

  it('has 64 claims out at once: one more is undecided at once, and takes nobody’s place', () => {
    const voting = new Voting(subject, SWARM);
    for (let nth = 0; nth < 64; nth++) expect(raise(voting, named(nth)).length).toBe(5);
    expect(raise(voting, named(64))).toMatchObject([{ kind: 'cancel' }, { notice: { result: { outcome: 'undecided' } } }]);
    voting.step({ kind: 'timer', id: `deadline ${idOf(named(0))}` }, now(1_500));
    expect(raise(voting, named(65)).length).toBe(5);
  });
});

describe('a witness', () => {
  it.each<[string, Partial<Claim>, boolean]>([
    [
      'begins as far ahead as clocks may differ',
      { fromMs: WALL_MS + CLOCK_TOLERANCE_MS, expiresAtMs: WALL_MS + CLOCK_TOLERANCE_MS },
      true,
    ],
    [
      'begins later than that',
      { fromMs: WALL_MS + CLOCK_TOLERANCE_MS + 1, expiresAtMs: WALL_MS + CLOCK_TOLERANCE_MS + 1 },
      false,
    ],
    ['ended as long ago as clocks may differ', { fromMs: WALL_MS - 3_660_000, expiresAtMs: WALL_MS - CLOCK_TOLERANCE_MS }, true],
    ['ended before that', { fromMs: WALL_MS - 3_660_000, expiresAtMs: WALL_MS - CLOCK_TOLERANCE_MS - 1 }, false],
    ['lasts twice as long as claims do', { expiresAtMs: WALL_MS + 120_000 }, true],
    ['lasts longer', { expiresAtMs: WALL_MS + 120_001 }, false],
  ])('asked about what %s', (_title, times, isTaken) => {
    expect(ask(new Voting(first, SWARM), { ...claim, ...times }).length).toBe(isTaken ? 1 : 0);
  });

  it('is asked of another by anybody about gray failures alone', () => {
    const taken = (['slow', 'lossy', 'skewed', 'pressure', 'anomaly', 'service-frozen'] as const).filter(
      (kind) => ask(new Voting(first, SWARM), { ...claim, kind }, second.self).length > 0,
    );
    expect(taken).toEqual(['slow', 'lossy', 'skewed']);
  });

  it('looks once while it is asked the same, and answers who asked', () => {
    const voting = new Voting(first, SWARM);
    const gray: Claim = { ...claim, kind: 'slow' };
    expect([ask(voting, gray, second.self).length, ask(voting, gray, second.self)]).toEqual([1, []]);
    const given = voteOf(first, 'yes', gray);
    expect(say(voting, gray)).toEqual([
      { kind: 'persist', key: 'vote-cast/n0000', value: [0, second.self, WALL_MS, voteToWire(given)] },
      { kind: 'send', to: second.self, message: { type: 'vote', vote: given } },
      { kind: 'notice', notice: { kind: 'voted', claim: gray, vote: given } },
    ]);
    expect(ask(voting, gray, third.self)).toEqual([{ kind: 'send', to: third.self, message: { type: 'vote', vote: given } }]);
  });

  it('considers thirty claims of one asker a minute, and others’ beside them, 64 at once', () => {
    const voting = new Voting(first, SWARM);
    const count = (from: string, ms: number): number =>
      Array.from(
        { length: 40 },
        (_, nth) => ask(voting, named(nth, { kind: 'slow', port: ms + 1, subject: from }), from, ms).length,
      ).reduce((a, b) => a + b);
    expect([count('a', 0), count('b', 0)]).toEqual([30, 30]);
    expect([count('a', 59_999), count('c', 59_999)]).toEqual([0, 4]); // these are still looked at
    const other = new Voting(first, SWARM);
    const taken = (ms: number, port: number): number =>
      Array.from({ length: 31 }, (_, nth) => ask(other, named(nth, { port }), subject.self, ms).length).reduce((a, b) => a + b);
    expect([taken(0, 1), taken(59_999, 2), taken(60_000, 3)]).toEqual([30, 0, 30]);
  });

  it('goes on numbering what it keeps after a restart, and reads what versions before 0.4.0 kept', () => {
    const voting = new Voting(first, SWARM);
    const before = voteOf(first, 'no', named(1));
    const kept = voteOf(first, 'no', named(2));
    voting.recall([
      [7, subject.self, WALL_MS, voteToWire(kept)],
      voteToWire(before),
      'nonsense',
      [8, 'x'],
      [1.5, 'x', 0, voteToWire(kept)],
    ]);
    expect([ask(voting, named(1)), ask(voting, named(2))]).toMatchObject([
      [{ kind: 'send', message: { vote: before } }],
      [{ kind: 'send', message: { vote: kept } }],
    ]);
    ask(voting, named(3));
    expect(say(voting, named(3))[0]).toMatchObject({ key: 'vote-cast/n0008' });
  });

  it('gives no vote on what is as old as its floor for who asks, and on what is newer', () => {
    const voting = new Voting(first, SWARM);
    voting.recall([], [[subject.self, WALL_MS]]);
    expect([ask(voting, claim), ask(voting, { ...claim, fromMs: WALL_MS + 1 }).length]).toEqual([[], 1]);
  });
});

describe('a certificate', () => {
  const valid = { claim, witnesses: ids, votes: [first, second, third].map((one) => voteOf(one, 'yes')) };

  it.each<[string, Partial<typeof valid>, string]>([
    ['a witness twice', { witnesses: [...ids, first.self] }, 'a witness is listed twice'],
    ['its subject among them', { witnesses: [...ids, subject.self] }, 'the subject is its own witness'],
    ['one vote twice', { votes: [first, first, second].map((one) => voteOf(one, 'yes')) }, 'a witness voted twice'],
    ['too few votes', { votes: valid.votes.slice(1) }, '2 votes, 3 needed'],
    ['nobody asked', { witnesses: [], votes: [] }, '0 votes, 0 needed'],
    ['a no', { votes: [...valid.votes.slice(1), voteOf(fourth, 'no')] }, 'a vote is for another claim'],
    [
      'a vote on another claim',
      { votes: [...valid.votes.slice(1), voteOf(fourth, 'yes', named(1))] },
      'a vote is for another claim',
    ],
    [
      'a stranger’s vote',
      { votes: [...valid.votes.slice(1), voteOf(peers[9] as ModelledCrypto, 'yes')] },
      'a voter is not a witness',
    ],
    ['a forged vote', { votes: [...valid.votes.slice(1), { ...voteOf(fourth, 'yes'), confidence: 91 }] }, 'a signature is wrong'],
  ])('with %s says so', (_title, given, reason) => {
    expect(verifyCertificate(fourth, SWARM, { ...valid, ...given })).toEqual({ valid: false, reason });
  });

  it('is read as it was written, and nothing else is one', () => {
    const bytes = encodeCertificate(valid);
    expect([decodeCertificate(bytes), verifyCertificate(fourth, SWARM, valid)]).toEqual([valid, { valid: true, signatures: 3 }]);
    const wire = decodeCbor(bytes) as unknown[];
    for (const [at, value] of [
      [0, 2],
      [1, []],
      [2, ['w'.repeat(65)]],
      [2, Array(65).fill('w')],
      [3, [[]]],
      [3, Array(65).fill(voteToWire(voteOf(first, 'yes')))],
    ] as const)
      expect(decodeCertificate(encodeCbor(wire.with(at, value)))).toBeUndefined();
    expect(decodeCertificate(new Uint8Array([0xff]))).toBeUndefined();
  });

  it('is of those that watch its subject: as good as all of them, and of the next ones', () => {
    const members = peers.map(({ self }) => self);
    const drawn = drawnFor(subject.self, members);
    expect([drawn.length, new Set(drawn).size, drawn.includes(subject.self)]).toEqual([10, 10, false]);
    const are = (some: readonly string[], of = members): boolean => areDrawn(subject.self, some, of);
    expect([are(drawn.slice(0, 5)), are(drawn.slice(-5)), are(drawn.slice(0, 4))]).toEqual([true, true, false]);
    const other = members.find((one) => one !== subject.self && !drawn.includes(one)) ?? expect.fail();
    expect(are([...drawn.slice(0, 5), other])).toBe(false);
    // Of few, four at least.
    const few = members.slice(0, 5);
    expect([are(few.slice(1), few), are(few.slice(2), few)]).toEqual([true, false]);
  });
});
