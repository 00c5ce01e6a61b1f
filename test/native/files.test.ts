// What is done to files, what is kept of them beside, and how it is taken back: names, contents, owners and modes, also where somebody else
// has changed them meanwhile.
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildPlain, type RawClient, TestActuator } from '../support/actuator.ts';

const [OK, NOT_FOUND, REFUSED] = [0, 1, 3];
const LONG_MS = 60_000;
const ROOT = process.getuid?.() === 0;
const MIB = 1 << 20;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const test = new TestActuator(true);
const top = join(test.directory, 'data');
let agent: RawClient;
/** A directory of each case's own, allowed by itself. */
let data: string;
let armed = 0;
async function begin(): Promise<void> {
  await test.start({ policy: `allow path ${top}\n` });
  agent = await test.agent();
}
beforeAll(async () => {
  buildPlain();
  mkdirSync(top);
  await begin();
});
afterAll(() => test.stop());
beforeEach(async () => {
  rmSync(join(top, '.kalos'), { recursive: true, force: true });
  data = mkdtempSync(join(top, 'd-'));
  if (++armed % 20 !== 0) return;
  await test.kill(); // another has its 60 changes a minute before it
  await begin();
});

const at = (name: string): string => join(data, name);
const text = (name: string): string => readFileSync(at(name), 'utf8');
const put = (name: string, content: string, mode = 0o644): void => {
  writeFileSync(at(name), content);
  chmodSync(at(name), mode);
};
const aside = (): string[] => (existsSync(join(top, '.kalos')) ? readdirSync(join(top, '.kalos')).sort() : []);

let changes = 0;
async function arm(...steps: [unknown[], unknown[]][]): Promise<string> {
  const id = `f-${changes++}`;
  expect(await agent.ask('arm', id, LONG_MS, steps)).toMatchObject({ code: OK });
  return id;
}
/** Applied; its id, and what was said. */
async function doing(primitive: unknown[], undo: unknown[] = []): Promise<[string, number, string]> {
  const id = await arm([primitive, undo]);
  const { code, message } = await agent.ask('apply', id, 0);
  return [id, code, message];
}
const said = async (primitive: unknown[]): Promise<[number, string]> => {
  const [id, code, message] = await doing(primitive);
  await agent.ask('undo', id, 'enough');
  return [code, message];
};
const undo = async (id: string): Promise<[number, string]> => {
  const { code, message } = await agent.ask('undo', id, 'the test');
  return [code, message];
};
/** One that cannot be done, and is tried again for seconds: done once when this returns. */
const failing = async (id: string): Promise<void> => {
  agent.ask('undo', id, 'the test').catch(() => undefined);
  const [after] = await doing(replace('after', ''));
  await confirm(after);
  unlinkSync(at('after'));
};
const confirm = async (id: string): Promise<void> => {
  expect(await agent.ask('confirm', id)).toMatchObject({ code: OK });
};
const replace = (name: string, content: string, mode = -1): unknown[] => ['file.replace', at(name), bytes(content), mode];

