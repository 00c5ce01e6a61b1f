// Services that run on one machine of the swarm at a time: who may hold one here, for how long, and under which fence.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPlain, type RawClient, TestActuator } from '../support/actuator.ts';

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
});
