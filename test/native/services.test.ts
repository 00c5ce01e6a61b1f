// The services that the actuator is the parent of: how they start, how they end, what they may, and what becomes of them
// when the actuator dies.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import type { ServiceSample, ServiceSpec } from '../../node/ports/actuator.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

import { buildSanitized, TestActuator } from '../support/actuator.ts';

import { freePort } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { patient } from '../support/patience.ts';

const ROOT = process.getuid?.() === 0;
const OWN = userInfo().username;
const LONG_MS = 60_000;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
beforeAll(buildSanitized);

async function make(services: readonly ServiceSpec[], policy = ''): Promise<{ test: TestActuator; client: ActuatorClient }> {
  const test = new TestActuator();
  cleanups.push(() => test.stop());
  await test.start({ policy });
  return { test, client: await test.client(services) };
}

const sh = (name: string, script: string, more: Partial<ServiceSpec> = {}): ServiceSpec => ({
  name,
  command: ['sh', '-c', script],
  ...more,
});
const sampleOf = (client: ActuatorClient, name: string): ServiceSample =>
  client.services().find((one) => one.name === name) as ServiceSample;
const logOf = (test: TestActuator, name: string): string => readFileSync(join(test.state, 'services', `${name}.log`), 'utf8');
const lives = (pid: number): boolean =>
  existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));

let ids = 0;
async function stop(client: ActuatorClient, service: string, byPerson?: boolean) {
  const id = `stop-${ids++}`;
  await client.arm(id, LONG_MS, [{ do: ['service.stop', service], undo: undefined }]);
  const outcome = await client.apply(id, 0);
  await client.confirm(id, byPerson);
  return outcome;
}