describe('a file that is replaced', () => {
  it('keeps its mode, or has the one that is asked for; a new one is as others are', async () => {
    put('f', 'old', 0o640);
    const [first] = await doing(replace('f', 'new'), ['file.restore', at('f')]);
    expect([text('f'), statSync(at('f')).mode & 0o7777]).toEqual(['new', 0o640]);
    expect(aside()).toEqual([`${first}-0`]);
    expect(statSync(join(top, '.kalos')).mode & 0o777).toBe(0o700);
    await confirm(first);
    expect(aside()).toEqual([]);
    expect(existsSync(join(top, '.kalos'))).toBe(false);
    const [second] = await doing(replace('f', 'set', 0o604), ['file.restore', at('f')]);
    expect(statSync(at('f')).mode & 0o7777).toBe(0o604);
    await confirm(second);
    const [third] = await doing(replace('fresh', 'new'), ['file.restore', at('fresh')]);
    expect([text('fresh'), statSync(at('fresh')).mode & 0o7777]).toEqual(['new', 0o644]);
    expect(aside()).toEqual([`${third}-0.absent`]);
    expect(await undo(third)).toEqual([OK, '']);
    expect([existsSync(at('fresh')), existsSync(join(top, '.kalos'))]).toEqual([false, false]);
    const [zero] = await doing(replace('f', 'none', 0), ['file.restore', at('f')]);
    expect(statSync(at('f')).mode & 0o7777).toBe(0);
    expect(await undo(zero)).toEqual([OK, '']);
    expect([text('f'), statSync(at('f')).mode & 0o7777]).toEqual(['set', 0o604]);
  });

  it.skipIf(!ROOT)('keeps its owner, and a new one has that of its directory', async () => {
    put('f', 'old');
    chownSync(at('f'), 1_234, 1_235);
    chownSync(data, 1_236, 1_237);
    for (const name of ['f', 'fresh']) await confirm((await doing(replace(name, 'new')))[0]);
    const owner = (name: string): number[] => [statSync(at(name)).uid, statSync(at(name)).gid];
    expect([owner('f'), owner('fresh')]).toEqual([
      [1_234, 1_235],
      [1_236, 1_237],
    ]);
  });

  it('is the old one again where it is restored, by its content and its very inode', async () => {
    put('f', 'old', 0o600);
    const { ino } = statSync(at('f'));
    const [id] = await doing(replace('f', 'new'), ['file.restore', at('f')]);
    expect(statSync(at('f')).ino).not.toBe(ino);
    expect(await undo(id)).toEqual([OK, '']);
    expect([text('f'), statSync(at('f')).ino, existsSync(join(top, '.kalos'))]).toEqual(['old', ino, false]);
  });

  it('is returned only where its name is free, and restored over what is there', async () => {
    put('f', 'old');
    const [gone] = await doing(['file.remove', at('f')], ['file.return', at('f')]);
    put('f', 'meanwhile');
    await failing(gone);
    expect(text('f')).toBe('meanwhile');
    expect(aside()).toEqual([`${gone}-0`]);
  });

  it.each<[string, () => void, number, string]>([
    ['a directory', () => mkdirSync(at('f')), REFUSED, 'not a regular file'],
    ['a link', () => symlinkSync('g', at('f')), REFUSED, 'not a regular file'],
    [
      'a file of two names',
      () => {
        put('f', '');
        linkSync(at('f'), at('g'));
      },
      REFUSED,
      'it has another name (hard link)',
    ],
  ])('is no %s', async (_what, make, code, message) => {
    make();
    for (const primitive of [replace('f', 'x'), ['file.remove', at('f')], ['file.rotate', at('f'), 2]])
      expect(await said(primitive)).toEqual([code, `${at('f')}: ${message}`]);
    const read = await agent.ask('read', ['file.read', at('f')]);
    expect([read.code, read.message]).toEqual([code, `${at('f')}: ${message}`]);
  });

  it('has to be there to be removed or rotated, and its directory for anything', async () => {
    for (const primitive of [
      ['file.remove', at('none')],
      ['file.rotate', at('none'), 2],
    ])
      expect(await said(primitive)).toEqual([NOT_FOUND, `${at('none')}: no such file`]);
    for (const primitive of [replace('no/f', 'x'), ['file.remove', at('no/f')]])
      expect(await said(primitive)).toEqual([NOT_FOUND, `${at('no/f')}: its directory does not exist`]);
    expect(await said(['file.recall', at('f'), 'none'])).toEqual([NOT_FOUND, 'none: no such backup is kept']);
    expect(await said(['file.recall', at('f'), '../term'])).toEqual([NOT_FOUND, '../term: no such backup is kept']);
  });

  it('is left where nothing was changed by what is undone', async () => {
    put('f', 'old');
    for (const back of [
      ['file.restore', at('f')],
      ['file.return', at('f')],
      ['file.unrotate', at('f'), 3],
    ]) {
      const [id, code] = await doing(back);
      expect(code).toBe(OK);
      await confirm(id);
    }
    expect(text('f')).toBe('old');
  });

  it('lies beside only where nobody else may look', async () => {
    mkdirSync(join(top, '.kalos'), { mode: 0o700 });
    chmodSync(join(top, '.kalos'), 0o750);
    put('f', 'old');
    for (const primitive of [
      replace('f', 'x'),
      ['file.remove', at('f')],
      ['file.rotate', at('f'), 2],
      ['file.restore', at('f')],
      ['file.unrotate', at('f'), 2],
    ])
      expect(await said(primitive)).toEqual([REFUSED, ".kalos: it is not the actuator's own"]);
    expect(text('f')).toBe('old');
  });
});

