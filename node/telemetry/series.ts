// Series beyond the catalogue, named `metric{what}`: one per process, mount, disk, network device and service. They are
// kept like any other, and shown by `kalos metrics --history`; no policy uses them.
import type { ProcessSample, Sample } from '../ports/sensors.ts';
import { elapsedS, grown, shareOf, usedShare } from './counters.ts';
import { PER_DEVICE } from './host-figures.ts';
import { cpusByProcess, type Usage } from './usage.ts';

type Value = [name: string, value: number];

type Names = readonly [cpu: string, memory: string, threads: string];

export class DetailSeries {
  /** Names of a process's series, by pid: created once, to avoid a thousand strings of garbage per second. */
  #names = new Map<number, { startTicks: number; names: Names }>();

  /** @param services the use of each, by name. */
  values(sample: Sample, previous: Sample | undefined, services: ReadonlyMap<string, Usage>): Value[] {
    const values = this.#ofProcesses(sample, previous);
    for (const { path, sizeBytes, availableBytes, inodes, inodesFree } of sample.mounts) {
      const [space, nodes] = [usedShare(sizeBytes, availableBytes), usedShare(inodes, inodesFree)];
      if (space !== undefined) values.push([`system.filesystem.utilization{${path}}`, space]);
      if (nodes !== undefined) values.push([`system.filesystem.inodes.utilization{${path}}`, nodes]);
    }
    for (const [service, { memoryBytes, cpus: used, processes }] of services)
      values.push(
        [`kalos.service.cpu.utilization{${service}}`, used],
        [`kalos.service.memory.usage{${service}}`, memoryBytes],
        [`kalos.service.process.count{${service}}`, processes],
      );
    const seconds = elapsedS(sample, previous);
    if (previous === undefined || seconds === undefined) return values;
    return [...values, ...diskRates(sample, previous, seconds), ...deviceRates(sample, previous, seconds)];
  }

  #ofProcesses(sample: Sample, previous: Sample | undefined): Value[] {
    const values: Value[] = [];
    const cpus = cpusByProcess(sample, previous);
    const kept = new Map<number, { startTicks: number; names: Names }>();
    for (const process of sample.processes) {
      if (process.rssBytes === 0) continue; // the kernel's own
      const known = this.#names.get(process.pid);
      const entry =
        known?.startTicks === process.startTicks ? known : { startTicks: process.startTicks, names: namesOf(process) };
      kept.set(process.pid, entry);
      const [cpu, memory, threads] = entry.names;
      values.push([cpu, cpus(process)], [memory, process.rssBytes], [threads, process.threads]);
    }
    this.#names = kept;
    return values;
  }
}

/** With the name of the process when it was first seen. */
function namesOf({ name, pid }: ProcessSample): Names {
  const what = `${name}-${pid}`;
  return [`process.cpu.utilization{${what}}`, `process.memory.usage{${what}}`, `process.thread.count{${what}}`];
}

/** The rate of a counter; nothing if it decreased, which means a reset. */
function rate(name: string, now: number, before: number | undefined, seconds: number): Value[] {
  const growth = grown(now, before);
  return growth === undefined ? [] : [[name, growth / seconds]];
}

function diskRates(sample: Sample, previous: Sample, seconds: number): Value[] {
  return sample.disks.flatMap(({ device, readBytes, writtenBytes, busyMs }): Value[] => {
    const before = previous.disks.find((disk) => disk.device === device);
    const busy = shareOf(grown(busyMs, before?.busyMs), seconds * 1_000);
    return [
      ...rate(`system.disk.read{${device}}`, readBytes, before?.readBytes, seconds),
      ...rate(`system.disk.write{${device}}`, writtenBytes, before?.writtenBytes, seconds),
      ...(busy === undefined ? [] : ([[`system.disk.busy{${device}}`, busy]] as const)),
    ] as Value[];
  });
}

/** Series of devices and control groups: counters as rates, the groups' memory as a gauge. */
function deviceRates({ host }: Sample, previous: Sample, seconds: number): Value[] {
  return [...host.values].flatMap(([figure, now]): Value[] => {
    const [, name = '', what = ''] = figure.match(PER_DEVICE) ?? [];
    if (name === '') return [];
    if (name === 'cgroup.memory') return [[`container.memory.usage{${what}}`, now]];
    const shown = name === 'cgroup.cpu' ? 'container.cpu.usage' : `system.${name}`;
    return rate(`${shown}{${what}}`, now, previous.host.values.get(figure), seconds);
  });
}
