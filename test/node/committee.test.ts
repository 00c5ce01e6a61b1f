// The committee as its members carry it together, over a plain network: who begins it, who joins it, who leads, who goes, and what is said of it.
import { describe, expect, it } from 'vitest';
import { wished } from '../../consensus/decisions/decision.ts';
import { DecisionState } from '../../consensus/decisions/state.ts';
import { HEAD_KEY } from '../../node/audit/audit-log.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Recovery } from '../../swarm/identity/record.ts';
import { FOUNDER_KEY } from '../../swarm/identity/roster-store.ts';
import { CALM, outcomeOf, settled, World } from '../support/committee-world.ts';
import type { PlainStore } from '../support/store.ts';

describe('who begins a committee', () => {
  it('is who founded the swarm, alone, and takes the others in', async () => {
    const world = new World('abc');
    world.stores.get('a')?.content.set(FOUNDER_KEY, new Uint8Array());
    await world.open('a', 'b', 'c');
    expect([
      world.of('b').coordinator,
      world.of('b').log.current,
      world.of('b').log.leading !== undefined,
      world.of('b').term,
    ]).toEqual([undefined, undefined, false, 0]);
    await world.pump(15_000);
    expect(world.names.map((name) => world.of(name).coordinator)).toEqual(['a', 'a', 'a']);
    const terms = world.names.map((name) => world.of(name).term);
    expect([new Set(terms).size, (terms[0] ?? 0) > 0]).toEqual([1, true]);
    expect(world.names.map((name) => world.votersAt(name))).toEqual(Array(3).fill(['a', 'b', 'c']));
    expect(world.of('a').seats.peers().sort()).toEqual(['b', 'c']);
    expect(
      world
        .of('b')
        .seats.all()
        .map(({ peer, votes, leads, behind }) => [peer, votes, leads, behind])
        .sort(),
    ).toEqual([
      ['a', true, true, undefined],
      ['b', true, false, undefined],
      ['c', true, false, undefined],
    ]);
    expect(
      world
        .of('a')
        .seats.all()
        .find(({ peer }) => peer === 'b')?.behind,
    ).toBe(0);
    expect(world.lines.filter((line) => line.includes('committee:')).sort()).toEqual(
      ['learner node-b', 'learner node-c', 'voter node-b', 'voter node-c'].map((text) => `a: info committee: ${text}`),
    );
    expect(world.lines.filter((line) => line.includes('term'))).toEqual(
      world.names.map((name) => `${name}: term ${terms[0]}: a`),
    );
    expect([world.failed, world.names.map((name) => world.of(name).log.failures)]).toEqual([[], [0, 0, 0]]);
  });

  it.each([
    ['alone, with an audit', true, true, true],
    ['alone, whose disk was lost', true, false, false],
    ['not alone', false, true, false],
  ])('in a swarm of before, is who is %s', async (_title, isAlone, hasAudit, begins) => {
    const world = new World('a');
    world.isFounderAlone = isAlone;
    if (hasAudit) world.stores.get('a')?.content.set(HEAD_KEY, new Uint8Array());
    await world.open('a');
    await world.pump(10_000);
    expect([world.of('a').log.leading !== undefined, world.stores.get('a')?.content.has(FOUNDER_KEY)]).toEqual([begins, begins]);
  });

  it('goes on with what it had after a restart', async () => {
    const world = await settled();
    const state = (name: string) => world.of(name).log.current?.machine.index;
    void world.of('a').log.current?.propose(wished({ kind: 'leads' }, 'a', '1'.repeat(32), 1), 2_000);
    await world.pump(1_000);
    expect([state('a'), state('c')]).toEqual([state('b'), state('b')]);
    const before = state('c');
    world.end('c');
    await world.again('c');
    await world.pump(5_000);
    expect([state('c'), world.of('c').coordinator]).toEqual([before, 'a']);
  });
});

