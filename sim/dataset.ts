// The incident model's data, generated from a seed: the simulated Linux gets one kind of fault at a time, with random size and strength, and
// is observed for a minute through the agent's own metrics and features.
import { FEATURE_COUNT, FEATURE_WINDOW_S, featuresOf, INCIDENT_CLASSES, type IncidentClass } from '../models/features.ts';
import type { Sample } from '../node/ports/sensors.ts';
import { History } from '../node/telemetry/history.ts';
import { readMetrics } from '../node/telemetry/metrics.ts';
import { IDLE } from './machine/fake-process.ts';
import { FakeLinux } from './machine/linux.ts';
import type { MachineSize } from './machine/processes.ts';
import { SeededRandom } from './random.ts';
import { Scheduler } from './scheduler.ts';

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const WARM_UP_S = 20;

export interface LabelledWindow {
  label: IncidentClass;
  /** Length FEATURE_COUNT. */
  features: number[];
}

/** Ordinary work besides the fault: some processes, together at most two thirds of the CPUs. */
function background(linux: FakeLinux, random: SeededRandom, size: MachineSize): void {
  const share = random.between(0.01, 0.6) * size.cpus;
  const parts = 1 + Math.floor(random.between(0, 12));
  for (let i = 0; i < parts; i++) {
    const rssBytes = (random.between(0.005, 0.4) * size.memoryBytes) / parts;
    linux.processes.spawn(`work-${i}`, {
      ...IDLE,
      cpu: Math.min(0.6, share / parts),
      rssBytes,
      writeBytesPerS: random.between(0, 4) * MIB,
    });
  }
}

function trouble(label: IncidentClass, linux: FakeLinux, random: SeededRandom, size: MachineSize): void {
  switch (label) {
    case 'calm':
      return;
    case 'busy-cpu': {
      const workers = size.cpus * 2;
      for (let i = 0; i < workers; i++) linux.processes.spawn(`busy-${i}`, { ...IDLE, cpu: random.between(0.45, 0.75) });
      return;
    }
    case 'runaway-process':
      linux.processes.spawn('runaway', {
        ...IDLE,
        cpu: random.between(0.93, 1) * Math.min(size.cpus, 1 + Math.floor(random.between(0, 3))),
      });
      return;
    case 'memory-growth':
      linux.processes.spawn('leak', { ...IDLE, rssGrowthBytesPerS: random.between(0.0015, 0.012) * size.memoryBytes });
      return;
    case 'process-growth':
      linux.processes.spawn('forker', { ...IDLE, cpu: 0.05, forksPerS: random.between(0.5, 15) });
      return;
    case 'io-saturation':
      linux.processes.spawn('writer', {
        ...IDLE,
        cpu: random.between(0.05, 0.3),
        writeBytesPerS: random.between(150, 600) * MIB,
      });
  }
}

function window(label: IncidentClass, random: SeededRandom): number[] {
  const scheduler = new Scheduler();
  const size = { cpus: 2 ** Math.floor(random.between(1, 6)), memoryBytes: 2 ** Math.floor(random.between(1, 7)) * GIB };
  const linux = new FakeLinux(scheduler, random, [], size, 0);
  background(linux, random, size);
  const history = new History();
  // The fault begins at a random time in the window: a model must recognise it early as well as late.
  const beginsS = WARM_UP_S + Math.floor(random.between(0, FEATURE_WINDOW_S / 2));
  let previous: Sample | undefined;
  for (let second = 0; second < WARM_UP_S + FEATURE_WINDOW_S; second++) {
    scheduler.step(second * 1000);
    if (second === beginsS) trouble(label, linux, random, size);
    const sample = linux.sample();
    history.record(readMetrics(sample, previous), second, true);
    previous = sample;
  }
  const features = featuresOf((series) => history.last(series, FEATURE_WINDOW_S));
  if (features?.length !== FEATURE_COUNT) throw new Error('the window is too short for its features');
  return features;
}

/** `count` windows, the classes in turn. The same seed gives the same windows. */
export function* makeDataset(count: number, seed: number): Generator<LabelledWindow> {
  for (let i = 0; i < count; i++) {
    const label = INCIDENT_CLASSES[i % INCIDENT_CLASSES.length] ?? 'calm';
    yield { label, features: window(label, new SeededRandom(seed, `window ${i}`)) };
  }
}