describe('what was replaced for good', () => {
  const archive = join(test.state, 'archive');

  it('can be recalled with its content and mode, and read', async () => {
    put('f', 'first', 0o600);
    const [id] = await doing(replace('f', 'second', 0o644), ['file.restore', at('f')]);
    await confirm(id);
    expect(readdirSync(archive)).toContain(`${id}-0`);
    const read = await agent.ask('read', ['archive.read', `${id}-0`]);
    expect(new TextDecoder().decode(read.value as Uint8Array)).toBe('first');
    const [again, code] = await doing(['file.recall', at('f'), `${id}-0`], ['file.restore', at('f')]);
    expect([code, text('f'), statSync(at('f')).mode & 0o7777]).toEqual([OK, 'first', 0o600]);
    expect(await undo(again)).toEqual([OK, '']);
    expect([text('f'), statSync(at('f')).mode & 0o7777]).toEqual(['second', 0o644]);
  });

  it('is archived up to 1 MiB, the newest 256', async () => {
    for (const [name, size, kept] of [
      ['most', MIB, true],
      ['more', MIB + 1, false],
    ] as const) {
      put(name, 'x'.repeat(size));
      const [id] = await doing(['file.remove', at(name)], ['file.return', at(name)]);
      await confirm(id);
      expect([name, existsSync(join(archive, `${id}-0`)), aside()]).toEqual([name, kept, []]);
    }
    for (const name of readdirSync(archive)) rmSync(join(archive, name));
    for (let nth = 0; nth < 257; nth++) writeFileSync(join(archive, `old-${nth}`), '');
    writeFileSync(join(archive, '.hidden'), '');
    put('f', 'x');
    const [id] = await doing(['file.remove', at('f')], ['file.return', at('f')]);
    await confirm(id);
    const names = readdirSync(archive);
    expect([names.length, names.includes('old-0'), names.includes('old-1'), names.includes('old-2')]).toEqual([
      257,
      false,
      false,
      true,
    ]);
    expect([names.includes('.hidden'), names.includes(`${id}-0`)]).toEqual([true, true]);
  });
});

