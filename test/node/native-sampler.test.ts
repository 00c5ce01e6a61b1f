// The array that the native sampler fills, read place by place; the addon is the test's own.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { NativeSampler, openSensors, trimMemory } from '../../node/telemetry/adapters/native-sampler.ts';

const HEADER = 24;
/** cpus, ticks; user, system, idle, iowait, steal; loads; memory, swap; pressures, some and full. */
const HEAD = [1, 4, 250, 10, 20, 30, 40, 50, 1.5, 2.5, 3.5, 1_000, 600, 200, 50, 1.25, 0.25, 2.25, 0.5, 3.25, 0.75];
type Row = (number | { text: string; bytes: number })[];
const text = (value: string, bytes: number) => ({ text: value, bytes });
const disk = (name: string, ...figures: number[]): Row => [text(name, 32), ...figures];
const mount = (path: string, device: string, type: string, ...figures: number[]): Row => [
  text(path, 256),
  text(device, 64),
  text(type, 16),
  ...figures,
];
const process = (name: string, ...figures: number[]): Row => [text(name, 64), ...figures];

function written(into: Float64Array, head: readonly number[], ...kinds: Row[][]): number {
  const bytes = Buffer.from(into.buffer);
  into.set([...head, ...kinds.map(({ length }) => length)]);
  let at = HEADER;
  for (const part of kinds.flat(2)) {
    if (typeof part === 'number') into[at++] = part;
    else {
      bytes.fill(0, at * 8, at * 8 + part.bytes);
      bytes.write(part.text, at * 8);
      at += part.bytes / 8;
    }
  }
  return at;
}
const none = mkdtempSync(join(tmpdir(), 'kalos-native-'));
rmSync(none, { recursive: true });
const sampled = (head: readonly number[], ...kinds: Row[][]) =>
  new NativeSampler(
    { layoutVersion: 1, sample: (into) => written(into, head, ...kinds), trim: () => undefined },
    undefined,
    none,
  ).sample();

