// What every Sensors gives: the native sampler, the plain reader and the simulated Linux.
import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import type { Sensors } from '../../node/ports/sensors.ts';
import { openSensors } from '../../node/telemetry/adapters/native-sampler.ts';
import { ProcReader, parseStat } from '../../node/telemetry/adapters/proc-reader.ts';
import { METRICS, readMetrics } from '../../node/telemetry/metrics.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';

const { sensors: native, fallbackReason } = openSensors(findPackage().addonPath);
const scheduler = new Scheduler();
const fake = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [], { cpus: 4, memoryBytes: 2 ** 33 }, 0);

it('the native addon is built and loads', () => {
  expect(fallbackReason).toBeUndefined();
});

describe.each<[string, Sensors]>([
  ['native', native],
  ['plain', new ProcReader()],
  ['simulated', fake],
])('%s sensors', (_name, sensors) => {
  it('give shares between 0 and 1, free no larger than total, and processes with a name', () => {
    const first = sensors.sample();
    scheduler.step(scheduler.nowMs + 1_000);
    const sample = sensors.sample();
    expect(sample.cpus).toBeGreaterThan(0);
    expect(sample.memoryAvailableBytes).toBeLessThanOrEqual(sample.memoryTotalBytes ?? 0);
    expect(sample.processes.length).toBeGreaterThan(5);
    expect(sample.processes.every(({ pid, name }) => pid > 0 && name !== '')).toBe(true);
    for (const { availableBytes, sizeBytes } of sample.mounts) expect(availableBytes).toBeLessThanOrEqual(sizeBytes);
    const metrics = readMetrics(sample, first);
    for (const { name, unit } of METRICS.filter(({ unit }) => unit === '1')) {
      expect(metrics.get(name) ?? 0, `${name} in ${unit}`).toBeGreaterThanOrEqual(0);
    }
    for (const name of ['system.memory.utilization', 'system.filesystem.utilization', 'system.filesystem.inodes.utilization']) {
      expect(metrics.get(name) ?? 0, name).toBeLessThanOrEqual(1);
    }
  });
});

describe('the native sampler and the plain reader', () => {
  it('agree about the machine', () => {
    const [a, b] = [native.sample(), new ProcReader().sample()];
    expect(a.memoryTotalBytes).toBe(b.memoryTotalBytes);
    expect(a.ticksPerSecond).toBe(b.ticksPerSecond);
    expect(a.disks.map(({ device }) => device)).toEqual(b.disks.map(({ device }) => device));
    expect(a.mounts.map(({ path, type, sizeBytes, inodes }) => [path, type, sizeBytes, inodes])).toEqual(
      b.mounts.map(({ path, type, sizeBytes, inodes }) => [path, type, sizeBytes, inodes]),
    );
    expect(Math.abs((a.cpu?.idle ?? 0) - (b.cpu?.idle ?? 0))).toBeLessThan(100);
    const own = (of: typeof a) => of.processes.find(({ pid }) => pid === process.pid);
    expect({ ...own(a), cpuTicks: 0, rssBytes: 0, state: '', threads: 0 }).toEqual({
      ...own(b),
      cpuTicks: 0,
      rssBytes: 0,
      state: '',
      threads: 0,
    });
  });

  it('see a new process, and its state when it is stopped', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    await new Promise((resolve) => child.once('spawn', resolve));
    process.kill(child.pid ?? 0, 'SIGSTOP');
    const states = () =>
      [native, new ProcReader()].map((sensors) => sensors.sample().processes.find(({ pid }) => pid === child.pid)?.state);
    await expect.poll(states).toEqual(['T', 'T']);
    child.kill('SIGKILL');
  });
});

it('a process name with spaces and parentheses is read whole', () => {
  const fields = ['S', '1', ...Array(9).fill('0'), '7', '5', '0', '0', '0', '0', '3', '0', '99', '0', '2'];
  expect(parseStat(`42 (a b) (c) ${fields.join(' ')}`)).toMatchObject({
    pid: 42,
    name: 'a b) (c',
    state: 'S',
    cpuTicks: 12,
    threads: 3,
    startTicks: 99,
    rssBytes: 8192,
  });
  expect(parseStat('garbage')).toBeUndefined();
});
