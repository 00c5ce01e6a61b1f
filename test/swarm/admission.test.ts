// Who is let in: tokens, certificates, renewal, revocation, and everything malformed, forged, stale or foreign.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { makeGenesis, parseGenesis } from '../../swarm/identity/genesis.ts';
import { encodeHello, parseAnswer, parseHello } from '../../swarm/identity/hello.ts';
import { CLOCK_TOLERANCE_MS, MEMBER_LIFE_MS, NO_ISSUER_GRACE_MS, RENEWABLE_MS } from '../../swarm/identity/lifetimes.ts';
import {
  encodeBody,
  MEMBER_NAME,
  parseRecord,
  recordToSign,
  type SignedRecord,
  signRecord,
} from '../../swarm/identity/record.ts';
import { MAX_MEMBERS, Roster } from '../../swarm/identity/roster.ts';
import { certifiedBy } from '../../swarm/identity/roster-store.ts';
import { encodeToken, type JoinToken, parseToken } from '../../swarm/identity/token.ts';
import { makePeer } from '../support/crypto.ts';
import { foundedSwarm, greet, joined, newcomer, Papers, START_MS, said } from '../support/swarm-papers.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe('a swarm', () => {
  it('is its genesis record: another one has another id', async () => {
    const crypto = await makePeer();
    const parts = { name: 'one', rootKeys: [crypto.self], threshold: 1, createdMs: 1, nonce: new Uint8Array(16) };
    const genesis = makeGenesis(crypto, parts);
    expect(parseGenesis(crypto, genesis.bytes)).toEqual(genesis);
    expect(makeGenesis(crypto, { ...parts, nonce: new Uint8Array(16).fill(1) }).swarmId).not.toBe(genesis.swarmId);
    for (const wrong of [
      { threshold: 2 },
      { threshold: 0 },
      { rootKeys: [] },
      { rootKeys: [crypto.self, crypto.self] },
      { name: '' },
    ])
      expect(() => makeGenesis(crypto, { ...parts, ...wrong })).toThrow(RangeError);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => parseGenesis(crypto, bytes) === undefined));
  });

  it('begins with a member who is its issuer, and is whole again after a restart', async () => {
    const { founder } = await foundedSwarm();
    const again = await founder.restarted();
    for (const { admission } of [founder, again])
      expect([admission.isMember, admission.issuer.mayIssue, admission.name]).toEqual([true, true, 'founder']);
  });
});

