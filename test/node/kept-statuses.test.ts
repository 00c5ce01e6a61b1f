// Statuses of others over a restart: what was held and how old it is, written once, and forgotten with who is no member.
import { describe, expect, it } from 'vitest';
import { KeptStatuses } from '../../node/link/kept-statuses.ts';
import { ProcessClock } from '../../sim/machine/clock.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { StoreOperation } from '../../swarm/ports/store.ts';
import type { StatusTable } from '../../swarm/state/status-table.ts';
import { PlainStore } from '../support/store.ts';
import { pass } from '../support/virtual.ts';

class CountingStore extends PlainStore {
  readonly written: string[][] = [];
  override async write(operations: readonly StoreOperation[]) {
    this.written.push(operations.map(({ kind, key }) => `${kind} ${key}`));
    await super.write(operations);
  }
}
type Entry = { origin: string; sequence: number; envelope: Uint8Array; heardMs: number };

function world(store = new CountingStore(), startMs = 0, aheadMs = 0) {
  const scheduler = new Scheduler();
  const entries = new Map<string, Entry>();
  const offered: [number, number][] = [];
  const clock = new ProcessClock(scheduler, () => aheadMs);
  const statuses = {
    entries: () => entries.values(),
    get: (origin: string) => entries.get(origin),
    offer: (envelope: Uint8Array, heardMs: number) => void offered.push([envelope[0] ?? 0, heardMs]),
  } as unknown as StatusTable;
  const failures: string[] = [];
  const failed = (error: unknown): void => void failures.push((error as Error).message);
  const kept = new KeptStatuses({ store, clock }, { self: 'self', statuses }, failed);
  const hold = (origin: string, sequence: number, heardMs: number): void =>
    void entries.set(origin, { origin, sequence, envelope: Uint8Array.of(sequence), heardMs });
  return {
    kept,
    hold,
    entries,
    offered,
    store,
    failures,
    waiting: () => scheduler.waiting,
    begun: () => pass(scheduler, startMs),
    pump: (ms: number) => pass(scheduler, ms),
  };
}

describe('statuses of others', () => {
  it('are written every five minutes, a disk that refuses is told of and tried again, and no more once it is closed', async () => {
    const { kept, hold, store, failures, waiting, pump } = world();
    await kept.open();
    hold('a', 1, 0);
    const write = store.write.bind(store);
    store.write = async () => Promise.reject(new Error('ENOSPC'));
    await pump(300_000);
    store.write = write;
    hold('a', 2, 0);
    await pump(299_999);
    expect([failures, store.written]).toEqual([['ENOSPC'], []]);
    await pump(1);
    hold('a', 3, 0);
    await pump(300_000);
    expect(store.written).toEqual([['put held/a'], ['put held/a']]);
    await kept.close();
    await pump(300_000);
    expect(waiting()).toBe(0);
  });

  it('are written once each, not one’s own, and again when they are newer', async () => {
    const { kept, hold, entries, store, pump } = world();
    await kept.open();
    hold('a', 1, 0);
    hold('self', 9, 0);
    await pump(299_000);
    expect(store.written).toEqual([]);
    await pump(2_000);
    expect(store.written).toEqual([['put held/a']]);
    await pump(300_000);
    expect(store.written.length).toBe(1);
    hold('a', 2, 600_000);
    hold('b', 1, 600_000);
    await kept.keep();
    expect(store.written.at(-1)).toEqual(['put held/a', 'put held/b']);
    entries.delete('b');
    await kept.keep();
    expect(store.written.at(-1)).toEqual(['delete held/b']);
    await kept.close();
    expect(store.written.length).toBe(3);
    await pump(900_000);
    expect(store.written.length).toBe(3);
  });

  it('are taken up with their age: by the longer of both clocks, whichever was set or began again', async () => {
    const store = new CountingStore();
    const before = world(store, 100_000);
    await before.kept.open();
    await before.begun();
    before.hold('a', 7, 60_000);
    await before.kept.close();
    const heard = async (startMs: number, aheadMs: number) => {
      const after = world(new CountingStore(), startMs, aheadMs);
      for (const [key, value] of store.content) after.store.content.set(key, value);
      await after.begun();
      await after.kept.open();
      return after.offered;
    };
    expect(await heard(150_000, 0)).toEqual([[7, 60_000]]); // 90 s ago, and it is second 150
    expect(await heard(1_000, 149_000)).toEqual([[7, 1_000 - 90_000]]); // booted since
    expect(await heard(150_000, -140_000)).toEqual([[7, 60_000]]); // set back
    expect(await heard(1_000, 0)).toEqual([[7, 1_000 - 40_000]]); // both: no younger than it was
  });

  it('that cannot be read are passed over, and go with who is no member', async () => {
    const { kept, offered, store } = world();
    store.content.set('held/x', Uint8Array.of(0xf6));
    await kept.open();
    expect(offered).toEqual([]);
    await kept.keep();
    expect(store.written).toEqual([['delete held/x']]);
    await kept.close();
  });
});