describe('who leads', () => {
  it('is another once it is gone; the third follows it', async () => {
    const world = await settled();
    world.end('a');
    await world.pump(10_000);
    const leader = world.leader();
    expect(['b', 'c']).toContain(leader);
    expect([world.of('b').coordinator, world.of('c').coordinator]).toEqual([leader, leader]);
    expect(world.lines.at(-1)).toMatch(new RegExp(`: term ${world.of('b').term}: ${leader}$`));
  });

  it('is nobody without a majority, and that is said with who is missing', async () => {
    const world = await settled();
    expect(world.of('a').lacking).toBeUndefined();
    world.end('a');
    expect(world.of('b').lacking).toBe('an election is in progress');
    await world.pump(10_000);
    world.end(world.leader());
    await world.pump(10_000);
    const [left] = [...world.committees.keys()];
    const gone = world.names.filter((name) => name !== left);
    expect(world.of(left ?? '').coordinator).toBeUndefined();
    expect(world.of(left ?? '').lacking).toMatch(
      new RegExp(
        `^1 of 3 voters is reachable, and a majority is needed; unreachable: node-[${gone}], node-[${gone}]\\. Start them; if they are lost, recover the committee with root keys: kalos recover$`,
      ),
    );
    world.states.set(gone[0] ?? '', 'alive');
    expect(world.of(left ?? '').lacking).toBe('an election is in progress');
  });

  it('is not known to who has no log, and hears of none', async () => {
    const world = new World('abc');
    await world.open('a');
    expect(world.of('a').lacking).toMatch(/^this agent has no decision log .* kalos recover$/);
    world.states.set('b', 'unreachable');
    world.states.set('c', 'down');
    expect(world.of('a').lacking).toBe(
      'no reachable member leads the committee; unreachable: node-b, node-c. Start them, or repair the network between',
    );
    expect(world.of('a').seats.all()).toEqual([]);
    expect([world.of('a').seats.peers(), world.of('a').seats.voters()]).toEqual([[], undefined]);
  });

  it('is who says so of itself, in the highest term, while it is there', async () => {
    const world = new World('abcd');
    const d = world.of('d');
    d.heard('a', 3, true);
    d.heard('b', 2, true);
    expect([d.coordinator, d.term]).toEqual(['a', 3]);
    d.heard('c', 3, false);
    expect(d.coordinator).toBe('a');
    d.heard('b', 3, true);
    expect([d.coordinator, d.term]).toEqual(['b', 3]);
    world.states.set('b', 'unreachable');
    expect([d.coordinator, d.term]).toEqual([undefined, 3]);
    world.states.set('b', 'alive');
    d.heard('b', 3, false);
    expect(d.coordinator).toBeUndefined();
    expect(world.lines).toEqual(['d: term 3: a', 'd: term 3: b']);
  });

  it('is who is announced in a later term, to one whose own leader has been silent for five seconds', async () => {
    const world = await settled('abcd');
    world.cut.add('b'); // it was put out, and could not be told
    const { term } = world.of('b');
    world.of('b').heard('d', term + 1, true);
    const before = world.of('b').coordinator;
    await world.pump(4_000);
    await world.pump(1_500);
    world.of('b').heard('d', term + 100, true);
    expect([before, world.of('b').coordinator]).toEqual(['a', 'd']);
  });
});

