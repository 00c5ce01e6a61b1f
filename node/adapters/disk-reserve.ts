// Reserved space on the disk of the state directory: released when the disk is full, so that the database can be opened again and a
// clean-up can be recorded, and reserved again once there is space. In several files, because a file system may also run out of inodes.
import { randomBytes } from 'node:crypto';
import { existsSync, rmSync, statfsSync } from 'node:fs';
import { mkdir, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

const FILES = 4;
const FILE_BYTES = 2 * 1024 * 1024;
/** Nothing is reserved unless this many times as much is free. */
const ROOM = 4;
/** Enough to open LevelDB again, in addition to its log: manifest, log, table, current. */
const OPENING_BYTES = 256 * 1024;

export class DiskReserve {
  readonly #directory: string;

  /** @param directory created and removed here */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @returns whether anything was released. */
  release(): boolean {
    const was = existsSync(this.#directory);
    try {
      rmSync(this.#directory, { recursive: true, force: true });
    } catch {
      return false; // a disk that is broken or read-only frees nothing
    }
    return was;
  }

  /** Reserves the space if it is not reserved and enough is free. If the disk refuses, it is retried later. */
  async make(): Promise<void> {
    if (existsSync(this.#directory)) return;
    try {
      if (freeBytes(dirname(this.#directory)) < ROOM * FILES * FILE_BYTES) return;
      await mkdir(this.#directory, { mode: 0o700 });
      // Random bytes, because a compressing file system would reserve nothing for zeros.
      for (let n = 1; n <= FILES; n++)
        await writeFile(join(this.#directory, String(n)), randomBytes(FILE_BYTES), { mode: 0o600 });
    } catch {
      this.release();
    }
  }
}

/** Free bytes of the file system of `path`, for this user. */
export function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

/** Whether a database in `directory` could be opened and written to again: new files, synced. @returns why not; undefined if it could. */
export async function tryDisk(directory: string): Promise<unknown> {
  const paths = Array.from({ length: FILES }, (_, n) => join(directory, `probe.${n}`));
  try {
    const names = (await readdir(directory)).filter((name) => name.endsWith('.log'));
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
    const bytes = (sizes.reduce((sum, size) => sum + size, 0) + OPENING_BYTES) / FILES;
    for (const path of paths) {
      const file = await open(path, 'w', 0o600);
      try {
        await file.writeFile(randomBytes(Math.ceil(bytes)));
        await file.sync();
      } finally {
        await file.close();
      }
    }
    return undefined;
  } catch (error) {
    return error;
  } finally {
    for (const path of paths) await rm(path, { force: true }).catch(() => undefined);
  }
}
