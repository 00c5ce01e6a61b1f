// What the kernel says, counted from records as /dev/kmsg gives them: from the agent's start on, errors and worse by themselves.
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { KernelLog } from '../../node/telemetry/adapters/kernel-log.ts';

/** What reads give next: a record, or an error's code; nothing more is EAGAIN. */
const device = vi.hoisted(() => ({ opened: [] as unknown[][], next: [] as string[], reads: 0 }));
vi.mock('node:fs', async (original) => ({
  ...(await original<typeof import('node:fs')>()),
  openSync: (...given: unknown[]) => {
    device.opened.push(given);
    return 99;
  },
  readSync: (fd: number, buffer: Buffer) => {
    if (fd !== 99) throw new Error(`read of ${fd}`);
    device.reads++;
    const record = device.next.shift() ?? 'EAGAIN';
    if (/^E[A-Z]+$/.test(record)) throw Object.assign(new Error(record), { code: record });
    return buffer.write(record, 'latin1');
  },
}));
beforeEach(() => Object.assign(device, { opened: [], next: [], reads: 0 }));

describe('the kernel’s log', () => {
  it('is counted from the agent’s start on, without what was said before', () => {
    const log = new KernelLog();
    device.next = ['3,1,1,-;before', '6,2,2,-;before'];
    expect(log.counts()).toEqual({ messages: 0, errors: 0 });
    expect(device.opened).toEqual([['/dev/kmsg', 0o4000]]);
    device.next = ['6,3,3,-;a', '3,4,4,-;b'];
    expect(log.counts()).toEqual({ messages: 2, errors: 1 });
    expect(log.counts()).toEqual({ messages: 2, errors: 1 });
    expect(device.opened.length).toBe(1);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7])('has of level %i an error up to 3, whatever facility says it', (level) => {
    const log = new KernelLog();
    log.counts();
    device.next = [`${level},1,1,-;kernel`, `${8 * 3 + level},2,2,-;a daemon`];
    expect(log.counts()).toEqual({ messages: 2, errors: level <= 3 ? 2 : 0 });
  });

  it('goes on behind what was overwritten, and fails with what else fails', () => {
    const log = new KernelLog();
    log.counts();
    device.next = ['6,1,1,-;a', 'EPIPE', '6,9,9,-;b'];
    expect(log.counts().messages).toBe(2);
    device.next = ['EIO'];
    expect(() => log.counts()).toThrow('EIO');
  });

  it('is read a thousand records at a time', () => {
    const log = new KernelLog();
    log.counts();
    device.next = Array.from({ length: 1_500 }, () => '6,1,1,-;x');
    expect([log.counts().messages, log.counts().messages]).toEqual([1_000, 1_500]);
  });
});
