// Signatures and hashes as a port. Reality is Ed25519 (RFC 8032) and SHA-256; the simulator models both with the real sizes.
import type { PeerId } from './transport.ts';

export const PEER_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;
export const HASH_BYTES = 32;

export interface Crypto {
  readonly self: PeerId;
  /** Signs with the agent's own key: 64 bytes. */
  sign(bytes: Uint8Array): Uint8Array;
  verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean;
  /** When an X.509 certificate in PEM ends, wall clock; undefined if it is not one. */
  certificateEndMs(pem: Uint8Array): number | undefined;
  /** The names in an X.509 certificate (PEM or DER): its DNS names, else its subject's; empty if it is not a certificate. */
  certificateNames(certificate: Uint8Array): readonly string[];
  /** SHA-256 or its model: 32 bytes. */
  hash(bytes: Uint8Array): Uint8Array;
  /** The 32-byte public key of a peer id; undefined if the id is malformed. */
  keyOf(peer: PeerId): Uint8Array | undefined;
  peerOf(key: Uint8Array): PeerId | undefined;
}
