// Cryptography as a model: signatures of the real size that only the holder of a key can make, because verifying
// recomputes them from a secret that the simulator alone knows. Hashes are real SHA-256: exact on every machine.
import { createHash } from 'node:crypto';
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, PEER_KEY_BYTES, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';

const PREFIX = 'sim';

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** A simulated peer id: `sim` and the key in base64url, no longer than a real one. */
export function simulatedPeer(index: number, seed: number): PeerId {
  return `${PREFIX}${Buffer.from(sha256(utf8(`peer ${seed} ${index}`))).toString('base64url')}`;
}

export class ModelledCrypto implements Crypto {
  readonly self: PeerId;
  readonly #secret: Uint8Array;

  /** @param secret of the whole simulated world: what makes tokens unforgeable within it. */
  constructor(self: PeerId, secret: Uint8Array) {
    this.self = self;
    this.#secret = secret;
  }

  #token(peer: PeerId, bytes: Uint8Array): Uint8Array {
    const half = sha256(this.#secret, utf8(peer), bytes);
    const signature = new Uint8Array(SIGNATURE_BYTES);
    signature.set(half);
    signature.set(half, SIGNATURE_BYTES / 2);
    return signature;
  }

  sign(bytes: Uint8Array): Uint8Array {
    return this.#token(this.self, bytes);
  }

  verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
    const expected = this.#token(peer, bytes);
    return signature.length === expected.length && expected.every((byte, index) => byte === signature[index]);
  }

  hash(bytes: Uint8Array): Uint8Array {
    return sha256(bytes);
  }

  /** A modelled certificate is the text `ends MS`. */
  certificateEndMs(pem: Uint8Array): number | undefined {
    const end = new TextDecoder().decode(pem).match(/^ends (\d+)$/)?.[1];
    return end === undefined ? undefined : Number(end);
  }

  keyOf(peer: PeerId): Uint8Array | undefined {
    if (!peer.startsWith(PREFIX)) return undefined;
    return new Uint8Array(Buffer.from(peer.slice(PREFIX.length), 'base64url'));
  }

  peerOf(key: Uint8Array): PeerId | undefined {
    return key.length === PEER_KEY_BYTES ? `${PREFIX}${Buffer.from(key).toString('base64url')}` : undefined;
  }
}
