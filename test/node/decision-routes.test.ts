// The routes about what the swarm decides: each decision in words, what holds now, what is wished of the committee, and how it refuses.
import { beforeEach, describe, expect, it } from 'vitest';
import type { Wish } from '../../consensus/decisions/decision.ts';
import { describeDecision } from '../../consensus/decisions/kinds.ts';
import type { Decided } from '../../consensus/decisions/state.ts';
import { LogUnavailable } from '../../consensus/raft/requests.ts';
import { ROUTES } from '../../node/api/routes.ts';
import { reply } from '../support/replies.ts';

const [ID, OTHER] = ['0123456789abcdef'.repeat(2), '01234567ffffffff'.repeat(2)];
const NOW_MS = 1_000_000;
const decided = (decision: Record<string, unknown>, index = 7): Decided =>
  ({ index, term: 3, decision: { v: 1, id: ID, by: 'ada', atMs: 5, reason: 'why', ...decision } }) as unknown as Decided;

describe('a decision in words', () => {
  const release = { version: '1.2.3', digest: 'd'.repeat(64), canary: ['bob', 'cyd'] };
  it.each<[given: Record<string, unknown>, words: string]>([
    [{ kind: 'leads' }, 'ADA is leader'],
    [{ kind: 'epoch', members: 1 }, 'membership changed: 1 member'],
    [{ kind: 'epoch', members: 2 }, 'membership changed: 2 members'],
    [{ kind: 'pause', peer: 'bob' }, 'BOB is paused: why'],
    [{ kind: 'wake', peer: 'bob' }, 'BOB is resumed: why'],
    [{ kind: 'silence', policy: 'p', target: null, untilMs: 0 }, 'p is silenced until 1970-01-01T00:00:00.000Z: why'],
    [
      { kind: 'silence', policy: null, target: 't', untilMs: 0 },
      'every policy on t is silenced until 1970-01-01T00:00:00.000Z: why',
    ],
    [{ kind: 'silence', policy: 'p', target: 't', untilMs: 0 }, 'p on t is silenced until 1970-01-01T00:00:00.000Z: why'],
    [{ kind: 'unsilence', silence: ID }, `silence ${ID} is removed`],
    [{ kind: 'lease', plan: 'act-1' }, 'ADA has the lease for act-1'],
    [{ kind: 'release', lease: ID }, `ADA released lease ${ID}`],
    [{ kind: 'place', service: 'db' }, 'ADA runs db'],
    [{ kind: 'unplace', service: 'db' }, 'ADA releases db: why'],
    [{ kind: 'displace', service: 'db' }, 'db is no longer placed: why'],
    [{ kind: 'drain', peer: 'bob', forMs: 60_000 }, 'BOB is drained for 1 minute: why'],
    [{ kind: 'drain', peer: 'bob', forMs: 90_001 }, 'BOB is drained for 2 minutes: why'],
    [{ kind: 'undrain', peer: 'bob' }, 'BOB is undrained: why'],
    [
      { kind: 'budget', peer: null, changes: 1, withinMs: 60_000 },
      'policies may make 1 change in 1 minute on each machine without its own budget: why',
    ],
    [{ kind: 'budget', peer: 'bob', changes: 2, withinMs: 120_000 }, 'policies may make 2 changes in 2 minutes on BOB: why'],
    [{ kind: 'unbudget', peer: 'bob' }, 'the budget of BOB is removed: why'],
    [{ kind: 'unbudget', peer: null }, 'the budget of each machine without its own budget is removed: why'],
    [{ kind: 'upgrade', ...release }, 'ADA pushes KALOS 1.2.3 (dddddddd), canaries BOB, CYD'],
    [{ kind: 'upgrade-report', upgrade: ID, ok: true, reason: '' }, 'ADA on release 01234567: works'],
    [{ kind: 'upgrade-report', upgrade: ID, ok: true, reason: 'fast' }, 'ADA on release 01234567: fast'],
    [{ kind: 'upgrade-report', upgrade: ID, ok: false, reason: '' }, 'ADA on release 01234567: '],
    [{ kind: 'upgrade-report', upgrade: ID, ok: false, reason: 'slow' }, 'ADA on release 01234567: slow'],
    [{ kind: 'upgrade-advance', upgrade: ID, next: [] }, 'release 01234567 advances to all others'],
    [{ kind: 'upgrade-advance', upgrade: ID, next: ['bob', 'cyd'] }, 'release 01234567 advances to BOB, CYD'],
    [{ kind: 'upgrade-withdraw', upgrade: ID }, 'release 01234567 is rolled back: why'],
    [{ kind: 'move', service: 'db' }, 'db must move: why'],
    [{ kind: 'quarantine', peer: 'bob' }, 'BOB signed two different votes: it is in quarantine'],
    [{ kind: 'pardon', peer: 'bob' }, 'BOB may be a witness again: why'],
    [{ kind: 'grant', effect: 'deny', peer: 'bob', tool: 't.u', target: null }, 'BOB may not use t.u on anything: why'],
    [{ kind: 'grant', effect: 'act', peer: 'bob', tool: 't.u', target: 'x' }, 'BOB may use without approval t.u on x: why'],
    [
      { kind: 'grant', effect: 'approve', peer: 'bob', tool: 't.u', target: 'x' },
      'BOB has a standing approval for t.u on x: why',
    ],
    [{ kind: 'revoke', grant: ID }, 'grant 01234567 is revoked: why'],
    [{ kind: 'bundle', canary: ['bob', 'cyd'] }, 'canaries BOB, CYD try bundle 01234567'],
    [{ kind: 'bundle-report', bundle: ID, ok: true, reason: '' }, 'bundle 01234567 works on ADA'],
    [{ kind: 'bundle-report', bundle: ID, ok: false }, 'bundle 01234567 fails on ADA: why'],
    [{ kind: 'bundle-advance', bundle: ID }, 'bundle 01234567 advances'],
    [{ kind: 'bundle-withdraw', bundle: ID }, 'bundle 01234567 is rolled back: why'],
  ])('%o', (given, words) => {
    expect(describeDecision(decided(given).decision, (peer) => peer.toUpperCase())).toBe(words);
  });
});