describe('a join token', () => {
  it('is read as it was written, and says what is wrong with any other text', async () => {
    const crypto = await makePeer();
    const token: JoinToken = {
      swarmId: 'ab'.repeat(16),
      issuer: crypto.self,
      addresses: ['/ip4/192.0.2.1/tcp/7700'],
      id: new Uint8Array(8).fill(1),
      secret: new Uint8Array(16).fill(2),
      networkKey: new Uint8Array(32).fill(3),
    };
    const text = encodeToken(crypto, token);
    expect(parseToken(crypto, ` ${text}\n`)).toEqual(token);
    expect(parseToken(crypto, 'hello')).toMatch(/not a join token/);
    expect(parseToken(crypto, text.replace('kalos1', 'kalos2'))).toMatch(/another KALOS version/);
    expect(parseToken(crypto, text.slice(0, -3))).toMatch(/cut short/);
    expect(parseToken(crypto, `${text}!`)).toMatch(/character/);
    expect(parseToken(crypto, `kalos1.${'A'.repeat(5_000)}`)).toMatch(/too long/);
    fc.assert(
      fc.property(fc.nat(text.length - 8), fc.constantFrom(...'abcXYZ019-_'), (at, letter) => {
        const place = at + 7;
        const changed = text.slice(0, place) + letter + text.slice(place + 1);
        return changed === text || typeof parseToken(crypto, changed) === 'string';
      }),
    );
  });

  it('lets a new machine in once, under a name that is free', async () => {
    const { founder } = await foundedSwarm();
    const web = await newcomer(founder, 'founder');
    expect(web.admission.isMember).toBe(false);
    expect(await greet(web, founder)).toBeUndefined();
    expect([web.admission.isMember, web.admission.name, web.admission.issuer.mayIssue]).toEqual([true, 'founder-2', false]);
    expect((await web.restarted()).admission.name).toBe('founder-2');
  });

  it('is good for exactly one of a hundred that redeem it at the same time', async () => {
    const { founder } = await foundedSwarm();
    const first = await newcomer(founder, 'x');
    const token = first.token;
    const crowd = await Promise.all(
      Array.from({ length: 100 }, async (_, i) => new Papers(await makePeer(), founder.admission.roster.swarmId, `m${i}`, token)),
    );
    const reasons = await Promise.all(crowd.map((papers) => greet(papers, founder)));
    expect(reasons.filter((reason) => reason === undefined).length).toBe(1);
    expect(crowd.filter(({ admission }) => admission.isMember).length).toBe(1);
    expect(founder.admission.roster.members().length).toBe(2);
    expect(new Set(reasons.filter((reason) => reason !== undefined))).toEqual(
      new Set(['the token was used already: create a new one with kalos token create']),
    );
  });

  it('that was used up stays so over a restart of the issuer; who was not answered gets the same again', async () => {
    const { founder } = await foundedSwarm();
    const web = await newcomer(founder, 'web');
    const hello = web.admission.hello(founder.peer);
    expect((await founder.admission.welcome(web.peer, hello)).admitted).toBe(true); // and the answer is lost
    const again = await founder.restarted();
    expect(await greet(web, again)).toBeUndefined();
    expect([web.admission.isMember, again.admission.roster.members().length]).toEqual([true, 2]);
    const other = new Papers(await makePeer(), founder.admission.roster.swarmId, 'other', web.token);
    expect(await greet(other, again)).toMatch(/used already/);
  });

  it('ends: by time, by hand, and it is nobody else’s to redeem or to be told', async () => {
    const { founder } = await foundedSwarm();
    const late = await newcomer(founder, 'late', { ttlMs: 60_000 });
    founder.nowMs += 61_000;
    expect(await greet(late, founder)).toMatch(/expired/);
    const ended = await newcomer(founder, 'ended');
    const [newest] = founder.admission.issuer.ledger.list().slice(-1);
    expect(await founder.admission.issuer.ledger.revoke(newest?.id ?? '')).toBe(true);
    expect(await greet(ended, founder)).toMatch(/does not know the token/);
    const member = await joined(founder, 'member', { uses: 5 });
    const astray = await newcomer(founder, 'astray');
    expect(parseHello(astray.admission.hello(member.peer))?.redeem).toBeUndefined(); // its secret goes to the issuer only
    expect(await greet(astray, member)).toMatch(/no certificate/);
    const guess = await newcomer(founder, 'guess');
    const redeem = parseHello(guess.admission.hello(founder.peer));
    if (redeem?.redeem === undefined) throw new Error('no token');
    redeem.redeem.secret = new Uint8Array(16);
    const answer = await founder.admission.welcome(guess.peer, encodeHello(redeem));
    expect([answer.admitted, answer.reason]).toEqual([false, 'this issuer does not know the token']);
  });

  it('of role committee makes an issuer where the root key is at hand, and not where it lies elsewhere', async () => {
    const { founder } = await foundedSwarm();
    const second = await joined(founder, 'second', { role: 'committee' });
    expect(second.admission.issuer.mayIssue).toBe(true);
    const third = await joined(second, 'third');
    expect(await greet(third, founder)).toBeUndefined();
    const fourth = await joined(second, 'fourth', { role: 'committee' });
    expect(fourth.admission.issuer.mayIssue).toBe(false);
  });
});

