// What somebody would try against the actuator, and the control that stops it, one a test: its name is in the title. The
// build is sanitized: a memory error fails the test as well.
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import type { Primitive, Step } from '../../node/ports/actuator.ts';
import { encodeCbor, utf8 } from '../../swarm/dissemination/cbor.ts';
import { buildSanitized, FUZZER, TestActuator } from '../support/actuator.ts';
import { eventually } from '../support/clock.ts';
import { patient } from '../support/patience.ts';

const LONG_MS = 60_000;
const MAX_FRAME_BYTES = 1024 * 1024;
const ROOT = process.getuid?.() === 0;
const NOBODY = 65_534;
const REFUSED = { ok: false, code: 'refused' };

const tests: TestActuator[] = [];
afterEach(async () => {
  for (const test of tests.splice(0)) await test.stop();
});
beforeAll(buildSanitized);

/** An actuator that may change `data` in its directory, with a client. */
async function make(policy = ''): Promise<{ test: TestActuator; data: string; client: ActuatorClient }> {
  const test = new TestActuator();
  tests.push(test);
  const data = join(test.directory, 'data');
  mkdirSync(data);
  await test.start({ policy: `allow path ${data}\n${policy}` });
  return { test, data, client: await test.client([{ name: 'one', command: ['sleep', '600'] }]) };
}

let ids = 0;
const nextId = (): string => `change-${ids++}`;

/** Arms one step and applies it; the first outcome that is not well, or the last. */
async function attempt(client: ActuatorClient, primitive: Primitive) {
  const id = nextId();
  const armed = await client.arm(id, LONG_MS, [{ do: primitive, undo: undefined }]);
  return armed.ok ? client.apply(id, 0) : armed;
}

const write = (path: string, content = 'evil'): Primitive => ['file.replace', path, utf8(content), -1];

describe('who may speak', () => {
  it.skipIf(!ROOT)('a wrong uid is turned away (SO_PEERCRED), even where it can reach the socket', async () => {
    const { test } = await make();
    chmodSync(test.directory, 0o755);
    chmodSync(test.socket, 0o777);
    process.seteuid?.(NOBODY); // the kernel notes who connects
    const stranger = await test.raw();
    process.seteuid?.(0);
    await eventually('the connection to be closed', () => stranger.closed || undefined);
    expect(test.log()).toContain(`the last of uid ${NOBODY}`);
  });

  it('a stale agent changes nothing any more (fencing by term)', async () => {
    const { test, data } = await make();
    const [old, fresh] = [await test.raw(), await test.raw()];
    expect((await old.ask('arm', 'x', LONG_MS, [])).message).toBe('say hello first');
    expect((await old.ask('hello')).code).toBe(0);
    const steps = [[write(join(data, 'f')), []]];
    expect((await old.ask('arm', 'mine', LONG_MS, steps)).code).toBe(0);
    expect((await fresh.ask('hello')).code).toBe(0);
    for (const request of [
      ['arm', 'late', LONG_MS, steps],
      ['apply', 'mine', 0],
      ['confirm', 'mine'],
      ['undo', 'mine', 'x'],
      ['declare', []],
      ['up', 'one'],
    ] as const)
      expect(await old.ask(...(request as unknown as [string]))).toMatchObject({
        code: 3,
        message: expect.stringContaining('stale term'),
      });
    expect(existsSync(join(data, 'f'))).toBe(false);
    expect((await fresh.ask('apply', 'mine', 0)).code).toBe(0);
  });

  it('a system’s actuator is not an agent’s to end', async () => {
    const { test } = await make();
    const raw = await test.raw();
    await raw.ask('hello');
    expect(await raw.ask('shutdown')).toMatchObject({ code: 3, message: 'it does not belong to this agent' });
  });
});