/** What the committee knows, and what becomes of what is wished. */
const fresh = () => ({
  log: [] as Decided[],
  outcome: { ok: true, index: 9 } as { ok: true; index: number } | { ok: false; reason: string },
  failure: undefined as Error | undefined,
  asked: [] as unknown[],
  notes: [] as string[],
  newest: null as { epoch: number; members: number; atMs: number; digest: Uint8Array } | null,
  seats: [] as { peer: string | undefined; votes: boolean; leads: boolean; behind?: number }[],
  checkpoint: undefined as { index: number; voters: string[]; signatures: unknown[] } | undefined,
  coordinator: 'ada' as string | undefined,
  grants: [] as { id: string; peer: string; signature: Uint8Array }[],
  liars: new Set<string>(),
  bundles: { good: null, before: null, candidate: null, ended: null } as Record<string, unknown>,
  upgrades: { good: null, before: null, candidate: null, ended: null } as Record<string, unknown>,
});
let its = fresh();
beforeEach(() => {
  its = fresh();
});
const members = ['ada', 'bob', 'bobby'].map((name) => ({ name, subject: name }));
const state = {
  index: 12,
  recent: () => its.log,
  paused: () => [{ peer: 'bob', by: 'ada', atMs: 1, reason: 'p' }],
  silences: (nowMs: number) => [{ id: ID, by: 'ada', policy: null, target: 'web', untilMs: nowMs + 1, reason: 's' }],
  leases: (nowMs: number) => [{ id: ID, peer: 'bob', plan: 'act-1', untilMs: nowMs + 2, fence: 4 }],
  quarantined: () => ['bob', 'gone'].map((peer) => ({ peer, by: 'ada', atMs: 3 })),
  placements: () => [
    { service: 'db', peer: 'bob', fence: 5, sinceMs: 6, reason: '', move: null, unfit: [] },
    { service: 'web', peer: null, fence: 5, sinceMs: 6, reason: '', move: null, unfit: [] },
  ],
  grants: { all: (nowMs: number) => (nowMs === NOW_MS ? its.grants : []) },
  get epochs() {
    return { newest: its.newest };
  },
  budgets: {
    all: () => [
      { peer: null, by: 'ada', atMs: 1, reason: 'r', changes: 2, withinMs: 60_000 },
      { peer: 'bob', by: 'ada', atMs: 1, reason: 'r', changes: 2, withinMs: 60_000 },
    ],
  },
  bundles: {
    get state() {
      return its.bundles;
    },
  },
  upgrades: {
    get state() {
      return its.upgrades;
    },
  },
};
const answered = <Outcome>(what: unknown, outcome: Outcome): Promise<Outcome> => {
  its.asked.push(what);
  return its.failure === undefined ? Promise.resolve(outcome) : Promise.reject(its.failure);
};
const decisions = {
  state,
  checkpoints: {
    get newest() {
      return its.checkpoint;
    },
  },
  decide: (wish: Wish, withinMs: number) => answered([wish, withinMs], its.outcome),
  drain: (...given: unknown[]) => answered(given, its.outcome),
  wallMs: () => NOW_MS,
  reads: {
    read: (mode: string, withinMs: number) => answered([mode, withinMs], state),
    caughtUp: (index: number, withinMs: number) => answered([`caught up to ${index}`, withinMs], undefined),
  },
  proven: {
    drained: () => new Map([['bob', { peer: 'bob', by: 'ada', atMs: 100, forMs: 60_000, reason: 'd' }]]),
    quarantined: () => its.liars,
  },
};
const nameOf = (peer: string): string => peer.toUpperCase();
const agent = {
  swarm: {
    time: { wallMs: () => NOW_MS },
    members: {
      self: 'ada',
      alive: () => ['ada', 'bob', 'bobby'],
      nameOf,
      statusOf: (peer: string) => (peer === 'ada' ? { version: '1.0.0' } : undefined),
    },
    admission: {
      roster: {
        digest: () => new Uint8Array([1]),
        members: () => members,
        find: (text: string) => {
          const exact = members.filter(({ name }) => name === text);
          return exact.length > 0 ? exact : members.filter(({ name }) => name.startsWith(text));
        },
      },
    },
  },
  decisions,
  committee: {
    term: 4,
    seats: { all: () => its.seats },
    get coordinator() {
      return its.coordinator;
    },
    transfer: (peer: string) => answered(`transfer to ${peer}`, undefined),
  },
  noted: async (text: string) => void its.notes.push(text),
  status: () => ({ services: [{ name: 'mine' }] }),
  wallMs: () => NOW_MS,
  parts: {
    policies: { all: () => [{ policy: { name: 'busy' }, origin: 'own' }] },
    memory: { incidents: () => [] },
    watcher: { targets: () => ['web'] },
    grants: { give: (grant: unknown, why: string) => answered([grant, why], its.outcome) },
    swarmPolicies: { push: (policies: unknown, how: unknown) => answered([policies, how], its.outcome) },
    upgrades: { push: (bytes: Buffer, how: unknown) => answered([String(bytes), how], its.outcome) },
  },
};
const ask = (asked: string, body?: unknown) => reply(agent, asked, body);
const unavailable = (isUnknown: boolean): LogUnavailable => new LogUnavailable('too few answer', isUnknown);
const NOBODY = '404 no member is called nobody; see: kalos members';