describe('a member', () => {
  it('is let in by any other, which learns of it by that', async () => {
    const { founder } = await foundedSwarm();
    const [a, b] = [await joined(founder, 'a'), await joined(founder, 'b')];
    expect(a.admission.roster.isMember(b.peer)).toBe(false);
    expect(await greet(a, b)).toBeUndefined();
    expect([a.admission.roster.member(b.peer)?.name, b.admission.roster.member(a.peer)?.name]).toEqual(['b', 'a']);
  });

  it('has its certificate renewed at half of its life, whenever it meets an issuer or asks for it', async () => {
    const { founder } = await foundedSwarm();
    const a = await joined(founder, 'a');
    const untilMs = () => a.admission.roster.member(a.peer)?.untilMs ?? 0;
    for (const papers of [founder, a]) papers.nowMs += MEMBER_LIFE_MS / 2 - HOUR_MS;
    await greet(a, founder);
    expect(untilMs()).toBe(START_MS + MEMBER_LIFE_MS);
    for (const papers of [founder, a]) papers.nowMs += 2 * HOUR_MS;
    await greet(founder, a); // whoever dials
    expect(untilMs()).toBe(a.nowMs + MEMBER_LIFE_MS);
    for (const papers of [founder, a]) papers.nowMs += 13 * HOUR_MS;
    expect(a.admission.issuer.renewalDue(a.peer)).toBe(true);
    await a.admission.renewed((await founder.admission.issuer.renew(a.peer)) ?? new Uint8Array());
    expect(untilMs()).toBe(a.nowMs + MEMBER_LIFE_MS);
    expect(await a.admission.issuer.renew(founder.peer)).toBeUndefined();
  });

  it('wakes after a week with the whole swarm: the issuer renews its own, then each that comes', async () => {
    const { founder } = await foundedSwarm();
    const [a, b] = [await joined(founder, 'a'), await joined(founder, 'b')];
    await greet(a, b);
    for (const papers of [founder, a, b]) papers.nowMs += 7 * DAY_MS + HOUR_MS;
    const [founder2, a2, b2] = [await founder.restarted(), await a.restarted(), await b.restarted()];
    expect(founder2.admission.honours(founder2.peer)).toBe(true);
    expect(await greet(a2, b2)).toMatch(/has expired/);
    expect(await greet(a2, founder2)).toBeUndefined();
    expect(await greet(founder2, b2)).toBeUndefined();
    expect(await greet(a2, b2)).toBeUndefined();
  });

  it('is honoured for a while after its certificate ended where no issuer is within reach, and longer by nobody', async () => {
    const { founder } = await foundedSwarm();
    const [a, b] = [await joined(founder, 'a'), await joined(founder, 'b')];
    await greet(a, b);
    for (const papers of [a, b]) {
      papers.nowMs += 3 * DAY_MS;
      papers.issuerWithinReach = false;
    }
    expect(await greet(a, b)).toBeUndefined();
    expect(a.admission.honours(b.peer)).toBe(true);
    b.issuerWithinReach = true;
    expect(await greet(a, b)).toMatch(/has expired/);
    for (const papers of [a, b]) {
      papers.nowMs += NO_ISSUER_GRACE_MS;
      papers.issuerWithinReach = false;
    }
    expect([await greet(a, b), a.admission.honours(b.peer)]).toEqual([expect.stringMatching(/has expired/), false]);
    founder.nowMs = START_MS + RENEWABLE_MS + 2 * DAY_MS;
    await founder.admission.issuer.renewOwn();
    expect(await greet(a, founder)).toMatch(/has expired/); // off for longer than anybody renews
  });

  it.each([1, -1])('may have a clock that is wrong by an hour (%i), and is told of it', async (sign) => {
    const { founder } = await foundedSwarm();
    const a = await newcomer(founder, 'a');
    a.nowMs += sign * HOUR_MS;
    expect(await greet(a, founder)).toBeUndefined();
    const b = await joined(founder, 'b');
    b.nowMs -= sign * HOUR_MS;
    expect(await greet(b, a)).toBeUndefined();
    expect([a.logged, b.logged].map((lines) => lines.filter((line) => line.includes('clock')).length)).toEqual([2, 1]);
    expect(b.logged.at(-1)).toMatch(sign > 0 ? /120 min|2 h ahead of/ : /2 h behind/);
    b.nowMs -= 2 * CLOCK_TOLERANCE_MS + 2 * HOUR_MS;
    const strange = await joined(founder, 'c');
    expect(await greet(strange, b)).toMatch(/clocks differ by/);
  });

  it('stays where it is connected, and comes back, when all clocks are set back by days', async () => {
    const { founder } = await foundedSwarm();
    const [a, b] = [await joined(founder, 'a'), await joined(founder, 'b')];
    expect(await greet(a, b)).toBeUndefined();
    for (const papers of [a, b]) papers.nowMs -= 3 * DAY_MS;
    expect([a.admission.honours(b.peer), b.admission.honours(a.peer)]).toEqual([true, true]);
    expect(await greet(a, b)).toBeUndefined();
    a.nowMs += 3 * DAY_MS; // one of them is right again: the other cannot tell
    expect(await greet(a, b)).toMatch(/clocks differ by 3 d|clocks differ by 72 h/);
  });

  it('that is renamed carries the new name', async () => {
    const { founder } = await foundedSwarm();
    const a = await joined(founder, 'a');
    const certificate = founder.admission.roster.member(a.peer);
    if (certificate === undefined) throw new Error('no member');
    await founder.admission.issuer.rename(certificate, 'b');
    await greet(a, founder);
    expect([a.admission.name, founder.admission.roster.find('b')[0]?.subject]).toEqual(['b', a.peer]);
    expect(founder.admission.roster.find('a')).toEqual([]);
    expect(founder.admission.roster.find('')).toEqual([]);
  });

  it('is called nothing that a terminal obeys or that looks like something else, whatever it wishes', async () => {
    const { founder } = await foundedSwarm();
    for (const wished of [
      'founder\n',
      'a\u001b[31m',
      '\u202eabc',
      'f\u043eunder',
      ' founder',
      '-rf',
      '../x',
      '\u0000'.repeat(24),
    ]) {
      const { admission } = await joined(founder, wished);
      expect(admission.name).toMatch(MEMBER_NAME);
      expect(admission.name).not.toBe('founder');
    }
  });

  it('is found by no name that is the end of another’s peer id: who asks must say which', async () => {
    const { founder } = await foundedSwarm();
    const [a, posing] = [await joined(founder, 'a'), await joined(founder, 'b')];
    const certificate = founder.admission.roster.member(posing.peer);
    if (certificate === undefined) throw new Error('no member');
    await founder.admission.issuer.rename(certificate, a.peer.slice(-8));
    const found = founder.admission.roster.find(a.peer.slice(-8)).map(({ subject }) => subject);
    expect(found.toSorted()).toEqual([a.peer, posing.peer].toSorted());
    expect(founder.admission.roster.find(a.peer).map(({ subject }) => subject)).toEqual([a.peer]);
  });
});

