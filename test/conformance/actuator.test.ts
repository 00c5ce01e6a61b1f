// What every Actuator does: the real one, a sanitized build on real processes and files of the test's own, and the model.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SystemClock } from '../../node/adapters/clock.ts';
import type { Actuator, Deadline, ServiceSample, Step } from '../../node/ports/actuator.ts';
import { SimulatedActuator } from '../../sim/machine/actuator.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { eventually } from '../support/clock.ts';

interface Subject {
  actuator: Actuator;
  pump(): Promise<void>;
  /** Ends the service's process from outside. */
  kill(name: string): void;
  /** The directory where files may be changed. */
  place: string;
  put(path: string, content: string): void;
  content(path: string): string | undefined;
  /** The agent dies; another takes its place. */
  another(): Promise<Actuator>;
  crash(): Promise<void>;
  /** So many ms from now. */
  until(ms: number): Deadline;
}

const SPEC = { name: 'one', command: ['sleep', '600'] };
const SHARED = { name: 'shared', command: ['sh', '-c', 'sleep 600 & wait'], failover: true };
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
beforeAll(buildSanitized);

const later = (clock: Clock, ms: number): Deadline => ({ monotonicMs: clock.monotonicMs() + ms, wallMs: clock.wallMs() + ms });

async function real(): Promise<Subject> {
  const test = new TestActuator();
  cleanups.push(() => test.stop());
  const place = join(test.directory, 'data');
  mkdirSync(place);
  await test.start({ policy: `allow path ${place}\nallow sysctl vm.overcommit_ratio\n` });
  const clock = new SystemClock();
  const actuator = await test.client([SPEC, SHARED]);
  return {
    actuator,
    pump: async () => undefined,
    kill: (name) => void process.kill(actuator.services().find((one) => one.name === name)?.pid ?? Number.NaN, 'SIGKILL'),
    place,
    put: (path, content) => writeFileSync(path, content),
    content: (path) => {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return undefined;
      }
    },
    crash: () => actuator.close(),
    another: () => test.client([SPEC, SHARED]),
    until: (ms) => later(clock, ms),
  };
}

async function simulated(): Promise<Subject> {
  const scheduler = new Scheduler();
  const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [SPEC, SHARED], { cpus: 2, memoryBytes: 2 ** 32 }, 0);
  const clock = new ProcessClock(scheduler);
  const actuator = new SimulatedActuator(linux, clock);
  return {
    actuator,
    pump: async () => {
      const untilMs = scheduler.nowMs + 100;
      while (scheduler.step(untilMs)) await new Promise((resolve) => setImmediate(resolve));
    },
    kill: (name) => linux.services.kill(name),
    place: '/data',
    put: (path, content) => linux.files.put(path, utf8(content)),
    content: (path) => {
      const bytes = linux.files.content(path);
      return bytes && new TextDecoder().decode(bytes);
    },
    crash: async () => actuator.crash(),
    another: async () => new SimulatedActuator(linux, clock),
    until: (ms) => later(clock, ms),
  };
}

