// The plain reader of /proc over the files of a machine that is made up: each figure from its own place, and none from a line that is none.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DiskReserve, freeBytes, tryDisk } from '../../node/adapters/disk-reserve.ts';
import { CgroupReader, hierarchy } from '../../node/telemetry/adapters/cgroup-reader.ts';
import { NetworkDevices } from '../../node/telemetry/adapters/network-devices.ts';
import { ProcReader, parseStat } from '../../node/telemetry/adapters/proc-reader.ts';
import { processDetail, throttling } from '../../node/telemetry/adapters/process-detail.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kalos-proc-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function files(all: Record<string, string>): void {
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

/** pid (name) state ppid … utime stime … threads … start … rss, each another number. */
const stat = (pid: number, name: string, state = 'S'): string =>
  `${pid} (${name}) ${state} 7 ${Array.from({ length: 9 }, (_, nth) => 100 + nth).join(' ')} 30 12 0 0 20 0 5 0 900 4096 250 18446744073709551615\n`;

describe('a sample of /proc', () => {
  it('has each figure from its own place', () => {
    files({
      '/proc/stat': 'cpu  10 20 30 40 50 60 70 80 90 100\ncpu0 1 1 1 1\n',
      '/proc/loadavg': '1.50 2.50 3.50 1/100 9\n',
      '/proc/meminfo': 'MemTotal:       1000 kB\nMemFree: 1 kB\nMemAvailable:\t600 kB\nSwapTotal: 200 kB\nSwapFree: 50 kB\n',
      '/proc/pressure/cpu': 'some avg10=1.25 avg60=9.00 avg300=9.00 total=9\n',
      '/proc/pressure/memory': 'some avg10=2.25 avg60=9.00\nfull avg10=3.25 avg60=9.00\n',
      '/proc/diskstats':
        '   8       0 sda 1 2 300 4 5 6 700 8 9 1000 11\n   8       1 sda1 1 2 3 4 5 6 7 8 9 10 11\n   9 0 md0 1 2 3 4 5 6 7 8 9 10 11\n   8 16 sdb 1 2 x 4 5 6 7 8 9 10 11\n',
      '/proc/self/mounts': `/dev/sda1 / ext4 rw,relatime 0 0\n/dev/sda1 /again ext4 rw 0 0\n/dev/sdb /ro ext4 ro,nodev 0 0\nproc /proc proc rw 0 0\ntmpfs /a\\040b tmpfs rw 0 0\ntmpfs /${'x'.repeat(300)} tmpfs rw 0 0\n`,
      '/a b/file': '',
      '/proc/42/stat': stat(42, 'a (b) c'),
      '/proc/43/stat': '43 (short) S 1 2 3\n',
      '/proc/self-not/stat': stat(9, 'no number'),
    });
    const sample = new ProcReader(undefined, root).sample();
    expect(sample).toMatchObject({
      ticksPerSecond: 100,
      cpu: { user: 30, system: 160, idle: 40, iowait: 50, steal: 80 },
      load: [1.5, 2.5, 3.5],
      memoryTotalBytes: 1_024_000,
      memoryAvailableBytes: 614_400,
      swapTotalBytes: 204_800,
      swapFreeBytes: 51_200,
      pressureCpu: { someAvg10: 1.25, fullAvg10: undefined },
      pressureMemory: { someAvg10: 2.25, fullAvg10: 3.25 },
      pressureIo: undefined,
      disks: [{ device: 'sda', readBytes: 300 * 512, writtenBytes: 700 * 512, busyMs: 1_000 }],
      processes: [
        { pid: 42, parent: 7, name: 'a (b) c', state: 'S', threads: 5, cpuTicks: 42, rssBytes: 250 * 4_096, startTicks: 900 },
      ],
    });
    expect(sample.mounts.map(({ path, device, type }) => [path, device, type])).toEqual([
      ['/', '/dev/sda1', 'ext4'],
      ['/a b', 'tmpfs', 'tmpfs'],
    ]);
  });

  it('has none where a file is missing, cut, or says what cannot be', () => {
    const none = new ProcReader(undefined, root).sample();
    expect(none).toMatchObject({
      cpu: undefined,
      load: undefined,
      memoryTotalBytes: undefined,
      pressureCpu: undefined,
      disks: [],
      mounts: [],
      processes: [],
    });
    for (const text of ['cpu  10 20 30\n', 'cpu  10 20 -30 40\n', 'cpu0 10 20 30 40\n', '', 'cpu  10 20 x 40\n']) {
      files({ '/proc/stat': text });
      expect(new ProcReader(undefined, root).sample().cpu, text).toBeUndefined();
    }
    files({ '/proc/stat': 'cpu  1 2 3 4\n', '/proc/loadavg': '1 2\n' });
    const short = new ProcReader(undefined, root).sample();
    expect([short.cpu, short.load]).toEqual([{ user: 3, system: 3, idle: 4, iowait: 0, steal: 0 }, undefined]);
  });

  it.each(['', '(', ')(', '1 a S 2', '0 (a) S 1', stat(5, 'x').replace(' 7 ', ' -7 '), stat(5, 'x').replace(') ', ')')])(
    'takes no line that is none for a process: %s',
    (line) => {
      expect(parseStat(line)).toBeUndefined();
    },
  );

  it('has the detail of a process, and how its group is held back', () => {
    files({
      '/proc/42/io': 'rchar: 1\nread_bytes: 20\nwrite_bytes: 30\ncancelled_write_bytes: 4\n',
      '/proc/42/fd/0': '',
      '/proc/42/cgroup': '0::/web\n',
      '/sys/fs/cgroup/web/cpu.stat': 'usage_usec 1\nnr_periods 50\nnr_throttled 7\n',
      '/proc/43/cgroup': '3:cpuset:/other\n4:cpu,cpuacct:/db\n',
      '/sys/fs/cgroup/cpu,cpuacct/db/cpu.stat': 'nr_periods 5\nnr_throttled 1\n',
      '/proc/44/cgroup': '0::/none\n',
    });
    expect(processDetail(42, root)).toMatchObject({ readBytes: 20, writtenBytes: 30 });
    expect(processDetail(42, root)?.files).toBeGreaterThan(0);
    expect(processDetail(99, root)).toBeUndefined();
    expect([throttling(42, root), throttling(43, root), throttling(44, root), throttling(99, root)]).toEqual([
      { periods: 50, throttled: 7 },
      { periods: 5, throttled: 1 },
      undefined,
      undefined,
    ]);
  });
});