describe('frames', () => {
  it('an argument of 1 GB is refused by its length (frame limit), before a byte of it is kept', async () => {
    const { test, client } = await make();
    const raw = await test.raw();
    raw.send(new Uint8Array(1000), 2 ** 30);
    await eventually('the connection to be closed', () => raw.closed || undefined);
    expect(test.log()).toContain('a frame of 1073741824 bytes; at most 1 MiB');
    const most = await test.raw();
    most.send(encodeCbor([1, 1, 'x'.repeat(MAX_FRAME_BYTES)]));
    await eventually('the connection to be closed', () => most.closed || undefined);
    expect((await client.read(['process.read', process.pid])).ok).toBe(true);
  });

  it.each([
    ['not CBOR', new Uint8Array([0xff, 0xff, 0xff])],
    ['an array that claims 2³² items', new Uint8Array([0x9a, 0xff, 0xff, 0xff, 0xff])],
    ['a length that is not definite', new Uint8Array([0x9f, 0x01, 0xff])],
    ['a number in a longer form than it needs', new Uint8Array([0x83, 0x18, 0x01, 0x01, 0x61, 0x78])],
    ['something after the request', new Uint8Array([...encodeCbor([1, 1, 'hello']), 0])],
    ['a map', encodeCbor({ a: 1 })],
    ['nested deeper than any request', encodeCbor([1, 1, 'read', [[[[[[[['x']]]]]]]]])],
    ['another version', encodeCbor([2, 1, 'hello'])],
    ['no id', encodeCbor([1, 0, 'hello'])],
    ['a text with a NUL', encodeCbor([1, 1, 'he\0llo'])],
  ])('%s ends the connection (strict framing)', async (_what, body) => {
    const { test } = await make();
    const raw = await test.raw();
    raw.send(body);
    await eventually('the connection to be closed', () => raw.closed || undefined);
    expect(raw.frames).toEqual([]);
    expect(test.process?.exitCode).toBeNull();
  });

  it('a slow client is dropped after 5 s (frame deadline) and holds up nobody', async () => {
    const { test, client } = await make();
    const raw = await test.raw();
    raw.socket.write(Buffer.from([0, 0, 0, 100, 0x83]));
    const beganMs = performance.now();
    while (!raw.closed) {
      const askedMs = performance.now();
      await client.read(['process.read', process.pid]);
      expect(performance.now() - askedMs).toBeLessThan(patient(2_000));
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (performance.now() - beganMs > patient(20_000)) throw new Error('it was never dropped');
    }
    expect(test.log()).toContain('a frame took longer than 5 s');
  });

  it('10,000 connections leave the agent its own (connection limit)', async () => {
    const { test, client } = await make();
    const open: Socket[] = [];
    for (let wave = 0; wave < 100; wave++) {
      const made = Array.from({ length: 100 }, () => createConnection(test.socket).on('error', () => undefined));
      open.push(...made);
      await Promise.all(
        made.map(
          (socket) => new Promise((resolve) => socket.once('connect', resolve).once('error', resolve).once('close', resolve)),
        ),
      );
      if (wave % 10 === 0) expect((await client.read(['process.read', process.pid])).ok).toBe(true);
    }
    const descriptors = readdirSync(`/proc/${test.process?.pid}/fd`).length;
    expect(descriptors).toBeLessThan(40);
    expect((await client.read(['process.read', process.pid])).ok).toBe(true);
    for (const socket of open) socket.destroy();
  });

  it('more than 60 changes a minute are refused (rate limit)', async () => {
    const { client, data } = await make();
    const outcomes = [];
    for (let i = 0; i < 62; i++) {
      const id = nextId();
      outcomes.push((await client.arm(id, LONG_MS, [{ do: write(join(data, 'f')), undo: undefined }])).ok);
      await client.undo(id, 'enough');
    }
    expect(outcomes.filter((ok) => ok).length).toBe(60);
  });

  it('a million mutated inputs find no memory error (address and undefined-behaviour sanitizers)', async () => {
    const { stdout } = await promisify(execFile)(FUZZER, ['1000000', '1']);
    expect(stdout).toMatch(/^inputs=1000000 requests=\d{5,} /);
  });
});

