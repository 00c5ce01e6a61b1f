// A follower of logs to its limits: how much it reads, skips and keeps open, which names are rotated files, and when a file is a copy.
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LogFollower, type Position } from '../../node/telemetry/adapters/log-follower.ts';

const MIB = 1024 * 1024;
let place: string;
let log: string;
let follower: LogFollower;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'kalos-follower-'));
  log = join(place, 'd.log');
  follower = new LogFollower();
  writeFileSync(log, 'history\n');
});
afterEach(() => rmSync(place, { recursive: true }));

const read = (maxBytes?: number, from?: Position, path = log) => {
  const got = follower.newLines(path, maxBytes, from);
  return got.ok ? got : expect.fail(got.reason);
};
const look = (maxBytes?: number, path = log): string[] => read(maxBytes, undefined, path).lines;
const write = (text: string, path = log): void => appendFileSync(path, text);
const beside = (name: string): string => join(place, name);
const rotate = (name: string): void => {
  renameSync(log, beside(name));
  writeFileSync(log, '');
};
const descriptors = (): number => readdirSync('/proc/self/fd').length;

describe('a look', () => {
  it('reads no more than it may, of all files of the log together, and the rest later', () => {
    look();
    write('one\ntwo\n');
    rotate('d.log.1');
    write('three\nfour\n');
    expect(look(4)).toEqual(['one']);
    expect(look(6)).toEqual(['two']); // and two bytes of the next line
    expect(look(4)).toEqual(['three']);
    expect(look(4)).toEqual([]);
    expect(look(1)).toEqual(['four']);
    write('five\nsix\n');
    expect(look(5)).toEqual(['five']);
    expect(look()).toEqual(['six']);
  });

  it('reads a mebibyte, and skips what is further behind than sixteen', () => {
    look();
    write('x\n'.repeat(MIB));
    const all = Array.from({ length: 3 }, () => read());
    expect(all.map(({ lines, skippedBytes }) => [lines.length, skippedBytes])).toEqual([
      [MIB / 2, 0],
      [MIB / 2, 0],
      [0, 0],
    ]);
    truncateSync(log, 8 + 2 * MIB + 16 * MIB);
    expect(read().skippedBytes).toBe(0);
    truncateSync(log, 8 + 2 * MIB + 18 * MIB);
    expect(read().skippedBytes).toBe(16 * MIB);
    expect(read().skippedBytes).toBe(0);
  });

  it('does not count what it skipped as read', () => {
    const other = beside('e.log');
    expect(follower.newLines(other)).toMatchObject({ ok: false });
    writeFileSync(other, '');
    truncateSync(other, 17 * MIB);
    renameSync(other, beside('e.log.1'));
    writeFileSync(other, 'now\n');
    look(undefined, other);
    follower = new LogFollower();
    look();
    truncateSync(log, 17 * MIB + 8);
    rotate('d.log.1');
    write('now\n');
    const first = read(2 * MIB);
    expect([first.skippedBytes, first.lines]).toEqual([16 * MIB, ['now']]);
  });

  it('tells where it is: the file, the start of a line without an end, and the 64 bytes before it', () => {
    look();
    write(`${'a'.repeat(70)}\nrest`);
    const { position } = read();
    expect(position).toEqual({ id: expect.stringMatching(/^\d+:\d+:\d+/), offset: 79, tail: `${'a'.repeat(63)}\n` });
    writeFileSync(beside('short'), 'ab\n');
    expect(read(undefined, undefined, beside('short')).position).toMatchObject({ offset: 3, tail: 'ab\n' });
    const wide = beside('wide');
    writeFileSync(wide, Buffer.from('\ufeffab', 'utf16le'));
    write('c', wide);
    expect(read(undefined, undefined, wide).position?.offset).toBe(6);
  });

  it('has the reason where there is nothing to read, after what was written before', () => {
    look();
    write('last\n');
    renameSync(log, beside('d.log.1'));
    mkdirSync(log);
    expect(look()).toEqual(['last']);
    const { reason } = follower.newLines(log) as { reason: string };
    expect(reason).not.toBe('');
    rmSync(log, { recursive: true });
    expect(follower.newLines(log)).toEqual({ ok: false, reason: 'there is no such file' });
    expect(follower.newLines(beside('none'))).toEqual({ ok: false, reason: 'there is no such file' });
    expect(follower.newLines(join(log, 'none'))).toEqual({ ok: false, reason: 'there is no such file' });
    writeFileSync(log, 'again\n');
    expect(look()).toEqual(['again']);
  });
});

describe('logs', () => {
  it('are 256 at most, and as many are known as not there yet', () => {
    const paths = Array.from({ length: 257 }, (_, nth) => beside(`l${nth}`));
    for (const path of paths) expect(follower.newLines(path).ok).toBe(false);
    for (const path of paths) writeFileSync(path, 'first\n');
    expect(paths.slice(0, 256).map((path) => look(undefined, path))).toEqual(Array.from({ length: 256 }, () => ['first']));
    const late = beside('l256');
    expect(follower.newLines(late)).toEqual({ ok: false, reason: 'the limit of 256 followed logs is reached' });
    follower = new LogFollower();
    for (let nth = 0; nth < 256; nth++) follower.newLines(beside(`none${nth}`));
    expect(follower.newLines(beside('later')).ok).toBe(false);
    writeFileSync(beside('later'), 'history\n');
    expect(look(undefined, beside('later'))).toEqual([]);
  });

  it('that were there are read from their end, again and again', () => {
    const one = beside('one.log');
    expect(follower.newLines(one).ok).toBe(false);
    writeFileSync(one, 'a\n');
    expect(look(undefined, one)).toEqual(['a']);
    expect(look()).toEqual([]);
  });
});

