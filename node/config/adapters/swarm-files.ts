// Key files: root keys and the network key. Mode 0600; each is written completely or not at all.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, toHex } from '../../../swarm/dissemination/cbor.ts';
import { NETWORK_KEY_BYTES } from '../../../swarm/identity/record.ts';
import type { Signer } from '../../../swarm/identity/roster-store.ts';
import { Ed25519Crypto, loadIdentity } from '../../../swarm/libp2p/identity.ts';
import { KalosError } from '../../errors.ts';
import type { StateDirectory } from './state-directory.ts';

const KEY_SUFFIX = '.key';

/** A key from its file. @throws KalosError */
export async function keyFrom(path: string): Promise<Signer> {
  if (!existsSync(path)) throw new KalosError('io', `the key file ${path} does not exist`);
  try {
    return new Ed25519Crypto(await loadIdentity(path));
  } catch (error) {
    throw new KalosError('damaged', (error as Error).message, 'restore it from a copy');
  }
}

/** A new key in a file that must not exist. @throws KalosError */
export async function makeKey(path: string): Promise<Signer> {
  if (existsSync(path)) throw new KalosError('io', `${path} exists already`, 'choose another file, or move it');
  return new Ed25519Crypto(await loadIdentity(path));
}

/** The root keys in a directory; none if the directory does not exist. */
export function rootKeysIn(directory: string): Promise<Signer[]> {
  if (!existsSync(directory)) return Promise.resolve([]);
  const files = readdirSync(directory).filter((file) => file.endsWith(KEY_SUFFIX));
  return Promise.all(files.sort().map((file) => keyFrom(join(directory, file))));
}

export async function makeRootKeys(directory: string, count: number): Promise<Signer[]> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  chmodSync(directory, 0o700);
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  return Promise.all(numbers.map((number) => makeKey(join(directory, `${number}${KEY_SUFFIX}`))));
}

/** Newest first; each key of 32 bytes is a line of 64 hex digits. None if there is no file. @throws KalosError */
export function readNetworkKeys(path: string): Uint8Array[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  if (!lines.every((line) => /^[0-9a-f]{64}$/.test(line)))
    throw new KalosError(
      'damaged',
      `${path} ${lines.join('') === '' ? 'is empty' : 'is damaged'}: it should have the swarm's network keys, one per line, 64 hex digits each`,
      `copy it from another member; or delete it and start with a join token, which contains it: kalos up --join TOKEN`,
    );
  return lines.map(fromHex);
}

export function keepNetworkKeys({ networkKey: path }: StateDirectory, keys: readonly Uint8Array[]): void {
  const whole = `${path}.new`;
  writeFileSync(whole, `${keys.map(toHex).join('\n')}\n`, { mode: 0o600, flush: true });
  renameSync(whole, path);
}

export const newNetworkKey = (): Uint8Array => new Uint8Array(randomBytes(NETWORK_KEY_BYTES));
