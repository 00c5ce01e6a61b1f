// The minute before: every metric and the top processes of the last sixty seconds, kept in rings, to be kept with an
// incident when one opens.
import { z } from 'zod';
import type { Sample } from '../../swarm/ports/sensors.ts';
import type { History } from './history.ts';
import { cpusByProcess } from './usage.ts';

export const RECORDED_S = 60;
const TOP = 5;

const processSchema = z.tuple([z.number(), z.string(), z.number(), z.number()]);

export const recordingSchema = z.strictObject({
  /** Wall clock of the last sample. */
  atMs: z.number(),
  /** By metric: the last values, oldest first; one that did not change, once. */
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
    const seen = sample.processes.map((process): Seen => [process.pid, process.name, round(cpus(process)), process.rssBytes]);
    const most = (index: 2 | 3): Seen[] => leading(seen, index).filter((one) => one[index] > 0);
    this.#top = [...this.#top.slice(1 - RECORDED_S), { atMs: sample.atMs, cpu: most(2), memory: most(3) }];
  }

  /** @param names of the metrics. */
  recording(names: Iterable<string>): Recording {
    const metrics: Recording['metrics'] = {};
    for (const name of names) {
      const values = this.#history.last(name, RECORDED_S).map(round);
      metrics[name] = values.every((value) => value === values[0]) ? values.slice(0, 1) : values;
    }
    return { atMs: this.#top.at(-1)?.atMs ?? 0, metrics, top: this.#top };
  }
}

/** A few passes are less work than sorting a thousand. */
function leading(all: readonly Seen[], index: 2 | 3): Seen[] {
  const top: Seen[] = [];
  for (const one of all) {
    if (top.length === TOP && one[index] <= (top[TOP - 1]?.[index] ?? 0)) continue;
    const at = top.findIndex((other) => other[index] < one[index]);
    top.splice(at < 0 ? top.length : at, 0, one);
    top.length = Math.min(top.length, TOP);
  }
  return top;
}

/** Four digits are what a person reads, and half the bytes. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
