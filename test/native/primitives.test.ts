// What each primitive and each read takes, and what is said of what it does not take: nothing of it is done. And what is done with a
// process and a service by them.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

const [OK, NOT_FOUND, GONE, REFUSED] = [0, 1, 2, 3];
const LONG_MS = 60_000;
const NONE = 'no such primitive, or not with these arguments';
const MANY = Array.from({ length: 2_000 }, () => 'a');
const PLAIN = new Uint8Array([120]);

const test = new TestActuator(true);
const data = join(test.directory, 'data');
const programs = mkdtempSync(join(tmpdir(), 'kalos-programs-'));
const systemctl = join(programs, 'systemctl');
const service = (name: string): unknown[] => [name, ['sleep', '600'], '', [], '', [], 0, 0, 'TERM', 5_000, 1 << 20];
let agent: RawClient;
let child: ChildProcess;
let process_: [number, number];
beforeAll(async () => {
  buildPlain();
  mkdirSync(data);
  writeFileSync(systemctl, `#!/bin/sh\necho "$@" > ${join(programs, 'told')}\n`);
  chmodSync(systemctl, 0o755);
  const policy = [
    `allow path ${data}`,
    'allow sysctl vm.overcommit_ratio',
    'allow block none0',
    'allow unit web.service',
    'allow unit sshd.service',
    'allow program /bin/echo',
    'allow program /bin/sleep',
    'allow process sleep',
  ];
  await test.start({ policy: `${policy.join('\n')}\n`, arguments: ['--systemctl', systemctl] });
  agent = await test.agent();
  await agent.ask('declare', [service('one')]);
  child = spawn('sleep', ['600']);
  const read = await agent.ask('read', ['process.read', child.pid]);
  process_ = (read.value as [number, number]).slice(0, 2) as [number, number];
});
afterAll(async () => {
  child.kill('SIGKILL');
  rmSync(programs, { recursive: true });
  await test.stop();
});

/** What is said of it, where nothing is done yet. */
const tried = async (primitive: unknown): Promise<[number, string]> => {
  const { code, message } = await agent.ask('try', [[primitive, []]]);
  return [code, message];
};
let changes = 0;
async function done(primitive: unknown, undo: unknown = []): Promise<[number, string]> {
  const id = `p-${changes++}`;
  const armed = await agent.ask('arm', id, LONG_MS, [[primitive, undo]]);
  const { code, message } = armed.code === OK ? await agent.ask('apply', id, 0) : armed;
  return [code, message];
}

const notAllowed = (what: string): string => `the actuator's policy does not allow ${what}`;
const noPath = (path: string): string => `${path}: the actuator's policy does not allow this path`;
const noProgram = 'a command must begin with the path of a program';
const noUnit = 'mask: no action on a unit; one of start, stop, restart, reload';

