// The state directory of an agent: its key, root keys where it holds any, its configuration and its memory. Private to its user.
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { readRegular } from '../../adapters/regular-file.ts';
import { KalosError } from '../../errors.ts';

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
  /** Of the agent's own actuator: its state, its socket and the services' logs. */
  actuator: string;
  actuatorPolicy: string;
  /** Releases of KALOS that the swarm has decided on. */
  releases: string;
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
    rootKeys: file('root'),
    networkKey: file('network.key'),
    configFile: file('kalos.toml'),
    socket: file('agent.sock'),
    database: file('memory'),
    actuator: file('actuator'),
    actuatorPolicy: file('actuator.policy'),
    releases: file('releases'),
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

/**
 * The TOML document at `path`; empty where `required` is false and there is none.
 * @param read how: an agent takes regular files alone, and waits for none.
 * @throws KalosError `config` with line and column.
 */
export function readConfigFile(path: string, required: boolean, read = readRegular): Record<string, unknown> {
  if (!existsSync(path)) {
    if (required) throw new KalosError('config', `there is no ${path}`);
    return {};
  }
  try {
    return parse(read(path).toString('utf8'));
  } catch (error) {
    if (error instanceof TomlError) throw new KalosError('config', `${path}: ${error.message.trim()}`);
    throw new KalosError('io', `cannot read ${path}: ${(error as Error).message}`);
  }
}
