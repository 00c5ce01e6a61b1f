// The effect runtime: order, persistence before what depends on it, and stale timers.
import { describe, expect, it } from 'vitest';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Disk, SimulatedStore } from '../../sim/machine/disk.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { Store } from '../../swarm/ports/store.ts';
import { CoreRuntime } from '../../swarm/runtime/core-runtime.ts';
import type { Effect } from '../../swarm/runtime/effects.ts';

type Scripted = { kind: 'script'; effects: Effect<string, string>[] };

function makeRuntime(makeStore: (scheduler: Scheduler) => Store = (scheduler) => new SimulatedStore(new Disk(), scheduler)) {
  const scheduler = new Scheduler();
  const log: string[] = [];
  const clock = new ProcessClock(scheduler);
  const core = {
    step: (
      input: Scripted | { kind: 'timer'; id: string } | { kind: 'message'; from: string; message: string },
    ): Effect<string, string>[] => {
      if (input.kind === 'timer') log.push(`timer ${input.id} at ${scheduler.nowMs}`);
      return input.kind === 'script' ? input.effects : [];
    },
  };
  const runtime = new CoreRuntime<Scripted, string, string>(core, {
    clock,
    store: makeStore(scheduler),
    send: (to, message) => log.push(`${message} to ${to}`),
    broadcast: (message) => log.push(`${message} to all`),
    notice: (notice) => log.push(notice),
    failed: (error) => log.push(`failed: ${String(error)}`),
  });
  const run = async (untilMs: number): Promise<void> => {
    while (scheduler.step(untilMs)) await new Promise((resolve) => setImmediate(resolve));
  };
  return { runtime, log, run };
}

describe('the effect runtime', () => {
  it('sends nothing before the persist that it depends on is durable, across steps too', async () => {
    const { runtime, log, run } = makeRuntime();
    runtime.post({
      kind: 'script',
      effects: [
        { kind: 'persist', key: 'vote', value: 1 },
        { kind: 'send', to: 'b', message: 'granted' },
      ],
    });
    runtime.post({ kind: 'script', effects: [{ kind: 'send', to: 'c', message: 'later' }] });
    expect(log).toEqual([]);
    await run(100);
    expect(log).toEqual(['granted to b', 'later to c']);
  });

  it('stops for good when the disk refuses: what depended on it is never sent', async () => {
    const broken = {
      get: async () => undefined,
      write: () => Promise.reject(new Error('no space')),
      range: async () => [],
      close: async () => undefined,
    };
    const { runtime, log, run } = makeRuntime(() => broken);
    runtime.post({
      kind: 'script',
      effects: [
        { kind: 'persist', key: 'vote', value: 1 },
        { kind: 'send', to: 'b', message: 'granted' },
      ],
    });
    await new Promise((resolve) => setImmediate(resolve));
    runtime.post({ kind: 'script', effects: [{ kind: 'send', to: 'b', message: 'again' }] });
    await run(100);
    expect(log).toEqual(['failed: Error: no space']);
  });

  it('fires a timer once, replaces it by id, and cancels it', async () => {
    const { runtime, log, run } = makeRuntime();
    runtime.post({
      kind: 'script',
      effects: [
        { kind: 'timer', id: 'x', afterMs: 10 },
        { kind: 'timer', id: 'y', afterMs: 20 },
      ],
    });
    runtime.post({
      kind: 'script',
      effects: [
        { kind: 'timer', id: 'x', afterMs: 50 },
        { kind: 'cancel', id: 'y' },
      ],
    });
    await run(100);
    expect(log).toEqual(['timer x at 50']);
  });

  it('drops messages, not timers, when the disk is too slow to keep up', async () => {
    const { runtime, log, run } = makeRuntime();
    runtime.post({
      kind: 'script',
      effects: [
        { kind: 'persist', key: 'k', value: 1 },
        { kind: 'timer', id: 'kept', afterMs: 1 },
      ],
    });
    for (let i = 0; i < 1_100; i++) runtime.post({ kind: 'script', effects: [{ kind: 'notice', notice: 'n' }] });
    runtime.post({ kind: 'message', from: 'b', message: 'flood' });
    expect(runtime.droppedMessages).toBe(1);
    await run(100);
    expect(log).toContain('timer kept at 3');
  });
});
