// Whatever rotates a log, however often between two looks: no line is lost, none comes twice, and few descriptors stay open.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LogFollower, type Position } from '../../node/telemetry/adapters/log-follower.ts';
import { encodingOf, LineSplitter } from '../../node/telemetry/log-lines.ts';

let place: string;
let log: string;
let follower: LogFollower;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'kalos-rotation-'));
  log = join(place, 'd.log');
  follower = new LogFollower();
  writeFileSync(log, 'history\n');
  expect(look()).toEqual([]);
});
afterEach(() => rmSync(place, { recursive: true }));

let position: Position | undefined;
function look(): string[] {
  const read = follower.newLines(log);
  if (!read.ok) return [];
  position = read.position;
  return read.lines;
}
/** Until nothing more comes. */
const lookAll = (): string[] => Array.from({ length: 4 }, look).flat();
const write = (text: string, path = log): void => appendFileSync(path, text);

describe('rotation between two looks', () => {
  it('by renaming to any name, with a new file: dateext, numbers, extension', () => {
    for (const name of ['d.log-20261130', 'd.log.1', 'd-20261201.log', 'elsewhere']) {
      write(`ERROR ${name}\n`);
      renameSync(log, join(place, name));
      writeFileSync(log, `fresh ${name}\n`);
      expect(look(), name).toEqual([`ERROR ${name}`, `fresh ${name}`]);
    }
  });

  it('with compression, after which the old file is gone', () => {
    write('ERROR\n');
    renameSync(log, `${log}.1`);
    writeFileSync(`${log}.1.gz`, gzipSync(readFileSync(`${log}.1`)));
    unlinkSync(`${log}.1`);
    writeFileSync(log, 'fresh\n');
    expect(lookAll()).toEqual(['ERROR', 'fresh']);
  });

  it('with a writer that goes on in the old file for a while (delaycompress)', () => {
    const fd = openSync(log, 'a');
    renameSync(log, `${log}.1`);
    writeFileSync(log, '');
    writeSync(fd, 'late one\n');
    expect(look()).toEqual(['late one']);
    write('new\n');
    writeSync(fd, 'late two\n');
    expect(look()).toEqual(['late two', 'new']);
    closeSync(fd);
  });

  it('by copytruncate: what only the copy has is read there', () => {
    write('seen\nhal');
    expect(look()).toEqual(['seen']);
    write('f a line\nERROR\n');
    copyFileSync(log, `${log}.1`);
    truncateSync(log);
    write('after\n');
    expect(lookAll()).toEqual(['half a line', 'ERROR', 'after']);
  });

  it('by copytruncate, and the log is longer again than it was', () => {
    write('a\n');
    look();
    copyFileSync(log, `${log}.1`);
    truncateSync(log);
    write('the first of many lines\nthe second\n');
    expect(lookAll()).toEqual(['the first of many lines', 'the second']);
  });

  it('by copytruncate under a writer without O_APPEND, which leaves a hole of zeros', () => {
    const fd = openSync(log, 'r+');
    writeSync(fd, 'x'.repeat(9_000), 0);
    writeSync(fd, '\n', 9_000);
    look();
    truncateSync(log);
    writeSync(fd, 'ERROR behind the hole\n', 9_001);
    expect(lookAll()).toEqual(['ERROR behind the hole']);
    closeSync(fd);
  });

  it('several times: each file that was the log in between is read', () => {
    write('one\n');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'two\n');
    renameSync(`${log}.1`, `${log}.2`);
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'three\n');
    renameSync(`${log}.2`, `${log}.3`);
    renameSync(`${log}.1`, `${log}.2`);
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'four\n');
    expect(lookAll()).toEqual(['one', 'two', 'three', 'four']);
  });

  it('with old files beside it: those are history', () => {
    writeFileSync(`${log}.2`, 'old\n');
    writeFileSync(`${log}.9`, 'older\n');
    look();
    write('one\n');
    renameSync(`${log}.2`, `${log}.3`);
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'two\n');
    expect(lookAll()).toEqual(['one', 'two']);
  });

  it('beside logs of others, whose names only begin alike', () => {
    write('mine\n');
    writeFileSync(join(place, 'd2.log'), 'of another\n');
    writeFileSync(join(place, 'db.log.1'), 'of another\n');
    writeFileSync(join(place, 'secret'), 'nobody is to see this\n');
    symlinkSync('secret', join(place, 'd.log.7'));
    symlinkSync('d.log.8', join(place, 'd.log.8'));
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'mine again\n');
    expect(lookAll()).toEqual(['mine', 'mine again']);
  });

  it('of lines that are all the same', () => {
    write('ERROR\n');
    expect(look()).toEqual(['ERROR']);
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'ERROR\n');
    renameSync(`${log}.1`, `${log}.2`);
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'ERROR\n');
    expect(lookAll()).toEqual(['ERROR', 'ERROR']);
  });

  it('to the inode that an old file had', () => {
    for (let i = 0; i < 20; i++) {
      write(`line ${i}\n`);
      unlinkSync(log);
      writeFileSync(log, `again ${i}\n`); // most file systems take the lowest inode that is free
      expect(look()).toEqual([`line ${i}`, `again ${i}`]);
    }
  });

  it('by a link that leads to the next file', () => {
    const link = join(place, 'current');
    writeFileSync(join(place, 'app-1'), '');
    symlinkSync('app-1', link);
    log = link;
    look();
    write('in one\n', join(place, 'app-1'));
    writeFileSync(join(place, 'app-2'), 'in two\n');
    unlinkSync(link);
    symlinkSync('app-2', link);
    expect(lookAll()).toEqual(['in one', 'in two']);
  });

  it('that takes the log away, and brings it back', () => {
    write('before it went\n');
    renameSync(log, join(place, 'aside'));
    expect(look()).toEqual(['before it went']);
    expect(follower.newLines(log)).toEqual({ ok: false, reason: 'there is no such file' });
    write('meanwhile\n', join(place, 'aside'));
    renameSync(join(place, 'aside'), log);
    expect(look()).toEqual(['meanwhile']);
    unlinkSync(log);
    look();
    writeFileSync(log, 'another\n');
    expect(lookAll()).toEqual(['another']);
  });

  it('by a copy of all of it, as sed and editors write: only what is new in it is news', () => {
    write(`${'an old line\n'.repeat(40)}`);
    look();
    writeFileSync(join(place, 'tmp'), `${readFileSync(log, 'utf8')}new\n`);
    renameSync(join(place, 'tmp'), log);
    expect(lookAll()).toEqual(['new']);
  });

  it('leaves few descriptors open, and follows on', () => {
    const mine = (): number => readdirSync('/proc/self/fd').length;
    const before = mine();
    for (let i = 0; i < 60; i++) {
      write(`${i}\n`);
      renameSync(log, join(place, `d.log.${i}`));
      writeFileSync(log, '');
      expect(look()).toEqual([String(i)]);
      expect(mine() - before).toBeLessThan(6);
    }
  });

  it('is taken over by another follower where the first was', () => {
    write('one\nhal');
    expect(look()).toEqual(['one']);
    write('f\ntwo\n');
    renameSync(log, `${log}.1`);
    writeFileSync(log, 'three\n');
    follower = new LogFollower();
    const read = follower.newLines(log, undefined, position);
    expect(read.ok && read.lines).toEqual(['half', 'two', 'three']);
  });

  it('that is another follower now comes to no empty line after CRLF', () => {
    write('one\r\n');
    expect(look()).toEqual(['one']);
    follower = new LogFollower();
    const read = follower.newLines(log, undefined, position);
    expect(read.ok && read.lines).toEqual([]);
  });

  it('holds for any order of writing, rotating and looking', () => {
    const steps = fc.array(fc.constantFrom('write', 'write', 'look', 'rename', 'unlink', 'copytruncate', 'copytruncate'), {
      maxLength: 25,
    });
    fc.assert(
      fc.property(steps, (all) => {
        const directory = mkdtempSync(join(place, 'run-'));
        log = join(directory, 'any.log');
        follower = new LogFollower();
        writeFileSync(log, '');
        look();
        const [written, seen]: [string[], string[]] = [[], []];
        let wasLooked = true;
        for (const [i, step] of all.entries()) {
          if (step === 'write') {
            write(`line ${i} of ${all.length}, with words enough to tell it\n`);
            written.push(`line ${i} of ${all.length}, with words enough to tell it`);
          } else if (step === 'look') {
            seen.push(...look());
            wasLooked = true;
          } else if (step === 'copytruncate') {
            // Once between two looks: of two, who knows which came first.
            if (!wasLooked) continue;
            copyFileSync(log, `${log}.${i}`);
            truncateSync(log);
            wasLooked = false;
          } else {
            if (!wasLooked) continue;
            if (step === 'rename') renameSync(log, `${log}.${i}`);
            else unlinkSync(log);
            writeFileSync(log, '');
            wasLooked = false;
          }
        }
        for (let i = 0; i < 4; i++) seen.push(...look());
        expect([...seen].sort()).toEqual([...written].sort());
      }),
      { numRuns: 60 },
    );
  });
});