describe('what is asked for', () => {
  it('a replayed change or step is refused (idempotency key), also after a restart of the actuator', async () => {
    const { test, client, data } = await make();
    const path = join(data, 'f');
    const steps: Step[] = [{ do: write(path, 'once'), undo: ['file.restore', path] }];
    await client.arm('key', LONG_MS, steps);
    await client.apply('key', 0);
    await client.confirm('key');
    unlinkSync(path);
    const again = async (from: ActuatorClient) => [await from.arm('key', LONG_MS, steps), await from.apply('key', 0)];
    for (const outcome of await again(client)) expect(outcome).toMatchObject(REFUSED);
    await client.close(); // else it connects again, and the next one may be the one of an earlier term
    await test.kill();
    await test.start();
    const next = await test.client();
    for (const outcome of await again(next)) expect(outcome).toMatchObject(REFUSED);
    expect(existsSync(path)).toBe(false);
  });

  it('what is no primitive, or has other arguments, is refused (fixed table)', async () => {
    const { client } = await make();
    for (const primitive of [
      ['shell', 'id'],
      ['file.replace', '/etc/passwd'],
      ['process.signal', 1],
      ['service.start', ['one']],
      [],
    ])
      expect(await client.arm(nextId(), LONG_MS, [{ do: primitive as unknown as Primitive, undo: undefined }])).toMatchObject(
        REFUSED,
      );
  });

  it('dashes and newlines in arguments stay arguments (no shell, plain names)', async () => {
    const { client, test } = await make('allow unit web.service\nallow program /bin/echo\n');
    for (const name of ['--now', '-H host', 'web.service\nsshd.service', 'web.service; id', '$(id)'])
      expect(await attempt(client, ['unit', 'restart', name])).toMatchObject(REFUSED);
    const id = nextId();
    const told = '-n\n$(id); `id` --';
    await client.arm(id, LONG_MS, [{ do: ['spawn', '', ['/bin/echo', '--', told], 5_000], undo: ['spawn.end'] }]);
    expect(await client.apply(id, 0)).toEqual({ ok: true });
    await eventually('it to end', async () => (await client.program(`${id}-0`))?.exitCode === 0 || undefined);
    expect(readFileSync(join(test.state, 'services', `spawn.${id}-0.log`), 'utf8')).toBe(`-- ${told}\n`);
  });

  it('a spawned program has no network and gains no privileges (sandbox)', async () => {
    const { client, test } = await make('allow program /bin/sh\n');
    const id = nextId();
    const script = 'grep NoNewPrivs /proc/self/status; wc -l < /proc/net/dev; ulimit -v';
    await client.arm(id, LONG_MS, [{ do: ['spawn', '', ['/bin/sh', '-c', script], 5_000], undo: ['spawn.end'] }]);
    await client.apply(id, 0);
    await eventually('it to end', async () => (await client.program(`${id}-0`))?.exitCode === 0 || undefined);
    const [privileges, interfaces, memory] = readFileSync(join(test.state, 'services', `spawn.${id}-0.log`), 'utf8').split('\n');
    expect([privileges, memory]).toEqual(['NoNewPrivs:\t1', '1048576']);
    if (ROOT) expect(Number(interfaces)).toBeLessThanOrEqual(3); // two lines of heading, and loopback
  });

  it('empty and starred selectors name nothing (plain names)', async () => {
    const { client, data } = await make('allow sysctl vm.overcommit_ratio\nallow process sleep\n');
    const wrong: Primitive[] = ['', '*', '?', '.', '..'].flatMap((name): Primitive[] => [
      ['service.stop', name],
      ['sysctl.write', name, '1'],
      ['block.write', name, 'scheduler', 'none'],
      ['file.remove', name === '' ? '' : `${data}/${name}`],
      ['unit', 'stop', name],
    ]);
    for (const primitive of [...wrong, ['process.signal', 0, 0, 'KILL'] as const, ['process.signal', -1, 0, 'KILL'] as const])
      expect(await attempt(client, primitive)).toMatchObject({ ok: false });
  });
});

describe('processes', () => {
  it('a pid that another process has got is not touched (pid and start time, held by a pidfd)', async () => {
    const { client } = await make('allow process sleep\n');
    const child = spawn('sleep', ['600']);
    const reading = await client.read(['process.read', child.pid ?? 0]);
    const [pid, ticks] = reading.ok ? (reading.value as [number, number]) : [0, 0];
    expect(await attempt(client, ['process.signal', pid, ticks - 1, 'KILL'])).toMatchObject({ ok: false, code: 'gone' });
    const id = nextId();
    await client.arm(id, LONG_MS, [{ do: ['process.signal', pid, ticks, 'KILL'], undo: undefined }]);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended; // between armed and applied it is gone: whoever has its pid by now is safe
    expect(await client.apply(id, 0)).toMatchObject({ ok: false, code: 'gone' });
  });

  it('PID 1, kernel threads, the actuator, the agent and what is not allowed are safe (protected targets, policy)', async () => {
    const { client, test } = await make('allow process-user root\nallow process sleep\n');
    const ticksOf = async (pid: number): Promise<number> => {
      const reading = await client.read(['process.read', pid]);
      return reading.ok ? (reading.value as [number, number])[1] : 0;
    };
    for (const pid of [1, 2, test.process?.pid ?? 0, process.pid])
      expect(await attempt(client, ['process.signal', pid, await ticksOf(pid), 'CONT'])).toMatchObject(REFUSED);
    const { client: strict } = await make();
    const child = spawn('sleep', ['600']);
    expect(await attempt(strict, ['process.signal', child.pid ?? 0, await ticksOf(child.pid ?? 0), 'KILL'])).toMatchObject(
      REFUSED,
    );
    expect(child.signalCode).toBeNull();
    child.kill('SIGKILL');
  });

  it('a process cannot pass for a protected or an allowed one by its name (the program on disk counts)', async () => {
    const { client, test } = await make('allow process sleep\n');
    const sshd = join(test.directory, 'sshd');
    execFileSync('cp', [execFileSync('which', ['sleep'], { encoding: 'utf8' }).trim(), sshd]);
    const child = spawn(sshd, ['600']);
    const reading = await client.read(['process.read', child.pid ?? 0]);
    const ticks = reading.ok ? (reading.value as [number, number])[1] : 0;
    expect(await attempt(client, ['process.signal', child.pid ?? 0, ticks, 'KILL'])).toMatchObject({
      ...REFUSED,
      message: expect.stringContaining('protected'),
    });
    child.kill('SIGKILL');
  });
});

