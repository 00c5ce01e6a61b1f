// What every Store does, the real one and the simulated one alike.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { LevelStore } from '../../node/adapters/level-store.ts';
import { Disk, SimulatedStore } from '../../sim/machine/disk.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import type { Store } from '../../swarm/ports/store.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

/** `reopen` gives the store as a restarted process finds it; `settle` lets simulated time pass. */
interface Subject {
  open(): Promise<Store>;
  settle<T>(work: Promise<T>): Promise<T>;
}

const makers: [string, () => Subject][] = [
  [
    'level',
    () => {
      const directory = mkdtempSync(join(tmpdir(), 'kalos-store-'));
      directories.push(directory);
      return { open: () => LevelStore.open(directory), settle: (work) => work };
    },
  ],
  [
    'simulated',
    () => {
      const disk = new Disk();
      const scheduler = new Scheduler();
      const settle = async <T>(work: Promise<T>): Promise<T> => {
        while (scheduler.step(scheduler.nowMs + 1_000)) await new Promise((resolve) => setImmediate(resolve));
        return work;
      };
      return { open: async () => new SimulatedStore(disk, scheduler), settle };
    },
  ],
];

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined => value && new TextDecoder().decode(value);

describe.each(makers)('%s store', (_name, make) => {
  it('gives back what was written, across a reopen, and nothing for what was deleted', async () => {
    const { open, settle } = make();
    const store = await open();
    await settle(
      store.write([
        { kind: 'put', key: 'a', value: bytes('1') },
        { kind: 'put', key: 'b', value: bytes('2') },
      ]),
    );
    await settle(
      store.write([
        { kind: 'put', key: 'a', value: bytes('3') },
        { kind: 'delete', key: 'b' },
      ]),
    );
    await store.close();
    const again = await open();
    expect([text(await again.get('a')), text(await again.get('b')), text(await again.get('c'))]).toEqual([
      '3',
      undefined,
      undefined,
    ]);
    await again.close();
  });

  it('ranges over a prefix in key order, from either end, up to a limit', async () => {
    const { open, settle } = make();
    const store = await open();
    const keys = ['x/2', 'y/1', 'x/1', 'x/10', 'w/9'];
    await settle(store.write(keys.map((key) => ({ kind: 'put' as const, key, value: bytes(key) }))));
    expect((await store.range('x/', { limit: 9 })).map(([key]) => key)).toEqual(['x/1', 'x/10', 'x/2']);
    expect((await store.range('x/', { limit: 2, reverse: true })).map(([key]) => key)).toEqual(['x/2', 'x/10']);
    expect(await store.range('z/', { limit: 9 })).toEqual([]);
    await store.close();
  });
});

it('a simulated crash loses the write that was under way, and only that', async () => {
  const disk = new Disk();
  const scheduler = new Scheduler();
  const store = new SimulatedStore(disk, scheduler);
  store.write([{ kind: 'put', key: 'kept', value: bytes('1') }]);
  scheduler.step(100);
  store.write([{ kind: 'put', key: 'lost', value: bytes('2') }]);
  store.crash();
  scheduler.step(200);
  expect([...disk.content.keys()]).toEqual(['kept']);
});