describe('the lead is handed over', () => {
  it('to whom an issuer names, from whichever member it is asked', async () => {
    const world = await settled('abcd');
    world.issuers.push('c');
    const asked = outcomeOf(world.of('c').transfer('b'));
    await world.pump(3_000);
    expect([asked, world.leader(), world.of('c').coordinator]).toEqual([{ done: true }, 'b', 'b']);
    const own = outcomeOf(world.of('b').transfer('b'));
    await world.pump(1_000);
    expect(own).toEqual({ error: 'node-b may not transfer leadership: it is not an issuer' });
    world.issuers.push('b');
    const same = outcomeOf(world.of('b').transfer('b'));
    await world.pump(1_000);
    expect([same, world.leader()]).toEqual([{ done: true }, 'b']);
    const back = outcomeOf(world.of('b').transfer('a'));
    await world.pump(3_000);
    expect([back, world.leader()]).toEqual([{ done: true }, 'a']);
  });

  it('to nobody who does not vote, by nobody who may not, and by nobody who does not lead', async () => {
    const world = await settled('abcd');
    const results = [
      outcomeOf(world.of('a').transfer('d')),
      outcomeOf(world.of('b').transfer('c')),
      outcomeOf(world.of('b').answer('a', encodeCbor(['transfer', 'c']))),
      outcomeOf(new World('x').of('x').transfer('x')),
      outcomeOf(world.of('b').answer('a', encodeCbor('what'))),
    ];
    await world.pump(3_000);
    expect(results.map(({ error }) => error)).toEqual([
      'node-d is not a voter of the committee',
      'node-b may not transfer leadership: it is not an issuer',
      'this agent is no longer the leader',
      'the swarm has no leader',
      'malformed request',
    ]);
    expect(world.leader()).toBe('a');
  });

  it('to nobody who does not take it within two seconds', async () => {
    const world = await settled();
    world.cut.add('b');
    const asked = outcomeOf(world.of('a').transfer('b'));
    await world.pump(1_900);
    expect(asked).toEqual({});
    await world.pump(200);
    expect(asked).toEqual({ error: 'node-b did not become leader in 2 s' });
  });

  it('by who stops, to one that is there', async () => {
    const world = await settled();
    world.cut.add('b');
    await world.pump(3_000);
    const left = outcomeOf(world.of('a').autopilot.handOver());
    await world.pump(1_000);
    expect([left, world.of('a').log.leading !== undefined, world.of('c').log.leading !== undefined]).toEqual([
      { done: true },
      false,
      true,
    ]);
    const follower = outcomeOf(world.of('a').autopilot.handOver());
    await world.pump(1);
    expect([follower, world.of('c').log.leading !== undefined]).toEqual([{ done: true }, true]);
  });

  it.each(['b', 'c'])('by who stops, to one that is fit: not to %s, which is drained', async (drained) => {
    const world = await settled();
    world.drained.add(drained);
    void world.of('a').autopilot.handOver();
    await world.pump(1_000);
    expect(world.leader()).toBe(drained === 'b' ? 'c' : 'b');
  });

  it('by who leaves for good: the log stays with the others, where there are any', async () => {
    const world = await settled('abcd');
    const gone = outcomeOf(world.of('a').autopilot.retire());
    await world.pump(10_000);
    expect([gone, world.of('a').log.leading !== undefined]).toEqual([{ done: true }, false]);
    await world.pump(10_000);
    expect(['b', 'c', 'd']).toContain(world.leader());
    const alone = new World('a');
    alone.stores.get('a')?.content.set(FOUNDER_KEY, new Uint8Array());
    await alone.open('a');
    await alone.pump(5_000);
    const none = outcomeOf(alone.of('a').autopilot.retire());
    await alone.pump(0);
    expect([none, alone.of('a').log.leading !== undefined]).toEqual([{ done: true }, true]);
  });
});

