// libp2p's connections as tests of swarm/libp2p need them: two ends in one process, and the names of its parts.
import type { MultiaddrConnection } from '@libp2p/interface';
import { multiaddrConnectionPair } from '@libp2p/utils';
import { multiaddr } from '@multiformats/multiaddr';

export type { MessageStream, MultiaddrConnection, StreamMuxer, StreamMuxerFactory, Transport } from '@libp2p/interface';

/** Of the listener, whichever it is. */
const ADDRESS = multiaddr('/ip4/127.0.0.1/tcp/1');

/** The dialer's end, and the listener's. */
export const connectionPair = (): [MultiaddrConnection, MultiaddrConnection] =>
  multiaddrConnectionPair({ outbound: { remoteAddr: ADDRESS } });
