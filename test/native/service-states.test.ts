// The states of a service, as the actuator tells and records them: how it begins and ends, who has it down, and what the record of an
// actuator before this one makes of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { buildPlain, type RawClient, soon, TestActuator } from '../support/actuator.ts';

const OWN = userInfo().username;
const LONG_MS = 60_000;
const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const NUMBER = expect.any(Number);
/** Who has it down, in a sample. */
const [NOBODY, PERSON, POLICY] = [0, 1, 2];

let test: TestActuator;
let agent: RawClient;
const children: ChildProcess[] = [];
beforeAll(buildPlain);
beforeEach(() => {
  test = new TestActuator(true);
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await test.stop();
});

async function begin(): Promise<void> {
  await test.start({ policy: '' });
  agent = await test.agent();
}
const service = (name: string, script: string, more: { graceMs?: number; signal?: string; fenced?: number } = {}): unknown[] => [
  ...[name, ['sh', '-c', script], '', [], OWN, [], 0, 0, more.signal ?? 'TERM', more.graceMs ?? 5_000, 1 << 20, more.fenced ?? 0],
];
const ask = async (operation: string, ...parameters: unknown[]): Promise<[number, string]> => {
  const { code, message } = await agent.ask(operation, ...parameters);
  return [code, message];
};
const fine = [0, ''];
const sample = async (name: string) => ((await agent.ask('services')).value as unknown[][]).find(([one]) => one === name);
const reaches = (name: string, state: string) =>
  soon(`${name} ${state}`, async () => ((await sample(name))?.[1] === state ? await sample(name) : undefined));
const services = (): string => join(test.state, 'services');
const record = (name: string) => decodeCbor(readFileSync(join(services(), `${name}.run`)));
const logOf = (name: string): string => readFileSync(join(services(), `${name}.log`), 'utf8');
const lives = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
const ticksOf = (pid: number): number => {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19]);
};
const told = (): unknown[][] => agent.frames.filter(([, id]) => id === 0).map((frame) => [...(frame[3] as unknown[]), frame[4]]);
let changes = 0;
async function change(...primitive: unknown[]): Promise<string> {
  const id = `s-${changes++}`;
  expect(await ask('arm', id, LONG_MS, [[primitive, []]])).toEqual(fine);
  expect(await ask('apply', id, 0)).toEqual(fine);
  return id;
}