describe('the native sampler', () => {
  it('has each figure from its own place', () => {
    const sample = sampled(
      HEAD,
      [disk('sda', 1, 2, 3), disk('sdb', 4, 5, 6)],
      [mount('/', '/dev/sda1', 'ext4', 100, 60, 50, 40), mount('/data', `/dev/${'d'.repeat(59)}`, 'x'.repeat(16), 7, 8, 9, 10)],
      [process('init', 1, 0, 'S'.charCodeAt(0), 2, 3, 4, 5), process('é'.repeat(32), 7, 1, 'Z'.charCodeAt(0), 1, 0, 0, 9)],
    );
    expect(sample).toMatchObject({
      cpus: 4,
      ticksPerSecond: 250,
      cpu: { user: 10, system: 20, idle: 30, iowait: 40, steal: 50 },
      load: [1.5, 2.5, 3.5],
      memoryTotalBytes: 1_000,
      memoryAvailableBytes: 600,
      swapTotalBytes: 200,
      swapFreeBytes: 50,
      pressureCpu: { someAvg10: 1.25, fullAvg10: 0.25 },
      pressureMemory: { someAvg10: 2.25, fullAvg10: 0.5 },
      pressureIo: { someAvg10: 3.25, fullAvg10: 0.75 },
    });
    expect(sample.disks).toEqual([
      { device: 'sda', readBytes: 1, writtenBytes: 2, busyMs: 3 },
      { device: 'sdb', readBytes: 4, writtenBytes: 5, busyMs: 6 },
    ]);
    expect(sample.mounts).toEqual([
      { path: '/', device: '/dev/sda1', type: 'ext4', sizeBytes: 100, availableBytes: 60, inodes: 50, inodesFree: 40 },
      {
        path: '/data',
        device: `/dev/${'d'.repeat(59)}`,
        type: 'x'.repeat(16),
        sizeBytes: 7,
        availableBytes: 8,
        inodes: 9,
        inodesFree: 10,
      },
    ]);
    expect(sample.processes).toEqual([
      { name: 'init', pid: 1, parent: 0, state: 'S', threads: 2, cpuTicks: 3, rssBytes: 4, startTicks: 5 },
      { name: 'é'.repeat(32), pid: 7, parent: 1, state: 'Z', threads: 1, cpuTicks: 0, rssBytes: 0, startTicks: 9 },
    ]);
  });

  it('has nothing of what the machine does not say', () => {
    const { NaN: no } = Number;
    const sample = sampled([1, 4, 250, ...Array.from({ length: 18 }, () => no)], [], [], []);
    expect(sample).toMatchObject({ cpus: 4, disks: [], mounts: [], processes: [] });
    for (const key of [
      'cpu',
      'load',
      'memoryTotalBytes',
      'swapFreeBytes',
      'pressureCpu',
      'pressureMemory',
      'pressureIo',
    ] as const)
      expect(sample[key], key).toBeUndefined();
    const some = HEAD.map((value, at) => (at === 16 || at === 17 ? no : value));
    expect(sampled(some, [], [], [])).toMatchObject({ pressureCpu: { someAvg10: 1.25, fullAvg10: undefined } });
    expect(sampled(some, [], [], []).pressureMemory).toBeUndefined();
  });

  it('is given twice the room that it says it needs', () => {
    const rooms: [number, ...unknown[]][] = [];
    const processes = Array.from({ length: 1_200 }, (_, nth) => process(`p${nth}`, nth, 0, 83, 1, 1, 1, 1));
    const addon = {
      layoutVersion: 1,
      sample: (into: Float64Array, ...root: string[]) => {
        rooms.push([into.length, ...root]);
        return into.length < 20_000 ? 18_024 : written(into, HEAD, [], [], processes);
      },
      trim: () => undefined,
    };
    const sampler = new NativeSampler(addon, undefined, none);
    expect(
      sampler
        .sample()
        .processes.map(({ name, pid }) => [name, pid])
        .at(-1),
    ).toEqual(['p1199', 1_199]);
    sampler.sample();
    expect(rooms).toEqual([
      [16_384, none],
      [36_048, none],
      [36_048, none],
    ]);
    const older = (into: Float64Array, ...root: string[]): number => {
      rooms.push([into.length, ...root]);
      return 1;
    };
    new NativeSampler({ ...addon, sample: older }).sample();
    expect(rooms.at(-1)).toEqual([16_384]); // an addon of an older package takes no root
  });

  it('is of one layout, and reads no logs by itself', async () => {
    const addon = { layoutVersion: 2, sample: () => 0, trim: () => undefined };
    expect(() => new NativeSampler(addon)).toThrow('layout 2, expected 1');
    const logs = { newLines: vi.fn(async () => ({ ok: true, lines: 1, matching: [], skippedBytes: 0 })) };
    const sampler = new NativeSampler({ ...addon, layoutVersion: 1 }, logs as never);
    expect(await sampler.newLines('/a', 'x')).toMatchObject({ lines: 1 });
    expect(logs.newLines.mock.calls).toEqual([['/a', 'x']]);
    const without = new NativeSampler({ ...addon, layoutVersion: 1 }, undefined, none);
    expect(await without.newLines('/a', 'x')).toEqual({ ok: false, reason: 'logs are not read in this process' });
    expect([without.source, without.detail(1), without.throttling(1)]).toEqual(['native', undefined, undefined]);
  });

  it('that does not load is replaced by the plain reader, with the reason', () => {
    const place = mkdtempSync(join(tmpdir(), 'kalos-native-'));
    const wrong = join(place, 'wrong.cjs');
    writeFileSync(wrong, 'module.exports = { layoutVersion: 7, sample() {}, trim() { module.exports.trimmed = true; } };\n');
    const missing = openSensors(join(place, 'none.node'));
    expect([missing.sensors.source, missing.logs]).toEqual(['proc', undefined]);
    expect(missing.fallbackReason).toMatch(/^Cannot find module [^\n]*none\.node'?$/);
    const other = openSensors(wrong, '/entry.mjs');
    expect([other.sensors.source, other.fallbackReason]).toEqual(['proc', 'layout 7, expected 1']);
    expect(other.logs).toBeDefined();
    writeFileSync(
      join(place, 'right.cjs'),
      'module.exports = { layoutVersion: 1, sample() { return 0; }, trim() { this.trims = 1; } };\n',
    );
    const right = openSensors(join(place, 'right.cjs'));
    expect([right.sensors.source, right.fallbackReason]).toEqual(['native', undefined]);
    expect(() => trimMemory(join(place, 'none.node'))).not.toThrow();
    expect(() => trimMemory(join(place, 'right.cjs'))).not.toThrow();
    rmSync(place, { recursive: true });
  });
});
