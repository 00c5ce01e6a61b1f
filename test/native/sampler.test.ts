// The native sampler on a machine that the test makes: each figure by its place in the kernel's text, and what is left out of it.
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import type { Sample } from '../../node/ports/sensors.ts';
import { NativeSampler } from '../../node/telemetry/adapters/native-sampler.ts';

interface Addon {
  layoutVersion: number;
  sample(into: unknown, root?: unknown): number;
  trim(): void;
  notify(text?: unknown): boolean;
}
const addon = createRequire(import.meta.url)(findPackage().addonPath) as Addon;
const PAGE = 4_096;
const HEADER = 24;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kalos-sampler-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function put(files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}
function sampled(files: Record<string, string>): Sample {
  put(files);
  return new NativeSampler(addon, undefined, root).sample();
}

describe('the processor’s time', () => {
  it.each([
    ['cpu 1 2 4 8 16 32 64 128 256 512\n', { user: 3, system: 100, idle: 8, iowait: 16, steal: 128 }],
    ['cpu  1 2 4 8\n', { user: 3, system: 4, idle: 8, iowait: 0, steal: 0 }],
    ['cpu  1 2 4 8 16\n', { user: 3, system: 4, idle: 8, iowait: 16, steal: 0 }],
    ['cpu  0 0 0 0 0 0 0 0\n', { user: 0, system: 0, idle: 0, iowait: 0, steal: 0 }],
    ['cpu  1 2 4\n', undefined],
    ['cpu  1 2 4 -8\n', undefined],
    ['cpu  1 2 4 8 16 32 64 -1\n', undefined],
    ['', undefined],
  ])('in %j', (text, cpu) => {
    expect(sampled({ '/proc/stat': text }).cpu).toEqual(cpu);
  });
});

describe('load, memory and pressure', () => {
  it('are what their lines say', () => {
    const sample = sampled({
      '/proc/loadavg': '0.25 1.50 2.75 3/456 789\n',
      '/proc/meminfo': 'MemTotal:    100 kB\nMemFree: 7 kB\nMemAvailable:\t50 kB\nSwapTotal: 20 kB\nSwapFree: 10 kB\n',
      '/proc/pressure/cpu': 'some avg10=1.25 avg60=9.00 avg300=9.00 total=9\nfull avg10=0.50 avg60=9.00 avg300=9.00 total=9\n',
      '/proc/pressure/memory': 'some avg10=2.25 avg60=9.00 avg300=9.00 total=9\n',
      '/proc/pressure/io': 'full avg10=3.50 avg60=9.00 avg300=9.00 total=9\nsome avg10=3.25 avg60=9.00 avg300=9.00 total=9\n',
    });
    expect(sample).toMatchObject({
      load: [0.25, 1.5, 2.75],
      memoryTotalBytes: 102_400,
      memoryAvailableBytes: 51_200,
      swapTotalBytes: 20_480,
      swapFreeBytes: 10_240,
      pressureCpu: { someAvg10: 1.25, fullAvg10: 0.5 },
      pressureMemory: { someAvg10: 2.25, fullAvg10: undefined },
      pressureIo: { someAvg10: 3.25, fullAvg10: 3.5 },
    });
  });

  it('are unknown where there is nothing, or no number', () => {
    const machines: Record<string, string>[] = [
      {},
      {
        '/proc/loadavg': '0.25 1.50\n',
        '/proc/meminfo': 'MemTotal: -1 kB\nMemAvailable: x\nNoSwapTotal: 5 kB\n',
        '/proc/pressure/cpu': 'some avg10=-1\n',
      },
      { '/proc/loadavg': '-0.25 1.50 1.00\n' },
    ];
    for (const files of machines) {
      const sample = sampled(files);
      for (const key of ['cpu', 'load', 'memoryTotalBytes', 'memoryAvailableBytes', 'swapTotalBytes', 'pressureCpu'] as const)
        expect([key, sample[key]]).toEqual([key, undefined]);
      expect([sample.disks, sample.mounts, sample.processes]).toEqual([[], [], []]);
    }
    expect(sampled({ '/proc/loadavg': '0 0 0 1/1 1\n' }).load).toEqual([0, 0, 0]);
  });
});