describe('what the swarm has decided', () => {
  it('is shown whole, with names', async () => {
    expect(await ask('GET /v1/nova')).toEqual({
      ...{ read: 'local', index: 12, term: 4, coordinator: 'ADA', roster: null, seat: 'follower', committee: [] },
      vouchedFor: null,
      paused: [{ peer: 'bob', by: 'ada', atMs: 1, reason: 'p', node: 'BOB' }],
      silences: [{ id: ID, by: 'ada', policy: null, target: 'web', untilMs: NOW_MS + 1, reason: 's' }],
      leases: [{ id: ID, peer: 'bob', plan: 'act-1', untilMs: NOW_MS + 2, fence: 4, node: 'BOB' }],
      drained: [{ node: 'BOB', by: 'ADA', untilMs: 60_100, reason: 'd' }],
      quarantined: [],
      placements: [
        { service: 'db', peer: 'bob', fence: 5, sinceMs: 6, reason: '', move: null, unfit: [], node: 'BOB' },
        { service: 'web', peer: null, fence: 5, sinceMs: 6, reason: '', move: null, unfit: [], node: null },
      ],
    });
    its.liars.add('bob');
    expect(await ask('GET /v1/nova')).toMatchObject({ quarantined: [{ node: 'BOB', by: 'ADA', atMs: 3 }] });
  });

  it('is seen from a seat in the committee, or attested by those who have one', async () => {
    its.checkpoint = { index: 6, voters: ['ada', 'bob'], signatures: [1, 2, 3] };
    const vouchedFor = { index: 6, voters: ['ADA', 'BOB'], signatures: 3 };
    const seat = { seat: 'voter', behind: null };
    expect(await ask('GET /v1/nova')).toMatchObject({
      ...{ seat: 'follower', vouchedFor },
      committee: [
        { node: 'ADA', leads: true, ...seat },
        { node: 'BOB', leads: false, ...seat },
      ],
    });
    its.seats = [
      { peer: 'bob', votes: true, leads: true, behind: 0 },
      { peer: undefined, votes: true, leads: false, behind: 4 },
      { peer: 'ada', votes: false, leads: false },
    ];
    its.coordinator = undefined;
    expect(await ask('GET /v1/nova')).toMatchObject({
      ...{ seat: 'learner', coordinator: null, vouchedFor },
      committee: [
        { node: 'BOB', seat: 'voter', leads: true, behind: 0 },
        { node: 'no longer a member', seat: 'voter', leads: false, behind: 4 },
        { node: 'ADA', seat: 'learner', leads: false, behind: null },
      ],
    });
    its.seats = [{ peer: 'ada', votes: true, leads: true }];
    expect(await ask('GET /v1/nova')).toMatchObject({ seat: 'voter' });
  });

  it('of who belongs is compared with what this agent knows', async () => {
    const newest = { epoch: 2, members: 3, atMs: 4 };
    for (const [digest, isSame] of [
      [1, true],
      [2, false],
    ] as const) {
      its.newest = { ...newest, digest: new Uint8Array([digest]) };
      expect(await ask('GET /v1/nova')).toMatchObject({ roster: { ...newest, isSame } });
    }
  });

  it('is read as current as is asked, within ten seconds', async () => {
    expect(await ask('POST /v1/nova/read', { read: 'lease' })).toMatchObject({ read: 'lease', index: 12 });
    expect(its.asked).toEqual([['lease', 10_000]]);
    its.failure = unavailable(false);
    expect(await ask('POST /v1/nova/read', {})).toBe('503 the swarm cannot decide now: too few answer (no-quorum)');
    its.failure = unavailable(true);
    for (const path of ['/v1/log', '/v1/log/7'])
      expect(await ask(`POST ${path}`, {})).toBe(
        '503 the swarm cannot decide now: too few answer; its outcome is unknown: see kalos log tail (no-quorum)',
      );
    its.failure = new Error('a mistake');
    await expect(ask('POST /v1/log', {})).rejects.toThrow('a mistake');
  });

  it('is listed, the newest at the end', async () => {
    its.log = Array.from({ length: 300 }, (_, nth) => decided({ kind: 'leads' }, nth));
    const indexes = async (body: unknown): Promise<number[]> =>
      ((await ask('POST /v1/log', body)) as { decisions: { index: number }[] }).decisions.map(({ index }) => index);
    expect(await indexes({})).toEqual(Array.from({ length: 20 }, (_, nth) => 280 + nth));
    expect(await indexes({ limit: 1 })).toEqual([299]);
    expect(await indexes({ limit: 256 })).toHaveLength(256);
    expect(await ask('POST /v1/log', { limit: 257 })).toBe('400 limit = 257: must be at most 256');
    expect(await ask('POST /v1/log', { limit: 0 })).toBe('400 limit = 0: must be at least 1');
    expect(await ask('POST /v1/log', { limit: 1, read: 'lease' })).toEqual({
      ...{ read: 'lease', index: 12, term: 4 },
      decisions: [{ index: 299, term: 3, id: ID, kind: 'leads', by: 'ADA', atMs: 5, what: 'ADA is leader' }],
    });
  });

  it('is found by its index or its id, bytes in hex', async () => {
    its.log = [decided({ kind: 'leads', id: OTHER }, 6), decided({ kind: 'wake', peer: 'bob', proof: new Uint8Array([1, 255]) })];
    const found = {
      ...{ read: 'local', index: 7, term: 3, what: 'BOB is resumed: why' },
      decision: { v: 1, id: ID, by: 'ada', atMs: 5, reason: 'why', kind: 'wake', peer: 'bob', proof: '01ff' },
    };
    for (const given of ['7', ID]) expect(await ask(`POST /v1/log/${given}`, {})).toEqual(found);
    expect(await ask('POST /v1/log/8', {})).toBe('404 8 is not among the newest decisions: see kalos log tail');
  });
});

