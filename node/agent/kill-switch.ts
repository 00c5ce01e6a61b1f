// The stored halt of all acting: it survives a restart, and holds before it is recorded while the disk refuses writes.
import { z } from 'zod';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';
import type { Store } from '../../swarm/ports/store.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { Ports } from '../ports/ports.ts';
import { unlessRefused } from './ending.ts';

const HALT_KEY = 'control/halted';

const haltSchema = z.strictObject({ atMs: z.number(), reason: z.string() });

interface Parts {
  ports: Ports;
  audit: AuditLog;
  failed(error: unknown): void;
}

/** @returns why acting is halted; undefined if it is not. */
export async function recallHalt(store: Store): Promise<string | undefined> {
  const bytes = await store.get(HALT_KEY);
  if (bytes === undefined) return undefined;
  const halt = haltSchema.safeParse(decodeCbor(bytes));
  return halt.success ? halt.data.reason : 'the record of it cannot be read';
}

/** Durable once it resolves; while the disk refuses writes it resolves at once, and is recorded later. */
export async function keepHalt({ ports, audit, failed }: Parts, reason: string): Promise<void> {
  const value = encodeCbor({ atMs: ports.clock.wallMs(), reason });
  const kept = ports.store
    .write([{ kind: 'put', key: HALT_KEY, value }])
    .then(() => audit.append('control', ports.transport.self, `acting halted: ${reason}`));
  kept.catch(failed);
  await unlessRefused(
    ports,
    kept.then(() => undefined),
  );
}

export async function endHalt({ ports, audit }: Parts): Promise<void> {
  await audit.append('control', ports.transport.self, 'acting resumed');
  await ports.store.write([{ kind: 'delete', key: HALT_KEY }]);
}
