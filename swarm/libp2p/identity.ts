// An agent's identity: its Ed25519 libp2p key in a file (0600), and the Crypto port on Node's own Ed25519 (RFC 8032).
import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify, X509Certificate } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import {
  generateKeyPair,
  generateKeyPairFromSeed,
  privateKeyFromProtobuf,
  privateKeyToProtobuf,
  publicKeyFromRaw,
} from '@libp2p/crypto/keys';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id';
import { type Crypto, PEER_KEY_BYTES } from '../ports/crypto.ts';
import type { PeerId } from '../ports/transport.ts';

/** A private and a public key, each of 32 bytes, in libp2p's protobuf. */
const STORED_KEY_BYTES = 68;
const MAX_CACHED_KEYS = 4_096;
/** ASN.1 headers of an Ed25519 key in PKCS #8 and SubjectPublicKeyInfo (RFC 8410); the raw key follows. */
const PKCS8_HEADER = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_HEADER = Buffer.from('302a300506032b6570032100', 'hex');

export interface Identity {
  peer: PeerId;
  privateKey: Ed25519PrivateKey;
}

/** Reads the key at `path`, or creates one there. @throws Error with the reason if the file has no valid Ed25519 key. */
export async function loadIdentity(path: string): Promise<Identity> {
  const stored = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw new Error(
      `${path} ${error.code === 'EISDIR' ? 'is a directory: it should be a key file' : `cannot be read: ${error.message}`}`,
    );
  });
  const key = stored === undefined ? await generateKeyPair('Ed25519') : await keyIn(path, stored);
  if (stored === undefined) await writeWhole(path, privateKeyToProtobuf(key));
  return { peer: peerIdFromPrivateKey(key).toString(), privateKey: key };
}

async function keyIn(path: string, stored: Uint8Array): Promise<Ed25519PrivateKey> {
  if (stored.length === 0) throw new Error(`${path} is empty: it should contain a key of ${STORED_KEY_BYTES} bytes`);
  if (stored.length !== STORED_KEY_BYTES) throw new Error(`${path} has ${stored.length} bytes: a key has ${STORED_KEY_BYTES}`);
  const key = keyOf(stored);
  if (key?.type !== 'Ed25519') throw new Error(`${path} has no Ed25519 key`);
  // The file has both halves of the key: a flipped bit in either is noticed.
  const own = await generateKeyPairFromSeed('Ed25519', key.raw.subarray(0, PEER_KEY_BYTES));
  if (!own.publicKey.equals(key.publicKey)) throw new Error(`${path} is damaged: its private and public halves do not match`);
  return key;
}

function keyOf(stored: Uint8Array) {
  try {
    return privateKeyFromProtobuf(stored);
  } catch {
    return undefined;
  }
}

/** Writes a private file atomically: a full disk or a power cut never leaves a truncated one. */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const fresh = `${path}.new`;
  try {
    const file = await open(fresh, 'w', 0o600);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined);
    throw error;
  }
}

/** The same key for the same 32 bytes: for simulations, never for a machine. */
export async function identityFromSeed(seed: Uint8Array): Promise<Identity> {
  const privateKey = await generateKeyPairFromSeed('Ed25519', seed);
  return { peer: peerIdFromPrivateKey(privateKey).toString(), privateKey };
}

const hash = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest());

/** Peer ids and their public keys, bounded. */
class KeyCache {
  readonly #peers = new Map<PeerId, { raw: Uint8Array; key: KeyObject }>();

  get(peer: PeerId): { raw: Uint8Array; key: KeyObject } | undefined {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const raw = rawKeyOf(peer);
    if (raw === undefined) return undefined;
    const key = createPublicKey({ key: Buffer.concat([SPKI_HEADER, raw]), format: 'der', type: 'spki' });
    if (this.#peers.size >= MAX_CACHED_KEYS) this.#peers.clear();
    this.#peers.set(peer, { raw, key });
    return { raw, key };
  }

  verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
    const key = this.get(peer)?.key;
    return key !== undefined && verify(null, bytes, key, signature);
  }
}

/** Checks signatures and hashes, without an own key. */
export function makeVerifier(): Pick<Crypto, 'hash' | 'verify' | 'peerOf'> {
  const keys = new KeyCache();
  return { hash, verify: (peer, bytes, signature) => keys.verify(peer, bytes, signature), peerOf };
}

function peerOf(key: Uint8Array): PeerId | undefined {
  try {
    return peerIdFromPublicKey(publicKeyFromRaw(key)).toString();
  } catch {
    return undefined;
  }
}

export class Ed25519Crypto implements Crypto {
  readonly self: PeerId;
  readonly hash = hash;
  readonly peerOf = peerOf;
  readonly #key: KeyObject;
  readonly #peers = new KeyCache();

  constructor({ peer, privateKey }: Identity) {
    this.self = peer;
    const der = Buffer.concat([PKCS8_HEADER, privateKey.raw.subarray(0, PEER_KEY_BYTES)]);
    this.#key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  }

  sign(bytes: Uint8Array): Uint8Array {
    return new Uint8Array(sign(null, bytes, this.#key));
  }

  verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
    return this.#peers.verify(peer, bytes, signature);
  }

  certificateEndMs(pem: Uint8Array): number | undefined {
    try {
      const endMs = Date.parse(new X509Certificate(pem).validTo);
      return Number.isFinite(endMs) ? endMs : undefined;
    } catch {
      return undefined;
    }
  }

  certificateNames(certificate: Uint8Array): readonly string[] {
    try {
      const { subjectAltName = '', subject } = new X509Certificate(certificate);
      const names = [...subjectAltName.matchAll(/DNS:([^,\s]+)/g)].map(([, name = '']) => name);
      return names.length > 0 ? names : (subject?.split('\n') ?? []);
    } catch {
      return [];
    }
  }

  keyOf(peer: PeerId): Uint8Array | undefined {
    return this.#peers.get(peer)?.raw;
  }
}

function rawKeyOf(peer: PeerId): Uint8Array | undefined {
  try {
    const id = peerIdFromString(peer);
    return id.type === 'Ed25519' ? id.publicKey.raw : undefined;
  } catch {
    return undefined;
  }
}