describe('a primitive', () => {
  it.each<[unknown, number, string]>([
    [['service.start', 'one'], OK, ''],
    [['service.stop', 'one'], OK, ''],
    [['service.start', 'two'], NOT_FOUND, 'no service two'],
    [['service.start', 'one', 1], REFUSED, NONE],
    [['service.start'], REFUSED, NONE],
    [['service.start', 1], REFUSED, NONE],
    [['service.start', PLAIN], REFUSED, NONE],
    [['service.restart', 'one'], REFUSED, NONE],
    [[1, 'one'], REFUSED, NONE],
    [[], REFUSED, NONE],
    [['unit', 'start', 'web.service'], OK, ''],
    [['unit', 'stop', 'web.service'], OK, ''],
    [['unit', 'restart', 'web.service'], OK, ''],
    [['unit', 'reload', 'web.service'], OK, ''],
    [['unit', 'mask', 'web.service'], REFUSED, noUnit],
    [['unit', 'stop', 'db.service'], REFUSED, notAllowed('the unit db.service')],
    [['unit', 'stop', 'sshd.service'], REFUSED, "sshd.service: not a unit's name, or a protected one"],
    [['unit', 'stop', '-web.service'], REFUSED, "-web.service: not a unit's name, or a protected one"],
    [['spawn', '', ['/bin/echo', 'a'], 1], OK, ''],
    [['spawn', '', ['/bin/echo'], 600_000], OK, ''],
    [['spawn', '', ['/bin/echo'], 600_001], REFUSED, 'timeout of 600001 ms: must be 1 to 600,000 ms'],
    [['spawn', '', ['/bin/echo'], 0], REFUSED, 'timeout of 0 ms: must be 1 to 600,000 ms'],
    [['spawn', '', ['/bin/echo', 1], 1], REFUSED, '/bin/echo: its arguments must be texts'],
    [['spawn', '', [1], 1], REFUSED, noProgram],
    [['spawn', '', [], 1], REFUSED, noProgram],
    [['spawn', '', ['/bin/true'], 1], REFUSED, notAllowed('the program /bin/true')],
    [['spawn.end'], OK, ''],
    [['spawn.end', 1], REFUSED, NONE],
    [['sysctl.write', 'vm.overcommit_ratio', '50'], OK, ''],
    [['sysctl.write', 'vm.swappiness', '50'], REFUSED, notAllowed('vm.swappiness')],
    [['block.write', 'none0', 'scheduler', 'none'], OK, ''],
    [['block.write', 'sda', 'scheduler', 'none'], REFUSED, notAllowed('sda')],
    [['cgroup.write', 'one', 'cpu', 1], OK, ''],
    [['cgroup.write', 'one', 'memory', 1], OK, ''],
    [['cgroup.write', 'one', 'freezer', 1], OK, ''],
    [['cgroup.write', 'one', 'pids', 1], REFUSED, 'no cgroup controller pids'],
    [['cgroup.write', 'two', 'cpu', 1], NOT_FOUND, 'no service two'],
    [['file.replace', `${data}/f`, PLAIN, -1], OK, ''],
    [['file.replace', '/srv/f', PLAIN, -1], REFUSED, noPath('/srv/f')],
    [['file.replace', `${data}/f`, 'text', -1], REFUSED, NONE],
    [['file.remove', '/srv/f'], REFUSED, noPath('/srv/f')],
    [['file.rotate', '/srv/f', 3], REFUSED, noPath('/srv/f')],
    [['file.recall', '/srv/f', 'x'], REFUSED, noPath('/srv/f')],
    [['file.restore', '/srv/f'], REFUSED, noPath('/srv/f')],
    [['file.return', '/srv/f'], REFUSED, noPath('/srv/f')],
    [['file.unrotate', '/srv/f', 3], REFUSED, noPath('/srv/f')],
    [['file.rotate', `${data}/f`, 3], OK, ''],
    [['files.hide', data, ['a', 'b']], OK, ''],
    [['files.hide', data, []], REFUSED, `${data}: 0 names: must be 1 to 2,000`],
    [['files.hide', data, ['a', 'b/c']], REFUSED, `${data}: each name must be that of a file in this directory`],
    [['files.hide', data, ['..']], REFUSED, `${data}: each name must be that of a file in this directory`],
    [['files.hide', data, [1]], REFUSED, `${data}: each name must be that of a file in this directory`],
    [['files.show', '/srv', ['a']], REFUSED, noPath('/srv')],
    [['net.block', '192.0.2.1'], REFUSED, notAllowed('network rules')],
    [['process.signal', 1, 1, 'TERM'], REFUSED, 'pid 1: it is protected'],
    [['process.signal', -1, 1, 'TERM'], REFUSED, 'pid -1: it is protected'],
    [['process.signal', 2 ** 31, 1, 'TERM'], REFUSED, `pid ${2 ** 31}: it is protected`],
    [['process.signal', 2 ** 31 - 1, 1, 'TERM'], GONE, `pid ${2 ** 31 - 1} is not that process any more`],
  ])('%j is answered with %i: %s', async (primitive, code, message) => {
    expect(await tried(primitive)).toEqual([code, message]);
  });

  it('of a process takes one that is allowed, with signals, grace and limits that can be', async () => {
    const [pid, ticks] = process_;
    for (const [rest, primitive, code, message] of [
      [['TERM'], 'process.signal', OK, ''],
      [['WINCH'], 'process.signal', REFUSED, 'no signal WINCH'],
      [[0], 'process.end', OK, ''],
      [[60_000], 'process.end', OK, ''],
      [[60_001], 'process.end', REFUSED, 'grace of 60001 ms: must be 0 to 60,000 ms'],
      [[-1], 'process.end', REFUSED, 'grace of -1 ms: must be 0 to 60,000 ms'],
      [[5], 'process.nice', OK, ''],
      [[2, 5], 'process.ioprio', OK, ''],
      [['nofile', 64, 64], 'process.limit', OK, ''],
      [['nofile', 64], 'process.limit', REFUSED, NONE],
    ] as const)
      expect([primitive, rest, await tried([primitive, pid, ticks, ...rest])]).toEqual([primitive, rest, [code, message]]);
    expect(await tried(['process.nice', pid, ticks + 1, 5])).toEqual([GONE, `pid ${pid} is not that process any more`]);
  });

  it('is known by its kinds to an agent, as far as the policy lets it through', async () => {
    const other = await test.raw();
    const hello = await other.ask('hello');
    const names = ['services', 'cgroups', 'sysctls', 'files', 'blocks', 'programs', 'processes', 'units'];
    const features = ['intent', 'beat', ...(process.getuid?.() === 0 ? ['own-users'] : [])];
    expect(hello.value).toEqual([expect.any(Number), expect.stringMatching(/^[0-9a-f-]{36}$/), 0, [...names, ...features]]);
    await agent.ask('hello');
  });

  it.each([
    ['no list', 1, 'a change has 1 to 64 steps'],
    ['none', [], 'a change has 1 to 64 steps'],
    ['too many', Array.from({ length: 65 }, () => [['spawn.end'], []]), 'a change has 1 to 64 steps'],
    ['a step without an undo', [[['spawn.end']]], 'a step is a primitive and its undo'],
    ['a step with more', [[['spawn.end'], [], []]], 'a step is a primitive and its undo'],
    ['a step that is none', [1], 'a step is a primitive and its undo'],
    ['an undo that is none', [[['spawn.end'], 1]], 'a step is a primitive and its undo'],
    ['an undo of another kind', [[['spawn.end'], ['shell']]], NONE],
    [
      'a second step of another kind',
      [
        [['spawn.end'], []],
        [['shell'], []],
      ],
      NONE,
    ],
  ])('is not taken in steps that are %s', async (_what, steps, message) => {
    const answer = await agent.ask('try', steps);
    const refused = steps === 1 ? 'no such operation, or not with these arguments' : message;
    expect([answer.code, answer.message]).toEqual([REFUSED, refused]);
  });

  it('hides as many as 2,000 files', async () => {
    expect(await tried(['files.hide', data, MANY])).toEqual([OK, '']);
    expect(await tried(['files.hide', data, [...MANY, 'a']])).toEqual([
      REFUSED,
      `${data}: ${MANY.length + 1} names: must be 1 to 2,000`,
    ]);
  });

  it('is taken in as many as 64 steps', async () => {
    const steps = Array.from({ length: 64 }, () => [['spawn.end'], ['spawn.end']]);
    expect(await agent.ask('try', steps)).toMatchObject({ code: OK });
  });
});

