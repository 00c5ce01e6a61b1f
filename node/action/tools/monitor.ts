// monitor.*: current sensor data, for people and models that plan changes. They change nothing.
import { z } from 'zod';
import type { Sample } from '../../ports/sensors.ts';
import { type ReadTool, readTool } from '../tool.ts';

function monitor(what: string, description: string, select: (sample: Sample) => unknown): ReadTool {
  const name = `monitor.${what}`;
  return readTool(z.strictObject({ tool: z.literal(name) }), {
    name,
    version: 1,
    description,
    capability: 'none',
    target: () => 'machine',
    risks: ['R0'],
    risk: () => 'R0',
    read: async (_call, { sensors }) => ({ ok: true, value: select(sensors.sample()) }),
  });
}

export const MONITOR_READS: readonly ReadTool[] = [
  monitor('cpu', 'CPU time by kind (ticks since boot), number of CPUs and load', ({ cpu, cpus, load }) => ({ cpu, cpus, load })),
  monitor('memory', 'Memory and swap: total and available bytes', (sample) => ({
    totalBytes: sample.memoryTotalBytes,
    availableBytes: sample.memoryAvailableBytes,
    swapTotalBytes: sample.swapTotalBytes,
    swapFreeBytes: sample.swapFreeBytes,
  })),
  monitor('disks', 'Mounted file systems and the devices’ traffic since boot', ({ mounts, disks }) => ({ mounts, disks })),
  monitor('pressure', 'Pressure stall information of CPU, memory and I/O, in percent over 10 s', (sample) => ({
    cpu: sample.pressureCpu,
    memory: sample.pressureMemory,
    io: sample.pressureIo,
  })),
];
