// Checks a state directory before anything in it is opened: for `kalos up` and `kalos doctor` alike. An error is one line that names the
// file, and how to recover.
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadIdentity } from '../../../swarm/libp2p/identity.ts';
import { damageOf } from '../../adapters/level-damage.ts';
import { KalosError, reasonOf } from '../../errors.ts';
import type { StateDirectory } from './state-directory.ts';
import { readNetworkKeys, rootKeysIn } from './swarm-files.ts';
import { checkTrust } from './trust.ts';

/** How to recover state that cannot be created again: from a backup, or as a new member. */
export function wayBack(path: string): string {
  return `restore it from a backup made after its last run; or join as a new member: mv ${path} ${path}.damaged, then kalos up --join TOKEN (made on another member: kalos token create)`;
}

/**
 * @param tableBytes how much of the database's tables is read.
 * @param looks it is only examined: then root may do it for another user.
 * @throws KalosError with the first thing that is wrong.
 */
export async function checkState(directory: StateDirectory, tableBytes = Number.POSITIVE_INFINITY, looks = false): Promise<void> {
  if (existsSync(directory.path)) checkDirectory(directory.path, looks);
  // Who only looks is told what its own user would be.
  checkTrust(directory.path, looks ? statSync(directory.path, { throwIfNoEntry: false })?.uid : undefined);
  if (!existsSync(directory.path)) return;
  await checkKeys(directory);
  checkDatabase(directory, tableBytes);
}

function checkDirectory(path: string, looks: boolean): void {
  const at = statSync(path);
  if (!at.isDirectory())
    throw new KalosError('io', `${path} is not a directory`, 'choose another state directory with --dir, or move that file away');
  const user = process.getuid?.() ?? at.uid;
  if (at.uid !== user && !(looks && user === 0))
    throw new KalosError(
      'io',
      `${path} belongs to user ${at.uid}, but this is user ${user}`,
      `run as its owner, or: chown -R ${user} ${path}`,
    );
}

async function checkKeys({ path, keyFile, networkKey, rootKeys, database }: StateDirectory): Promise<void> {
  const file = readable(keyFile);
  if (file === undefined && existsSync(join(database, 'CURRENT')))
    throw new KalosError('damaged', `${keyFile} is missing, and ${database} belongs to the agent that had it`, wayBack(path));
  if (file !== undefined)
    await loadIdentity(keyFile).catch((error: Error) => {
      throw new KalosError('damaged', error.message, wayBack(path));
    });
  readable(networkKey);
  readNetworkKeys(networkKey);
  await rootKeysIn(rootKeys);
}

/** @returns its contents; undefined if it does not exist. @throws KalosError if it is not a file, or cannot be read. */
function readable(path: string): Buffer | undefined {
  const at = lstatSync(path, { throwIfNoEntry: false });
  if (at === undefined) return undefined;
  if (!statSync(path, { throwIfNoEntry: false })?.isFile())
    throw new KalosError(
      'damaged',
      `${path} is not a file`,
      `move it away, and restore the file; or: mv ${dirname(path)} ${dirname(path)}.damaged`,
    );
  try {
    return readFileSync(path);
  } catch (error) {
    throw new KalosError(
      'io',
      `${path} cannot be read: ${reasonOf(error)}`,
      `give this user access: chown ${process.getuid?.() ?? ''} ${path}; chmod 600 ${path}`,
    );
  }
}

function checkDatabase({ path, database }: StateDirectory, tableBytes: number): void {
  if (!existsSync(database)) return;
  if (!statSync(database).isDirectory()) throw new KalosError('damaged', `${database} is not a directory`, wayBack(path));
  const user = process.getuid?.() ?? 0;
  for (const name of ['', ...readdirSync(database)]) {
    const one = join(database, name);
    const at = statSync(one, { throwIfNoEntry: false });
    if (at !== undefined && at.uid !== user && user !== 0)
      throw new KalosError(
        'io',
        `${one} belongs to user ${at.uid}, but this is user ${user}`,
        `run as its owner, or: chown -R ${user} ${path}`,
      );
  }
  if (isInUse(database)) return; // its agent writes to it just now
  let damage: ReturnType<typeof damageOf>;
  try {
    damage = damageOf(database, tableBytes);
  } catch (error) {
    throw new KalosError(
      'io',
      `${database} cannot be read: ${reasonOf(error)}`,
      `give this user access: chown -R ${user} ${path}; chmod -R u+rwX ${path}`,
    );
  }
  if (damage !== undefined) throw new KalosError('damaged', `${damage.file} ${damage.what}`, wayBack(path));
}

/** Whether a process has the database's lock, as the kernel lists it. */
export function isInUse(database: string): boolean {
  const lock = statSync(join(database, 'LOCK'), { throwIfNoEntry: false });
  if (lock === undefined || !existsSync('/proc/locks')) return false;
  return readFileSync('/proc/locks', 'utf8').includes(`:${lock.ino} `);
}
