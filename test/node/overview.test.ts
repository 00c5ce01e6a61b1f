// What a person sees at a glance of a machine: a minute of its figures, its busiest processes, its newest incidents, and what is being done.
import { expect, it } from 'vitest';
import { addStep, type Incident, openIncident } from '../../node/detection/incident.ts';
import type { Sample } from '../../node/ports/sensors.ts';
import { overview } from '../../node/query/overview.ts';
import type { Reads } from '../../node/query/reads.ts';

const SERIES = {
  cpu: 'system.cpu.utilization',
  memory: 'system.memory.utilization',
  psiCpu: 'system.psi.cpu.some',
  psiMemory: 'system.psi.memory.some',
  psiIo: 'system.psi.io.some',
  diskWrite: 'system.disk.write',
  receive: 'system.network.io.receive',
  transmit: 'system.network.io.transmit',
};

const process = (pid: number, cpuTicks: number, rssBytes = 0) => ({
  ...{ pid, parent: 1, name: `p${pid}`, state: 'S', threads: pid + 1, cpuTicks, rssBytes, startTicks: 1 },
});
const sampleOf = (monotonicMs: number, processes: ReturnType<typeof process>[]) =>
  ({ monotonicMs, ticksPerSecond: 100, processes }) as unknown as Sample;

function of(samples: { sample?: Sample; previous?: Sample }, incidents: Incident[] = []) {
  const history = { last: (name: string, seconds: number) => [name, seconds] };
  return overview({
    machine: { lastSample: () => samples, history },
    healing: { incidents: () => incidents },
  } as unknown as Reads);
}

it('has a minute of each figure, and nothing of a machine that was not sampled yet', () => {
  const { series, ...rest } = of({});
  expect(series).toEqual(Object.fromEntries(Object.entries(SERIES).map(([key, name]) => [key, [name, 60]])));
  expect(rest).toEqual({ processes: [], incidents: [], doing: '' });
});

it('has the twelve processes that use the most, the larger of those that use the same', () => {
  const previous = sampleOf(
    0,
    Array.from({ length: 13 }, (_, n) => process(n + 1, 0)),
  );
  const sample = sampleOf(1_000, [
    ...Array.from({ length: 13 }, (_, n) => process(n + 1, n === 4 ? 150 : 0, n)),
    process(99, 500, 100), // new: how much it uses is not known yet
  ]);
  const { processes } = of({ sample, previous });
  expect(processes.map(({ pid }) => pid)).toEqual([5, 99, 13, 12, 11, 10, 9, 8, 7, 6, 4, 3]);
  expect(processes[0]).toEqual({ pid: 5, name: 'p5', state: 'S', cpu: 1.5, rssBytes: 4, threads: 6 });
  expect(processes[1]?.cpu).toBe(0);
});

it('has the eight newest incidents, and the newest step of the newest of them', () => {
  const incidents = Array.from({ length: 9 }, (_, n) => {
    const finding = { policy: 'p', target: `t${n}`, severity: 'warning' as const, summary: `s${n}` };
    return openIncident(finding, 'node', 'name', n, (bytes) => bytes);
  });
  const newest = incidents[8] ?? expect.fail();
  addStep(newest, 1, 'detect', 'seen');
  addStep(newest, 2, 'act', 'restarting');
  const seen = of({}, incidents);
  expect(seen.incidents.map(({ target }) => target)).toEqual(['t8', 't7', 't6', 't5', 't4', 't3', 't2', 't1']);
  const { id, summary, target, state, outcome, openedMs, closedMs } = newest;
  expect(seen.incidents[0]).toEqual({ id, summary, target, state, outcome, openedMs, closedMs });
  expect(seen.doing).toBe(`${id} act: restarting`);
});
