// The network key: without it a peer sees random bytes, and gets no further than TCP. As libp2p's private networks (PSK v1): nonces in clear
// text, then XSalsa20 both ways. Several keys are accepted, so that the key can be changed: the listener finds the key under which the
// dialer's first bytes are valid, and a dialer that gets no valid answer tries the next one.
import type { AbortOptions, ConnectionProtector, MultiaddrConnection } from '@libp2p/interface';
import { AbstractMultiaddrConnection, byteStream } from '@libp2p/utils';
import xsalsa20 from 'xsalsa20';

const NONCE_BYTES = 24;
const NONCE_TIMEOUT_MS = 5_000;
/** The first bytes of every dialer: the length of a line, and the line. */
const GREETING = new TextEncoder().encode('\u0013/multistream/1.0.0\n');
const MAX_REMEMBERED = 1_000;

interface Pieces {
  readonly byteLength: number;
  subarray(): Uint8Array;
}

/** A connection whose bytes are encrypted with a key stream. */
class BoxedConnection extends AbstractMultiaddrConnection {
  readonly #inner: MultiaddrConnection;
  readonly #outbound: ReturnType<typeof xsalsa20>;

  constructor(inner: MultiaddrConnection, inbound: ReturnType<typeof xsalsa20>, outbound: ReturnType<typeof xsalsa20>) {
    super({ remoteAddr: inner.remoteAddr, direction: inner.direction, log: inner.log.newScope('boxed') });
    this.#inner = inner;
    this.#outbound = outbound;
    inner.addEventListener('message', ({ data }) => this.onData(inbound.update((data as Pieces).subarray())));
    inner.addEventListener('drain', () => this.onMuxerDrain());
    inner.addEventListener('close', ({ error, local }) => {
      if (error === undefined) this.onTransportClosed();
      else if (local === true) this.abort(error);
      else this.onRemoteReset();
    });
  }

  sendData(data: Pieces): { sentBytes: number; canSendMore: boolean } {
    return { sentBytes: data.byteLength, canSendMore: this.#inner.send(this.#outbound.update(data.subarray())) };
  }

  sendClose(options?: AbortOptions): Promise<void> {
    return this.#inner.close(options);
  }

  sendReset(error: Error): void {
    this.#inner.abort(error);
  }

  sendPause(): void {
    this.#inner.pause();
  }

  sendResume(): void {
    this.#inner.resume();
  }
}

export class Keyring implements ConnectionProtector {
  /** Dials use the first key; all are accepted. */
  #keys: readonly Uint8Array[];
  /** The keys that an address did not accept last. */
  readonly #refused = new Map<string, number>();

  /** @param keys of 32 bytes, at least one */
  constructor(keys: readonly Uint8Array[]) {
    this.#keys = keys;
  }

  use(keys: readonly Uint8Array[]): void {
    this.#keys = keys;
    this.#refused.clear();
  }

  async protect(connection: MultiaddrConnection, options?: AbortOptions): Promise<MultiaddrConnection> {
    const signal = options?.signal ?? AbortSignal.timeout(NONCE_TIMEOUT_MS);
    const bytes = byteStream(connection);
    const own = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
    const [read] = await Promise.all([bytes.read({ bytes: NONCE_BYTES, signal }), bytes.write(own, { signal })]);
    const theirs = read.subarray();
    if (connection.direction === 'outbound') {
      const key = this.#keyFor(connection);
      return new BoxedConnection(bytes.unwrap(), xsalsa20(theirs, key), xsalsa20(own, key));
    }
    const first = (await bytes.read({ bytes: GREETING.length, signal })).subarray();
    const key = this.#keys.find((one) => isGreeting(xsalsa20(theirs, one).update(first)));
    if (key === undefined) throw new Error('it does not have this swarm’s network key');
    const inbound = xsalsa20(theirs, key);
    const boxed = new BoxedConnection(bytes.unwrap(), inbound, xsalsa20(own, key));
    boxed.onData(inbound.update(first));
    return boxed;
  }

  /** The first key that this address has not refused; an address that does not answer has refused it. */
  #keyFor(connection: MultiaddrConnection): Uint8Array {
    const address = connection.remoteAddr.toString();
    const index = (this.#refused.has(address) ? (this.#refused.get(address) ?? 0) + 1 : 0) % this.#keys.length;
    this.#refused.delete(address);
    const understood = (): void => connection.removeEventListener('close', refused);
    const refused = (): void => {
      if (this.#refused.size >= MAX_REMEMBERED) this.#refused.clear();
      this.#refused.set(address, index);
    };
    connection.addEventListener('close', refused, { once: true });
    // Bytes after the nonce are an answer.
    connection.addEventListener('message', understood, { once: true });
    return this.#keys[index] as Uint8Array;
  }
}

const isGreeting = (bytes: Uint8Array): boolean => bytes.every((byte, index) => byte === GREETING[index]);
