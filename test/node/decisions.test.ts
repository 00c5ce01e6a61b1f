// What a member may have decided, as the coordinator takes it; how a member wishes, reads, keeps and attests; with the log and the others faked.
import { describe, expect, it } from 'vitest';
import { Attestations, certifiedFrom } from '../../consensus/decisions/checkpoint.ts';
import { type Wish, wished } from '../../consensus/decisions/decision.ts';
import { DecisionState, type Outcome } from '../../consensus/decisions/state.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import type { DecisionLog } from '../../node/decisions/own-log.ts';
import type { ModelledCrypto } from '../../sim/adapters/crypto.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import {
  drainBy,
  idOf,
  issuer,
  lieOf,
  NO_ISSUER,
  outcomeOf,
  PAUSE,
  plain,
  SIGNATURE,
  START_MS,
  SWARM,
  self,
  third,
  type World,
  world,
} from '../support/decisions-world.ts';

describe('whose wish the coordinator takes', () => {
  const id = idOf(99);
  const own: Wish[] = [
    { kind: 'lease', plan: 'p', members: 1, sick: 0, untilMs: START_MS + 60_000 },
    { kind: 'release', lease: id },
    { kind: 'place', service: 'web' },
    { kind: 'unplace', service: 'web', fence: 1, unfitUntilMs: null, reason: 'x' },
    { kind: 'bundle-report', bundle: id, ok: true, reason: '' },
    { kind: 'upgrade-report', upgrade: id, ok: true, reason: '' },
    { kind: 'quarantine', peer: third.self, ...lieOf(third) },
    drainBy(plain, plain.self),
    { kind: 'undrain', peer: third.self, reason: 'x' },
  ];
  const leaders: Wish[] = [
    { kind: 'leads' },
    { kind: 'epoch', digest: new Uint8Array(32), members: 3 },
    { kind: 'displace', service: 'web', fence: 1, reason: 'x' },
    { kind: 'bundle-advance', bundle: id, next: [] },
    { kind: 'upgrade-advance', upgrade: id, next: [] },
  ];
  const back: Wish[] = [
    { kind: 'bundle-withdraw', bundle: id, reason: 'x' },
    { kind: 'upgrade-withdraw', upgrade: id, reason: 'x' },
    { kind: 'move', service: 'web', reason: 'x' },
  ];
  const issuers: Wish[] = [
    PAUSE,
    { kind: 'wake', peer: third.self, reason: 'x' },
    { kind: 'silence', policy: 'p', target: null, untilMs: START_MS + 60_000, reason: 'x' },
    { kind: 'unsilence', silence: id },
    { kind: 'pardon', peer: third.self, reason: 'x' },
    { kind: 'revoke', grant: id, reason: 'x' },
    { kind: 'unbudget', peer: third.self, reason: 'x' },
    { kind: 'bundle', policies: '[]', signature: SIGNATURE, canary: [plain.self], soakMs: 5_000, findings: 0 },
  ];
  const howTaken = (answer: unknown): string => {
    const [, said] = answer as [boolean, unknown];
    if (said === 'only the leader may decide this') return 'the coordinator’s';
    return String(said).endsWith(NO_ISSUER) ? 'no issuer' : 'taken up';
  };

  it.each<[string, Wish[], string[]]>([
    ['what a member decides for itself', own, ['taken up', 'taken up', 'taken up']],
    ['what is the coordinator’s', leaders, ['the coordinator’s', 'the coordinator’s', 'taken up']],
    ['what is the coordinator’s and an issuer’s', back, ['no issuer', 'taken up', 'taken up']],
    ['what is about others', issuers, ['no issuer', 'taken up', 'no issuer']],
  ])('%s', async (_title, wishes, expected) => {
    for (const wish of wishes) {
      const { decisions, propose } = world();
      const answers = [await propose(plain.self, wish), await propose(issuer.self, wish)];
      const mine = await decisions.decide(wish, 1_000);
      const all = [...answers, [mine.ok, mine.ok ? mine.index : mine.reason]];
      expect(all.map(howTaken), wish.kind).toEqual(expected);
    }
  });

  it('is answered with its place in the log, why not, and whether to ask again', async () => {
    const { propose, log } = world();
    expect(await propose(issuer.self, PAUSE)).toEqual([true, 1]);
    expect(await propose(issuer.self, { kind: 'wake', peer: 'nobody', reason: 'x' })).toEqual([
      false,
      'the member is not paused',
      false,
    ]);
    const lease = (plan: string): Wish => ({ kind: 'lease', plan, members: 1, sick: 0, untilMs: START_MS + 60_000 });
    for (const plan of ['a', 'b', 'c']) await propose(plain.self, lease(plan));
    expect(await propose(plain.self, lease('d'))).toEqual([false, '3 disruptive changes are running already', true]);
    expect(log.proposed.map(([, withinMs]) => withinMs)).toEqual(Array(6).fill(2_000));
  });

  it('is nobody’s in another’s name, and nothing while this agent does not lead, or has no log', async () => {
    const { propose, its, log } = world();
    expect(await propose(plain.self, PAUSE, { by: issuer.self })).toEqual([
      false,
      'a member may only request in its own name',
      false,
    ]);
    its.leads = false;
    const unavailable = new LogUnavailable('this agent is not the leader', false);
    await expect(propose(issuer.self, PAUSE)).rejects.toEqual(unavailable);
    Object.assign(its, { leads: true, log: undefined });
    await expect(propose(issuer.self, PAUSE)).rejects.toEqual(unavailable);
    expect(log.proposed).toEqual([]);
  });

  it.each<[string, Wish, unknown]>([
    [
      'a quarantine that its votes do not prove',
      { kind: 'quarantine', peer: issuer.self, ...lieOf(third) },
      'the two votes do not conflict',
    ],
    ['a drain of another by no issuer', drainBy(plain, third.self), 'plain is not an issuer, and has no witness certificate'],
    [
      'a drain with no right signature',
      { ...drainBy(plain, plain.self), proof: new Uint8Array(64) } as Wish,
      'plain is not an issuer, and has no witness certificate',
    ],
    [
      'the end of a drain that is another’s',
      { kind: 'undrain', peer: issuer.self, reason: 'x' },
      'plain is not an issuer, and did not drain the member',
    ],
  ])('refuses %s', async (_title, wish, reason) => {
    const { propose } = world();
    await propose(issuer.self, drainBy(issuer, issuer.self));
    expect(await propose(plain.self, wish)).toEqual([false, reason, false]);
  });

  it('ends a drain for whoever drained it, or an issuer; and places nothing on who is drained', async () => {
    const { propose, decisions, pump } = world();
    const undrain: Wish = { kind: 'undrain', peer: plain.self, reason: 'x' };
    expect(await propose(plain.self, drainBy(plain, plain.self))).toEqual([true, 1]);
    expect([...decisions.proven.drained().keys()]).toEqual([plain.self]);
    expect(await propose(plain.self, { kind: 'place', service: 'web' })).toEqual([false, 'this member is drained', false]);
    expect(await propose(issuer.self, { kind: 'place', service: 'web' })).toEqual([true, 2]);
    expect(await propose(plain.self, undrain)).toEqual([true, 3]);
    await propose(plain.self, drainBy(plain, plain.self));
    expect(await propose(issuer.self, undrain)).toEqual([true, 5]);
    // And it ends by itself.
    await propose(plain.self, drainBy(plain, plain.self));
    await pump(59_999);
    expect(decisions.proven.drained().size).toBe(1);
    await pump(1);
    expect(decisions.proven.drained().size).toBe(0);
  });

  it.each<[string | undefined, unknown[]]>([
    ['0.2.9', [false, 'plain runs KALOS 0.2.9: this decision needs 0.3.0 on all members', false]],
    ['0.3.0', [true, 1]],
    ['1.0.0', [true, 1]],
    [undefined, [true, 1]],
  ])('with a member of version %s, what came with 0.3.0: %o', async (version, answer) => {
    const { propose, its } = world();
    if (version !== undefined) its.versions.set(plain.self, version);
    const bundle = { policies: '[]', signature: SIGNATURE, canary: [plain.self], soakMs: 5_000, findings: 0 };
    expect(await propose(issuer.self, { kind: 'bundle', ...bundle })).toEqual(answer);
    expect(await propose(issuer.self, PAUSE)).toContain(true); // an old kind
  });
});

