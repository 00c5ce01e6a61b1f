// What a power cut can do to level's own log: a real database with a few batches, its log file cut short at every byte of
// the last batch, or with a byte of it changed. Whoever opens it must find that batch whole or not at all, and all before it.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LevelStore } from '../../node/adapters/level-store.ts';
import type { StoreOperation } from '../../swarm/ports/store.ts';

const BATCHES = 4;
const KEYS_A_BATCH = 3;

const batch = (number: number): StoreOperation[] =>
  Array.from({ length: KEYS_A_BATCH }, (_, i) => ({
    kind: 'put',
    key: `b${number}/${i}`,
    value: new Uint8Array(20).fill(number),
  }));

function logFile(directory: string): string {
  const name = readdirSync(directory).find((file) => file.endsWith('.log'));
  if (name === undefined) throw new Error('level has no log');
  return join(directory, name);
}

/** How many keys of each batch are there. */
async function found(directory: string): Promise<number[]> {
  const store = await LevelStore.open(directory);
  const counts: number[] = [];
  for (let number = 0; number < BATCHES; number++) counts.push((await store.range(`b${number}/`, { limit: 10 })).length);
  await store.close();
  return counts;
}

export interface TornLog {
  /** Damaged logs that were opened. */
  states: number;
  /** Those that did not come back as they must, in words. */
  wrong: string[];
}

/** @param every how many bytes apart the damages are. */
export async function tearEverywhere(every: number): Promise<TornLog> {
  const root = mkdtempSync(join(tmpdir(), 'kalos-torn-'));
  const result: TornLog = { states: 0, wrong: [] };
  try {
    const whole = join(root, 'whole');
    const { start, end } = await record(whole);
    const damage = async (what: string, spoil: (log: string) => void): Promise<void> => {
      const copy = join(root, 'copy');
      cpSync(whole, copy, { recursive: true });
      spoil(logFile(copy));
      const counts = await found(copy).catch((error: unknown) => [String(error)]);
      rmSync(copy, { recursive: true });
      result.states++;
      const [last, ...before] = counts.toReversed();
      const sound = before.every((count) => count === KEYS_A_BATCH) && (last === 0 || last === KEYS_A_BATCH);
      if (!sound) result.wrong.push(`${what}: ${counts.join(' ')}`);
    };
    for (let at = start; at < end; at += every) {
      await damage(`cut at ${at - start}`, (log) => truncateSync(log, at));
      await damage(`changed at ${at - start}`, (log) => {
        const bytes = readFileSync(log);
        bytes[at] = (bytes[at] ?? 0) ^ 0xff;
        writeFileSync(log, bytes);
      });
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  return result;
}

/** Writes the batches, each synced; where the last one lies in the log. The copy is taken before level tidies up. */
async function record(whole: string): Promise<{ start: number; end: number }> {
  const live = `${whole}-live`;
  const store = await LevelStore.open(live);
  for (let number = 0; number < BATCHES - 1; number++) await store.write(batch(number));
  const start = statSync(logFile(live)).size;
  await store.write(batch(BATCHES - 1));
  cpSync(live, whole, { recursive: true });
  await store.close();
  return { start, end: statSync(logFile(whole)).size };
}
