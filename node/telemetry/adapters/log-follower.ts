// Reads new lines of logs since the last read, with any rotation (logrotate(8): rename and create, copytruncate, dateext, compress,
// delaycompress), also with several rotations between two reads. Files stay open and are read to their end: while a descriptor is open,
// its inode is not reused. No line is lost or read twice, with one exception that cannot be detected: a log that is
// truncated and written again with the same bytes. An existing log is read from its end. A log that did not
// exist yet is read from its beginning. Reading may block on file systems, so it runs in its own process (log-host.ts).
import { closeSync, fstatSync, lstatSync, readdirSync, readSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { openRegular } from '../../adapters/regular-file.ts';
import { NO_SUCH_FILE } from '../../ports/sensors.ts';
import { encodingOf, LineSplitter } from '../log-lines.ts';

/** Default limit of one read of a log; the rest waits for the next read. */
const MAX_READ_BYTES = 1024 * 1024;
/** A log further behind than this is skipped, so that reads catch up. */
const MAX_BEHIND_BYTES = 16 * 1024 * 1024;
const MAX_LOGS = 256;
/** Former files of a log that stay open after reading: at most 768 descriptors in all. */
const MAX_FORMER = 2;
/** Maximum number of rotations between two reads. */
const MAX_BETWEEN = 16;
/** Reads without growth until a former file is closed: its writer may open the new one late. */
const QUIET_LOOKS = 30;
/** Reads without growth until an unfinished line counts as a line. */
const SETTLED_LOOKS = 2;
/** Bytes before the read position, which show whether a file was rewritten. */
const TAIL_BYTES = 64;
/** A new file with this many equal bytes is a copy of the log: `sed -i`, an editor, a restored backup. */
const MIN_COPY_BYTES = 256;
const MAX_COMPARED_BYTES = 1024 * 1024;
/** Maximum number of names beside a log that are checked. */
const MAX_SIBLINGS = 1_000;
/** File times are as coarse as the kernel's tick: a directory may change again within the same tick. */
const COARSE_MS = 1_000;
/** The suffix of rotation, after the name or before its extension: a number or a date. */
const TURNED = /^[._-](\d|old$)/;
const COMPRESSED = /\.(gz|bz2|xz|zst|lz4|lzma|Z)$/;

/** The read position of a log, for a follower that takes over. */
export interface Position {
  /** Device, inode and birth of its file. */
  id: string;
  offset: number;
  tail: string;
}

export type Lines =
  | { ok: true; lines: string[]; skippedBytes: number; position: Position | undefined }
  | { ok: false; reason: string };

interface Followed {
  current: OpenLog | undefined;
  former: OpenLog[];
  /** Files beside it that may be former files, at the last read. */
  siblings: Set<string>;
  /** Change time of the directory when they were read. */
  changedMs: number;
}

const idOf = ({ dev, ino, birthtimeMs }: Stats): string => `${dev}:${ino}:${birthtimeMs}`;

/** A file that is followed. */
class OpenLog {
  readonly #fd: number;
  readonly id: string;
  #splitter: LineSplitter;
  offset = 0;
  tail: Buffer = Buffer.alloc(0);
  /** Number of reads without growth. */
  quiet = 0;
  skippedBytes = 0;

  /** @param noFollow no symbolic links, for files that are not declared. */
  constructor(path: string, noFollow = false) {
    this.#fd = openRegular(path, { noFollow, ownLinks: true });
    this.id = idOf(fstatSync(this.#fd));
    this.#splitter = this.#splits();
  }

  #splits(): LineSplitter {
    return new LineSplitter(encodingOf(this.#at(0, 2)));
  }

  #at(offset: number, length: number): Buffer {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(this.#fd, buffer, 0, length, offset));
  }

  get size(): number {
    return fstatSync(this.#fd).size;
  }

  moveTo(offset: number): void {
    this.offset = offset;
    const length = Math.min(TAIL_BYTES, offset);
    this.tail = this.#at(offset - length, length);
  }

  /** Whether the bytes read before are gone: the file was truncated, and perhaps rewritten. */
  get wasCut(): boolean {
    return !this.holds(this);
  }

  /** Whether it has the same bytes at the read position of the other. */
  holds({ offset, tail }: { offset: number; tail: Buffer }): boolean {
    return this.size >= offset && this.#at(offset - tail.length, tail.length).equals(tail);
  }

  /** Whether it begins with all bytes read of the other, and these are enough to decide. */
  continues(other: OpenLog): boolean {
    const { offset } = other;
    if (offset < MIN_COPY_BYTES || !this.holds(other)) return false;
    const length = Math.min(offset, MAX_COMPARED_BYTES);
    return this.#at(0, length).equals(other.#at(0, length));
  }

  begin(): void {
    this.#splitter = this.#splits();
    this.moveTo(0);
  }

  /** Reads complete lines, up to a number of bytes. */
  read(maxBytes: number): string[] {
    const { size } = this;
    if (this.offset === 0) this.#splitter = this.#splits(); // its mark may have been written since
    if (size - this.offset > MAX_BEHIND_BYTES) {
      this.skippedBytes += size - this.offset - MAX_READ_BYTES;
      this.moveTo(size - MAX_READ_BYTES);
    }
    const bytes = this.#at(this.offset, Math.min(maxBytes, Math.max(0, size - this.offset)));
    this.quiet = bytes.length === 0 ? this.quiet + 1 : 0;
    if (bytes.length > 0) this.moveTo(this.offset + bytes.length);
    const lines = this.#splitter.take(bytes);
    return this.quiet === SETTLED_LOOKS ? [...lines, ...this.flush()] : lines;
  }

  flush(): string[] {
    const line = this.#splitter.flush();
    return line === undefined ? [] : [line];
  }

  /** The start of the unfinished line; UTF-16 continues at a character boundary. */
  get lineStart(): number {
    return this.#splitter.isWide ? this.offset - (this.offset % 2) : this.offset - this.#splitter.pendingBytes;
  }

  position(): Position {
    const offset = this.lineStart;
    const length = Math.min(TAIL_BYTES, offset);
    return { id: this.id, offset, tail: this.#at(offset - length, length).toString('latin1') };
  }

  close(): void {
    closeSync(this.#fd);
  }
}

export class LogFollower {
  readonly #followed = new Map<string, Followed>();
  /** Logs that did not exist at the last read. */
  readonly #absent = new Set<string>();

  /** @param from the position of the previous follower, used at the first read only. */
  newLines(path: string, maxBytes = MAX_READ_BYTES, from?: Position): Lines {
    try {
      return this.#look(path, maxBytes, from);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' && this.#absent.size < MAX_LOGS && !this.#followed.has(path)) this.#absent.add(path);
      return { ok: false, reason: code === 'ENOENT' ? NO_SUCH_FILE : message };
    }
  }

  #look(path: string, maxBytes: number, from: Position | undefined): Lines {
    const known = this.#followed.get(path);
    if (known !== undefined) return this.#lookAgain(path, known, maxBytes);
    if (this.#followed.size >= MAX_LOGS) return { ok: false, reason: `the limit of ${MAX_LOGS} followed logs is reached` };
    const followed = begun(path, this.#absent.has(path), from);
    this.#absent.delete(path);
    this.#followed.set(path, followed);
    return read(followed, maxBytes);
  }

  /** Lines written before the log became unreadable are returned before the error. */
  #lookAgain(path: string, known: Followed, maxBytes: number): Lines {
    let reason: string | undefined;
    try {
      turned(path, known);
      reason = known.current === undefined ? NO_SUCH_FILE : undefined;
    } catch (error) {
      reason = (error as Error).message;
    }
    const answer = read(known, maxBytes);
    return reason !== undefined && answer.lines.length === 0 ? { ok: false, reason } : answer;
  }
}

/** @param isNew whether it did not exist before: then all its lines are new. @throws Error if it does not exist. */
function begun(path: string, isNew: boolean, from: Position | undefined): Followed {
  const current = new OpenLog(path);
  const before = from && { offset: from.offset, tail: Buffer.from(from.tail, 'latin1') };
  const followed: Followed = { current, former: [], ...siblingsOf(path) };
  if (before === undefined) {
    current.moveTo(isNew ? 0 : current.size);
  } else if (from?.id === current.id && current.holds(before)) {
    current.moveTo(before.offset);
  } else {
    const former = openSiblings(path).find((one) => {
      if (one.id === from?.id && one.holds(before)) return true;
      one.close();
      return false;
    });
    former?.moveTo(before.offset);
    if (former !== undefined) followed.former.push(former);
  }
  return followed;
}

/** Finds the current file of a log, and its former files since the last read. */
function turned(path: string, known: Followed): void {
  const at = statOf(path);
  const { current } = known;
  const moved = current !== undefined && (at === undefined || idOf(at) !== current.id);
  const wasCut = !moved && current?.wasCut === true;
  const others = newSiblings(path, known, at);
  if (moved) {
    known.former.push(current);
    known.current = undefined;
  }
  if (at !== undefined && known.current === undefined) known.current = openAgain(path, known);
  const isRotated = moved || current === undefined || wasCut || current.offset === 0;
  let toCopy = current;
  for (const other of isRotated ? others : []) {
    // The rest of the copy is no longer in the original.
    if (toCopy !== undefined && (wasCut ? other.holds(toCopy) : other.continues(toCopy))) {
      other.moveTo(toCopy.lineStart);
      toCopy = undefined;
    }
    known.former.push(other);
  }
  if (!isRotated) for (const other of others) other.close();
  if (wasCut) current.begin(); // the rest of an unfinished line is in the copy, or nowhere
}

/** The new file under the name of the log: a former file, a copy of one, or a new one. */
function openAgain(path: string, known: Followed): OpenLog {
  const opened = new OpenLog(path);
  const same = known.former.find(({ id }) => id === opened.id);
  if (same !== undefined) {
    opened.close();
    known.former = known.former.filter((one) => one !== same);
    return same;
  }
  const copied = known.former.findLast((former) => opened.continues(former));
  if (copied === undefined) return opened;
  opened.moveTo(copied.lineStart);
  copied.close();
  known.former = known.former.filter((one) => one !== copied);
  return opened;
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Opens files beside a log that did not exist at the last read, oldest first. */
function newSiblings(path: string, known: Followed, at: Stats | undefined): OpenLog[] {
  const { siblings, changedMs } = siblingsOf(path, known);
  const held = new Set([...known.siblings, ...known.former.map(({ id }) => id), known.current?.id, at && idOf(at)]);
  Object.assign(known, { changedMs });
  if (siblings === known.siblings) return [];
  known.siblings = siblings;
  return openSiblings(path, held);
}

/** The current siblings; the previous ones if the directory did not change. */
function siblingsOf(path: string, before?: Followed): Pick<Followed, 'siblings' | 'changedMs'> {
  const { mtimeMs } = statSync(dirname(path));
  if (before?.changedMs === mtimeMs && Date.now() - mtimeMs > COARSE_MS) return before;
  return { siblings: new Set(rotated(path).map(({ id }) => id)), changedMs: mtimeMs };
}

/** Files beside a log with a name from rotation, newest first; no links, which may lead to other files. */
function rotated(path: string): { path: string; id: string; writtenMs: number }[] {
  const [base, directory, extension] = [basename(path), dirname(path), extname(path)];
  const stem = base.slice(0, base.length - extension.length);
  const names = listed(directory).filter((name) => {
    if (name.startsWith(base)) return TURNED.test(name.slice(base.length));
    return name.startsWith(stem) && name.endsWith(extension) && TURNED.test(name.slice(stem.length));
  });
  return names
    .filter((name) => !COMPRESSED.test(name))
    .slice(0, MAX_SIBLINGS)
    .flatMap((name) => {
      const at = lstatSync(join(directory, name), { throwIfNoEntry: false });
      return at?.isFile() ? [{ path: join(directory, name), id: idOf(at), writtenMs: at.mtimeMs }] : [];
    })
    .sort((a, b) => b.writtenMs - a.writtenMs);
}

function listed(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // the log is readable, its directory is not
  }
}

/** All except these ids, oldest first. */
function openSiblings(path: string, but: ReadonlySet<string | undefined> = new Set()): OpenLog[] {
  return rotated(path)
    .filter(({ id }) => !but.has(id))
    .slice(0, MAX_BETWEEN)
    .reverse()
    .flatMap((one) => {
      try {
        return [new OpenLog(one.path, true)];
      } catch {
        return []; // removed since, or not readable
      }
    });
}

/** Former files first, because they were written before. */
function read(followed: Followed, maxBytes: number): Extract<Lines, { ok: true }> {
  const lines: string[] = [];
  let [skippedBytes, left] = [0, maxBytes];
  const all = followed.current === undefined ? followed.former : [...followed.former, followed.current];
  for (const log of all) {
    const before = log.offset;
    for (const line of log.read(left)) lines.push(line); // perhaps more than a call accepts arguments
    left -= log.offset - before - log.skippedBytes;
    skippedBytes += log.skippedBytes;
    log.skippedBytes = 0;
    if (left <= 0) break;
  }
  const over = followed.former.length - MAX_FORMER;
  followed.former = followed.former.filter((log, i) => {
    const isDone = log.quiet > QUIET_LOOKS || (i < over && (log.quiet > 0 || over > MAX_BETWEEN));
    if (isDone) lines.push(...log.flush());
    if (isDone) log.close();
    return !isDone;
  });
  return { ok: true, lines, skippedBytes, position: (followed.current ?? all.at(-1))?.position() };
}