describe('the coordinator says what time it is, how many members there are, and how they do', () => {
  const atMs = START_MS;
  it.each<[string, Wish, object]>([
    [
      'a silence',
      { kind: 'silence', policy: 'p', target: null, untilMs: 1_060_000, reason: 'x' },
      { atMs, untilMs: atMs + 60_000 },
    ],
    [
      'a silence that is over',
      { kind: 'silence', policy: 'p', target: null, untilMs: 999_999, reason: 'x' },
      { atMs, untilMs: atMs },
    ],
    [
      'a lease',
      { kind: 'lease', plan: 'p', members: 9_999, sick: 0, untilMs: 1_030_000 },
      { atMs, untilMs: atMs + 30_000, members: 30, sick: 2 },
    ],
    [
      'an unplacement',
      { kind: 'unplace', service: 'web', fence: 1, unfitUntilMs: 1_005_000, reason: 'x' },
      { atMs, unfitUntilMs: atMs + 5_000 },
    ],
    [
      'an unplacement without',
      { kind: 'unplace', service: 'web', fence: 1, unfitUntilMs: null, reason: 'x' },
      { unfitUntilMs: null },
    ],
    ['a pause', PAUSE, { atMs }],
    ['a drain by a person', drainBy(issuer, third.self), { atMs, members: 30, isOrdered: true }],
  ])('%s', async (_title, wish, stamped) => {
    const { propose, log } = world();
    await propose(issuer.self, wish, { atMs: 1_000_000 });
    expect(log.proposed[0]?.[0]).toMatchObject(stamped);
  });

  it('and a drain by nobody who decides about others is no person’s', async () => {
    const { propose, log } = world();
    await propose(plain.self, drainBy(plain, plain.self));
    expect(log.proposed[0]?.[0]).toMatchObject({ isOrdered: false, members: 30 });
  });
});