describe('what is wished of the swarm', () => {
  const about = { node: 'bob', reason: 'r' };
  const untilMs = NOW_MS + 60_000;
  const wishes: [path: string, body: Record<string, unknown>, wish: Record<string, unknown>][] = [
    ['/v1/pause', about, { kind: 'pause', peer: 'bob', reason: 'r' }],
    ['/v1/wake', about, { kind: 'wake', peer: 'bob', reason: 'r' }],
    ['/v1/undrain', about, { kind: 'undrain', peer: 'bob', reason: 'r' }],
    ['/v1/pardon', about, { kind: 'pardon', peer: 'bob', reason: 'r' }],
    ['/v1/placements/move', { service: 'db', reason: 'r' }, { kind: 'move', service: 'db', reason: 'r' }],
    ['/v1/placements/move', { service: 'mine', reason: 'r' }, { kind: 'move', service: 'mine', reason: 'r' }],
    [
      '/v1/swarm-silences',
      { target: 'elsewhere', forMs: 60_000.0, reason: 'r' },
      { kind: 'silence', policy: null, target: 'elsewhere', untilMs, reason: 'r' },
    ],
    [
      '/v1/swarm-silences',
      { policy: 'busy', forMs: 60_000, reason: 'r' },
      { kind: 'silence', policy: 'busy', target: null, untilMs, reason: 'r' },
    ],
    ['/v1/swarm-silences/lift', { silence: ID }, { kind: 'unsilence', silence: ID }],
    [
      '/v1/budgets',
      { of: { each: true }, changes: 0, withinMs: 60_000, reason: 'r' },
      { kind: 'budget', peer: null, changes: 0, withinMs: 60_000, reason: 'r' },
    ],
    [
      '/v1/budgets',
      { of: { node: 'bob' }, changes: 500, withinMs: 60_000, reason: 'r' },
      { kind: 'budget', peer: 'bob', changes: 500, withinMs: 60_000, reason: 'r' },
    ],
    ['/v1/budgets/lift', { of: { node: 'bob' }, reason: 'r' }, { kind: 'unbudget', peer: 'bob', reason: 'r' }],
  ];

  it.each(wishes)('by %s %o is decided, and in the audit', async (path, body, wish) => {
    expect(await ask(`POST ${path}`, body)).toEqual({ index: 9 });
    expect([its.asked, its.notes]).toEqual([[[wish, 10_000]], [`decided at 9: ${wish.kind}`]]);
    Object.assign(its, { outcome: { ok: false, reason: 'the member is not paused' }, notes: [] });
    expect([await ask(`POST ${path}`, body), its.notes]).toEqual(['409 the member is not paused', []]);
    its.failure = unavailable(false);
    expect(await ask(`POST ${path}`, body)).toBe('503 the swarm cannot decide now: too few answer (no-quorum)');
  });

  it('by a drain is decided of a member for so long', async () => {
    const body = { ...about, forMs: 86_400_000 };
    expect(await ask('POST /v1/drain', body)).toEqual({ index: 9 });
    expect([its.asked, its.notes]).toEqual([[['bob', 86_400_000, 'r', 10_000]], ['decided at 9: bob is drained']]);
    expect(await ask('POST /v1/drain', { ...body, forMs: 86_400_001 })).toBe('400 forMs = 86400001: must be at most 86400000');
    Object.assign(its, { outcome: { ok: false, reason: 'too many are' }, notes: [] });
    expect([await ask('POST /v1/drain', body), its.notes]).toEqual(['409 too many are', []]);
    its.failure = unavailable(true);
    expect(await ask('POST /v1/drain', body)).toMatch(/^503 .*its outcome is unknown/);
  });

  it.each<[path: string, body: Record<string, unknown>, error: string]>([
    ['/v1/pause', { node: 'nobody', reason: 'r' }, NOBODY],
    ['/v1/pause', { node: 'bo', reason: 'r' }, '404 bo is ambiguous: bob or bobby'],
    ['/v1/pause', { node: '', reason: 'r' }, '400 node = "": must be at least 1 character'],
    ['/v1/pause', { node: 'bob', reason: '' }, '400 reason = "": must be at least 1 character'],
    ['/v1/drain', { node: 'nobody', forMs: 1, reason: 'r' }, NOBODY],
    ['/v1/drain', { node: 'bob', forMs: 0, reason: 'r' }, '400 forMs = 0: must be more than 0'],
    ['/v1/nova/transfer', { node: 'nobody' }, NOBODY],
    ['/v1/budgets/lift', { of: { node: 'nobody' }, reason: 'r' }, NOBODY],
    ['/v1/placements/move', { service: 'd*', reason: 'r' }, '400 service = "d*": must be one target, no wildcards'],
    [
      '/v1/placements/move',
      { service: 'dbb', reason: 'r' },
      '404 no service for fail-over is called dbb; did you mean db? see: kalos nova status',
    ],
    ['/v1/swarm-silences', { forMs: 60_000, reason: 'r' }, '400 name a policy, a target, or both'],
    ['/v1/swarm-silences', { target: 'w', forMs: 999, reason: 'r' }, '400 forMs = 999: must be at least 1000'],
    [
      '/v1/swarm-silences',
      { policy: 'bsuy', forMs: 60_000, reason: 'r' },
      '404 no policy is called bsuy; did you mean busy? see: kalos policy list',
    ],
    [
      '/v1/swarm-silences',
      { target: 'wbe', forMs: 60_000, reason: 'r' },
      '404 no service, mount, metric or other target is called wbe; did you mean web? see: kalos status, kalos incidents',
    ],
    ['/v1/swarm-silences/lift', { silence: `${ID}0` }, `400 silence = "${ID}0": must be an id of: kalos log tail`],
    ['/v1/swarm-silences/lift', { silence: 'x' }, '400 silence = "x": must be an id of: kalos log tail'],
  ])('by %s %o is refused', async (path, body, error) => {
    expect([await ask(`POST ${path}`, body), its.asked, its.notes]).toEqual([error, [], []]);
  });

  it('to have another coordinate takes one that does', async () => {
    expect([await ask('POST /v1/nova/transfer', { node: 'bob' }), its.asked, its.notes]).toEqual([
      ...[{}, ['transfer to bob'], ['leadership was transferred to bob']],
    ]);
    its.coordinator = undefined;
    expect(await ask('POST /v1/nova/transfer', { node: 'bob' })).toBe(
      '503 the swarm has no leader, so no leadership to transfer: see kalos nova status (no-quorum)',
    );
    Object.assign(its, { coordinator: 'bob', failure: new Error('it is behind'), notes: [] });
    expect([await ask('POST /v1/nova/transfer', { node: 'bob' }), its.notes]).toEqual(['409 it is behind', []]);
  });

  it('takes an administrator, who says what for in at most 200 characters', async () => {
    const by = { level: 'operate', name: 'test' } as const;
    const all = ['pause', 'wake', 'drain', 'undrain', 'pardon', 'placements/move', 'swarm-silences', 'swarm-silences/lift'];
    for (const path of [...all, 'nova/transfer', 'grants', 'grants/revoke', 'budgets', 'budgets/lift', 'bundles', 'upgrades'])
      expect(await reply(agent, `POST /v1/${path}`, {}, by), path).toMatch(/^403 this needs a token of scope admin/);
    expect(await ask('POST /v1/pause', { node: 'bob', reason: 'r'.repeat(200) })).toEqual({ index: 9 });
    expect(await ask('POST /v1/pause', { node: 'bob', reason: 'r'.repeat(201) })).toMatch(/must be at most 200 characters$/);
  });
});

