// Archives of releases that somebody hostile has made: nothing of them comes to lie where it should not, and the agent goes on meanwhile.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Header } from 'tar';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { LocalReleases } from '../../node/adapters/local-releases.ts';

const BLOCK = 512;
const DIGEST = 'a'.repeat(64);
const ZEROS_BYTES = 48 * 1024 * 1024;
type Type = NonNullable<
  ConstructorParameters<typeof Header>[0] extends infer Data ? (Data extends { type?: infer T } ? T : never) : never
>;
let root: string;
let releases: LocalReleases;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kalos-archives-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  releases = new LocalReleases({ directory: join(root, 'in', 'releases'), takes: true, environment: {} });
});

function entry(path: string, text = '', type: Type = 'File', linkpath = ''): Buffer {
  const body = Buffer.from(text);
  const header = Buffer.alloc(BLOCK);
  new Header({ path, mode: 0o644, size: body.length, mtime: new Date(0), type, linkpath }).encode(header, 0);
  return Buffer.concat([header, body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]);
}

const GOOD = [entry('package/package.json', '{"name":"kalos","version":"9.9.9"}'), entry('package/dist/kalos.mjs', 'x')];
const archive = (...more: Buffer[]): Buffer => gzipSync(Buffer.concat([...GOOD, ...more, Buffer.alloc(2 * BLOCK)]));

describe('an archive of a release', () => {
  it('is kept where it is one', async () => {
    expect(await releases.keep(DIGEST, archive())).toBe('9.9.9');
  });

  it('writes nothing beside its directory, by path, link, long name or device', async () => {
    const wrong = [
      entry('package/../../../escaped', 'x'),
      entry(join(root, 'escaped'), 'x'),
      entry('package/link', '', 'SymbolicLink', root),
      entry('package/link', '', 'Link', '/etc/passwd'),
      entry('package/fifo', '', 'FIFO'),
      entry('package/device', '', 'CharacterDevice'),
      Buffer.concat([entry('././@LongLink', 'package/../../../escaped\0', 'NextFileHasLongPath'), entry('package/a', 'x')]),
    ];
    const renamed = ' path=package/../../../escaped\n';
    wrong.push(Buffer.concat([entry('PaxHeader', `${renamed.length + 2}${renamed}`, 'ExtendedHeader'), entry('package/a', 'x')]));
    for (const one of wrong) await expect(releases.keep(DIGEST, archive(one))).rejects.toThrow('not a release');
    expect([existsSync(join(root, 'escaped')), readdirSync(root).filter((name) => name !== 'in')]).toEqual([false, []]);
  });

  it('that is small and large inside is refused at once, and so is what is no archive', async () => {
    const zeros = gzipSync(Buffer.alloc(ZEROS_BYTES), { level: 9 });
    const inside = gzipSync(Buffer.concat([...GOOD, entry('package/zeros', '\0'.repeat(ZEROS_BYTES))]), { level: 9 });
    await expect(releases.keep(DIGEST, inside)).rejects.toThrow('the archive is too large');
    for (const none of [zeros, Buffer.alloc(0), Buffer.from('hello'), archive().subarray(0, 40)])
      await expect(releases.keep(DIGEST, none)).rejects.toThrow('not a tar.gz archive');
  });
});
