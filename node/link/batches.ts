// Messages to one peer within 20 ms are sent as one, if its version reads batches. So the witnesses of a machine get all claims about a
// fault of several of its services in one message.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Clock } from '../../swarm/ports/clock.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';

const WITHIN_MS = 20;
const MAX_BATCH = 16;
const batchSchema = z.tuple([z.literal('batch'), z.array(z.instanceof(Uint8Array)).min(1).max(MAX_BATCH)]);

export interface BatchesConfig {
  clock: Pick<Clock, 'after'>;
  send(to: PeerId, bytes: Uint8Array): void;
  /** Whether it reads batches. */
  reads(peer: PeerId): boolean;
}

export class Batches {
  readonly #config: BatchesConfig;
  readonly #waiting = new Map<PeerId, Uint8Array[]>();
  #stopped = false;

  constructor(config: BatchesConfig) {
    this.#config = config;
  }

  stop(): void {
    this.#stopped = true;
    this.#waiting.clear();
  }

  send(to: PeerId, bytes: Uint8Array): void {
    if (this.#stopped) return;
    if (!this.#config.reads(to)) return this.#config.send(to, bytes);
    const waiting = this.#waiting.get(to);
    if (waiting !== undefined) {
      waiting.push(bytes);
      if (waiting.length >= MAX_BATCH) this.#flush(to);
      return;
    }
    this.#waiting.set(to, [bytes]);
    this.#config.clock.after(WITHIN_MS, () => this.#flush(to));
  }

  #flush(to: PeerId): void {
    const waiting = this.#waiting.get(to) ?? [];
    this.#waiting.delete(to);
    const [only] = waiting;
    if (only !== undefined) this.#config.send(to, waiting.length === 1 ? only : encodeCbor(['batch', waiting]));
  }
}

/** The messages of a batch; of a message that is not a batch, itself. */
export function unbatched(bytes: Uint8Array): readonly Uint8Array[] {
  const batch = batchSchema.safeParse(decodeCbor(bytes));
  return batch.success ? batch.data[1] : [bytes];
}