describe('a service', () => {
  it('starts from argv as it is: no shell reads it; and says why where it cannot', async () => {
    const { test, client } = await make([
      { name: 'echo', command: ['echo', '$(id); `id`', '| cat'] },
      { name: 'missing', command: ['/no/such/program'] },
      { name: 'nowhere', command: ['true'], directory: '/no/such/directory' },
    ]);
    expect(await client.bringUp('echo')).toEqual({ ok: true });
    await eventually('the output', () => logOf(test, 'echo').includes('\n') || undefined);
    expect(logOf(test, 'echo')).toBe('$(id); `id` | cat\n');
    expect(await client.bringUp('missing')).toMatchObject({ ok: false, message: '/no/such/program: No such file or directory' });
    expect(await client.bringUp('nowhere')).toMatchObject({ ok: false, message: expect.stringContaining('/no/such/directory') });
    expect(sampleOf(client, 'missing')).toMatchObject({ state: 'exited', exitCode: 127 });
  });

  it('gets a clean environment, a session of its own, and no descriptor but its log', async () => {
    process.env.KALOS_SECRET = 'not for services';
    const { test, client } = await make([sh('env', 'env; ls -l /proc/self/fd; echo done', { environment: { OWN: 'yes' } })]);
    delete process.env.KALOS_SECRET;
    await client.bringUp('env');
    await eventually('the output', () => logOf(test, 'env').includes('done') || undefined);
    const log = logOf(test, 'env');
    expect(log).toContain('OWN=yes');
    expect(log).not.toContain('KALOS_SECRET');
    const descriptors = log.split('\n').filter((line) => line.includes('->') && !line.includes('/proc/'));
    expect(descriptors.map((line) => line.split('-> ')[1])).toEqual([
      '/dev/null',
      expect.stringContaining('env.log'),
      expect.stringContaining('env.log'),
    ]);
  });

  it('is asked to stop first and made to after its grace; what it started ends with it', async () => {
    const polite = sh('polite', 'trap "echo bye; exit 0" HUP; sleep 600 & echo ready $!; while :; do sleep 0.05; done', {
      stop: { signal: 'HUP' },
    });
    const deaf = sh('deaf', 'trap "" TERM; echo ready; while :; do sleep 0.05; done', { stop: { graceMs: 300 } });
    const { test, client } = await make([polite, deaf]);
    await client.bringUp('polite');
    await client.bringUp('deaf');
    const child = await eventually(
      'both to be ready',
      () => (logOf(test, 'deaf').includes('ready') && Number(logOf(test, 'polite').match(/ready (\d+)/)?.[1])) || undefined,
    );
    expect(await stop(client, 'polite')).toEqual({ ok: true });
    expect(logOf(test, 'polite')).toContain('bye');
    expect(sampleOf(client, 'polite')).toMatchObject({ state: 'stopped', exitCode: 0, onPurpose: true });
    await eventually('what it started to end', () => !lives(child) || undefined);
    const beganMs = performance.now();
    expect(await stop(client, 'deaf')).toEqual({ ok: true });
    expect(performance.now() - beganMs).toBeGreaterThanOrEqual(250);
    expect(sampleOf(client, 'deaf')).toMatchObject({ state: 'stopped', exitSignal: 'SIGKILL' });
  });

  it('that is frozen can be stopped all the same', async () => {
    const { client } = await make([{ name: 'ice', command: ['sleep', '600'] }]);
    await client.bringUp('ice');
    process.kill(sampleOf(client, 'ice').pid ?? 0, 'SIGSTOP');
    expect(await stop(client, 'ice')).toEqual({ ok: true });
  });

  it('outlives its actuator, and the next one has it: pid, starts, and its end', async () => {
    const { test, client } = await make([{ name: 'kept', command: ['sleep', '600'] }]);
    const exits: string[] = [];
    client.onExit((name) => exits.push(name));
    await client.bringUp('kept');
    const before = sampleOf(client, 'kept');
    await test.kill();
    expect(lives(before.pid ?? 0)).toBe(true);
    await test.start();
    await eventually('the client to be back', async () => (await client.read(['process.read', 1])).ok || undefined);
    expect(sampleOf(client, 'kept')).toMatchObject({
      state: 'running',
      pid: before.pid,
      startTicks: before.startTicks,
      starts: 1,
    });
    process.kill(before.pid ?? 0, 'SIGKILL');
    await eventually('its end to be told', () => exits.length > 0 || undefined);
    expect(sampleOf(client, 'kept').state).toBe('exited');
    await client.bringUp('kept');
    expect(sampleOf(client, 'kept')).toMatchObject({ state: 'running', starts: 2 });
  });

  it('for fail-over ends with its actuator, and all that it had started, and knows its fence', async () => {
    const script = 'echo "fence $KALOS_FENCE"; trap "" TERM; sleep 600 & echo "child $!"; wait';
    const services = [sh('shared', script, { failover: true, stop: { graceMs: 60_000 } })];
    const { test, client } = await make(services);
    const until = (ms: number) => ({ monotonicMs: Number(process.hrtime.bigint() / 1_000_000n) + ms, wallMs: Date.now() + ms });
    expect(await client.hold('shared', until(30_000), 41)).toEqual({ ok: true });
    await eventually('what it says', () => logOf(test, 'shared').includes('child') || undefined);
    expect(logOf(test, 'shared')).toContain('fence 41\n');
    const child = Number(/child (\d+)/.exec(logOf(test, 'shared'))?.[1]);
    const { pid = 0 } = sampleOf(client, 'shared');
    expect([lives(pid), lives(child)]).toEqual([true, true]);
    await test.kill();
    await eventually('its end', () => !lives(pid) || undefined);
    await test.start();
    await eventually('the end of what it had started', () => !lives(child) || undefined);
    // The client asks for its services once it is back.
    await eventually('the client to know', () => sampleOf(client, 'shared').state !== 'running' || undefined);
    expect(sampleOf(client, 'shared')).toMatchObject({ state: 'stopped', onPurpose: true });
    // A request that is late by either clock holds nothing; nor does one under an older fence.
    const late = until(-5);
    expect(await client.hold('shared', { ...until(30_000), monotonicMs: late.monotonicMs }, 41)).toMatchObject({ ok: false });
    expect(await client.hold('shared', { ...until(30_000), wallMs: late.wallMs }, 41)).toMatchObject({ ok: false });
    expect(await client.hold('shared', until(30_000), 40)).toMatchObject({ ok: false });
    expect(sampleOf(client, 'shared').state).toBe('stopped');
    expect(await client.hold('shared', until(1_200), 41)).toEqual({ ok: true });
    const second = sampleOf(client, 'shared').pid ?? 0;
    const asked = Date.now();
    expect(await client.release('shared')).toEqual({ ok: true }); // deaf to TERM: killed when its time is over, not a minute later
    expect([lives(second), Date.now() - asked < patient(5_000)]).toEqual([false, true]);
  });

  it('is started again by the actuator alone, where a stop was never confirmed and nobody else is left', async () => {
    const { test, client } = await make([{ name: 'kept', command: ['sleep', '600'] }]);
    await client.bringUp('kept');
    await client.arm('half', LONG_MS, [{ do: ['service.stop', 'kept'], undo: ['service.start', 'kept'] }]);
    await client.apply('half', 0);
    expect(sampleOf(client, 'kept').state).toBe('stopped');
    await test.kill();
    await client.close(); // agent and actuator are both gone, and only the actuator comes back
    await test.start();
    await eventually('the undo', () => test.log().includes('half undone: the agent is gone') || undefined, 15_000);
    const next = await test.client();
    expect((await next.change('half')).state).toBe('undone');
    const again = await test.client([{ name: 'kept', command: ['sleep', '600'] }]);
    expect(sampleOf(again, 'kept')).toMatchObject({ state: 'running', starts: 2 });
  });

  it('that was stopped on purpose is so after a restart of the actuator, too', async () => {
    const { test, client } = await make([{ name: 'idle', command: ['sleep', '600'] }]);
    await client.bringUp('idle');
    await stop(client, 'idle');
    await client.close(); // else it connects again, and the two take turns
    await test.kill();
    await test.start();
    const next = await test.client([{ name: 'idle', command: ['sleep', '600'] }]);
    expect(sampleOf(next, 'idle')).toMatchObject({ state: 'stopped', onPurpose: true });
  });

  it('is down on purpose only where a person’s stop was confirmed: not by a policy, a restart that was cut, or the actuator’s own end', async () => {
    const names = ['person', 'policy', 'undone', 'again', 'with-us'];
    const services = names.map((name) => ({ name, command: ['sleep', '600'] }));
    const { test, client } = await make(services);
    for (const name of names) await client.bringUp(name);
    await stop(client, 'person');
    await stop(client, 'policy', false);
    // What was stopped for a while, and what is started again after it.
    await client.arm('undone', LONG_MS, [{ do: ['service.stop', 'undone'], undo: undefined }]);
    await client.apply('undone', 0);
    expect(sampleOf(client, 'undone')).toMatchObject({ state: 'stopped', onPurpose: true }); // nobody is to start it meanwhile
    await client.undo('undone', 'a test');
    const stopIt = { do: ['service.stop', 'again'], undo: undefined } as const;
    await client.arm('again', LONG_MS, [stopIt, { do: ['service.start', 'again'], undo: undefined }]);
    await client.apply('again', 0);
    await client.apply('again', 1);
    await client.confirm('again');
    const seen = (one: ActuatorClient) =>
      names.map((name) => {
        const { state, onPurpose, byPolicy } = sampleOf(one, name);
        return `${name} ${state}${onPurpose ? ' on purpose' : ''}${byPolicy ? ' by a policy' : ''}`;
      });
    expect(seen(client)).toEqual([
      'person stopped on purpose',
      'policy stopped by a policy',
      'undone stopped',
      'again running',
      'with-us running',
    ]);
    await client.close();
    await test.kill('SIGTERM');
    await test.start();
    const next = await test.client(services);
    expect(seen(next)).toEqual(names.map((name) => `${name} stopped${name === 'person' ? ' on purpose' : ''}`));
  });

  it('that ended while no actuator looked has ended by itself', async () => {
    const { test, client } = await make([{ name: 'lost', command: ['sleep', '600'] }]);
    await client.bringUp('lost');
    const { pid = 0 } = sampleOf(client, 'lost');
    await client.close();
    await test.kill();
    process.kill(pid, 'SIGKILL');
    await eventually('its end', () => !lives(pid) || undefined);
    await test.start();
    expect(sampleOf(await test.client([{ name: 'lost', command: ['sleep', '600'] }]), 'lost').state).toBe('exited');
  });

  it('for fail-over is started again under its fence, where the actuator ended in order, or was of 0.3.0', async () => {
    const services = [sh('shared', 'exec sleep 600', { failover: true })];
    const { test, client } = await make(services);
    const until = () => ({ monotonicMs: Number(process.hrtime.bigint() / 1_000_000n) + 30_000, wallMs: Date.now() + 30_000 });
    await client.hold('shared', until(), 41);
    let last = client;
    const record = join(test.state, 'services', 'shared.run');
    for (const onPurpose of [undefined, 1]) {
      await last.close();
      await test.kill('SIGTERM');
      if (onPurpose !== undefined)
        writeFileSync(record, encodeCbor((decodeCbor(readFileSync(record)) as unknown[]).with(5, onPurpose)));
      await test.start();
      const next = await test.client(services);
      expect(sampleOf(next, 'shared')).toMatchObject({ state: 'stopped', onPurpose: true }); // until it is held
      expect(await next.hold('shared', until(), 41)).toEqual({ ok: true });
      expect(sampleOf(next, 'shared').state).toBe('running');
      last = next;
    }
  });

  it('for fail-over is not on purpose where it is held and was not started', async () => {
    const { client } = await make([sh('shared', 'exec sleep 600', { failover: true, user: 'nobody-at-all' })]);
    const until = { monotonicMs: Number(process.hrtime.bigint() / 1_000_000n) + 30_000, wallMs: Date.now() + 30_000 };
    expect(sampleOf(client, 'shared')).toMatchObject({ state: 'stopped', onPurpose: true });
    expect(await client.hold('shared', until, 41)).toMatchObject({
      ok: false,
      message: 'shared: no user nobody-at-all in /etc/passwd',
    });
    expect(sampleOf(client, 'shared')).toMatchObject({ state: 'stopped', onPurpose: false });
    expect(await client.release('shared')).toEqual({ ok: true });
    expect(sampleOf(client, 'shared')).toMatchObject({ state: 'stopped', onPurpose: true });
  });

  it('is named as who has a file open for writing; who only reads it is not, nor is anybody beyond the policy', async () => {
    const test = new TestActuator();
    cleanups.push(() => test.stop());
    const file = join(test.directory, 'app.log');
    writeFileSync(file, 'begin\n');
    await test.start({ policy: `allow path ${test.directory}\n` });
    const client = await test.client([
      sh('writer', `exec 3>>${file}; echo one >&3; echo ready; while :; do sleep 0.05; done`, { user: OWN }),
      sh('reader', `exec 3<${file}; echo ready; while :; do sleep 0.05; done`, { user: OWN }),
    ]);
    for (const name of ['writer', 'reader']) {
      await client.bringUp(name);
      await eventually('it to be ready', () => logOf(test, name).includes('ready') || undefined);
    }
    const { pid, startTicks } = sampleOf(client, 'writer');
    const answer = await client.read(['file.writers', file]);
    const writers = answer.ok ? (answer.value as unknown[][]) : [];
    expect(writers).toContainEqual([pid, startTicks, expect.any(String), expect.any(Number), 'writer', expect.any(Number)]);
    // What it started inherits the file: of the service, too.
    expect(new Set(writers.map((one) => one[4]))).toEqual(new Set(['writer']));
    expect(await client.read(['file.writers', '/etc/passwd'])).toMatchObject({ ok: false, code: 'refused' });
  });

  it('has its log rotated, with the file kept open', async () => {
    const { test, client } = await make([
      sh('chatty', 'while :; do echo "$(date +%s%N) a line of some length to fill it"; done', { logBytes: 20_000 }),
    ]);
    await client.bringUp('chatty');
    const path = join(test.state, 'services', 'chatty.log');
    await eventually('the log to be rotated', () => existsSync(`${path}.1`) || undefined);
    expect(statSync(`${path}.1`).size).toBeGreaterThan(20_000);
    await eventually('new lines', () => statSync(path).size > 0 || undefined);
    await stop(client, 'chatty');
  });

  it('is held to its limits: descriptors, and CPU and memory where the machine has the cgroup controllers', async () => {
    const script = 'ulimit -n; cat /proc/self/cgroup; echo done; sleep 600';
    const { test, client } = await make([
      sh('tight', script, { limits: { files: 77, cpus: 0.5, memoryBytes: 64 * 1024 * 1024 } }),
    ]);
    await client.bringUp('tight');
    await eventually('the output', () => logOf(test, 'tight').includes('done') || undefined);
    expect(logOf(test, 'tight').split('\n')[0]).toBe('77');
    const [cpu, memory] = [
      await client.read(['cgroup.read', 'tight', 'cpu']),
      await client.read(['cgroup.read', 'tight', 'memory']),
    ];
    if (ROOT && cpu.ok) expect(cpu.value).toBe(500);
    if (ROOT && memory.ok) expect(memory.value).toBe(64 * 1024 * 1024);
    await stop(client, 'tight');
    await eventually('the limit to be gone', async () => {
      const after = await client.read(['cgroup.read', 'tight', 'cpu']);
      return after.ok ? after.value === 0 || undefined : !cpu.ok;
    });
  });

  it.skipIf(!ROOT)('runs as another user only where the policy says so', async () => {
    const services = [sh('other', 'id -un; sleep 600', { user: 'nobody' }), sh('unknown', 'true', { user: 'no-such-user' })];
    const { client } = await make(services);
    expect(await client.bringUp('other')).toMatchObject({
      ok: false,
      code: 'refused',
      message: expect.stringContaining('nobody'),
    });
    expect(await client.bringUp('unknown')).toMatchObject({ ok: false, code: 'refused' });
    const allowed = await make(services, 'allow user nobody\n');
    expect(await allowed.client.bringUp('other')).toEqual({ ok: true });
    await eventually('the output', () => logOf(allowed.test, 'other').includes('nobody') || undefined);
  });
});

