// Services that run on one machine of the swarm at a time: who may hold one here, for how long, and under which fence.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

const test = new TestActuator(true);
let agent: RawClient;
beforeAll(async () => {
  buildPlain();
  await test.start({ policy: '' });
  agent = await test.agent();
});
afterAll(() => test.stop());

/** Of fail-over where `fenced`. */
const service = (name: string, fenced: boolean): unknown[] => [
  ...[name, ['sleep', '600'], '', [], '', [], 0, 0, 'TERM', 5_000, 1 << 20],
  ...(fenced ? [1] : []),
];

describe('a service for fail-over', () => {
  it('is held for 1 to 60,000 ms by both clocks, under a fence that never falls', async () => {
    await agent.ask('declare', [service('shared', true), service('plain', false)]);
    const [awakeMs, wallMs] = [Number(process.hrtime.bigint() / 1_000_000n), Date.now()];
    const hold = async (awake: number, wall: number, fence: number, name = 'shared') => {
      const { code, message } = await agent.ask('hold', name, awakeMs + awake, wallMs + wall, fence);
      return [code, message];
    };
    const range = [3, 'a service is held for 1 to 60,000 ms from now, under a fence of 1 or more'];
    expect(await hold(9_000, 9_000, 1, 'none')).toEqual([1, 'no service none']);
    expect(await hold(9_000, 9_000, 1, 'plain')).toEqual([3, 'plain is not declared for fail-over']);
    expect(await hold(-1, 9_000, 1)).toEqual(range);
    expect(await hold(9_000, -1, 1)).toEqual(range);
    expect(await hold(120_000, 120_000, 1)).toEqual(range);
    expect(await hold(9_000, 9_000, 0)).toEqual(range);
    const elsewhere = 'shared is not placed on this machine: it runs on one member at a time';
    expect(await agent.ask('up', 'shared')).toMatchObject({ code: 3, message: elsewhere });
    expect(await hold(59_000, 120_000, 5)).toEqual([0, 'started']);
    expect(await hold(59_000, 59_000, 5)).toEqual([0, '']);
    expect(await hold(59_000, 59_000, 4)).toEqual([3, 'shared was held under fence 5 already']);
    expect(await hold(59_000, 59_000, 6)).toEqual([3, 'shared still runs under fence 5']);
    const held = test
      .log()
      .split('\n')
      .filter((line) => line.includes(' hold shared ') && line.endsWith(': ok'));
    expect(held.length).toBe(1);
    expect(await agent.ask('release', 'plain')).toMatchObject({ code: 1, message: 'no service for fail-over is called plain' });
    expect(await agent.ask('release', 'shared')).toMatchObject({ code: 0, message: '' });
    expect(await agent.ask('up', 'shared')).toMatchObject({ code: 3, message: elsewhere });
    expect(await hold(59_000, 59_000, 5)).toEqual([0, 'started']);
    await agent.ask('release', 'shared');
    expect(await hold(59_000, 59_000, 6)).toEqual([0, 'started']);
    await agent.ask('release', 'shared');
  });

  const [stopped, running, exited] = ['stopped', 'running', 'exited'];
  const sample = async (one = 'short') =>
    ((await agent.ask('services')).value as unknown[][]).find(([name]) => name === one) ?? [];
  const state = async () => [(await sample())[1], (await sample())[8]];
  const hold = async (ms: number, fence: number, name = 'short') => {
    const answer = await agent.ask('hold', name, Number(process.hrtime.bigint() / 1_000_000n) + ms, Date.now() + ms, fence);
    return [answer.code, answer.message];
  };
  const told = (): unknown[] =>
    agent.frames.filter(([, id, , what]) => id === 0 && (what as unknown[])[0] === 'short').map((one) => one[3]);

  it('is killed when its time is over, and started again by whom it is held for next', async () => {
    await agent.ask('declare', [
      ['short', ['sh', '-c', 'trap "" TERM; while :; do sleep 0.01; done'], ...service('', true).slice(2)],
    ]);
    expect(await state()).toEqual([stopped, 1]); // another may have it
    expect(await hold(120, 3)).toEqual([0, 'started']);
    expect(await state()).toEqual([running, 0]);
    await soon('its end', async () => (await sample())[1] === stopped);
    expect((await sample()).slice(1)).toEqual([stopped, 0, 0, -1, 9, 1, expect.any(Number), 1]);
    expect(await hold(50_000, 2)).toEqual([3, 'short was held under fence 3 already']);
    expect(await hold(50_000, 3)).toEqual([0, 'started']);
    expect((await sample())[6]).toBe(2);
  });

  it('that is renewed goes on until the last of it', async () => {
    expect(await hold(100, 3)).toEqual([0, '']);
    expect(await hold(50_000, 3)).toEqual([0, '']);
    const pid = (await sample())[2];
    await agent.ask('declare', [service('later', true)]);
    expect(await hold(130, 1, 'later')).toEqual([0, 'started']);
    await soon('a later end', async () => (await sample('later'))[1] === stopped);
    expect((await sample()).slice(1, 3)).toEqual([running, pid]);
    expect(await hold(60, 3)).toEqual([0, '']);
    await soon('its end', async () => (await sample())[1] === stopped);
  });

  it('that ended while it was held is down when its time is over, and told so', async () => {
    await agent.ask('declare', [['short', ['sh', '-c', 'exit 3'], ...service('', true).slice(2)]]);
    expect(await hold(150, 4)).toEqual([0, 'started']);
    await soon('its end', async () => (await sample())[1] === exited);
    expect(await state()).toEqual([exited, 0]);
    const count = told().length;
    await soon('the end of its time', async () => (await sample())[1] === stopped);
    expect(await state()).toEqual([stopped, 1]);
    expect(told().length).toBe(count + 1);
  });

  it('that cannot be started is held all the same, and told so', async () => {
    await agent.ask('declare', [['short', ['/no/such'], ...service('', true).slice(2)]]);
    const count = told().length;
    expect(await hold(50_000, 5)).toEqual([4, '/no/such: No such file or directory']);
    expect(told().length).toBeGreaterThan(count + 1);
    expect((await state())[1]).toBe(0);
    expect(await agent.ask('up', 'short')).toMatchObject({ code: 4, message: '/no/such: No such file or directory' });
    expect(await agent.ask('release', 'short')).toMatchObject({ code: 0, message: '' });
    expect(await state()).toEqual([stopped, 1]);
    expect(await agent.ask('up', 'short')).toMatchObject({ code: 3 });
  });
});
