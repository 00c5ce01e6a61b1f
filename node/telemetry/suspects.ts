// Attribution: the processes that cause a machine's load, and their age, from one sample.
import type { ProcessSample, Sample } from '../ports/sensors.ts';
import { processCpu } from './metrics.ts';

const NAMED = 3;
/** Below this a process is not a cause of load. */
const NOTABLE_CPUS = 0.1;
const NOTABLE_MEMORY_SHARE = 0.02;
const MIB = 1024 * 1024;

export interface Suspects {
  busiest: { process: ProcessSample; cpus: number; ageS: number | undefined }[];
  largest: { process: ProcessSample; ageS: number | undefined }[];
  /** Processes in uninterruptible sleep, such as waiting for a disk. */
  blocked: ProcessSample[];
}

export function suspectsOf(sample: Sample, previous: Sample | undefined): Suspects {
  const uptimeS = sample.host.values.get('uptime');
  const ageS = ({ startTicks }: ProcessSample): number | undefined =>
    uptimeS === undefined ? undefined : Math.max(0, Math.round(uptimeS - startTicks / sample.ticksPerSecond));
  const busiest = sample.processes
    .map((process) => ({ process, cpus: processCpu(process, sample, previous) ?? 0, ageS: ageS(process) }))
    .filter(({ cpus }) => cpus >= NOTABLE_CPUS)
    .sort((a, b) => b.cpus - a.cpus);
  const notableBytes = (sample.memoryTotalBytes ?? Number.POSITIVE_INFINITY) * NOTABLE_MEMORY_SHARE;
  const largest = sample.processes
    .filter(({ rssBytes }) => rssBytes >= notableBytes)
    .toSorted((a, b) => b.rssBytes - a.rssBytes)
    .map((process) => ({ process, ageS: ageS(process) }));
  const blocked = sample.processes.filter(({ state }) => state === 'D');
  return { busiest: busiest.slice(0, NAMED), largest: largest.slice(0, NAMED), blocked: blocked.slice(0, NAMED) };
}

export function describeSuspects({ busiest, largest, blocked }: Suspects): string {
  const named = ({ name, pid }: ProcessSample, ageS: number | undefined): string =>
    `${name} (pid ${pid}${ageS === undefined ? '' : `, for ${ageS} s`})`;
  const part = (label: string, items: readonly string[]): string[] =>
    items.length === 0 ? [] : [`${label}: ${items.join(', ')}`];
  return [
    ...part(
      'busiest',
      busiest.map(({ process, cpus, ageS }) => `${named(process, ageS)} ${cpus.toFixed(1)} CPUs`),
    ),
    ...part(
      'largest',
      largest.map(({ process, ageS }) => `${named(process, ageS)} ${Math.round(process.rssBytes / MIB)} MiB`),
    ),
    ...part(
      'blocked',
      blocked.map((process) => named(process, undefined)),
    ),
  ].join('; ');
}
