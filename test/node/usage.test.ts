// What a process and its descendants use together, and the minute of processes before an incident: of that very process, each once.
import { describe, expect, it } from 'vitest';
import type { ProcessSample, Sample } from '../../node/ports/sensors.ts';
import { FlightRecorder } from '../../node/telemetry/flight-recorder.ts';
import { History } from '../../node/telemetry/history.ts';
import { cpusByProcess, NO_USAGE, usageByProcess } from '../../node/telemetry/usage.ts';

const process = (pid: number, parent: number, given: Partial<ProcessSample> = {}): ProcessSample => ({
  pid,
  parent,
  name: `p${pid}`,
  state: 'S',
  threads: 1,
  cpuTicks: 0,
  rssBytes: pid * 100,
  startTicks: 5,
  ...given,
});
const sampleOf = (atMs: number, processes: readonly ProcessSample[]): Sample => ({
  monotonicMs: atMs,
  wallMs: 1_000_000 + atMs,
  cpus: 4,
  ticksPerSecond: 100,
  cpu: undefined,
  load: undefined,
  memoryTotalBytes: undefined,
  memoryAvailableBytes: undefined,
  swapTotalBytes: undefined,
  swapFreeBytes: undefined,
  pressureCpu: undefined,
  pressureMemory: undefined,
  pressureIo: undefined,
  disks: [],
  mounts: [],
  processes,
  host: { values: new Map(), lacks: new Map() },
});

describe('what a process uses', () => {
  const before = sampleOf(1_000, [process(1, 0), process(2, 1), process(3, 2), process(9, 1)]);
  const after = sampleOf(3_000, [
    process(1, 0, { cpuTicks: 100 }),
    process(2, 1, { cpuTicks: 300 }),
    process(3, 2, { cpuTicks: 50, state: 'Z' }),
    process(4, 2, { cpuTicks: 800 }), // came since
    process(9, 1, { cpuTicks: 700, startTicks: 6 }), // another of that pid
  ]);

  it('is that of all that descend from it', () => {
    const usage = usageByProcess(after, before);
    expect(usage(2)).toEqual({ memoryBytes: 900, cpus: 1.75, processes: 3, zombies: 1, pids: [2, 4, 3] });
    expect(usage(3)).toEqual({ memoryBytes: 300, cpus: 0.25, processes: 1, zombies: 1, pids: [3] });
    expect(usage(9)).toEqual({ memoryBytes: 900, cpus: 0, processes: 1, zombies: 0, pids: [9] });
    expect(usage(1)).toMatchObject({ memoryBytes: 1_900, cpus: 2.25, processes: 5 });
  });

  it('is nothing of one that is not there, and has no CPUs without a sample before', () => {
    expect([usageByProcess(after, before)(7), usageByProcess(after, before)(undefined)]).toEqual([NO_USAGE, NO_USAGE]);
    expect(usageByProcess(undefined, before)(1)).toEqual(NO_USAGE);
    expect(usageByProcess(after, undefined)(2)).toMatchObject({ processes: 3, cpus: 0 });
    expect(cpusByProcess(after, after)(process(1, 0, { cpuTicks: 100 }))).toBe(0);
    expect(cpusByProcess(after, before)(process(1, 0, { cpuTicks: -5 }))).toBe(0);
  });

  it('counts each once, where pids that were reused close a circle', () => {
    const circle = sampleOf(1_000, [process(1, 3), process(2, 1), process(3, 2)]);
    expect(usageByProcess(circle, undefined)(1)).toMatchObject({ memoryBytes: 600, processes: 3 });
  });

  it('is known of one with more children than a call takes arguments', () => {
    const many = sampleOf(1_000, [process(1, 0), ...Array.from({ length: 200_000 }, (_, nth) => process(nth + 2, 1))]);
    expect(usageByProcess(many, undefined)(1).processes).toBe(200_001);
  });
});

describe('the minute before an incident', () => {
  it('has the five processes with the most CPU, and with the most memory, of the last sixty samples', () => {
    const recorder = new FlightRecorder(new History());
    expect(recorder.recording([])).toEqual({ atMs: 0, metrics: {}, top: [] });
    const all = (ticks: number) => [3, 1, 4, 2, 7, 6, 5].map((pid) => process(pid, 0, { cpuTicks: pid === 7 ? 0 : pid * ticks }));
    let previous: Sample | undefined;
    for (let s = 0; s < 62; s++) {
      const sample = sampleOf(s * 1_000, all(s * 12.3456));
      recorder.take(sample, previous);
      previous = sample;
    }
    const { atMs, top } = recorder.recording([]);
    expect([atMs, top.length, top[0]?.atMs]).toEqual([1_061_000, 60, 1_002_000]);
    expect(top.at(-1)).toEqual({
      atMs: 1_061_000,
      cpu: [
        [6, 'p6', 0.7407, 600],
        [5, 'p5', 0.6173, 500],
        [4, 'p4', 0.4938, 400],
        [3, 'p3', 0.3704, 300],
        [2, 'p2', 0.2469, 200],
      ],
      memory: [
        [7, 'p7', 0, 700],
        [6, 'p6', 0.7407, 600],
        [5, 'p5', 0.6173, 500],
        [4, 'p4', 0.4938, 400],
        [3, 'p3', 0.3704, 300],
      ],
    });
  });

  it('has of those that use as much the first, and nobody who uses nothing', () => {
    const recorder = new FlightRecorder(new History());
    const same = [1, 2, 3, 4, 5, 6].map((pid) => process(pid, 0, { rssBytes: 50 }));
    recorder.take(sampleOf(0, [...same, process(7, 0, { rssBytes: 0 })]), undefined);
    const [{ cpu, memory } = { cpu: [], memory: [] }] = recorder.recording([]).top;
    expect([cpu, memory.map(([pid]) => pid)]).toEqual([[], [1, 2, 3, 4, 5]]);
  });

  it('has sixty values of each metric, in four digits, and one of what did not change', () => {
    const history = new History();
    for (let s = 0; s < 70; s++)
      history.record(
        [
          ['grows', s * 10.123456],
          ['same', 3],
        ],
        s,
        false,
      );
    const { metrics } = new FlightRecorder(history).recording(['grows', 'same', 'none']);
    expect(metrics.same).toEqual([3]);
    expect(metrics.none).toEqual([]);
    expect([metrics.grows?.length, metrics.grows?.[0], metrics.grows?.at(-1)]).toEqual([60, 101.2, 698.5]);
  });
});
