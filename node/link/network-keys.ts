// The swarm's network key and its rotation. A new key is accepted as soon as its rotation is known, and dialed with from the time that the
// rotation names. The older keys are accepted until the end that it names, for members that were off meanwhile.
import { equalBytes } from '../../swarm/dissemination/cbor.ts';
import type { NetworkRotation } from '../../swarm/identity/record.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { Transport } from '../../swarm/ports/transport.ts';

/** Where the keys are kept. */
export interface HeldKeys {
  /** Newest first; none if the swarm has no network key. */
  keys: readonly Uint8Array[];
  keep(keys: readonly Uint8Array[]): void;
}

export class NetworkKeys {
  readonly #transport: Pick<Transport, 'useNetworkKeys'>;
  readonly #clock: Clock;
  readonly #held: HeldKeys;
  #keys: readonly Uint8Array[];

  constructor(transport: Pick<Transport, 'useNetworkKeys'>, clock: Clock, held: HeldKeys) {
    this.#transport = transport;
    this.#clock = clock;
    this.#held = held;
    this.#keys = held.keys;
  }

  /** The key for a new token. */
  get newest(): Uint8Array | undefined {
    return this.#keys[0];
  }

  /** The number of accepted keys. */
  get size(): number {
    return this.#keys.length;
  }

  /** Applies the newest rotation, as far as it is due. */
  follow(rotation: NetworkRotation | undefined): void {
    if (rotation === undefined || this.#keys.length === 0) return;
    const { key, fromMs, untilMs } = rotation;
    const nowMs = this.#clock.wallMs();
    const older = this.#keys.filter((one) => !equalBytes(one, key));
    const keys = nowMs >= untilMs ? [key] : [key, ...older];
    if (keys.length !== this.#keys.length || !equalBytes(key, this.#keys[0] as Uint8Array)) this.#held.keep(keys);
    this.#keys = keys;
    this.#transport.useNetworkKeys(nowMs >= fromMs ? keys : [...keys.slice(1), key]);
  }
}
