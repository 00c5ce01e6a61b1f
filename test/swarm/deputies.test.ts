// Deputies: issuers that let others in and renew certificates, and no more; and tokens that are good while who made them is gone.

import { describe, expect, it } from 'vitest';
import { portions } from '../../node/link/deputies.ts';
import { ISSUER_LIFE_MS, MEMBER_LIFE_MS } from '../../swarm/identity/lifetimes.ts';
import { encodeBody, signRecord } from '../../swarm/identity/record.ts';
import { makePeer } from '../support/crypto.ts';
import { foundedSwarm, greet, joined, newcomer, Papers } from '../support/swarm-papers.ts';

async function withDeputy() {
  const { founder } = await foundedSwarm();
  const deputy = await joined(founder, 'deputy');
  const member = await joined(founder, 'member');
  expect(await founder.admission.rootKeys.makeDeputy(deputy.peer)).toBe(true);
  await greet(deputy, founder);
  for (const record of founder.admission.roster.records.all())
    for (const { admission } of [deputy, member]) admission.roster.offer(record.bytes, founder.nowMs);
  return { founder, deputy, member };
}

/** What each knows of tokens, told to the other. */
async function share(from: Papers, to: Papers): Promise<void> {
  const mayMakeCommittee = to.admission.roster.decides(from.peer, to.nowMs);
  for (const { maker, token } of from.admission.issuer.ledger.shared()) {
    const made = maker ?? from.peer;
    await to.admission.issuer.ledger.merge(made === to.peer ? undefined : made, token, mayMakeCommittee);
  }
}

/** With a token that names the other issuer too. */
async function invited(maker: Papers, other: Papers, uses = 1): Promise<Papers[]> {
  const options = { role: 'member' as const, ttlMs: 600_000, uses, networkKey: undefined };
  const token = await maker.admission.issuer.makeToken(options, [
    '/ip4/127.0.0.1/tcp/1',
    `/ip4/127.0.0.1/tcp/2/p2p/${other.peer}`,
  ]);
  const made = Array.from({ length: uses + 1 }, async (_, nth) => {
    const papers = new Papers(await makePeer(), maker.admission.roster.swarmId, `new-${nth}`, token);
    await papers.admission.open();
    return papers;
  });
  return Promise.all(made);
}

describe('a deputy', () => {
  it('lets others in and renews certificates, and all take what it signs for them', async () => {
    const { deputy, member, founder } = await withDeputy();
    expect([deputy.admission.issuer.mayIssue, deputy.admission.roster.authority.isDeputy(deputy.peer)]).toEqual([true, true]);
    const late = await joined(deputy, 'late');
    expect(await greet(late, member)).toBeUndefined();
    expect(await greet(late, founder)).toBeUndefined();
  });

  it('revokes nobody, changes no network key and decides nothing, until it is promoted', async () => {
    const { deputy, member, founder } = await withDeputy();
    const { roster } = member.admission;
    const { crypto } = deputy;
    const body = deputy.admission.drafts.revocation('member', founder.peer, 'a coup');
    const coup = signRecord(crypto, roster.swarmId, body, [crypto]);
    expect(roster.offer(coup.bytes, member.nowMs).verdict).toBe('ignore');
    await expect(deputy.admission.issuer.revoke(founder.peer, 'a coup')).rejects.toThrow(/may not sign/);
    await expect(deputy.admission.issuer.rotateNetworkKey(1, 1)).rejects.toThrow(/may not sign/);
    expect([roster.decides(deputy.peer, member.nowMs), roster.decides(founder.peer, member.nowMs)]).toEqual([false, true]);
    founder.nowMs += 60_000;
    await founder.admission.rootKeys.publish(
      'issuer',
      encodeBody(founder.crypto, founder.admission.drafts.issuer(deputy.peer)),
      [],
    );
    const promoted = founder.admission.roster.records.signed('issuer', deputy.peer);
    roster.offer(promoted?.bytes ?? new Uint8Array(), member.nowMs);
    expect((promoted?.body.untilMs ?? 0) - (promoted?.body.fromMs ?? 0)).toBe(ISSUER_LIFE_MS);
    expect(roster.decides(deputy.peer, member.nowMs)).toBe(true);
    expect(roster.offer(coup.bytes, member.nowMs).verdict).toBe('accept');
  });

  it('is made by who has the root keys only', async () => {
    const { deputy, member } = await withDeputy();
    expect(await deputy.admission.rootKeys.makeDeputy(member.peer)).toBe(false);
  });
});

