// Releases on a disk: what is a release and what is not, what is kept of them, and the words that the launcher goes by.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { create, Header } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalReleases } from '../../node/adapters/local-releases.ts';

let root: string;
let directory: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kalos-releases-'));
  directory = join(root, 'releases');
});
afterEach(() => rmSync(root, { recursive: true }));

const digestOf = (nth: number): string => nth.toString(16).padStart(64, '0');
const open = (running = ''): LocalReleases =>
  new LocalReleases({ directory, takes: true, environment: running === '' ? {} : { KALOS_RELEASE: running } });
const word = (name: string): string | undefined =>
  existsSync(join(directory, name)) ? readFileSync(join(directory, name), 'utf8') : undefined;

const RELEASE = {
  'package/package.json': JSON.stringify({ name: 'kalos', version: '9.9.9' }),
  'package/dist/kalos.mjs': 'export {};',
};
/** @param files by path; a target of a link begins with `->`. */
function archive(files: Record<string, string> = RELEASE, gzip = true): Uint8Array {
  const from = mkdtempSync(join(root, 'from-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(from, path)), { recursive: true });
    if (text.startsWith('->')) symlinkSync(text.slice(2), join(from, path));
    else writeFileSync(join(from, path), text);
  }
  const file = join(from, 'made.tgz');
  create({ cwd: from, file, gzip, sync: true, portable: true, preservePaths: true }, Object.keys(files));
  return readFileSync(file);
}

/** An archive of so many empty files. */
const many = (count: number): Uint8Array =>
  gzipSync(
    Buffer.concat(
      Array.from({ length: count }, (_, nth) => {
        const header = new Header({ path: `package/f${nth}`, type: 'File', size: 0, mode: 0o644 });
        header.encode();
        return header.block ?? Buffer.alloc(0);
      }),
    ),
  );

describe('a release', () => {
  it('is kept, told its version, there after a restart, and read in parts', async () => {
    const bytes = archive();
    expect(await open().has(digestOf(1))).toBe(false);
    expect(await open().keep(digestOf(1), bytes)).toBe('9.9.9');
    const releases = open();
    expect([await releases.has(digestOf(1)), await releases.has(digestOf(2))]).toEqual([true, false]);
    expect(readFileSync(join(directory, digestOf(1), 'package/dist/kalos.mjs'), 'utf8')).toBe('export {};');
    const parts = [await releases.read(digestOf(1), 0, 100), await releases.read(digestOf(1), 100, 1_000_000)];
    expect(Buffer.concat(parts.map((part) => part ?? Buffer.alloc(0)))).toEqual(Buffer.from(bytes));
    expect(parts[0]?.length).toBe(100);
    expect([await releases.read(digestOf(2), 0, 10), await releases.read('../secret', 0, 10)]).toEqual([undefined, undefined]);
    expect(readdirSync(directory).filter((name) => name.endsWith('.new'))).toEqual([]);
    // Again, in place of what is there.
    expect(await releases.keep(digestOf(1), bytes)).toBe('9.9.9');
  });

  it.each([
    ['is no archive', () => new Uint8Array(2_000).fill(7), /not a tar.gz archive/],
    ['has no entry', () => archive({ 'package/package.json': '{}' }), /package\/dist\/kalos\.mjs is missing/],
    ['has no manifest', () => archive({ 'package/dist/kalos.mjs': '' }), /package\/package\.json is missing/],
    ['has a file elsewhere', () => archive({ ...RELEASE, 'other/x': '1' }), /other\/x \(File\) is not allowed/],
    [
      'has a link',
      () => archive({ ...RELEASE, 'package/link': '->/etc/passwd' }),
      /package\/link \(SymbolicLink\) is not allowed/,
    ],
    [
      'climbs out',
      () => archive({ ...RELEASE, 'package/a/../../../x': '1' }),
      /package\/a\/\.\.\/\.\.\/\.\.\/x \(File\) is not allowed/,
    ],
    ['is of another program', () => archive({ ...RELEASE, 'package/package.json': '{"name":"other","version":"1"}' }), /kalos/],
    ['has too many files', () => many(5_001), /too large/],
  ])('that %s is refused, and nothing of it is kept', async (_what, made, why) => {
    await expect(open().keep(digestOf(1), made())).rejects.toThrow(why);
    expect(await open().has(digestOf(1))).toBe(false);
    expect(existsSync(join(directory, `${digestOf(1)}.tgz`))).toBe(false);
  });

  it('lies where this user alone can read it, beside the modules that it runs with', async () => {
    await open().keep(digestOf(1), archive());
    const modeOf = (...names: string[]): number => statSync(join(directory, ...names)).mode & 0o777;
    expect([modeOf(), modeOf(digestOf(1)), modeOf(`${digestOf(1)}.tgz`)]).toEqual([0o700, 0o700, 0o600]);
    expect(existsSync(join(directory, 'node_modules', 'classic-level'))).toBe(true);
    writeFileSync(join(directory, `${digestOf(2)}.tgz`), '');
    mkdirSync(join(directory, digestOf(3), 'package/dist'), { recursive: true });
    writeFileSync(join(directory, digestOf(3), 'package/dist/kalos.mjs'), '');
    expect([await open().has(digestOf(2)), await open().has(digestOf(3))]).toEqual([false, false]);
  });

  it('may shrink to a hundredth beyond a mebibyte, and what comes after its end is nobody’s', async () => {
    const padded = (bytes: number) => archive({ ...RELEASE, 'package/zeros': '\0'.repeat(bytes) });
    expect(await open().keep(digestOf(1), padded(1_000_000))).toBe('9.9.9');
    await expect(open().keep(digestOf(2), padded(2_000_000))).rejects.toThrow('the archive is too large');
    const tar = gunzipSync(archive());
    expect(await open().keep(digestOf(3), gzipSync(Buffer.concat([tar, Buffer.alloc(20_000, 7)])))).toBe('9.9.9');
  });

  it('is forgotten once three newer ones are there, unless it runs', async () => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'current'), `${digestOf(1)}\n`);
    writeFileSync(join(directory, 'trial'), `${digestOf(2)}\n`);
    for (let nth = 1; nth <= 7; nth++) {
      await open(digestOf(3)).keep(digestOf(nth), archive());
      utimesSync(join(directory, `${digestOf(nth)}.tgz`), nth, nth);
    }
    await open(digestOf(3)).keep(digestOf(8), archive());
    const kept = readdirSync(directory).filter((name) => name.endsWith('.tgz'));
    expect(kept).toEqual([1, 2, 3, 5, 6, 7, 8].map((nth) => `${digestOf(nth)}.tgz`));
    expect(existsSync(join(directory, digestOf(4)))).toBe(false);
  });
});

