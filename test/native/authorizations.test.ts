// Authorizations at the actuator itself: what its policy has certified is not touched without one, whatever the agent says; it is judged in a process
// of its own, and good once, across crashes of the actuator too.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import type { Step } from '../../node/ports/actuator.ts';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { AuthorizationWorld } from '../support/authorizations.ts';

const FIRE_MS = 60_000;
const STOP: readonly Step[] = [{ do: ['service.stop', 'web'], undo: ['service.start', 'web'] }];
const OTHER: readonly Step[] = [{ do: ['service.stop', 'plain'], undo: ['service.start', 'plain'] }];
const SERVICES = [
  { name: 'web', command: ['sleep', '600'] },
  { name: 'plain', command: ['sleep', '600'] },
];
const POLICY =
  'certify service web\nallow sysctl vm.swappiness\ncertify sysctl vm.swappiness\nallow process sleep\nallow path /srv\ncertify path /srv/kept\n';
const { launcherPath } = findPackage();

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
beforeAll(buildSanitized);

async function make(
  more: readonly string[] = ['--judge', launcherPath, '--owned'],
  policy = POLICY,
  under: readonly string[] = [],
) {
  const test = new TestActuator();
  cleanups.push(() => test.stop());
  await test.start({ policy, arguments: more, under });
  return { test, client: await test.client(SERVICES) };
}

/** A program that stands in for the judge. */
function program(script: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'kalos-judge-'));
  cleanups.push(() => rmSync(directory, { recursive: true }));
  chmodSync(directory, 0o755);
  const path = join(directory, 'judge');
  writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

