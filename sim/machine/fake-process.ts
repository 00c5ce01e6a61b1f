// A process of the simulated machine: its demand, its usage, and how a sampler sees it.
import type { ProcessSample } from '../../node/ports/sensors.ts';

const MIB = 1024 * 1024;

export interface Workload {
  /** CPUs wanted. */
  cpu: number;
  rssBytes: number;
  rssGrowthBytesPerS: number;
  writeBytesPerS: number;
  /** Files that it opens a second and does not close. */
  filesPerS: number;
  /** Children started a second: a fork bomb in slow motion. */
  forksPerS: number;
}

export const IDLE: Workload = {
  cpu: 0.01,
  rssBytes: 20 * MIB,
  rssGrowthBytesPerS: 0,
  writeBytesPerS: 0,
  filesPerS: 0,
  forksPerS: 0,
};

export interface FakeProcess {
  pid: number;
  name: string;
  startTicks: number;
  stopped: boolean;
  nice: number;
  workload: Workload;
  rssBytes: number;
  cpuTicks: number;
  files: number;
  writtenBytes: number;
}

export function sampleOf(process: FakeProcess): ProcessSample {
  const { pid, name, startTicks, stopped, cpuTicks, rssBytes } = process;
  return {
    pid,
    parent: 1,
    name,
    state: stopped ? 'T' : 'S',
    threads: 1,
    cpuTicks: Math.floor(cpuTicks),
    rssBytes: Math.floor(rssBytes),
    startTicks,
  };
}
