// Damage to the files of a LevelDB database: whatever is lost, cut or changed of what LevelDB still needs is found, and nothing else.
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { damageOf } from '../../node/adapters/level-damage.ts';
import { LevelStore } from '../../node/adapters/level-store.ts';
import { SeededRandom } from '../../sim/random.ts';

const root = mkdtempSync(join(tmpdir(), 'kalos-level-'));
const whole = join(root, 'whole');
const copy = join(root, 'copy');
const random = new SeededRandom(1, 'level');

/** So that there are tables, packed and not, and a log of several blocks. */
async function write(values: number, bytes: number): Promise<void> {
  const store = await LevelStore.open(whole);
  for (let nth = 0; nth < values; nth++) {
    const value = nth % 2 === 0 ? random.bytes(bytes) : new Uint8Array(bytes).fill(nth);
    await store.write([{ kind: 'put', key: `key/${values}/${nth}`, value }]);
  }
  await store.close();
}

beforeAll(async () => {
  await write(40, 900); // becomes a table as it is opened again
  await write(30, 4_000);
});
afterAll(() => rmSync(root, { recursive: true }));
beforeEach(() => {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy);
  for (const name of readdirSync(whole)) copyFileSync(join(whole, name), join(copy, name));
});

const names = (pattern: RegExp): string[] => readdirSync(whole).filter((name) => pattern.test(name));
const one = (pattern: RegExp): string => names(pattern)[0] ?? expect.fail(`no ${pattern}`);
const change = (name: string, by: (bytes: Buffer) => Buffer): void =>
  writeFileSync(join(copy, name), by(readFileSync(join(whole, name))));
const flipped = (at: number) => (bytes: Buffer) => {
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x10, at);
  return bytes;
};
const found = (tableBytes?: number): string => {
  const damage = damageOf(copy, tableBytes);
  return damage === undefined ? 'none' : `${damage.file.slice(copy.length + 1)} ${damage.what}`;
};

