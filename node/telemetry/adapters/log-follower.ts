// What was written to logs since the last look: through rotation by renaming, truncation, lines of a megabyte and binary.
// A log is begun at its end: what it held before is history. One that was not there yet is read from its beginning.
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import type { NewLines } from '../../../swarm/ports/sensors.ts';

/** Read of one log at a time; what is more waits for the next look. */
const MAX_READ_BYTES = 1024 * 1024;
/** Further behind than this, it is skipped: a look must not fall behind for ever. */
const MAX_BEHIND_BYTES = 16 * 1024 * 1024;
/** The rest of a longer line is left out. */
const MAX_LINE_BYTES = 4_096;
const MAX_LOGS = 256;
const NEWLINE = 0x0a;

interface Followed {
  inode: number;
  offset: number;
  /** The beginning of a line whose end is not written yet. */
  partial: Buffer;
}

export class LogFollower {
  readonly #followed = new Map<string, Followed>();
  /** Those that were not there at the last look. */
  readonly #absent = new Set<string>();

  newLines(path: string): NewLines {
    try {
      return this.#follow(path);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' && this.#absent.size < MAX_LOGS) this.#absent.add(path);
      return { ok: false, reason: code === 'ENOENT' ? 'there is no such file' : message };
    }
  }

  #follow(path: string): NewLines {
    const { ino, size } = statSync(path);
    const known = this.#followed.get(path);
    if (known === undefined) {
      if (this.#followed.size >= MAX_LOGS) return { ok: false, reason: `${MAX_LOGS} logs are followed already` };
      const followed = { inode: ino, offset: this.#absent.delete(path) ? 0 : size, partial: Buffer.alloc(0) };
      this.#followed.set(path, followed);
      return { ok: true, ...readFrom(path, followed) };
    }
    const rotated = known.inode !== ino;
    const before = rotated ? readRest(`${path}.1`, known) : { lines: [], skippedBytes: 0 };
    if (rotated) Object.assign(known, { inode: ino, offset: 0, partial: Buffer.alloc(0) });
    const now = readFrom(path, known);
    return { ok: true, lines: [...before.lines, ...now.lines], skippedBytes: before.skippedBytes + now.skippedBytes };
  }
}

type Read = Omit<Extract<NewLines, { ok: true }>, 'ok'>;

/** What was written to a file before it was renamed, where it still is under that name. */
function readRest(path: string, known: Followed): Read {
  try {
    return statSync(path).ino === known.inode ? readFrom(path, known) : { lines: [], skippedBytes: 0 };
  } catch {
    return { lines: [], skippedBytes: 0 }; // it has gone further, or away
  }
}

function readFrom(path: string, known: Followed): Read {
  const fd = openSync(path, 'r');
  try {
    const { size } = fstatSync(fd);
    if (size < known.offset) Object.assign(known, { offset: 0, partial: Buffer.alloc(0) }); // it was truncated
    const behind = size - known.offset;
    const skippedBytes = behind > MAX_BEHIND_BYTES ? behind - MAX_READ_BYTES : 0;
    known.offset += skippedBytes;
    const buffer = Buffer.alloc(Math.min(MAX_READ_BYTES, size - known.offset));
    const got = readSync(fd, buffer, 0, buffer.length, known.offset);
    known.offset += got;
    return { lines: split(buffer.subarray(0, got), known), skippedBytes };
  } finally {
    closeSync(fd);
  }
}

/** Whole lines; bytes that are no UTF-8 become U+FFFD. */
function split(bytes: Buffer, known: Followed): string[] {
  const lines: string[] = [];
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, start)) {
    lines.push(joined(known.partial, bytes.subarray(start, end)).toString('utf8'));
    known.partial = Buffer.alloc(0);
    start = end + 1;
  }
  known.partial = joined(known.partial, bytes.subarray(start));
  return lines;
}

function joined(first: Buffer, rest: Buffer): Buffer {
  return Buffer.concat([first, rest.subarray(0, Math.max(0, MAX_LINE_BYTES - first.length))]);
}
