// All that belong, what their number asks for, and who observes whom: made once for many verdicts, and again where who belongs changed.
import type { PeerId } from '../ports/transport.ts';
import { type CutParameters, cutParameters } from './cut-table.ts';
import { observersOf } from './observers.ts';

export class Who {
  readonly #belonging: () => readonly PeerId[];
  readonly #observers = new Map<PeerId, ReadonlySet<PeerId>>();
  #peers: readonly PeerId[] | undefined;

  constructor(belonging: () => readonly PeerId[]) {
    this.#belonging = belonging;
  }

  changed(): void {
    this.#peers = undefined;
    this.#observers.clear();
  }

  get peers(): readonly PeerId[] {
    this.#peers ??= this.#belonging();
    return this.#peers;
  }

  get parameters(): CutParameters {
    return cutParameters(this.peers.length);
  }

  observersOf(peer: PeerId): ReadonlySet<PeerId> {
    let observers = this.#observers.get(peer);
    if (observers === undefined) {
      observers = new Set(observersOf(peer, this.peers));
      this.#observers.set(peer, observers);
    }
    return observers;
  }
}
