// The IP address of a connected peer's own ports: one that was dialed, or one that the connection shows and the peer says it listens at.
// An address that a router translates has ports of other machines.
import type { Connection } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import type { PeerId } from '../ports/transport.ts';

const ipOf = (address: Multiaddr): string | undefined =>
  address.getComponents().find(({ name }) => name === 'ip4' || name === 'ip6')?.value;

export class ListenAddresses {
  /** By connected peer: the IP addresses that it says it listens at. */
  readonly #byPeer = new Map<PeerId, string[]>();

  /** A connected peer says that it listens there. */
  identified(peer: PeerId, addresses: readonly Multiaddr[]): void {
    this.#byPeer.set(
      peer,
      addresses.flatMap((address) => ipOf(address) ?? []),
    );
  }

  /** @param connections with that peer. @returns an IP address; undefined if none is certain to be its own */
  hostOf(peer: PeerId, connections: readonly Connection[]): string | undefined {
    const dialed = connections.find(({ direction }) => direction === 'outbound');
    if (dialed !== undefined) return ipOf(dialed.remoteAddr);
    const seen = connections[0] && ipOf(connections[0].remoteAddr);
    return seen !== undefined && this.#byPeer.get(peer)?.includes(seen) === true ? seen : undefined;
  }

  forget(peer: PeerId): void {
    this.#byPeer.delete(peer);
  }
}
