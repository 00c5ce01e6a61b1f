// What people do about who belongs: who may, what is refused and in which words, and that every change goes to the audit.
import { describe, expect, it } from 'vitest';
import { type MemberRow, MembershipAdmin, MembershipError, type RecoveryView } from '../../node/link/membership-admin.ts';
import { ModelledCrypto, simulatedPeer } from '../../sim/adapters/crypto.ts';
import { decodeCbor, fromHex, toHex, utf8 } from '../../swarm/dissemination/cbor.ts';

const NOW_MS = 1_700_000_000_000;
/** Of whom all but one are peers. */
const crypto = Object.assign(new ModelledCrypto('self', new Uint8Array([1])), {
  keyOf: (peer: string) => (peer === 'nonsense' ? undefined : utf8(peer.slice(0, 32).padEnd(32))),
});
const KEY = simulatedPeer(9, 1);

interface Known {
  peer: string;
  name: string;
  role?: string;
  state?: string;
  met?: boolean;
  heardMs?: number;
  /** Of an issuer: whether a person made it one. */
  issuer?: 'deputy' | 'decides';
  committee?: boolean;
  removed?: boolean;
  status?: Record<string, unknown>;
}
const SELF: Known = { peer: 'self', name: 'alpha', issuer: 'decides', role: 'committee', committee: true, met: true };
const BETA: Known = { peer: 'p-beta', name: 'beta', met: true, heardMs: 4_000 };
const GAMMA: Known = { peer: 'p-gamma', name: 'gamma', met: true, heardMs: 4_000 };

