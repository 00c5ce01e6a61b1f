// The state directory of an agent: its key, root keys if it has any, configuration and database. Private to its user.
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { readRegular } from '../../adapters/regular-file.ts';
import { KalosError, reasonOf } from '../../errors.ts';

/** The actuator policy if the state directory has none. */
export const SYSTEM_POLICY = '/etc/kalos/actuator.policy';

export interface StateDirectory {
  path: string;
  keyFile: string;
  /** Root keys of the swarm, one file each; empty or missing if they are kept elsewhere. */
  rootKeys: string;
  /** The swarm's pre-shared network key, if it has one. */
  networkKey: string;
  configFile: string;
  socket: string;
  database: string;
  /** Files that reserve space, for a full disk. */
  reserve: string;
  /** The agent's own actuator: its state, its socket and the logs of services. */
  actuator: string;
  actuatorPolicy: string;
  /** Releases of KALOS that the swarm has decided on. */
  releases: string;
}

/** `--dir`, else KALOS_DIR, else /var/lib/kalos for root and the XDG state directory for others. */
export function stateDirectory(given: string | undefined): StateDirectory {
  if (given === '') throw new KalosError('usage', '--dir is empty', 'name the state directory, such as --dir /var/lib/kalos');
  const path = resolve(given ?? (process.env.KALOS_DIR || usualDirectory()));
  checkPath(path);
  const file = (name: string): string => join(path, name);
  return {
    path,
    keyFile: file('agent.key'),
    rootKeys: file('root'),
    networkKey: file('network.key'),
    configFile: file('kalos.toml'),
    socket: file('agent.sock'),
    database: file('memory'),
    reserve: file('reserve'),
    actuator: file('actuator'),
    actuatorPolicy: file('actuator.policy'),
    releases: file('releases'),
  };
}

function usualDirectory(): string {
  if (process.getuid?.() === 0) return '/var/lib/kalos';
  if (process.env.XDG_STATE_HOME) return join(process.env.XDG_STATE_HOME, 'kalos');
  try {
    return join(homedir(), '.local', 'state', 'kalos');
  } catch {
    throw new KalosError(
      'usage',
      'this user has no home directory, and HOME is not set',
      'name the state directory with --dir or KALOS_DIR',
    );
  }
}

/** sun_path of unix(7), without its final zero. */
const MAX_SOCKET_PATH_BYTES = 107;
const LONGEST_SOCKET = '/actuator/sock';

function checkPath(path: string): void {
  const most = MAX_SOCKET_PATH_BYTES - LONGEST_SOCKET.length;
  const bytes = Buffer.byteLength(path);
  const where = bytes > MAX_SOCKET_PATH_BYTES ? `${path.slice(0, MAX_SOCKET_PATH_BYTES)}…` : path;
  if ([...path].some((letter) => letter < ' ' || letter === '\u007f'))
    throw new KalosError(
      'usage',
      `the path of the state directory has a control character: ${JSON.stringify(where)}`,
      'choose another with --dir',
    );
  if (bytes > most)
    throw new KalosError(
      'usage',
      `the path of the state directory has ${bytes} bytes, limit ${most} because of its Unix sockets: ${where}`,
      'choose a shorter one with --dir',
    );
}

/** @throws KalosError `io` if it cannot be created or made private. */
export function makeStateDirectory({ path }: StateDirectory): void {
  try {
    makeDirectories(path);
    chmodSync(path, 0o700);
  } catch (error) {
    throw new KalosError(
      'io',
      `the state directory ${path} cannot be used: ${reasonOf(error)}`,
      'fix this, or choose another with --dir',
    );
  }
}

/** Without Node's `recursive`, which does not end below a directory such as /proc, in which none can be created. */
function makeDirectories(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeDirectories(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/**
 * The TOML document at `path`; empty if there is no file and `required` is false.
 * @param read the reader: an agent reads regular files only, and never blocks.
 * @throws KalosError `config` with line and column.
 */
export const readConfigFile = (path: string, required: boolean, read = readRegular): Record<string, unknown> =>
  readConfig(path, required, read).document;

/** With its text. @throws KalosError as `readConfigFile` does */
export function readConfig(
  path: string,
  required: boolean,
  read = readRegular,
): { document: Record<string, unknown>; text: string } {
  if (!existsSync(path)) {
    if (required) throw new KalosError('config', `${path} does not exist`);
    return { document: {}, text: '' };
  }
  try {
    const text = read(path).toString('utf8');
    return { document: parse(text), text };
  } catch (error) {
    if (error instanceof TomlError) {
      const what = error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '');
      throw new KalosError(
        'config',
        `${path}:${error.line}:${error.column}: ${what}`,
        'the file must be TOML: see docs/CONFIG.md for every key',
      );
    }
    throw new KalosError('io', `${path} cannot be read: ${reasonOf(error)}`, 'it must be a TOML file that this user can read');
  }
}
