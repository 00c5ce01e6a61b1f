// The state directory of an agent: its key, root keys where it holds any, its configuration and its memory. Private to its user.
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { readRegular } from '../../adapters/regular-file.ts';
import { KalosError, reasonOf } from '../../errors.ts';

/** What the actuator may touch, where the state directory does not say. */
export const SYSTEM_POLICY = '/etc/kalos/actuator.policy';

export interface StateDirectory {
  path: string;
  keyFile: string;
  /** Root keys of the swarm, one a file; empty or missing where they are kept elsewhere. */
  rootKeys: string;
  /** The swarm's pre-shared network key, where it has one. */
  networkKey: string;
  configFile: string;
  socket: string;
  database: string;
  /** Files that reserve space for when the disk is full. */
  reserve: string;
  /** Of the agent's own actuator: its state, its socket and the services' logs. */
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
      `the path of the state directory has ${bytes} bytes, at most ${most} are possible, for Unix sockets are in it: ${where}`,
      'choose a shorter one with --dir',
    );
}

/** @throws KalosError `io` where it cannot be made or is open to others. */
export function makeStateDirectory({ path }: StateDirectory): void {
  try {
    makeDirectories(path);
    chmodSync(path, 0o700);
  } catch (error) {
    throw new KalosError(
      'io',
      `the state directory ${path} cannot be used: ${reasonOf(error)}`,
      'fix that, or choose another with --dir',
    );
  }
}

/** Not by Node's own `recursive`, which does not end below a directory that takes none, such as /proc. */
function makeDirectories(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeDirectories(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/**
 * The TOML document at `path`; empty where `required` is false and there is none.
 * @param read how: an agent takes regular files alone, and waits for none.
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
    if (required) throw new KalosError('config', `there is no ${path}`);
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
        'it is TOML: see docs/CONFIG.md for every key',
      );
    }
    throw new KalosError('io', `${path} cannot be read: ${reasonOf(error)}`, 'it should be a TOML file that this user can read');
  }
}
