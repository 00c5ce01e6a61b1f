// A machine checks the authorization of a disruptive change itself: every field of the certificate, the lease, and that it is used once,
// across restarts too. Nothing that a compromised leader or a peer sends changes that.
import { describe, expect, it } from 'vitest';
import { wished } from '../../consensus/decisions/decision.ts';
import { DecisionState } from '../../consensus/decisions/state.ts';
import { certificateQuorum } from '../../consensus/quorum.ts';
import { decodeCertificate } from '../../consensus/vote/certificate.ts';
import { type Claim, claimIdOf, type Vote, voteBytes, type Warrant } from '../../consensus/vote/claim.ts';
import type { VoteResult } from '../../consensus/vote/voting.ts';
import { Grants } from '../../node/agent/grants.ts';
import { type Permit, type PermitParts, Permits } from '../../node/agent/permits.ts';
import type { Plan } from '../../node/decision/plan.ts';
import type { Ports } from '../../node/ports/ports.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { StoreOperation } from '../../swarm/ports/store.ts';
import { makePeers } from '../support/crypto.ts';
import { fakeMembers } from '../support/members.ts';

const SWARM = 'swarm';
const NOW = 1_800_000_000_000;
const CALLS = [{ tool: 'service.restart', service: 'web' }];
const BEFORE = [{ state: 'exited', pid: 0, critical: 1 }];
const PLAN: Plan = { id: 'inc-1-1', incident: 'inc-1', calls: CALLS, tier: 'reactive', reason: 'it exited' };

/** A machine with six witnesses, and all that its permits ask. */
async function world() {
  const [self, ...witnesses]: Crypto[] = await makePeers(7);
  if (self === undefined) throw new Error('nobody is there');
  const disk = new Map<string, Uint8Array>();
  const it = {
    nowMs: NOW,
    term: 4,
    coordinator: 'nova' as string | undefined,
    outcome: undefined as VoteResult['outcome'] | undefined,
    epoch: 2,
    members: new Set([self, ...witnesses].map((one) => one.self)),
    health: { members: 7, sick: 1 },
    liars: new Set<string>(),
  };
  const state = new DecisionState();
  let index = 20;
  const decide = async (wish: Parameters<typeof wished>[0]) =>
    state.apply(wished(wish, self.self, (++index).toString(16).padStart(32, '0'), it.nowMs), { index, term: it.term });
  const vote = async (claim: Claim): Promise<VoteResult> =>
    it.outcome === undefined
      ? signed(claim, witnesses)
      : { ...signed(claim, witnesses), outcome: it.outcome, certificate: undefined };
  const signed = (claim: Claim, by: readonly Crypto[], voters = witnesses): VoteResult => {
    const claimId = claimIdOf(SWARM, claim, self.hash);
    const votes = by.slice(0, certificateQuorum(voters.length)).map((one): Vote => {
      const unsigned = { claimId, witness: one.self, verdict: 'yes', reason: 'port-refused', confidence: 95 } as const;
      return { ...unsigned, signature: one.sign(voteBytes(SWARM, unsigned)) };
    });
    const names = voters.map((one) => one.self);
    return { claimId, claim, outcome: 'certified', witnesses: names, votes, certificate: { claim, witnesses: names, votes } };
  };
  const time = { wallMs: () => it.nowMs, claimMs: () => it.nowMs, isFarOff: false };
  const members = fakeMembers({
    self: self.self,
    roster: { swarmId: SWARM, member: () => ({ epoch: it.epoch }), isMember: (peer: string) => it.members.has(peer) },
    all: () =>
      Array.from(
        { length: it.health.members },
        (_, nth) => ({ peer: `${nth}`, state: nth < it.health.sick ? 'down' : 'alive' }) as Member,
      ),
  });
  const parts = {
    members,
    time,
    committee: {
      get coordinator() {
        return it.coordinator;
      },
      get term() {
        return it.term;
      },
    },
    selection: { witnesses: () => witnesses.map((one) => one.self) },
    ballots: { vote },
    decisions: {
      state,
      decide,
      wallMs: () => it.nowMs,
      reads: { caughtUp: async () => undefined },
      proven: { quarantined: () => it.liars },
    },
  } as unknown as PermitParts;
  const store = {
    get: async (key: string) => disk.get(key),
    write: async (operations: readonly StoreOperation[]) => {
      for (const one of operations) {
        if (one.kind === 'put') disk.set(one.key, one.value);
        else disk.delete(one.key);
      }
    },
    range: async (prefix: string) => [...disk].filter(([key]) => key.startsWith(prefix)),
    close: async () => undefined,
  };
  const ports = {
    crypto: self,
    store,
    clock: { wallMs: () => it.nowMs, monotonicMs: () => it.nowMs, after: () => ({ cancel: () => undefined }) },
    random: { uint32: () => 7, bytes: (length: number) => new Uint8Array(length).fill(++index) },
  } as unknown as Ports;
  const make = () =>
    new Permits(ports, parts, new Grants(ports, SWARM, members, parts.decisions, { conflictOf: () => undefined }));
  const permits = make();
  const claim: Claim = {
    subject: self.self,
    kind: 'service-down',
    target: 'web',
    port: 8080,
    fromMs: NOW,
    expiresAtMs: NOW + 60_000,
    evidenceDigest: self.hash(new Uint8Array([1])),
  };
  const answer = await permits.obtain(PLAN, CALLS, BEFORE, claim);
  if (!answer.ok || answer.permit.certificate === undefined) throw new Error('no certificate');
  const { certificate } = answer.permit;
  const permit = { ...answer.permit, certificate };
  /** The same permit, over another claim that its witnesses have signed. */
  const over = (given: Partial<Claim>, warrant: Partial<Warrant> = {}, by = witnesses, voters = witnesses): Permit => {
    const { claim: is } = certificate;
    const other: Claim = { ...is, ...given, warrant: { ...(is.warrant as Warrant), ...warrant } };
    return { ...permit, certificate: signed(other, by, voters).certificate };
  };
  return {
    it,
    permits,
    permit,
    over,
    self,
    witnesses,
    state,
    decide,
    disk,
    time,
    claim,
    fresh: make,
  };
}

