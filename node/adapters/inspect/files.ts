// Files that are asked for by path, their digests, and certificates. Only by path, or directory: nobody means every file there is.
import { createHash, X509Certificate } from 'node:crypto';
import { createReadStream, lstatSync, readdirSync, readFileSync, readlinkSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { link, type Reader, type Row, type Where } from './read.ts';

const MAX_FILES = 20_000;
const MAX_CERTIFICATE_BYTES = 1024 * 1024;
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

/** What a path or a directory asks for; of a directory, as it was written. */
function asked(where: Where): { path: string; directory: string }[] {
  const within = (directory: string): { path: string; directory: string }[] => {
    try {
      return readdirSync(directory).map((name) => ({ path: join(directory, name), directory }));
    } catch {
      return [];
    }
  };
  const paths = (where.get('path') ?? []).map((one) => ({ path: String(one), directory: dirname(String(one)) }));
  const all = [...paths, ...(where.get('directory') ?? []).flatMap((one) => within(String(one)))];
  return all.filter(({ path }) => path.startsWith('/')).slice(0, MAX_FILES);
}

export const file: Reader = (where) =>
  asked(where).flatMap(({ path, directory }): Row[] => {
    let stats: Stats;
    try {
      stats = lstatSync(path);
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
        symlink_target_path: stats.isSymbolicLink() ? safely(() => readlinkSync(path)) : '',
        type: TYPES.find(([is]) => is(stats))?.[1] ?? 'unknown',
      },
    ];
  });

/** Too large for a number; undefined where the file is gone since. */
function inodeOf(path: string): bigint | undefined {
  try {
    return lstatSync(path, { bigint: true }).ino;
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
    const stats = regular(path);
    // What is made up as it is read has no end that could be known.
    if (stats === undefined || /^\/(proc|sys)\//.test(path)) continue;
    bytes += stats.size;
    if (bytes > MAX_HASHED_BYTES) throw new Error(`more than ${MAX_HASHED_BYTES / 2 ** 20} MiB to hash: ask for fewer files`);
    const digests = ['md5', 'sha1', 'sha256'].map((name) => createHash(name));
    try {
      for await (const chunk of createReadStream(path, { end: Math.max(0, stats.size - 1) }))
        for (const digest of digests) digest.update(chunk as Buffer);
    } catch {
      continue; // not ours to read
    }
    const [md5, sha1, sha256] = digests.map((digest) => digest.digest('hex'));
    rows.push({ path, directory, md5, sha1, sha256 });
  }
  return rows;
};

/** Of a regular file, or what a link leads to that is one: what is asked for may be a device without an end. */
function regular(path: string): Stats | undefined {
  try {
    const stats = statSync(path);
    return stats.isFile() ? stats : undefined;
  } catch {
    return undefined;
  }
}

function smallFile(path: string): string {
  const size = regular(path)?.size;
  return size !== undefined && size <= MAX_CERTIFICATE_BYTES ? safely(() => readFileSync(path, 'utf8')) : '';
}

const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;
const named = (subject: string, key: string): string => subject.match(new RegExp(`^${key}=(.*)$`, 'm'))?.[1] ?? '';

export const certificates: Reader = (where) => {
  const paths = where.has('path') || where.has('directory') ? asked(where) : asked(new Map([['directory', ['/etc/ssl/certs']]]));
  return paths.flatMap(({ path, directory }) => {
    // A link of the directory names again what is there under another name.
    const text = link(path) === undefined || where.has('path') ? smallFile(path) : '';
    return (text.match(BLOCK) ?? []).flatMap((pem): Row[] => {
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
        return []; // no certificate that OpenSSL reads
      }
    });
  });
};
