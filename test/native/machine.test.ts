// What the actuator reads and sets of processes, ports and settings: values as the kernel has them, and limits one past which it refuses.
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';
import { freePort } from '../support/agents.ts';

const [OK, NOT_FOUND, GONE, REFUSED] = [0, 1, 2, 3];
const LONG_MS = 60_000;
const ROOT = process.getuid?.() === 0;
const test = new TestActuator(true);
const programs = mkdtempSync(join(tmpdir(), 'kalos-programs-'));
const children: ChildProcess[] = [];
let agent: RawClient;
beforeAll(async () => {
  buildPlain();
  await test.start({ policy: 'allow process sleep\nallow sysctl vm.overcommit_ratio\nallow sysctl vm.none\n' });
  agent = await test.agent();
});
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(programs, { recursive: true });
  await test.stop();
});

const statOf = (pid: number): string[] => {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
};
const ticksOf = (pid: number): number => Number(statOf(pid)[19]);
async function started(program = 'sleep', ...args: string[]): Promise<[number, number]> {
  const child = spawn(program, args.length === 0 ? ['600'] : args, { stdio: 'ignore' });
  children.push(child);
  await new Promise((resolve) => child.once('spawn', resolve));
  return [child.pid ?? 0, ticksOf(child.pid ?? 0)];
}
let changes = 0;
async function done(...primitive: unknown[]): Promise<[number, string]> {
  const id = `m-${changes++}`;
  const armed = await agent.ask('arm', id, LONG_MS, [[primitive, []]]);
  const { code, message } = armed.code === OK ? await agent.ask('apply', id, 0) : armed;
  await agent.ask('undo', id, 'next');
  return [code, message];
}
const read = async (...what: unknown[]) => (await agent.ask('read', what)).value;
/** [nice, I/O class, I/O level, limits by name] */
async function settings(pid: number): Promise<[unknown, unknown, unknown, Map<string, number[]>]> {
  const value = (await read('process.read', pid)) as unknown[];
  const limits = (value.slice(7) as [string, number, number][]).map(([name, ...rest]) => [name, rest] as const);
  return [value[4], value[5], value[6], new Map(limits)];
}

