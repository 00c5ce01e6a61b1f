// The store where its disk refuses to write: what waits, what fails, what is given up, and what is told; over a database that the test plays.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LevelStore, refusalOf } from '../../node/adapters/level-store.ts';

const FULL = 'IO error: /x/000005.log: No space left on device';
const played = vi.hoisted(() => ({
  /** What opening and writing fail with, once for each. */
  opens: [] as string[],
  writes: [] as (string | undefined)[],
  /** Told in order. */
  done: [] as unknown[],
  hold: undefined as Promise<void> | undefined,
}));
vi.mock('level', () => ({
  Level: class {
    async open() {
      const failure = played.opens.shift();
      played.done.push(failure === undefined ? 'open' : 'open fails');
      if (failure !== undefined) throw new Error(failure);
    }
    async close() {
      played.done.push('close');
    }
    async batch(operations: { type: string; key: string }[], options: object) {
      await played.hold;
      const failure = played.writes.shift();
      played.done.push([...operations.map(({ type, key }) => `${type} ${key}`), ...(failure === undefined ? [] : ['fails'])]);
      expect(options).toEqual({ sync: true });
      if (failure !== undefined) throw new Error(failure);
    }
    async get(key: string) {
      return key;
    }
  },
}));

let directory: string;
const told: (string | undefined)[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kalos-level-'));
  Object.assign(played, { opens: [], writes: [], done: [], hold: undefined });
  told.length = 0;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(directory, { recursive: true, force: true });
});

