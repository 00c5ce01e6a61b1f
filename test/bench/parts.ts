// For benchmarks that take long: only every Nth case (`--part I/N`), and those that a file of outcomes does not have yet
// (`--resume FILE`, a line of JSON a case); and no more at once than the machine can bear.
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import type { BenchOptions } from './bench.ts';

const LOOK_EVERY_MS = 1_000;

/** @throws Error where it is not I/N */
export function partOf<Case>(cases: readonly Case[], { text }: BenchOptions): Case[] {
  const part = text('part', '1/1');
  const [, turn, of] = part.match(/^(\d+)\/(\d+)$/) ?? [];
  const [nth, count] = [Number(turn), Number(of)];
  if (!(nth >= 1 && nth <= count)) throw new Error(`--part ${part}: it should be I/N, such as 1/4`);
  return cases.filter((_, index) => index % count === nth - 1);
}

/** Outcomes of earlier runs by the key of their case, and where those of this one go. */
export class Outcomes<Outcome> {
  readonly known = new Map<string, Outcome>();
  readonly #file: string;

  constructor({ text }: BenchOptions) {
    this.#file = text('resume', '');
    if (this.#file === '' || !existsSync(this.#file)) return;
    for (const line of readFileSync(this.#file, 'utf8')
      .split('\n')
      .filter((one) => one !== '')) {
      const { key, outcome } = JSON.parse(line) as { key: string; outcome: Outcome };
      this.known.set(key, outcome);
    }
  }

  add(key: string, outcome: Outcome): void {
    this.known.set(key, outcome);
    if (this.#file !== '') appendFileSync(this.#file, `${JSON.stringify({ key, outcome })}\n`);
  }
}

/** Runs jobs, so many at a time, and none more while the machine's load is above `mostLoad`. */
export async function inParallel<Result>(
  jobs: readonly (() => Promise<Result>)[],
  width: number,
  mostLoad = Number.POSITIVE_INFINITY,
): Promise<Result[]> {
  const results: Result[] = [];
  const waiting = jobs.entries();
  let running = 0;
  const worker = async (): Promise<void> => {
    for (const [index, job] of waiting) {
      while (running > 0 && (loadavg()[0] ?? 0) > mostLoad) await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      running++;
      results[index] = await job().finally(() => running--);
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return results;
}
