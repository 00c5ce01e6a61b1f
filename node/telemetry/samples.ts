// The samples of this machine: the last two, what is derived of them, and their history.
import { FEATURE_WINDOW_S, featuresOf } from '../../models/features.ts';
import type { Ports } from '../ports/ports.ts';
import type { Sample } from '../ports/sensors.ts';
import { FlightRecorder, type Recording } from './flight-recorder.ts';
import { History } from './history.ts';
import { readMetrics } from './metrics.ts';
import { DetailSeries } from './series.ts';
import { describeSuspects, suspectsOf } from './suspects.ts';
import type { Usage } from './usage.ts';

/** Between two samples: longer, and the machine was suspended, or the agent hung. So many intervals, and no less than this. */
const GAP_INTERVALS = 5;
const GAP_MS = 10_000;

export class Samples {
  readonly #ports: Pick<Ports, 'sensors' | 'actuator' | 'store'>;
  readonly #gapMs: number;
  readonly #clockBehindMs: () => number | undefined;
  readonly history = new History();
  readonly #detail = new DetailSeries();
  readonly #recorder = new FlightRecorder(this.history);
  #last: Sample | undefined;
  #previous: Sample | undefined;
  #metrics: ReadonlyMap<string, number> = new Map();
  #count = 0;

  /** @param clockBehindMs how far this machine's clock is behind its peers'; undefined with too few of them. */
  constructor(ports: Pick<Ports, 'sensors' | 'actuator' | 'store'>, intervalMs: number, clockBehindMs: () => number | undefined) {
    this.#ports = ports;
    this.#gapMs = Math.max(GAP_MS, GAP_INTERVALS * intervalMs);
    this.#clockBehindMs = clockBehindMs;
  }

  /** @returns the sample; and how long a gap lies before it, in which nobody looked: 0 where there is none. */
  take(): { sample: Sample; unseenMs: number } {
    const { sensors, actuator, store } = this.#ports;
    const before = this.#last;
    const sample = withOwn(withActuator(sensors.sample(), actuator.silentMs()), this.#clockBehindMs(), store.refusal);
    const passedMs = before === undefined ? 0 : sample.monotonicMs - before.monotonicMs;
    const unseenMs = passedMs > this.#gapMs ? passedMs : 0;
    this.#last = sample;
    this.#previous = unseenMs > 0 ? undefined : before;
    this.#metrics = readMetrics(sample, this.#previous);
    this.#recorder.take(sample, this.#previous);
    this.#count++;
    return { sample, unseenMs };
  }

  /** Writes the last sample to the history. @param services what each of them uses, by name */
  record(sample: Sample, services: ReadonlyMap<string, Usage>): void {
    const [atS, wallS] = [Math.floor(sample.monotonicMs / 1_000), Math.floor(sample.wallMs / 1_000)];
    this.history.record(this.#metrics, atS, true, wallS);
    this.history.record(this.#detail.values(sample, this.#previous, services), atS, false, wallS);
  }

  /** `previous` is undefined after a gap, too. */
  get last(): { sample: Sample | undefined; previous: Sample | undefined } {
    return { sample: this.#last, previous: this.#previous };
  }

  /** Of the last sample. */
  get metrics(): ReadonlyMap<string, number> {
    return this.#metrics;
  }

  /** Taken since the start. */
  get count(): number {
    return this.#count;
  }

  /** Which processes the machine's load was at the last sample, in words; empty where that is not known. */
  suspects(): string {
    return this.#last === undefined ? '' : describeSuspects(suspectsOf(this.#last, this.#previous));
  }

  /** The minute before now. */
  recording(): Recording {
    return this.#recorder.recording(this.#metrics.keys());
  }

  /** The incident model's view of the last minute; undefined where the history is too short. */
  features(): number[] | undefined {
    return featuresOf((series) => this.history.last(series, FEATURE_WINDOW_S));
  }
}

/** Without it nothing on this machine can be changed. */
function withActuator(sample: Sample, silentMs: number | undefined): Sample {
  const { values, lacks } = sample.host;
  const host =
    silentMs === undefined
      ? { values, lacks: new Map([...lacks, ['actuator.silence', 'this actuator (before 0.4.0) answers no heartbeat']]) }
      : { values: new Map([...values, ['actuator.silence', silentMs / 1_000]]), lacks };
  return { ...sample, host };
}

/** What only the peers can tell of a machine, and what the agent itself meets. */
function withOwn(sample: Sample, behindMs: number | undefined, refusal: string | undefined): Sample {
  const { values, lacks } = sample.host;
  const own = new Map([...values, ['state.refused', refusal === undefined ? 0 : 1]]);
  const host =
    behindMs === undefined
      ? { values: own, lacks: new Map([...lacks, ['clock.offset', 'fewer than two peers to compare it with']]) }
      : { values: own.set('clock.offset', behindMs / 1_000), lacks };
  return { ...sample, host };
}
