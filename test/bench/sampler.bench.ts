// What a sample costs: the native sampler's one call, and the plain reader's scan of /proc in slices, with 500 processes.
import { spawn } from 'node:child_process';
import { findPackage } from '../../node/adapters/package.ts';
import { openSensors } from '../../node/telemetry/adapters/native-sampler.ts';
import { ProcReader } from '../../node/telemetry/adapters/proc-reader.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const EVERY_MS = 200;

interface Cost {
  /** CPU of one sample, slices included; median. */
  ms: number;
  /** The longest that the event loop was held: by the call itself, and by a slice of the scan after it; 95th percentiles. */
  callMs: number;
  sliceMs: number;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function high(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.95)] ?? 0;
}

/** PeriodicTask of the event loop while a sample and its slices are taken: what they cost, and the longest of them. */
async function measure(sample: () => unknown, rounds: number): Promise<Cost> {
  const costs: number[] = [];
  const [calls, slices]: [number[], number[]] = [[], []];
  sample();
  for (let round = 0; round < rounds; round++) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    let cost = 0;
    let atMs = performance.now();
    sample();
    for (let turn = 0; ; turn++) {
      const turnMs = performance.now() - atMs;
      cost += turnMs;
      (turn === 0 ? calls : slices).push(turnMs);
      if (turn > 0 && turnMs < 0.2) break; // nothing was left to do in that turn
      atMs = performance.now();
      await new Promise((resolve) => setImmediate(resolve));
    }
    costs.push(cost);
  }
  return { ms: median(costs), callMs: high(calls), sliceMs: high(slices.filter((ms) => ms >= 0.2)) };
}

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const rounds = option('rounds', 50);
  const sleepers = Array.from({ length: option('sleepers', 450) }, () => spawn('sleep', ['600'], { stdio: 'ignore' }));
  try {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const { sensors, fallbackReason } = openSensors(findPackage().addonPath);
    const plain = new ProcReader();
    const count = sensors.sample().processes.length;
    progress(`${count} processes, ${rounds} rounds`);
    const native = fallbackReason === undefined ? await measure(() => sensors.sample(), rounds) : undefined;
    const ts = await measure(() => plain.sample(), rounds);
    const shown = ({ ms, callMs, sliceMs }: Cost): string =>
      `${ms.toFixed(2)} ms; the loop is held ${callMs.toFixed(2)} ms by the call, ${sliceMs.toFixed(2)} ms by a slice (p95)`;
    return {
      rows: [
        ['native sampler', native === undefined ? '-' : shown(native), ''],
        ['plain reader, in slices', shown(ts), ''],
      ],
      keys: { native_ms: native?.ms, ts_ms: ts.ms, ts_call_ms: ts.callMs, ts_slice_ms: ts.sliceMs, processes: count },
      unmeasured: fallbackReason === undefined ? [] : [`the native sampler: ${fallbackReason}`],
    };
  } finally {
    for (const sleeper of sleepers) sleeper.kill();
  }
}

export const sampler: Bench = {
  name: 'sampler',
  description: 'what a sample of 500 processes costs, native and in TypeScript',
  run,
};
