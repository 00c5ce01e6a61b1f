// Modelled cryptography: signatures of the real size that only the owner of a key can create, because a check recomputes them from a secret
// that only the simulator knows. Hashes are real SHA-256, the same on every machine. The cost of real signatures is counted.
// `Ed25519Crypto` can replace it, with keys from the seed.
import { createHash } from 'node:crypto';
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import { type Crypto, PEER_KEY_BYTES, SIGNATURE_BYTES } from '../../swarm/ports/crypto.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';

const PREFIX = 'sim';
/** The cost of signatures: Ed25519 by OpenSSL on a machine of 2024, one core. */
const SIGN_MS = 0.04;
const VERIFY_MS = 0.1;

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** A simulated peer id: `sim` and the key in base64url, no longer than a real one. */
export function simulatedPeer(index: number, seed: number): PeerId {
  return `${PREFIX}${Buffer.from(sha256(utf8(`peer ${seed} ${index}`))).toString('base64url')}`;
}

/** Real keys and signatures, the same keys for the same seed and machine. */
export async function realCrypto(index: number, seed: number): Promise<Crypto> {
  const { Ed25519Crypto, identityFromSeed } = await import('../../swarm/libp2p/identity.ts');
  return new Ed25519Crypto(await identityFromSeed(sha256(utf8(`key ${seed} ${index}`))));
}

export class ModelledCrypto implements Crypto {
  readonly self: PeerId;
  readonly #secret: Uint32Array;
  signed = 0;
  verified = 0;

  /** @param secret of the whole simulated world: it makes signatures unforgeable within it */
  constructor(self: PeerId, secret: Uint8Array) {
    this.self = self;
    this.#secret = new Uint32Array(sha256(secret).buffer);
  }

  /** A keyed mix of all bytes: 128 bits, repeated up to the size of a signature. It need not withstand cryptanalysis. */
  #token(peer: PeerId, bytes: Uint8Array): Uint32Array {
    let [a = 0, b = 0, c = 0, d = 0] = this.#secret;
    const mix = (value: number): void => {
      a = Math.imul(a ^ value, 0x85ebca6b);
      b = Math.imul((b ^ a) + value, 0xc2b2ae35);
      c = (c << 7) ^ (c >>> 25) ^ b;
      d = Math.imul(d ^ c, 0x27d4eb2f) + value;
    };
    for (let i = 0; i < peer.length; i++) mix(peer.charCodeAt(i));
    for (let i = 0; i < bytes.length; i++) mix(bytes[i] as number);
    const words = new Uint32Array(SIGNATURE_BYTES / 4);
    for (let i = 0; i < words.length; i++) {
      mix(i);
      words[i] = a ^ d;
    }
    return words;
  }

  /** The CPU time that real signatures would have used so far. */
  get costMs(): number {
    return this.signed * SIGN_MS + this.verified * VERIFY_MS;
  }

  sign(bytes: Uint8Array): Uint8Array {
    this.signed++;
    return new Uint8Array(this.#token(this.self, bytes).buffer);
  }

  verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
    this.verified++;
    if (signature.length !== SIGNATURE_BYTES) return false;
    const expected = new Uint8Array(this.#token(peer, bytes).buffer);
    return expected.every((byte, index) => byte === signature[index]);
  }

  hash(bytes: Uint8Array): Uint8Array {
    return sha256(bytes);
  }

  /** A modelled certificate is the text `ends MS`. */
  certificateEndMs(pem: Uint8Array): number | undefined {
    const end = new TextDecoder().decode(pem).match(/^ends (\d+)$/)?.[1];
    return end === undefined ? undefined : Number(end);
  }

  certificateNames(): readonly string[] {
    return [];
  }

  keyOf(peer: PeerId): Uint8Array | undefined {
    if (!peer.startsWith(PREFIX)) return undefined;
    return new Uint8Array(Buffer.from(peer.slice(PREFIX.length), 'base64url'));
  }

  peerOf(key: Uint8Array): PeerId | undefined {
    return key.length === PEER_KEY_BYTES ? `${PREFIX}${Buffer.from(key).toString('base64url')}` : undefined;
  }
}