describe('a revoked member', () => {
  it('is let in by nobody who knows, and comes back with a new token only', async () => {
    const { founder } = await foundedSwarm();
    const [a, b] = [await joined(founder, 'a'), await joined(founder, 'b')];
    await greet(a, b);
    const mine = founder.learned.length;
    await founder.admission.issuer.revoke(a.peer, 'stolen');
    expect(founder.learned.length).toBe(mine + 1);
    expect(await greet(a, founder)).toMatch(/revoked/);
    expect(await greet(a, b)).toBeUndefined(); // b has not heard of it yet
    const [revocation] = founder.admission.roster.records.all().filter(({ body }) => body.kind === 'revocation');
    expect(b.admission.roster.offer(revocation?.bytes ?? new Uint8Array(), b.nowMs).verdict).toBe('accept');
    expect(await greet(b, a)).toMatch(/revoked/);
    expect(b.admission.honours(a.peer)).toBe(false);
    founder.nowMs += 30 * DAY_MS;
    await founder.admission.issuer.renewOwn();
    a.nowMs = founder.nowMs;
    expect(await greet(a, founder)).toMatch(/revoked/); // and no renewal either
    expect(await founder.admission.issuer.renew(a.peer)).toBeUndefined(); // nor over a connection that is still open
    expect(founder.admission.roster.isMember(a.peer)).toBe(false);
    const back = new Papers(a.crypto, a.admission.roster.swarmId, 'a', (await newcomer(founder, 'x')).token);
    back.nowMs = founder.nowMs;
    expect(await greet(back, founder)).toBeUndefined();
    expect(founder.admission.roster.isMember(a.peer)).toBe(true);
  });

  it('stays so over a restart, however full the roster is: revocations are the last that is read', async () => {
    const { founder } = await foundedSwarm();
    const again = new Papers(founder.crypto, founder.admission.roster.swarmId, 'again');
    let read = 0;
    again.store.range = async (prefix, { limit }) => {
      if (prefix === 'roster/') read = limit;
      return [];
    };
    await again.admission.open();
    const [issuers, operators, revocations] = [256, 256, 20_000];
    expect(read).toBeGreaterThan(issuers + 2 * MAX_MEMBERS + operators + revocations); // a member's newest, and its seat
  });

  it('may be the member itself, which leaves; it may revoke nobody else', async () => {
    const { founder } = await foundedSwarm();
    const [a, b] = [await joined(founder, 'a'), await joined(founder, 'b')];
    await greet(a, b);
    await expect(a.admission.issuer.revoke(b.peer, 'not mine to do')).rejects.toThrow(RangeError);
    await a.admission.issuer.revoke(a.peer, 'left');
    const [farewell] = a.admission.roster.records.all().filter(({ body }) => body.kind === 'revocation');
    expect(founder.admission.roster.offer(farewell?.bytes ?? new Uint8Array(), START_MS).verdict).toBe('accept');
    expect(founder.admission.roster.isMember(a.peer)).toBe(false);
  });
});