it('budgets are listed with who they are for', async () => {
  const shared = { by: 'ADA', atMs: 1, reason: 'r', changes: 2, withinMs: 60_000 };
  expect(await ask('GET /v1/budgets')).toEqual({
    budgets: [
      { ...shared, node: null },
      { ...shared, node: 'BOB' },
    ],
  });
});

describe('a grant', () => {
  const whole = { effect: 'act', node: 'bob', tool: 'service.restart', target: 'web', forMs: 60_000, reason: 'r' };

  it('is for one member, for so long; a use an hour, three times, unless said otherwise', async () => {
    expect(await ask('POST /v1/grants', whole)).toEqual({ index: 9 });
    const granted = { effect: 'act', tool: 'service.restart', target: 'web', uses: 3, withinMs: 3_600_000 };
    expect(its.asked).toEqual([[{ ...granted, peer: 'bob', untilMs: NOW_MS + 60_000 }, 'r']]);
    expect(its.notes).toEqual(['decided at 9: act service.restart on bob']);
    its.outcome = { ok: false, reason: 'there are too many' };
    expect([await ask('POST /v1/grants', whole), its.notes.length]).toEqual(['409 there are too many', 1]);
    its.failure = unavailable(false);
    expect(await ask('POST /v1/grants', whole)).toMatch(/^503 .*\(no-quorum\)$/);
  });

  it.each<[given: Record<string, unknown>, answered: unknown]>([
    [{ effect: 'deny', target: undefined }, { index: 9 }],
    [{ effect: 'act', target: undefined }, '400 act and approve need a target'],
    [{ effect: 'approve', target: undefined }, '400 act and approve need a target'],
    [{ node: 'nobody' }, NOBODY],
    [{ tool: 'monitor.sample' }, expect.stringMatching(/^404 no tool that makes changes is called monitor.sample/)],
    [{ tool: 'fs.stat' }, expect.stringMatching(/^404 no tool that makes changes is called fs.stat/)],
    [
      { tool: 'service.restrat' },
      '404 no tool that makes changes is called service.restrat; did you mean service.restart? see: kalos tools',
    ],
    [{ tool: 'machine.inspect', target: 'ada' }, { index: 9 }],
    [{ tool: 'machine.inspect', target: 'nobody' }, NOBODY],
    [{ tool: 'machine.inspect', effect: 'deny', target: undefined }, { index: 9 }],
    [{ tool: 'machine.inspect', target: undefined }, '400 act and approve need a target'],
    [{ tool: 'machine.inspect', effect: 'approve' }, '400 machine.inspect takes the effect act or deny, not approve'],
    [{ forMs: 2_592_000_000 }, { index: 9 }],
    [{ forMs: 2_592_000_001 }, '400 forMs = 2592000001: must be at most 2592000000'],
    [{ forMs: 59_999 }, '400 forMs = 59999: must be at least 60000'],
  ])('of %o', async (given, expected) => {
    expect(await ask('POST /v1/grants', { ...whole, ...given })).toEqual(expected);
  });

  it('is listed without its signature, and taken back by the beginning of its id', async () => {
    const one = { by: 'ada', reason: 'r', effect: 'act', peer: 'bob', tool: 't.u', target: 'x', uses: 1, withinMs: 60_000 };
    const signed = (id: string) => ({ ...one, id, untilMs: 5, signature: new Uint8Array(64) });
    its.grants = [signed(ID), signed(OTHER)];
    expect(await ask('GET /v1/grants')).toEqual({
      grants: [ID, OTHER].map((id) => ({ ...one, id, untilMs: 5, node: 'BOB' })),
    });
    expect(await ask('POST /v1/grants/revoke', { grant: '01234567f', reason: 'r' })).toEqual({ index: 9 });
    expect(its.asked).toEqual([[{ kind: 'revoke', grant: OTHER, reason: 'r' }, 10_000]]);
    expect(await ask('POST /v1/grants/revoke', { grant: '0123', reason: 'r' })).toBe(
      '404 2 grants begin with 0123: see kalos grant list',
    );
    expect(await ask('POST /v1/grants/revoke', { grant: 'ffff', reason: 'r' })).toBe(
      '404 no grant id begins with ffff: see kalos grant list',
    );
    expect(await ask('POST /v1/grants/revoke', { grant: '012', reason: 'r' })).toBe(
      '400 grant = "012": must be an id of: kalos grant list',
    );
  });
});