describe('paths', () => {
  it.each(['../evil', 'a/../../evil', './f', 'a//f', 'f/', 'f\ng', '.kalos/x', '.ssh/authorized_keys'])(
    '%s leads nowhere (plain paths)',
    async (path) => {
      const { client, data } = await make();
      expect(await attempt(client, write(`${data}/${path}`))).toMatchObject(REFUSED);
    },
  );

  it('paths outside what is allowed, and protected ones inside it, are refused (policy)', async () => {
    const { client, test, data } = await make('allow path /etc\n');
    const beside = [
      join(test.directory, 'beside'),
      `${data}x/f`,
      data,
      '/etc/passwd',
      '/etc/ssh/sshd_config',
      join(test.state, 'term'),
      test.policyFile,
    ];
    for (const path of beside) expect(await attempt(client, write(path))).toMatchObject(REFUSED);
  });

  it('symbolic links are not followed, hard links not written through, and only files are touched (openat2)', async () => {
    const { client, test, data } = await make();
    const outside = join(test.directory, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, 'secret'), 'secret');
    symlinkSync(outside, join(data, 'link'));
    symlinkSync(join(outside, 'secret'), join(data, 'file-link'));
    linkSync(join(outside, 'secret'), join(data, 'hard'));
    execFileSync('mkfifo', [join(data, 'pipe')]);
    for (const name of ['link/secret', 'file-link', 'hard', 'pipe', 'link']) {
      expect(await attempt(client, write(join(data, name)))).toMatchObject({ ok: false });
      expect(await client.read(['file.read', join(data, name)])).toMatchObject({ ok: false });
      expect(await attempt(client, ['file.remove', join(data, name)])).toMatchObject({ ok: false });
    }
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret');
  });

  it('a symbolic link put in the way, in a loop, wins no race (openat2 beneath a pinned directory)', async () => {
    const { client, test, data } = await make();
    const outside = join(test.directory, 'outside');
    mkdirSync(join(data, 'real'));
    mkdirSync(outside);
    writeFileSync(join(outside, 'f'), 'secret');
    symlinkSync(outside, join(data, 'fake'));
    renameSync(join(data, 'real'), join(data, 'dir'));
    writeFileSync(join(test.directory, 'swap.cc'), SWAP);
    execFileSync('g++', ['-O2', join(test.directory, 'swap.cc'), '-o', join(test.directory, 'swap')]);
    // The directory and a link to the outside.
    const swapper = spawn(join(test.directory, 'swap'), [join(data, 'dir'), join(data, 'fake')]);
    let written = 0;
    try {
      for (let round = 0; round < 50; round++) {
        const id = nextId();
        const path = join(data, 'dir', 'f');
        const armed = await client.arm(id, LONG_MS, [{ do: write(path), undo: undefined }]);
        if (armed.ok && (await client.apply(id, 0)).ok) written++;
        await client.undo(id, 'next'); // with nothing to undo: the change is over
        expect(readFileSync(join(outside, 'f'), 'utf8')).toBe('secret');
        expect(readdirSync(outside)).toEqual(['f']);
      }
    } finally {
      swapper.kill('SIGKILL');
    }
    expect(written).toBeGreaterThan(0); // the race was run, not just lost at the start
  });

  it.skipIf(!ROOT)('a directory for what is moved aside that another made is not used (owner and mode)', async () => {
    const { client, data } = await make();
    writeFileSync(join(data, 'f'), 'old');
    mkdirSync(join(data, '.kalos'), { mode: 0o777 });
    chownSync(join(data, '.kalos'), NOBODY, NOBODY);
    expect(await attempt(client, write(join(data, 'f')))).toMatchObject(REFUSED);
    expect(readFileSync(join(data, 'f'), 'utf8')).toBe('old');
  });
});

