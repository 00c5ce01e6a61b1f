// The judge of authorizations as the actuator runs it: what it is asked, as whom and where, and what becomes of each way in which it can end.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeCbor } from '../../swarm/dissemination/cbor.ts';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

const [OK, REFUSED, FAILED] = [0, 3, 4];
const LONG_MS = 60_000;
const STEPS = [[['spawn.end'], []]];
const AUTHORIZATION = new Uint8Array([7, 8]);
const test = new TestActuator(true);
/** Programs are not run from memory. */
const place = mkdtempSync(join(tmpdir(), 'kalos-judge-'));
const judge = join(place, 'judge');
let agent: RawClient;
beforeAll(async () => {
  buildPlain();
  judges('exit 0');
  chmodSync(place, 0o755);
  await test.start({ policy: 'swarm 12D3KooWx\n', arguments: ['--judge', judge, '--owned'] });
  agent = await test.agent();
});
beforeEach(() => rmSync(join(test.state, 'leave'), { force: true }));
afterAll(async () => {
  await test.stop();
  rmSync(place, { recursive: true });
});

function judges(script: string): void {
  rmSync(judge, { force: true });
  writeFileSync(judge, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}
let changes = 0;
const arm = async (id = `j-${changes++}`): Promise<[number, string]> => {
  const { code, message } = await agent.ask('arm', id, LONG_MS, STEPS, AUTHORIZATION);
  await agent.ask('undo', id, 'next');
  return [code, message];
};
const kept = (): string | undefined =>
  existsSync(join(test.state, 'leave')) ? readFileSync(join(test.state, 'leave'), 'utf8') : undefined;

describe('the judge', () => {
  it('is asked for the change, its steps, its authorization and the swarm, with what was kept; what it says is kept', async () => {
    judges(`cat > ${place}/question; printf first`);
    expect(await arm('plan')).toEqual([OK, '']);
    const question = () => decodeCbor(readFileSync(join(place, 'question')));
    const none = new Uint8Array();
    const swarm = '12D3KooWx';
    expect(question()).toEqual(['plan', STEPS, AUTHORIZATION, swarm, none, 1]);
    expect(kept()).toBe('first');
    await arm('next');
    expect(question()).toEqual(['next', STEPS, AUTHORIZATION, swarm, new TextEncoder().encode('first'), 1]);
    judges('true');
    await arm();
    expect(kept()).toBe('');
  });

  it('runs in a session of its own, with nothing of the actuator’s but its question and its answer', async () => {
    judges(
      `env > ${place}/env; ls /proc/self/fd | wc -l > ${place}/fds; ps -o pid=,sid= -p $$ > ${place}/ids; echo "$@" > ${place}/words; kill -PIPE $$; true`,
    );
    expect((await arm())[0]).toBe(FAILED);
    const environment = readFileSync(join(place, 'env'), 'utf8')
      .split('\n')
      .filter((line) => !/^(PWD|_|SHLVL|OLDPWD)=|^$/.test(line));
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    expect(environment.sort()).toEqual(['LANG=C.UTF-8', 'NODE_DISABLE_COMPILE_CACHE=1', path]);
    expect(readFileSync(join(place, 'fds'), 'utf8').trim()).toBe('4'); // with the one that ls looks through
    const [pid, session] = readFileSync(join(place, 'ids'), 'utf8').trim().split(/ +/);
    expect(session).toBe(pid);
    expect(readFileSync(join(place, 'words'), 'utf8')).toBe('leave-check\n');
  });

  it.each<[string, number, string]>([
    ['exit 0', OK, ''],
    ['echo no; exit 1', REFUSED, 'its authorization does not hold: no\n'],
    ['echo no; echo why >&2; exit 1', REFUSED, 'its authorization does not hold: no\n'],
    ['echo why >&2; exit 1', REFUSED, 'its authorization does not hold: why\n'],
    [`printf '%0400d' 0; exit 1`, REFUSED, `its authorization does not hold: ${'0'.repeat(300)}`],
    ['echo no; exit 2', FAILED, 'the authorization cannot be judged: JUDGE gives no answer'],
    ['echo why >&2; exit 2', FAILED, 'the authorization cannot be judged: why\n'],
    [`printf '%0400d' 0 >&2; exit 3`, FAILED, `the authorization cannot be judged: ${'0'.repeat(300)}`],
    ['kill -9 $$', FAILED, 'the authorization cannot be judged: JUDGE gives no answer'],
    ['kill -1 $$', FAILED, 'the authorization cannot be judged: JUDGE gives no answer'],
  ])('that does %s leads to %i, and only what holds is kept', async (script, code, message) => {
    judges(script);
    expect(await arm()).toEqual([code, message.replace('JUDGE', judge)]);
    expect(kept()).toBe(code === OK ? '' : undefined);
  });

  it('may keep up to 8 MiB, and is given as much', async () => {
    judges(`head -c ${8 << 20} /dev/zero`);
    expect(await arm()).toEqual([OK, '']);
    expect(kept()?.length).toBe(8 << 20);
    judges(`wc -c > ${place}/size; echo ok`);
    expect(await arm()).toEqual([OK, '']);
    expect(Number(readFileSync(join(place, 'size'), 'utf8'))).toBeGreaterThan(8 << 20);
    judges(`head -c ${(8 << 20) + 1} /dev/zero`);
    expect((await arm())[0]).toBe(FAILED);
    expect(kept()).toBe('ok\n');
    writeFileSync(join(test.state, 'leave'), Buffer.alloc((8 << 20) + 1));
    judges('exit 0');
    expect(await arm()).toEqual([
      FAILED,
      `${test.state}/leave: the record of used authorizations cannot be read, or is larger than 8 MiB: restore or remove it`,
    ]);
  });

  it('judges one after the other, 16 at most that wait', async () => {
    judges(`while [ ! -e ${place}/go ]; do sleep 0.01; done; cat >> ${place}/all; echo x`);
    const asked = Array.from({ length: 17 }, (_, nth) => agent.ask('arm', `many-${nth}`, LONG_MS, STEPS, AUTHORIZATION));
    const last = await asked[16];
    expect([last?.code, last?.message]).toEqual([FAILED, '16 authorizations wait for the judge already: try again later']);
    writeFileSync(join(place, 'go'), '');
    for (const one of asked.slice(0, 16)) expect((await one).code).toBe(OK);
    const all = readFileSync(join(place, 'all'), 'latin1').match(/many-\d+/g);
    expect(all).toEqual(Array.from({ length: 16 }, (_, nth) => `many-${nth}`));
    await soon('it to be over', async () => ((await agent.ask('state', 'many-15')).value as unknown[])[0] === 'armed');
  });

  it('is not asked of what cannot be done at all, or is not armed', async () => {
    judges(`touch ${place}/asked`);
    for (const steps of [[], [[['shell', 'id'], []]], [[['file.remove', '/etc/passwd'], []]]])
      expect((await agent.ask('arm', 'never', LONG_MS, steps, AUTHORIZATION)).code).toBe(REFUSED);
    expect(existsSync(join(place, 'asked'))).toBe(false);
    judges('exit 0');
    expect((await agent.ask('arm', 'a.b', LONG_MS, STEPS, AUTHORIZATION)).code).toBe(REFUSED);
  });
});
