// What is shown again and again on a terminal: when it is drawn, what ends it, and that the terminal is as it was then.
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { untilQuit } from '../../node/cli/quit.ts';

class Keyboard extends EventEmitter {
  isTTY = true;
  readonly done: string[] = [];
  setRawMode(raw: boolean): this {
    this.done.push(`raw ${raw}`);
    return this;
  }
  pause(): this {
    this.done.push('pause');
    return this;
  }
}

let keyboard: Keyboard;
const own = Object.getOwnPropertyDescriptor(process, 'stdin');
beforeEach(() => {
  keyboard = new Keyboard();
  Object.defineProperty(process, 'stdin', { value: keyboard, configurable: true });
  vi.useFakeTimers();
});
afterEach(() => {
  if (own !== undefined) Object.defineProperty(process, 'stdin', own);
  vi.useRealTimers();
});

function shown(draw: () => Promise<void> = () => Promise.resolve()) {
  const its = { drawn: 0, ended: false, over: Promise.resolve() };
  its.over = untilQuit(1_000, () => {
    its.drawn++;
    return draw();
  }).then(() => {
    its.ended = true;
  });
  return its;
}

it('draws at once, each time that it should, and when the size changes', async () => {
  const view = shown();
  await vi.advanceTimersByTimeAsync(0);
  expect(view.drawn).toBe(1);
  await vi.advanceTimersByTimeAsync(999);
  expect(view.drawn).toBe(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(view.drawn).toBe(2);
  process.stdout.emit('resize');
  await vi.advanceTimersByTimeAsync(0);
  expect([view.drawn, view.ended]).toEqual([3, false]);
  keyboard.emit('data', Buffer.from('q'));
  await view.over;
  expect([keyboard.done, keyboard.listenerCount('data')]).toEqual([['raw true', 'raw false', 'pause'], 0]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect([view.drawn, view.ended]).toEqual([3, true]);
});

it.each(['q', 'Q', '\u0003', 'xxq'])('ends at once by the keys %j, while it draws too', async (keys) => {
  const view = shown(() => new Promise<void>(() => undefined));
  keyboard.emit('data', Buffer.from('x'));
  await vi.advanceTimersByTimeAsync(0);
  expect(view.ended).toBe(false);
  keyboard.emit('data', Buffer.from(keys));
  await vi.advanceTimersByTimeAsync(1_000);
  expect([view.ended, view.drawn]).toEqual([true, 1]);
});

it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('ends by %s, and touches no keyboard that is none', async (signal) => {
  keyboard.isTTY = false;
  const before = process.listeners(signal);
  const resizes = process.stdout.listenerCount('resize');
  const view = shown();
  const [added] = process.listeners(signal).filter((one) => !before.includes(one));
  added?.(signal);
  await view.over;
  expect(process.listeners(signal)).toEqual(before);
  expect([view.drawn, keyboard.done, process.stdout.listenerCount('resize')]).toEqual([1, [], resizes]);
});

it('listens to no signal any more once it has ended', async () => {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const before = signals.map((signal) => process.listeners(signal));
  const view = shown();
  expect(signals.map((signal) => process.listenerCount(signal))).toEqual(before.map(({ length }) => length + 1));
  keyboard.emit('data', Buffer.from('q'));
  await view.over;
  expect(signals.map((signal) => process.listeners(signal))).toEqual(before);
});

it('fails where it cannot draw, with the terminal as it was', async () => {
  const resizes = process.stdout.listenerCount('resize');
  await expect(untilQuit(1_000, () => Promise.reject(new Error('torn')))).rejects.toThrow('torn');
  expect([keyboard.done, process.stdout.listenerCount('resize')]).toEqual([['raw true', 'raw false', 'pause'], resizes]);
});