describe('a check', () => {
  const running = async (spec: ServiceSpec) => {
    const { client } = await make([spec]);
    await client.bringUp(spec.name);
    return client;
  };

  it('by TCP tells open from refused', async () => {
    const port = await freePort();
    const client = await running({ name: 'p', command: ['sleep', '600'], port });
    expect(await client.checkService('p', 500)).toBe('refused');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    expect(await client.checkService('p', 500)).toBe('open');
    server.close();
  });

  it('by HTTP goes by the status, and tells refused from silent', async () => {
    const port = await freePort();
    const client = await running({ name: 'p', command: ['sleep', '600'], port, check: { kind: 'http', path: '/health' } });
    expect(await client.checkService('p', 500)).toBe('refused');
    let answer: string | undefined = 'HTTP/1.1 204 No Content\r\n\r\n';
    const server = createServer(
      (socket) => void socket.on('data', () => answer && socket.end(answer)).on('error', () => undefined),
    );
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    cleanups.push(() => server.close());
    expect(await client.checkService('p', 500)).toBe('open');
    answer = 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n';
    expect(await client.checkService('p', 500)).toBe('failed');
    answer = undefined;
    expect(await client.checkService('p', 200)).toBe('silent');
  });

  it('by a program goes by how it ends, run as the service is', async () => {
    const command = ['sh', '-c', 'test "$OWN" = yes && test -e /tmp'];
    const client = await running(sh('e', 'sleep 600', { environment: { OWN: 'yes' }, check: { kind: 'exec', command } }));
    expect(await client.checkService('e', 500)).toBe('open');
    const failing = await running(sh('f', 'sleep 600', { check: { kind: 'exec', command } }));
    expect(await failing.checkService('f', 500)).toBe('failed');
  });

  it('by a program that hangs is no answer, and one that cannot be started says nothing of the service', async () => {
    const client = await running(sh('e', 'sleep 600', { check: { kind: 'exec', command: ['sleep', '60'] } }));
    // The actuator runs sixteen at a time.
    const found = await Promise.all(Array.from({ length: 18 }, () => client.checkService('e', 500)));
    expect(Object.groupBy(found, (one) => one)).toMatchObject({ silent: { length: 16 }, unknown: { length: 2 } });
    expect(found).toHaveLength(18);
  });

  it('by a log line waits for it after each start', async () => {
    const { client, test } = await make([
      sh('l', 'sleep 0.4; echo "now listening"; sleep 600', { check: { kind: 'log', text: 'listening' } }),
    ]);
    await client.bringUp('l');
    expect(await client.checkService('l', 500)).toBe('failed');
    await eventually('the line', async () => (await client.checkService('l', 500)) === 'open' || undefined);
    await stop(client, 'l');
    await client.bringUp('l');
    expect(await client.checkService('l', 500)).toBe('failed'); // the line of the start before does not count
    await eventually('the line', async () => (await client.checkService('l', 500)) === 'open' || undefined);
    expect(logOf(test, 'l').match(/listening/g)?.length).toBe(2);
  });

  it('by silence goes by the age of the last line', async () => {
    const client = await running(sh('s', 'echo once; sleep 600', { check: { kind: 'silence', withinMs: 400 } }));
    expect(await client.checkService('s', 500)).toBe('open');
    await eventually('it to be silent', async () => (await client.checkService('s', 500)) === 'silent' || undefined);
  });
});

