// An issuer's turns: whom it makes a deputy and when, whose certificates it renews, and which tokens it tells the other issuers of.
import { describe, expect, it } from 'vitest';
import { Deputies } from '../../node/link/deputies.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { MEMBER_LIFE_MS } from '../../swarm/identity/lifetimes.ts';
import { pass } from '../support/virtual.ts';

const WALL_MS = 1_700_000_000_000;
interface Known {
  peer: string;
  state?: string;
  sinceMs?: number;
  issuer?: 'root' | 'deputy';
  endsMs?: number;
  committee?: boolean;
  member?: boolean;
}
const ROOT: Known = { peer: 'self', issuer: 'root' };

function world(members: Known[], wanted = 3) {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler, () => WALL_MS);
  const did: string[] = [];
  const its = {
    isIssuer: true,
    makes: true,
    shared: [] as { maker?: string; token: unknown }[],
    answer: 'member' as unknown,
    fails: false,
  };
  const of = (peer: string): Known | undefined => members.find((one) => one.peer === peer);
  const admission = {
    roster: {
      isIssuer: (peer: string) => of(peer)?.issuer !== undefined,
      authority: { isDeputy: (peer: string) => of(peer)?.issuer === 'deputy' },
      isMember: (peer: string) => of(peer)?.member !== false,
      isForCommittee: (peer: string) => of(peer)?.committee === true,
      decides: (peer: string) => of(peer)?.issuer === 'root',
      records: {
        certificate: (kind: string, peer: string) =>
          kind !== 'issuer' || of(peer)?.issuer === undefined ? undefined : { untilMs: of(peer)?.endsMs ?? WALL_MS * 2 },
      },
    },
    issuer: {
      get mayIssue() {
        return its.isIssuer;
      },
      ledger: {
        shared: () => its.shared,
        merge: async (...given: unknown[]) => void did.push(`merge ${given.join(' ')}`),
      },
      redeemFor: async (id: Uint8Array, secret: Uint8Array, by: string) => `${id.length} ${secret.length} ${by}`,
    },
    rootKeys: {
      makeDeputy: async (peer: string) => {
        did.push(`deputy ${peer}`);
        const one = of(peer);
        if (its.makes && one !== undefined) Object.assign(one, { issuer: 'deputy', endsMs: WALL_MS * 2 });
        return its.makes;
      },
    },
  };
  const told: { to: string; body: unknown; withinMs: number }[] = [];
  const rows = (): object[] => members.map(({ peer, state = 'alive', sinceMs = 0 }) => ({ peer, state, sinceMs }));
  const deputies = new Deputies({ clock, transport: { self: 'self' } } as never, admission as never, wanted, {
    members: () => rows() as never,
    request: async (to, body, withinMs) => {
      told.push({ to, body: decodeCbor(body), withinMs });
      if (its.fails) throw new Error('out of reach');
      return encodeCbor(its.answer);
    },
    nameOf: (peer) => `<${peer}>`,
    log: (level, text) => void did.push(`${level}: ${text}`),
  });
  const take = (): string[] => did.splice(0);
  return { deputies, its, told, take, members, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

describe('deputies are made', () => {
  it('every ten seconds one, until there are enough: the committee first, then who is there longest', async () => {
    const { deputies, take, scheduler, pump } = world(
      [
        ROOT,
        { peer: 'c', sinceMs: 5 },
        { peer: 'b', sinceMs: 1 },
        { peer: 'a', sinceMs: 1 },
        { peer: 'd', sinceMs: 9, committee: true },
      ],
      4,
    );
    deputies.start();
    await pump(10_000);
    expect(take()).toEqual([]); // nobody has been there for ten seconds
    await pump(10_000);
    expect(take()).toEqual([
      'deputy d',
      'info: <d> is now a deputy issuer: it admits members and renews certificates (issuers = 1 in the configuration turns this off)',
    ]);
    await pump(10_000);
    await pump(10_000);
    expect(take().filter((one) => one.startsWith('deputy'))).toEqual(['deputy a', 'deputy b']);
    await pump(60_000);
    expect(take()).toEqual([]);
    deputies.stop();
    const { executed } = scheduler;
    await pump(60_000);
    expect(scheduler.executed).toBe(executed);
  });

  it.each<[string, Known[], number]>([
    ['two members', [ROOT, { peer: 'a' }], 2],
    ['enough', [ROOT, { peer: 'a' }, { peer: 'b' }], 1],
    ['nobody who is alive', [ROOT, { peer: 'a', state: 'down' }, { peer: 'b', state: 'unreachable' }], 3],
    ['nobody who belongs', [ROOT, { peer: 'a', member: false }, { peer: 'b', member: false }], 3],
    [
      'eight already, though some are down',
      [ROOT, ...Array.from({ length: 7 }, (_, i): Known => ({ peer: `d${i}`, issuer: 'deputy', state: 'down' })), { peer: 'a' }],
      3,
    ],
  ])('not with %s', async (_what, members, wanted) => {
    const { deputies, take, pump } = world(members, wanted);
    deputies.start();
    await pump(60_000);
    expect(take()).toEqual([]);
  });

  it('where there are seven, one of which is there', async () => {
    const { deputies, take, pump } = world(
      [ROOT, ...Array.from({ length: 6 }, (_, i): Known => ({ peer: `d${i}`, issuer: 'deputy', state: 'down' })), { peer: 'a' }],
      3,
    );
    deputies.start();
    await pump(20_000);
    expect(take()[0]).toBe('deputy a');
  });

  it('by an issuer only; who may not says nothing', async () => {
    const { deputies, its, take, pump } = world([ROOT, { peer: 'a' }, { peer: 'b' }]);
    its.isIssuer = false;
    deputies.start();
    await pump(30_000);
    expect(take()).toEqual([]);
    Object.assign(its, { isIssuer: true, makes: false });
    await pump(10_000);
    expect(take()).toEqual(['deputy a']);
  });
});

describe('a deputy’s certificate', () => {
  it('is renewed long before it ends, and a root issuer’s is not', async () => {
    const near = WALL_MS + 200 * MEMBER_LIFE_MS;
    const { deputies, take, pump } = world(
      [
        { ...ROOT, endsMs: 1 },
        { peer: 'a', issuer: 'deputy', endsMs: near + 10_000 },
        { peer: 'b', issuer: 'deputy', endsMs: near + 9_999 },
      ],
      1,
    );
    deputies.start();
    await pump(10_000);
    expect(take()).toEqual(['deputy b']);
  });
});

describe('tokens', () => {
  const members: Known[] = [
    ROOT,
    { peer: 'a', issuer: 'deputy' },
    { peer: 'b', issuer: 'root' },
    { peer: 'c', issuer: 'deputy', state: 'down' },
    { peer: 'm' },
  ];

  it('are told to the other issuers that are there, each minute, a hundred at most, by who made them', async () => {
    const { deputies, its, told, pump } = world(members, 1);
    its.shared = [{ token: 'mine' }, { maker: 'a', token: 'theirs' }];
    deputies.start();
    await pump(70_000);
    expect(told.map(({ to, withinMs }) => `${to} ${withinMs}`)).toEqual(['a 3000', 'b 3000', 'a 3000', 'b 3000']);
    expect(told[0]?.body).toEqual([
      'know',
      [
        ['self', 'mine'],
        ['a', 'theirs'],
      ],
    ]);
    its.shared = Array.from({ length: 101 }, (_, i) => ({ token: i }));
    await deputies.changed();
    const [, tokens] = (told.at(-1) ?? expect.fail('nobody is told')).body as [string, [string, number][]];
    expect([tokens.length, tokens[0]]).toEqual([100, ['self', 1]]);
  });

  it('that change are told together, also where somebody does not take them', async () => {
    const { deputies, its, told } = world(members, 1);
    Object.assign(its, { shared: [{ token: 1 }], fails: true });
    await Promise.all([deputies.changed(), deputies.changed()]);
    expect(told.map(({ to }) => to)).toEqual(['a', 'b']);
    await deputies.changed();
    expect(told.length).toBe(4);
    its.isIssuer = false;
    await deputies.changed();
    its.isIssuer = true;
    its.shared = [];
    await deputies.changed();
    its.shared = [{ token: 1 }];
    deputies.stop();
    await deputies.changed();
    expect(told.length).toBe(4);
  });

  it('are redeemed by who made them', async () => {
    const { deputies, its, told } = world(members);
    expect(await deputies.forward('a', new Uint8Array(2), new Uint8Array(3), 'new')).toBe('member');
    expect(told).toEqual([{ to: 'a', body: ['redeem', new Uint8Array(2), new Uint8Array(3), 'new'], withinMs: 3_000 }]);
    its.answer = 'king';
    await expect(deputies.forward('a', new Uint8Array(2), new Uint8Array(3), 'new')).rejects.toThrow();
    const asked = encodeCbor(['redeem', new Uint8Array(2), new Uint8Array(3), 'new']);
    expect(decodeCbor(await deputies.answer('b', asked))).toBe('2 3 new');
  });

  it('are learned of from issuers only; who sits on the committee is not a deputy’s to say', async () => {
    const { deputies, take } = world(members);
    const know = encodeCbor([
      'know',
      [
        ['self', 1],
        ['b', 2],
      ],
    ]);
    expect(decodeCbor(await deputies.answer('a', know))).toBe(true);
    expect(take()).toEqual(['merge  1 false', 'merge b 2 false']);
    await deputies.answer('b', know);
    expect(take()).toEqual(['merge  1 true', 'merge b 2 true']);
    await expect(deputies.answer('m', know)).rejects.toThrow('only an issuer may ask for this');
    await expect(deputies.answer('a', encodeCbor(['other']))).rejects.toThrow();
    const many = (count: number) => encodeCbor(['know', Array.from({ length: count }, () => ['self', 1])]);
    await expect(deputies.answer('a', many(101))).rejects.toThrow();
    await deputies.answer('a', many(100));
    expect(take().length).toBe(100);
  });
});