describe('a permit', () => {
  it('holds for the change that it was given for, and once, across restarts too', async () => {
    const { permits, permit, fresh } = await world();
    expect(await permits.refusal(permit, PLAN, CALLS, BEFORE)).toBeUndefined();
    await permits.use(permit);
    expect(await permits.refusal(permit, PLAN, CALLS, BEFORE)).toBe('the certificate was used already');
    const restarted = fresh();
    await restarted.open();
    expect(await restarted.refusal(permit, PLAN, CALLS, BEFORE)).toBe('the certificate was used already');
  });

  it('is for these arguments, this target as it was, this plan, and this machine', async () => {
    const { permits, permit, over, witnesses } = await world();
    const refusals = await Promise.all([
      permits.refusal(permit, PLAN, [{ tool: 'service.restart', service: 'db' }], BEFORE),
      permits.refusal(permit, PLAN, [{ tool: 'service.stop', service: 'web' }], BEFORE),
      permits.refusal(permit, PLAN, CALLS, [{ state: 'running', pid: 7, critical: 1 }]),
      permits.refusal(permit, { ...PLAN, id: 'inc-2-1' }, CALLS, BEFORE),
      permits.refusal(over({ subject: witnesses[0]?.self ?? '' }), PLAN, CALLS, BEFORE),
    ]);
    expect(refusals).toEqual([
      'the certificate is for other arguments, or another version of the tool',
      'the certificate is for other arguments, or another version of the tool',
      'the target has changed since certification',
      'the certificate is for another change',
      'the certificate is for another change',
    ]);
  });

  it('ends: with its time, the term, the membership, and the lease', async () => {
    const { it: world_, permits, permit, over, decide } = await world();
    expect(await permits.refusal(over({ expiresAtMs: NOW }), PLAN, CALLS, BEFORE)).toBe('the certificate has expired');
    expect(await permits.refusal(over({ fromMs: NOW + 1 }), PLAN, CALLS, BEFORE)).toBe('the certificate has expired');
    expect(await permits.refusal(over({}, { epoch: 1 }), PLAN, CALLS, BEFORE)).toBe('the certificate is of another membership');
    expect(await permits.refusal(over({}, { term: 3 }), PLAN, CALLS, BEFORE)).toBe('the certificate is of an earlier term');
    world_.term = 5;
    expect(await permits.refusal(permit, PLAN, CALLS, BEFORE)).toBe('the certificate is of an earlier term');
    world_.term = 4;
    expect(await permits.refusal({ ...permit, fence: permit.fence + 1 }, PLAN, CALLS, BEFORE)).toBe('the lease has expired');
    await decide({ kind: 'release', lease: permit.lease });
    expect(await permits.refusal(permit, PLAN, CALLS, BEFORE)).toBe('the lease has expired');
  });

  it('is signed by enough witnesses, who are members, over just this', async () => {
    const { it: world_, permits, permit, over, self, witnesses } = await world();
    const few = witnesses.slice(0, 3);
    const { certificate } = permit;
    const other = { ...certificate.claim, target: 'db' };
    const refusals = [
      await permits.refusal(over({}, {}, few), PLAN, CALLS, BEFORE),
      await permits.refusal(over({}, {}, few, few), PLAN, CALLS, BEFORE),
      await permits.refusal(over({}, {}, [self, ...witnesses], [self, ...witnesses]), PLAN, CALLS, BEFORE),
      await permits.refusal({ ...permit, certificate: { ...certificate, claim: other } }, PLAN, CALLS, BEFORE),
      await permits.refusal({ ...permit, certificate: { ...certificate, votes: [] } }, PLAN, CALLS, BEFORE),
    ];
    expect(refusals).toEqual([
      'the certificate is invalid: 3 votes, 4 needed',
      'the certificate has too few witnesses that are members',
      'the certificate is invalid: the subject is its own witness',
      'the certificate is invalid: a vote is for another claim',
      'the certificate is invalid: 0 votes, 4 needed',
    ]);
    world_.liars.add(witnesses[4]?.self ?? '');
    expect(await permits.refusal(permit, PLAN, CALLS, BEFORE)).toBe('one of its witnesses is in quarantine');
    world_.liars.clear();
    world_.members.delete(witnesses[5]?.self ?? '');
    expect(await permits.refusal(permit, PLAN, CALLS, BEFORE)).toBe('the certificate has too few witnesses that are members');
  });

  it('is not used where more leases are out, or more members look sick, than this machine itself would have', async () => {
    const { it: world_, permits, permit, state, self, witnesses } = await world();
    world_.health = { members: 7, sick: 3 };
    expect(await permits.refusal(permit, PLAN, CALLS, BEFORE)).toBe('3 of 7 members look unhealthy: no disruptive changes');
    world_.health = { members: 7, sick: 1 };
    const other = { kind: 'lease', plan: 'inc-9-1', members: 1_000, sick: 0, untilMs: NOW + 60_000 } as const;
    state.apply(wished(other, witnesses[0]?.self ?? self.self, 'e'.repeat(32), NOW), { index: 90, term: 4 });
    expect(await permits.refusal(permit, PLAN, CALLS, BEFORE)).toBe('2 leases are in use, at most 1 allowed');
    world_.health = { members: 27, sick: 1 };
    expect(await permits.refusal(permit, PLAN, CALLS, BEFORE)).toBeUndefined();
  });

  it('is not given where witnesses or the swarm say no', async () => {
    const { permits, permit } = await world();
    // The lease of another plan is still out.
    const answer = await permits.obtain({ ...PLAN, id: 'inc-2-1' }, CALLS, BEFORE, permit.certificate.claim);
    expect(answer).toEqual({ ok: false, reason: '1 disruptive change is running already', later: true });
  });

  it('is refused where this machine’s clock is far off, or its witnesses do not certify it, and given where neither is so', async () => {
    const { it: world_, permits, permit, time, claim, state } = await world();
    permits.giveBack(permit);
    await Promise.resolve();
    const obtain = () => permits.obtain({ ...PLAN, id: 'inc-2-1' }, CALLS, BEFORE, claim);
    time.isFarOff = true;
    expect(await obtain()).toMatchObject({
      ok: false,
      later: false,
      reason: expect.stringContaining('clock is wrong by 30 minutes'),
    });
    time.isFarOff = false;
    world_.outcome = 'undecided';
    expect(await obtain()).toEqual({ ok: false, reason: 'the witnesses do not certify the change: undecided', later: false });
    world_.outcome = undefined;
    const given = await obtain();
    const [lease] = state.leases(NOW);
    expect(given).toMatchObject({
      ok: true,
      votes: { outcome: 'certified' },
      permit: { approvals: [], lease: lease?.id, fence: lease?.fence },
    });
    expect([lease?.plan, lease?.untilMs]).toEqual(['inc-2-1', NOW + 240_000]);
  });

  it('is asked for again with the coordinator, its term, and the witnesses; and where a lease could be had', async () => {
    const { it: world_, permits, permit } = await world();
    expect(permits.leadership()).toBe('nova 4 6');
    expect(permits.mayLease()).toBe(false); // one is out
    permits.giveBack(permit);
    await Promise.resolve();
    expect(permits.mayLease()).toBe(true);
    world_.health = { members: 7, sick: 3 };
    expect(permits.mayLease()).toBe(false);
    world_.health = { members: 7, sick: 1 };
    world_.coordinator = undefined;
    expect([permits.mayLease(), permits.leadership()]).toEqual([false, ' 4 6']);
  });

  it('is remembered as used until a day after it has ended', async () => {
    const { it: world_, permits, permit, disk, fresh } = await world();
    await permits.use(permit);
    const { nonce } = permit.certificate.claim.warrant ?? expect.fail();
    const key = `permit/${Buffer.from(nonce).toString('hex')}`;
    expect(
      [...disk].filter(([one]) => one.startsWith('permit/')).map(([one, value]) => [one, Buffer.from(value).toString()]),
    ).toEqual([[key, String(NOW + 60_000)]]);
    for (const [nowMs, isKept] of [
      [NOW + 60_000 + 86_400_000, true],
      [NOW + 60_000 + 86_400_001, false],
    ] as const) {
      world_.nowMs = nowMs;
      await fresh().open();
      expect(disk.has(key)).toBe(isKept);
    }
  });

  it('is shown and kept with its certificate, and without one it is neither', async () => {
    const { permits, permit } = await world();
    expect(decodeCertificate(Buffer.from(permits.encoded(permit), 'base64'))).toEqual(permit.certificate);
    const without = { ...permit, certificate: undefined };
    expect([permits.encoded(without), permits.authorization(without, CALLS, BEFORE)]).toEqual(['', undefined]);
    expect(await permits.refusal(without, PLAN, CALLS, BEFORE)).toBe('the standing approval is no longer valid');
  });
});