function world(given: Known[] = [SELF, BETA, GAMMA]) {
  const did: string[] = [];
  const audit: string[] = [];
  const its = {
    addresses: ['/ip4/10.0.0.1/tcp/4001/p2p/self', '/ip4/127.0.0.1/tcp/4001/p2p/self'],
    coordinator: undefined as string | undefined,
    keys: 1,
    index: 50,
    term: 3,
    voters: undefined as string[] | undefined,
    checkpointVoters: undefined as string[] | undefined,
    epoch: undefined as number | undefined,
    paused: undefined as number | undefined,
    drained: undefined as { atMs: number; forMs: number } | undefined,
    publishes: undefined as Error | undefined,
  };
  const of = (peer: string): Known | undefined => given.find((one) => one.peer === peer);
  const certificate = ({ peer, name, role = 'member' }: Known) => ({
    kind: 'member',
    subject: peer,
    name,
    role,
    untilMs: NOW_MS + 1_000,
  });
  const belongs = given.filter(({ removed }) => removed !== true);
  const said = (what: string) => async (): Promise<void> => void did.push(what);
  const roster = {
    authority: { isDeputy: (peer: string) => of(peer)?.issuer === 'deputy' },
    member: (peer: string) => (of(peer) === undefined ? undefined : certificate(of(peer) as Known)),
    members: () => belongs.map(certificate),
    find: (name: string) => belongs.filter((one) => one.name.startsWith(name)).map(certificate),
    isMember: (peer: string) => belongs.some((one) => one.peer === peer),
    isForCommittee: (peer: string) => of(peer)?.committee === true,
    isIssuer: (peer: string) => of(peer)?.issuer !== undefined,
    decides: (peer: string) => of(peer)?.issuer === 'decides',
    issuers: () => given.filter(({ issuer }) => issuer !== undefined).map(({ peer }) => ({ subject: peer })),
    nameTaken: (name: string, peer: string) => given.some((one) => one.name === name && one.peer !== peer),
    operators: () => [{ kind: 'operator', subject: KEY, name: 'anna' }],
    records: {
      all: () => [
        ...given
          .filter(({ removed }) => removed)
          .map(({ peer }) => ({ body: { kind: 'revocation', of: 'member', subject: peer } })),
        { body: { kind: 'revocation', of: 'member', subject: 'p-unknown-12345678' } },
        { body: { kind: 'revocation', of: 'issuer', subject: 'p-beta' } },
        { body: { kind: 'member', subject: 'p-beta' } },
      ],
      single: (kind: string) => (kind !== 'recovery' || its.epoch === undefined ? undefined : { epoch: its.epoch }),
    },
  };
  const admission = {
    roster,
    instances: { conflictOf: (peer: string) => (peer === 'p-beta' ? 'it is at two places' : undefined) },
    issuer: {
      get mayIssue() {
        return of('self')?.issuer !== undefined;
      },
      ledger: { list: () => [{ id: 't1' }] },
      makeToken: async (options: { role: string; uses: number; ttlMs: number }, addresses: string[]) => {
        did.push(`token ${options.role} ${options.uses} ${options.ttlMs} at ${addresses.join(' ')}`);
        const token = { swarmId: '0'.repeat(32), issuer: KEY, addresses, id: utf8('12345678'), secret: utf8('0123456789abcdef') };
        return { ...token, networkKey: undefined };
      },
      endToken: async (id: string) => id === 't1',
      revoke: (subject: string, reason: string) => said(`revoke ${subject}: ${reason}`)(),
      rename: async (member: object, to: string) => ({ ...member, name: to }),
      rotateNetworkKey: async (spreadMs: number, keepMs: number) => ({
        fromMs: NOW_MS + spreadMs,
        untilMs: NOW_MS + spreadMs + keepMs,
      }),
    },
    drafts: {
      operator: (subject: string, name: string) => ({ kind: 'operator', subject, name, epoch: 0, fromMs: 1, untilMs: 2 }),
      issuer: (subject: string) => ({ kind: 'issuer', subject, epoch: 0, fromMs: 1, untilMs: 2 }),
      revocation: (kind: string, subject: string, reason: string) => ({
        kind: 'revocation',
        of: kind,
        subject,
        reason,
        epoch: 0,
        fromMs: 1,
        untilMs: 2,
      }),
    },
    rootKeys: {
      signatures: () => ({ needed: 2, atHand: 1 }),
      publish: async (kind: string, body: Uint8Array, given: { by: string; signature: Uint8Array }[]) => {
        if (its.publishes !== undefined) throw its.publishes;
        did.push(`publish ${kind} ${toHex(body)} by ${given.map((one) => `${one.by} ${toHex(one.signature)}`).join()}`);
      },
    },
  };
  const rows = given
    .filter(({ removed }) => removed !== true)
    .map(({ peer, state = 'alive', met = false, heardMs = 0 }) => ({ peer, state, met, heardMs }));
  const statuses = { entries: () => given.flatMap(({ status }) => (status === undefined ? [] : [{ status }])) };
  const parts = {
    admission,
    members: {
      self: 'self',
      roster: admission.roster,
      statuses,
      all: () => rows,
      everyone: () => rows,
      statusOf: (peer: string) => of(peer)?.status,
      nameOf: (peer: string) => of(peer)?.name ?? peer,
      accusersOf: (peer: string) => (peer === 'p-gamma' ? ['p-beta'] : []),
    },
    networkKeys: {
      get size() {
        return its.keys;
      },
      newest: undefined,
    },
    committee: {
      get coordinator() {
        return its.coordinator;
      },
      get term() {
        return its.term;
      },
      seats: { voters: () => its.voters },
    },
    decisions: {
      checkpoints: {
        get newest() {
          return its.checkpointVoters && { voters: its.checkpointVoters };
        },
      },
      state: {
        get index() {
          return its.index;
        },
        pauseOf: () => its.paused && { atMs: its.paused },
      },
      proven: { drained: () => new Map(its.drained === undefined ? [] : [['p-beta', its.drained]]) },
    },
  };
  const ports = {
    clock: { wallMs: () => NOW_MS, monotonicMs: () => 10_000.4 },
    transport: { addresses: () => its.addresses },
    crypto,
  };
  const append = async (kind: string, subject: string, text: string): Promise<void> =>
    void audit.push(`${kind} ${subject}: ${text}`);
  const admin = new MembershipAdmin(ports as never, '0'.repeat(32), { ...parts, audit: { append } } as never);
  return { admin, its, did, audit };
}