describe('a service', () => {
  it('is started once, whoever asks how often, and told of as it runs and as it ends', async () => {
    await begin();
    await ask('declare', [service('web', 'exec sleep 600')]);
    expect(await sample('web')).toEqual(['web', 'stopped', 0, 0, -1, 0, 0, NUMBER, NOBODY]);
    expect(Math.abs(Number((await sample('web'))?.[7]) - Date.now())).toBeLessThan(60_000);
    expect(await Promise.all([ask('up', 'web'), ask('up', 'web')])).toEqual([fine, fine]);
    expect(await ask('up', 'web')).toEqual(fine);
    const [, state, pid, ticks, , , starts] = (await sample('web')) as number[];
    expect([state, starts, ticks]).toEqual(['running', 1, ticksOf(pid ?? 0)]);
    expect(record('web')).toEqual([2, BOOT, pid, ticks, 1, 0, 0]);
    expect(statSync(join(services(), 'web.log')).mode & 0o137).toBe(0);
    process.kill(pid ?? 0, 'SIGKILL');
    expect(await reaches('web', 'exited')).toEqual(['web', 'exited', 0, 0, -1, 9, 1, NUMBER, NOBODY]);
    expect(told().map(([, ...rest]) => [rest[0], rest[4], rest.at(-1)])).toEqual([
      ['running', 0, 0],
      ['exited', 9, 1],
    ]);
    expect(record('web')).toEqual([2, BOOT, 0, ticks, 1, 0, 0]);
    expect(await ask('up', 'web')).toEqual(fine);
    expect(await sample('web')).toEqual(['web', 'running', NUMBER, NUMBER, -1, 0, 2, NUMBER, NOBODY]);
  });

  it('that cannot begin has ended by its own, and was not started', async () => {
    await begin();
    await ask('declare', [['web', ['/no/such'], '', [], OWN, [], 0, 0, 'TERM', 1, 4_096]]);
    expect(await ask('up', 'web')).toEqual([4, '/no/such: No such file or directory']);
    expect(await sample('web')).toEqual(['web', 'exited', 0, 0, 127, 0, 0, NUMBER, NOBODY]);
    expect(record('web')).toEqual([2, BOOT, 0, NUMBER, 0, 0, 0]);
    expect(told().map((one) => [one[1], one.at(-1)])).toEqual([['exited', 0]]);
  });

  it('leaves nothing open in the actuator as it begins, fails to and ends', async () => {
    await begin();
    await ask('declare', [service('web', 'exec sleep 600'), ['bad', ['/no/such'], '', [], OWN, [], 0, 0, 'TERM', 1, 4_096]]);
    const open = (): number => readdirSync(`/proc/${test.process?.pid}/fd`).length;
    const before = open();
    for (let nth = 0; nth < 3; nth++) {
      await ask('up', 'bad');
      await ask('up', 'web');
      expect(open()).toBe(before);
      process.kill(Number((await sample('web'))?.[2]), 'SIGKILL');
      await reaches('web', 'exited');
    }
    expect(open()).toBe(before);
  });

  it('appends to its log, which is no link and no directory', async () => {
    await begin();
    await ask('declare', [service('a', 'echo more'), service('b', 'true'), service('c', 'true')]);
    writeFileSync(join(services(), 'a.log'), 'before\n');
    mkdirSync(join(services(), 'b.log'));
    symlinkSync('/dev/null', join(services(), 'c.log'));
    expect(await ask('up', 'a')).toEqual(fine);
    await soon('its words', () => logOf('a') === 'before\nmore\n');
    expect(await ask('up', 'b')).toEqual([4, `${services()}/b.log: Is a directory`]);
    expect(await ask('up', 'c')).toEqual([3, `${services()}/c.log: Too many levels of symbolic links`]);
    expect((await sample('b'))?.slice(1, 3)).toEqual(['stopped', 0]);
  });

  it('is stopped by its signal, also where it is frozen, and killed with all it has started after its grace', async () => {
    await begin();
    const say = (signal: string): string => `trap "echo got; exit 5" ${signal}; echo ready; while :; do sleep 0.01; done`;
    await ask('declare', [
      service('polite', say('HUP'), { signal: 'HUP' }),
      service('deaf', 'trap "" TERM; sleep 600 & echo "ready $!"; wait', { graceMs: 40 }),
    ]);
    for (const name of ['polite', 'deaf']) {
      await ask('up', name);
      await soon('it to be ready', () => logOf(name).includes('ready'));
    }
    process.kill(Number((await sample('polite'))?.[2]), 'SIGSTOP');
    await change('service.stop', 'polite');
    expect((await sample('polite'))?.slice(1, 6)).toEqual(['stopped', 0, 0, 5, 0]);
    expect(logOf('polite')).toContain('got\n');
    const child = Number(/ready (\d+)/.exec(logOf('deaf'))?.[1]);
    const [one, other] = ['s-one', 's-other'];
    for (const id of [one, other]) await ask('arm', id, LONG_MS, [[['service.stop', 'deaf'], []]]);
    expect(await Promise.all([ask('apply', one, 0), ask('apply', other, 0)])).toEqual([fine, fine]);
    expect((await sample('deaf'))?.slice(1, 6)).toEqual(['stopped', 0, 0, -1, 9]);
    await soon('what it started to end', () => !lives(child));
    expect(told().filter((frame) => frame.at(-1) !== 0)).toEqual([]);
  });

  it('whose leader ends by itself takes what it has started with it', async () => {
    await begin();
    await ask('declare', [service('web', 'sleep 600 & echo "$!"')]);
    await ask('up', 'web');
    await reaches('web', 'exited');
    const child = Number(logOf('web'));
    expect(child).toBeGreaterThan(1);
    await soon('its child to end', () => !lives(child));
  });

  it('is down for a person, or for a policy, as soon as that is confirmed, and for nobody once it is started or undone', async () => {
    await begin();
    await ask('declare', [service('web', 'exec sleep 600')]);
    const down = async () => [(await sample('web'))?.[8], (record('web') as number[])[5]];
    for (const [confirm, by, recorded] of [
      [['confirm'], PERSON, 2],
      [['confirm', 1], PERSON, 2],
      [['confirm', 0], POLICY, 0],
      [['undo', 'x'], NOBODY, 0],
    ] as [string[], number, number][]) {
      await ask('up', 'web');
      expect(await down()).toEqual([NOBODY, 0]);
      const id = await change('service.stop', 'web');
      expect(await down()).toEqual([PERSON, 0]); // nobody starts it until that is over
      const [operation = '', ...more] = confirm;
      expect(await ask(operation, id, ...more)).toEqual(fine);
      expect(await down()).toEqual([by, recorded]);
      expect(told().at(-1)?.slice(8)).toEqual([by, 0]);
    }
    const id = await change('service.stop', 'web');
    await ask('up', 'web');
    await ask('confirm', id);
    expect(await down()).toEqual([NOBODY, 0]);
  });

  it('is ended with the actuator, the newest first', async () => {
    await begin();
    const order = join(test.directory, 'order');
    const script = (name: string): string =>
      `trap "echo ${name} >> ${order}; exit" TERM; echo ready; while :; do sleep 0.01; done`;
    await ask(
      'declare',
      ['b', 'c', 'a'].map((name) => service(name, script(name))),
    );
    for (const name of ['b', 'c', 'a']) {
      await ask('up', name);
      await soon('it to be ready', () => logOf(name).includes('ready'));
    }
    await test.kill('SIGTERM');
    expect(readFileSync(order, 'utf8')).toBe('a\nc\nb\n');
    for (const name of ['a', 'b', 'c']) expect(record(name)).toEqual([2, BOOT, 0, NUMBER, 1, 0, 0]);
    expect(readdirSync(services()).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('the record of an actuator before', () => {
  /** A process of its own group, as services are. */
  function other(): [number, number] {
    const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
    children.push(child);
    return [child.pid ?? 0, ticksOf(child.pid ?? 0)];
  }
  function lay(fenced: number, ...saved: unknown[]): void {
    mkdirSync(services(), { recursive: true });
    writeFileSync(join(services(), 'declared'), encodeCbor([service('web', 'exec sleep 600', { fenced })]));
    writeFileSync(join(services(), 'web.run'), encodeCbor(saved));
  }
  const PID = 'pid';
  const TICKS = 'ticks';

  it.each<[string, unknown[], string, number, number]>([
    ['of one that runs', [2, BOOT, PID, TICKS, 4, 0, 0], 'running', 4, NOBODY],
    ['of 0.3.0, which could not tell who had it down', [1, BOOT, PID, TICKS, 4, 1], 'running', 4, NOBODY],
    ['of another boot', [2, 'another', PID, TICKS, 4, 0, 0], 'stopped', 4, NOBODY],
    ['of one that did not run', [2, BOOT, 0, TICKS, 4, 0, 0], 'stopped', 4, NOBODY],
    ['of the first process', [2, BOOT, 1, TICKS, 4, 0, 0], 'stopped', 4, NOBODY],
    ['of one whose number another has', [2, BOOT, PID, 1, 4, 0, 0], 'exited', 4, NOBODY],
    ['of one that a person has down', [2, BOOT, 0, TICKS, 4, 2, 0], 'stopped', 4, PERSON],
    ['of one that somebody had down', [2, BOOT, 0, TICKS, 4, 1, 0], 'stopped', 4, NOBODY],
    ['with a field too few', [2, BOOT, PID, TICKS, 4], 'stopped', 0, NOBODY],
    ['with a field too many', [2, BOOT, PID, TICKS, 4, 2, 0, 0], 'stopped', 0, NOBODY],
  ])('%s is what its service is', async (_what, saved, state, starts, down) => {
    const [pid, ticks] = other();
    lay(0, ...saved.map((one) => (one === PID ? pid : one === TICKS ? ticks : one)));
    await begin();
    const runs = state === 'running';
    expect(await sample('web')).toEqual(['web', state, runs ? pid : 0, runs ? ticks : 0, -1, 0, starts, NUMBER, down]);
    expect(lives(pid)).toBe(true);
    if (!runs) return;
    expect(await ask('up', 'web')).toEqual(fine); // it is
    children.at(-1)?.kill('SIGKILL');
    expect(await reaches('web', 'exited')).toEqual(['web', 'exited', 0, 0, -1, 0, 4, NUMBER, NOBODY]);
    expect(told().map((one) => [one[1], one.at(-1)])).toEqual([['exited', 1]]);
  });

  it.each<[string, unknown[], boolean]>([
    ['kills what it had started', [BOOT, PID, TICKS], true],
    ['leaves a process of another boot', ['another', PID, TICKS], false],
    ['leaves whoever has its number by now', [BOOT, PID, 1], false],
  ])('of a service for fail-over %s, and its fence stands', async (_what, [boot, pidOrNot, ticksOrNot], kills) => {
    const [pid, ticks] = other();
    const child = children.at(-1);
    const ended = new Promise((resolve) => child?.once('exit', resolve));
    lay(1, 2, boot, pidOrNot === PID ? pid : pidOrNot, ticksOrNot === TICKS ? ticks : ticksOrNot, 4, 0, 7);
    await begin();
    if (kills) await ended;
    expect(lives(pid)).toBe(!kills);
    expect((await sample('web'))?.slice(1)).toEqual(['stopped', 0, 0, -1, 0, 4, NUMBER, PERSON]); // another may run it
    const hold = (fence: number) =>
      ask('hold', 'web', Number(process.hrtime.bigint() / 1_000_000n) + 9_000, Date.now() + 9_000, fence);
    expect(await hold(6)).toEqual([3, 'web was held under fence 7 already']);
    expect(await hold(7)).toEqual([0, 'started']);
    await ask('release', 'web');
  });
});

describe('services that are declared no longer', () => {
  const many = (letter: string, count: number): unknown[] =>
    Array.from({ length: count }, (_, nth) => service(`${letter}${nth}`, 'exec sleep 600'));
  const names = async (): Promise<unknown[]> => ((await agent.ask('services')).value as unknown[][]).map(([name]) => name);

  it('are forgotten where there are more than 256, but those that run', async () => {
    await begin();
    expect(await ask('declare', many('s', 256))).toEqual(fine);
    await ask('up', 's99');
    expect(await ask('declare', many('t', 1))).toEqual(fine);
    expect((await names()).length).toBe(256);
    expect(await names()).toEqual(expect.arrayContaining(['s0', 's99', 't0']));
    expect(await ask('up', 's98')).toEqual([1, 'no service s98']);
    expect(await ask('declare', many('u', 256))).toEqual(fine);
    expect((await names()).length).toBe(257);
    expect((await sample('s99'))?.[1]).toBe('running');
  });
});
