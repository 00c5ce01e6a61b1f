// Every metric and the top processes of the last sixty seconds, kept in rings, to be stored with an
// incident when one opens.
import { z } from 'zod';
import type { ProcessSample, Sample } from '../ports/sensors.ts';
import type { History } from './history.ts';
import { cpusByProcess } from './usage.ts';

export const RECORDED_S = 60;
const TOP = 5;

const processSchema = z.tuple([z.number(), z.string(), z.number(), z.number()]);

export const recordingSchema = z.strictObject({
  /** Wall clock of the last sample. */
  atMs: z.number(),
  /** By metric: the last values, oldest first; an unchanged one only once. */
  metrics: z.record(z.string(), z.array(z.number())),
  /** The processes with the most CPU, and those with the most memory: pid, name, CPUs, bytes. Oldest first. */
  top: z.array(z.strictObject({ atMs: z.number(), cpu: z.array(processSchema), memory: z.array(processSchema) })),
});
export type Recording = z.infer<typeof recordingSchema>;
type Seen = z.infer<typeof processSchema>;

export class FlightRecorder {
  readonly #history: History;
  #top: Recording['top'] = [];

  constructor(history: History) {
    this.#history = history;
  }

  take(sample: Sample, previous: Sample | undefined): void {
    const cpus = cpusByProcess(sample, previous);
    const seen = (process: ProcessSample): Seen => [process.pid, process.name, round(cpus(process)), process.rssBytes];
    const cpu = leading(sample.processes, cpus).map(seen);
    const memory = leading(sample.processes, ({ rssBytes }) => rssBytes).map(seen);
    if (this.#top.length === RECORDED_S) this.#top.shift();
    this.#top.push({ atMs: sample.wallMs, cpu, memory });
  }

  /** @param names of the metrics. */
  recording(names: Iterable<string>): Recording {
    const metrics: Recording['metrics'] = {};
    for (const name of names) {
      const values = this.#history.last(name, RECORDED_S).map(round);
      metrics[name] = values.every((value) => value === values[0]) ? values.slice(0, 1) : values;
    }
    return { atMs: this.#top.at(-1)?.atMs ?? 0, metrics, top: [...this.#top] };
  }
}

/** A few passes cost less than sorting a thousand. */
function leading(all: readonly ProcessSample[], amountOf: (process: ProcessSample) => number): ProcessSample[] {
  const top: ProcessSample[] = [];
  const amounts: number[] = [];
  for (const process of all) {
    const amount = amountOf(process);
    if (amount <= (top.length === TOP ? (amounts[TOP - 1] ?? 0) : 0)) continue;
    let at = top.length;
    while (at > 0 && (amounts[at - 1] ?? 0) < amount) at--;
    top.splice(at, 0, process);
    amounts.splice(at, 0, amount);
    if (top.length > TOP) {
      top.pop();
      amounts.pop();
    }
  }
  return top;
}

/** Four digits are precise enough for a person, and need half the bytes. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