const LONG_MS = 60_000;
const start: Step = { do: ['service.start', 'one'], undo: ['service.stop', 'one'] };

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
      await eventually('the actuator to answer', async () => {
        await pump();
        return result;
      })
    ).value;
  }
  const only = ({ actuator }: Subject): ServiceSample => actuator.services()[0] as ServiceSample;

  /** Arms and applies steps; the outcome of each. */
  async function change(subject: Subject, id: string, steps: readonly Step[], fireAfterMs = LONG_MS) {
    expect(await settled(subject, subject.actuator.arm(id, fireAfterMs, steps))).toEqual({ ok: true });
    const outcomes = [];
    for (const step of steps.keys()) outcomes.push(await settled(subject, subject.actuator.apply(id, step)));
    return outcomes;
  }
  const status = (subject: Subject, id: string) => settled(subject, subject.actuator.change(id));

  it('brings a service up once, stops it on purpose, and starts it again', async () => {
    const subject = await make();
    expect(only(subject).state).toBe('stopped');
    expect(await settled(subject, subject.actuator.bringUp('one'))).toEqual({ ok: true });
    expect(await settled(subject, subject.actuator.bringUp('one'))).toEqual({ ok: true });
    expect(only(subject)).toMatchObject({ state: 'running', starts: 1 });
    expect(await change(subject, 'stop', [{ do: ['service.stop', 'one'], undo: undefined }])).toEqual([{ ok: true }]);
    expect(only(subject)).toMatchObject({ state: 'stopped', pid: undefined, onPurpose: true });
    await change(subject, 'start', [start]);
    expect(only(subject)).toMatchObject({ state: 'running', starts: 2, onPurpose: false });
  });

  it('runs a service for fail-over only while it is held, under a fence that only rises', async () => {
    const subject = await make();
    const { actuator } = subject;
    const hold = (ms: number, fence: number) => settled(subject, actuator.hold('shared', subject.until(ms), fence));
    const shared = () => actuator.services().find(({ name }) => name === 'shared') as ServiceSample;
    const ended = () =>
      eventually('its end', async () => {
        await subject.pump();
        return shared().state !== 'running' || undefined;
      });
    expect(shared()).toMatchObject({ state: 'stopped', onPurpose: true });
    expect(await settled(subject, actuator.bringUp('shared'))).toMatchObject({ ok: false, code: 'refused' });
    expect(await settled(subject, actuator.hold('one', subject.until(1_000), 1))).toMatchObject({ ok: false });
    expect(await hold(-1, 7)).toMatchObject({ ok: false, code: 'refused' });
    expect(await hold(LONG_MS, 7)).toEqual({ ok: true });
    expect(shared()).toMatchObject({ state: 'running', starts: 1, onPurpose: false });
    expect([await hold(LONG_MS, 6), await hold(LONG_MS, 8)]).toMatchObject([{ ok: false }, { ok: false }]);
    expect(await settled(subject, actuator.release('shared'))).toEqual({ ok: true });
    expect(shared()).toMatchObject({ state: 'stopped', onPurpose: true, starts: 1 });
    expect(await settled(subject, actuator.bringUp('shared'))).toMatchObject({ ok: false, code: 'refused' });
    expect(await hold(900, 8)).toEqual({ ok: true });
    expect(await hold(900, 8)).toEqual({ ok: true });
    expect(shared()).toMatchObject({ state: 'running', starts: 2 });
    await ended();
    expect(shared()).toMatchObject({ state: 'stopped', onPurpose: true });
    expect(await settled(subject, actuator.bringUp('shared'))).toMatchObject({ ok: false, code: 'refused' });
    expect(await hold(LONG_MS, 8)).toEqual({ ok: true });
    expect(shared()).toMatchObject({ state: 'running', starts: 3 });
  });

  it('leaves one that ended by itself while it was held to whoever mends it', async () => {
    const subject = await make();
    const { actuator } = subject;
    const hold = () => settled(subject, actuator.hold('shared', subject.until(LONG_MS), 7));
    const shared = () => actuator.services().find(({ name }) => name === 'shared') as ServiceSample;
    await hold();
    subject.kill('shared');
    await eventually('its end', async () => {
      await subject.pump();
      return shared().state === 'exited' || undefined;
    });
    await hold();
    expect(shared()).toMatchObject({ state: 'exited', starts: 1 });
    const steps: Step[] = [{ do: ['service.start', 'shared'], undo: undefined }];
    expect(await change(subject, 'mend', steps)).toEqual([{ ok: true }]);
    expect(shared()).toMatchObject({ state: 'running', starts: 2 });
  });

  it('kills what nobody holds any more, though its agent is gone', async () => {
    const subject = await make();
    await settled(subject, subject.actuator.hold('shared', subject.until(1_500), 7));
    await subject.crash();
    const next = await subject.another();
    expect(next.services().find(({ name }) => name === 'shared')?.state).toBe('running');
    await eventually('its end', async () => {
      await subject.pump();
      return next.services().find(({ name }) => name === 'shared')?.state === 'stopped' || undefined;
    });
  });

  it('tells at once when a service ends by itself, not when it was stopped', async () => {
    const subject = await make();
    const exits: string[] = [];
    subject.actuator.onExit((name) => exits.push(name));
    await settled(subject, subject.actuator.bringUp('one'));
    subject.kill('one');
    await eventually('the exit to be told', () => exits.length > 0 || undefined);
    expect(only(subject)).toMatchObject({ state: 'exited', exitSignal: 'SIGKILL' });
    await change(subject, 'again', [start, { do: ['service.stop', 'one'], undo: undefined }]);
    expect(exits).toEqual(['one']);
  });

  it('signals only the process that was meant: never another that has its pid', async () => {
    const subject = await make();
    await settled(subject, subject.actuator.bringUp('one'));
    const { pid = 0, startTicks = 0 } = only(subject);
    const kill = (target: number, ticks: number): Step => ({ do: ['process.signal', target, ticks, 'KILL'], undo: undefined });
    for (const wrong of [kill(pid, startTicks + 1), kill(1, startTicks)])
      expect(await settled(subject, subject.actuator.arm('wrong', LONG_MS, [wrong]))).toMatchObject({ ok: false });
    expect(only(subject).state).toBe('running');
    expect(await change(subject, 'right', [kill(pid, startTicks)])).toEqual([{ ok: true }]);
    await eventually('the process to end', () => only(subject).state === 'exited' || undefined);
  });

  it('knows no service that was not declared: not by an empty name, not by a wildcard', async () => {
    const subject = await make();
    for (const name of ['', '*', 'two', '../one']) {
      expect(await settled(subject, subject.actuator.bringUp(name))).toMatchObject({ ok: false, code: 'not-found' });
      const steps: Step[] = [{ do: ['service.stop', name], undo: undefined }];
      expect(await settled(subject, subject.actuator.arm('x', LONG_MS, steps))).toMatchObject({ ok: false, code: 'not-found' });
    }
    expect(await settled(subject, subject.actuator.checkService('one', 100))).toBe('undeclared');
  });

  it('tries each step once, in order, and only of a change that is armed', async () => {
    const subject = await make();
    const path = `${subject.place}/file`;
    subject.put(path, 'old');
    const write = (content: string): Step => ({ do: ['file.replace', path, utf8(content), -1], undo: ['file.restore', path] });
    expect(await settled(subject, subject.actuator.apply('a', 0))).toMatchObject({ ok: false, code: 'refused' });
    expect(await settled(subject, subject.actuator.arm('a', LONG_MS, [write('new')]))).toEqual({ ok: true });
    expect(await settled(subject, subject.actuator.arm('a', LONG_MS, [write('other')]))).toMatchObject({
      ok: false,
      code: 'refused',
    });
    expect(await settled(subject, subject.actuator.apply('a', 1))).toMatchObject({ ok: false, code: 'refused' });
    expect(subject.content(path)).toBe('old');
    expect(await settled(subject, subject.actuator.apply('a', 0))).toEqual({ ok: true });
    expect(await settled(subject, subject.actuator.apply('a', 0))).toMatchObject({ ok: false, code: 'refused' });
    expect(await settled(subject, subject.actuator.confirm('a'))).toEqual({ ok: true });
    expect(subject.content(path)).toBe('new');
    expect(await status(subject, 'a')).toEqual({ state: 'confirmed', begun: 1, reason: 'confirmed' });
    expect(await settled(subject, subject.actuator.undo('a', 'too late'))).toMatchObject({ ok: false, code: 'refused' });
    expect(await settled(subject, subject.actuator.apply('a', 0))).toMatchObject({ ok: false, code: 'refused' });
    expect(await status(subject, 'never')).toMatchObject({ state: 'unknown' });
  });

  it('undoes every step that was begun, the last first, and whatever was there before is there again', async () => {
    const subject = await make();
    const at = (name: string): string => `${subject.place}/${name}`;
    for (const name of ['kept', 'removed', 'log', 'log.1', 'log.2']) subject.put(at(name), `${name} before`);
    const steps: Step[] = [
      { do: ['file.replace', at('kept'), utf8('changed'), -1], undo: ['file.restore', at('kept')] },
      { do: ['file.replace', at('made'), utf8('made'), -1], undo: ['file.restore', at('made')] },
      { do: ['file.remove', at('removed')], undo: ['file.return', at('removed')] },
      { do: ['file.rotate', at('log'), 2], undo: ['file.unrotate', at('log'), 2] },
      { do: ['file.remove', at('missing')], undo: ['file.return', at('missing')] },
      { do: ['file.remove', at('never')], undo: ['file.return', at('never')] },
    ];
    expect(await settled(subject, subject.actuator.arm('all', LONG_MS, steps))).toEqual({ ok: true });
    const outcomes = [];
    for (let i = 0; i < 5; i++) outcomes.push((await settled(subject, subject.actuator.apply('all', i))).ok);
    expect(outcomes).toEqual([true, true, true, true, false]);
    expect(['kept', 'made', 'removed', 'log', 'log.1', 'log.2'].map((name) => subject.content(at(name)))).toEqual([
      'changed',
      'made',
      undefined,
      '',
      'log before',
      'log.1 before',
    ]);
    expect(await settled(subject, subject.actuator.undo('all', 'a test'))).toEqual({ ok: true });
    expect(['kept', 'made', 'removed', 'log', 'log.1', 'log.2'].map((name) => subject.content(at(name)))).toEqual([
      'kept before',
      undefined,
      'removed before',
      'log before',
      'log.1 before',
      'log.2 before',
    ]);
    expect(await status(subject, 'all')).toMatchObject({ state: 'undone', begun: 5, reason: 'a test' });
    const listed = await settled(subject, subject.actuator.read(['file.list', subject.place]));
    expect(listed.ok && (listed.value as unknown[]).length).toBe(5);
  });

  it('hides files together, lists them no more, and shows them again or drops them', async () => {
    const subject = await make();
    const names = ['a.tmp', 'b.tmp'];
    const path = (name: string): string => `${subject.place}/${name}`;
    for (const name of [...names, 'kept']) subject.put(path(name), name);
    const hide: Step = { do: ['files.hide', subject.place, names], undo: ['files.show', subject.place, names] };
    const listed = async () => {
      const answer = await settled(subject, subject.actuator.read(['file.list', subject.place]));
      return answer.ok ? (answer.value as [string][]).map(([one]) => one.slice(subject.place.length + 1)) : answer.message;
    };
    expect(await change(subject, 'hide-1', [hide])).toEqual([{ ok: true }]);
    expect([await listed(), subject.content(path('a.tmp'))]).toEqual([['kept'], undefined]);
    await settled(subject, subject.actuator.undo('hide-1', 'the test'));
    expect([await listed(), subject.content(path('b.tmp'))]).toEqual([[...names, 'kept'], 'b.tmp']);
    expect(await change(subject, 'hide-2', [hide])).toEqual([{ ok: true }]);
    await settled(subject, subject.actuator.confirm('hide-2'));
    expect(await listed()).toEqual(['kept']);
  });

  it('ends a process, and only the one that was meant', async () => {
    const subject = await make();
    await settled(subject, subject.actuator.bringUp('one'));
    const { pid = 0, startTicks = 0 } = only(subject);
    const end = (ticks: number): Step => ({ do: ['process.end', pid, ticks, 1_000], undo: undefined });
    expect(await settled(subject, subject.actuator.check([end(startTicks + 1)]))).toMatchObject({ ok: false, code: 'gone' });
    expect(await change(subject, 'end-1', [end(startTicks)])).toEqual([{ ok: true }]);
    await eventually('its end', async () => {
      await subject.pump();
      return only(subject).state === 'exited' || undefined;
    });
    await settled(subject, subject.actuator.confirm('end-1'));
  });

  it('undoes by itself what is not confirmed by its deadline', async () => {
    const subject = await make();
    subject.put(`${subject.place}/f`, 'old');
    await change(
      subject,
      'late',
      [{ do: ['file.replace', `${subject.place}/f`, utf8('new'), -1], undo: ['file.restore', `${subject.place}/f`] }],
      300,
    );
    await eventually('the undo', async () => {
      await subject.pump();
      return (await status(subject, 'late')).state === 'undone' || undefined;
    });
    expect(subject.content(`${subject.place}/f`)).toBe('old');
    expect(await status(subject, 'late')).toMatchObject({ reason: 'its deadline has passed' });
    expect(await settled(subject, subject.actuator.confirm('late'))).toMatchObject({ ok: false });
  });

  it('undoes what an agent left open when it died, unless another is there in time to see to it', async () => {
    const subject = await make();
    subject.put(`${subject.place}/f`, 'old');
    const step: Step = {
      do: ['file.replace', `${subject.place}/f`, utf8('new'), -1],
      undo: ['file.restore', `${subject.place}/f`],
    };
    await change(subject, 'taken-up', [step]);
    await subject.crash();
    const second = { ...subject, actuator: await subject.another() };
    await second.pump();
    expect(await status(second, 'taken-up')).toMatchObject({ state: 'armed', begun: 1 });
    expect(await settled(second, second.actuator.confirm('taken-up'))).toEqual({ ok: true });

    await change(second, 'orphan', [{ ...step, do: ['file.replace', `${subject.place}/f`, utf8('newer'), -1] }]);
    await (second.actuator instanceof SimulatedActuator ? second.actuator.crash() : second.actuator.close());
    await eventually(
      'the undo',
      async () => {
        await subject.pump();
        return subject.content(`${subject.place}/f`) === 'new' || undefined;
      },
      10_000,
    );
    const third = { ...subject, actuator: await subject.another() };
    await eventually('it to be told', async () => (await status(third, 'orphan')).state === 'undone' || undefined);
    expect(await status(third, 'orphan')).toMatchObject({ reason: 'the agent is gone' });
  });
});
