// What a service is started as: its user, directory, environment and limits, what it is told where one of these cannot be, and its record.
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

const ROOT = process.getuid?.() === 0;
const OWN = userInfo().username;
const test = new TestActuator(true);
let agent: RawClient;
beforeAll(async () => {
  buildPlain();
  await test.start({ policy: '' });
  agent = await test.agent();
});
afterAll(() => test.stop());

const FIELDS = ['web', ['sleep', '600'], '', [], OWN, [], 0, 0, 'TERM', 5_000, 1 << 20] as const;
const but = (at: number, value: unknown): unknown[] => FIELDS.map((field, nth) => (nth === at ? value : field));
const sample = async (name: string) => ((await agent.ask('services')).value as unknown[][]).find(([one]) => one === name);
const logOf = (name: string): string => readFileSync(join(test.state, 'services', `${name}.log`), 'utf8');

describe('a service', () => {
  it('runs in its directory, with its environment and limits, and its end is on record', async () => {
    const script = 'pwd; echo "$A|$B|$PATH|$HOME|$LANG"; ulimit -n; exit 7';
    const spec: unknown[] = [...FIELDS];
    spec.splice(0, 6, 'run', ['sh', '-c', script], '/usr', ['A=1=2', 'B=', '=c', 'none'], OWN, [['nofile', 99]]);
    await agent.ask('declare', [spec]);
    expect(await agent.ask('up', 'run')).toMatchObject({ code: 0, message: '' });
    const over = await soon('its end', async () => (await sample('run'))?.[1] === 'exited' && sample('run'));
    expect(over).toEqual(['run', 'exited', 0, 0, 7, 0, 1, expect.any(Number), 0]);
    const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    expect(logOf('run')).toBe(`/usr\n1=2||${path}|${userInfo().homedir}|C.UTF-8\n99\n`);
    const record = decodeCbor(readFileSync(join(test.state, 'services', 'run.run'))) as unknown[];
    expect(record).toEqual([2, expect.stringMatching(/^[0-9a-f-]{36}$/), 0, expect.any(Number), 1, 0, 0]);
  });

  it('that cannot begin says why', async () => {
    for (const [wrong, code, message] of [
      [but(1, ['/no/such']), 4, '/no/such: No such file or directory'],
      [but(2, '/no/such'), 4, '/no/such: No such file or directory'],
      [but(4, 'no-such-user'), 3, 'web: no user no-such-user in /etc/passwd'],
      ...(ROOT ? ([[but(4, 'nobody'), 3, "web: the actuator's policy does not allow services as nobody"]] as const) : []),
    ] as [unknown[], number, string][]) {
      await agent.ask('declare', [wrong]);
      expect(await agent.ask('up', 'web')).toMatchObject({ code, message });
    }
  });

  it.skipIf(!ROOT)('without a user has one of its own, the same at each start, in a place where it may look', async () => {
    const script = 'id -u; id -g; id -G; pwd; echo "$HOME|$USER"; grep NoNewPrivs /proc/self/status; exec sleep 600';
    await agent.ask('declare', [[...FIELDS.slice(0, 1), ['sh', '-c', script], '', [], '', ...FIELDS.slice(5)]]);
    expect(await agent.ask('up', 'web')).toMatchObject({ code: 0 });
    const said = await soon('what it says', () => logOf('web').includes('NoNewPrivs') && logOf('web'));
    const users = decodeCbor(readFileSync(join(test.state, 'services', 'users'))) as [string, number][];
    expect(users).toEqual([['web', expect.any(Number)]]);
    let hash = 2_166_136_261; // FNV-1a
    for (const byte of Buffer.from('web')) hash = Math.imul(hash ^ byte, 16_777_619) >>> 0;
    const uid = 61_184 + (hash % 4_336);
    expect(users[0]?.[1]).toBe(uid);
    expect(said).toBe(`${uid}\n${uid}\n${uid}\n/\n/|\nNoNewPrivs:\t1\n`);
    await test.kill();
    await test.start();
    agent = await test.agent();
    expect(decodeCbor(readFileSync(join(test.state, 'services', 'users')))).toEqual(users);
    expect((await sample('web'))?.slice(0, 2)).toEqual(['web', 'running']);
  });
});
