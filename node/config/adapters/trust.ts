// Whether what is read from a place may decide what an agent runs: only where nobody but its user, and root, could have put it there.
import { accessSync, constants, lstatSync, readFileSync, readlinkSync, realpathSync, type Stats } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { KalosError } from '../../errors.ts';

const GROUP_WRITES = 0o020;
const ALL_WRITE = 0o002;
/** In a directory with it, such as /tmp, nobody moves or removes what is another's. */
const STICKY = 0o1000;
/** As many as the kernel follows. */
const MAX_LINKS = 40;

interface Distrusted {
  path: string;
  /** "belongs to user 1000", "may be written by others (mode 0777)". */
  what: string;
  remedy: string;
}

const statOf = (path: string): Stats | undefined => lstatSync(path, { throwIfNoEntry: false });

/**
 * The first of a path, the directories that it lies in, and all that symbolic links on the way lead through, as far as they exist, that
 * somebody else could write; undefined where there is none.
 * @param user whose place it is to be; root is always trusted.
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
      if (links === 0) return { path: at, what: 'is a link that leads nowhere', remedy: `rm ${at}` };
      const behind = distrusted(resolve(realpathSync(dirname(at)), readlinkSync(at)), user, links - 1);
      if (behind !== undefined) return behind;
    }
    if (dirname(at) === at) return undefined;
  }
}

/** @param isPlace it is not only a directory on the way. */
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

/** As Debian gives each user, whose files the whole group may then write: nobody else is in it. */
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

/** Nobody writes to a file system that is mounted so, as configuration is in containers, whatever the mode. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EROFS';
  }
}

/** @throws KalosError where somebody else could have written what is there. */
export function checkTrust(path: string, user = process.getuid?.() ?? 0): void {
  const found = distrusted(path, user);
  if (found === undefined) return;
  const where = found.path === path ? path : `${path} lies in ${found.path}, which`;
  throw new KalosError('io', `${where} ${found.what}, and what is there decides what user ${user} runs`, found.remedy);
}
