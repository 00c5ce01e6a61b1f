// The actuator has one thread. Whatever the owner of a directory, of a file or of a service puts in its way, it answers: what it does on
// what others control is done apart, with a deadline, and bounded.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { eventually } from '../support/clock.ts';
import { patient } from '../support/patience.ts';
import { Rival } from '../support/rival.ts';

const ROOT = process.getuid?.() === 0;
const OWN = userInfo().username;
const LONG_MS = 60_000;
const ANSWERS_MS = 2_000;
const WITHIN_MS = 800;
const FIFOS = 400;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
let rival: Rival;
beforeAll(() => {
  buildSanitized();
  rival = new Rival();
});
afterAll(() => rival.close());

function place(): { test: TestActuator; data: string } {
  const test = new TestActuator();
  cleanups.push(() => test.stop());
  const data = join(test.directory, 'data');
  mkdirSync(data);
  return { test, data };
}

async function answers(client: ActuatorClient): Promise<void> {
  const askedMs = performance.now();
  expect((await client.read(['process.read', process.pid])).ok).toBe(true);
  expect(performance.now() - askedMs).toBeLessThan(patient(ANSWERS_MS));
}

/** A log of one line that was rotated, and whose undo is armed. */
async function rotated(): Promise<{ test: TestActuator; data: string; client: ActuatorClient; log: string }> {
  const { test, data } = place();
  await test.start({ policy: `allow path ${data}\n` });
  const client = await test.client();
  const log = join(data, 'app.log');
  writeFileSync(log, 'old\n');
  await client.arm('turn', LONG_MS, [{ do: ['file.rotate', log, 3], undo: ['file.unrotate', log, 3] }]);
  expect(await client.apply('turn', 0)).toEqual({ ok: true });
  return { test, data, client, log };
}

/** One of many FIFOs, with the inode of the file that is no more: file systems give freed numbers away again. */
function fifoWithInode(data: string, inode: number): string | undefined {
  const paths = Array.from({ length: FIFOS }, (_, n) => join(data, `fifo-${n}`));
  execFileSync('mkfifo', paths);
  return paths.find((path) => statSync(path).ino === inode);
}

describe('the owner of a log directory', () => {
  it('cannot hang the undo of a rotation with a FIFO under the inode of the log that it took away', async () => {
    const { test, data, client, log } = await rotated();
    writeFileSync(log, 'new\n');
    const { ino } = statSync(`${log}.1`);
    unlinkSync(`${log}.1`);
    const fifo = fifoWithInode(data, ino);
    if (fifo !== undefined) execFileSync('mv', [fifo, `${log}.1`]);
    else execFileSync('mkfifo', [`${log}.1`]); // of a file system that uses no number twice
    const undone = client.undo('turn', 'enough'); // tried for some seconds
    await answers(client);
    await test.kill();
    expect(await undone).toMatchObject({ ok: false, code: 'unknown' });
  });

  it('cannot have a rotation move what is no regular file', async () => {
    const { test, data } = place();
    await test.start({ policy: `allow path ${data}\n` });
    const client = await test.client();
    const log = join(data, 'app.log');
    writeFileSync(log, 'old\n');
    execFileSync('mkfifo', [`${log}.2`]);
    await client.arm('turn', LONG_MS, [{ do: ['file.rotate', log, 3], undo: ['file.unrotate', log, 3] }]);
    expect(await client.apply('turn', 0)).toMatchObject({ ok: false, code: 'refused', message: 'app.log.2: not a regular file' });
    expect(readFileSync(log, 'utf8')).toBe('old\n');
  });

  it('cannot keep the undo of a rotation from its end by writing on; what was written before is kept', async () => {
    const { client, log } = await rotated();
    const fd = openSync(log, 'a');
    writeSync(fd, 'new\n');
    const writer = spawn('sh', ['-c', `exec >&3; while :; do head -c 1000000 /dev/zero; done`], {
      stdio: ['ignore', 'ignore', 'ignore', fd],
    });
    closeSync(fd);
    cleanups.push(() => writer.kill('SIGKILL'));
    await eventually('it to write', () => statSync(log).size > 2_000_000 || undefined);
    const beganMs = performance.now();
    expect(await client.undo('turn', 'enough')).toEqual({ ok: true });
    expect(performance.now() - beganMs).toBeLessThan(patient(10_000));
    writer.kill('SIGKILL');
    expect(readFileSync(log).subarray(0, 8).toString()).toBe('old\nnew\n');
  });
});