describe('what is done', () => {
  it('by a unit is told to systemctl, with nothing that it could take for an option', async () => {
    expect(await done(['unit', 'restart', 'web.service'])).toEqual([OK, '']);
    expect(readFileSync(join(programs, 'told'), 'utf8')).toBe('--no-ask-password --quiet restart -- web.service\n');
    writeFileSync(systemctl, '#!/bin/sh\necho "no such unit" >&2\nexit 4\n');
    expect(await done(['unit', 'start', 'web.service'])).toEqual([4, 'no such unit\n']);
    writeFileSync(systemctl, '#!/bin/sh\nexit 5\n');
    expect(await done(['unit', 'start', 'web.service'])).toEqual([4, 'it ended with status 5']);
    writeFileSync(systemctl, '#!/bin/sh\nkill -9 $$\n');
    expect(await done(['unit', 'start', 'web.service'])).toEqual([4, 'it ended with status 137']);
    writeFileSync(systemctl, '#!/bin/sh\necho "$PATH $LANG $(env | wc -l) $(cat)"; exit 1\n');
    expect((await done(['unit', 'start', 'web.service']))[1]).toMatch(/^\/usr\/sbin:\/usr\/bin:\/sbin:\/bin C.UTF-8 [345] \n$/);
    chmodSync(systemctl, 0o644);
    expect(await done(['unit', 'start', 'web.service'])).toEqual([4, `${systemctl}: Permission denied`]);
  });

  it('by an end is asked for first: a process that goes is not killed', async () => {
    const gentle = spawn('sleep', ['600']);
    const ended = new Promise((resolve) => gentle.once('exit', (code, signal) => resolve([code, signal])));
    const read = await agent.ask('read', ['process.read', gentle.pid]);
    const [pid, ticks] = read.value as [number, number];
    expect(await done(['process.end', pid, ticks, 60_000])).toEqual([OK, '']);
    expect(await ended).toEqual([null, 'SIGTERM']);
    expect(await done(['process.end', pid, ticks, 0])).toEqual([GONE, `pid ${pid} is not that process any more`]);
  });

  it('by a service that is stopped is pending until somebody confirms it', async () => {
    const down = async () => ((await agent.ask('services')).value as unknown[][])[0]?.slice(1, 2);
    await agent.ask('up', 'one');
    expect(await down()).toEqual(['running']);
    expect(await done(['service.stop', 'one'])).toEqual([OK, '']);
    expect(await down()).toEqual(['stopped']);
    expect(await done(['service.start', 'one'])).toEqual([OK, '']);
    expect(await down()).toEqual(['running']);
  });

  it('by a program that is spawned is over when it is ended, also where it ended before', async () => {
    await agent.ask('arm', 'echo', LONG_MS, [[['spawn', '', ['/bin/echo', 'a', 'b'], 5_000], ['spawn.end']]]);
    expect(await agent.ask('apply', 'echo', 0)).toMatchObject({ code: OK });
    const log = join(test.state, 'services', 'spawn.echo-0.log');
    await soon('what it says', () => existsSync(log) && readFileSync(log, 'utf8') === 'a b\n');
    expect(await agent.ask('undo', 'echo', 'enough')).toMatchObject({ code: OK, message: '' });
    expect(await done(['spawn.end'])).toEqual([OK, '']); // of a key that never was
  });
});

