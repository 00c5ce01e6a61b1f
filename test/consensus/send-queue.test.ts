// What goes to one other member of the committee: at which pace, how much may wait, and what becomes of it where it matters no more.
import { describe, expect, it } from 'vitest';
import { SendQueue } from '../../consensus/committee/send-queue.ts';
import { framesOf, unpacked } from '../../consensus/raft/frames.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { pass } from '../support/virtual.ts';

const small = (id: number): Uint8Array => [...framesOf(new Uint8Array(20).fill(id), id)][0] as Uint8Array;

function world() {
  const scheduler = new Scheduler();
  const sent: [number, number][] = [];
  const queue = new SendQueue(
    new ProcessClock(scheduler, () => 0),
    (bytes) => void sent.push([scheduler.nowMs, [...unpacked(bytes)].length]),
  );
  /** Each in a turn of its own. */
  const push = async (count: number): Promise<void> => {
    for (let nth = 0; nth < count; nth++) {
      expect(queue.push(small(nth))).toBe(true);
      await Promise.resolve();
      await Promise.resolve();
    }
  };
  return { queue, sent, push, scheduler, pump: (ms: number) => pass(scheduler, ms) };
}

describe('a send queue', () => {
  it('sends five hundred messages at once, and from then on one each four milliseconds, with all that has come', async () => {
    const { sent, push, scheduler, pump } = world();
    await push(500);
    expect([sent.length, scheduler.waiting]).toEqual([500, 0]);
    await push(3);
    expect(sent.length).toBe(500);
    await pump(3);
    expect(sent.length).toBe(500);
    await pump(1);
    expect(sent.slice(500)).toEqual([[4, 3]]);
    await push(1);
    await pump(3);
    await push(1);
    await pump(1);
    expect(sent.slice(501)).toEqual([[8, 2]]);
    await pump(10_000); // it has rested: five hundred again
    await push(501);
    expect(sent.length).toBe(502 + 500);
  });

  it('lets 80 megabytes wait, and no more; what was dropped makes room', () => {
    const { queue } = world();
    const half = new Uint8Array(40_000_000);
    expect([queue.push(half), queue.push(half), queue.push(new Uint8Array(1))]).toEqual([true, true, false]);
    queue.clear();
    expect([queue.push(half), queue.push(half), queue.push(new Uint8Array(1))]).toEqual([true, true, false]);
    queue.clear();
  });

  it('counts what was sent as waiting no longer', async () => {
    const { queue, push, sent } = world();
    await push(10);
    expect(sent.length).toBe(10);
    expect([queue.push(new Uint8Array(80_000_000)), queue.push(new Uint8Array(1))]).toEqual([true, false]);
    queue.clear();
  });

  it('sends nothing of what it was cleared of, and goes on with what comes after', async () => {
    const { queue, sent, push, pump } = world();
    await push(502);
    queue.clear();
    await pump(1_000);
    expect(sent.length).toBe(500);
    await push(1);
    expect(sent.at(-1)).toEqual([1_000, 1]);
  });
});
