// Votes and certificates: quorums, one vote a witness, proof that anyone can check, and lies that change nothing.
import { describe, expect, it } from 'vitest';
import { certificateQuorum, majority, tolerableLiars } from '../../consensus/quorum.ts';
import { decodeCertificate, encodeCertificate, verifyCertificate } from '../../consensus/vote/certificate.ts';
import {
  CLAIM_KINDS,
  type Claim,
  claimIdOf,
  decodeVoteMessage,
  encodeClaimMessage,
  encodeVoteMessage,
  isClaimable,
  VERDICTS,
  VOTE_REASONS,
  type Vote,
  type VoteReason,
  type VoteVerdict,
  voteBytes,
} from '../../consensus/vote/claim.ts';
import { equivocatorOf } from '../../consensus/vote/equivocation.ts';
import { CAST_PREFIX, FLOOR_PREFIX, VOTE_DEADLINE_MS, Voting } from '../../consensus/vote/voting.ts';
import type { Ed25519Crypto } from '../../swarm/libp2p/identity.ts';
import { at } from '../support/clock.ts';
import { makePeers } from '../support/crypto.ts';

const SWARM = 'd'.repeat(32);
const [subject, ...witnesses] = (await makePeers(5)) as [Ed25519Crypto, ...Ed25519Crypto[]];
const witnessIds = witnesses.map(({ self }) => self);
const w = (index: number): Ed25519Crypto => witnesses[index] as Ed25519Crypto;

const claim: Claim = {
  subject: subject.self,
  kind: 'service-down',
  target: 'web',
  port: 8080,
  fromMs: at(0).wallMs,
  expiresAtMs: at(60_000).wallMs,
  evidenceDigest: subject.hash(new Uint8Array([1])),
};
const claimId = claimIdOf(SWARM, claim, subject.hash);

function voteOf(witness: Ed25519Crypto, verdict: VoteVerdict, id = claimId, reason: VoteReason = 'port-refused'): Vote {
  const unsigned = { claimId: id, witness: witness.self, verdict, reason, confidence: 90 };
  return { ...unsigned, signature: witness.sign(voteBytes(SWARM, unsigned)) };
}

const notices = (effects: ReturnType<Voting['step']>) =>
  effects.flatMap((effect) => (effect.kind === 'notice' ? [effect.notice] : []));

function raised(what = claim): Voting {
  const voting = new Voting(subject, SWARM);
  voting.step({ kind: 'claim', claim: what, witnesses: witnessIds }, at(0));
  return voting;
}

const receive = (voting: Voting, from: Ed25519Crypto, vote: Vote) =>
  notices(voting.step({ kind: 'message', from: from.self, message: { type: 'vote', vote } }, at(10)));

describe('quorums', () => {
  it('are those of the table', () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 10, 13].map(certificateQuorum)).toEqual([0, 1, 2, 2, 3, 4, 4, 5, 7, 9]);
  });

  it('share an honest witness whatever the liars do, and cannot be blocked by them', () => {
    for (let n = 1; n <= 50; n++) {
      const overlap = 2 * certificateQuorum(n) - n;
      expect(overlap, `${n} witnesses`).toBeGreaterThan(tolerableLiars(n));
      expect(certificateQuorum(n), `${n} witnesses`).toBeLessThanOrEqual(n - tolerableLiars(n));
      expect(2 * majority(n)).toBeGreaterThan(n);
    }
  });
});

describe('messages', () => {
  it('carry the declared check, with and without a warrant, and none that is no path', () => {
    const warrant = {
      plan: 'inc-1-1',
      calls: claim.evidenceDigest,
      precondition: claim.evidenceDigest,
      nonce: new Uint8Array(16),
      epoch: 1,
      term: 2,
    };
    const http: Claim = { ...claim, check: { kind: 'http', path: '/health?a=b' } };
    for (const message of [http, { ...http, warrant }, { ...claim, check: { kind: 'tcp' } as const }, { ...claim, warrant }])
      expect(decodeVoteMessage(encodeClaimMessage(message))).toEqual({ type: 'claim', claim: message });
    for (const path of ['health', '', `/${'x'.repeat(200)}`, '/a b', '/a\nb', '/\u{e4}', '/\u{20ac}']) {
      const wrong: Claim = { ...claim, check: { kind: 'http', path } };
      expect(isClaimable({ kind: 'http', path })).toBe(false);
      expect(decodeVoteMessage(encodeClaimMessage(wrong))).toBeUndefined();
    }
  });

  it('decode to what was encoded, for every enum', () => {
    for (const kind of CLAIM_KINDS) {
      const message = { ...claim, kind, port: undefined };
      expect(decodeVoteMessage(encodeClaimMessage(message))).toEqual({ type: 'claim', claim: message });
    }
    for (const verdict of VERDICTS) {
      for (const reason of VOTE_REASONS) {
        const vote = { ...voteOf(w(0), verdict), reason };
        expect(decodeVoteMessage(encodeVoteMessage(vote))).toEqual({ type: 'vote', vote });
      }
    }
  });

  it('that are malformed are dropped', () => {
    expect(decodeVoteMessage(new Uint8Array([1, 2, 3]))).toBeUndefined();
    expect(decodeVoteMessage(encodeClaimMessage({ ...claim, port: 70_000 }))).toBeUndefined();
    expect(decodeVoteMessage(encodeClaimMessage({ ...claim, target: 'x'.repeat(65) }))).toBeUndefined();
  });
});

