// The Releases port on a directory: archives of `npm pack`, their content, and a few small files that the launcher (bin/kalos)
// reads: the running release, the one on trial, and the failed one. Packages with native parts, the bridge and the actuator stay this machine's own.
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { z } from 'zod';
import type { Releases } from '../ports/releases.ts';
import { findPackage } from './package.ts';

const MAX_ENTRIES = 5_000;
const MAX_UNPACKED_BYTES = 268_435_456;
/** Programs and text compress to a fourth; an archive above this ratio is not a release. */
const MAX_SHRUNK = 100;
const SMALL_BYTES = 1_048_576;
/** Number of releases kept beside the running ones. */
const MAX_KEPT = 3;
const MANIFEST = 'package/package.json';
const ENTRY = 'package/dist/kalos.mjs';
const manifestSchema = z.object({ name: z.literal('kalos'), version: z.string() });

export interface LocalReleasesOptions {
  directory: string;
  takes: boolean;
  environment: NodeJS.ProcessEnv;
}

export class LocalReleases implements Releases {
  readonly takes: boolean;
  readonly running: string;
  readonly #directory: string;
  isOnTrial: boolean;
  failed: Releases['failed'];

  constructor({ directory, takes, environment }: LocalReleasesOptions) {
    this.#directory = directory;
    this.takes = takes;
    this.running = environment.KALOS_RELEASE ?? '';
    this.isOnTrial = this.running !== '' && this.#word('trial') === this.running;
    const [digest, ...reason] = this.#word('failed').split(' ');
    this.failed = digest === undefined || digest === '' ? undefined : { digest, reason: reason.join(' ') };
  }

  #at(...names: string[]): string {
    return join(this.#directory, ...names);
  }

  #word(name: string): string {
    return existsSync(this.#at(name)) ? readFileSync(this.#at(name), 'utf8').trim() : '';
  }

