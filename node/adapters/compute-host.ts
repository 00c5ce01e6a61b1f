// The child process of ForkedCompute: it does one kind of work for its parent, and exits with it.

import { z } from 'zod';
import { FEATURE_COUNT, INCIDENT_CLASSES } from '../../models/features.ts';
import { messageOf } from '../../swarm/words.ts';
import { type Classification, MAX_INSPECTED, type SqlValue, type TableRows, type TableShape } from '../ports/compute.ts';

export const jobSchema = z.discriminatedUnion('kind', [
  z.object({
    id: z.number(),
    kind: z.literal('classify'),
    model: z.string(),
    features: z.array(z.number()).length(FEATURE_COUNT),
  }),
  z.object({ id: z.number(), kind: z.literal('sql-needs'), sql: z.string(), schema: z.custom<TableShape[]>(Array.isArray) }),
  z.object({
    id: z.number(),
    kind: z.literal('sql-run'),
    sql: z.string(),
    schema: z.custom<TableShape[]>(Array.isArray),
    data: z.custom<TableRows[]>(Array.isArray),
  }),
  z.object({
    id: z.number(),
    kind: z.literal('inspect'),
    table: z.string(),
    where: z.map(z.string(), z.array(z.union([z.string(), z.number(), z.null()]))),
  }),
]);
export type Job = z.infer<typeof jobSchema>;

/** Runs until the parent disconnects. */
export function hostCompute(): void {
  process.on('disconnect', () => process.exit(0));
  process.on('SIGINT', () => undefined); // a terminal's ^C is the parent's to handle
  process.on('message', (message: unknown) => {
    const job = jobSchema.safeParse(message);
    if (job.success) void answer(job.data);
  });
}

async function answer(job: Job): Promise<void> {
  const result = await work(job).then(
    (value) => ({ id: job.id, value }),
    (error: unknown) => ({ id: job.id, error: messageOf(error) }),
  );
  process.send?.(result, undefined, undefined, () => undefined); // exits if its parent has exited
}

/** Each engine is loaded on its first use, because a child does only one kind of work. */
async function work(job: Job): Promise<unknown> {
  if (job.kind === 'classify') return classify(job.model, job.features);
  if (job.kind === 'inspect') return inspect(job.table, job.where);
  const engine = await import('./sql-engine.ts');
  return job.kind === 'sql-needs' ? engine.sqlNeeds(job.sql, job.schema) : engine.sqlRun(job.sql, job.schema, job.data);
}

async function inspect(table: string, where: ReadonlyMap<string, readonly SqlValue[]>) {
  const { READERS } = await import('./inspect/inspect.ts');
  const reader = READERS[table];
  if (reader === undefined) throw new Error(`this machine has no table ${table}`);
  return (await reader(where)).slice(0, MAX_INSPECTED);
}

let loaded: Promise<import('../../models/onnx/incident-model.ts').IncidentModel> | undefined;

async function classify(path: string, features: readonly number[]): Promise<Classification> {
  loaded ??= import('../../models/onnx/incident-model.ts').then(({ loadIncidentModel }) => loadIncidentModel(path));
  const probabilities = await (await loaded).classify(features);
  const confidence = Math.max(...probabilities);
  return { label: INCIDENT_CLASSES[probabilities.indexOf(confidence)] ?? 'calm', confidence };
}