describe('disks', () => {
  it('are read with bytes of 512 a sector, and time; lines that are none are left out', () => {
    const line = (name: string, ...numbers: number[]): string => `   8       0 ${name} ${numbers.join(' ')}\n`;
    const { disks } = sampled({
      '/proc/diskstats': [
        line('sda', 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024),
        line('sdb', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7),
        line('sdc', 1, 2, -4, 8, 16, 32, 64, 128, 256, 512, 1_024),
        line('sdd', 1, 2, 4, 8, 16, 32, -64, 128, 256, 512, 1_024),
        line('sde', 1, 2, 4, 8, 16, 32, 64, 128, 256, -512, 1_024),
        line('sdf', 1, 2, 4),
        line('x'.repeat(40), 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024),
      ].join(''),
    });
    expect(disks).toEqual([
      { device: 'sda', readBytes: 2_048, writtenBytes: 32_768, busyMs: 512 },
      { device: 'sdb', readBytes: 0, writtenBytes: 0, busyMs: 0 },
    ]);
  });
});

describe('mounts', () => {
  const line = (device: string, path: string, type = 'ext4', options = 'rw,noatime'): string =>
    `${device} ${path} ${type} ${options} 0 0\n`;
  const mounts = (...lines: string[]) => {
    for (const path of ['/a', '/b', '/c d', '/e\tf\\']) mkdirSync(join(root, path), { recursive: true });
    return sampled({ '/proc/self/mounts': lines.join('') }).mounts.map(({ path, device, type }) => [path, device, type]);
  };

  it('are those that can fill: once a device, and a shared name once a path', () => {
    expect(
      mounts(
        line('/dev/sda1', '/a'),
        line('/dev/sda1', '/b'),
        line('/dev/sdb1', '/a', 'xfs'),
        line('tmpfs', '/a', 'tmpfs'),
        line('tmpfs', '/b', 'tmpfs'),
        line('tmpfs', '/a', 'tmpfs'),
        line('overlay', '/b', 'overlay'),
        line('overlay', '/c\\040d', 'overlay'),
        line('/dev/sdc1', '/a', 'ext4', 'ro,noatime'),
        line('/dev/sdd1', '/a', 'ext4', 'rw,errors=remount-ro'),
        line('/dev/sde1', '/a', 'ext4', 'noatime,ro'),
        line('/dev/sdf1', '/a', 'ext4', 'rox'),
        line('proc', '/a', 'proc'),
        line('/dev/sdg1', '/none'),
        line('/dev/sdh1', `/${'x'.repeat(255)}`),
        '/dev/sdi1 /a ext4\n',
        '\n',
        line('/dev/s\\040j', '/e\\011f\\134', 'vfat'),
        line('/dev/s\\400k', '/b', 'btrfs'),
      ),
    ).toEqual([
      ['/a', '/dev/sda1', 'ext4'],
      ['/a', '/dev/sdb1', 'xfs'],
      ['/a', 'tmpfs', 'tmpfs'],
      ['/b', 'tmpfs', 'tmpfs'],
      ['/c d', 'overlay', 'overlay'],
      ['/a', '/dev/sdd1', 'ext4'],
      ['/a', '/dev/sdf1', 'ext4'],
      ['/e\tf\\', '/dev/s j', 'vfat'],
      ['/b', '/dev/s\\400k', 'btrfs'],
    ]);
  });

  it('have the size and the inodes that the file system says', () => {
    mkdirSync(join(root, 'a'));
    const [mount] = sampled({ '/proc/self/mounts': line('/dev/x', '/a') }).mounts;
    const { blocks, bsize, files } = statfsSync(join(root, 'a'));
    expect(mount).toMatchObject({ sizeBytes: blocks * bsize, inodes: files });
    expect(Math.abs((mount?.availableBytes ?? 0) - statfsSync(root).bavail * bsize)).toBeLessThan(1 << 30);
    expect(Math.abs((mount?.inodesFree ?? 0) - statfsSync(root).ffree)).toBeLessThan(100_000);
  });

  it('are at most 256', () => {
    const lines = Array.from({ length: 300 }, (_, nth) => line(`/dev/d${nth}`, '/a'));
    expect(mounts(...lines).length).toBe(256);
  });
});