describe('a log', () => {
  it('has its lines ended by LF, CRLF or CR, across reads, and the last one without an end', () => {
    write('lf\ncrlf\r\ncr\rsplit\r');
    expect(look()).toEqual(['lf', 'crlf', 'cr', 'split']);
    write('\nafter\r\n\r\nlast');
    expect(look()).toEqual(['after', '']);
    expect([look(), look(), look()]).toEqual([[], ['last'], []]);
    write(' went on\n');
    expect(look()).toEqual([' went on']);
  });

  it.each<[string, Buffer, string]>([
    ['UTF-8', Buffer.from('Störung ☂\n'), 'Störung ☂'],
    ['UTF-8 with a mark', Buffer.from('\ufeffStörung\n'), 'Störung'],
    ['UTF-16, little-endian', Buffer.from('\ufeffStörung \u0a0a\r\n', 'utf16le'), 'Störung \u0a0a'],
    ['UTF-16, big-endian', Buffer.from('\ufeffStörung\n', 'utf16le').swap16(), 'Störung'],
    ['UTF-16 without a mark', Buffer.from('ERROR: disk\n', 'utf16le'), 'ERROR: disk'],
    ['Latin-1', Buffer.from('Störung\n', 'latin1'), 'Störung'],
    ['UTF-8 that is cut', Buffer.concat([Buffer.from('né'), Buffer.from([0xc3]), Buffer.from('!\n')]), 'né\ufffd!'],
    ['NULs', Buffer.from('\0\0E\0RROR\0\n'), 'ERROR'],
  ])('in %s', (_name, bytes, line) => {
    const other = join(place, 'other.log');
    log = other;
    look();
    for (const part of [bytes.subarray(0, 5), bytes.subarray(5)]) {
      appendFileSync(other, part);
      const found = look();
      if (part.includes(0x0a)) expect(found.at(-1)).toBe(line);
    }
  });

  it('has the same lines however its bytes come', () => {
    const piece = fc.constantFrom('a', 'é', '漢', '\r\n', '\n', '\r', '\0', '\xff', 'x'.repeat(5_000), '\ufeff');
    const encoding = fc.constantFrom('utf8' as const, 'latin1' as const, 'utf16le' as const);
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(40), { maxLength: 30 }), encoding, (pieces, cuts, as) => {
        const text = `${as === 'utf16le' ? '\ufeff' : ''}${pieces.join('')}`;
        const bytes = Buffer.from(text, as);
        const whole = new LineSplitter(encodingOf(bytes));
        const expected = [...whole.take(bytes), whole.flush() ?? ''];
        const parts = new LineSplitter(encodingOf(bytes));
        const lines: string[] = [];
        let at = 0;
        for (const cut of cuts) {
          lines.push(...parts.take(bytes.subarray(at, at + cut)));
          at += cut;
        }
        lines.push(...parts.take(bytes.subarray(at)), parts.flush() ?? '');
        expect(lines).toEqual(expected);
        for (const line of lines) expect(line).not.toMatch(/[\n\r\0]/);
      }),
      { numRuns: 300 },
    );
  });

  it('of a gigabyte of nothing, with a line at its end', () => {
    truncateSync(log, 2 ** 30);
    write('the end\n');
    const read = follower.newLines(log);
    expect(read.ok && read.lines.at(-1)).toBe('the end');
    expect(read.ok && read.skippedBytes).toBeGreaterThan(2 ** 30 - 2 ** 21);
  });

  it('of no bytes, and with a name that has blanks and newlines', () => {
    log = join(place, 'a log\nwith a name');
    writeFileSync(log, '');
    expect(look()).toEqual([]);
    write('x\n');
    expect(look()).toEqual(['x']);
  });
});

describe('what is no regular file', () => {
  const refusals: [string, (path: string) => void, RegExp][] = [
    ['a FIFO', (path) => execFileSync('mkfifo', [path]), /it is a FIFO/],
    ['a directory', (path) => mkdirSync(path), /it is a directory/],
    ['a device', (path) => symlinkSync('/dev/zero', path), /it is a device/],
    ['a link to a file of the kernel', (path) => symlinkSync('/proc/self/status', path), /a file of the kernel/],
    ['a link to nothing', (path) => symlinkSync('nothing', path), /no such file/],
    ['a link to itself', (path) => symlinkSync('d.log', path), /ELOOP/],
  ];
  it.each(refusals)('%s: declared as a log, or put in its place', (_name, make, reason) => {
    write('before\n');
    renameSync(log, join(place, 'aside'));
    make(log);
    expect(look()).toEqual(['before']);
    expect(follower.newLines(log)).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
    follower = new LogFollower();
    expect(follower.newLines(log)).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
    rmSync(log, { recursive: true });
    linkSync(join(place, 'aside'), log);
    write('after\n');
    expect(look().at(-1) ?? 'after').toBe('after');
  });
});
