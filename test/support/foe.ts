// A libp2p host that its owner has in hand, down to single streams: what a hostile member runs.
import type { Stream } from '@libp2p/interface';
import { lpStream } from '@libp2p/utils';
import { multiaddr } from '@multiformats/multiaddr';
import { createHost, type Host, type HostOptions } from '../../swarm/libp2p/host.ts';
import { Meter } from '../../swarm/libp2p/muxer.ts';
import { makeIdentity } from './crypto.ts';
import { EVERYBODY_WELCOME } from './welcome.ts';

export class Foe {
  readonly host: Host;

  private constructor(host: Host) {
    this.host = host;
  }

  static async make(options: Pick<HostOptions, 'swarmId' | 'topics' | 'dhtProtocol'> & Partial<HostOptions>): Promise<Foe> {
    const { privateKey } = await makeIdentity();
    const shared = {
      listen: [],
      announce: [],
      keyring: undefined,
      greeter: EVERYBODY_WELCOME,
      meter: new Meter(),
      found: undefined,
    };
    return new Foe(await createHost({ privateKey, ...shared, ...options }));
  }

  get self(): string {
    return this.host.peerId.toString();
  }

  get isConnected(): boolean {
    return this.host.getConnections().length > 0;
  }

  /** @returns whether it was let in, as far as it can tell. */
  dial(address: string): Promise<boolean> {
    return this.host.dial(multiaddr(address)).then(
      () => true,
      () => false,
    );
  }

  /** Throws its connections away. */
  hangUp(): void {
    for (const connection of this.host.getConnections()) connection.abort(new Error('again'));
  }

  /** A stream to whom it is connected with, as many as it likes. Undefined where it gets none. */
  async open(protocol: string): Promise<Stream | undefined> {
    const signal = AbortSignal.timeout(2_000);
    return this.host
      .getConnections()[0]
      ?.newStream(protocol, { maxOutboundStreams: 1e6, signal })
      .catch(() => undefined);
  }

  async writer(protocol: string) {
    const stream = await this.open(protocol);
    return stream && lpStream(stream, { maxDataLength: 2 ** 22 });
  }
}