  async #say(name: string, word: string): Promise<void> {
    await writeFile(this.#at(`${name}.new`), `${word}\n`, { mode: 0o600, flush: true });
    await rename(this.#at(`${name}.new`), this.#at(name));
  }

  async #unsay(...names: string[]): Promise<void> {
    for (const name of names) await rm(this.#at(name), { force: true });
  }

  // Archives

  async has(digest: string): Promise<boolean> {
    return existsSync(this.#at(digest, ENTRY)) && existsSync(this.#at(`${digest}.tgz`));
  }

  async read(digest: string, from: number, most: number): Promise<Uint8Array | undefined> {
    if (!/^[0-9a-f]{64}$/.test(digest) || !existsSync(this.#at(`${digest}.tgz`))) return undefined;
    const file = await open(this.#at(`${digest}.tgz`), 'r');
    try {
      const part = new Uint8Array(most);
      const { bytesRead } = await file.read(part, 0, most, from);
      return part.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  }

  async keep(digest: string, archive: Uint8Array): Promise<string> {
    await looksThrough(archive);
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const unpacked = this.#at(`${digest}.new`);
    await rm(unpacked, { recursive: true, force: true });
    await mkdir(unpacked, { mode: 0o700 });
    await unpack(archive, unpacked);
    const { version } = manifestSchema.parse(JSON.parse(readFileSync(join(unpacked, MANIFEST), 'utf8')));
    await this.#lendModules();
    await writeFile(this.#at(`${digest}.tgz.new`), archive, { mode: 0o600, flush: true });
    await rename(this.#at(`${digest}.tgz.new`), this.#at(`${digest}.tgz`));
    await rm(this.#at(digest), { recursive: true, force: true });
    await rename(unpacked, this.#at(digest));
    await this.#prune(digest);
    return version;
  }

  /** Links the modules that a release does not include: Node finds them above its directory. */
  async #lendModules(): Promise<void> {
    const { home } = findPackage();
    const own = join(home, 'node_modules');
    const modules = existsSync(join(own, 'classic-level')) ? own : dirname(home);
    await rm(this.#at('node_modules'), { force: true });
    await symlink(modules, this.#at('node_modules'));
  }

  async #prune(newest: string): Promise<void> {
    const needed = new Set([newest, this.running, this.#word('current'), this.#word('trial')]);
    const digests = (await readdir(this.#directory)).flatMap((name) => /^([0-9a-f]{64})\.tgz$/.exec(name)?.[1] ?? []);
    const spare = digests.filter((digest) => !needed.has(digest));
    const aged = await Promise.all(
      spare.map(async (digest) => ({ digest, ms: (await stat(this.#at(`${digest}.tgz`))).mtimeMs })),
    );
    for (const { digest } of aged.sort((a, b) => b.ms - a.ms).slice(MAX_KEPT))
      for (const name of [`${digest}.tgz`, digest]) await rm(this.#at(name), { recursive: true, force: true });
  }

  // What runs

  async choose(digest: string): Promise<void> {
    if (digest === '') await this.#unsay('current', 'trial', 'tried');
    else if (digest === this.#word('current')) await this.#unsay('trial', 'tried');
    else {
      await this.#unsay('tried');
      await this.#say('trial', digest);
    }
  }

  async beat(): Promise<void> {
    await writeFile(this.#at('beat'), '');
  }

  async confirm(): Promise<void> {
    await rename(this.#at('trial'), this.#at('current'));
    this.isOnTrial = false;
  }

  async forgive(): Promise<void> {
    await this.#unsay('failed');
    this.failed = undefined;
  }
}

/** Checks an archive before any of it is written to disk. @throws Error */
async function looksThrough(archive: Uint8Array): Promise<void> {
  const { list } = await import('tar');
  const names = new Set<string>();
  let [bytes, wrong] = [0, ''];
  const parser = list({
    strict: true,
    onReadEntry: ({ path, type, size }) => {
      names.add(path);
      bytes += size;
      const isPlain = type === 'File' || type === 'OldFile' || type === 'Directory';
      if (!isPlain || !path.startsWith('package/') || path.split('/').includes('..')) wrong = `${path} (${type}) is not allowed`;
      if (names.size > MAX_ENTRIES || bytes > MAX_UNPACKED_BYTES) wrong = 'the archive is too large';
    },
  });
  await ended(parser, archive);
  if (wrong !== '') throw new Error(`not a release: ${wrong}`);
  const missing = [MANIFEST, ENTRY].find((name) => !names.has(name));
  if (missing !== undefined) throw new Error(`not a KALOS release: ${missing} is missing (npm pack makes one)`);
}

async function unpack(archive: Uint8Array, into: string): Promise<void> {
  const { extract } = await import('tar');
  await ended(extract({ cwd: into, strict: true, noChmod: true, preserveOwner: false }), archive);
}

interface Parser {
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end' | 'close' | 'eof', listener: () => void): unknown;
  write(bytes: Buffer): unknown;
  end(): unknown;
}

/** Unpacks in parts, up to the size limit: a small archive can be large inside, and the agent must stay responsive. */
async function ended(parser: Parser, archive: Uint8Array): Promise<void> {
  const over = new Promise<void>((resolve, reject) => {
    parser.on('error', reject);
    parser.on('close', resolve);
    parser.on('end', resolve);
  });
  over.catch(() => undefined); // it is awaited below, perhaps after the rejection
  try {
    let [size, isOver] = [0, false];
    parser.on('eof', () => {
      isOver = true; // bytes after the end are ignored
    });
    for await (const part of Readable.from([Buffer.from(archive)]).pipe(createGunzip())) {
      size += part.length;
      if (size > MAX_UNPACKED_BYTES || size > Math.max(SMALL_BYTES, MAX_SHRUNK * archive.length))
        throw new Error('the archive is too large');
      await Promise.race([over, Promise.resolve(parser.write(part))]);
      if (isOver) break;
    }
    parser.end();
    await over;
  } catch (error) {
    throw new Error(`not a tar.gz archive: ${(error as Error).message}`);
  }
}
