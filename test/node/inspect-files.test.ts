// The tables of files: which ones a path, a directory or a pattern means, what is told of each, and what would be too many.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, statSync, truncateSync, utimesSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { matching } from '../../node/adapters/inspect/paths.ts';
import { machineFiles } from '../support/machine-files.ts';

const { at, put, link, rows } = machineFiles();
const ask = (column: string, ...values: string[]): [string, string[]][] => [[column, values]];

describe('a file', () => {
  it('has what stat(2) says', async () => {
    put('/srv/a', 'text');
    chmodSync(at('/srv/a'), 0o4640);
    linkSync(at('/srv/a'), at('/srv/b'));
    utimesSync(at('/srv/a'), 1_000.9, 2_000.9);
    const { ino, uid, gid, blksize, ctimeMs, birthtimeMs } = statSync(at('/srv/a'));
    const [found] = await rows('file', ask('path', '/srv/a'));
    expect(found).toEqual({
      path: '/srv/a',
      directory: '/srv',
      filename: 'a',
      inode: ino,
      uid,
      gid,
      mode: '4640',
      device: 0,
      size: 4,
      block_size: blksize,
      atime: 1_000,
      mtime: 2_000,
      ctime: Math.floor(ctimeMs / 1_000),
      btime: Math.floor(birthtimeMs / 1_000),
      hard_links: 2,
      symlink: 0,
      symlink_target_path: '',
      type: 'regular',
    });
    chmodSync(at('/srv/a'), 0o4);
    expect((await rows('file', ask('path', '/srv/a')))[0]?.mode).toBe('0004');
  });

  it('is of a type, and a link leads somewhere', async () => {
    put('/srv/a', '');
    link('/srv/link', 'nowhere');
    execFileSync('mkfifo', [at('/srv/fifo')]);
    const found = await rows('file', ask('path', '/srv', '/srv/link', '/srv/fifo', '/srv/gone', 'srv/a'));
    expect(found.map(({ path, type, symlink, symlink_target_path }) => [path, type, symlink, symlink_target_path])).toEqual([
      ['/srv', 'directory', 0, ''],
      ['/srv/link', 'symlink', 1, 'nowhere'],
      ['/srv/fifo', 'fifo', 0, ''],
    ]);
  });

  it('is found by its directory, once', async () => {
    put('/srv/a', '');
    put('/srv/deep/b', '');
    const found = await rows('file', [
      ['path', ['/srv/a']],
      ['directory', ['/srv', '/srv/']],
    ]);
    expect(found.map(({ path, directory }) => [path, directory]).sort()).toEqual([
      ['/srv/a', '/srv/'],
      ['/srv/deep', '/srv/'],
    ]);
    const like = await rows('file', ask('directory like', '/srv/%'));
    expect(like.map(({ path, directory }) => [path, directory])).toEqual([['/srv/deep/b', '/srv/deep']]);
    expect(await rows('file')).toEqual([]);
  });
});

describe('a pattern', () => {
  const found = (pattern: string): string[] => matching(pattern).sort();

  it('means names within one part of a path, and with two signs whatever is below', () => {
    for (const path of ['/srv/a.log', '/srv/b.log', '/srv/sub/a.log', '/srv/sub/deep/c.txt', '/etc/x_y', '/etc/xzy'])
      put(path, '');
    link('/srv/to', '/etc');
    expect(found('/srv/%.log')).toEqual(['/srv/a.log', '/srv/b.log']);
    expect(found('/srv/%/a.log')).toEqual(['/srv/sub/a.log']);
    expect(found('/%/sub/deep/c.txt')).toEqual(['/srv/sub/deep/c.txt']);
    expect(found('/srv/%%')).toEqual([
      '/srv/a.log',
      '/srv/b.log',
      '/srv/sub',
      '/srv/sub/a.log',
      '/srv/sub/deep',
      '/srv/sub/deep/c.txt',
      '/srv/to',
    ]);
    expect(found('/srv/%%.log')).toEqual(['/srv/a.log', '/srv/b.log', '/srv/sub/a.log']);
    expect(found('/%%/c.txt')).toEqual(['/srv/sub/deep/c.txt']);
    expect(found('/etc/x_y')).toEqual(['/etc/x_y', '/etc/xzy']);
    expect(found('/etc/_')).toEqual([]);
    expect(found('/srv/a.log')).toEqual(['/srv/a.log']);
    for (const nothing of ['/srv/gone', '/srv/./a.log', '/srv/../srv/a.log', '/srv//a.log', '/gone/%', '/srv/a.log/%'])
      expect(found(nothing), nothing).toEqual([]);
  });

  it('goes 41 directories deep', () => {
    mkdirSync(at(`/d${'/d'.repeat(45)}`), { recursive: true });
    expect(found('/d/%%').at(-1)).toBe(`/d${'/d'.repeat(41)}`);
  });
});