describe('a file that is rotated', () => {
  const lay = (): void => {
    put('log', 'now', 0o640);
    put('log.1', 'one');
    put('log.2', 'two');
    put('log.3', 'three');
  };
  const names = (): Record<string, string> => Object.fromEntries(readdirSync(data).map((name) => [name, text(name)]));

  it('makes room for an empty one of its mode, and the last goes where it is confirmed', async () => {
    lay();
    const [id, code] = await doing(['file.rotate', at('log'), 2], ['file.unrotate', at('log'), 2]);
    expect([code, names()]).toEqual([OK, { log: '', 'log.1': 'now', 'log.2': 'one', 'log.3': 'three' }]);
    expect(statSync(at('log')).mode & 0o7777).toBe(0o640);
    expect(aside()).toEqual([`${id}-0`, `${id}-0.names`]);
    await confirm(id);
    expect([names(), aside()]).toEqual([{ log: '', 'log.1': 'now', 'log.2': 'one', 'log.3': 'three' }, []]);
  });

  it('is exactly as it was where that is undone, with what was written since', async () => {
    lay();
    const [id] = await doing(['file.rotate', at('log'), 2], ['file.unrotate', at('log'), 2]);
    writeFileSync(at('log'), ' and since');
    expect(await undo(id)).toEqual([OK, '']);
    expect(names()).toEqual({ log: 'now and since', 'log.1': 'one', 'log.2': 'two', 'log.3': 'three' });
    expect(existsSync(join(top, '.kalos'))).toBe(false);
  });

  it('is as it was where some of its names were free', async () => {
    put('log', 'now');
    put('log.2', 'two');
    const [id] = await doing(['file.rotate', at('log'), 3], ['file.unrotate', at('log'), 3]);
    expect(names()).toEqual({ log: '', 'log.1': 'now', 'log.3': 'two' });
    expect(await undo(id)).toEqual([OK, '']);
    expect(names()).toEqual({ log: 'now', 'log.2': 'two' });
  });

  it('is not guessed at where somebody took one of its names away', async () => {
    lay();
    const [id] = await doing(['file.rotate', at('log'), 2], ['file.unrotate', at('log'), 2]);
    unlinkSync(at('log.1'));
    await failing(id);
    expect(text('log.2')).toBe('one');
  });

  it('keeps 1 to 32, which are all files', async () => {
    put('log', 'now');
    for (const keep of [0, 33, -1])
      expect(await said(['file.rotate', at('log'), keep])).toEqual([
        REFUSED,
        `${at('log')}: ${keep} files to keep: must be 1 to 32`,
      ]);
    for (const keep of [1, 32]) {
      const [id, code] = await doing(['file.rotate', at('log'), keep], ['file.unrotate', at('log'), keep]);
      expect([keep, code, text('log.1')]).toEqual([keep, OK, 'now']);
      expect(await undo(id)).toEqual([OK, '']);
    }
    mkdirSync(at('log.1'));
    expect(await said(['file.rotate', at('log'), 2])).toEqual([REFUSED, 'log.1: not a regular file']);
    expect(text('log')).toBe('now');
  });

  it('is left as it is by an undo of another number', async () => {
    put('log', 'now');
    const [id] = await doing(['file.rotate', at('log'), 2], ['file.unrotate', at('log'), 3]);
    expect(await undo(id)).toEqual([OK, '']);
    expect(names()).toEqual({ log: '', 'log.1': 'now' });
  });

  it('has all that was written since put after it, whatever its size, in the file that it was', async () => {
    const [old, since] = ['o'.repeat(100_000), 's'.repeat(3 * 65_536 + 5)];
    put('log', old);
    const { ino } = statSync(at('log'));
    const [id] = await doing(['file.rotate', at('log'), 1], ['file.unrotate', at('log'), 1]);
    writeFileSync(at('log'), since);
    expect(await undo(id)).toEqual([OK, '']);
    expect(text('log')).toBe(old + since);
    expect([statSync(at('log')).ino, aside()]).toEqual([ino, []]);
  });

  it('takes nothing over from what is no file, and puts nothing into one that has another name', async () => {
    for (const spoil of [() => mkdirSync(at('log')), () => symlinkSync('/etc/hostname', at('log')), () => undefined]) {
      put('log', 'now');
      const [id] = await doing(['file.rotate', at('log'), 1], ['file.unrotate', at('log'), 1]);
      unlinkSync(at('log'));
      spoil();
      expect([(await undo(id))[0], names()]).toEqual([OK, { log: 'now' }]);
      rmSync(join(top, '.kalos'), { recursive: true, force: true });
    }
    put('log', 'now');
    const [id] = await doing(['file.rotate', at('log'), 1], ['file.unrotate', at('log'), 1]);
    writeFileSync(at('log'), 'since');
    linkSync(at('log.1'), at('other'));
    await failing(id);
    expect([text('other'), text('log')]).toEqual(['now', 'now']);
  });
});

