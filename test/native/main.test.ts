// The actuator's command line, its directory, the policy that it goes by, and how it ends.
import { existsSync, mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { buildPlain, runActuator, soon, TestActuator } from '../support/actuator.ts';

const REFUSED = 3;
let test: TestActuator;
beforeAll(buildPlain);
beforeEach(() => {
  test = new TestActuator(true);
});
afterEach(() => test.stop());

const usage = (why: string): { code: number; said: string } => ({ code: 2, said: `kalos-actuator: ${why}\n` });

describe('an option', () => {
  it.each<[string[], string]>([
    [[], '--state needs an absolute directory; see --help'],
    [['--state', 'relative'], '--state needs an absolute directory; see --help'],
    [['--frobnicate'], 'unknown option --frobnicate; see --help'],
    [['--state'], '--state needs a value; see --help'],
    [['--check-policy'], '--check-policy needs a value; see --help'],
    [['--state', '/none', '--init'], 'a command after -- goes with --init; see --help'],
    [['--state', '/none', '--init', '--'], 'a command after -- goes with --init; see --help'],
    [['--state', '/none', '--', 'true'], 'a command after -- goes with --init; see --help'],
    [['--state', '/none', '--agent', 'no-such-user'], 'no user no-such-user'],
    [['--stall-limit', '3999'], '--stall-limit 3999: must be milliseconds, at least 4000'],
    [['--stall-limit', '4000'], '--state needs an absolute directory; see --help'],
    [['--stall-limit', 'x'], '--stall-limit x: must be milliseconds, at least 4000'],
    [['--answer-within', '499'], '--answer-within 499: must be milliseconds, at least 500'],
    [['--answer-within', '500'], '--state needs an absolute directory; see --help'],
    [
      ['--owned', '--systemctl', '/x', '--watchdog', '/x', '--judge', '/x', '--socket', '/x', '--policy', '/x'],
      '--state needs an absolute directory; see --help',
    ],
  ])('of %j is wrong: %s', (args, why) => {
    expect(runActuator(...args)).toEqual(usage(why));
  });

  it('is explained by --help', () => {
    const { code, said } = runActuator('--help');
    expect(code).toBe(0);
    const options = ['state', 'socket', 'policy', 'agent', 'judge', 'owned', 'stall-limit', 'answer-within', 'watchdog', 'init'];
    for (const option of [...options, 'check-policy']) expect(said).toContain(`\n  --${option}`);
  });

  it('says where the socket and the policy are, in place of the directory', async () => {
    const [socket, policy] = [join(test.directory, 'elsewhere'), join(test.directory, 'rules')];
    writeFileSync(policy, 'allow net\n', { mode: 0o600 });
    const link = test.socket;
    mkdirSync(test.state);
    const started = test.start({ arguments: ['--socket', socket, '--policy', policy] });
    await soon('the socket', () => existsSync(socket));
    const other = new TestActuator(true);
    Object.assign(other, { socket });
    const hello = await (await other.raw()).ask('hello');
    expect((hello.value as unknown[][])[3]).toContain('net');
    expect(existsSync(link)).toBe(false);
    await test.kill('SIGTERM');
    await expect(started).rejects.toThrow('it ended');
    expect(existsSync(socket)).toBe(false);
    await other.stop();
  });

  it('may say too long a socket, or a watchdog that is not there', () => {
    const socket = `/${'x'.repeat(107)}`;
    expect(runActuator('--state', test.state, '--socket', socket)).toEqual({
      code: 1,
      said: `kalos-actuator: ${socket}: too long for a socket (107 bytes)\n`,
    });
    expect(runActuator('--state', test.state, '--socket', '/no/such/sock')).toEqual({
      code: 1,
      said: 'kalos-actuator: /no/such/sock: No such file or directory\n',
    });
    expect(runActuator('--state', test.state, '--watchdog', '/no/such/watchdog')).toEqual({
      code: 1,
      said: 'kalos-actuator: /no/such/watchdog: No such file or directory\n',
    });
  });
});

describe('its directory', () => {
  it('is its own: others may pass through to a log, and see nothing of its changes', async () => {
    await test.start();
    const mode = (name: string): number => statSync(join(test.state, name)).mode & 0o7777;
    expect(['.', 'services', 'changes', 'archive'].map(mode)).toEqual([0o711, 0o711, 0o700, 0o700]);
    expect([mode('lock'), mode('sock'), mode('actuator.log') & 0o137]).toEqual([0o600, 0o600, 0]);
    expect(readFileSync(join(test.state, 'lock'), 'utf8')).toBe(`${test.process?.pid}\n`);
    expect(test.log()).toMatch(/Z started, pid \d+\n$/);
    const second = runActuator('--state', test.state);
    expect(second).toEqual({ code: 1, said: `kalos-actuator: ${test.state}: another actuator runs on it\n` });
    expect(readFileSync(join(test.state, 'lock'), 'utf8')).toBe(`${test.process?.pid}\n`);
  });

  it('is no file, nor beneath what is not there', () => {
    writeFileSync(test.state, '');
    expect(runActuator('--state', test.state)).toEqual({
      code: 1,
      said: `kalos-actuator: ${test.state}: must be a directory of this user's\n`,
    });
    expect(runActuator('--state', '/no/such/directory')).toEqual({
      code: 1,
      said: 'kalos-actuator: /no/such/directory: No such file or directory\n',
    });
  });

  it('has its log put aside at 10 MiB', async () => {
    mkdirSync(test.state);
    const log = join(test.state, 'actuator.log');
    writeFileSync(log, 'x'.repeat(10 << 20));
    await test.start();
    expect(existsSync(`${log}.1`)).toBe(false);
    const agent = await test.agent();
    expect(statSync(`${log}.1`).size).toBeGreaterThan(10 << 20);
    await agent.ask('undo', 'none', 'x');
    const lines = test.log().trimEnd().split('\n');
    expect(lines.map((line) => line.split(' ').slice(1, 4).join(' '))).toEqual([
      `agent pid ${process.pid}`,
      `pid ${process.pid} term`,
      `pid ${process.pid} term`,
    ]);
  });
});

describe('its policy', () => {
  const remove = ['file.remove', '/srv/a/f'];
  const allowed = async (): Promise<boolean> => (await (await test.raw()).ask('try', [[remove, []]])).code !== REFUSED;
  const good = (): string => join(test.state, 'policy.good');
  const told = (count: number) => soon('it to be said', () => test.log().split('policy not taken').length === count + 1);

  it('that is good is kept; one that is not leaves the last good one in force, over a restart too', async () => {
    await test.start({ policy: 'allow path /srv/a\n' });
    expect([await allowed(), readFileSync(good(), 'utf8')]).toEqual([true, 'allow path /srv/a\n']);
    writeFileSync(test.policyFile, 'allow everything\n');
    test.process?.kill('SIGHUP');
    await told(1);
    expect(test.log()).toContain('; the last good one holds');
    await soon('its own words', () => test.errors.includes('policy not taken: '));
    expect([await allowed(), readFileSync(good(), 'utf8')]).toEqual([true, 'allow path /srv/a\n']);
    await test.kill();
    await test.start();
    await told(2);
    expect(await allowed()).toBe(true);
    unlinkSync(test.policyFile);
    test.process?.kill('SIGHUP');
    await soon('it to be gone', () => !existsSync(good()));
    expect(await allowed()).toBe(false);
  });

  it('that was never good allows nothing', async () => {
    await test.start({ policy: 'allow everything\n' });
    expect(await allowed()).toBe(false);
    expect(existsSync(good())).toBe(false);
    writeFileSync(test.policyFile, 'allow path /srv/a\n');
    test.process?.kill('SIGHUP');
    await soon('the policy', allowed);
  });

  it('opens neither the actuator’s own directory nor the policy itself', async () => {
    await test.start({ policy: `allow path ${test.directory}\n` });
    const agent = await test.agent();
    const code = async (path: string) => (await agent.ask('try', [[['file.remove', path], []]])).code;
    const paths = [join(test.state, 'term'), test.policyFile, join(test.directory, 'f')];
    expect(await Promise.all(paths.map(code))).toEqual([REFUSED, REFUSED, 0]);
    test.process?.kill('SIGHUP');
    await agent.ask('beat', 0);
    expect(await Promise.all(paths.map(code))).toEqual([REFUSED, REFUSED, 0]);
    expect((await agent.ask('try', [[['process.signal', process.pid, 1, 'CONT'], []]])).code).not.toBe(0);
  });
});

describe('its end', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('by %s is in order, after that of its services', async (signal) => {
    await test.start();
    const agent = await test.agent();
    await agent.ask('declare', [['one', ['sleep', '600'], '', [], '', [], 0, 0, 'TERM', 5_000, 1 << 20]]);
    await agent.ask('up', 'one');
    const pid = ((await agent.ask('services')).value as unknown[][])[0]?.[2];
    await test.kill(signal);
    expect(test.process?.exitCode).toBe(0);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    const lines = test.log().trimEnd().split('\n');
    expect(lines.filter((line) => /shutting down|ended$/.test(line)).map((line) => line.slice(21))).toEqual([
      'shutting down',
      'ended',
    ]);
    expect(existsSync(test.socket)).toBe(false);
  });

  it('is told to a hardware watchdog, as that it lives', async () => {
    const device = join(test.directory, 'watchdog');
    writeFileSync(device, '');
    await test.start({ arguments: ['--watchdog', device] });
    await soon('a ping', () => readFileSync(device, 'latin1') === '\0');
    await test.kill('SIGTERM');
    expect(readFileSync(device, 'latin1')).toBe('\0V');
  });
});