describe('a claimant', () => {
  it('certifies with H votes, and the certificate can be checked by anyone', () => {
    const voting = raised();
    expect(receive(voting, w(0), voteOf(w(0), 'yes'))).toEqual([]);
    expect(receive(voting, w(1), voteOf(w(1), 'yes'))).toEqual([]);
    const [decided] = receive(voting, w(2), voteOf(w(2), 'yes'));
    const certificate = decided?.kind === 'decided' ? decided.result.certificate : undefined;
    expect(certificate).toBeDefined();
    const again = certificate && decodeCertificate(encodeCertificate(certificate));
    expect(again && verifyCertificate(w(3), SWARM, again)).toEqual({ valid: true, signatures: 3 });
  });

  it('counts each witness once, and no stranger, no forged and no foreign vote', () => {
    const voting = raised();
    receive(voting, w(0), voteOf(w(0), 'yes'));
    receive(voting, w(0), voteOf(w(0), 'yes'));
    receive(voting, subject, voteOf(subject, 'yes'));
    receive(voting, w(1), voteOf(w(2), 'yes'));
    receive(voting, w(1), { ...voteOf(w(1), 'no'), verdict: 'yes' });
    // In another's name, by its own key.
    const inName = { claimId, witness: w(2).self, verdict: 'yes', reason: 'port-refused', confidence: 90 } as const;
    receive(voting, w(1), { ...inName, signature: w(1).sign(voteBytes(SWARM, inName)) });
    receive(voting, w(1), voteOf(w(1), 'yes', 'f'.repeat(32)));
    const [decided] = notices(voting.step({ kind: 'timer', id: `deadline ${claimId}` }, at(VOTE_DEADLINE_MS)));
    expect(decided).toMatchObject({ kind: 'decided', result: { outcome: 'undecided', votes: [{ witness: w(0).self }] } });
  });

  const refuted = (what: Claim, reason: VoteReason): string | undefined => {
    const voting = raised(what);
    const id = claimIdOf(SWARM, what, subject.hash);
    const seen = [0, 1, 2, 3].flatMap((one) => receive(voting, w(one), voteOf(w(one), 'no', id, reason)));
    return seen.flatMap((notice) => (notice.kind === 'decided' ? [notice.result.outcome] : []))[0];
  };

  it('is refuted by H who ran its own check and saw it pass', () => {
    const unresponsive: Claim = { ...claim, kind: 'service-unresponsive', check: { kind: 'http', path: '/health' } };
    expect(refuted(unresponsive, 'check-passed')).toBe('refuted');
  });

  it('is not refuted by weaker evidence than its own, however many bring it', () => {
    const outcomes = CLAIM_KINDS.map((kind) => [
      kind,
      ...VOTE_REASONS.filter((reason) => refuted({ ...claim, kind }, reason) === 'refuted'),
    ]);
    const checks = ['own-measure', 'check-passed', 'check-failed', 'check-silent'];
    const all = VOTE_REASONS.filter((reason) => reason !== 'no-evidence');
    expect(Object.fromEntries(outcomes.map(([kind, ...reasons]) => [kind, reasons]))).toEqual({
      'service-down': [],
      'service-frozen': [],
      'service-unresponsive': checks,
      pressure: all,
      anomaly: all,
      slow: checks,
      lossy: checks,
      skewed: checks,
    });
  });

  it('keeps one liar among four from changing the verdict', () => {
    const voting = raised();
    receive(voting, w(0), voteOf(w(0), 'no'));
    receive(voting, w(1), voteOf(w(1), 'yes'));
    receive(voting, w(2), voteOf(w(2), 'yes'));
    expect(receive(voting, w(3), voteOf(w(3), 'yes'))).toMatchObject([{ kind: 'decided', result: { outcome: 'certified' } }]);
  });

  it('tells of a witness that signs two different votes', () => {
    const voting = raised();
    receive(voting, w(0), voteOf(w(0), 'yes'));
    expect(receive(voting, w(0), voteOf(w(0), 'no'))).toMatchObject([{ kind: 'equivocation', witness: w(0).self }]);
  });

  it('with nobody to ask is undecided at once', () => {
    const voting = new Voting(subject, SWARM);
    expect(notices(voting.step({ kind: 'claim', claim, witnesses: [] }, at(0)))).toMatchObject([
      { kind: 'decided', result: { outcome: 'undecided' } },
    ]);
  });
});

