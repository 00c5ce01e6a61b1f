// Noise with our hello inside: admission is part of securing a connection. So to libp2p a peer without a certificate was never connected: no
// identify, no gossip, no stream of any protocol.
import { noise } from '@chainsafe/libp2p-noise';
import type { ConnectionEncrypter, MessageStream, PeerId, SecureConnectionOptions, SecuredConnection } from '@libp2p/interface';
import { lpStream } from '@libp2p/utils';
import { asBefore, MAX_HELLO_BYTES } from '../identity/hello.ts';
import { type Admitted, type Greeter, TransportError } from '../ports/transport.ts';

/** A newer wire version has a newer name, and both are offered: peers take the newest that both have. */
export const GREETINGS = [2, 1] as const;
const HELLO_TIMEOUT_MS = 5_000;

type Components = Parameters<ReturnType<typeof noise>>[0];
type Noise = ReturnType<ReturnType<typeof noise>>;
type Exchange = ReturnType<typeof lpStream<MessageStream>>;

/** Of an error libp2p keeps only the text: a dialer recognises a refusal by this prefix. */
export const DENIED = 'not admitted: ';

/** The peer of a connection, which libp2p does not give to a muxer. */
export const remotePeers = new WeakMap<MessageStream, PeerId>();

/** A refusal is sent to the other side before the connection is closed, so that its user learns why. */
class NotAdmitted extends TransportError {
  constructor(reason: string) {
    super('denied', `${DENIED}${reason}`);
  }
}

export class GreetingEncrypter implements ConnectionEncrypter {
  readonly protocol: string;
  readonly #noise: Noise;
  readonly #greeter: Greeter;
  readonly #isBefore: boolean;

  constructor(components: Components, swarmId: string, greeter: Greeter, version: (typeof GREETINGS)[number]) {
    this.protocol = `/kalos/${swarmId}/noise-hello/${version}`;
    this.#noise = noise()(components);
    this.#greeter = greeter;
    this.#isBefore = version < GREETINGS[0];
  }

  #said(bytes: Uint8Array): Uint8Array {
    return this.#isBefore ? asBefore(bytes) : bytes;
  }

  #answered(admitted: Admitted): Admitted {
    return { ...admitted, answer: admitted.answer && this.#said(admitted.answer) };
  }

  async secureOutbound(connection: MessageStream, options?: SecureConnectionOptions): Promise<SecuredConnection> {
    const secured = await this.#noise.secureOutbound(connection, options);
    const from = secured.remotePeer.toString();
    return this.#after(secured, async (exchange, signal) => {
      await exchange.write(this.#said(this.#greeter.hello(from)), { signal });
      const answer = await this.#greeter.accept(from, await read(exchange, signal));
      await say(exchange, this.#answered(answer), signal);
    });
  }

  async secureInbound(connection: MessageStream, options?: SecureConnectionOptions): Promise<SecuredConnection> {
    const secured = await this.#noise.secureInbound(connection, options);
    const from = secured.remotePeer.toString();
    return this.#after(secured, async (exchange, signal) => {
      await say(exchange, this.#answered(await this.#greeter.welcome(from, await read(exchange, signal))), signal);
      const { admitted, reason } = await this.#greeter.settle(from, await read(exchange, signal));
      if (!admitted) throw new NotAdmitted(reason);
    });
  }

  async #after<S extends SecuredConnection & { remotePeer: PeerId }>(
    secured: S,
    greet: (exchange: Exchange, signal: AbortSignal) => Promise<void>,
  ): Promise<S> {
    // Only Ed25519 identities are members.
    if (secured.remotePeer.type !== 'Ed25519') {
      secured.connection.abort(new Error('not an Ed25519 identity'));
      throw new NotAdmitted('an agent’s identity is an Ed25519 key');
    }
    const exchange = lpStream(secured.connection, { maxDataLength: MAX_HELLO_BYTES, maxBufferSize: 4 * MAX_HELLO_BYTES });
    await greet(exchange, AbortSignal.timeout(HELLO_TIMEOUT_MS));
    const connection = exchange.unwrap();
    remotePeers.set(connection, secured.remotePeer);
    return { ...secured, connection };
  }
}

async function read(exchange: Exchange, signal: AbortSignal): Promise<Uint8Array> {
  return (await exchange.read({ signal })).subarray();
}

async function say(exchange: Exchange, { admitted, answer, reason }: Admitted, signal: AbortSignal): Promise<void> {
  if (answer !== undefined) await exchange.write(answer, { signal });
  if (!admitted) {
    // Closed, not aborted: the last message must arrive.
    await exchange
      .unwrap()
      .close({ signal })
      .catch(() => undefined);
    throw new NotAdmitted(reason);
  }
}