describe('the list of members', () => {
  it('has what is known of each, by name', () => {
    const status = { version: '0.4.0', address: '/there', conditions: { DiskPressure: 'True', ServicesReady: 'True' } };
    const { admin, its } = world([GAMMA, { ...BETA, status, issuer: 'deputy' }, { ...SELF, heardMs: 3 }]);
    Object.assign(its, { coordinator: 'p-beta', drained: { atMs: 7, forMs: 30 } });
    const plain: Omit<MemberRow, 'name' | 'peer'> = {
      state: 'alive',
      role: 'member',
      issuer: false,
      deputy: false,
      coordinator: false,
      heardMs: 6_000,
      version: '',
      address: '',
      certificateUntilMs: NOW_MS + 1_000,
      accusedBy: [],
      twin: null,
      unhealthy: [],
      pausedSinceMs: null,
      drainedUntilMs: null,
    };
    expect(admin.members(false)).toEqual([
      { ...plain, name: 'alpha', peer: 'self', role: 'committee', issuer: true, heardMs: 0, address: its.addresses[0] },
      {
        ...plain,
        name: 'beta',
        peer: 'p-beta',
        issuer: true,
        deputy: true,
        coordinator: true,
        version: '0.4.0',
        address: '/there',
        twin: 'it is at two places',
        unhealthy: ['DiskPressure=True'],
        drainedUntilMs: 37,
      },
      { ...plain, name: 'gamma', peer: 'p-gamma', accusedBy: ['beta'] },
    ]);
    its.paused = 99;
    expect([admin.member('beta').pausedSinceMs, admin.member('gamma').name]).toEqual([99, 'gamma']);
    its.addresses = [];
    expect(admin.member('alpha').address).toBe('');
  });

  it('says nothing of the health of who is not alive, nor when one was heard who never was', () => {
    const status = { version: '', address: '', conditions: { DiskPressure: 'True' } };
    const { admin } = world([SELF, { ...BETA, state: 'down', met: false, status }]);
    expect(admin.member('beta')).toMatchObject({ state: 'down', unhealthy: [], heardMs: null });
  });

  it('has those that left and were removed where all are asked for', () => {
    const { admin } = world([SELF, { ...BETA, state: 'left' }, { ...GAMMA, removed: true, role: 'committee' }]);
    expect(admin.members(false).map(({ name }) => name)).toEqual(['alpha']);
    expect(admin.members(true).map(({ name, state, role }) => `${name} ${state} ${role}`)).toEqual([
      '12345678 removed unknown',
      'alpha alive committee',
      'beta left member',
      'gamma removed committee',
    ]);
    expect(admin.members(true)[3]).toMatchObject({
      heardMs: null,
      issuer: false,
      deputy: false,
      coordinator: false,
      accusedBy: [],
      unhealthy: [],
    });
  });
});

describe('a name', () => {
  it('means one member, or says what it may mean', () => {
    const { admin } = world([SELF, { ...BETA, name: 'beta-1' }, { ...GAMMA, name: 'beta-2' }]);
    expect(() => admin.member('beta')).toThrow(new MembershipError('beta is ambiguous: beta-1 or beta-2'));
    expect(() => admin.member('alpah')).toThrow(/alpah.*alpha/);
    expect(() => admin.member('')).toThrow(MembershipError);
  });
});

describe('a token', () => {
  const make = { role: 'member', ttlMs: 60_000, uses: 2 } as const;

  it('holds where this agent can be reached, and up to three other issuers that are there', async () => {
    const issuer = (nth: number, more: Partial<Known> = {}): Known => ({
      peer: `i${nth}`,
      name: `i${nth}`,
      issuer: 'deputy',
      status: { address: `/i${nth}` },
      ...more,
    });
    const others = [
      issuer(0, { state: 'down' }),
      issuer(1, { status: { address: '' } }),
      issuer(2),
      issuer(3),
      issuer(4),
      issuer(5),
    ];
    const { admin, its, did, audit } = world([SELF, { ...BETA, status: { address: '/b' } }, ...others]);
    const { token, reachable } = await admin.makeToken(make);
    expect(did).toEqual(['token member 2 60000 at /ip4/10.0.0.1/tcp/4001 /i2/p2p/i2 /i3/p2p/i3 /i4/p2p/i4']);
    expect([reachable, token.startsWith('kalos1.'), audit]).toEqual([
      true,
      true,
      ['control self: token 3132333435363738 created: member, 2 uses'],
    ]);
    its.addresses = Array.from({ length: 10 }, (_, i) => `/ip4/10.0.0.${i}/tcp/1`);
    await admin.makeToken(make);
    expect(did[1]?.split(' at ')[1]?.split(' ')).toEqual([
      ...its.addresses.slice(0, 5),
      '/i2/p2p/i2',
      '/i3/p2p/i3',
      '/i4/p2p/i4',
    ]);
  });

  it('holds eight addresses at most, and those of this machine alone where there are no others', async () => {
    const { admin, its, did, audit } = world();
    its.addresses = Array.from({ length: 10 }, (_, i) => `/ip4/10.0.0.${i}/tcp/1`);
    await admin.makeToken({ ...make, uses: 1 });
    expect(did[0]?.split(' at ')[1]?.split(' ').length).toBe(8);
    expect(audit[0]).toContain('created: member, 1 use');
    its.addresses = ['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1'];
    expect((await admin.makeToken(make)).reachable).toBe(false);
    expect(did[1]).toContain('at /ip4/127.0.0.1/tcp/1 /ip6/::1/tcp/1');
    its.addresses = [];
    await expect(admin.makeToken(make)).rejects.toThrow('this agent does not listen: start it with --listen ADDRESS:PORT');
  });

  it('is an issuer’s to make, and for the committee not a deputy’s', async () => {
    const none = world([{ ...SELF, issuer: undefined as never }, BETA]);
    await expect(none.admin.makeToken(make)).rejects.toThrow(
      new MembershipError('this agent is not an issuer and cannot create a token: use an issuer'),
    );
    const deputy = world([
      { ...SELF, issuer: 'deputy' },
      { ...BETA, issuer: 'decides' },
      { ...GAMMA, issuer: 'decides' },
    ]);
    await expect(deputy.admin.makeToken({ ...make, role: 'committee' })).rejects.toThrow(
      'this agent is only a deputy issuer and cannot create a committee token: use beta or gamma',
    );
    await deputy.admin.makeToken(make);
    await world().admin.makeToken({ ...make, role: 'committee' });
  });

  it('is listed, and ended once', async () => {
    const { admin, audit } = world();
    expect(admin.tokens()).toEqual([{ id: 't1' }]);
    await admin.endToken('t1');
    await expect(admin.endToken('t2')).rejects.toThrow('there is no token t2');
    expect(audit).toEqual(['control self: token t1 revoked']);
  });
});

