// Members on the same local network find each other by multicast DNS (RFC 6762), as libp2p describes it, under a name derived from the
// swarm's id. All members answer, to all; so a member with connections does not query. A result is a hint: a dial proves the identity.
import { type MulticastDNSComponents, mdns } from '@libp2p/mdns';

const TAG_HEX = 16;

/** The query method of the library's object, which its type does not have. */
interface Asking {
  mdns?: { query(query: { questions: { name: string; type: 'PTR' }[] }): void };
}

interface Answer {
  id: { toString(): string };
  multiaddrs: readonly { toString(): string }[];
}

export interface LocalNetworkOptions {
  swarmId: string;
  found(peer: string, address: string): void;
}

/** Every machine has this address, and means itself by it. */
const isLoopback = (address: string): boolean => address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/');

/** A service of a libp2p host. */
export class LocalNetwork {
  readonly #discovery: ReturnType<ReturnType<typeof mdns>> & Asking;
  readonly #tag: string;

  constructor(components: MulticastDNSComponents, { swarmId, found }: LocalNetworkOptions) {
    this.#tag = `_kalos-${swarmId.slice(0, TAG_HEX)}._tcp.local`;
    // The library's own timers would query for ever.
    this.#discovery = mdns({ serviceTag: this.#tag, interval: 2 ** 31 - 1 })(components);
    this.#discovery.addEventListener('peer', ({ detail }) => {
      const { id, multiaddrs } = detail as unknown as Answer;
      for (const address of multiaddrs) if (!isLoopback(address.toString())) found(id.toString(), address.toString());
    });
  }

  start(): void | Promise<void> {
    return (this.#discovery as unknown as { start(): Promise<void> }).start();
  }

  stop(): void | Promise<void> {
    return (this.#discovery as unknown as { stop(): Promise<void> }).stop();
  }

  /** Queries for members of the swarm. */
  ask(): void {
    this.#discovery.mdns?.query({ questions: [{ name: this.#tag, type: 'PTR' }] });
  }
}
