// What a node does in a second, counted in the deterministic simulator: events, messages and bytes by kind, signatures, the codec, timers,
// evaluations, writes. Counts do not drift as times do: test/sim/work.test.ts guards those of test/bench/work.json. Bytes
// allocated are printed beside them.
import { writeFileSync } from 'node:fs';
import { ALLOCATED, grownWork, readWorkFile, WORK_FILE, type WorkFile, workOf } from '../support/work-figures.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const SIZES = [30, 100];
const DECIMALS = 1_000;

async function run({ text, progress }: BenchOptions): Promise<Figures> {
  const reason = text('write', '');
  const before = readWorkFile();
  const work: WorkFile['work'] = {};
  const rows: Figures['rows'] = [];
  for (const nodes of SIZES) {
    progress(`${nodes} nodes join, are at rest, and have services die`);
    const measured = await workOf(nodes);
    work[nodes] = measured;
    for (const [phase, kinds] of Object.entries(measured))
      for (const [kind, each] of Object.entries(kinds).sort(([one], [other]) => (one < other ? -1 : 1)))
        rows.push([`${nodes} nodes, ${phase}: ${kind}`, each.toFixed(2), before.work[nodes]?.[phase]?.[kind]?.toFixed(2) ?? '']);
    for (const line of grownWork(before.work[nodes] ?? {}, measured))
      progress(`more than work.json has: ${nodes} nodes, ${line}`);
  }
  if (reason !== '') {
    const rounded = JSON.stringify(
      { reasons: [...before.reasons, reason], work },
      (key, value: unknown) =>
        key === ALLOCATED ? undefined : typeof value === 'number' ? Math.round(value * DECIMALS) / DECIMALS : value,
      2,
    );
    writeFileSync(WORK_FILE, `${rounded}\n`);
  }
  const rest = work[100]?.rest;
  return {
    rows,
    keys: {
      events_30: work[30]?.rest?.events,
      events_100: rest?.events,
      messages: rest?.messages,
      bytes: rest?.bytes,
      signatures: rest?.signatures ?? 0,
      decodes: rest?.decodes,
      allocated: rest?.[ALLOCATED],
    },
    unmeasured: ['SQL does not run in the simulator'],
  };
}

export const work: Bench = { name: 'work', description: 'what a node does in a second, counted (--write REASON keeps it)', run };