describe('a file system that never answers', () => {
  it.skipIf(!ROOT || !existsSync('/dev/fuse'))('holds up nothing but what is asked of it, which is told', async () => {
    const { test, data } = place();
    const [stuck, well] = [join(data, 'stuck'), join(data, 'well')];
    for (const directory of [stuck, well]) mkdirSync(directory);
    await test.start({
      policy: `allow path ${stuck}\nallow path ${well}\n`,
      under: [rival.program, 'mount', stuck],
      arguments: ['--answer-within', String(WITHIN_MS)],
    });
    const client = await test.client([
      { name: 'there', command: ['sleep', '600'], directory: stuck, user: OWN },
      { name: 'program', command: [join(stuck, 'program')], user: OWN },
      { name: 'elsewhere', command: ['sleep', '600'] },
    ]);
    for (const [id, directory] of [
      ['stuck', stuck],
      ['behind', stuck],
      ['well', well],
    ] as const)
      await client.arm(id, LONG_MS, [{ do: ['file.replace', join(directory, 'f'), new Uint8Array([1]), -1], undo: undefined }]);
    const change = client.apply('stuck', 0);
    const asked = [
      client.read(['file.read', join(stuck, 'f')]),
      client.read(['file.list', stuck]),
      client.bringUp('there'),
      client.bringUp('program'),
    ];
    await answers(client);
    expect(await client.bringUp('elsewhere')).toEqual({ ok: true });
    expect(await client.apply('well', 0)).toEqual({ ok: true });
    for (const late of await Promise.all(asked))
      expect(late).toMatchObject({ ok: false, code: 'failed', message: expect.stringContaining(`within ${WITHIN_MS} ms`) });
    const behind = client.apply('behind', 0); // in the lane of one that does not end
    expect(await change).toMatchObject({ ok: false, message: expect.stringContaining('does not answer') });
    expect(await behind).toMatchObject({ ok: false, message: expect.stringContaining('nothing was done') });
  });
});

describe('what waits in a lane', () => {
  it.skipIf(!ROOT || !existsSync('/dev/fuse'))('is answered though no process for it can be started', async () => {
    const { test, data } = place();
    await test.start({ policy: `allow path ${data}\n`, under: [rival.program, 'mount', data] });
    const client = await test.client();
    const ids = ['one', 'two', 'three'];
    for (const id of ids)
      await client.arm(id, LONG_MS, [{ do: ['file.replace', join(data, 'f'), new Uint8Array([1]), -1], undo: undefined }]);
    const waiting = ids.map((id) => client.apply(id, 0));
    await answers(client); // all are taken
    const pid = String(test.process?.pid);
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ');
    const mount = children.find((child) => readFileSync(`/proc/${child}/comm`, 'latin1').startsWith('rival'));
    execFileSync('prlimit', ['--pid', pid, '--nofile=4:4096']);
    process.kill(Number(mount), 'SIGKILL'); // which has the file system: the first of them ends
    const [, ...others] = await Promise.all(waiting);
    execFileSync('prlimit', ['--pid', pid, '--nofile=4096:4096']);
    for (const other of others) expect(other).toMatchObject({ ok: false, message: 'no process for it can be started' });
  });
});

describe('the owner of a service’s log', () => {
  it('cannot hold up its start with a lease on it', async () => {
    const { test } = place();
    await test.start();
    const client = await test.client([{ name: 'one', command: ['sleep', '600'] }]);
    const holder: ChildProcess = spawn(rival.program, ['lease', join(test.state, 'services', 'one.log')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    cleanups.push(() => holder.kill('SIGKILL'));
    await new Promise((resolve) => holder.stdout?.once('data', resolve));
    const started = client.bringUp('one');
    await answers(client);
    expect(await started).toEqual({ ok: true });
  });
});