describe('a witness', () => {
  const asked = (voting: Voting, what: Claim, from = subject.self, ms = 0) =>
    notices(voting.step({ kind: 'message', from, message: { type: 'claim', claim: what } }, at(ms)));

  it('is asked for evidence, votes once, and repeats the same vote when asked again', () => {
    const voting = new Voting(w(0), SWARM);
    expect(asked(voting, claim)).toMatchObject([{ kind: 'evidence-wanted', claimId }]);
    const effects = voting.step({ kind: 'evidence', claimId, verdict: 'yes', reason: 'port-refused', confidence: 95 }, at(5));
    const sent = effects.find((effect) => effect.kind === 'send');
    expect(voting.step({ kind: 'evidence', claimId, verdict: 'no', reason: 'port-open', confidence: 95 }, at(6))).toEqual([]);
    expect(voting.step({ kind: 'message', from: subject.self, message: { type: 'claim', claim } }, at(7))).toEqual([sent]);
  });

  it('does not answer a claim about another, an expired or an endless one', () => {
    const voting = new Voting(w(0), SWARM);
    expect(asked(voting, claim, w(1).self)).toEqual([]);
    expect(asked(voting, { ...claim, fromMs: 0, expiresAtMs: 1 })).toEqual([]);
    expect(asked(voting, { ...claim, expiresAtMs: claim.fromMs + 86_400_000 })).toEqual([]);
  });

  it('spends no more than its limit on one subject’s flood', () => {
    const voting = new Voting(w(0), SWARM);
    let wanted = 0;
    for (let i = 0; i < 100; i++) wanted += asked(voting, { ...claim, target: `t${i}` }).length;
    expect(wanted).toBe(30);
  });
});

describe('a certificate', () => {
  const valid = { claim, witnesses: witnessIds, votes: [voteOf(w(0), 'yes'), voteOf(w(1), 'yes'), voteOf(w(2), 'yes')] };
  const check = (certificate: typeof valid, swarm = SWARM) => verifyCertificate(w(3), swarm, certificate).valid;

  it('is valid as it is, and in no way altered', () => {
    expect(check(valid)).toBe(true);
    expect(check(valid, 'e'.repeat(32))).toBe(false);
    expect(check({ ...valid, votes: valid.votes.slice(1) })).toBe(false);
    expect(check({ ...valid, votes: [...valid.votes.slice(1), valid.votes[1] as Vote] })).toBe(false);
    expect(check({ ...valid, claim: { ...claim, target: 'db' } })).toBe(false);
    expect(check({ ...valid, votes: [...valid.votes.slice(1), voteOf(w(0), 'no')] })).toBe(false);
    expect(check({ ...valid, witnesses: [...witnessIds, subject.self] })).toBe(false);
    expect(check({ ...valid, witnesses: witnessIds.slice(1) })).toBe(false);
    expect(check({ ...valid, witnesses: [witnessIds[0] as string, ...witnessIds] })).toBe(false);
  });
});

describe('a witness that is killed', () => {
  const ask = (voting: Voting) => voting.step({ kind: 'message', from: subject.self, message: { type: 'claim', claim } }, at(10));

  it('has its vote on disk before anybody has it, and gives the same one after its restart', () => {
    const before = new Voting(w(0), SWARM);
    ask(before);
    const given = before.step({ kind: 'evidence', claimId, verdict: 'yes', reason: 'port-refused', confidence: 90 }, at(20));
    expect(given.map(({ kind }) => kind)).toEqual(['persist', 'send', 'notice']);
    const [persisted, sent] = given;
    if (persisted?.kind !== 'persist') throw new Error('nothing was kept');
    const after = new Voting(w(0), SWARM);
    after.recall([persisted.value]);
    expect(ask(after)).toEqual([sent]);
    expect(notices(ask(new Voting(w(0), SWARM)))).toMatchObject([{ kind: 'evidence-wanted' }]);
  });
});

