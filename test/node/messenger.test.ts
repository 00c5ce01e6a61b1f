// Messages and requests to other members: who is not asked, whom one waits for and gives up, and who is dialed first.
import { describe, expect, it } from 'vitest';
import { Messenger } from '../../node/link/messenger.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { Member } from '../../swarm/membership/member-table.ts';
import { swarmNames } from '../../swarm/names.ts';
import { AT_ONCE } from '../../swarm/query/allowance.ts';
import { pass } from '../support/virtual.ts';

const BODY = new Uint8Array([1]);

function world() {
  const scheduler = new Scheduler();
  const clock = new ProcessClock(scheduler);
  const its = {
    members: new Map<string, Pick<Member, 'state' | 'connected'>>(),
    silent: new Set<string>(),
    sparse: false,
    /** How long each takes to answer, and to be dialed. */
    answersMs: new Map<string, number>(),
    dialMs: 0,
  };
  const log = { sent: [] as string[], asked: [] as string[], dialed: [] as string[], doubted: [] as string[] };
  const after = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));
  const transport = {
    self: 'self',
    send: (peer: string) => void log.sent.push(peer),
    request: async (peer: string, _protocol: string, _body: Uint8Array, withinMs: number) => {
      log.asked.push(`${peer} ${Math.round(withinMs)}`);
      await after(its.answersMs.get(peer) ?? 10);
      return new TextEncoder().encode(peer);
    },
  };
  const messenger = new Messenger(transport, clock, swarmNames('5'.repeat(32)), {
    get isSparse() {
      return its.sparse;
    },
    member: (peer) => its.members.get(peer) as Member | undefined,
    isSilent: (peer) => its.silent.has(peer),
    dial: async (peer) => {
      log.dialed.push(peer);
      await after(its.dialMs);
    },
    doubt: (peer) => void log.doubted.push(peer),
  });
  const member = (peer: string, state: Member['state'] = 'alive', connected = true): void =>
    void its.members.set(peer, { state, connected });
  const one = (peer: string, withinMs = 5_000): { result: string } => {
    const seen = { result: 'waiting' };
    messenger.ask(peer, 'table', BODY, withinMs).then(
      (bytes) => {
        seen.result = new TextDecoder().decode(bytes);
      },
      (error: Error & { code: string }) => {
        seen.result = `${error.code}: ${error.message}`;
      },
    );
    return seen;
  };
  return { messenger, its, log, member, one, pump: (ms: number) => pass(scheduler, ms) };
}

describe('one member', () => {
  it('is asked, unless the member is down or silent; one that is only unreachable is tried', async () => {
    const { its, log, member, one, pump } = world();
    for (const [peer, state] of [
      ['a', 'alive'],
      ['b', 'unreachable'],
      ['c', 'down'],
      ['d', 'alive'],
    ] as const)
      member(peer, state);
    its.silent.add('d');
    const answers = ['a', 'b', 'c', 'd', 'stranger'].map((peer) => one(peer));
    await pump(100);
    expect(answers.map(({ result }) => result)).toEqual([
      'a',
      'b',
      'down: the member is down',
      'timeout: no answer to probes',
      'stranger',
    ]);
    expect(log.asked).toEqual(['a 5000', 'b 5000', 'stranger 5000']);
  });

  it('that is slow is probed meanwhile, and waited for while it answers probes', async () => {
    const { messenger, its, log, one, pump } = world();
    its.answersMs.set('a', 3_000);
    const answer = one('a');
    await pump(499);
    expect(log.doubted).toEqual([]);
    await pump(2);
    expect(log.doubted).toEqual(['a']);
    messenger.changed('a');
    await pump(3_000);
    expect([answer.result, log.doubted]).toEqual(['a', ['a']]);
    one('b');
    await pump(1_000);
    expect(log.doubted).toEqual(['a']); // it had answered by then
  });

  it('is given up by all who wait for it once it is silent or down', async () => {
    const { messenger, its, member, one, pump } = world();
    for (const peer of ['a', 'b']) its.answersMs.set(peer, 3_000);
    const answers = [one('a'), one('a'), one('b')];
    await pump(600);
    its.silent.add('a');
    messenger.changed('a');
    await pump(10);
    expect(answers.map(({ result }) => result.split(':')[0])).toEqual(['timeout', 'timeout', 'waiting']);
    member('b', 'down');
    messenger.changed('b');
    await pump(10);
    expect(answers[2]?.result).toBe('down: the member is down');
    its.silent.clear();
    const again = one('a');
    messenger.changed('a');
    await pump(4_000);
    expect(again.result).toBe('a');
  });

  it('that is not connected is dialed first in a large swarm, all of it within the time', async () => {
    const { its, log, member, one, pump } = world();
    its.sparse = true;
    its.dialMs = 300;
    member('a', 'alive', false);
    member('b', 'alive', true);
    const answers = [one('a', 1_000), one('b', 1_000)];
    await pump(700);
    expect(answers.map(({ result }) => result)).toEqual(['a', 'b']);
    expect([log.dialed, log.asked]).toEqual([['a'], ['b 1000', 'a 700']]);
    its.dialMs = 2_000;
    const late = one('a', 1_000);
    await pump(1_100);
    expect(late.result).toBe('timeout: no connection within 1000 ms');
    its.sparse = false;
    one('a');
    expect(log.dialed.length).toBe(2);
  });
});

describe('several members', () => {
  it('are asked the same; who is out of reach is missing at once, with why, and nobody asks itself', async () => {
    const { messenger, log, member, pump } = world();
    member('a');
    member('b', 'unreachable');
    member('c', 'down');
    const got: string[] = [];
    const missing = messenger.askAll(['self', 'a', 'b', 'c'], 'table', BODY, {
      timeoutMs: 1_000,
      maxBytes: 100,
      take: (peer) => void got.push(peer),
    });
    await pump(100);
    expect([got, await missing]).toEqual([
      ['a'],
      [
        { peer: 'b', reason: 'unreachable' },
        { peer: 'c', reason: 'down' },
      ],
    ]);
    expect(log.asked.map((one) => one.split(' ')[0])).toEqual(['a']);
  });

  it('are asked no more often than they take; who waits has its turn within its time', async () => {
    const { messenger, log, pump } = world();
    const options = { timeoutMs: 1_000, maxBytes: 100, asker: 'anna', take: () => undefined };
    const answers = Array.from({ length: AT_ONCE + 8 }, () => messenger.askAll(['a'], 'table', BODY, options));
    await pump(50);
    expect(log.asked.length).toBe(AT_ONCE);
    await pump(1_100);
    expect(log.asked.length).toBe(AT_ONCE + 5 - 1);
    const missing = (await Promise.all(answers)).flat().map(({ reason }) => reason);
    expect(new Set(missing)).toEqual(new Set(['not asked: this agent’s limit of 5 requests a second to a member is used up']));
    expect(log.asked.at(-1)).toMatch(/^a [12]\d\d$/); // what is left of its time
  });
});