describe('a token of an issuer that is gone', () => {
  it('is good at another issuer that knows it, as often as it says', async () => {
    const { founder, deputy } = await withDeputy();
    const [first, second] = await invited(founder, deputy);
    if (first === undefined || second === undefined) throw new Error('nobody comes');
    expect(await greet(first, deputy)).toMatch(/does not know the token/);
    await share(founder, deputy);
    expect(await greet(first, deputy)).toBeUndefined();
    expect(await greet(second, deputy)).toMatch(/used already/);
    // It comes back, and hears of it.
    await share(deputy, founder);
    expect(await greet(second, founder)).toMatch(/used already/);
  });

  it('is redeemed by who made it, through the other, while that is there', async () => {
    const { founder, deputy } = await withDeputy();
    deputy.alive.set(founder.peer, founder);
    const [first, second] = await invited(founder, deputy);
    if (first === undefined || second === undefined) throw new Error('nobody comes');
    await share(founder, deputy);
    expect(await greet(first, deputy)).toBeUndefined();
    expect(founder.admission.issuer.ledger.list().at(-1)?.redeemedBy).toEqual([first.peer]);
    expect(await greet(second, deputy)).toMatch(/used already/);
  });

  it('that a person ended is ended at all, also where one had not heard of it', async () => {
    const { founder, deputy } = await withDeputy();
    const [first] = await invited(founder, deputy);
    await share(founder, deputy);
    await founder.admission.issuer.endToken(founder.admission.issuer.ledger.list().at(-1)?.id ?? '');
    await share(deputy, founder);
    await share(founder, deputy);
    expect(await greet(first as Papers, deputy)).toMatch(/does not know the token/);
    expect(founder.admission.issuer.ledger.list().filter(({ usesLeft }) => usesLeft > 0)).toEqual([]);
  });

  it('is shown to nobody whom it does not name', async () => {
    const { founder, deputy, member } = await withDeputy();
    const [first] = await invited(founder, deputy);
    const redeems = (to: Papers) => first?.admission.hello(to.peer).length;
    expect(redeems(founder)).toBe(redeems(deputy));
    expect(redeems(member)).toBeLessThan(redeems(founder) ?? 0);
  });
});

describe('a deputy that lies', () => {
  it('brings no token for the committee, and changes none of an issuer’s', async () => {
    const { founder, deputy } = await withDeputy();
    const lured = await newcomer(deputy, 'lured', { role: 'committee' });
    await share(deputy, founder);
    expect(founder.admission.issuer.ledger.list().filter(({ role }) => role === 'committee')).toEqual([]);
    await newcomer(founder, 'own');
    const { token } = founder.admission.issuer.ledger.shared().at(-1) ?? {};
    const [id, role, expiresMs, usesLeft, redeemedBy, , ended] = token as unknown[];
    await founder.admission.issuer.ledger.merge(
      deputy.peer,
      [id, role, expiresMs, 999, redeemedBy, new Uint8Array(32), ended],
      false,
    );
    await founder.admission.issuer.ledger.merge(
      undefined,
      [id, 'committee', Number(expiresMs) * 2, 999, redeemedBy, (token as unknown[])[5], ended],
      false,
    );
    expect(founder.admission.issuer.ledger.list().at(-1)).toMatchObject({ role: 'member', expiresMs, usesLeft });
    expect(lured.admission.isMember).toBe(false);
  });
});

