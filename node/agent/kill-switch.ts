// The stored halt of all acting: it survives a restart, and holds before it is recorded while the disk refuses writes.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store } from '../../swarm/ports/store.ts';
import type { Ports } from '../ports/ports.ts';
import type { Reporter } from '../reporter.ts';
import { unlessRefused } from './ending.ts';

const HALT_KEY = 'control/halted';

const haltSchema = z.strictObject({ atMs: z.number(), reason: z.string() });

/** @returns why acting is halted; undefined if it is not. */
export async function recallHalt(store: Store): Promise<string | undefined> {
  const bytes = await store.get(HALT_KEY);
  if (bytes === undefined) return undefined;
  const halt = haltSchema.safeParse(decodeCbor(bytes));
  return halt.success ? halt.data.reason : 'the record of it cannot be read';
}

/** Durable once it resolves; while the disk refuses writes it resolves at once, and is recorded later. */
export async function keepHalt(ports: Ports, { noted, failed }: Reporter, reason: string): Promise<void> {
  const value = encodeCbor({ atMs: ports.clock.wallMs(), reason });
  const kept = ports.store.write([{ kind: 'put', key: HALT_KEY, value }]).then(() => noted(`acting halted: ${reason}`));
  kept.catch(failed);
  await unlessRefused(
    ports,
    kept.then(() => undefined),
  );
}

export async function endHalt({ store }: Ports, { noted }: Reporter): Promise<void> {
  await noted('acting resumed');
  await store.write([{ kind: 'delete', key: HALT_KEY }]);
}
