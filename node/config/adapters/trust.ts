// Whether what is read from a place may decide what an agent runs: only where nobody but its user, and root, could have put it there.
import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { KalosError } from '../../errors.ts';

const OTHERS_WRITE = 0o022;
/** In a directory with it, such as /tmp, nobody moves or removes what is another's. */
const STICKY = 0o1000;

interface Distrusted {
  path: string;
  /** "belongs to user 1000", "may be written by others (mode 0777)". */
  what: string;
  remedy: string;
}

/**
 * The first of a path and the directories that it lies in, as far as they exist and after all symbolic links, that somebody else
 * could write; undefined where there is none.
 * @param user whose place it is to be; root is always trusted.
 */
export function distrusted(path: string, user: number): Distrusted | undefined {
  let at = path;
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  for (at = realpathSync(at); ; at = dirname(at)) {
    const { uid, mode } = lstatSync(at);
    if (uid !== user && uid !== 0)
      return { path: at, what: `belongs to user ${uid}`, remedy: `chown ${user} ${at}, or choose another place` };
    const isShared = (mode & STICKY) !== 0 && at !== path;
    if ((mode & OTHERS_WRITE) !== 0 && !isShared)
      return { path: at, what: `may be written by others (mode ${(mode & 0o7777).toString(8)})`, remedy: `chmod go-w ${at}` };
    if (dirname(at) === at) return undefined;
  }
}

/** @throws KalosError where somebody else could have written what is there. */
export function checkTrust(path: string, user = process.getuid?.() ?? 0): void {
  const found = distrusted(path, user);
  if (found === undefined) return;
  const where = found.path === path ? path : `${path} lies in ${found.path}, which`;
  throw new KalosError('io', `${where} ${found.what}, and what is there decides what user ${user} runs`, found.remedy);
}
