// Decides whether a file may control what an agent runs: only if no user except its own and root could have written it.
import { accessSync, constants, lstatSync, readFileSync, readlinkSync, realpathSync, type Stats } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { KalosError } from '../../errors.ts';

const GROUP_WRITES = 0o020;
const ALL_WRITE = 0o002;
/** In a directory with this bit, such as /tmp, users cannot move or remove files of others. */
const STICKY = 0o1000;
/** The kernel's limit. */
const MAX_LINKS = 40;

interface Distrusted {
  path: string;
  /** "belongs to user 1000", "may be written by others (mode 0777)". */
  what: string;
  remedy: string;
}

const statOf = (path: string): Stats | undefined => lstatSync(path, { throwIfNoEntry: false });

/**
 * The first part that another user could write, of a path, its parent directories, and the targets of symbolic links on the way, as far
 * as they exist; undefined if there is none.
 * @param user the user to trust; root is always trusted.
 */
export function distrusted(given: string, user: number, links = MAX_LINKS): Distrusted | undefined {
  const path = resolve(given);
  let at = path;
  while (statOf(at) === undefined && dirname(at) !== at) at = dirname(at);
  for (; ; at = dirname(at)) {
    const stats = lstatSync(at);
    const found = byOthers(at, stats, user, at === path);
    if (found !== undefined) return found;
    if (stats.isSymbolicLink()) {
      if (links === 0) return { path: at, what: 'is a broken symbolic link', remedy: `rm ${at}` };
      const behind = distrusted(resolve(realpathSync(dirname(at)), readlinkSync(at)), user, links - 1);
      if (behind !== undefined) return behind;
    }
    if (dirname(at) === at) return undefined;
  }
}

/** @param isPlace it is the path itself, not a directory on the way. */
function byOthers(path: string, stats: Stats, user: number, isPlace: boolean): Distrusted | undefined {
  const { uid, mode } = stats;
  if (uid !== user && uid !== 0)
    return {
      path,
      what: `belongs to user ${uid}`,
      remedy: isPlace
        ? `chown ${user} ${path}, or choose another place`
        : `choose a place that only user ${user} and root may write, such as one in /etc/kalos, or start it as user ${uid}`,
    };
  if (stats.isSymbolicLink() || ((mode & STICKY) !== 0 && !isPlace)) return undefined;
  const isOpen = (mode & ALL_WRITE) !== 0 || ((mode & GROUP_WRITES) !== 0 && !isPrivateGroup(stats.gid, user));
  if (!isOpen || isReadOnly(path)) return undefined;
  const digits = (mode & 0o7777).toString(8);
  return { path, what: `may be written by others (mode ${digits})`, remedy: `chmod go-w ${path}` };
}

/** A group with one user only, as Debian creates for each user: group write permission is then harmless. */
function isPrivateGroup(gid: number, user: number): boolean {
  try {
    const entries = (file: string): string[][] =>
      readFileSync(file, 'utf8')
        .split('\n')
        .map((line) => line.split(':'));
    const users = entries('/etc/passwd').map(([name = '', , uid, primary]) => ({ name, uid: Number(uid), gid: Number(primary) }));
    const group = entries('/etc/group').find(([, , id]) => id === String(gid));
    const listed = group?.[3]?.split(',').filter((name) => name !== '');
    const own = users.filter(({ uid }) => uid === user || uid === 0).map(({ name }) => name);
    return (
      listed?.every((name) => own.includes(name)) === true &&
      users.every((one) => one.gid !== gid || own.includes(one.name)) &&
      users.some((one) => one.gid === gid)
    );
  } catch {
    return false; // no such files
  }
}

/** On a file system that is mounted read-only, as for configuration in containers, the mode does not matter. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}

/** @throws KalosError if another user could have written the file. */
export function checkTrust(path: string, user = process.getuid?.() ?? 0): void {
  const found = distrusted(path, user);
  if (found === undefined) return;
  const where = found.path === path ? path : `${path} is in ${found.path}, which`;
  throw new KalosError('io', `${where} ${found.what}, so others could change what user ${user} runs`, found.remedy);
}