describe('root keys', () => {
  it('must sign m of n: fewer, others, or one twice are not enough', async () => {
    const { founder, roots } = await foundedSwarm(3, 2);
    const [first, second] = roots as [(typeof roots)[0], (typeof roots)[0]];
    const { roster } = founder.admission;
    const operator = founder.admission.drafts.operator((await makePeer()).self, 'anna');
    const by = (...signers: (typeof roots)[0][]): SignedRecord => signRecord(founder.crypto, roster.swarmId, operator, signers);
    expect(roster.offer(by(first).bytes, START_MS).verdict).toBe('reject');
    expect(roster.offer(by(first, first).bytes, START_MS).verdict).toBe('reject');
    expect(roster.offer(by(first, founder.crypto).bytes, START_MS).verdict).toBe('reject');
    expect(roster.offer(by(first, second).bytes, START_MS).verdict).toBe('accept');
    expect(roster.operators().map(({ name }) => name)).toEqual(['anna']);
  });

  it('may be kept offline: what they sign elsewhere is taken', async () => {
    const { founder, roots } = await foundedSwarm(1, 1);
    const [root] = roots;
    const away = await founder.restarted(); // without the root key
    const body = encodeBody(away.crypto, away.admission.drafts.operator((await makePeer()).self, 'anna'));
    await expect(away.admission.rootKeys.publish('operator', body, [])).rejects.toThrow();
    const signature = root?.sign(recordToSign(away.admission.roster.swarmId, 'operator', body)) ?? new Uint8Array();
    await away.admission.rootKeys.publish('operator', body, [{ by: root?.self ?? '', signature }]);
    expect(away.admission.roster.operators().length).toBe(1);
  });
});

