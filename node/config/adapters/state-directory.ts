// The state directory of an agent: its key, the swarm's secret, its configuration and its memory. Private to its user.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { KalosError } from '../../errors.ts';

const MIN_SECRET_LENGTH = 16;
/** What the actuator may touch, where the state directory does not say. */
export const SYSTEM_POLICY = '/etc/kalos/actuator.policy';

export interface StateDirectory {
  path: string;
  keyFile: string;
  secretFile: string;
  configFile: string;
  socket: string;
  database: string;
  /** Of the agent's own actuator: its state, its socket and the services' logs. */
  actuator: string;
  actuatorPolicy: string;
}

/** `--dir`, else KALOS_DIR, else /var/lib/kalos for root and the XDG state directory for others. */
export function stateDirectory(given: string | undefined): StateDirectory {
  const fallback =
    process.getuid?.() === 0 ? '/var/lib/kalos' : join(process.env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'kalos');
  const path = resolve(given ?? process.env.KALOS_DIR ?? fallback);
  const file = (name: string): string => join(path, name);
  return {
    path,
    keyFile: file('agent.key'),
    secretFile: file('swarm.secret'),
    configFile: file('kalos.toml'),
    socket: file('agent.sock'),
    database: file('memory'),
    actuator: file('actuator'),
    actuatorPolicy: file('actuator.policy'),
  };
}

/** @throws KalosError `io` where it cannot be made or is open to others. */
export function makeStateDirectory({ path }: StateDirectory): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    chmodSync(path, 0o700);
  } catch (error) {
    throw new KalosError(
      'io',
      `cannot use the state directory ${path}: ${(error as Error).message}`,
      'choose another with --dir',
    );
  }
}

/** The TOML document at `path`; empty where `required` is false and there is none. @throws KalosError `config` with line and column. */
export function readConfigFile(path: string, required: boolean): Record<string, unknown> {
  if (!existsSync(path)) {
    if (required) throw new KalosError('config', `there is no ${path}`);
    return {};
  }
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof TomlError) throw new KalosError('config', `${path}: ${error.message.trim()}`);
    throw new KalosError('io', `cannot read ${path}: ${(error as Error).message}`);
  }
}

export interface SecretSources {
  /** A file named by --secret-file. */
  file: string | undefined;
  /** KALOS_SECRET. */
  environment: string | undefined;
  /** Whether the agent is to join others: then a secret must come from them. */
  joining: boolean;
}

/** The swarm's shared secret: given now, or kept from before, or new for a new swarm. Kept in the state directory (0600). */
export function swarmSecret(directory: StateDirectory, sources: SecretSources): string {
  const given = sources.file === undefined ? sources.environment : readSecret(sources.file);
  const kept = existsSync(directory.secretFile) ? readSecret(directory.secretFile) : undefined;
  if (given !== undefined && kept !== undefined && given.trim() !== kept.trim()) {
    throw new KalosError(
      'config',
      `${directory.path} belongs to another swarm`,
      'choose a new state directory with --dir, or remove swarm.secret from this one to leave its swarm',
    );
  }
  const secret = (given ?? kept)?.trim();
  if (secret === undefined && sources.joining) {
    throw new KalosError(
      'usage',
      'joining needs the swarm’s shared secret',
      'copy swarm.secret from a member’s state directory and pass --secret-file PATH, or set KALOS_SECRET',
    );
  }
  if (secret !== undefined && secret.length < MIN_SECRET_LENGTH) {
    throw new KalosError('config', `the shared secret is shorter than ${MIN_SECRET_LENGTH} characters`);
  }
  const result = secret ?? randomBytes(32).toString('base64url');
  if (kept === undefined) writeFileSync(directory.secretFile, `${result}\n`, { mode: 0o600, flag: 'wx' });
  return result;
}

function readSecret(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new KalosError('io', `cannot read the secret: ${(error as Error).message}`);
  }
}