describe('a port that somebody else holds', () => {
  it('names its holder, which is ended though it will not go', async () => {
    const { test, client } = await make([], 'allow process sh\nallow process bash\nallow process dash\n');
    const port = await freePort();
    expect(await client.read(['port.holder', port])).toMatchObject({ ok: false, code: 'not-found' });
    const script = `require('node:net').createServer().listen(${port}, '127.0.0.1', () => console.log('there'))`;
    const stranger = spawn(process.execPath, ['-e', `process.on('SIGTERM', () => undefined); ${script}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    cleanups.push(() => stranger.kill('SIGKILL'));
    await new Promise((resolve) => stranger.stdout.once('data', resolve));
    const holder = await client.read(['port.holder', port]);
    expect(holder).toMatchObject({ ok: true, value: [stranger.pid, expect.any(Number), 'node', process.getuid?.()] });
    const ticks = (holder as { value: number[] }).value[1] ?? 0;
    const end = { do: ['process.end', stranger.pid ?? 0, ticks, 300] as const, undo: undefined };
    expect(await client.check([end])).toMatchObject({ ok: false, message: expect.stringContaining('policy allows neither') });
    writeFileSync(test.policyFile, 'allow process node\n', { mode: 0o600 });
    test.process?.kill('SIGHUP');
    await eventually('the policy', async () => (await client.check([end])).ok || undefined);
    await client.arm('end-1', LONG_MS, [end]);
    expect(await client.apply('end-1', 0)).toEqual({ ok: true });
    expect(lives(stranger.pid ?? 0)).toBe(false);
    await client.confirm('end-1');
  });
});

describe('two actuators', () => {
  it('do not run on one state', async () => {
    const { test } = await make([]);
    const second = spawn(process.env.KALOS_TEST_ACTUATOR ?? test.process?.spawnfile ?? '', ['--state', test.state], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    second.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    expect(await new Promise((resolve) => second.once('exit', resolve))).toBe(1);
    expect(said).toContain('another actuator runs on it');
  });

  it('say what is wrong with their options and policies', async () => {
    const { test } = await make([]);
    const run = async (...args: string[]): Promise<[number | null, string]> => {
      const child = spawn(test.process?.spawnfile ?? '', args);
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text));
      return [await new Promise((resolve) => child.once('close', resolve)), said];
    };
    expect(await run('--frobnicate')).toEqual([2, expect.stringContaining('see --help')]);
    expect(await run()).toEqual([2, expect.stringContaining('--state')]);
    expect(await run('--help')).toEqual([0, expect.stringContaining('--check-policy')]);
    writeFileSync(test.policyFile, 'allow path /srv/x\nallow shell /bin/sh\n');
    expect(await run('--check-policy', test.policyFile)).toEqual([1, expect.stringContaining('line 2: not a plain name')]);
    writeFileSync(test.policyFile, 'allow path /srv/x # not a comment\n');
    expect(await run('--check-policy', test.policyFile)).toEqual([1, expect.stringContaining('line 1: too many words')]);
    writeFileSync(test.policyFile, '# fine\nallow path /srv/x\n');
    expect(await run('--check-policy', test.policyFile)).toEqual([0, expect.stringContaining('good')]);
  });
});