/** Exchanges two names, as fast as it can. */
const SWAP = `
#include <fcntl.h>
#include <stdio.h>
int main(int, char **argv) {
	for (;;)
		renameat2(AT_FDCWD, argv[1], AT_FDCWD, argv[2], RENAME_EXCHANGE);
}
`;

describe('the policy', () => {
  it('that is blank, or is not there, allows nothing but services (no default to allow)', async () => {
    for (const text of [undefined, '', '# nothing\n\n   \n']) {
      const test = new TestActuator();
      tests.push(test);
      await test.start(text === undefined ? {} : { policy: text });
      const client = await test.client([{ name: 'one', command: ['sleep', '600'] }]);
      expect(client.capabilities).toEqual(['services', 'cgroups']);
      for (const primitive of [
        write('/tmp/kalos-abuse'),
        ['sysctl.write', 'vm.overcommit_ratio', '50'],
        ['net.block', '192.0.2.1'],
        ['spawn', '', ['/bin/true'], 1_000],
      ] as const)
        expect(await attempt(client, primitive)).toMatchObject(REFUSED);
      expect(await attempt(client, ['service.start', 'one'])).toEqual({ ok: true });
    }
  });

  it('that is wrong, or that others may write, is not taken: the last good one holds, also over a restart (last good kept)', async () => {
    const { test, data, client } = await make();
    const bad = [
      'allow everything\n',
      'allow path *\n',
      'allow path\n',
      'allow sysctl vm.*\n',
      'allow path /tmp/../etc\n',
      'allow path relative\n',
    ];
    for (const [nth, text] of bad.entries()) {
      writeFileSync(test.policyFile, text);
      test.process?.kill('SIGHUP');
      // Each is read before the next is written: a file that is half written may be a blank one, which is right.
      await eventually('it to be said', () => test.log().split('policy not taken').length > nth + 1 || undefined);
      expect(await attempt(client, write(join(data, 'f')))).toEqual({ ok: true });
    }
    writeFileSync(test.policyFile, 'allow path /etc/kalos-test\n');
    chmodSync(test.policyFile, 0o666);
    await client.close();
    await test.kill();
    await test.start();
    const next = await test.client();
    expect(await attempt(next, write(join(data, 'g')))).toEqual({ ok: true });
    expect(await attempt(next, write('/etc/kalos-test/f'))).toMatchObject(REFUSED);
  });

  it('is root’s or the actuator’s own, a regular file, and written by its owner alone (each by itself)', async () => {
    const { test } = await make();
    const good = (change: (file: string) => void): boolean => {
      const file = join(test.directory, 'other-policy');
      writeFileSync(file, 'allow net\n', { mode: 0o600 });
      change(file);
      const checked = spawnSync(test.process?.spawnfile ?? '', ['--check-policy', file], { encoding: 'utf8' });
      rmSync(file, { recursive: true });
      expect(checked.stdout + checked.stderr).toContain(checked.status === 0 ? ': good' : 'must be a regular file of root');
      return checked.status === 0;
    };
    expect(good(() => undefined)).toBe(true);
    expect(good((file) => chmodSync(file, 0o644))).toBe(true);
    expect(good((file) => chmodSync(file, 0o620))).toBe(false);
    expect(good((file) => chmodSync(file, 0o602))).toBe(false);
    if (ROOT) expect(good((file) => chownSync(file, NOBODY, 0))).toBe(false);
    const toFifo = (file: string) => {
      unlinkSync(file);
      execFileSync('mkfifo', ['-m', '600', file]);
    };
    expect(good(toFifo)).toBe(false);
  });

  it('that denies a process, or a user’s, is stronger than one that allows the other of both', async () => {
    const child = spawn('sleep', ['600']);
    const reading = await (await make()).client.read(['process.read', child.pid ?? 0]);
    const [pid, ticks] = reading.ok ? (reading.value as [number, number]) : [0, 0];
    const user = userInfo().username;
    for (const [policy, ok] of [
      ['allow process sleep\n', true],
      [`allow process-user ${user}\n`, true],
      [`allow process sleep\nallow process-user ${user}\ndeny process sleep\n`, false],
      [`allow process sleep\nallow process-user ${user}\ndeny process-user ${user}\n`, false],
    ] as const) {
      const { client } = await make(policy);
      const outcome = await client.check([{ do: ['process.signal', pid, ticks, 'CONT'], undo: undefined }]);
      expect([policy, outcome.ok]).toEqual([policy, ok]);
    }
    child.kill('SIGKILL');
  });

  it('knows the keys of VLAN interfaces, whose dots are slashes', async () => {
    const { client } = await make('allow sysctl net.ipv4.conf.none0/100.\ndeny sysctl net.ipv4.conf.none0/100.mtu\n');
    const key = (name: string) => client.read(['sysctl.read', `net.ipv4.conf.${name}`]);
    // There is no such interface; what is no key is refused before that is seen.
    expect(await key('none0/100.rp_filter')).toMatchObject({ ok: false, code: 'not-found' });
    expect(await key('none0./.rp_filter')).toMatchObject({ ok: false, code: 'refused' });
    expect(await attempt(client, ['sysctl.write', 'net.ipv4.conf.none0/100.rp_filter', '1'])).toMatchObject({
      code: 'not-found',
    });
    for (const other of ['none0/100.mtu', 'none0.rp_filter', 'all.rp_filter'])
      expect(await attempt(client, ['sysctl.write', `net.ipv4.conf.${other}`, '1'])).toMatchObject(REFUSED);
  });

  it('denies more than it allows, never touches code that the kernel would run, and is read again on SIGHUP', async () => {
    const { test, data } = await make('allow sysctl kernel.\nallow sysctl vm.\ndeny sysctl vm.overcommit_ratio\n');
    mkdirSync(join(data, 'kept'));
    const client = await test.client();
    const otherForms = ['kernel/core_pattern', 'kernel./.core_pattern', 'kernel..core_pattern', 'kernel.//core_pattern'];
    for (const key of ['kernel.core_pattern', 'kernel.modprobe', 'vm.overcommit_ratio', 'net.core.somaxconn', ...otherForms])
      expect(await attempt(client, ['sysctl.write', key, '1'])).toMatchObject({ ok: false });
    writeFileSync(test.policyFile, `allow path ${data}\ndeny path ${data}/kept\n`);
    test.process?.kill('SIGHUP');
    await eventually(
      'the new policy to hold',
      async () => (await attempt(client, write(join(data, 'kept/f')))).ok === false || undefined,
    );
    expect(await attempt(client, write(join(data, 'f')))).toEqual({ ok: true });
  });
});