describe('what issuers tell each other of tokens', () => {
  it('goes in as many requests as it takes, each of a size that is taken', () => {
    const tokens = Array.from({ length: 100 }, (_, nth) => `${nth} ${'x'.repeat(nth === 7 ? 70_000 : 9_000)}`);
    const bodies = portions(tokens, (some) => new TextEncoder().encode(JSON.stringify(some)));
    expect(bodies.every((body) => body.length <= 60_000)).toBe(true);
    const told = bodies.flatMap((body) => JSON.parse(new TextDecoder().decode(body)) as string[]);
    expect(told).toEqual(tokens.filter((_, nth) => nth !== 7));
  });

  it('seats nobody on the committee, and no issuer signs what it says of that; who was seated stays so', async () => {
    const { founder, deputy, member } = await withDeputy();
    const seated = await joined(founder, 'seated', { role: 'committee' });
    const { roster } = member.admission;
    const tell = (record = founder.admission.roster.records.signed('member', seated.peer)) =>
      roster.offer(record?.bytes ?? new Uint8Array(), member.nowMs);
    tell();
    const lie = async (subject: string, name: string): Promise<void> => {
      const fromMs = founder.nowMs + 60_000;
      const times = { epoch: 0, fromMs, untilMs: fromMs + MEMBER_LIFE_MS };
      const body = { kind: 'member', subject, ...times, name, role: 'committee', capabilities: [] } as const;
      const record = signRecord(deputy.crypto, roster.swarmId, body, [deputy.crypto]);
      expect(tell(record).verdict).toBe('accept');
      await founder.admission.store.publish(record);
      await member.admission.store.keep([record]);
    };
    const friend = (await makePeer()).self;
    await lie(friend, 'friend');
    await lie(member.peer, 'member');
    // As it renews any certificate.
    await lie(seated.peer, 'seated');
    const all = [friend, member.peer, seated.peer];
    expect(all.map((peer) => roster.isForCommittee(peer))).toEqual([false, false, true]);
    // It says that they came with a token of the founder's, too.
    const { token } = founder.admission.issuer.ledger.shared().at(-1) ?? {};
    const [id, role, expiresMs, usesLeft, redeemedBy, secretHash, ended] = token as unknown[];
    expect(role).toBe('committee');
    const told = [id, role, expiresMs, usesLeft, [...(redeemedBy as string[]), friend], secretHash, ended];
    await founder.admission.issuer.ledger.merge(undefined, told, false);
    founder.nowMs += MEMBER_LIFE_MS;
    for (const peer of all) await founder.admission.issuer.renew(peer);
    const renewed = all.map((peer) => founder.admission.roster.member(peer)?.role);
    expect(renewed).toEqual(['member', 'member', 'committee']);
    // Over a restart too, though the newest certificate is a deputy's.
    const papers = new Papers(founder.crypto, roster.swarmId, 'founder');
    await lie(seated.peer, 'seated').catch(() => undefined);
    for (const [key, value] of await founder.store.range('', { limit: 10_000 }))
      await papers.store.write([{ kind: 'put', key, value }]);
    await papers.admission.open();
    expect(all.map((peer) => papers.admission.roster.isForCommittee(peer))).toEqual([false, false, true]);
  });

  it('takes a token for the committee to who made it, which confirms the seat', async () => {
    const { founder, deputy } = await withDeputy();
    deputy.alive.set(founder.peer, founder);
    const options = { role: 'committee' as const, ttlMs: 600_000, uses: 1, networkKey: undefined };
    const token = await founder.admission.issuer.makeToken(options, [`/ip4/127.0.0.1/tcp/2/p2p/${deputy.peer}`]);
    await share(founder, deputy);
    const late = new Papers(await makePeer(), founder.admission.roster.swarmId, 'late', token);
    await late.admission.open();
    expect(await greet(late, deputy)).toBeUndefined();
    expect(deputy.admission.roster.isForCommittee(late.peer)).toBe(false);
    expect(await greet(late, founder)).toBeUndefined();
    expect(founder.admission.roster.isForCommittee(late.peer)).toBe(true);
  });
});