describe('a member that wishes for something', () => {
  it('asks the coordinator under one id until it answers, and learns where it stands', async () => {
    const { decisions, its, seen, pump } = world(plain.self);
    its.log = undefined;
    const made = outcomeOf(decisions.decide(PAUSE, 10_000));
    await pump(600);
    expect(made).toEqual({});
    expect(seen.asked.map(([to, , withinMs]) => [to, withinMs])).toEqual([
      [plain.self, 2_000],
      [plain.self, 2_000],
      [plain.self, 2_000],
    ]);
    its.answer = async (_to, asked) => ((asked as string[])[0] === 'propose' ? [true, 17] : null);
    await pump(200);
    expect(made).toEqual({ value: { ok: true, index: 17 } });
    const proposals = seen.asked.filter(([, asked]) => (asked as string[])[0] === 'propose');
    expect(new Set(proposals.map(([, asked]) => JSON.stringify(asked))).size).toBe(1);
    expect(proposals[0]?.[1]).toMatchObject(['propose', { ...PAUSE, v: 1, by: self.self, atMs: START_MS }]);
    await pump(400);
    expect(seen.asked.at(-1)).toEqual([plain.self, ['since', 0], 2_000]); // it looks for what was decided
  });

  it.each<[unknown, Outcome]>([
    [[false, 'no', true], { ok: false, reason: 'no', busy: true }],
    [[false, 'no', false], { ok: false, reason: 'no', busy: false }],
    [[true, 'x'], { ok: false, reason: 'x', busy: false }],
    ['nonsense', { ok: false, reason: 'undefined', busy: false }],
  ])('is told what the coordinator answers: %o', async (answer, outcome) => {
    const { decisions, its, pump } = world(plain.self);
    its.answer = async () => answer;
    const made = outcomeOf(decisions.decide(PAUSE, 10_000));
    await pump(0);
    expect(made).toEqual({ value: outcome });
  });

  it.each<[string, (made: World) => void, string]>([
    ['the swarm has no leader', ({ its }) => void Object.assign(its, { coordinator: undefined }), 'the swarm has no leader'],
    [
      'the swarm has no leader for a reason',
      ({ its }) => void Object.assign(its, { coordinator: undefined, lacking: 'an election is in progress' }),
      'the swarm has no leader: an election is in progress',
    ],
    ['the coordinator is not to be had', () => undefined, 'gone'],
  ])('has it for unknown after its time where %s', async (_title, arrange, why) => {
    const made = world(plain.self);
    arrange(made);
    const result = outcomeOf(made.decisions.decide(PAUSE, 1_000));
    await made.pump(999);
    expect(result).toEqual({});
    await made.pump(1);
    expect(result.error).toEqual(new LogUnavailable(why, true));
    expect((result.error as LogUnavailable).isUnknown).toBe(true);
  });

  it('gives its last question no more than the time that is left, and none once it is stopped', async () => {
    const { decisions, seen, pump } = world(plain.self);
    outcomeOf(decisions.decide(PAUSE, 2_100));
    await pump(260);
    expect(seen.asked.map(([, , withinMs]) => withinMs)).toEqual([2_000, 1_850]);
    decisions.stop();
    await pump(3_000);
    expect(seen.asked.length).toBe(2);
  });

  it('is told at once what is malformed, with the value', async () => {
    const { decisions, seen } = world(plain.self);
    const outcome = await decisions.decide({ kind: 'pause', peer: third.self, reason: '' }, 1_000);
    expect(outcome).toEqual({ ok: false, reason: expect.stringContaining('reason') });
    expect(seen.asked).toEqual([]);
  });

  it('signs its own drain, by the swarm’s clock', async () => {
    const { decisions, log } = world();
    expect(await decisions.drain(self.self, 60_000, 'repair', 1_000)).toEqual({ ok: true, index: 1 });
    const [decision, withinMs] = log.proposed[0] ?? expect.fail();
    expect(decision).toMatchObject({
      kind: 'drain',
      peer: self.self,
      forMs: 60_000,
      wishedMs: START_MS,
      reason: 'repair',
      isOrdered: false,
    });
    expect(withinMs).toBe(1_000);
    expect([...decisions.proven.drained().keys()]).toEqual([self.self]);
  });

  it('has a witness that lied put in quarantine once, and says that it lied each time', async () => {
    const { decisions, log, seen, pump } = world();
    expect(decisions.proven.quarantined()).toEqual(new Set());
    decisions.accuse(third.self, lieOf(third));
    await pump(0);
    const known = decisions.proven.quarantined();
    expect(known).toEqual(new Set([third.self]));
    decisions.accuse(third.self, lieOf(third));
    await pump(0);
    expect([log.proposed.length, seen.lines]).toEqual([
      1,
      ['warn third signed two different votes on one claim', 'warn third signed two different votes on one claim'],
    ]);
    // The same set as long as nothing about it has changed; and what is not proven is not believed.
    log.machine.apply(wished(PAUSE, issuer.self, idOf(7), 1), { index: 5, term: 3 });
    expect(decisions.proven.quarantined()).toBe(known);
    const forged: Wish = { kind: 'quarantine', peer: plain.self, ...lieOf(third) };
    log.machine.apply(wished(forged, issuer.self, idOf(8), 1), { index: 6, term: 3 });
    expect(decisions.proven.quarantined()).toBe(known);
    log.machine.apply(wished({ kind: 'pardon', peer: third.self, reason: 'x' }, issuer.self, idOf(6), 1), { index: 7, term: 3 });
    expect(decisions.proven.quarantined()).toEqual(new Set());
  });
});

