// What an agent may declare as services: each field and each limit, and that an actuator after this one knows them without it.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

describe('a declaration', () => {
  const test = new TestActuator(true);
  let agent: RawClient;
  beforeAll(async () => {
    buildPlain();
    await test.start({ policy: '' });
    agent = await test.agent();
  });
  afterAll(() => test.stop());
  const FIELDS = ['web', ['sleep', '600'], '', [], '', [], 0, 0, 'TERM', 5_000, 1 << 20, 1] as const;
  const but = (at: number, value: unknown): unknown[] => FIELDS.map((field, nth) => (nth === at ? value : field));
  const lists = (count: number): string[] => Array.from({ length: count }, () => 'A=b');
  const NO_LIST = 'a service is a list of eleven or twelve fields';
  const KIND = 'a field of a service is of the wrong kind';
  const NUMBER = 'web: a number or a signal that cannot be';
  const COMMAND = 'web: a command is 1 to 256 arguments';
  const ENVIRONMENT = 'web: the environment is a list of KEY=value';

  it.each<[unknown, string]>([
    ['x', NO_LIST],
    [FIELDS.slice(0, 10), NO_LIST],
    [[...FIELDS, 0], NO_LIST],
    ...[1, 'x', 1, 'x', 1, 'x', 'x', 'x', 1, 'x', 'x', 'x'].map((wrong, nth): [unknown, string] => [but(nth, wrong), KIND]),
    [but(0, ''), 'a service needs a plain name'],
    [but(0, 'a:b'), 'a service needs a plain name'],
    [but(0, '-a'), 'a service needs a plain name'],
    [but(1, []), COMMAND],
    [but(1, ['']), COMMAND],
    [but(1, ['a', 1]), COMMAND],
    [but(1, lists(257)), COMMAND],
    [but(3, lists(257)), ENVIRONMENT],
    [but(3, [1]), ENVIRONMENT],
    [but(5, [['none', 1]]), 'web: not a limit'],
    [but(5, [['nofile', -1]]), 'web: not a limit'],
    [but(5, [['nofile']]), 'web: not a limit'],
    [but(5, [['nofile', 'x']]), 'web: not a limit'],
    [but(5, [1]), 'web: not a limit'],
    [
      but(
        5,
        Array.from({ length: 257 }, () => ['nofile', 1]),
      ),
      'web: too many limits',
    ],
    [but(6, -1), NUMBER],
    [but(7, -1), NUMBER],
    [but(8, 'WINCH'), NUMBER],
    [but(9, -1), NUMBER],
    [but(9, 600_001), NUMBER],
    [but(10, 4_095), NUMBER],
    [but(1, ['a', 'x'.repeat(131_070)]), 'web: its command, environment and directory are 131073 bytes, at most 131072'],
  ])('%j is refused: %s', async (spec, message) => {
    expect(await agent.ask('declare', [['web2', ...FIELDS.slice(1)], spec])).toMatchObject({ code: 3, message });
    expect(await agent.ask('up', 'web2')).toMatchObject({ code: 1, message: 'no service web2' });
  });

  it.each<[unknown[]]>([
    [[...FIELDS]],
    [FIELDS.slice(0, 11)],
    [but(1, lists(256))],
    [but(3, lists(256))],
    [
      but(
        5,
        Array.from({ length: 256 }, () => ['nofile', 64]),
      ),
    ],
    [but(5, [['nofile', 0]])],
    [but(9, 600_000)],
    [but(9, 0)],
    [but(10, 4_096)],
    [but(1, ['a', 'x'.repeat(131_069)])],
  ])('%j is taken', async (spec) => {
    expect(await agent.ask('declare', [spec])).toMatchObject({ code: 0, message: '' });
  });

  it('is of at most 256 services', async () => {
    const named = (count: number): unknown[] => Array.from({ length: count }, (_, nth) => but(0, `s${nth}`));
    expect(await agent.ask('declare', named(257))).toMatchObject({ code: 3, message: 'at most 256 services' });
    expect(await agent.ask('declare', named(256))).toMatchObject({ code: 0 });
  });

  it('is known to the next actuator, without an agent', async () => {
    expect(await agent.ask('declare', [but(0, 'a'), but(0, 'b')])).toMatchObject({ code: 0 });
    await test.kill();
    await test.start();
    const raw = await test.raw();
    expect(((await raw.ask('services')).value as unknown[][]).map(([name, state]) => [name, state])).toEqual([
      ['a', 'stopped'],
      ['b', 'stopped'],
    ]);
    agent = await test.agent();
  });

  it('with limits of CPU and memory holds its service to them, where the machine can, and nothing of that stays', async () => {
    const name = `kalos-test-${process.pid}`;
    const fields: unknown[] = but(0, name);
    fields.splice(6, 2, 500, 64 << 20);
    await agent.ask('declare', [fields.slice(0, 11)]);
    const limit = async (controller: string) => {
      const { code, value } = await agent.ask('read', ['cgroup.read', name, controller]);
      return code === 0 ? value : undefined;
    };
    const controllers = ['cpu', 'memory', 'freezer'] as const;
    const able = (await Promise.all(controllers.map(limit))).map((value) => value !== undefined);
    const started = await agent.ask('up', name);
    expect(started.code).toBe(0);
    if (started.message !== '')
      return expect(started.message).toMatch(/no cgroup controller for (cpu|memory): its limit does not hold/);
    let nth = 0;
    const set = async (controller: string, value: number) => {
      const id = `c-${nth++}`;
      await agent.ask('arm', id, 60_000, [[['cgroup.write', name, controller, value], []]]);
      const { code, message } = await agent.ask('apply', id, 0);
      await agent.ask('undo', id, 'next');
      return [code, message];
    };
    for (const [at, controller] of controllers.entries()) {
      if (!able[at]) continue;
      const [first, ...values] = { cpu: [500, 250, 0], memory: [64 << 20, 128 << 20, 0], freezer: [0, 1, 0] }[controller];
      expect([controller, await limit(controller)]).toEqual([controller, first]);
      for (const value of values) {
        expect(await set(controller, value)).toEqual([0, '']);
        expect([controller, await limit(controller)]).toEqual([controller, value]);
      }
      expect((await set(controller, -1))[0]).toBe(3);
    }
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => / cgroup2? /.test(line))
      .map((line) => join(line.split(' ')[1] ?? '', 'kalos', name));
    expect(mounts.some((group) => existsSync(group))).toBe(true);
    const pid = Number(((await agent.ask('services')).value as unknown[][]).find(([one]) => one === name)?.[2]);
    expect(readFileSync(`/proc/${pid}/cgroup`, 'utf8')).toContain(`/kalos/${name}\n`);
    await agent.ask('arm', 'stop', 60_000, [[['service.stop', name], []]]);
    await agent.ask('apply', 'stop', 0);
    await soon('its groups to be gone', () => !mounts.some((group) => existsSync(group)));
    expect(await limit('cpu')).toBe(able[0] ? 0 : undefined);
  });
});