describe('a leader that is not well', () => {
  const lagging = { ...CALM, lagMs: 600 };
  const yields = 'a: info this agent is unfit to lead: leadership moves to another member';

  it.each<[string, (world: World) => void, boolean]>([
    [
      'whose disk is slow for a minute lets another lead',
      (world) => void world.vitals.set('a', { ...CALM, diskMs: 1_001 }),
      true,
    ],
    ['whose loop is late by far more than another’s lets that one lead', (world) => void world.vitals.set('a', lagging), true],
    ['that is drained lets another lead', (world) => void world.drained.add('a'), true],
    ['whose disk is as slow as may be goes on', (world) => void world.vitals.set('a', { ...CALM, diskMs: 1_000 }), false],
    [
      'that is late as all are goes on',
      (world) => {
        for (const name of world.names) world.vitals.set(name, lagging);
      },
      false,
    ],
    [
      'that is late, and not by far, goes on',
      (world) => {
        for (const name of ['b', 'c']) world.vitals.set(name, { ...CALM, lagMs: 150 });
        world.vitals.set('a', lagging);
      },
      false,
    ],
    [
      'that is drained with all others goes on',
      (world) => {
        for (const name of world.names) world.drained.add(name);
      },
      false,
    ],
  ])('%s', async (_title, arrange, isYielding) => {
    const world = await settled();
    arrange(world);
    await world.pump(64_000);
    expect(world.lines.includes(yields)).toBe(isYielding);
    expect(world.leader() !== 'a').toBe(isYielding);
    expect(world.failed).toEqual([]);
  });

  it('lets another lead after a minute without a break, and to who is fit', async () => {
    const world = await settled();
    world.vitals.set('b', { ...CALM, diskMs: 2_000 });
    world.vitals.set('a', { ...CALM, diskMs: 2_000 });
    await world.pump(50_000);
    world.vitals.set('a', CALM);
    await world.pump(2_000);
    world.vitals.set('a', { ...CALM, diskMs: 2_000 });
    await world.pump(59_000);
    expect(world.leader()).toBe('a');
    await world.pump(4_000);
    expect(world.leader()).toBe('c');
  });

  it('asks the others how they do each thirty seconds', async () => {
    const world = await settled();
    world.asked.length = 0;
    await world.pump(60_000);
    expect(world.asked.sort()).toEqual(['a b invite', 'a b invite', 'a c invite', 'a c invite']);
  });

  it('knows where the others are', async () => {
    const world = new World('abc');
    for (const name of world.names) world.vitals.set(name, { ...CALM, domain: `rack-${name}` });
    world.stores.get('a')?.content.set(FOUNDER_KEY, new Uint8Array());
    await world.open('a', 'b', 'c');
    await world.pump(15_000);
    expect(['a', 'b', 'c'].map((peer) => world.of('a').candidates.domainOf(peer))).toEqual(['rack-a', 'rack-b', 'rack-c']);
  });
});

describe('who belongs to it', () => {
  it('is another, where one is gone for two minutes', async () => {
    const world = await settled('abcd');
    world.end('c');
    await world.pump(120_000);
    expect(world.votersAt('a')).toEqual(['a', 'b', 'c']);
    await world.pump(65_000);
    expect(world.votersAt('a')).toEqual(['a', 'b', 'd']);
    expect(world.lines.filter((line) => line.includes('committee:')).slice(4)).toContain('a: info committee: removed node-c');
  });

  it('is a peer under a new log, where its log was damaged', async () => {
    const world = await settled();
    const store = world.stores.get('b') as PlainStore;
    const before = decodeCbor(store.content.get('committee/log') ?? expect.fail());
    world.end('b');
    for (const key of store.content.keys())
      if (key.startsWith(`committee/${before}/`)) store.content.set(key, Uint8Array.of(0xff));
    await world.again('b');
    expect(world.lines.some((line) => /^b: warn .*; starting a new log$/.test(line))).toBe(true);
    const after = decodeCbor(store.content.get('committee/log') ?? expect.fail());
    expect(after).toBe(Number(before) + 1);
    await world.pump(90_000);
    expect(world.votersAt('a')).toEqual(['a', 'b', 'c']);
    expect(world.of('b').coordinator).toBe(world.leader());
  });
});

