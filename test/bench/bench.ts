// What benchmarks share: progress on standard error, a table, the machine's facts, and the last line `NAME key=value …`.
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { table } from '../../node/cli/output.ts';

export interface Figures {
  /** Rows of the table: what was measured, ours, the rival's. */
  rows: [what: string, ours: string, rivals: string][];
  /** The keys of the last line (shared/bench.md); undefined is left out. */
  keys: Record<string, number | undefined>;
  /** Figures that could not be measured, each with its reason. */
  unmeasured: string[];
}

export interface BenchOptions {
  /** `--name value` pairs of the command line. */
  option(name: string, fallback: number): number;
  text(name: string, fallback: string): string;
  progress(text: string): void;
}

export interface Bench {
  name: string;
  description: string;
  run(options: BenchOptions): Promise<Figures>;
}

function machine(): string {
  const os = readFileSync('/etc/os-release', 'utf8').match(/^PRETTY_NAME="(.*)"$/m)?.[1] ?? 'Linux';
  return `${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${os}, kernel ${release()}, Node ${process.version}`;
}

export function report(bench: Bench, figures: Figures, json: boolean): void {
  const known = Object.entries(figures.keys).filter((entry): entry is [string, number] => entry[1] !== undefined);
  const rounded = Object.fromEntries(known.map(([key, value]) => [key, Number(value.toPrecision(4))]));
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ bench: bench.name, ...rounded, unmeasured: figures.unmeasured, machine: machine() }, null, 2)}\n`,
    );
    return;
  }
  process.stdout.write(`${table(['what', 'kalos', 'beside it'], figures.rows)}\n\n`);
  for (const text of figures.unmeasured) process.stdout.write(`not measured: ${text}\n`);
  process.stdout.write(`machine: ${machine()}\n`);
  process.stdout.write(`${[bench.name, ...Object.entries(rounded).map(([key, value]) => `${key}=${value}`)].join(' ')}\n`);
}