describe('what is certified', () => {
  it('is not touched without an authorization: a service, its processes, a setting; the rest is', async () => {
    const { client } = await make();
    await client.bringUp('web');
    const lacks = {
      ok: false,
      code: 'refused',
      message: expect.stringContaining('it needs an authorization (certify service web)'),
    };
    expect(await client.arm('a-1', FIRE_MS, STOP)).toMatchObject(lacks);
    expect(await client.arm('a-2', FIRE_MS, [...OTHER, ...STOP])).toMatchObject(lacks);
    expect(await client.arm('a-3', FIRE_MS, [{ do: ['cgroup.write', 'web', 'cpu', 500], undo: undefined }])).toMatchObject(lacks);
    const { pid = 0, startTicks = 0 } = client.services().find(({ name }) => name === 'web') ?? {};
    expect(
      await client.arm('a-4', FIRE_MS, [{ do: ['process.signal', pid, startTicks, 'STOP'], undo: undefined }]),
    ).toMatchObject(lacks);
    expect(await client.arm('a-5', FIRE_MS, [{ do: ['sysctl.write', 'vm.swappiness', '60'], undo: undefined }])).toMatchObject({
      message: expect.stringContaining('certify sysctl vm.swappiness'),
    });
    // Nor by way of the undo of something else, which whoever armed it can have done at once.
    expect(await client.arm('a-7', FIRE_MS, [{ do: ['service.stop', 'plain'], undo: ['service.stop', 'web'] }])).toMatchObject(
      lacks,
    );
    for (const primitive of [
      ['file.remove', '/srv/kept/a'],
      ['files.hide', '/srv', ['kept']],
    ] as const)
      expect(await client.arm('a-8', FIRE_MS, [{ do: primitive, undo: undefined }])).toMatchObject({
        message: expect.stringContaining('certify path /srv/kept'),
      });
    expect(await client.arm('a-6', FIRE_MS, OTHER)).toEqual({ ok: true });
  });

  it('is, with an authorization of just that, once, across a crash of the actuator', async () => {
    const { test, client } = await make();
    const world = await AuthorizationWorld.of(8, Date.now());
    const authorization = world.leave(world.certificate(STOP, { plan: 'inc-1-1' }));
    expect(await client.arm('inc-1-1', FIRE_MS, OTHER, authorization)).toMatchObject({
      message: expect.stringContaining('its authorization does not hold: the certificate is for other arguments'),
    });
    expect(await client.arm('inc-1-1', FIRE_MS, STOP, authorization)).toEqual({ ok: true });
    expect(await client.apply('inc-1-1', 0)).toEqual({ ok: true });
    await client.leave();
    await test.kill();
    await test.start({ arguments: ['--judge', launcherPath, '--owned'] });
    const again = await test.client(SERVICES);
    expect(await again.arm('inc-1-1', FIRE_MS, STOP, authorization)).toMatchObject({
      message: 'its authorization does not hold: the authorization was used already',
    });
    expect(test.log()).toContain('arm inc-1-1');
    // One that operators have signed.
    const order = await world.order(STOP);
    const [first, second] = await Promise.all([
      again.arm('act-1', FIRE_MS, STOP, order),
      again.arm('act-2', FIRE_MS, STOP, order), // judged after the first one, though asked at once
    ]);
    expect([first, second]).toEqual([
      { ok: true },
      expect.objectContaining({ message: 'its authorization does not hold: the authorization was used already' }),
    ]);
  });

  it('is not touched by an authorization of a swarm that an agent has made up, where the policy names the swarm', async () => {
    const [world, madeUp] = [await AuthorizationWorld.of(8, Date.now()), await AuthorizationWorld.of(8, Date.now())];
    const { client } = await make(undefined, `${POLICY}swarm ${world.roster.swarmId}\n`);
    expect(await client.arm('plan-1', FIRE_MS, STOP, madeUp.leave(madeUp.certificate(STOP)))).toMatchObject({
      message: 'its authorization does not hold: the authorization is for another swarm than the actuator’s policy names',
    });
    expect(await client.arm('plan-1', FIRE_MS, STOP, world.leave(world.certificate(STOP)))).toEqual({ ok: true });
  });

  it('stays untouched where nobody judges, where the judge cannot be run, and where it gives no answer', async () => {
    const world = await AuthorizationWorld.of(8, Date.now());
    const authorization = world.leave(world.certificate(STOP));
    const none = await make([]);
    expect(await none.client.arm('plan-1', FIRE_MS, STOP, authorization)).toMatchObject({
      message: expect.stringContaining('this actuator has no judge'),
    });
    const absent = await make(['--judge', '/no/such/program']);
    expect(await absent.client.arm('plan-1', FIRE_MS, STOP, authorization)).toMatchObject({
      code: 'failed',
      message: 'the authorization cannot be judged: /no/such/program: No such file or directory',
    });
    const silent = await make(['--judge', program('kill -9 $$')]);
    expect(await silent.client.arm('plan-1', FIRE_MS, STOP, authorization)).toMatchObject({
      code: 'failed',
      message: expect.stringContaining('the authorization cannot be judged'),
    });
    expect(existsSync(join(silent.test.state, 'leave'))).toBe(false);
  });

  it('is not armed for an agent that another one has followed, or that is gone, while its authorization was judged', async () => {
    const judge = join(mkdtempSync(join(tmpdir(), 'kalos-go-')), 'go');
    cleanups.push(() => rmSync(dirname(judge), { recursive: true }));
    chmodSync(dirname(judge), 0o755);
    const { test, client } = await make(['--judge', program(`while [ ! -e ${judge} ]; do sleep 0.02; done`)]);
    await client.close();
    const steps = [
      [
        ['service.stop', 'web'],
        ['service.start', 'web'],
      ],
    ];
    const [gone, old, fresh] = [await test.raw(), await test.raw(), await test.raw()];
    await gone.ask('hello');
    gone.send(encodeCbor([1, 9, 'arm', 'of-gone', FIRE_MS, steps, new Uint8Array([1])]));
    await gone.ask('beat', 0); // it was taken
    gone.socket.destroy();
    await old.ask('hello');
    const late = old.ask('arm', 'of-old', FIRE_MS, steps, new Uint8Array([1]));
    await old.ask('beat', 0);
    await fresh.ask('hello');
    writeFileSync(judge, '');
    expect(await late).toMatchObject({ code: 3, message: expect.stringContaining('stale term') });
    for (const id of ['of-gone', 'of-old'])
      expect(await fresh.ask('confirm', id)).toMatchObject({ code: 1, message: `${id}: no such change` });
  });

  it('can be a program, a block device, and a log that a rotation moves; of what is no primitive nobody knows', async () => {
    const policy = `allow program /bin/echo\ncertify program /bin/echo\nallow block vda\ncertify block vda\nallow path /srv\ncertify path /srv/app.log.2\n`;
    const { client } = await make(undefined, policy);
    const lacks = (rule: string) => ({
      ok: false,
      code: 'refused',
      message: expect.stringContaining(`it needs an authorization (certify ${rule})`),
    });
    for (const [primitive, rule] of [
      [['spawn', '', ['/bin/echo'], 1_000], 'program /bin/echo'],
      [['block.write', 'vda', 'scheduler', 'none'], 'block vda'],
      [['file.rotate', '/srv/app.log', 3], 'path /srv/app.log.2'],
    ] as const)
      expect(await client.arm('p-1', FIRE_MS, [{ do: primitive, undo: undefined }])).toMatchObject(lacks(rule));
    const unknown = ['shell', 'id'] as unknown as Step['do'];
    for (const step of [
      { do: unknown, undo: undefined },
      { do: OTHER[0]?.do ?? unknown, undo: unknown },
    ])
      expect(await client.arm('p-2', FIRE_MS, [step], new Uint8Array([1]))).toMatchObject({
        code: 'refused',
        message: 'no such primitive, or not with these arguments',
      });
    expect(await client.arm('p-3', FIRE_MS, [{ do: ['file.rotate', '/srv/app.log', 1], undo: undefined }])).toEqual({ ok: true });
  });

  it.skipIf(process.getuid?.() !== 0)('is judged as the agent is by an actuator that is its own', async () => {
    const { test, client } = await make(['--judge', program('id -u'), '--owned']);
    expect(await client.arm('plan-1', FIRE_MS, STOP, new Uint8Array([1]))).toEqual({ ok: true });
    expect(readFileSync(join(test.state, 'leave'), 'utf8')).toBe('0\n');
  });

  it.skipIf(process.getuid?.() !== 0)(
    'is judged without privileges, and what the judge says is kept before anything is armed',
    async () => {
      const { test, client } = await make(['--judge', program('echo "a warning" >&2; id -u; id -g; id -G')], POLICY, [
        'setpriv',
        '--groups=4242',
      ]);
      expect(await client.arm('plan-1', FIRE_MS, STOP, new Uint8Array([1]))).toEqual({ ok: true });
      expect(readFileSync(join(test.state, 'leave'), 'utf8')).toBe('65534\n65534\n65534\n');
    },
  );
});
