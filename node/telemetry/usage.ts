// The resource usage of a process and all its descendants.
import type { ProcessSample, Sample } from '../ports/sensors.ts';
import { elapsedS } from './counters.ts';

export interface Usage {
  memoryBytes: number;
  /** 1 is one core. */
  cpus: number;
  processes: number;
  /** Number of zombies among them. */
  zombies: number;
  pids: readonly number[];
}

export const NO_USAGE: Usage = { memoryBytes: 0, cpus: 0, processes: 0, zombies: 0, pids: [] };

interface Index {
  byPid: ReadonlyMap<number, ProcessSample>;
  /** By parent; built on the first use. */
  children: ReadonlyMap<number, readonly ProcessSample[]> | undefined;
}

/** Once per sample: a second later it is the previous one. */
const indices = new WeakMap<Sample, Index>();

function indexOf(sample: Sample): Index {
  let index = indices.get(sample);
  if (index === undefined) {
    index = { byPid: new Map(sample.processes.map((process) => [process.pid, process])), children: undefined };
    indices.set(sample, index);
  }
  return index;
}

/** For one sample, and the previous one for the CPU. */
export function usageByProcess(sample: Sample | undefined, previous: Sample | undefined): (pid: number | undefined) => Usage {
  if (sample === undefined) return () => NO_USAGE;
  const cpusOf = cpusByProcess(sample, previous);
  return (pid) => {
    const index = indexOf(sample);
    const first = pid === undefined ? undefined : index.byPid.get(pid);
    if (first === undefined) return NO_USAGE;
    index.children ??= byParent(sample.processes);
    const usage = { ...NO_USAGE };
    const waiting = [first];
    // /proc is not read at one instant: a reused pid could make a cycle.
    const counted = new Set<number>();
    for (let process = waiting.pop(); process !== undefined; process = waiting.pop()) {
      if (counted.has(process.pid)) continue;
      counted.add(process.pid);
      usage.memoryBytes += process.rssBytes;
      usage.cpus += cpusOf(process);
      usage.processes++;
      if (process.state === 'Z') usage.zombies++;
      for (const child of index.children.get(process.pid) ?? []) waiting.push(child);
    }
    return { ...usage, pids: [...counted] };
  };
}

/** CPUs that a process used since the previous sample; 0 if it is new. */
export function cpusByProcess(sample: Sample, previous: Sample | undefined): (process: ProcessSample) => number {
  const seconds = elapsedS(sample, previous);
  if (previous === undefined || seconds === undefined) return () => 0;
  const earlier = indexOf(previous).byPid;
  return (process) => {
    const before = earlier.get(process.pid);
    if (before?.startTicks !== process.startTicks) return 0;
    return Math.max(0, (process.cpuTicks - before.cpuTicks) / sample.ticksPerSecond / seconds);
  };
}

function byParent(processes: readonly ProcessSample[]): Map<number, ProcessSample[]> {
  const children = new Map<number, ProcessSample[]>();
  for (const process of processes) {
    const siblings = children.get(process.parent);
    if (siblings === undefined) children.set(process.parent, [process]);
    else siblings.push(process);
  }
  return children;
}
