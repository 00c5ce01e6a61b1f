// Who writes to a file, as the actuator tells: processes that have it open for writing, each once, and nobody else.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

const [OK, NOT_FOUND, REFUSED] = [0, 1, 3];
const OWN = userInfo().username;
const test = new TestActuator(true);
const data = join(test.directory, 'data');
const children: ChildProcess[] = [];
let agent: RawClient;
beforeAll(async () => {
  buildPlain();
  mkdirSync(data);
  await test.start({ policy: `allow path ${data}\n` });
  agent = await test.agent();
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await test.stop();
});

const at = (name: string): string => join(data, name);
const writers = async (name: string) => (await agent.ask('read', ['file.writers', at(name)])).value as unknown[][];
const ticksOf = (pid: number): number => {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]);
};
const wroteOf = (pid: number): number => Number(/wchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))?.[1]);

describe('who writes to a file', () => {
  it('is a process that has it open to write, to append or to do both, once, with what it has written to all', async () => {
    writeFileSync(at('f'), 'x');
    expect(await writers('f')).toEqual([]);
    for (const flags of [['r+'], ['a'], ['r', 'a', 'a'], ['a', 'r']]) {
      const open = flags.map((flag) => openSync(at('f'), flag));
      const before = wroteOf(process.pid);
      const found = await writers('f');
      expect(found).toEqual([
        [process.pid, ticksOf(process.pid), expect.any(String), process.getuid?.(), '', expect.any(Number)],
      ]);
      const wrote = Number(found[0]?.[5]);
      expect([wrote >= before, wrote <= wroteOf(process.pid)]).toEqual([true, true]);
      for (const fd of open) closeSync(fd);
    }
  });

  it('is none that reads it, or writes to another', async () => {
    for (const name of ['f', 'g']) writeFileSync(at(name), 'x');
    const open = [openSync(at('f'), 'r'), openSync(at('g'), 'a')];
    writeSync(open[1] ?? 0, 'y');
    expect(await writers('f')).toEqual([]);
    expect((await writers('g')).length).toBe(1);
    for (const fd of open) closeSync(fd);
  });

  it('is found under whatever name it was opened by, and told with its service', async () => {
    writeFileSync(at('f'), 'x');
    linkSync(at('f'), at('other'));
    const script = `exec 3>>${at('other')}; echo ready; exec sleep 600`;
    await agent.ask('declare', [['web', ['sh', '-c', script], '', [], OWN, [], 0, 0, 'TERM', 100, 1 << 20]]);
    await agent.ask('up', 'web');
    await soon('it to be the program', async () => (await writers('f'))[0]?.[2] === 'sleep');
    const sample = ((await agent.ask('services')).value as unknown[][])[0] ?? [];
    expect((await writers('f'))[0]?.slice(0, 5)).toEqual([sample[2], sample[3], 'sleep', process.getuid?.(), 'web']);
    rmSync(at('other'));
  });

  it('is one of at most 32 that are told', async () => {
    writeFileSync(at('many'), '');
    const fd = openSync(at('many'), 'a');
    for (let nth = 0; nth < 33; nth++) {
      const child = spawn('sleep', ['600'], { stdio: ['ignore', fd, 'ignore'] });
      children.push(child);
    }
    closeSync(fd);
    expect((await writers('many')).length).toBe(32);
  });

  it('is asked of a regular file that the policy opens', async () => {
    symlinkSync(at('f'), at('link'));
    for (const [path, code, message] of [
      [at('none'), NOT_FOUND, `${at('none')}: no such file`],
      [at('link'), NOT_FOUND, `${at('link')}: not a regular file`],
      ['/etc/passwd', REFUSED, "/etc/passwd: the actuator's policy does not allow this path"],
      [at('f'), OK, ''],
    ] as const) {
      const answer = await agent.ask('read', ['file.writers', path]);
      expect([path, answer.code, answer.message]).toEqual([path, code, message]);
    }
  });
});
