// How tests set up a transport: on loopback, told of nobody, and nobody told of it.
import type { Libp2pTransportOptions } from '../../swarm/libp2p/transport.ts';

export const ON_LOOPBACK: Omit<Libp2pTransportOptions, 'self' | 'privateKey'> = {
  listen: ['/ip4/127.0.0.1/tcp/0'],
  announce: [],
  swarmId: '0'.repeat(32),
  networkKeys: [],
  dhtProtocol: '/test/kad/1.0.0',
  localDiscovery: false,
};
