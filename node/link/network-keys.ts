// The swarm's network key and its rotation: from the moment that a rotation is known its key is understood, from the time that it
// names it is dialed with, and the older ones are understood until it says so: who was off meanwhile comes back with those.
import { equalBytes } from '../../swarm/dissemination/cbor.ts';
import type { NetworkRotation } from '../../swarm/identity/record.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { Transport } from '../../swarm/ports/transport.ts';

/** Where the keys are kept. */
export interface HeldKeys {
  /** Newest first; none where the swarm has no network key. */
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

  /** What a token is to carry. */
  get newest(): Uint8Array | undefined {
    return this.#keys[0];
  }

  /** How many are understood. */
  get size(): number {
    return this.#keys.length;
  }

  /** Does what is due by the newest rotation. */
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