describe('who leads', () => {
  it('says so in the log once in its term, one wish at a time', async () => {
    const { decisions, log, pump, clock } = world();
    const lead = async (): Promise<number> => {
      decisions.leading(log as unknown as DecisionLog);
      await pump(0);
      return log.proposed.length;
    };
    decisions.leading(log as unknown as DecisionLog);
    expect([await lead(), await lead()]).toEqual([1, 1]);
    expect(log.proposed[0]).toEqual([
      { v: 1, id: expect.stringMatching(/^[0-9a-f]{32}$/), by: self.self, atMs: clock.wallMs(), kind: 'leads' },
      2_000,
    ]);
    log.state = { term: 4 };
    expect([await lead(), await lead()]).toEqual([2, 2]);
    // Another has said so since, in a term of its own.
    log.machine.apply(wished({ kind: 'leads' }, plain.self, idOf(5), 1), { index: 9, term: 4 });
    expect(await lead()).toBe(3);
    log.state = { term: 5 };
    log.fails = new Error('no majority');
    expect([await lead(), await lead()]).toEqual([4, 5]);
  });

  it('takes away what its member has not kept for eighteen seconds, and forgets what another term kept', async () => {
    const { decisions, propose, log, pump, its } = world();
    await propose(plain.self, { kind: 'place', service: 'web' });
    await propose(issuer.self, { kind: 'place', service: 'db' });
    const [web, db] = ['web', 'db'].map((name) => log.machine.placementOf(name)?.fence ?? 0) as [number, number];
    const turn = (): void => decisions.leading(log as unknown as DecisionLog);
    turn();
    await pump(10_000);
    const keep = async (from: string, held: unknown): Promise<unknown> =>
      decodeCbor(await decisions.answer(from, encodeCbor(['keep', held])));
    expect(
      await keep(plain.self, [
        ['web', web],
        ['web', web + 1],
        ['db', db],
      ]),
    ).toEqual([true, false, false]);
    expect(log.readableMs).toEqual([2_000]);
    await pump(8_000);
    turn();
    await pump(0);
    expect(log.machine.placementOf('db')?.peer).toBe(issuer.self);
    await pump(1);
    turn();
    await pump(0);
    expect([log.machine.placementOf('web')?.peer, log.machine.placementOf('db')?.peer]).toEqual([plain.self, null]);
    expect(log.proposed.at(-1)).toMatchObject([
      { kind: 'displace', service: 'db', fence: db, reason: 'no heartbeat from issuer' },
      2_000,
    ]);
    log.state = { term: 4 };
    await pump(17_000);
    turn();
    await pump(1_000);
    turn();
    await pump(0);
    expect(log.machine.placementOf('web')?.peer).toBe(plain.self);
    its.leads = false;
    await expect(keep(plain.self, [])).rejects.toEqual(new LogUnavailable('this agent is not the leader', false));
  });

  it.each<[unknown]>([['nonsense'], [[['web', 'x']]], [Array(257).fill(['web', 1])]])(
    'refuses a malformed list: %o',
    async (held) => {
      const { decisions } = world();
      await expect(decisions.answer(plain.self, encodeCbor(['keep', held]))).rejects.toThrow();
      await expect(decisions.answer(plain.self, encodeCbor(['what']))).rejects.toThrow('malformed request');
      await expect(decisions.answer(plain.self, encodeCbor('x'))).rejects.toThrow('malformed request');
    },
  );
});