describe('a database', () => {
  it('as LevelDB wrote it has no damage; where there is none there is none either', () => {
    expect(names(/\.ldb$/).length).toBeGreaterThan(0);
    expect([found(), damageOf(join(root, 'nowhere')), damageOf(root.concat('/whole'))]).toEqual(['none', undefined, undefined]);
    const empty = join(root, 'empty');
    mkdirSync(empty);
    writeFileSync(join(empty, 'LOCK'), '');
    expect(damageOf(empty)).toBeUndefined();
  });

  it('of which a file is missing, or a directory is in the way', () => {
    const [table, manifest, log] = [one(/\.ldb$/), one(/^MANIFEST/), one(/\.log$/)];
    for (const [name, what] of [
      ['CURRENT', 'is missing'],
      [manifest, 'is missing'],
      [log, 'is missing: the newest records are lost'],
      [table, 'is missing'],
    ] as const) {
      rmSync(join(copy, name));
      expect(found()).toBe(`${name} ${what}`);
      copyFileSync(join(whole, name), join(copy, name));
    }
    mkdirSync(join(copy, 'lost+found'));
    expect(found()).toBe('none');
    mkdirSync(join(copy, 'other'));
    expect(found()).toBe('other is a directory, and should not be there');
  });

  it('whose CURRENT names nothing, or whose manifest lists nothing', () => {
    writeFileSync(join(copy, 'CURRENT'), '');
    expect(found()).toBe('CURRENT is empty');
    writeFileSync(join(copy, 'CURRENT'), 'MANIFEST-000001');
    expect(found()).toBe('CURRENT contains "MANIFEST-000001", not the name of a manifest');
    copyFileSync(join(whole, 'CURRENT'), join(copy, 'CURRENT'));
    const manifest = one(/^MANIFEST/);
    writeFileSync(join(copy, manifest), '');
    expect(found()).toBe(`${manifest} is empty`);
    change(manifest, (bytes) => bytes.subarray(0, 20));
    expect(found()).toBe(`${manifest} is truncated or damaged: it does not list the files of the database`);
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('of which a bit of a table is changed, wherever that is (%i)', (eighth) => {
    const table = one(/\.ldb$/);
    const { length } = readFileSync(join(whole, table));
    const at = Math.floor((length * eighth) / 8) - 3 - Math.floor(random.between(0, length / 9));
    change(table, flipped(at));
    expect(found(), `byte ${at} of ${length}`).toMatch(new RegExp(`^${table} (is damaged|does not end)`));
  });

  it('of which a table is cut, empty, or longer', () => {
    const table = one(/\.ldb$/);
    change(table, () => Buffer.alloc(0));
    expect(found()).toBe(`${table} is empty`);
    change(table, (bytes) => bytes.subarray(0, 47));
    expect(found()).toBe(`${table} is truncated to 47 bytes`);
    for (const by of [(bytes: Buffer) => bytes.subarray(0, -1), (bytes: Buffer) => Buffer.concat([bytes, Buffer.from([0])])]) {
      change(table, by);
      expect(found()).toBe(`${table} has no table footer: it is truncated, or bytes were appended`);
    }
  });

  it('is read as far as asked for, the newest tables first', () => {
    const table = one(/\.ldb$/);
    const { length } = readFileSync(join(whole, table));
    change(table, flipped(10));
    expect([found(length - 1), found(1_000_000)]).toEqual(['none', `${table} is damaged at byte 0`]);
  });

  it.each([0, 3, 5, 6, 7, 100, 4_000, 32_767, 32_768, 40_000])(
    'of whose log byte %i is changed, where a whole record follows',
    (at) => {
      change(one(/\.log$/), flipped(at));
      expect(found()).toMatch(/\.log is damaged at byte \d+$/);
    },
  );

  it('of whose log the end is missing: that is what a power cut leaves', () => {
    const log = one(/\.log$/);
    const { length } = readFileSync(join(whole, log));
    for (const cut of [1, 5, 100, 3_999, 4_020]) {
      change(log, (bytes) => bytes.subarray(0, length - cut));
      expect(found(), `${cut}`).toBe('none');
    }
    // And what was set aside, and never written.
    change(log, (bytes) => Buffer.concat([bytes, Buffer.alloc(5_000)]));
    expect(found()).toBe('none');
    change(log, flipped(length - 10)); // the last record: nothing follows
    expect(found()).toBe('none');
  });

  it('of whose manifest a bit is changed', () => {
    const manifest = one(/^MANIFEST/);
    change(manifest, flipped(9));
    expect(found()).toBe(`${manifest} is damaged at byte 0`);
  });
});

describe('a log whose first block ends with', () => {
  it.each([0, 1, 5, 6, 7, 8])(
    '%i bytes to spare is read on in the next one, and no further than it was written',
    async (spare) => {
      rmSync(copy, { recursive: true });
      const database = new Level<string, Buffer>(copy, { valueEncoding: 'buffer' });
      // Header of the record, of the batch, of the value; and a key of one byte.
      const first = 32_768 - spare - 7 - 12 - 6;
      for (const [key, bytes] of [
        ['a', first],
        ['b', 100],
        ['c', 100],
      ] as const)
        await database.put(key, Buffer.alloc(bytes, key));
      await database.close();
      expect(found()).toBe('none');
      const log = readdirSync(copy).find((name) => name.endsWith('.log')) ?? expect.fail('no log');
      const bytes = readFileSync(join(copy, log));
      expect(bytes.length).toBe(32_768 - spare + Math.min(spare, 7) + 2 * 123);
      const second = bytes.indexOf('bbbb');
      bytes.writeUInt8(0, second);
      writeFileSync(join(copy, log), bytes);
      expect(found()).toMatch(new RegExp(`^${log} is damaged at byte 32\\d+$`));
    },
  );
});

describe('a database that was compacted', () => {
  const old = join(root, 'compacted');
  beforeAll(async () => {
    const database = new Level<string, Buffer>(old, { valueEncoding: 'buffer', writeBufferSize: 64 * 1024 });
    const words = ['disk', 'memory', 'network', 'certificate', 'baseline', 'incident', 'remedy', 'quorum'];
    const text = (length: number): Buffer =>
      Buffer.from(Array.from({ length }, () => words[Math.floor(random.between(0, 8))]).join(' '));
    for (let round = 0; round < 3; round++) {
      for (let nth = 0; nth < 40; nth++)
        await database.put(`k${nth}`, nth % 3 === 0 ? Buffer.from(random.bytes(5_000)) : text(900));
      await (database as unknown as { compactRange(from: string, to: string): Promise<void> }).compactRange('', '~');
    }
    await database.put('last', Buffer.from('x'));
    await database.close();
    const again = new Level<string, Buffer>(old, { valueEncoding: 'buffer' });
    await again.put('later', Buffer.from('x'));
    await again.close();
  });
  beforeEach(() => {
    rmSync(copy, { recursive: true, force: true });
    mkdirSync(copy);
    for (const name of readdirSync(old)) copyFileSync(join(old, name), join(copy, name));
  });
  const tables = (): string[] => readdirSync(old).filter((name) => name.endsWith('.ldb'));

  it('has no damage, and needs the tables that are left, each whole', () => {
    expect(found()).toBe('none');
    expect(tables().length).toBeGreaterThan(1);
    for (const table of tables()) {
      rmSync(join(copy, table));
      expect(found()).toBe(`${table} is missing`);
      const bytes = readFileSync(join(old, table));
      for (const at of [0, Math.floor(bytes.length / 2), bytes.length - 60]) {
        writeFileSync(join(copy, table), flipped(at)(Buffer.from(bytes)));
        expect(found(), `${table} ${at}`).toMatch(new RegExp(`^${table} is damaged`));
      }
      writeFileSync(join(copy, table), bytes);
    }
  });

  it('is not judged by what it does not need: a table, or an older log, that was left over', () => {
    writeFileSync(join(copy, '000001.ldb'), 'nothing');
    writeFileSync(join(copy, '000001.log'), Buffer.alloc(3_000, 1));
    expect(found()).toBe('none');
  });

  it('needs its own log, whatever others there are, and each newer one', () => {
    const log = readdirSync(old).find((name) => name.endsWith('.log')) ?? expect.fail('no log');
    const bytes = readFileSync(join(old, log));
    writeFileSync(join(copy, '999999.log'), Buffer.concat([flipped(20)(Buffer.from(bytes)), bytes]));
    expect(found()).toBe('999999.log is damaged at byte 0');
    rmSync(join(copy, log));
    expect(found()).toBe(`${log} is missing: the newest records are lost`);
    writeFileSync(join(copy, log.replace('.log', '.ldb')), '');
    expect(found()).toBe(`${log} is missing: the newest records are lost`);
  });

  it('is read, at a start, as far as the newest tables go', () => {
    const all = tables().toSorted();
    const [newest = '', oldest = ''] = [all.at(-1), all[0]];
    writeFileSync(join(copy, oldest), '');
    const sizes = all.slice(1).map((name) => readFileSync(join(old, name)).length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    expect([found(total - 1), found(total)]).toEqual(['none', `${oldest} is empty`]);
    writeFileSync(join(copy, newest), '');
    expect(found()).toBe(`${newest} is empty`);
  });
});
