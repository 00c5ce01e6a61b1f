// The files that a swarm is founded on: root keys, and the network key. All of them 0600, each whole or not there.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, toHex } from '../../../swarm/dissemination/cbor.ts';
import type { Signer } from '../../../swarm/identity/admission.ts';
import { Ed25519Crypto, loadIdentity } from '../../../swarm/libp2p/identity.ts';
import { KalosError } from '../../errors.ts';
import type { StateDirectory } from './state-directory.ts';

const KEY_SUFFIX = '.key';
const NETWORK_KEY_BYTES = 32;

/** A key from its file. @throws KalosError */
export async function keyFrom(path: string): Promise<Signer> {
  if (!existsSync(path)) throw new KalosError('io', `there is no key file ${path}`);
  try {
    return new Ed25519Crypto(await loadIdentity(path));
  } catch (error) {
    throw new KalosError('config', `${path} is no key: ${(error as Error).message}`);
  }
}

/** A new key in a file that must not exist. @throws KalosError */
export async function makeKey(path: string): Promise<Signer> {
  if (existsSync(path)) throw new KalosError('io', `${path} exists already`, 'choose another file, or move that one away');
  return new Ed25519Crypto(await loadIdentity(path));
}

/** The root keys that lie in a directory; none where there is no such directory. */
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

/** 32 bytes as 64 hex digits. @throws KalosError */
export function readNetworkKey(path: string): Uint8Array | undefined {
  if (!existsSync(path)) return undefined;
  const text = readFileSync(path, 'utf8').trim();
  if (!/^[0-9a-f]{64}$/.test(text))
    throw new KalosError('config', `${path} is no network key`, 'it holds 64 hex digits: openssl rand -hex 32');
  return fromHex(text);
}

export function keepNetworkKey({ networkKey: path }: StateDirectory, key: Uint8Array): void {
  writeFileSync(path, `${toHex(key)}\n`, { mode: 0o600 });
}

export const newNetworkKey = (): Uint8Array => new Uint8Array(randomBytes(NETWORK_KEY_BYTES));
