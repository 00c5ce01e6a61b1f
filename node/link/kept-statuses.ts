// What an agent held of the others, over a restart: it answers for the swarm at once, with what it knew and how old that is, also
// where nobody is within reach.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import type { Store, StoreOperation } from '../../swarm/ports/store.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { StatusTable } from '../../swarm/state/status-table.ts';
import type { MemberView } from './member-view.ts';

const PREFIX = 'held/';
/** What is newer than this when an agent is killed is asked of the others anyway. */
const KEEP_EVERY_MS = 300_000;
const MOST = 10_000;

const keptSchema = z.tuple([z.instanceof(Uint8Array), z.number(), z.number(), z.number()]);

export class KeptStatuses {
  readonly #ports: { store: Store; clock: Clock };
  readonly #statuses: StatusTable;
  readonly #failed: (error: unknown) => void;
  readonly #self: PeerId;
  /** The sequences that are in the store. */
  readonly #kept = new Map<PeerId, number>();
  #timer: Timer | undefined;

  constructor(
    ports: { store: Store; clock: Clock },
    members: Pick<MemberView, 'self' | 'statuses'>,
    failed: (error: unknown) => void,
  ) {
    this.#ports = ports;
    this.#self = members.self;
    this.#statuses = members.statuses;
    this.#failed = failed;
  }

  /** Takes up what was held; who is no member any more, and what the others have told since, stays as it is. */
  async open(): Promise<void> {
    const { store, clock } = this.#ports;
    const [nowMs, wallMs] = [clock.monotonicMs(), clock.wallMs()];
    for (const [key, bytes] of await store.range(PREFIX, { limit: MOST })) {
      this.#kept.set(key.slice(PREFIX.length), 0);
      const kept = keptSchema.safeParse(decodeCbor(bytes));
      if (!kept.success) continue;
      const [envelope, ageMs, keptMs, keptWallMs] = kept.data;
      // The clock that nobody sets begins again with the machine, and the other can be set: the longer of both has passed, at least.
      const sinceMs = Math.max(nowMs - keptMs, wallMs - keptWallMs, 0);
      this.#statuses.offer(envelope, nowMs - ageMs - sinceMs);
    }
    this.#keepAgain();
  }

  #keepAgain(): void {
    this.#timer = this.#ports.clock.after(KEEP_EVERY_MS, () => {
      this.keep().catch(this.#failed);
      this.#keepAgain();
    });
  }

  /** Writes what has changed since. */
  async keep(): Promise<void> {
    const { store, clock } = this.#ports;
    const [nowMs, wallMs] = [clock.monotonicMs(), clock.wallMs()];
    const operations: StoreOperation[] = [];
    for (const { origin, sequence, envelope, heardMs } of this.#statuses.entries()) {
      if (origin === this.#self || this.#kept.get(origin) === sequence) continue;
      this.#kept.set(origin, sequence);
      operations.push({ kind: 'put', key: PREFIX + origin, value: encodeCbor([envelope, nowMs - heardMs, nowMs, wallMs]) });
    }
    for (const origin of this.#kept.keys()) {
      if (this.#statuses.get(origin) !== undefined) continue;
      this.#kept.delete(origin);
      operations.push({ kind: 'delete', key: PREFIX + origin });
    }
    if (operations.length > 0) await store.write(operations);
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    await this.keep();
  }
}