describe('a process', () => {
  it('is read with its name, its user, what it is given, and its limits', async () => {
    const [pid, ticks] = await started('sh', '-c', 'ulimit -n 77; ulimit -c 0; exec sleep 600');
    await soon('the program', () => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n');
    const value = (await read('process.read', pid)) as unknown[];
    expect(value.slice(0, 4)).toEqual([pid, ticks, 'sleep', process.getuid?.()]);
    expect(value.length).toBe(14);
    expect((value.slice(7) as string[][]).map(([name]) => name)).toEqual([
      'nofile',
      'nproc',
      'as',
      'core',
      'fsize',
      'cpu',
      'memlock',
    ]);
    expect(value[7]).toEqual(['nofile', 77, 77]);
    expect(value[10]).toEqual(['core', 0, 0]);
    const unlimited = /^Max address space +unlimited +unlimited/m.test(readFileSync(`/proc/${pid}/limits`, 'utf8'));
    if (unlimited) expect(value[9]).toEqual(['as', -1, -1]);
  });

  it('whose name holds a parenthesis is that one', async () => {
    const odd = join(programs, 'odd)name');
    copyFileSync('/bin/sleep', odd);
    const [pid, ticks] = await started(odd);
    expect(((await read('process.read', pid)) as unknown[]).slice(0, 3)).toEqual([pid, ticks, 'odd)name']);
    const wrong = "the actuator's policy allows neither the process nor its user";
    expect(await done('process.signal', pid, ticks, 'KILL')).toEqual([REFUSED, `pid ${pid}: ${wrong}`]);
  });

  it.each(['TERM', 'KILL', 'HUP', 'INT', 'USR1', 'USR2', 'QUIT'])('is sent SIG%s', async (signal) => {
    const [pid, ticks] = await started();
    expect(await done('process.signal', pid, ticks, signal)).toEqual([OK, '']);
    await soon('its end', () => children.at(-1)?.signalCode === `SIG${signal}`);
  });

  it('is stopped and goes on', async () => {
    const [pid, ticks] = await started();
    expect(await done('process.signal', pid, ticks, 'STOP')).toEqual([OK, '']);
    await soon('it to be stopped', () => statOf(pid)[0] === 'T');
    expect(await done('process.signal', pid, ticks, 'CONT')).toEqual([OK, '']);
    await soon('it to go on', () => statOf(pid)[0] === 'S');
  });

  it('that does not go when it is asked is killed after its grace', async () => {
    const [pid, ticks] = await started('sh', '-c', 'trap "" TERM; exec sleep 600');
    await soon('the program', () => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n');
    expect(await done('process.end', pid, ticks, 60)).toEqual([OK, '']);
    await soon('its end', () => children.at(-1)?.signalCode === 'SIGKILL');
  });

  it('is given a priority within what there is', async () => {
    const [pid, ticks] = await started();
    for (const nice of [-21, 20])
      expect(await done('process.nice', pid, ticks, nice)).toEqual([REFUSED, `nice ${nice}: must be -20 to 19`]);
    for (const nice of ROOT ? [19, -20, 3] : [3, 19]) {
      expect(await done('process.nice', pid, ticks, nice)).toEqual([OK, '']);
      expect((await settings(pid))[0]).toBe(nice);
    }
    const wrong = (ioclass = 0, level = 0): string =>
      `I/O priority ${ioclass}:${level}: must be a class of 0 to 3 and a level of 0 to 7`;
    for (const [ioclass, level] of [
      [-1, 0],
      [4, 0],
      [2, -1],
      [2, 8],
    ])
      expect(await done('process.ioprio', pid, ticks, ioclass, level)).toEqual([REFUSED, wrong(ioclass, level)]);
    for (const [ioclass, level] of [
      [2, 7],
      [2, 0],
      [3, 0],
    ]) {
      expect(await done('process.ioprio', pid, ticks, ioclass, level)).toEqual([OK, '']);
      expect((await settings(pid)).slice(1, 3)).toEqual([ioclass, level]);
    }
  });

  it('is given limits that can be', async () => {
    const [pid, ticks] = await started();
    const wrong = 'must be of a known resource, its soft value not above its hard one';
    for (const [resource, soft, hard] of [
      ['none', 1, 1],
      ['core', -2, 5],
      ['core', 5, -2],
      ['core', 6, 5],
      ['core', -1, 5],
    ])
      expect(await done('process.limit', pid, ticks, resource, soft, hard)).toEqual([
        REFUSED,
        `limit ${resource} ${soft}:${hard}: ${wrong}`,
      ]);
    for (const [resource, soft, hard] of [
      ['core', 5, 6],
      ['core', 5, 5],
      ['nofile', 0, 64],
      ['cpu', 0, 100],
      ...(ROOT ? [['fsize', -1, -1]] : []),
    ] as [string, number, number][]) {
      expect(await done('process.limit', pid, ticks, resource, soft, hard)).toEqual([OK, '']);
      expect([resource, (await settings(pid))[3].get(resource)]).toEqual([resource, [soft, hard]]);
    }
  });

  it('that ended before is none to be set', async () => {
    const [pid, ticks] = await started('true', 'x');
    await soon('its end', () => children.at(-1)?.exitCode === 0);
    for (const primitive of [
      ['process.nice', pid, ticks, 1],
      ['process.ioprio', pid, ticks, 2, 1],
      ['process.limit', pid, ticks, 'core', 1, 1],
    ])
      expect(await done(...primitive)).toEqual([GONE, `pid ${pid} is not that process any more`]);
  });

  it('of the kernel, the first one, the actuator and what nobody allows are not touched', async () => {
    const other = await started('sh', '-c', 'sleep 600; true');
    for (const [pid, ticks, why] of [
      [test.process?.pid ?? 0, ticksOf(test.process?.pid ?? 0), 'it is protected'],
      [process.pid, ticksOf(process.pid), 'it is protected'],
      [...other, "the actuator's policy allows neither the process nor its user"],
    ] as const)
      expect(await done('process.signal', pid, ticks, 'CONT')).toEqual([REFUSED, `pid ${pid}: ${why}`]);
  });
});

describe('a port', () => {
  it('is known by who listens on it, and by nobody else', async () => {
    const port = await freePort();
    const none = { code: NOT_FOUND, message: `port ${port}: no visible process listens on it`, value: undefined };
    expect(await agent.ask('read', ['port.holder', port])).toEqual(none);
    const server = createServer().listen(port, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const program = readFileSync(`/proc/${process.pid}/cmdline`, 'utf8').split('\0')[0]?.split('/').at(-1);
    const holder = (await read('port.holder', port)) as unknown[];
    expect(holder).toEqual([process.pid, ticksOf(process.pid), expect.any(String), process.getuid?.()]);
    expect(program === undefined || String(holder[2]).length > 0).toBe(true);
    expect((await agent.ask('read', ['port.holder', port === 65_535 ? port - 1 : port + 1])).code).toBe(NOT_FOUND);
    await new Promise((resolve) => server.close(resolve));
    expect(await agent.ask('read', ['port.holder', port])).toEqual(none);
  });
});

describe('a setting', () => {
  it('is set to what it can be', async () => {
    const value = (): string => readFileSync('/proc/sys/vm/overcommit_ratio', 'utf8').trim();
    const before = value();
    const wrong = 'vm/overcommit_ratio: a value must be 1 to 256 printable characters';
    for (const text of ['', '1\n2', 'é', '\u007f', '1'.repeat(257)])
      expect(await done('sysctl.write', 'vm.overcommit_ratio', text)).toEqual([REFUSED, wrong]);
    expect(await done('sysctl.write', 'vm.none', '1')).toEqual([NOT_FOUND, 'vm/none: No such file or directory']);
    expect(value()).toBe(before);
    expect(await done('sysctl.write', 'vm.overcommit_ratio', 'x')).toEqual([4, 'vm/overcommit_ratio: Invalid argument']);
    if (ROOT) expect(await done('sysctl.write', 'vm.overcommit_ratio', before)).toEqual([OK, '']);
    expect(value()).toBe(before);
  });
});