describe('a membership', () => {
  it('is revoked by who decides, and not one’s own', async () => {
    const { admin, did, audit } = world();
    expect((await admin.revoke('beta', 'stolen')).subject).toBe('p-beta');
    expect([did, audit]).toEqual([['revoke p-beta: stolen'], ['control self: membership of beta revoked: stolen']]);
    await expect(admin.revoke('alpha', '')).rejects.toThrow('an agent cannot revoke itself: use kalos leave');
    await expect(world([{ ...SELF, issuer: 'deputy' }, BETA]).admin.revoke('beta', '')).rejects.toThrow(
      'cannot revoke a membership',
    );
  });

  it('is renamed to what nobody else is called', async () => {
    const { admin, audit } = world();
    expect((await admin.rename('beta', 'delta')).name).toBe('delta');
    expect(audit).toEqual(['control self: beta renamed to delta']);
    await expect(admin.rename('beta', 'gamma')).rejects.toThrow('the name gamma is already taken');
    await admin.rename('beta', 'beta');
    await expect(world([{ ...SELF, issuer: 'deputy' }, BETA]).admin.rename('beta', 'x')).rejects.toThrow(
      'cannot rename a member',
    );
  });

  it.each<[string, Known[], RegExp | undefined]>([
    ['the only issuer', [SELF, BETA], /^this agent is the only issuer/],
    ['the only member', [SELF], undefined],
    ['one of several that decide', [SELF, { ...BETA, issuer: 'decides' }], undefined],
    ['the only one beside deputies', [SELF, { ...BETA, issuer: 'deputy' }], /^this is the last full issuer/],
    [
      'a deputy',
      [
        { ...SELF, issuer: 'deputy' },
        { ...BETA, issuer: 'decides' },
      ],
      undefined,
    ],
    [
      'no issuer',
      [
        { ...SELF, issuer: undefined as never },
        { ...BETA, issuer: 'decides' },
      ],
      undefined,
    ],
  ])('is ended by oneself: %s', async (_who, members, words) => {
    const { admin, did, audit } = world(members);
    if (words !== undefined) {
      await expect(admin.leave(false)).rejects.toThrow(words);
      expect(did).toEqual([]);
    }
    await admin.leave(words !== undefined);
    expect([did, audit]).toEqual([['revoke self: left'], ['control self: leaves the swarm for good']]);
  });
});

describe('the network key', () => {
  it('is changed by who decides, thirty seconds ahead', async () => {
    const { admin, its, audit } = world();
    expect(await admin.rotateNetworkKey(3_600_000)).toEqual({ usedFromMs: NOW_MS + 30_000, olderUntilMs: NOW_MS + 3_630_000 });
    expect(audit).toEqual(['control self: network key changed; older keys expire 2023-11-14T23:13:50.000Z']);
    its.keys = 0;
    await expect(admin.rotateNetworkKey(1)).rejects.toThrow('this swarm has no network key');
    await expect(world([{ ...SELF, issuer: 'deputy' }]).admin.rotateNetworkKey(1)).rejects.toThrow(
      'cannot change the network key',
    );
  });
});

