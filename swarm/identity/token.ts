// A join token: all that a new machine needs to join. Text that can be copied from a terminal: `kalos1.` and base64url of CBOR
// [swarm's id (16 B), issuer's key (32 B), addresses, token's id (8 B), secret (16 B), network key (32 B) or null] and a checksum.
import { z } from 'zod';
import { decodeCbor, encodeCbor, equalBytes, fromHex, toHex, utf8 } from '../dissemination/cbor.ts';
import { type Crypto, PEER_KEY_BYTES } from '../ports/crypto.ts';
import type { PeerId } from '../ports/transport.ts';
import { NETWORK_KEY_BYTES } from './record.ts';

const PREFIX = 'kalos1.';
const MAX_TOKEN_LENGTH = 2_048;
const CHECKSUM_BYTES = 4;
const SWARM_ID_BYTES = 16;
const TOKEN_ID_BYTES = 8;
export const TOKEN_SECRET_BYTES = 16;
export const MAX_TOKEN_ADDRESSES = 8;

export interface JoinToken {
  swarmId: string;
  /** The issuer that created it, and redeems it while it is alive. */
  issuer: PeerId;
  /** Its addresses, and those of other issuers, which redeem the token if it is down, with their peer ids at the end. */
  addresses: readonly string[];
  id: Uint8Array;
  secret: Uint8Array;
  /** The pre-shared network key, if the swarm has one. */
  networkKey: Uint8Array | undefined;
}

const bytesOf = (length: number) => z.instanceof(Uint8Array).refine((bytes) => bytes.length === length);
const wireSchema = z.tuple([
  bytesOf(SWARM_ID_BYTES),
  bytesOf(PEER_KEY_BYTES),
  z.array(z.string().min(1).max(200)).min(1).max(MAX_TOKEN_ADDRESSES),
  bytesOf(TOKEN_ID_BYTES),
  bytesOf(TOKEN_SECRET_BYTES),
  bytesOf(NETWORK_KEY_BYTES).nullable(),
]);

export function encodeToken(crypto: Pick<Crypto, 'keyOf' | 'hash'>, token: JoinToken): string {
  const { swarmId, issuer, addresses, id, secret, networkKey } = token;
  const body = encodeCbor([fromHex(swarmId), crypto.keyOf(issuer), addresses, id, secret, networkKey ?? null]);
  return `${PREFIX}${Buffer.concat([body, checksum(crypto, body)]).toString('base64url')}`;
}

function checksum(crypto: Pick<Crypto, 'hash'>, body: Uint8Array): Uint8Array {
  return crypto.hash(new Uint8Array([...utf8(PREFIX), ...body])).subarray(0, CHECKSUM_BYTES);
}

/** The issuer at an address of a token. */
export const issuerAt = (token: JoinToken, address: string): PeerId => address.match(/\/p2p\/([^/]+)$/)?.[1] ?? token.issuer;

export const mayRedeem = (token: JoinToken, peer: PeerId): boolean =>
  peer === token.issuer || token.addresses.some((address) => issuerAt(token, address) === peer);

/** Whether a text is meant as a token, valid or not. */
export const looksLikeToken = (text: string): boolean => text.trim().startsWith('kalos');

/** The token in a text, or why the text is invalid. */
export function parseToken(crypto: Pick<Crypto, 'peerOf' | 'hash'>, text: string): JoinToken | string {
  const trimmed = text.trim();
  if (!looksLikeToken(trimmed)) return 'not a join token: it must begin with kalos1.';
  if (!trimmed.startsWith(PREFIX)) return 'the token is of another KALOS version: update the older agent';
  if (trimmed.length > MAX_TOKEN_LENGTH) return 'the join token is too long';
  const whole = fromBase64(trimmed.slice(PREFIX.length));
  if (whole === undefined) return 'it contains an invalid character';
  const body = whole.subarray(0, -CHECKSUM_BYTES);
  if (!equalBytes(whole.subarray(-CHECKSUM_BYTES), checksum(crypto, body)))
    return 'it was cut short or mistyped: its checksum is wrong';
  const wire = wireSchema.safeParse(decodeCbor(body)).data;
  const issuer = wire && crypto.peerOf(wire[1]);
  if (wire === undefined || issuer === undefined) return 'its content is invalid';
  const [swarm, , addresses, id, secret, networkKey] = wire;
  return { swarmId: toHex(swarm), issuer, addresses, id, secret, networkKey: networkKey ?? undefined };
}

function fromBase64(text: string): Uint8Array | undefined {
  return /^[\w-]+$/.test(text) ? new Uint8Array(Buffer.from(text, 'base64url')) : undefined;
}
