// The stored halt of all actions: it survives a restart. While the disk refuses writes it is in force before it is recorded.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store } from '../../swarm/ports/store.ts';
import type { Ports } from '../ports/ports.ts';
import type { Reporter } from '../reporter.ts';
import { unlessRefused } from './ending.ts';

const HALT_KEY = 'control/halted';

const haltSchema = z.strictObject({ atMs: z.number(), reason: z.string() });

/** @returns why actions are halted; undefined if they are not. */
export async function recallHalt(store: Store): Promise<string | undefined> {
  const bytes = await store.get(HALT_KEY);
  if (bytes === undefined) return undefined;
  const halt = haltSchema.safeParse(decodeCbor(bytes));
  return halt.success ? halt.data.reason : 'the halt record cannot be read';
}

/** Durable once it resolves; while the disk refuses writes it resolves immediately, and is recorded later. */
export async function keepHalt(ports: Ports, { noted, failed }: Reporter, reason: string): Promise<void> {
  const value = encodeCbor({ atMs: ports.clock.wallMs(), reason });
  const kept = ports.store.write([{ kind: 'put', key: HALT_KEY, value }]).then(() => noted(`actions halted: ${reason}`));
  kept.catch(failed);
  await unlessRefused(
    ports,
    kept.then(() => undefined),
  );
}

export async function endHalt({ store }: Ports, { noted }: Reporter): Promise<void> {
  await noted('actions resumed');
  await store.write([{ kind: 'delete', key: HALT_KEY }]);
}
