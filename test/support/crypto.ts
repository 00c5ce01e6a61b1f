// Peers with real Ed25519 keys, for tests of what is signed.
import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { Ed25519Crypto, type Identity } from '../../swarm/libp2p/identity.ts';

export async function makeIdentity(): Promise<Identity> {
  const privateKey = await generateKeyPair('Ed25519');
  return { peer: peerIdFromPrivateKey(privateKey).toString(), privateKey };
}

/** Of a kind that no agent has. */
export async function makeRsaIdentity(): Promise<Identity> {
  const privateKey = await generateKeyPair('RSA', 2048);
  return { peer: peerIdFromPrivateKey(privateKey).toString(), privateKey: privateKey as never };
}

/** What an agent's key file holds. */
export const keyFile = ({ privateKey }: Identity): Uint8Array => privateKeyToProtobuf(privateKey);

export async function makePeer(): Promise<Ed25519Crypto> {
  return new Ed25519Crypto(await makeIdentity());
}

export function makePeers(count: number): Promise<Ed25519Crypto[]> {
  return Promise.all(Array.from({ length: count }, makePeer));
}