describe('the words that the launcher goes by', () => {
  it('say what is tried, what runs, and nothing once none is chosen', async () => {
    const releases = open();
    await releases.keep(digestOf(1), archive());
    writeFileSync(join(directory, 'tried'), 'x');
    await releases.choose(digestOf(1));
    expect([word('trial'), word('tried'), word('current')]).toEqual([`${digestOf(1)}\n`, undefined, undefined]);
    const trial = open(digestOf(1));
    expect([trial.isOnTrial, open(digestOf(2)).isOnTrial, open().isOnTrial]).toEqual([true, false, false]);
    await trial.beat();
    expect(word('beat')).toBe('');
    await trial.confirm();
    expect([trial.isOnTrial, word('trial'), word('current')]).toEqual([false, undefined, `${digestOf(1)}\n`]);
    // Back to what runs: no trial.
    await releases.choose(digestOf(2));
    await releases.choose(digestOf(1));
    expect([word('trial'), word('current')]).toEqual([undefined, `${digestOf(1)}\n`]);
    await releases.choose(digestOf(2));
    await releases.choose('');
    expect([word('trial'), word('current')]).toEqual([undefined, undefined]);
  });

  it('say what was given up, and why, until it is forgiven', async () => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'failed'), `${digestOf(1)} it exited\n`);
    const releases = open();
    expect(releases.failed).toEqual({ digest: digestOf(1), reason: 'it exited' });
    await releases.forgive();
    expect([releases.failed, open().failed]).toEqual([undefined, undefined]);
  });
});