describe('a program that is spawned', () => {
  it('is ended when its time is over', async () => {
    await agent.ask('arm', 'brief', LONG_MS, [[['spawn', '', ['/bin/sleep', '600'], 60], ['spawn.end']]]);
    expect(await agent.ask('apply', 'brief', 0)).toMatchObject({ code: OK });
    const state = async () =>
      ((await agent.ask('services')).value as unknown[][]).find(([name]) => name === 'spawn.brief-0')?.[1];
    expect(await state()).toBe('running');
    await soon('its end', async () => (await state()) === 'stopped');
  });
});

const NFT = existsSync('/usr/sbin/nft');
describe('a network', () => {
  const own = new TestActuator(true);
  const alone = process.getuid?.() === 0;
  let asker: RawClient;
  beforeAll(async () => {
    await own.start({ policy: 'allow net\n', under: alone ? ['unshare', '--net'] : [] });
    asker = await own.agent();
  });
  afterAll(() => own.stop());

  it.skipIf(!NFT).each([
    ['192.0.2.1', true],
    ['192.0.2.0/24', true],
    ['192.0.2.0/8', true],
    ['192.0.2.1/32', true],
    ['2001:db8::1', true],
    ['2001:db8::/8', true],
    ['2001:db8::1/128', true],
    ['128.0.0.1', true],
    ['192.0.2.0/7', false],
    ['192.0.2.0/33', false],
    ['2001:db8::/129', false],
    ['2001:db8::/7', false],
    ['127.0.0.1', false],
    ['127.1.2.3/8', false],
    ['192.0.2.0/', false],
    ['192.0.2.0/2x', false],
    ['192.0.2.0/ 24', false],
    ['192.0.2.0/-8', false],
    ['192.0.2', false],
    ['example', false],
    ['', false],
  ])('%s can be blocked: %s', async (address, can) => {
    const { code, message } = await asker.ask('try', [
      [
        ['net.block', address],
        ['net.unblock', address],
      ],
    ]);
    const refused = [REFUSED, `${address}: not an address, or one too wide`];
    expect([code, message]).toEqual(can ? [OK, ''] : refused);
  });

  it.skipIf(!NFT || !alone)('is blocked in a table of its own, both ways, until that is undone', async () => {
    const rules = (): string =>
      execFileSync('nsenter', ['-t', String(own.process?.pid), '-n', '/usr/sbin/nft', 'list', 'table', 'inet', 'kalos'], {
        encoding: 'utf8',
      });
    for (const [id, address, set] of [
      ['v4', '192.0.2.0/24', 'blocked4'],
      ['v6', '2001:db8::1', 'blocked6'],
    ] as const) {
      await asker.ask('arm', id, LONG_MS, [
        [
          ['net.block', address],
          ['net.unblock', address],
        ],
      ]);
      expect(await asker.ask('apply', id, 0)).toMatchObject({ code: OK, message: '' });
      expect(rules()).toMatch(new RegExp(`set ${set} \\{[^}]*elements = \\{ ${address} \\}`));
    }
    for (const rule of ['ip saddr @blocked4', 'ip6 saddr @blocked6', 'ip daddr @blocked4', 'ip6 daddr @blocked6'])
      expect(rules().split(`${rule} drop`).length).toBe(2);
    expect(await asker.ask('undo', 'v4', 'x')).toMatchObject({ code: OK });
    expect([rules().includes('192.0.2.0'), rules().includes('2001:db8::1')]).toEqual([false, true]);
  });
});