describe('what root keys sign', () => {
  it('is drafted with what it takes', () => {
    const { admin } = world();
    const drafts = [
      admin.draft({ kind: 'operator', name: 'bob', key: KEY }),
      admin.draft({ kind: 'issuer', member: 'beta' }),
      admin.draft({ kind: 'revoke', of: 'issuer', subject: 'beta', reason: 'gone' }),
      admin.draft({ kind: 'revoke', of: 'operator', subject: 'anna', reason: 'gone' }),
      admin.draft({ kind: 'recovery', member: 'beta' }),
    ];
    expect(drafts.map(({ kind, needed, atHand }) => [kind, needed, atHand])).toEqual(
      ['operator', 'issuer', 'revocation', 'revocation', 'recovery'].map((kind) => [kind, 2, 1]),
    );
    expect(drafts.map(({ body }) => (decodeCbor(fromHex(body)) as unknown[]).slice(4))).toEqual([
      ['bob'],
      [],
      ['issuer', 'gone'],
      ['operator', 'gone'],
      [1_095, 19].map(() => expect.any(Number)),
    ]);
    for (const { body, toSign } of drafts) expect([/^[0-9a-f]+$/.test(body), /^[0-9a-f]+$/.test(toSign)]).toEqual([true, true]);
    expect(admin.operators().map(({ name }) => name)).toEqual(['anna']);
  });

  it('names a key, an operator and a member that there are', () => {
    const { admin } = world();
    expect(() => admin.draft({ kind: 'operator', name: 'bob', key: 'nonsense' })).toThrow('nonsense is not a key');
    expect(() => admin.draft({ kind: 'revoke', of: 'operator', subject: 'bob', reason: '' })).toThrow(
      'no operator is called bob',
    );
    expect(() => admin.draft({ kind: 'revoke', of: 'operator', subject: '', reason: '' })).toThrow('no operator is called ""');
    expect(() => admin.draft({ kind: 'issuer', member: 'nobody' })).toThrow(MembershipError);
  });

  it('is published with enough signatures', async () => {
    const { admin, its, did, audit } = world();
    await admin.commit('issuer', '0a0b', [{ by: 'x', signature: '0c' }]);
    expect([did, audit]).toEqual([
      ['publish issuer 0a0b by x 0c'],
      ['control self: a record of kind issuer signed by root keys'],
    ]);
    its.publishes = new RangeError('1 of 2 signatures');
    await expect(admin.commit('issuer', '', [])).rejects.toThrow(new MembershipError('1 of 2 signatures'));
    its.publishes = new TypeError('a bug');
    await expect(admin.commit('issuer', '', [])).rejects.toThrow(its.publishes);
    expect(audit.length).toBe(1);
  });
});

describe('a committee that is to begin again', () => {
  const knowing = (decided: number, term: number) => ({ decided, term, version: '', address: '', conditions: {} });
  const members = [
    SELF,
    { ...BETA, status: knowing(80, 9) },
    { ...GAMMA, status: knowing(80, 4) },
    { ...GAMMA, peer: 'p-down', name: 'down', state: 'down', status: knowing(95, 5) },
  ];

  it('is above all that any member has heard of', () => {
    const { admin, its } = world(members);
    const draft = (): unknown => decodeCbor(fromHex(admin.draft({ kind: 'recovery', member: 'beta' }).body));
    expect(draft()).toEqual([expect.any(Uint8Array), 1, NOW_MS / 1_000, NOW_MS / 1_000, 95 + 1_000, 9 + 10]);
    Object.assign(its, { epoch: 4, index: 200, term: 20 });
    expect(draft()).toEqual([expect.any(Uint8Array), 5, NOW_MS / 1_000, NOW_MS / 1_000, 1_200, 30]);
    its.coordinator = 'p-gamma';
    expect(() => draft()).toThrow(new MembershipError('gamma is leader: nothing to recover'));
  });

  it('is best begun by who is there, voted, and knows most', () => {
    const { admin, its } = world(members);
    Object.assign(its, { voters: ['self', 'p-gamma'] });
    const view: RecoveryView = {
      coordinator: null,
      members: [
        { node: 'alpha', state: 'alive', voted: true, decided: 50 },
        { node: 'beta', state: 'alive', voted: false, decided: 80 },
        { node: 'gamma', state: 'alive', voted: true, decided: 80 },
        { node: 'down', state: 'down', voted: false, decided: 95 },
      ],
      suggested: 'gamma',
      lost: 15,
    };
    expect(admin.recovery()).toEqual(view);
    Object.assign(its, { voters: undefined, checkpointVoters: ['self'], coordinator: 'p-beta' });
    expect(admin.recovery()).toMatchObject({ coordinator: 'beta', suggested: 'beta', lost: 15 }); // no voter knows as much
    its.checkpointVoters = undefined;
    expect(admin.recovery().members.some(({ voted }) => voted)).toBe(false);
    expect(world([{ ...SELF, state: 'down' }]).admin.recovery()).toMatchObject({ suggested: null, lost: 0 });
  });
});
