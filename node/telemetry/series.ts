// Series beyond the catalogue: each process, mount, disk, network device and service by itself, named `metric{what}`. They are
// kept like any other, and shown by `kalos metrics --history`; no policy goes by them.
import type { Sample } from '../../swarm/ports/sensors.ts';
import { PER_DEVICE } from './host-figures.ts';
import { cpusByProcess, type Usage } from './usage.ts';

type Value = [name: string, value: number];

/** @param services the use of each, by name. */
export function detailSeries(sample: Sample, previous: Sample | undefined, services: ReadonlyMap<string, Usage>): Value[] {
  const values: Value[] = [];
  const cpus = cpusByProcess(sample, previous);
  for (const process of sample.processes) {
    if (process.rssBytes === 0) continue; // the kernel's own
    const what = `${process.name}-${process.pid}`;
    values.push(
      [`process.cpu.utilization{${what}}`, cpus(process)],
      [`process.memory.usage{${what}}`, process.rssBytes],
      [`process.thread.count{${what}}`, process.threads],
    );
  }
  for (const { path, sizeBytes, availableBytes, inodes, inodesFree } of sample.mounts) {
    if (sizeBytes > 0) values.push([`system.filesystem.utilization{${path}}`, 1 - availableBytes / sizeBytes]);
    if (inodes > 0) values.push([`system.filesystem.inodes.utilization{${path}}`, 1 - inodesFree / inodes]);
  }
  for (const [service, { memoryBytes, cpus: used, processes }] of services)
    values.push(
      [`kalos.service.cpu.utilization{${service}}`, used],
      [`kalos.service.memory.usage{${service}}`, memoryBytes],
      [`kalos.service.process.count{${service}}`, processes],
    );
  return previous === undefined ? values : [...values, ...diskRates(sample, previous), ...deviceRates(sample, previous)];
}

/** How fast a counter grew; one that went back was reset, and gives nothing. */
function rate(name: string, now: number, before: number | undefined, seconds: number): Value[] {
  return before === undefined || now < before || seconds <= 0 ? [] : [[name, (now - before) / seconds]];
}

function diskRates(sample: Sample, previous: Sample): Value[] {
  const seconds = (sample.atMs - previous.atMs) / 1_000;
  return sample.disks.flatMap(({ device, readBytes, writtenBytes, busyMs }) => {
    const before = previous.disks.find((disk) => disk.device === device);
    return [
      ...rate(`system.disk.read{${device}}`, readBytes, before?.readBytes, seconds),
      ...rate(`system.disk.write{${device}}`, writtenBytes, before?.writtenBytes, seconds),
      ...rate(`system.disk.busy{${device}}`, busyMs / 1_000, before && before.busyMs / 1_000, seconds),
    ];
  });
}

function deviceRates({ atMs, host }: Sample, previous: Sample): Value[] {
  const seconds = (atMs - previous.atMs) / 1_000;
  return [...host.values].flatMap(([figure, now]) => {
    const [, name, device] = figure.match(PER_DEVICE) ?? [];
    return name === undefined ? [] : rate(`system.${name}{${device}}`, now, previous.host.values.get(figure), seconds);
  });
}