describe('a file beside a log', () => {
  it.each([
    ['d.log.1', true],
    ['d.log-20261130', true],
    ['d.log_2', true],
    ['d.log.old', true],
    ['d-1.log', true],
    ['d.2026-11-30.log', true],
    ['d.log.older', false],
    ['d.log.bak', false],
    ['d.logs', false],
    ['d.log1', false],
    ['d-1.txt', false],
    ['d-a.log', false],
    ['e-1.log', false],
    ['d.log.1.gz', false],
    ['d.log.1.xz', false],
    ['d.log.1.zst', false],
  ])('as %s is one that the log was in between: %j', (name, isRead) => {
    look();
    write('before\n');
    rotate('elsewhere'); // it is open, whatever it is called
    write('between\n');
    rotate(name);
    write('after\n');
    expect(look()).toEqual(['before', ...(isRead ? ['between'] : []), 'after']);
  });

  it('of a log without an extension is found too', () => {
    const plain = beside('messages');
    writeFileSync(plain, '');
    look(undefined, plain);
    for (const name of ['elsewhere', 'messages-1']) {
      write(`${name}\n`, plain);
      renameSync(plain, beside(name));
      writeFileSync(plain, '');
    }
    expect(look(undefined, plain)).toEqual(['elsewhere', 'messages-1']);
  });

  it('that is a link, or a directory, is none', () => {
    look();
    writeFileSync(beside('secret'), 'secret\n');
    write('before\n');
    rotate('elsewhere');
    symlinkSync(beside('secret'), beside('d.log.1'));
    mkdirSync(beside('d.log.2'));
    write('after\n');
    expect(look()).toEqual(['before', 'after']);
  });

  it('is one of sixteen at most, the oldest of them first', () => {
    look();
    for (let nth = 0; nth < 20; nth++) {
      write(`line ${nth}\n`);
      rotate(nth === 0 ? 'elsewhere' : `d.log.${nth}`);
    }
    const lines = look();
    expect(lines).toHaveLength(17);
    expect(lines[0]).toBe('line 0');
  });
});

describe('a file that the log was', () => {
  it.each([
    [30, ['late']],
    [31, []],
  ])('and that did not grow at %i looks is read on: %j', (looks, lines) => {
    look();
    write('one\n');
    expect(look()).toEqual(['one']);
    rotate('d.log.1');
    for (let nth = 0; nth < looks; nth++) expect(look()).toEqual([]);
    write('late\n', beside('d.log.1'));
    expect(look()).toEqual(lines);
  });

  it('stays open as one of two, and is closed once it is read, with its last line', () => {
    look();
    const before = descriptors();
    for (const name of ['a', 'b', 'c', 'd']) {
      write(`${name} without an end`);
      rotate(name);
      look();
    }
    const seen = [look(), look(), look()].flat();
    expect(seen).toContain('d without an end');
    expect(descriptors() - before).toBe(2);
    write('late\n', beside('a'));
    write('late too\n', beside('d'));
    expect(look()).toEqual(['late too']);
  });
});

describe('a copy in the place of a log', () => {
  it.each([
    [255, false],
    [256, true],
  ])('of %i bytes is the log: %j', (bytes, isCopy) => {
    look();
    rmSync(log);
    writeFileSync(log, '');
    look();
    write(`${'x'.repeat(bytes - 1)}\n`);
    expect(look()).toHaveLength(1);
    writeFileSync(beside('tmp'), `${'x'.repeat(bytes - 1)}\nnew\n`);
    renameSync(beside('tmp'), log);
    expect(look()).toEqual(isCopy ? ['new'] : ['x'.repeat(bytes - 1), 'new']);
  });

  it('that is like it in the end alone is another', () => {
    write(`${'x'.repeat(300)}\n`);
    look();
    write('y\n');
    look();
    writeFileSync(beside('tmp'), `HISTORY\n${'x'.repeat(300)}\ny\nnew\n`);
    renameSync(beside('tmp'), log);
    expect(look()).toEqual(['HISTORY', 'x'.repeat(300), 'y', 'new']);
  });
});

describe('a follower that takes over', () => {
  const takesOver = (from: Position | undefined): string[] => {
    follower = new LogFollower();
    return read(undefined, from).lines;
  };

  it('goes on in the same file, from where the one before was', () => {
    look();
    write('one\n');
    const { position } = read();
    write('two\n');
    expect(takesOver(position)).toEqual(['two']);
    expect(takesOver(position && { ...position, tail: 'elsewhere\n' })).toEqual(['history', 'one', 'two']);
    expect(takesOver(position && { ...position, id: '1:2:3' })).toEqual(['history', 'one', 'two']);
    expect(takesOver(undefined)).toEqual([]);
  });

  it('goes on in the file that the log was then, and lets go of the others', () => {
    writeFileSync(beside('d.log.2'), 'old\n');
    look();
    write('one\n');
    const { position } = read();
    write('two\n');
    rotate('d.log.1');
    write('three\n');
    const before = descriptors();
    expect(takesOver(position)).toEqual(['two', 'three']);
    expect(descriptors() - before).toBe(2);
    expect(takesOver(position && { ...position, tail: 'elsewhere\n' })).toEqual(['three']);
    expect(descriptors() - before).toBe(3);
  });
});
