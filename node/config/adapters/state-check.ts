// Checks a state directory before anything in it is opened, for `kalos up` and `kalos doctor`. An error is one line with the file and
// how to recover.
import { existsSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loadIdentity } from '../../../swarm/libp2p/identity.ts';
import { damageOf } from '../../adapters/level-damage.ts';
import { KalosError, reasonOf } from '../../errors.ts';
import type { StateDirectory } from './state-directory.ts';
import { readNetworkKeys, rootKeysIn } from './swarm-files.ts';
import { checkTrust } from './trust.ts';

/** The hint for state that is lost: restore a backup, or join as a new member. */
export function recoveryHint(path: string): string {
  return `restore a backup made after its last run; or join as a new member: mv ${path} ${path}.damaged, then kalos up --join TOKEN (TOKEN: kalos token create on another member)`;
}

/**
 * @param tableBytes how much of the database's tables is read.
 * @param looks only examine: then root may check the directory of another user.
 * @throws KalosError for the first problem.
 */
export async function checkState(directory: StateDirectory, tableBytes = Number.POSITIVE_INFINITY, looks = false): Promise<void> {
  if (existsSync(directory.path)) checkDirectory(directory.path, looks);
  // An examination reports what the owner of the directory would get.
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
    throw new KalosError(
      'damaged',
      `${keyFile} is missing, but ${database} belongs to the agent of that key`,
      recoveryHint(path),
    );
  if (file !== undefined)
    await loadIdentity(keyFile).catch((error: Error) => {
      throw new KalosError('damaged', error.message, recoveryHint(path));
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
      `restore the file from a backup; or: mv ${dirname(path)} ${dirname(path)}.damaged`,
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
  if (!statSync(database).isDirectory()) throw new KalosError('damaged', `${database} is not a directory`, recoveryHint(path));
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
  if (isInUse(database)) return; // its agent is writing to it
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
  if (damage !== undefined) throw new KalosError('damaged', `${damage.file} ${damage.what}`, recoveryHint(path));
}

/** Whether a process holds the database's lock, according to the kernel. */
export function isInUse(database: string): boolean {
  const lock = statSync(join(database, 'LOCK'), { throwIfNoEntry: false });
  if (lock === undefined || !existsSync('/proc/locks')) return false;
  return readFileSync('/proc/locks', 'utf8').includes(`:${lock.ino} `);
}
