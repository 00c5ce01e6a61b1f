// Tables of files, digests and certificates. They need a path or a directory, because nobody wants every file of the machine.
import { createHash, X509Certificate } from 'node:crypto';
import { closeSync, createReadStream, fstatSync, lstatSync, readlinkSync, type Stats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { openRegular, readRegular } from '../regular-file.ts';
import { matching } from './paths.ts';
import { below, link, list, type Reader, type Row, type Where } from './read.ts';

const MAX_FILES = 20_000;
const MAX_CERTIFICATE_BYTES = 1024 * 1024;
const [BEGIN, END] = ['-----BEGIN CERTIFICATE-----', '-----END CERTIFICATE-----'];
const MAX_HASHED_BYTES = 512 * 1024 * 1024;
const TYPES: [(stats: Stats) => boolean, string][] = [
  [(stats) => stats.isFile(), 'regular'],
  [(stats) => stats.isDirectory(), 'directory'],
  [(stats) => stats.isSymbolicLink(), 'symlink'],
  [(stats) => stats.isBlockDevice(), 'block'],
  [(stats) => stats.isCharacterDevice(), 'character'],
  [(stats) => stats.isFIFO(), 'fifo'],
  [(stats) => stats.isSocket(), 'socket'],
];

/** The files of a path or directory; paths in a directory keep its spelling. */
function asked(where: Where): { path: string; directory: string }[] {
  const texts = (key: string): string[] => (where.get(key) ?? []).map(String).filter((one) => one.startsWith('/'));
  const paths = [...texts('path'), ...texts('path like').flatMap(matching)];
  const directories = [...texts('directory'), ...texts('directory like').flatMap(matching)];
  const all = [
    ...paths.map((path) => ({ path, directory: dirname(path) })),
    ...directories.flatMap((directory) => list(directory).map((name) => ({ path: join(directory, name), directory }))),
  ];
  if (all.length > MAX_FILES) throw new Error(`more than ${MAX_FILES} files: narrow the query`);
  return [...new Map(all.map((one) => [one.path, one])).values()];
}

export const file: Reader = (where) =>
  asked(where).flatMap(({ path, directory }): Row[] => {
    let stats: Stats;
    try {
      stats = lstatSync(below(path));
    } catch {
      return [];
    }
    const seconds = (ms: number): number => Math.floor(ms / 1_000);
    return [
      {
        path,
        directory,
        filename: basename(path),
        inode: Number.isSafeInteger(stats.ino) ? stats.ino : inodeOf(path),
        uid: stats.uid,
        gid: stats.gid,
        mode: (stats.mode & 0o7777).toString(8).padStart(4, '0'),
        device: stats.rdev,
        size: stats.size,
        block_size: stats.blksize,
        atime: seconds(stats.atimeMs),
        mtime: seconds(stats.mtimeMs),
        ctime: seconds(stats.ctimeMs),
        btime: seconds(stats.birthtimeMs),
        hard_links: stats.nlink,
        symlink: stats.isSymbolicLink() ? 1 : 0,
        symlink_target_path: stats.isSymbolicLink() ? safely(() => readlinkSync(below(path))) : '',
        type: TYPES.find(([is]) => is(stats))?.[1] ?? 'unknown',
      },
    ];
  });

/** As bigint, because fields may be too large for a number; undefined if the file was removed since. */
function inodeOf(path: string): bigint | undefined {
  try {
    return lstatSync(below(path), { bigint: true }).ino;
  } catch {
    return undefined;
  }
}

function safely(get: () => string): string {
  try {
    return get();
  } catch {
    return '';
  }
}

export const hash: Reader = async (where) => {
  const rows: Row[] = [];
  let bytes = 0;
  for (const { path, directory } of asked(where)) {
    const fd = opened(path);
    if (fd === undefined) continue;
    const { size } = fstatSync(fd);
    bytes += size;
    if (bytes > MAX_HASHED_BYTES) {
      closeSync(fd);
      throw new Error(`more than ${MAX_HASHED_BYTES / 2 ** 20} MiB to hash: narrow the query`);
    }
    const digests = ['md5', 'sha1', 'sha256'].map((name) => createHash(name));
    try {
      for await (const chunk of createReadStream('', { fd, end: Math.max(0, size - 1) }))
        for (const digest of digests) digest.update(chunk as Buffer);
    } catch {
      continue; // not readable
    }
    const [md5, sha1, sha256] = digests.map((digest) => digest.digest('hex'));
    rows.push({ path, directory, md5, sha1, sha256 });
  }
  return rows;
};

/** Of a regular file, or a link to one. */
function opened(path: string): number | undefined {
  try {
    return openRegular(below(path));
  } catch {
    return undefined;
  }
}

function smallFile(path: string): string {
  return safely(() => readRegular(below(path), MAX_CERTIFICATE_BYTES).toString('latin1'));
}

/** The text between the PEM marks, in one pass. */
function blocks(text: string): string[] {
  return text
    .split(BEGIN)
    .slice(1)
    .flatMap((part) => {
      const end = part.indexOf(END);
      return end < 0 ? [] : `${BEGIN}${part.slice(0, end)}${END}`;
    });
}

const named = (subject: string, key: string): string => subject.match(new RegExp(`^${key}=(.*)$`, 'm'))?.[1] ?? '';

export const certificates: Reader = (where) => {
  const isAsked = ['path', 'directory', 'path like', 'directory like'].some((key) => where.has(key));
  const paths = asked(isAsked ? where : new Map([['directory', ['/etc/ssl/certs']]]));
  return paths.flatMap(({ path, directory }) => {
    // A link in the directory is a second name of a file that is already there.
    const text = link(path) === undefined || where.has('path') ? smallFile(path) : '';
    return blocks(text).flatMap((pem): Row[] => {
      try {
        const one = new X509Certificate(pem);
        const seconds = (at: string): number => Math.floor(Date.parse(at) / 1_000);
        return [
          {
            common_name: named(one.subject, 'CN'),
            subject: one.subject.replaceAll('\n', ', '),
            issuer: one.issuer.replaceAll('\n', ', '),
            ca: one.ca ? 1 : 0,
            self_signed: one.subject === one.issuer ? 1 : 0,
            not_valid_before: seconds(one.validFrom),
            not_valid_after: seconds(one.validTo),
            key_algorithm: one.publicKey.asymmetricKeyType ?? '',
            serial: one.serialNumber,
            sha1: one.fingerprint.replaceAll(':', '').toLowerCase(),
            sha256: one.fingerprint256.replaceAll(':', '').toLowerCase(),
            path,
            directory,
          },
        ];
      } catch {
        return []; // not a certificate that OpenSSL can read
      }
    });
  });
};
