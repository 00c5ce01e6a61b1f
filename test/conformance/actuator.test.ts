// What every Actuator does: the supervisor on real processes of its own, and the simulated Linux.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Supervisor, startTicksOf } from '../../node/action/adapters/supervisor.ts';
import { FakeLinux } from '../../sim/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { Actuator, ServiceSample } from '../../swarm/ports/actuator.ts';
import { eventually } from '../support/clock.ts';

interface Subject {
  actuator: Actuator;
  pump(): Promise<void>;
  /** Ends the service's process from outside. */
  kill(name: string): void;
}

const SPEC = { name: 'one', command: ['sleep', '600'], port: undefined };
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'kalos-actuator-'));
  cleanups.push(() => rmSync(directory, { recursive: true }));
  return directory;
}

function real(): Subject {
  const actuator = new Supervisor([SPEC], temporary());
  cleanups.unshift(() => actuator.close());
  return {
    actuator,
    pump: async () => undefined,
    kill: () => void process.kill(actuator.services()[0]?.pid ?? Number.NaN, 'SIGKILL'),
  };
}

function simulated(): Subject {
  const scheduler = new Scheduler();
  const actuator = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [SPEC], { cpus: 2, memoryBytes: 2 ** 32 }, 0);
  const pump = async (): Promise<void> => {
    while (scheduler.step(scheduler.nowMs + 100)) await new Promise((resolve) => setImmediate(resolve));
  };
  return { actuator, pump, kill: (name) => actuator.kill(name) };
}

describe.each([
  ['real', real],
  ['simulated', simulated],
])('%s actuator', (_name, make) => {
  async function settled<T>({ pump }: Subject, work: Promise<T>): Promise<T> {
    let result: { value: T } | undefined;
    work.then((value) => {
      result = { value };
    });
    return (
      await eventually('the primitive to come back', async () => {
        await pump();
        return result;
      })
    ).value;
  }
  const only = ({ actuator }: Subject): ServiceSample => actuator.services()[0] as ServiceSample;

  it('starts a service once, stops it on purpose, and starts it again', async () => {
    const subject = make();
    expect(only(subject).state).toBe('stopped');
    expect(await settled(subject, subject.actuator.startService('one'))).toEqual({ ok: true });
    expect(await settled(subject, subject.actuator.startService('one'))).toEqual({ ok: true });
    expect(only(subject)).toMatchObject({ state: 'running', starts: 1 });
    expect(await settled(subject, subject.actuator.stopService('one'))).toEqual({ ok: true });
    expect(only(subject)).toMatchObject({ state: 'stopped', pid: undefined });
    await settled(subject, subject.actuator.startService('one'));
    expect(only(subject)).toMatchObject({ state: 'running', starts: 2 });
  });

  it('tells at once when a service ends by itself, not when it was stopped', async () => {
    const subject = make();
    const exits: string[] = [];
    subject.actuator.onExit((name) => exits.push(name));
    await settled(subject, subject.actuator.startService('one'));
    subject.kill('one');
    await eventually('the exit to be told', () => exits.length > 0 || undefined);
    expect(only(subject)).toMatchObject({ state: 'exited', exitSignal: 'SIGKILL' });
    await settled(subject, subject.actuator.startService('one'));
    await settled(subject, subject.actuator.stopService('one'));
    expect(exits).toEqual(['one']);
  });

  it('signals only the process that was meant: never another that has its pid', async () => {
    const subject = make();
    await settled(subject, subject.actuator.startService('one'));
    const { pid = 0, startTicks = 0 } = only(subject);
    expect(await settled(subject, subject.actuator.signalService('one', pid, startTicks + 1, 'KILL'))).toMatchObject({
      ok: false,
      code: 'gone',
    });
    expect(await settled(subject, subject.actuator.signalService('one', 1, startTicks, 'KILL'))).toMatchObject({
      ok: false,
      code: 'gone',
    });
    expect(only(subject).state).toBe('running');
    expect(await settled(subject, subject.actuator.signalService('one', pid, startTicks, 'KILL'))).toEqual({ ok: true });
    await eventually('the process to end', () => only(subject).state === 'exited' || undefined);
  });

  it('knows no service that was not declared: not by an empty name, not by a wildcard', async () => {
    const subject = make();
    for (const name of ['', '*', 'two', '../one']) {
      expect(await settled(subject, subject.actuator.startService(name))).toMatchObject({ ok: false, code: 'not-found' });
      expect(await settled(subject, subject.actuator.stopService(name))).toMatchObject({ ok: false, code: 'not-found' });
    }
    expect(await subject.actuator.checkService('one', 100)).toBe('undeclared');
  });
});

describe('the supervisor', () => {
  it('starts argv as it is: no shell reads it', async () => {
    const directory = temporary();
    const supervisor = new Supervisor([{ name: 'echo', command: ['echo', '$(id); `id`', '| cat'] }], directory);
    await supervisor.startService('echo');
    await eventually('the output', () => readFileSync(join(directory, 'echo.log'), 'utf8').includes('\n') || undefined);
    expect(readFileSync(join(directory, 'echo.log'), 'utf8')).toBe('$(id); `id` | cat\n');
  });

  it('says why a program cannot be started', async () => {
    const supervisor = new Supervisor([{ name: 'x', command: ['/no/such/program'] }], temporary());
    expect(await supervisor.startService('x')).toMatchObject({
      ok: false,
      code: 'failed',
      message: expect.stringContaining('ENOENT'),
    });
  });

  it('gives services none of the agent’s environment, its secret least of all', async () => {
    const directory = temporary();
    process.env.KALOS_SECRET = 'not for services';
    const supervisor = new Supervisor([{ name: 'env', command: ['env'], environment: { OWN: 'yes' } }], directory);
    await supervisor.startService('env');
    delete process.env.KALOS_SECRET;
    const output = await eventually('the output', () => readFileSync(join(directory, 'env.log'), 'utf8') || undefined);
    expect(output).toContain('OWN=yes');
    expect(output).not.toContain('KALOS_SECRET');
  });

  it('ends what a former agent left behind before it starts the service anew', async () => {
    const directory = temporary();
    const former = new Supervisor([SPEC], directory);
    await former.startService('one');
    const left = former.services()[0]?.pid ?? 0;
    const next = new Supervisor([SPEC], directory);
    cleanups.unshift(() => next.close());
    await next.startService('one');
    await eventually('the leftover to be gone', () => startTicksOf(left) === undefined || undefined);
    expect(next.services()[0]?.state).toBe('running');
  });

  it('checks a declared port on this machine', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const supervisor = new Supervisor([{ name: 'p', command: ['true'], port }], temporary());
    expect(await supervisor.checkService('p', 500)).toBe('open');
    await new Promise((resolve) => server.close(resolve));
    expect(await supervisor.checkService('p', 500)).toBe('refused');
  });
});
