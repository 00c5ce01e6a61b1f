// Who watches whom: K observers per member, chosen by rendezvous hashing (Thaler & Ravishankar 1998), so that
// every peer computes the same ones from the same roster and a change of one member moves few of them.
import { utf8 } from '../dissemination/cbor.ts';
import type { Crypto } from '../ports/crypto.ts';
import type { PeerId } from '../ports/transport.ts';

/** Observers per member at most; a smaller swarm has all the others. */
export const MAX_OBSERVERS = 7;

export function observersOf(subject: PeerId, members: readonly PeerId[], hash: Crypto['hash']): PeerId[] {
  const others = members.filter((peer) => peer !== subject);
  if (others.length <= MAX_OBSERVERS) return others.sort();
  const weighed = others.map((peer) => ({ peer, weight: weightOf(hash(utf8(`${subject}\n${peer}`))) }));
  weighed.sort((a, b) => b.weight - a.weight || (a.peer < b.peer ? -1 : 1));
  return weighed.slice(0, MAX_OBSERVERS).map(({ peer }) => peer);
}

function weightOf(digest: Uint8Array): number {
  return ((digest[0] ?? 0) * 2 ** 24 + (digest[1] ?? 0) * 2 ** 16 + (digest[2] ?? 0) * 2 ** 8 + (digest[3] ?? 0)) >>> 0;
}