describe('what needs an authorization', () => {
  const own = new TestActuator(true);
  let asker: RawClient;
  beforeAll(async () => {
    const rules = [
      'allow process sleep',
      'certify net',
      'certify process sleep',
      'certify service one',
      'certify unit web.service',
    ];
    const more = ['certify program /bin/echo', 'certify sysctl vm.x', 'certify block none0', 'certify path /srv/kept'];
    await own.start({ policy: `${[...rules, ...more].join('\n')}\n` });
    asker = await own.agent();
  });
  afterAll(() => own.stop());

  it.each<[unknown[], string]>([
    [['service.start', 'one'], 'service one'],
    [['service.stop', 'one'], 'service one'],
    [['cgroup.write', 'one', 'cpu', 1], 'service one'],
    [['unit', 'stop', 'web.service'], 'unit web.service'],
    [['spawn', '', ['/bin/echo'], 1], 'program /bin/echo'],
    [['sysctl.write', 'vm.x', '1'], 'sysctl vm.x'],
    [['block.write', 'none0', 'scheduler', 'x'], 'block none0'],
    [['file.replace', '/srv/kept', PLAIN, -1], 'path /srv/kept'],
    [['file.remove', '/srv/kept/f'], 'path /srv/kept'],
    [['file.recall', '/srv/kept/f', 'x'], 'path /srv/kept'],
    [['file.restore', '/srv/kept/f'], 'path /srv/kept'],
    [['file.return', '/srv/kept/f'], 'path /srv/kept'],
    [['file.rotate', '/srv/kept/f', 1], 'path /srv/kept'],
    [['file.unrotate', '/srv/kept/f', 1], 'path /srv/kept'],
    [['files.hide', '/srv', ['a', 'kept']], 'path /srv/kept'],
    [['files.show', '/srv/kept', ['a']], 'path /srv/kept'],
    [['net.block', '192.0.2.1'], 'net '],
    [['net.unblock', '192.0.2.1'], 'net '],
  ])('%j does, by the rule for %s', async (primitive, rule) => {
    const message = `it needs an authorization (certify ${rule}): this actuator has no judge: start it with --judge PROGRAM`;
    expect(await asker.ask('arm', 'a', LONG_MS, [[primitive, []]])).toMatchObject({ code: REFUSED, message });
  });

  it('is a process by its name, and nothing that the rules do not name', async () => {
    const message =
      'it needs an authorization (certify process sleep): this actuator has no judge: start it with --judge PROGRAM';
    const [pid, ticks] = process_;
    for (const primitive of [
      ['process.signal', pid, ticks, 'CONT'],
      ['process.end', pid, ticks, 1],
      ['process.nice', pid, ticks, 1],
      ['process.ioprio', pid, ticks, 2, 1],
      ['process.limit', pid, ticks, 'core', 1, 1],
    ])
      expect(await asker.ask('arm', 'a', LONG_MS, [[primitive, []]])).toMatchObject({ code: REFUSED, message });
    for (const primitive of [
      ['file.remove', '/srv/keptx'],
      ['files.hide', '/srv', ['a']],
      ['unit', 'stop', 'db.service'],
    ])
      expect((await asker.ask('arm', 'a', LONG_MS, [[primitive, []]])).message).not.toContain('authorization');
    expect(await asker.ask('arm', 'a', LONG_MS, [[['spawn.end'], []]])).toMatchObject({ code: OK });
  });
});