describe('files that are hidden', () => {
  it('are those that are there; one that somebody took away, or put back, stays as it is', async () => {
    put('a', 'a');
    put('b', 'b');
    const [id, code] = await doing(['files.hide', data, ['a', 'none', 'b']], ['files.show', data, ['a', 'none', 'b']]);
    expect([code, readdirSync(data).sort()]).toEqual([OK, [`.kalos-${id}-0-0`, `.kalos-${id}-0-2`]]);
    expect((await agent.ask('read', ['file.list', data])).value).toEqual([]);
    unlinkSync(at(`.kalos-${id}-0-0`));
    expect(await undo(id)).toEqual([OK, '']);
    expect(readdirSync(data)).toEqual(['b']);
    const [second] = await doing(['files.hide', data, ['b']], ['files.show', data, ['b']]);
    put('b', 'meanwhile');
    await failing(second);
    expect(text('b')).toBe('meanwhile');
  });

  it('are gone once that is confirmed, and stop at the first that is no file', async () => {
    put('a', 'a');
    const [id] = await doing(['files.hide', data, ['a']], ['files.show', data, ['a']]);
    await confirm(id);
    expect(readdirSync(data)).toEqual([]);
    mkdirSync(at('b'));
    put('c', 'c');
    expect(await said(['files.hide', data, ['b', 'c']])).toEqual([REFUSED, `${at('b')}: not a regular file`]);
    expect(readdirSync(data).sort()).toEqual(['b', 'c']);
  });

  it('are let go of as they are by a confirmed change, and those of others stay', async () => {
    put('a', 'a');
    put('.kalos-other-0-0', 'of another');
    const [id] = await doing(['files.hide', data, ['a']], ['files.show', data, ['a']]);
    put('a', 'anew');
    await confirm(id);
    expect([readdirSync(data).sort(), text('a')]).toEqual([['.kalos-other-0-0', 'a'], 'anew']);
  });
});

describe('a read of a file', () => {
  it('gives what it is', async () => {
    put('f', 'four', 0o4755);
    linkSync(at('f'), at('g'));
    mkdirSync(at('d'));
    symlinkSync('f', at('l'));
    for (const name of ['f', 'd']) utimesSync(at(name), 1_000, 1_234.567);
    const stat = async (name: string) => (await agent.ask('read', ['file.stat', at(name)])).value as unknown[];
    const { uid, gid, ino } = statSync(at('f'));
    expect(await stat('f')).toEqual([at('f'), 'file', 4, 0o4755, uid, gid, 1_234_567, 2, ino]);
    expect((await stat('d')).slice(0, 2)).toEqual([at('d'), 'directory']);
    expect((await stat('l')).slice(0, 3)).toEqual([at('l'), 'link', 1]);
    const missing = await agent.ask('read', ['file.stat', at('none')]);
    expect([missing.code, missing.message]).toEqual([NOT_FOUND, `${at('none')}: no such file`]);
    const listed = (await agent.ask('read', ['file.list', data])).value as unknown[][];
    expect(listed.map(([path]) => path)).toEqual(['d', 'f', 'g', 'l'].map(at));
    expect(listed[1]).toEqual(await stat('f'));
  });

  it('lists at most 2,000, and none whose name is no plain one', async () => {
    mkdirSync(at('many'));
    for (let nth = 0; nth < 2_001; nth++) writeFileSync(at(`many/${nth}`), '');
    expect(((await agent.ask('read', ['file.list', at('many')])).value as unknown[]).length).toBe(2_000);
    put('a\nb', '');
    put('.kalos-x', '');
    put('.kalo', '');
    const listed = (await agent.ask('read', ['file.list', data])).value as unknown[][];
    expect(listed.map(([path]) => path)).toEqual(['.kalo', 'many'].map(at));
  });

  it('gives up to 512 KiB of its content', async () => {
    put('most', 'x'.repeat(MIB / 2));
    put('more', 'x'.repeat(MIB / 2 + 1));
    put('none', '');
    const read = async (name: string) => agent.ask('read', ['file.read', at(name)]);
    expect(((await read('most')).value as Uint8Array).length).toBe(MIB / 2);
    expect((await read('none')).value).toEqual(new Uint8Array());
    const more = await read('more');
    expect([more.code, more.message]).toEqual([REFUSED, `${at('more')}: larger than 512 KiB`]);
  });
});