describe('bad input', () => {
  it('of a later version is told from nonsense, and of an earlier one too', async () => {
    const { founder } = await foundedSwarm();
    const { crypto, admission } = await joined(founder, 'later');
    const told = async (wire: unknown) => {
      const { answer, reason } = await founder.admission.welcome(crypto.self, encodeCbor(wire));
      return [
        parseAnswer(answer ?? new Uint8Array())?.refusal?.text,
        (await founder.admission.accept(crypto.self, encodeCbor(wire))).reason,
        reason,
      ];
    };
    expect(await told([3, { anything: 1 }])).toEqual(Array(3).fill(expect.stringMatching(/newer KALOS protocol: update/)));
    expect(await told([0, 'old'])).toEqual(Array(3).fill(expect.stringMatching(/unsupported version of (hello|answer)/)));
    expect((await admission.accept(founder.peer, new Uint8Array([0x9f]))).reason).toMatch(/unsupported version of answer/);
  });

  it('of another swarm is refused, whatever it holds', async () => {
    const [{ founder: ours }, { founder: theirs }] = [await foundedSwarm(), await foundedSwarm()];
    const stranger = await joined(theirs, 'stranger');
    expect(await greet(stranger, ours)).toMatch(/another swarm/);
    for (const record of theirs.admission.roster.records.all())
      expect(ours.admission.roster.offer(record.bytes, START_MS).verdict).not.toBe('accept');
    expect(ours.admission.roster.authority.adopt(theirs.admission.roster.authority.genesis?.bytes ?? new Uint8Array())).toBe(
      true,
    ); // it has one already
    expect(
      new Roster(ours.crypto, ours.admission.roster.swarmId).authority.adopt(
        theirs.admission.roster.authority.genesis?.bytes ?? new Uint8Array(),
      ),
    ).toBe(false);
  });

  it('shows somebody else’s certificate in vain: a certificate is bound to its key', async () => {
    const { founder } = await foundedSwarm();
    const [a, thief] = [await joined(founder, 'a'), await newcomer(founder, 'thief')];
    const hello = parseHello(a.admission.hello(founder.peer));
    if (hello === undefined) throw new Error('no hello');
    expect((await founder.admission.welcome(thief.peer, encodeHello(hello))).admitted).toBe(false);
  });

  it('forges a certificate in vain: signed by nobody, by a member, for too long, from the future, changed', async () => {
    const { founder } = await foundedSwarm();
    const a = await joined(founder, 'a');
    const thief = await makePeer();
    const { roster } = founder.admission;
    const { swarmId } = roster;
    const nowMs = START_MS;
    const shape = { name: 'thief', role: 'committee' as const, nowMs };
    expect(roster.offer(certifiedBy(thief, swarmId, thief.self, shape).bytes, nowMs).verdict).toBe('ignore'); // an issuer that nobody knows
    expect(roster.offer(certifiedBy(a.crypto, swarmId, thief.self, shape).bytes, nowMs).verdict).toBe('ignore');
    const long = signRecord(founder.crypto, swarmId, { ...certificate(thief.self), untilMs: nowMs + 2 * MEMBER_LIFE_MS }, [
      founder.crypto,
    ]);
    expect(roster.offer(long.bytes, nowMs).verdict).toBe('reject');
    const good = certifiedBy(founder.crypto, swarmId, thief.self, shape);
    const changed = good.bytes.slice();
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    expect(roster.offer(changed, nowMs).verdict).toBe('reject');
    const issuer = signRecord(founder.crypto, swarmId, founder.admission.drafts.issuer(thief.self), [thief]);
    expect(roster.offer(issuer.bytes, nowMs).verdict).toBe('reject');
    expect(roster.isMember(thief.self)).toBe(false);
    const future = certifiedBy(founder.crypto, swarmId, thief.self, { ...shape, nowMs: nowMs + DAY_MS });
    roster.offer(future.bytes, nowMs);
    expect(roster.standing(thief.self, nowMs)).toBe('future');
  });

  it('replays an old certificate, or an old answer, in vain', async () => {
    const { founder } = await foundedSwarm();
    const a = await joined(founder, 'a');
    const old = founder.admission.roster.records.signed('member', a.peer);
    await founder.admission.issuer.revoke(a.peer, '');
    expect(founder.admission.roster.offer(old?.bytes ?? new Uint8Array(), START_MS).verdict).toBe('ignore');
    const other = await newcomer(founder, 'other');
    const welcomed = await founder.admission.welcome(other.peer, other.admission.hello(founder.peer));
    const eavesdropper = new Papers(await makePeer(), founder.admission.roster.swarmId, 'e');
    await eavesdropper.admission.accept(founder.peer, said(welcomed));
    expect(eavesdropper.admission.isMember).toBe(false); // the certificate is another's
  });

  it('is told apart from anything that is no hello, cheaply and without an exception', async () => {
    const { founder } = await foundedSwarm();
    const stranger = await makePeer();
    const bombs = [
      new Uint8Array(),
      new Uint8Array(17 * 1024),
      new Uint8Array(4_000).fill(0x81), // arrays in arrays
      new Uint8Array([0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), // 2^64 items, it says
      new Uint8Array([0x5b, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff]), // a string of 512 GB, it says
      encodeCbor([3, 'a later version']),
      encodeHello({
        swarmId: 'f'.repeat(32),
        wallMs: 0,
        certificate: undefined,
        issuer: undefined,
        redeem: undefined,
        instance: undefined,
      }),
    ];
    for (const bytes of bombs) {
      const answer = await founder.admission.welcome(stranger.self, bytes);
      expect([answer.admitted, parseAnswer(said(answer))?.hello]).toEqual([false, undefined]); // and is told nothing
    }
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
        expect((await founder.admission.welcome(stranger.self, bytes)).admitted).toBe(false);
        expect((await founder.admission.accept(stranger.self, bytes)).admitted).toBe(false);
        expect((await founder.admission.settle(stranger.self, bytes)).admitted).toBe(false);
        expect(parseRecord(founder.crypto, bytes)).toBeUndefined();
      }),
    );
  });

  it('merges to the same roster in any order, with repetitions', async () => {
    const { founder } = await foundedSwarm();
    const members = [await joined(founder, 'a'), await joined(founder, 'b'), await joined(founder, 'c')];
    await founder.admission.issuer.revoke(members[0]?.peer ?? '', '');
    const [, renamed] = founder.admission.roster.members();
    if (renamed !== undefined) await founder.admission.issuer.rename(renamed, 'z');
    const issuers = founder.admission.roster.records.all().filter(({ body }) => body.kind === 'issuer');
    const rest = [...founder.admission.roster.records.all(), ...founder.learned];
    const content = (roster: Roster): unknown[] =>
      roster
        .members()
        .map(({ subject, name, epoch }) => [subject, name, epoch])
        .sort();
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...rest)), fc.shuffledSubarray(rest, { minLength: rest.length }), (noise, order) => {
        const other = new Roster(founder.crypto, founder.admission.roster.swarmId);
        other.authority.adopt(founder.admission.roster.authority.genesis?.bytes ?? new Uint8Array());
        for (const { bytes } of [...issuers, ...noise, ...order]) other.offer(bytes, START_MS);
        expect(content(other)).toEqual(content(founder.admission.roster));
      }),
      { numRuns: 20 },
    );
  });
});

function certificate(subject: string) {
  return {
    kind: 'member',
    subject,
    epoch: 0,
    fromMs: START_MS,
    untilMs: START_MS + MEMBER_LIFE_MS,
    name: 'x',
    role: 'member',
    capabilities: [],
  } as const;
}