describe('stalls of an agent', () => {
  const stall = (nth: number): unknown[] => [nth, 30_000, nth % 2, `stall ${nth}`];
  const stalls = async () => (await (await test.raw()).ask('stalls')).value;

  it('are told of an earlier life too, as far as its record can be read', async () => {
    mkdirSync(test.state);
    writeFileSync(join(test.state, 'stalls'), encodeCbor([stall(1), [1, 2, 3], stall(2)]));
    await test.start();
    expect(await stalls()).toEqual([stall(1), stall(2)]);
    await test.kill();
    writeFileSync(join(test.state, 'stalls'), 'no record');
    await test.start();
    expect(await stalls()).toEqual([]);
  });
});

describe('an agent that it starts (--init)', () => {
  const init = (script: string) => runActuator('--state', test.state, '--init', '--', 'sh', '-c', script);

  it('ends it with the agent’s own status, where that left on purpose or would only fail again', () => {
    for (const status of [0, 2, 127]) {
      const { code } = init(`exit ${status}`);
      expect(code).toBe(status);
      expect(test.log()).toContain(`the agent ended with status ${status}\n`);
    }
    const none = runActuator('--state', test.state, '--init', '--', '/no/such/agent', 'x');
    expect(none).toEqual({ code: 127, said: 'kalos-actuator: /no/such/agent: No such file or directory\n' });
  });

  it('knows its socket, in a session of its own', () => {
    expect(init('echo "$KALOS_ACTUATOR $$ $(ps -o sid= -p $$)"').said).toMatch(new RegExp(`^${test.socket} (\\d+) +\\1\n$`));
  });

  const said = (): string => join(test.directory, 'said');
  const words = (): string => (existsSync(said()) ? readFileSync(said(), 'utf8') : '');
  const GOES_ON = 'echo ready; while :; do sleep 0.01; done';
  const start = (script: string, under: string[] = []) =>
    test.start({ under, arguments: ['--init', '--', 'sh', '-c', `exec > ${said()}; ${script}`] });

  it.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)(
    'is sent %s as it is, once, and ends before the services and the actuator',
    async (signal) => {
      const name = signal.slice(3);
      const log = join(test.state, 'actuator.log');
      await start(`trap "echo ${name}; cat ${log}; exit 9" ${name}; ${GOES_ON}`);
      await soon('the agent', () => words() === 'ready\n');
      await test.kill(signal);
      expect(test.process?.exitCode).toBe(0);
      const [first, second, ...lines] = words().trimEnd().split('\n');
      expect([first, second, lines.map((line) => line.slice(21)).at(-1)]).toEqual(['ready', name, 'shutting down']);
      expect(test.log()).toMatch(/shutting down\n\S+ ended\n$/);
      expect(test.log()).not.toContain('the agent ended');
    },
  );

  it('is sent SIGHUP where the policy is to be read again', async () => {
    await start(`trap "echo again" HUP; ${GOES_ON}`);
    await soon('the agent', () => words() === 'ready\n');
    writeFileSync(test.policyFile, 'allow net\n', { mode: 0o600 });
    test.process?.kill('SIGHUP');
    await soon('it to be told', () => words() === 'ready\nagain\n');
    expect(((await (await test.raw()).ask('hello')).value as unknown[][])[3]).toContain('net');
  });

  it('starts with all signals as they come, and what systemd says to its parent is not for it', async () => {
    const systemd = ['env', 'NOTIFY_SOCKET=/no/such', 'WATCHDOG_USEC=60000000', 'WATCHDOG_PID=1'];
    await start(`grep -E "SigBlk|SigIgn" /proc/self/status; env | grep -E "NOTIFY|WATCHDOG"; ${GOES_ON}`, systemd);
    await soon('the agent', () => words().endsWith('ready\n'));
    const ignored = /SigIgn:\s*(\w+)/.exec(words())?.[1] ?? '';
    expect(words()).toMatch(/^SigBlk:\s*0{16}\nSigIgn:\s*\w{16}\nready\n$/);
    expect(Number.parseInt(ignored, 16) & (1 << 12)).toBe(0); // SIGPIPE
  });

  it('leaves orphans to the actuator, which takes no notice of their end', async () => {
    await start(`sh -c "sleep 0.05 & exec true"; ${GOES_ON}`);
    await soon('the agent', () => words() === 'ready\n');
    const pid = String(test.process?.pid);
    const children = (): number => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').length;
    await soon('the orphan to be reaped', () => children() === 1);
    await (await test.raw()).ask('services');
    expect(test.log()).not.toContain('the agent ended');
  });

  it.skipIf(process.getuid?.() !== 0)('is the user that it is to be, of that one’s groups only', () => {
    const state = ['--state', test.state, '--agent', 'nobody'];
    const { code, said: text } = runActuator(...state, '--init', '--', 'sh', '-c', 'id -un; id -G; echo "$HOME|$USER"');
    const [, , , gid, , home] = (/^nobody:.*$/m.exec(readFileSync('/etc/passwd', 'utf8'))?.[0] ?? '').split(':');
    expect([code, text]).toEqual([0, `nobody\n${gid}\n${home}|nobody\n`]);
    expect(statSync(test.state).uid).toBe(0);
  });
});
