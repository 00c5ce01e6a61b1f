// The genesis record of a swarm: its hash is the swarm's id. Its root keys appoint issuers and operators, m of n.
import { z } from 'zod';
import { decodeCbor, encodeCbor, toHex } from '../dissemination/cbor.ts';
import { type Crypto, PEER_KEY_BYTES } from '../ports/crypto.ts';
import type { PeerId } from '../ports/transport.ts';

const GENESIS_VERSION = 1;
const MAX_GENESIS_BYTES = 2_048;
export const MAX_ROOT_KEYS = 16;
export const MAX_SWARM_NAME = 32;
const NONCE_BYTES = 16;
/** The swarm's id: 128 bits of the hash. */
const SWARM_ID_HEX = 32;

export interface Genesis {
  /** 32 hex digits. */
  swarmId: string;
  name: string;
  rootKeys: readonly PeerId[];
  /** How many root keys must sign. */
  threshold: number;
  createdMs: number;
  /** As it is stored and sent. */
  bytes: Uint8Array;
}

const wireSchema = z
  .tuple([
    z.literal(GENESIS_VERSION),
    z.string().min(1).max(MAX_SWARM_NAME),
    z
      .array(z.instanceof(Uint8Array).refine((key) => key.length === PEER_KEY_BYTES))
      .min(1)
      .max(MAX_ROOT_KEYS),
    z.number().int().min(1),
    z.number().int().nonnegative(),
    z.instanceof(Uint8Array).refine((nonce) => nonce.length === NONCE_BYTES),
  ])
  .refine(([, , keys, threshold]) => threshold <= keys.length);

export function makeGenesis(
  crypto: Pick<Crypto, 'keyOf' | 'peerOf' | 'hash'>,
  parts: { name: string; rootKeys: readonly PeerId[]; threshold: number; createdMs: number; nonce: Uint8Array },
): Genesis {
  const { name, rootKeys, threshold, createdMs, nonce } = parts;
  const keys = rootKeys.map((peer) => crypto.keyOf(peer));
  const genesis = parseGenesis(crypto, encodeCbor([GENESIS_VERSION, name, keys, threshold, Math.round(createdMs), nonce]));
  if (genesis === undefined) throw new RangeError(`${threshold} of ${rootKeys.length} root keys cannot be a threshold`);
  return genesis;
}

/** Undefined if malformed. */
export function parseGenesis(crypto: Pick<Crypto, 'peerOf' | 'hash'>, bytes: Uint8Array): Genesis | undefined {
  if (bytes.length > MAX_GENESIS_BYTES) return undefined;
  const wire = wireSchema.safeParse(decodeCbor(bytes)).data;
  if (wire === undefined) return undefined;
  const [, name, keys, threshold, createdMs] = wire;
  const rootKeys = keys.flatMap((key) => crypto.peerOf(key) ?? []);
  if (new Set(rootKeys).size !== keys.length) return undefined; // malformed, or a key is listed twice
  const swarmId = toHex(crypto.hash(bytes)).slice(0, SWARM_ID_HEX);
  return { swarmId, name, rootKeys, threshold, createdMs, bytes };
}