describe('a read', () => {
  it.each<[unknown[], number, string]>([
    [['process.read', 0], REFUSED, 'pid 0: must be 1 to 2,147,483,647'],
    [['process.read', 2 ** 31], REFUSED, `pid ${2 ** 31}: must be 1 to 2,147,483,647`],
    [['process.read', 2 ** 31 - 1], GONE, `no process ${2 ** 31 - 1}`],
    [['process.read', 'x'], REFUSED, 'no such read, or not with these arguments'],
    [['process.read'], REFUSED, 'no such read, or not with these arguments'],
    [['shell'], REFUSED, 'no such read, or not with these arguments'],
    [[], REFUSED, 'no such read, or not with these arguments'],
    [['port.holder', 0], REFUSED, 'port 0: must be 1 to 65,535'],
    [['port.holder', 65_536], REFUSED, 'port 65536: must be 1 to 65,535'],
    [['port.holder', 1], NOT_FOUND, 'port 1: no visible process listens on it'],
    [['archive.read', 'none'], NOT_FOUND, 'none: no such backup is kept'],
    [['archive.read', '../term'], NOT_FOUND, '../term: no such backup is kept'],
    [['sysctl.read', 'no.such'], NOT_FOUND, 'no/such: No such file or directory'],
    [['sysctl.read', '../x'], REFUSED, '../x: no sysctl key'],
    [['block.read', 'none0', 'scheduler'], NOT_FOUND, 'block/none0/queue/scheduler: No such file or directory'],
    [['block.read', 'none0', 'read_ahead_kb'], NOT_FOUND, 'block/none0/queue/read_ahead_kb: No such file or directory'],
    [['block.read', 'none0', 'nomerges'], REFUSED, 'none0: no setting of a block device'],
    [['block.read', 'x'.repeat(32), 'scheduler'], REFUSED, `${'x'.repeat(32)}: no setting of a block device`],
    [
      ['block.read', 'x'.repeat(31), 'scheduler'],
      NOT_FOUND,
      `block/${'x'.repeat(31)}/queue/scheduler: No such file or directory`,
    ],
    [['file.stat', '/srv/f'], REFUSED, noPath('/srv/f')],
    [['file.list', '/srv'], REFUSED, noPath('/srv/x')],
    [['file.read', '/srv/f'], REFUSED, noPath('/srv/f')],
    [['file.writers', '/srv/f'], REFUSED, noPath('/srv/f')],
    [['file.writers', `${data}/none`], NOT_FOUND, `${data}/none: no such file`],
    [['cgroup.read', '-x', 'cpu'], NOT_FOUND, 'this machine has no cgroup controller cpu'],
    [['cgroup.read', 'one', 'none'], NOT_FOUND, 'this machine has no cgroup controller none'],
  ])('%j is answered with %i: %s', async (what, code, message) => {
    const answer = await agent.ask('read', what);
    expect([answer.code, answer.message, answer.value]).toEqual([code, message, undefined]);
  });

  it('of a setting gives its value', async () => {
    const value = readFileSync('/proc/sys/vm/overcommit_ratio', 'utf8').trim();
    expect(await agent.ask('read', ['sysctl.read', 'vm.overcommit_ratio'])).toEqual({ code: OK, message: '', value });
  });
});
