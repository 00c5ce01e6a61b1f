// How well the incident model tells trouble apart: on simulated windows that it never saw, and, with --real 1, on this
// machine under real load of this benchmark's own processes, which it was not trained on at all.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FEATURE_WINDOW_S, featuresOf, INCIDENT_CLASSES, type IncidentClass } from '../../models/features.ts';
import { type IncidentModel, loadIncidentModel } from '../../models/onnx/incident-model.ts';
import { findPackage } from '../../node/adapters/package.ts';
import type { Sample } from '../../node/ports/sensors.ts';
import { openSensors } from '../../node/telemetry/adapters/native-sampler.ts';
import { History } from '../../node/telemetry/history.ts';
import { readMetrics } from '../../node/telemetry/metrics.ts';
import { makeDataset } from '../../sim/dataset.ts';
import type { Bench, BenchOptions, Figures } from './bench.ts';

const CALIBRATION_BINS = 10;

interface Judged {
  truth: IncidentClass;
  seen: IncidentClass;
  confidence: number;
}

function macroF1(judged: readonly Judged[]): number {
  const scores = INCIDENT_CLASSES.map((name) => {
    const hits = judged.filter(({ truth, seen }) => truth === name && seen === name).length;
    const claimed = judged.filter(({ seen }) => seen === name).length;
    const there = judged.filter(({ truth }) => truth === name).length;
    return claimed + there === 0 ? 1 : (2 * hits) / (claimed + there);
  });
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

/** Expected calibration error over equal bins of confidence (Guo et al. 2017). */
function calibrationError(judged: readonly Judged[]): number {
  let error = 0;
  for (let bin = 0; bin < CALIBRATION_BINS; bin++) {
    const inBin = judged.filter(
      ({ confidence }) => Math.min(CALIBRATION_BINS - 1, Math.floor(confidence * CALIBRATION_BINS)) === bin,
    );
    if (inBin.length === 0) continue;
    const right = inBin.filter(({ truth, seen }) => truth === seen).length / inBin.length;
    const sure = inBin.reduce((sum, { confidence }) => sum + confidence, 0) / inBin.length;
    error += (inBin.length / judged.length) * Math.abs(right - sure);
  }
  return error;
}

async function judge(model: IncidentModel, truth: IncidentClass, features: readonly number[]): Promise<Judged> {
  const probabilities = await model.classify(features);
  const confidence = Math.max(...probabilities);
  return { truth, seen: INCIDENT_CLASSES[probabilities.indexOf(confidence)] ?? 'calm', confidence };
}

/** Real load, in Node processes of this benchmark's own; each ends by itself after two minutes at the latest. */
const HOG = 'const end = Date.now() + 120000; while (Date.now() < end);';
const REAL: Record<IncidentClass, (directory: string) => [script: string, copies: number]> = {
  calm: () => ['setTimeout(() => 0, 120000)', 1],
  'busy-cpu': () => [
    'const end = Date.now() + 120000; const spin = () => { const until = Date.now() + 6; while (Date.now() < until); if (Date.now() < end) setTimeout(spin, 4); }; spin();',
    8,
  ],
  'runaway-process': () => [HOG, 1],
  'memory-growth': () => [
    'const kept = []; const timer = setInterval(() => { kept.push(Buffer.alloc(96 << 20, 1)); if (kept.length > 60) clearInterval(timer); }, 1000); setTimeout(() => process.exit(), 120000);',
    1,
  ],
  'process-growth': () => [
    'const { spawn } = require("child_process"); let n = 0; const timer = setInterval(() => { if (++n > 120) return clearInterval(timer); spawn("sleep", ["70"], { stdio: "ignore" }).unref(); }, 400); setTimeout(() => process.exit(), 100000);',
    1,
  ],
  'io-saturation': (directory) => [
    `const fs = require("fs"); const block = Buffer.alloc(4 << 20, 7); const fd = fs.openSync(${JSON.stringify(join(directory, 'load'))}, "w"); const end = Date.now() + 120000; for (let i = 0; Date.now() < end; i++) { fs.writeSync(fd, block, 0, block.length, (i % 64) * block.length); fs.fsyncSync(fd); }`,
    2,
  ],
};

async function judgeReal(
  model: IncidentModel,
  truth: IncidentClass,
  progress: (text: string) => void,
): Promise<Judged | undefined> {
  const { sensors } = openSensors(findPackage().addonPath);
  const directory = mkdtempSync(join(tmpdir(), 'kalos-load-'));
  const history = new History();
  const children: ChildProcess[] = [];
  let previous: Sample | undefined;
  progress(`real ${truth}: ${FEATURE_WINDOW_S} s`);
  try {
    for (let second = 0; second <= FEATURE_WINDOW_S; second++) {
      if (second === 15) {
        const [script, copies] = REAL[truth](directory);
        for (let i = 0; i < copies; i++) children.push(spawn(process.execPath, ['-e', script], { stdio: 'ignore' }));
      }
      const sample = sensors.sample();
      history.record(readMetrics(sample, previous), second, true);
      previous = sample;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    const features = featuresOf((series) => history.last(series, FEATURE_WINDOW_S));
    return features && (await judge(model, truth, features));
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

async function run({ option, progress }: BenchOptions): Promise<Figures> {
  const model = await loadIncidentModel(findPackage().modelPath);
  progress('classifying simulated windows');
  const windows = [...makeDataset(option('windows', 1_200), 20_261)];
  const judged: Judged[] = [];
  for (const { label, features } of windows) judged.push(await judge(model, label, features));
  const times: number[] = [];
  for (const { features } of windows) {
    const startMs = performance.now();
    await model.classify(features);
    times.push((performance.now() - startMs) * 1000);
  }
  const p50 = times.sort((a, b) => a - b)[times.length >> 1] ?? 0;
  const real: Judged[] = [];
  if (option('real', 0) > 0) {
    for (const truth of INCIDENT_CLASSES) {
      const one = await judgeReal(model, truth, progress);
      if (one !== undefined) real.push(one);
      await new Promise((resolve) => setTimeout(resolve, 15_000)); // PSI and load fall back
    }
  }
  return {
    rows: [
      ['simulated windows, macro F1', macroF1(judged).toFixed(4), ''],
      ['simulated windows, calibration error', calibrationError(judged).toFixed(4), ''],
      ['one window, median', `${p50.toFixed(0)} µs`, ''],
      ...real.map(({ truth, seen, confidence }): [string, string, string] => [
        `real ${truth}`,
        `${seen} (${Math.round(confidence * 100)} %)`,
        truth === seen ? 'right' : 'wrong',
      ]),
    ],
    keys: {
      macro_f1: macroF1(judged),
      ece: calibrationError(judged),
      p50_us: p50,
      real_right: real.length === 0 ? undefined : real.filter(({ truth, seen }) => truth === seen).length,
    },
    unmeasured: real.length === 0 ? ['this machine under real load: add --real 1 (eight minutes)'] : [],
  };
}

export const incidentModel: Bench = {
  name: 'incident-model',
  description: 'the incident model on windows that it never saw; --real 1 for this machine under real load',
  run,
};
