// The feature vector of the incident model. Agent and training data use the same definition, so that training and serving cannot
// differ. Only + - * / and comparisons: the same on every processor.

/** The series of the features, by the names of the agent's metrics. */
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

/** Seconds of history in a vector. */
export const FEATURE_WINDOW_S = 60;

/** The classes of the model, by output position. */
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
 * For each series: its mean over the last ten samples, its change from the first ten to the last ten, and its largest step. An unknown
 * series counts as zero.
 * @returns FEATURE_COUNT values; undefined if the history is too short, or if all series are unknown
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