describe('a proof of two tongues', () => {
  const proof = (first: Vote, second: Vote) => ({ first: encodeVoteMessage(first), second: encodeVoteMessage(second) });

  it('is two different votes of one witness on one claim, both truly signed', () => {
    const [yes, no] = [voteOf(w(0), 'yes'), voteOf(w(0), 'no')];
    expect(equivocatorOf(w(3), SWARM, proof(yes, no))).toBe(w(0).self);
    const none = [
      proof(yes, yes),
      proof(yes, voteOf(w(1), 'no')),
      proof(yes, voteOf(w(0), 'no', 'f'.repeat(32))),
      proof(yes, { ...no, signature: w(1).sign(voteBytes(SWARM, no)) }),
      proof(yes, { ...yes, confidence: 12 }),
      { first: encodeVoteMessage(yes), second: new Uint8Array([0x80]) },
    ];
    expect(none.map((one) => equivocatorOf(w(3), SWARM, one))).toEqual(none.map(() => undefined));
    expect(equivocatorOf(w(3), 'another swarm', proof(yes, no))).toBeUndefined();
  });
});

describe('a witness whose memory is full', () => {
  /** What a witness says on a claim, with what it keeps. */
  function ask(voting: Voting, what: Claim, ms: number, verdict: VoteVerdict) {
    const id = claimIdOf(SWARM, what, subject.hash);
    const asked = voting.step({ kind: 'message', from: subject.self, message: { type: 'claim', claim: what } }, at(ms));
    const given = asked.some(({ kind }) => kind === 'notice')
      ? voting.step({ kind: 'evidence', claimId: id, verdict, reason: 'port-refused', confidence: 90 }, at(ms))
      : asked;
    const kept = given.flatMap((effect) => (effect.kind === 'persist' ? [[effect.key, effect.value] as const] : []));
    const vote = given.flatMap((effect) =>
      effect.kind === 'send' && effect.message.type === 'vote' ? [effect.message.vote] : [],
    )[0];
    return { vote, kept };
  }
  const another = (nth: number, ms: number): Claim => ({
    ...claim,
    fromMs: at(ms).wallMs,
    expiresAtMs: at(ms + 60_000).wallMs,
    evidenceDigest: subject.hash(new Uint8Array([2, nth & 255, nth >> 8])),
  });

  it('signs no second vote on a claim whose first it has forgotten, after a restart neither, and new ones it does', () => {
    const voting = new Voting(w(0), SWARM);
    const disk = new Map<string, unknown>();
    const keep = (kept: readonly (readonly [string, unknown])[]): void => {
      for (const [key, value] of kept) disk.set(key, value);
    };
    const first = another(0, 0);
    const one = ask(voting, first, 0, 'yes');
    keep(one.kept);
    let ms = 0;
    for (let nth = 1; nth <= 1_100; nth++) {
      ms += 2_010;
      keep(ask(voting, another(nth, ms), ms, 'yes').kept);
    }
    expect(one.vote?.verdict).toBe('yes');
    expect(ask(voting, first, ms + 2_010, 'no').vote).toBeUndefined();
    const kept = [...disk].filter(([key]) => key.startsWith(CAST_PREFIX)).map(([, value]) => value);
    const floors = [...disk].filter(([key]) => key.startsWith(FLOOR_PREFIX));
    expect([kept.length, floors.length]).toEqual([1_024, 1]);
    const after = new Voting(w(0), SWARM);
    after.recall(
      kept,
      floors.map(([key, value]) => [key.slice(FLOOR_PREFIX.length), Number(value)]),
    );
    expect(ask(after, first, ms + 4_020, 'no').vote).toBeUndefined();
    expect(ask(after, another(1_100, ms), ms + 4_020, 'no').vote?.verdict).toBe('yes'); // the one that it gave
    expect(ask(after, another(2_000, ms + 6_000), ms + 6_000, 'no').vote?.verdict).toBe('no');
  });

  it('does not vote on what is claimed to be of a time to come', () => {
    expect(ask(new Voting(w(0), SWARM), another(1, 7_200_000), 0, 'yes').vote).toBeUndefined();
  });
});