describe('what is pushed to all machines', () => {
  const one = { by: 'ada', atMs: 5, signature: new Uint8Array(64) };
  const trial = { canary: ['bob'], soakMs: 7, phase: 'canary', sinceMs: 8, reports: [{ peer: 'bob', ok: true, reason: '' }] };
  const shownTrial = { phase: 'canary', canary: ['BOB'], turn: ['BOB'], done: [], soakMs: 7, sinceMs: 8 };
  const reports = [{ node: 'BOB', ok: true, reason: '' }];
  const policy = { name: 'p', when: 'false', summary: 's' };

  it('is shown: what holds, what is tried, and which version each member runs', async () => {
    const bundle = (id: string, policies: string) => ({ ...one, id, policies });
    Object.assign(its.bundles, {
      ...{ good: bundle(ID, '[{"name":"a"},{"name":"b"}]'), before: bundle(OTHER, 'no JSON') },
      candidate: { ...bundle('x', '[{"named":"a"}]'), findings: 0, ...trial },
    });
    const shown = { by: 'ADA', atMs: 5 };
    expect(await ask('GET /v1/bundles')).toEqual({
      good: { ...shown, id: ID, policies: ['a', 'b'] },
      before: { ...shown, id: OTHER, policies: [] },
      candidate: { ...shown, id: 'x', policies: [], ...shownTrial, reports },
      ended: null,
    });
    const release = { version: '2.0.0', digest: 'dd', bytes: 1 };
    Object.assign(its.upgrades, { candidate: { ...one, id: ID, ...release, ...trial } });
    expect(await ask('GET /v1/upgrades')).toEqual({
      ...{ good: null, before: null, ended: null },
      candidate: { ...shown, id: ID, version: '2.0.0', digest: 'dd', ...shownTrial, reports },
      versions: [
        { node: 'ADA', version: '1.0.0' },
        { node: 'BOB', version: 'unknown' },
        { node: 'BOBBY', version: 'unknown' },
      ],
    });
  });

  it('of policies is tried on those that are named, or drawn', async () => {
    its.bundles.candidate = { id: 'new' };
    const body = { policies: [policy], canary: ['bob'] };
    expect(await ask('POST /v1/bundles', body)).toEqual({ index: 9, bundle: 'new', canary: ['BOB'] });
    expect([its.asked, its.notes]).toEqual([
      [
        [[policy], { canary: ['bob'], soakMs: 60_000, findings: 0 }],
        ['caught up to 9', 5_000],
      ],
      ['a bundle of 1 policy was pushed, decision 9'],
    ]);
    its.bundles.candidate = null;
    expect(await ask('POST /v1/bundles', { ...body, soakMs: 86_400_000, findings: 1_000 })).toMatchObject({ bundle: '' });
    expect(await ask('POST /v1/bundles', { policies: [policy] })).toMatchObject({
      canary: [expect.stringMatching(/^BOB(BY)?$/)],
    });
    Object.assign(its, { outcome: { ok: false, reason: 'one is being tried' }, asked: [], notes: [] });
    expect([await ask('POST /v1/bundles', body), its.asked.length, its.notes]).toEqual(['409 one is being tried', 1, []]);
    its.failure = unavailable(false);
    expect(await ask('POST /v1/bundles', body)).toMatch(/^503 /);
  });

  it.each<[given: Record<string, unknown>, error: string | RegExp]>([
    [{ policies: [{ ...policy, when: '1 +' }] }, /^400 /],
    [{ policies: [] }, '400 policies = []: must be at least 1 item'],
    [{ canary: ['nobody'] }, NOBODY],
    [{ canary: [] }, '400 canary = []: must be at least 1 item'],
    [{ canary: Array(17).fill('bob') }, /^400 canary = .*: must be at most 16 items$/],
    [{ soakMs: 4_999 }, '400 soakMs = 4999: must be at least 5000'],
    [{ soakMs: 86_400_001 }, '400 soakMs = 86400001: must be at most 86400000'],
    [{ findings: -1 }, '400 findings = -1: must be at least 0'],
    [{ findings: 1_001 }, '400 findings = 1001: must be at most 1000'],
    [
      { policies: Array.from({ length: 200 }, (_, nth) => ({ ...policy, name: `p${nth}`, summary: 's'.repeat(200) })) },
      '400 a bundle is 32768 characters at most',
    ],
  ])('of policies is refused with %o', async (given, error) => {
    const answer = await ask('POST /v1/bundles', { policies: [policy], ...given });
    expect(answer).toEqual(typeof error === 'string' ? error : expect.stringMatching(error));
    expect([its.asked, its.notes]).toEqual([[], []]);
  });

  it('of a release is tried first too', async () => {
    its.upgrades.candidate = { id: 'new', version: '2.0.0' };
    const body = { archive: Buffer.from('tar').toString('base64'), canary: ['bob', 'ada'] };
    expect(await ask('POST /v1/upgrades', body)).toEqual({
      ...{ index: 9, upgrade: 'new', version: '2.0.0', canary: ['BOB', 'ADA'] },
    });
    expect([its.asked, its.notes]).toEqual([
      [
        ['tar', { canary: ['bob', 'ada'], soakMs: 600_000 }],
        ['caught up to 9', 5_000],
      ],
      ['KALOS 2.0.0 was pushed, decision 9'],
    ]);
    its.upgrades.candidate = null;
    expect(await ask('POST /v1/upgrades', body)).toMatchObject({ upgrade: '', version: '' });
    Object.assign(its, { outcome: { ok: false, reason: 'one is being tried' }, asked: [], notes: [] });
    expect([await ask('POST /v1/upgrades', body), its.asked.length, its.notes]).toEqual(['409 one is being tried', 1, []]);
    its.failure = new Error('not a release');
    expect(await ask('POST /v1/upgrades', body)).toBe('400 not a release');
    for (const [given, error] of [
      [{ archive: '' }, /^400 archive = "": must be at least 1 character/],
      [{ archive: '?' }, /^400 archive = "\?": is not a valid base64$/],
      [{ canary: ['nobody'] }, NOBODY],
      [{ soakMs: 4_999 }, '400 soakMs = 4999: must be at least 5000'],
      [{ soakMs: 86_400_001 }, '400 soakMs = 86400001: must be at most 86400000'],
    ] as const)
      expect(await ask('POST /v1/upgrades', { ...body, ...given })).toMatch(error);
  });

  it('of a release may be as large as one is, and no larger', async () => {
    const archive = Buffer.alloc(16_777_217).toString('base64');
    expect(await ask('POST /v1/upgrades', { archive })).toBe('400 a release is 16777216 bytes at most');
    expect(ROUTES.find(({ path, method }) => path === '/v1/upgrades' && method === 'POST')?.maxBytes).toBe(22_435_158);
  });

  it.each(['bundle', 'upgrade'] as const)('as a %s is taken back: the newest', async (kind) => {
    const withdraw = () => ask(`POST /v1/${kind}s/withdraw`, { reason: 'r' });
    expect(await withdraw()).toBe(
      kind === 'bundle' ? '404 there is no bundle: see kalos policy bundle' : '404 there is no release: see kalos upgrade status',
    );
    its[`${kind}s`].good = { id: 'good' };
    expect(await withdraw()).toEqual({ index: 9 });
    its[`${kind}s`].candidate = { id: 'newer' };
    await withdraw();
    expect(its.asked).toEqual(['good', 'newer'].map((id) => [{ kind: `${kind}-withdraw`, [kind]: id, reason: 'r' }, 10_000]));
    expect(await ask(`POST /v1/${kind}s/withdraw`, { reason: '' })).toBe('400 reason = "": must be at least 1 character');
  });
});