const open = (reserve?: string) => LevelStore.open(directory, { reserve, refused: (reason) => told.push(reason) });
const put = (key: string, bytes = 1) => ({ kind: 'put' as const, key, value: new Uint8Array(bytes) });
/** Real work on the disk goes on between the steps of the clock. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) {
    vi.advanceTimersByTime(500);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const outcomeOf = (work: Promise<unknown>) => {
  const one = { became: 'waits' };
  work.then(
    () => {
      one.became = 'written';
    },
    (error: Error) => {
      one.became = error.message;
    },
  );
  return one;
};

describe('writes', () => {
  it('that come while a batch is written are the next one, the newest of each key', async () => {
    const store = await open();
    const free = Promise.withResolvers<void>();
    played.hold = free.promise;
    const all = [
      store.write([put('a')]),
      store.write([put('b'), put('c')]),
      store.write([{ kind: 'delete', key: 'b' }, put('d')]),
    ];
    free.resolve();
    await Promise.all(all);
    expect(played.done).toEqual(['open', ['put a'], ['del b', 'put c', 'put d']]);
    await store.close();
    expect(played.done.at(-1)).toBe('close');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are ended before the store is closed', async () => {
    const store = await open();
    const free = Promise.withResolvers<void>();
    played.hold = free.promise;
    const written = outcomeOf(store.write([put('a')]));
    const closed = outcomeOf(store.close());
    free.resolve();
    await until(() => closed.became !== 'waits');
    expect([written.became, played.done]).toEqual(['written', ['open', ['put a'], 'close']]);
  });

  it('fail with what is no refusal of the disk, each of its batch, and go on after it', async () => {
    const store = await open();
    played.writes = ['Corruption: bad block'];
    await expect(store.write([put('a')])).rejects.toThrow('bad block');
    await store.write([put('b')]);
    expect([told, store.refusal]).toEqual([[], undefined]);
    await store.close();
  });
});

describe('a disk that refuses', () => {
  it('fails what is written while nobody waits for it, as an agent starts', async () => {
    const store = await open();
    played.writes = [FULL];
    await expect(store.write([put('a')])).rejects.toThrow('No space left');
    expect([told, store.refusal, played.done]).toEqual([[], undefined, ['open', ['put a', 'fails']]]);
    await store.close();
  });

  it('is waited for: the database is opened again, what waited is written, and both are told once', async () => {
    const store = await open();
    store.waits = true;
    played.writes = [FULL, FULL];
    const one = outcomeOf(store.write([put('a')]));
    await until(() => store.refusal !== undefined);
    const other = outcomeOf(store.write([put('b')]));
    expect([one.became, store.refusal]).toEqual(['waits', 'No space left on device']);
    await until(() => other.became !== 'waits');
    expect([one.became, other.became, told]).toEqual(['written', 'written', ['No space left on device', undefined]]);
    expect(played.done).toEqual([
      'open',
      ['put a', 'fails'],
      ...['close', 'open', ['put a', 'fails']],
      ...['close', 'open', ['put a'], ['put b']],
    ]);
    expect(readdirSync(directory)).toEqual([]);
    await store.close();
  });

  it('is tried again every two seconds, also where the database does not open', async () => {
    const store = await open();
    store.waits = true;
    played.writes = [FULL];
    played.opens = [FULL, FULL];
    const one = outcomeOf(store.write([put('a')]));
    await until(() => played.done.includes('close'));
    const read = store.get('k');
    await until(() => one.became !== 'waits');
    expect(await read).toBe('k');
    expect(played.done.slice(1)).toEqual([['put a', 'fails'], 'close', 'open fails', 'open fails', 'open', ['put a']]);
    await store.close();
  });

  it('that leaves a database that cannot be opened fails what waited, and what is read', async () => {
    const store = await open();
    store.waits = true;
    played.writes = [FULL];
    played.opens = ['Corruption: no manifest'];
    const one = outcomeOf(store.write([put('a')]));
    await until(() => one.became !== 'waits');
    expect(one.became).toContain('No space left');
    await expect(store.get('k')).rejects.toThrow('no manifest');
  });

  it('has 16 MiB wait for it, of what is newest of each key, and refuses more', async () => {
    const store = await open();
    store.waits = true;
    played.writes = Array.from({ length: 1_000 }, () => FULL);
    outcomeOf(store.write([put('a')]));
    await until(() => store.refusal !== undefined);
    rmSync(directory, { recursive: true }); // so that it is not tried with success
    const MIB = 1024 * 1024;
    for (let nth = 0; nth < 20; nth++) outcomeOf(store.write([put('b', MIB)]));
    for (let nth = 0; nth < 15; nth++) outcomeOf(store.write([put(`c${nth}`, MIB - 3)]));
    outcomeOf(store.write([{ kind: 'delete', key: 'c14' }]));
    outcomeOf(store.write([put('c14', MIB - 3)]));
    outcomeOf(store.write([put('e'.repeat(20))]));
    outcomeOf(store.write([put('last')]));
    await expect(store.write([put('over')])).rejects.toThrow(
      `${directory}: No space left on device; more than 16777216 bytes are queued for the disk`,
    );
    await store.close();
    await until(() => vi.getTimerCount() === 0);
  });

  it('keeps nothing for written where the store is closed meanwhile', async () => {
    const store = await open();
    store.waits = true;
    played.writes = [FULL];
    const one = outcomeOf(store.write([put('a')]));
    await until(() => store.refusal !== undefined);
    await store.close();
    await until(() => vi.getTimerCount() === 0);
    for (let nth = 0; nth < 20; nth++) await new Promise((resolve) => setImmediate(resolve));
    expect([one.became, played.done.filter((done) => done === 'open' || done === 'close')]).toEqual(['waits', ['open']]);
  });
});

describe('reserved space', () => {
  it('is given back for a database that a full disk keeps from being opened, and only then', async () => {
    const reserve = join(directory, 'reserve');
    mkdirSync(reserve);
    played.opens = ['Corruption: x'];
    await expect(open(reserve)).rejects.toThrow('Corruption');
    expect(existsSync(reserve)).toBe(true);
    played.opens = [FULL];
    await expect(open()).rejects.toThrow('No space');
    played.opens = [FULL];
    const store = await open(reserve);
    expect(played.done.slice(-2)).toEqual(['open fails', 'open']);
    await store.close();
    expect(readdirSync(reserve)).toHaveLength(4); // what began before the end is finished by it: nothing is written afterwards
    rmSync(reserve, { recursive: true, force: true });
    played.opens = [FULL];
    await expect(open(reserve)).rejects.toThrow('No space');
  });

  it('is given back for a write at once, and made again within a minute', async () => {
    const reserve = join(directory, 'reserve');
    mkdirSync(reserve);
    writeFileSync(join(reserve, '1'), 'x');
    const store = await open(reserve);
    played.writes = [FULL];
    await store.write([put('a')]);
    expect([existsSync(reserve), told, vi.getTimerCount()]).toEqual([false, [], 1]);
    vi.advanceTimersByTime(59_999);
    expect(existsSync(reserve)).toBe(false);
    vi.advanceTimersByTime(1);
    await until(() => existsSync(join(reserve, '4')));
    await store.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a refusal', () => {
  const withCode = (code: string, message = code): Error => Object.assign(new Error(message), { code });
  it.each<[string, unknown, string | undefined]>([
    ['what LevelDB says', new Error(FULL), 'No space left on device'],
    ['the cause of another', new Error('x', { cause: new Error(FULL) }), 'No space left on device'],
    ['another process', Object.assign(new Error(FULL), { code: 'LEVEL_LOCKED' }), undefined],
    ['another process, below', new Error('x', { cause: withCode('LEVEL_LOCKED', FULL) }), undefined],
    ['a code that is none', withCode('ENOENT'), undefined],
    ['damage', new Error('Corruption: bad'), undefined],
    ['no error', 'No space left', undefined],
    ...['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE', 'EACCES', 'EPERM'].map((code): [string, unknown, string] => [
      code,
      withCode(code, 'told by Node'),
      'told by Node',
    ]),
  ])('of %s', (_name, error, said) => {
    const seen = refusalOf(error);
    if (said === 'told by Node') expect(typeof seen).toBe('string');
    else expect(seen).toBe(said);
  });
});
