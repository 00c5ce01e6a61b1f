// The feature vector of the incident model: one definition, used by the agent and by the data that the model learns from,
// so that training and serving cannot differ. Only + - * / and comparisons: the same on every processor.

/** The series that features are computed from, as the agent's metrics are named. */
export const FEATURE_SERIES = [
  'system.cpu.utilization',
  'system.cpu.iowait',
  'system.load.per_cpu',
  'system.memory.utilization',
  'system.swap.utilization',
  'system.psi.cpu.some',
  'system.psi.memory.some',
  'system.psi.io.some',
  'system.disk.busy',
  'system.process.count',
  'system.process.zombies',
  'system.process.top_cpu',
  'system.process.top_memory',
] as const;
export type FeatureSeries = (typeof FEATURE_SERIES)[number];

/** Seconds of history that a vector looks at. */
export const FEATURE_WINDOW_S = 60;

/** What the model tells apart, by output position. */
export const INCIDENT_CLASSES = [
  'calm',
  'busy-cpu',
  'runaway-process',
  'memory-growth',
  'process-growth',
  'io-saturation',
] as const;
export type IncidentClass = (typeof INCIDENT_CLASSES)[number];

export const FEATURE_COUNT = FEATURE_SERIES.length * 3;

/**
 * For each series: its mean over the last ten samples, its change from the first ten to the last ten, and its largest
 * step. A series that is unknown counts as flat zero. Length FEATURE_COUNT; undefined where the history is too short, as it is
 * before the first sample: then nothing is known.
 */
export function featuresOf(read: (series: FeatureSeries) => readonly number[]): number[] | undefined {
  const features: number[] = [];
  let isEmpty = true;
  for (const name of FEATURE_SERIES) {
    const series = read(name);
    if (series.length > 0 && series.length < FEATURE_WINDOW_S / 2) return undefined;
    if (series.length > 0) isEmpty = false;
    features.push(...describe(series));
  }
  return isEmpty ? undefined : features;
}

function describe(series: readonly number[]): [number, number, number] {
  if (series.length === 0) return [0, 0, 0];
  const recent = mean(series.slice(-10));
  let largest = 0;
  for (let i = 1; i < series.length; i++) largest = Math.max(largest, Math.abs((series[i] ?? 0) - (series[i - 1] ?? 0)));
  return [recent, recent - mean(series.slice(0, 10)), largest];
}

function mean(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return values.length === 0 ? 0 : sum / values.length;
}
