// Peers with real Ed25519 keys, for tests of what is signed.
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { Ed25519Crypto } from '../../swarm/libp2p/identity.ts';

export async function makePeer(): Promise<Ed25519Crypto> {
  const privateKey = await generateKeyPair('Ed25519');
  return new Ed25519Crypto({ peer: peerIdFromPrivateKey(privateKey).toString(), privateKey });
}

export function makePeers(count: number): Promise<Ed25519Crypto[]> {
  return Promise.all(Array.from({ length: count }, makePeer));
}
