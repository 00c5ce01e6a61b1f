// Opens files with untrusted names: from a configuration, an argument, a directory that others write to. Such a name may lead to a
// FIFO, a device, or an endless file of the kernel, and may have changed since the last check. So files are opened without blocking, and
// checked again by their descriptor. For hung file systems see log-reader.ts.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';

const PART_BYTES = 64 * 1024;
/** The kernel's limit of links. */
const MAX_LINKS = 40;
/** For configurations, certificates, keys. */
const MAX_SMALL_BYTES = 4 * 1024 * 1024;
/** For files given to a command; releases are smaller. */
const MAX_INPUT_BYTES = 16 * 1024 * 1024;

const KINDS: readonly [(at: Stats) => boolean, string][] = [
  [(at) => at.isDirectory(), 'a directory'],
  [(at) => at.isFIFO(), 'a FIFO'],
  [(at) => at.isSocket(), 'a socket'],
  [(at) => at.isCharacterDevice(), 'a device'],
  [(at) => at.isBlockDevice(), 'a block device'],
];

/** statfs(2): proc, sysfs, debugfs, tracefs, securityfs, cgroup, cgroup2. Reading there may block, or consume the data. */
const OF_THE_KERNEL = new Set([0x9fa0, 0x62656572, 0x64626720, 0x74726163, 0x73636673, 0x27e0eb, 0x63677270]);

export class NotRegular extends Error {
  readonly code = 'ENOTREG';
}

export interface OpenOptions {
  /** Also allow files of /proc, /sys and similar. */
  kernel?: boolean;
  /** Reject a symbolic link as the last part of the name. */
  noFollow?: boolean;
  /** For shown files: a user who can create links in a log's directory must not choose which of root's files others see. */
  ownLinks?: boolean;
}

/** @returns a descriptor for reading. @throws NotRegular, or the error of stat(2) or open(2). */
export function openRegular(path: string, { kernel = false, noFollow = false, ownLinks = false }: OpenOptions = {}): number {
  mustBeRegular(statSync(path)); // opening a device may have effects: a watchdog, a tape
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY | (noFollow ? constants.O_NOFOLLOW : 0);
  const fd = openSync(path, flags);
  try {
    mustBeRegular(fstatSync(fd));
    if (!kernel && OF_THE_KERNEL.has(statfsSync(`/proc/self/fd/${fd}`).type))
      throw new NotRegular('it is a file of the kernel (/proc, /sys), not a regular file');
    if (ownLinks) mustBeByOwnLinks(path, fd);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function mustBeRegular(at: Stats): void {
  if (at.isFile()) return;
  throw new NotRegular(`it is ${KINDS.find(([is]) => is(at))?.[1] ?? 'of an unknown kind'}, not a regular file`);
}

/** Allows only links of root, of this user, or of the file's owner, as they were when the file was opened. */
function mustBeByOwnLinks(path: string, fd: number): void {
  const real = readlinkSync(`/proc/self/fd/${fd}`).replace(/ \(deleted\)$/, '');
  if (real === resolve(path)) return; // no links
  const may = [0, process.getuid?.(), fstatSync(fd).uid];
  const others = linksOn(path).find(({ uid }) => !may.includes(uid));
  if (others !== undefined)
    throw new NotRegular(`it is behind the link ${others.path} of user ${others.uid}, who does not own it`);
  if (realpathSync(path) !== real) throw new NotRegular('it was replaced while it was opened');
}

/** Symbolic links on the way to a file. */
function linksOn(path: string, most = MAX_LINKS): { path: string; uid: number }[] {
  const found: { path: string; uid: number }[] = [];
  for (let at = resolve(path); dirname(at) !== at; at = dirname(at)) {
    const stats = lstatSync(at);
    if (!stats.isSymbolicLink() || found.length >= most) continue;
    found.push({ path: at, uid: stats.uid });
    found.push(...linksOn(resolve(realpathSync(dirname(at)), readlinkSync(at)), most - found.length));
  }
  return found;
}

/** @throws NotRegular, RangeError if it is larger, or the error of stat(2), open(2) or read(2). */
export function readRegular(path: string, maxBytes = MAX_SMALL_BYTES, options: OpenOptions = {}): Buffer {
  const fd = openRegular(path, options);
  try {
    return readWhole(fd, maxBytes);
  } finally {
    closeSync(fd);
  }
}

/**
 * Reads a file that a person gives to a command: a pipe is allowed too (`-`, `<(…)`), and may block, because ^C ends the command.
 * @throws RangeError if it is larger, or the error of open(2) or read(2).
 */
export function readInput(path: string, maxBytes = MAX_INPUT_BYTES): Buffer {
  const fd = path === '-' ? 0 : openSync(path, 'r');
  try {
    return readWhole(fd, maxBytes);
  } finally {
    if (path !== '-') closeSync(fd);
  }
}

/** Reads from the position of the descriptor to the end; sizes are ignored, because those of /proc are 0. @throws RangeError if it is larger. */
export function readWhole(fd: number, maxBytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let bytes = 0; ; ) {
    const part = Buffer.allocUnsafe(Math.min(PART_BYTES, maxBytes + 1 - bytes));
    const got = readSync(fd, part);
    if (got === 0) return Buffer.concat(parts);
    parts.push(part.subarray(0, got));
    bytes += got;
    if (bytes > maxBytes) throw new RangeError(`it is larger than ${maxBytes} bytes`);
  }
}
