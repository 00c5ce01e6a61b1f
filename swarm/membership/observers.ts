// The observers of each member: K, chosen by rendezvous hashing (Thaler & Ravishankar 1998), so that every peer computes the same ones from
// the same roster, and a change of one member moves few of them.
import type { PeerId } from '../ports/transport.ts';

/** The most observers of a member; in a smaller swarm all others observe it. */
export const MAX_OBSERVERS = 7;

export function observersOf(subject: PeerId, members: readonly PeerId[]): PeerId[] {
  return drawnBy('observer', subject, members, MAX_OBSERVERS);
}

/** Draws members by owner and purpose: all that know the same members draw the same ones. */
export function drawnBy(purpose: string, owner: PeerId, members: readonly PeerId[], count: number): PeerId[] {
  const salt = hashOf(`${purpose} ${owner}`);
  /** The heaviest so far, sorted. */
  const drawn: { peer: PeerId; weight: number }[] = [];
  for (const peer of members) {
    if (peer === owner) continue;
    const weight = mixed(knownHashOf(peer) ^ salt);
    const last = drawn[count - 1];
    if (last !== undefined && !isHeavier(peer, weight, last)) continue;
    let at = drawn.length;
    while (at > 0 && isHeavier(peer, weight, drawn[at - 1] as (typeof drawn)[0])) at--;
    drawn.splice(at, 0, { peer, weight });
    if (drawn.length > count) drawn.pop();
  }
  const peers = drawn.map(({ peer }) => peer);
  return peers.length < count ? peers.sort() : peers;
}

function isHeavier(peer: PeerId, weight: number, than: { peer: PeerId; weight: number }): boolean {
  return weight > than.weight || (weight === than.weight && peer < than.peer);
}

/** A bounded cache. */
const hashes = new Map<PeerId, number>();
const MAX_HASHES = 20_000;

function knownHashOf(peer: PeerId): number {
  let hash = hashes.get(peer);
  if (hash === undefined) {
    hash = hashOf(peer);
    if (hashes.size >= MAX_HASHES) hashes.clear();
    hashes.set(peer, hash);
  }
  return hash;
}

/** The members that `self` observes. For each one, the search stops once enough other members weigh more than `self`, so that it is cheap. */
export function observedBy(self: PeerId, members: readonly PeerId[]): PeerId[] {
  const others = members.filter((peer) => peer !== self);
  if (others.length <= MAX_OBSERVERS) return others;
  const hashOfEach = Int32Array.from(members, knownHashOf);
  const own = hashOf(self);
  return others.filter((subject) => {
    const salt = hashOf(`observer ${subject}`);
    const weight = mixed(own ^ salt);
    let heavier = 0;
    for (let i = 0; i < members.length && heavier < MAX_OBSERVERS; i++) {
      const peer = members[i] as PeerId;
      if (peer === subject || peer === self) continue;
      const theirs = mixed((hashOfEach[i] as number) ^ salt);
      if (theirs > weight || (theirs === weight && peer < self)) heavier++;
    }
    return heavier < MAX_OBSERVERS;
  });
}

/** FNV-1a. A peer can choose its key, and with it its observers, under any hash: the protection against that is the number of observers. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The finalizer of MurmurHash3: every bit of the input changes half of those of the output. */
export function mixed(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