describe('a log', () => {
  const say = (world: World, digit: string): void =>
    void world
      .of('a')
      .log.current?.propose(wished({ kind: 'leads' }, 'a', digit.repeat(32), 1), 2_000)
      .catch(() => undefined);
  const breakLog = (world: World, name: string): void =>
    void Object.assign(world.of(name).log.current?.machine ?? expect.fail(), {
      apply: () => {
        throw new Error('broken');
      },
    });

  it('that cannot be written is silent, which is said, until it can be written again', async () => {
    const world = await settled();
    const store = world.stores.get('b') as PlainStore;
    const write = store.write.bind(store);
    store.write = () => Promise.reject(new Error('full'));
    say(world, '3');
    await world.pump(2_000);
    expect(world.lines.at(-1)).toBe('b: warn cannot write the committee log: full');
    store.write = write;
    await world.pump(3_000);
    expect(world.lines.filter((line) => line.startsWith('b: warn')).at(-1)).toBe('b: warn the committee log is writable again');
    expect(world.of('b').log.current?.machine.index).toBe(world.of('a').log.current?.machine.index);
  });

  it('that stops because of what must not be is opened again ten seconds later, and goes on from the disk', async () => {
    const world = await settled();
    const b = world.of('b');
    breakLog(world, 'b');
    say(world, '4');
    await world.pump(1_000);
    expect([b.log.failures, b.log.current, world.lines.at(-1)]).toEqual([
      1,
      undefined,
      'b: warn the committee log has stopped: broken',
    ]);
    expect(b.coordinator).toBe('a'); // as that one says itself
    world.cut.add('b'); // else it is opened sooner, where the leader asks it what it goes by
    await world.pump(8_900);
    expect(b.log.current).toBeUndefined();
    await world.pump(500);
    expect(b.log.current).toBeDefined();
    world.cut.delete('b');
    await world.pump(3_000);
    expect([b.log.failures, b.log.current?.machine.index]).toEqual([1, world.of('a').log.current?.machine.index]);
    expect(world.failed).toEqual([]);
  });

  it('that stopped stays closed where its agent was stopped meanwhile', async () => {
    const world = await settled();
    breakLog(world, 'b');
    say(world, '5');
    await world.pump(1_000);
    world.of('b').stop();
    world.cut.add('b');
    await world.pump(15_000);
    expect(world.of('b').log.current).toBeUndefined();
  });
});

describe('root keys', () => {
  const recovery = (subject: string, epoch = 1): Recovery => ({ subject, epoch, index: 1_000, term: 100 }) as unknown as Recovery;
  const known = (): Uint8Array => {
    const state = new DecisionState();
    state.apply(wished({ kind: 'pause', peer: 'c', reason: 'kept' }, 'a', '2'.repeat(32), 1), { index: 7, term: 1 });
    return state.encode();
  };

  it('have it begun again by whom they name, with what was known, once', async () => {
    const world = await settled();
    world.end('a');
    world.end('c');
    await world.pump(10_000);
    expect(world.of('b').coordinator).toBeUndefined();
    await world.of('b').recover(recovery('b'), known);
    await world.pump(10_000);
    const b = world.of('b');
    expect([b.coordinator, b.seats.voters(), b.log.current?.machine.paused().map(({ reason }) => reason)]).toEqual([
      'b',
      ['b'],
      ['kept'],
    ]);
    expect([b.term > 100, (b.log.current?.machine.index ?? 0) >= 7]).toEqual([true, true]);
    const line = 'b: warn root keys recover the committee; first voter: node-b';
    await b.recover(recovery('b'), known);
    expect(world.lines.filter((one) => one === line).length).toBe(1);
    // Who comes back follows it too, under another log.
    await world.again('c');
    await world.of('c').recover(recovery('b'), known);
    expect(world.stores.get('c')?.content.has(FOUNDER_KEY)).toBe(false);
    await world.pump(20_000);
    expect([world.of('c').coordinator, world.votersAt('b')?.includes('b')]).toEqual(['b', true]);
  });

  it('are not heard by who was stopped', async () => {
    const world = await settled();
    world.of('b').stop();
    await world.of('b').recover(recovery('b'), known);
    expect(world.stores.get('b')?.content.has('committee/recovered')).toBe(false);
  });
});

describe('a member that is stopped', () => {
  it('does nothing any more', async () => {
    const world = await settled();
    for (const name of world.names) world.of(name).stop();
    const { lines } = world;
    const before = lines.length;
    await world.pump(60_000);
    expect([lines.length, world.failed]).toEqual([before, []]);
  });
});