describe('digests', () => {
  it('are of regular files, and of what links lead to', async () => {
    put('/srv/a', 'text');
    put('/srv/empty', '');
    link('/srv/link', 'a');
    const digest = (name: string, text: string): string => createHash(name).update(text).digest('hex');
    const of = (text: string) => ({ md5: digest('md5', text), sha1: digest('sha1', text), sha256: digest('sha256', text) });
    expect(await rows('hash', ask('path', '/srv/a', '/srv/empty', '/srv/link', '/srv', '/srv/gone'))).toEqual([
      { path: '/srv/a', directory: '/srv', ...of('text') },
      { path: '/srv/empty', directory: '/srv', ...of('') },
      { path: '/srv/link', directory: '/srv', ...of('text') },
    ]);
  });

  it('of more than 512 MiB together are refused', async () => {
    put('/srv/a', '');
    truncateSync(at('/srv/a'), 512 * 2 ** 20 + 1);
    await expect(rows('hash', ask('path', '/srv/a'))).rejects.toThrow('more than 512 MiB to hash: narrow the query');
  });
});

describe('certificates', () => {
  const [first = '', second = ''] = rootCertificates;

  it('are those of a file, one after the other, with what they say', async () => {
    put('/etc/ssl/certs/both.pem', `junk\n${first}\nbetween\n${second}\n`);
    put(
      '/etc/ssl/certs/broken.pem',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nopen',
    );
    link('/etc/ssl/certs/again.pem', 'both.pem');
    const found = await rows('certificates');
    const openssl = execFileSync('openssl', ['x509', '-noout', '-serial', '-startdate', '-enddate', '-fingerprint', '-sha256'], {
      input: first,
      encoding: 'utf8',
    });
    const said = new Map(openssl.split('\n').map((line) => [line.replace(/=.*/, '').toLowerCase(), line.replace(/^[^=]*=/, '')]));
    expect(found).toHaveLength(2);
    expect(found[0]).toMatchObject({
      ca: 1,
      self_signed: 1,
      serial: said.get('serial'),
      not_valid_before: Date.parse(said.get('notbefore') ?? '') / 1_000,
      not_valid_after: Date.parse(said.get('notafter') ?? '') / 1_000,
      sha256: said.get('sha256 fingerprint')?.replaceAll(':', '').toLowerCase(),
      path: '/etc/ssl/certs/both.pem',
      directory: '/etc/ssl/certs',
    });
    const { common_name, subject, issuer, key_algorithm, sha1 } = found[0] ?? {};
    expect(subject).toContain(`CN=${common_name}`);
    expect(String(subject)).not.toContain('\n');
    expect([issuer, String(sha1).length, ['rsa', 'ec'].includes(String(key_algorithm))]).toEqual([subject, 40, true]);
  });

  it('are asked for by path, then also through a link', async () => {
    put('/srv/one.pem', first);
    link('/srv/link.pem', 'one.pem');
    put('/etc/ssl/certs/other.pem', second);
    const paths = async (...where: [string, string[]][]) => (await rows('certificates', where)).map(({ path }) => path);
    expect(await paths(['path', ['/srv/link.pem']])).toEqual(['/srv/link.pem']);
    expect(await paths(['path like', ['/srv/%']])).toEqual(['/srv/one.pem']);
    expect(await paths(['directory', ['/srv']])).toEqual(['/srv/one.pem']);
    expect(await paths(['directory like', ['/sr%']])).toEqual(['/srv/one.pem']);
    expect(readFileSync(at('/srv/link.pem'), 'utf8')).toBe(first);
  });
});