describe('who has services placed on it', () => {
  it('keeps them with the coordinator, which is itself, or another, or nobody', async () => {
    const made = world();
    expect(await made.decisions.placements.keep([['web', 1]], 700)).toEqual([false]);
    expect(made.log.readableMs).toEqual([700]);
    const other = world(plain.self);
    other.its.answer = async () => [true];
    expect(await other.decisions.placements.keep([['web', 1]], 700)).toEqual([true]);
    expect(other.seen.asked).toEqual([[plain.self, ['keep', [['web', 1]]], 700]]);
    expect(
      await other.decisions.placements.keep(
        [
          ['web', 1],
          ['db', 2],
        ],
        700,
      ),
    ).toBeUndefined(); // an answer to another question
    other.its.answer = async () => 'nonsense';
    expect(await other.decisions.placements.keep([['web', 1]], 700)).toBeUndefined();
    other.its.coordinator = undefined;
    expect(await other.decisions.placements.keep([['web', 1]], 700)).toBeUndefined();
  });
});

describe('a read', () => {
  it('of what is here asks nobody; a linearizable one asks each time; by lease, once a second', async () => {
    const { decisions, its, seen, pump } = world(plain.self);
    its.answer = async () => 0;
    const read = async (mode: 'local' | 'lease' | 'linearizable'): Promise<number> => {
      outcomeOf(decisions.reads.read(mode, 900));
      await pump(0);
      return seen.asked.length;
    };
    expect([await read('local'), await read('lease'), await read('lease')]).toEqual([0, 1, 1]);
    await pump(1_000);
    expect(await read('lease')).toBe(1);
    await pump(1);
    expect([await read('lease'), await read('linearizable'), await read('linearizable')]).toEqual([2, 3, 4]);
    expect(seen.asked.at(-1)).toEqual([plain.self, ['index'], 900]);
  });

  it('waits until what was decided is here, and says what did not come', async () => {
    const { decisions, its, log, pump } = world(plain.self);
    its.answer = async (_to, asked) => ((asked as string[])[0] === 'index' ? 4 : null);
    const [late, never] = [
      outcomeOf(decisions.reads.read('linearizable', 1_000)),
      outcomeOf(decisions.reads.read('linearizable', 499)),
    ];
    await pump(498);
    expect([late, never]).toEqual([{}, {}]);
    await pump(2);
    expect(never.error).toEqual(new LogUnavailable('decision 4 has not arrived yet', false));
    log.machine.index = 4;
    await pump(50);
    expect(late.value).toBe(log.machine);
  });

  it.each<[string, (made: World) => void, string]>([
    ['the swarm has no leader', ({ its }) => void Object.assign(its, { coordinator: undefined }), 'the swarm has no leader'],
    [
      'the coordinator answers nothing that makes sense',
      ({ its }) => void Object.assign(its, { answer: async () => 'x' }),
      'the leader gave no index',
    ],
    [
      'this agent coordinates without a log',
      ({ its }) => void Object.assign(its, { coordinator: self.self, log: undefined }),
      'this agent is not in the committee',
    ],
  ])('fails where %s', async (_title, arrange, why) => {
    const made = world(plain.self);
    arrange(made);
    await expect(made.decisions.reads.read('linearizable', 500)).rejects.toEqual(new LogUnavailable(why, false));
  });

  it('by the coordinator itself is sure that it still is', async () => {
    const { decisions, log } = world();
    log.machine.apply(wished(PAUSE, issuer.self, idOf(1), 1), { index: 2, term: 3 });
    expect(decodeCbor(await decisions.answer(plain.self, encodeCbor(['index'])))).toBe(2);
    expect(await decisions.reads.read('linearizable', 800)).toBe(log.machine);
    expect(log.readableMs).toEqual([2_000, 800]);
  });
});

