// TCP that sends the pieces of one write in one segment: a noise frame has two pieces, its length and its bytes, and libp2p writes each
// piece separately, with 66 bytes of headers each.
import type { MultiaddrConnection, Transport } from '@libp2p/interface';

type Upgrade = (connection: MultiaddrConnection, ...rest: never[]) => Promise<unknown>;
interface Upgrading {
  upgrader: { upgradeInbound: Upgrade; upgradeOutbound: Upgrade };
}
/** The method of libp2p's message streams for a list of pieces; they only iterate over it. */
interface Sends {
  sendData(data: Iterable<Uint8Array>): unknown;
}
type Pieces = Iterable<Uint8Array> & { subarray(): Uint8Array };

function inOnePiece(connection: MultiaddrConnection): MultiaddrConnection {
  const sends = connection as unknown as Sends;
  const send = sends.sendData.bind(connection);
  sends.sendData = (data) => send([(data as Pieces).subarray()]);
  return connection;
}

/** The same upgrader, with connections that send in one piece. */
function corkedUpgrader(upgrader: Upgrading['upgrader']): Upgrading['upgrader'] {
  const corks: Record<string | symbol, Upgrade> = {
    upgradeInbound: (connection, ...rest) => upgrader.upgradeInbound(inOnePiece(connection), ...rest),
    upgradeOutbound: (connection, ...rest) => upgrader.upgradeOutbound(inOnePiece(connection), ...rest),
  };
  return new Proxy(upgrader, {
    get: (target, name) => {
      const value: unknown = corks[name] ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const around = <Options extends Upgrading>(options: Options): Options => ({
  ...options,
  upgrader: corkedUpgrader(options.upgrader),
});

/** The same transport, with its connections corked. */
export function corked<Components>(make: (components: Components) => Transport): (components: Components) => Transport {
  return (components) => {
    const inner = make(components);
    const dial = inner.dial.bind(inner);
    inner.dial = (address, options) => dial(address, around(options as never));
    const createListener = inner.createListener.bind(inner);
    inner.createListener = (options) => createListener(around(options as never));
    return inner;
  };
}