describe('control groups', () => {
  it('are read two levels deep, in seconds and bytes, and found again every ten seconds', () => {
    files({
      '/sys/fs/cgroup/cgroup.controllers': 'cpu memory',
      '/sys/fs/cgroup/a/cpu.stat': 'usage_usec 2500000\nuser_usec 1\n',
      '/sys/fs/cgroup/a/memory.current': '4096\n',
      '/sys/fs/cgroup/a/b/memory.current': '100\n',
      '/sys/fs/cgroup/a/b/c/memory.current': '5\n',
      '/sys/fs/cgroup/empty/memory.current': '',
    });
    const reader = new CgroupReader(root);
    const all = { 'cgroup.cpu|/a': 2.5, 'cgroup.memory|/a': 4_096, 'cgroup.memory|/a/b': 100 };
    expect(Object.fromEntries(reader.read(0))).toEqual(all);
    files({ '/sys/fs/cgroup/new/memory.current': '7\n', '/sys/fs/cgroup/a/memory.current': '8192\n' });
    expect(Object.fromEntries(reader.read(9_999))).toEqual({ ...all, 'cgroup.memory|/a': 8_192 });
    expect(reader.read(10_000).get('cgroup.memory|/new')).toBe(7);
    rmSync(join(root, 'sys/fs/cgroup/a'), { recursive: true });
    expect([...reader.read(10_001).keys()]).toEqual(['cgroup.memory|/new']);
  });

  it('of v1 are in the hierarchies of their controllers', () => {
    files({
      '/sys/fs/cgroup/cpu,cpuacct/a/cpuacct.usage': '3000000000\n',
      '/sys/fs/cgroup/memory/a/memory.usage_in_bytes': '512\n',
    });
    expect(Object.fromEntries(new CgroupReader(root).read(0))).toEqual({ 'cgroup.cpu|/a': 3, 'cgroup.memory|/a': 512 });
    const at = join(root, 'sys/fs/cgroup');
    expect([hierarchy(at, 'cpu'), hierarchy(at, 'pids')]).toEqual([join(at, 'cpu,cpuacct'), join(at, 'pids')]);
    expect(new CgroupReader(join(root, 'nowhere')).read(0).size).toBe(0);
  });
});

describe('network devices', () => {
  it('are those with hardware below all others, looked for every ten seconds', () => {
    const devices = new NetworkDevices(root);
    expect(devices.counted(0)).toBeUndefined();
    files({
      '/sys/class/net/eth0/device/x': '',
      '/sys/class/net/eth0/upper_bond0': '',
      '/sys/class/net/bond0/lower_eth0': '',
      '/sys/class/net/lo/x': '',
      '/sys/class/net/bonding_masters': '',
    });
    expect(devices.counted(9_999)).toBeUndefined();
    expect(devices.counted(10_000)).toEqual(new Set(['eth0']));
    files({ '/sys/class/net/eth1/device/x': '' });
    expect([devices.counted(19_999), devices.counted(20_000)]).toEqual([new Set(['eth0']), new Set(['eth0', 'eth1'])]);
  });

  it('without hardware, as in a container, are those on nothing else', () => {
    files({ '/sys/class/net/veth0/x': '', '/sys/class/net/br0/lower_veth0': '', '/sys/class/net/lo/x': '' });
    expect(new NetworkDevices(root).counted(0)).toEqual(new Set(['veth0']));
  });
});

describe('space that is set aside', () => {
  it('is made once, where four times as much is free, and given back once', async () => {
    const directory = join(root, 'reserve');
    const reserve = new DiskReserve(directory);
    expect([reserve.release(), freeBytes(root) > 32 * 2 ** 20]).toEqual([false, true]);
    await reserve.make();
    await reserve.make();
    expect(readdirSync(directory).map((name) => statSync(join(directory, name)).size)).toEqual(Array(4).fill(2 * 2 ** 20));
    expect([reserve.release(), reserve.release()]).toEqual([true, false]);
    await new DiskReserve(join(root, 'nowhere', 'reserve')).make(); // what cannot be made is left
  });

  it('and a disk is tried with as much as a database takes to open', async () => {
    files({ '/db/000003.log': 'x'.repeat(1_000) });
    expect(await tryDisk(join(root, 'db'))).toBeUndefined();
    expect(await tryDisk(join(root, 'nowhere'))).toBeInstanceOf(Error);
  });
});