describe('one of the committee', () => {
  /** Another voter signs the same. */
  function attested(made: World, by: ModelledCrypto): Uint8Array {
    const { machine } = made.log;
    const checkpoint = { index: machine.index, digest: self.hash(machine.encode()), voters: [...made.its.voters].sort() };
    return new Attestations(by, SWARM).attest(checkpoint);
  }

  it('attests soon for what was applied, again while signatures are missing, and keeps what a majority attests', async () => {
    const made = world();
    const { decisions, log, seen, store, pump } = made;
    await decisions.checkpoints.open();
    await pump(5_000);
    expect(seen.sent).toEqual([]); // nothing was decided yet
    log.machine.apply(wished(PAUSE, issuer.self, idOf(1), 1), { index: 1, term: 3 });
    decisions.checkpoints.applied();
    await pump(49);
    expect(seen.sent).toEqual([]);
    await pump(1);
    expect(seen.sent).toEqual([plain.self, third.self]);
    await pump(5_000);
    expect([seen.sent.length, decisions.checkpoints.newest, store.content.size]).toEqual([4, undefined, 0]);
    decisions.checkpoints.receive(plain.self, attested(made, plain));
    expect(decisions.checkpoints.newest?.index).toBe(1);
    const [checkpoint, state] = decodeCbor(store.content.get('decisions/state') ?? expect.fail()) as unknown[];
    expect([certifiedFrom(checkpoint)?.index, state]).toEqual([1, Uint8Array.from(log.machine.encode())]);
    await pump(5_000);
    expect(seen.sent.length).toBe(6); // the third has not signed
    decisions.checkpoints.receive(third.self, attested(made, third));
    await pump(20_000);
    expect([seen.sent.length, decisions.checkpoints.newest?.signatures.length]).toEqual([6, 3]);
    // Who votes has changed: it is said again.
    made.its.voters = [self.self, plain.self];
    await pump(5_000);
    expect(seen.sent.slice(6)).toEqual([plain.self]);
    made.its.voters = [plain.self];
    await pump(10_000);
    expect(seen.sent.length).toBe(7); // it does not vote itself any more
    decisions.stop();
    decisions.checkpoints.applied();
    await pump(10_000);
    expect([seen.sent.length, made.scheduler.step(Number.POSITIVE_INFINITY)]).toEqual([7, false]);
  });

  it('says that what it holds is not what the others hold', async () => {
    const made = world();
    const { log, decisions, seen, store } = made;
    log.machine.apply(wished(PAUSE, issuer.self, idOf(1), 1), { index: 1, term: 3 });
    const other = new DecisionState();
    other.apply(wished({ ...PAUSE, reason: 'y' } as Wish, issuer.self, idOf(1), 1), { index: 1, term: 3 });
    const voters = [...made.its.voters].sort();
    for (const one of [plain, third])
      decisions.checkpoints.receive(
        one.self,
        new Attestations(one, SWARM).attest({ index: 1, digest: self.hash(other.encode()), voters }),
      );
    expect(seen.lines).toEqual(['warn this agent’s state at decision 1 differs from the committee’s']);
    expect(store.content.size).toBe(0);
  });

  it('says when what it keeps could not be written', async () => {
    const made = world();
    made.store.write = () => Promise.reject(new Error('full'));
    made.log.machine.apply(wished(PAUSE, issuer.self, idOf(1), 1), { index: 1, term: 3 });
    for (const one of [plain, third]) made.decisions.checkpoints.receive(one.self, attested(made, one));
    await made.pump(0);
    expect(made.seen.failed).toEqual([new Error('full')]);
  });

  it('gives whoever follows what was decided since, or the whole, with who attests; and nothing that nobody attests', async () => {
    const made = world();
    const { log, decisions } = made;
    const since = async (index: number): Promise<unknown> =>
      decodeCbor(await decisions.answer(plain.self, encodeCbor(['since', index])));
    for (const nth of [1, 2, 3]) log.machine.apply(wished(PAUSE, issuer.self, idOf(nth), 1), { index: nth, term: 3 });
    expect(await since(0)).toBeNull();
    for (const one of [plain, third]) decisions.checkpoints.receive(one.self, attested(made, one));
    const news = log.machine
      .recent()
      .slice(1)
      .map(({ index, term, decision }) => [index, term, decision]);
    expect([await since(1), await since(3), await since(4)]).toEqual([[expect.anything(), news, null], null, null]);
    const [checkpoint, ...whole] = (await since(0)) as unknown[];
    expect([certifiedFrom(checkpoint)?.index, ...whole]).toEqual([3, null, log.machine.encode()]);
    log.machine.apply(wished(PAUSE, issuer.self, idOf(4), 1), { index: 4, term: 3 });
    expect(await since(1)).toBeNull();
  });
});
