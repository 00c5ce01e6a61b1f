// Raft ids: a number computed from the peer id and the number of its log. A peer whose log was lost or damaged starts a new log with a
// new id. Promises under the old id no longer bind it, since that id is never used again.
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Crypto } from '../../swarm/ports/crypto.ts';
import type { Random } from '../../swarm/ports/random.ts';
import { integerBelow } from '../../swarm/ports/random.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { NodeId } from '../raft/types.ts';

/** 40 bits of the hash of the peer id, and 13 random bits of the log: together a safe integer. */
const PEER_BYTES = 5;
const LOGS = 2 ** 13;

/** One of a peer's logs; never 0. */
export const drawLog = (random: Random): number => 1 + integerBelow(random, LOGS - 1);
/** The number of the next log, after one that must not be continued. */
export const anotherLog = (log: number): number => 1 + (log % (LOGS - 1));

const hashed = (crypto: Pick<Crypto, 'hash'>, peer: PeerId): number =>
  crypto
    .hash(utf8(peer))
    .subarray(0, PEER_BYTES)
    .reduce((sum, byte) => sum * 256 + byte, 0);

export class RaftIds {
  readonly #crypto: Pick<Crypto, 'hash'>;
  readonly #byPeer = new Map<PeerId, number>();
  readonly #byNumber = new Map<number, PeerId>();

  constructor(crypto: Pick<Crypto, 'hash'>) {
    this.#crypto = crypto;
  }

  #of(peer: PeerId): number {
    const known = this.#byPeer.get(peer);
    if (known !== undefined) return known;
    const number = hashed(this.#crypto, peer);
    this.#byPeer.set(peer, number);
    this.#byNumber.set(number, peer);
    return number;
  }

  idOf(peer: PeerId, log: number): NodeId {
    return this.#of(peer) * LOGS + log;
  }

  /** Whether an id belongs to this peer: a message under the id of another peer is rejected. */
  isOf(id: NodeId, peer: PeerId): boolean {
    return Math.floor(id / LOGS) === this.#of(peer);
  }

  /** @param members the peers to search */
  peerOf(id: NodeId, members: () => readonly PeerId[]): PeerId | undefined {
    const number = Math.floor(id / LOGS);
    if (!this.#byNumber.has(number)) for (const peer of members()) this.#of(peer);
    return this.#byNumber.get(number);
  }
}