describe('processes', () => {
  const fields = (state: string, parent: number, start = 19, rss = 3): string =>
    `${state} ${parent} 1 1 0 -1 4194560 1 1 1 1 30 12 1 1 20 0 5 0 ${start} 1000000 ${rss} 18446744073709551615 1`;

  it('are those whose line is whole, with their names as they are', () => {
    const { processes } = sampled({
      '/proc/7/stat': `7 (plain) ${fields('S', 1)}\n`,
      '/proc/8/stat': `8 (a) b (c)) ${fields('R', 7, 20, 0)}\n`,
      '/proc/9/stat': `9 (${'n'.repeat(70)}) ${fields('Z', 7)}\n`,
      '/proc/10/stat': '10 (short) S 1 1 1\n',
      '/proc/11/stat': '11 no name\n',
      '/proc/12/stat': `x (bad) ${fields('S', 1)}\n`,
      '/proc/13/stat': `13 (bad)x${fields('S', 1)}\n`,
      '/proc/14/stat': `0 (zero) ${fields('S', 1)}\n`,
      '/proc/15/stat': '15 )bad( \n',
      '/proc/16/stat': '16 (bad) ',
      '/proc/17/stat': `17 (bad) ${fields('S', -1)}\n`,
      '/proc/x/stat': `18 (no) ${fields('S', 1)}\n`,
      '/proc/19/none': '',
    });
    const one = { cpuTicks: 42, threads: 5, startTicks: 19, rssBytes: 3 * PAGE };
    expect([...processes].sort((one, other) => one.pid - other.pid)).toEqual([
      { name: 'plain', pid: 7, parent: 1, state: 'S', ...one },
      { name: 'a) b (c)', pid: 8, parent: 7, state: 'R', ...one, startTicks: 20, rssBytes: 0 },
      { name: 'n'.repeat(63), pid: 9, parent: 7, state: 'Z', ...one },
    ]);
  });
});

describe('the addon', () => {
  it('says how many doubles it needs, and writes no more than it is given', () => {
    put({
      '/proc/diskstats': '8 0 sda 1 2 4 8 16 32 64 128 256 512 1024\n8 1 sdb 1 2 4 8 16 32 64 128 256 512 1024\n',
      '/proc/self/mounts': '/dev/a / ext4 rw 0 0\n',
      '/proc/7/stat': '7 (p) S 1 1 1 0 -1 1 1 1 1 1 30 12 1 1 20 0 5 0 19 1000000 3 1\n',
    });
    const needed = HEADER + 2 * 7 + 46 + 15;
    for (const length of [needed, needed - 1, HEADER + 7, HEADER]) {
      const all = new Float64Array(needed + 2).fill(-5);
      expect(addon.sample(all.subarray(0, length), root)).toBe(needed);
      expect([...all.subarray(21, 24)]).toEqual([2, 1, 1]);
      expect([...all.subarray(length)].every((value) => value === -5)).toBe(true);
      if (length >= HEADER + 7) expect(all[HEADER + 4]).toBe(2_048);
      if (length === needed) expect(all[needed - 1]).toBe(19);
    }
    const small = new Float64Array(HEADER - 1).fill(-5);
    expect(addon.sample(small, root)).toBe(HEADER);
    expect(small.every((value) => value === -5)).toBe(true);
  });

  it('gives the last line of a file that is too large only where it is whole', () => {
    const line = (name: string): string => `8 0 ${name} 1 2 4 8 16 32 64 128 256 512 1024\n`;
    const filler = `${'#'.repeat(99)}\n`.repeat(Math.floor((1 << 20) / 100) - 1);
    const cut = `${line('sda')}${filler}8 0 sdb 1 2 4 8 16 32 64 128 256 5${'1'.repeat(300)} 1024\n`;
    expect(sampled({ '/proc/diskstats': cut }).disks.map(({ device }) => device)).toEqual(['sda']);
  });

  it('knows its layout, this machine, and what is no argument', () => {
    expect(addon.layoutVersion).toBe(1);
    const data = new Float64Array(100_000);
    expect(addon.sample(data)).toBeGreaterThan(HEADER);
    expect([data[0], data[2]]).toEqual([1, 100]);
    expect(data[1]).toBeGreaterThan(0);
    const why = 'sample takes one Float64Array, and perhaps a directory';
    for (const args of [[], [1], [new Uint8Array(800)], [new Float32Array(100)], [data, 1]])
      expect(() => addon.sample(...(args as [unknown]))).toThrow(why);
    expect(() => addon.notify()).toThrow('notify takes a text');
    expect(() => addon.notify(1)).toThrow('notify takes a text');
    expect(addon.trim()).toBeUndefined();
  });

  it('tells nobody where no supervisor listens', () => {
    const before = process.env.NOTIFY_SOCKET;
    try {
      for (const path of [undefined, '', '/', '/no/such/socket', `/${'x'.repeat(107)}`]) {
        if (path === undefined) delete process.env.NOTIFY_SOCKET;
        else process.env.NOTIFY_SOCKET = path;
        expect([path, addon.notify('READY=1')]).toEqual([path, false]);
      }
    } finally {
      if (before === undefined) delete process.env.NOTIFY_SOCKET;
      else process.env.NOTIFY_SOCKET = before;
    }
  });
});
