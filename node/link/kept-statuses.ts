// The statuses of other members, kept over a restart: so a restarted agent answers queries about the swarm immediately, with the age of
// each status, also while no other member is reachable.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Clock, Timer } from '../../swarm/ports/clock.ts';
import type { Store, StoreOperation } from '../../swarm/ports/store.ts';
import type { PeerId } from '../../swarm/ports/transport.ts';
import type { StatusTable } from '../../swarm/state/status-table.ts';
import type { MemberView } from './member-view.ts';

const PREFIX = 'held/';
/** An agent that is killed loses newer ones: it pulls them from the others. */
const KEEP_EVERY_MS = 300_000;
const MAX_STATUSES = 10_000;

const keptSchema = z.tuple([z.instanceof(Uint8Array), z.number(), z.number(), z.number()]);

export class KeptStatuses {
  readonly #ports: { store: Store; clock: Clock };
  readonly #statuses: StatusTable;
  readonly #failed: (error: unknown) => void;
  readonly #self: PeerId;
  /** The sequence numbers that are in the store. */
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

  /** Loads the kept statuses; removed members and newer statuses are left as they are. */
  async open(): Promise<void> {
    const { store, clock } = this.#ports;
    const [nowMs, wallMs] = [clock.monotonicMs(), clock.wallMs()];
    for (const [key, bytes] of await store.range(PREFIX, { limit: MAX_STATUSES })) {
      this.#kept.set(key.slice(PREFIX.length), 0);
      const kept = keptSchema.safeParse(decodeCbor(bytes));
      if (!kept.success) continue;
      const [envelope, ageMs, keptMs, keptWallMs] = kept.data;
      // The monotonic clock restarts with the machine, and the wall clock can be set: the longer time of both is used.
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

  /** Writes the statuses that changed since the last time. */
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