describe('what is on the actuator’s disk', () => {
  it('a spoilt record of a change is kept and told, never guessed at (checksum)', async () => {
    const { test, client, data } = await make();
    const path = join(data, 'f');
    await client.arm('spoilt', LONG_MS, [{ do: write(path), undo: ['file.restore', path] }]);
    await client.apply('spoilt', 0);
    await test.kill();
    const record = join(test.state, 'changes', 'spoilt');
    const bytes = readFileSync(record);
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 1;
    writeFileSync(record, bytes);
    writeFileSync(join(test.state, 'changes', 'half.tmp'), 'a write that was cut short');
    await test.start();
    expect(test.log()).toContain('the record of spoilt is corrupt');
    expect(readdirSync(join(test.state, 'changes'))).toEqual(['corrupt:spoilt']);
  });

  it('undos left by a former boot are done, as far as they outlive it (boot id)', async () => {
    const { test, client, data } = await make();
    const path = join(data, 'f');
    writeFileSync(path, 'old');
    await client.arm('boot', LONG_MS, [{ do: write(path, 'new'), undo: ['file.restore', path] }]);
    await client.apply('boot', 0);
    await test.kill();
    // As a reboot would leave it: the same record, under another boot id.
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const record = join(test.state, 'changes', 'boot');
    writeFileSync(record, otherBoot(readFileSync(record), boot));
    await test.start();
    await eventually('the undo', () => test.log().includes('boot undone: after a reboot') || undefined);
  });
});

/** The record with another boot id of the same length, and the checksum that belongs to it. */
function otherBoot(record: Buffer, boot: string): Buffer {
  const body = record.indexOf(encodeCbor('boot')) - 2; // [version, id, …: an array's head and the version come before the id
  const changed = Buffer.from(record.toString('latin1').replace(boot, boot.replaceAll(/[0-9a-f]/g, '0')), 'latin1');
  return Buffer.from(encodeCbor([crc32(changed.subarray(body)), changed.subarray(body)]));
}
