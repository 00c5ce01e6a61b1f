// The tables of the machine itself: each column from the field of the kernel's file that it is about, unknown where it is not there.
import { arch, cpus, hostname, totalmem } from 'node:os';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { machineFiles } from '../support/machine-files.ts';

const { put, link, rows } = machineFiles();
afterEach(() => void vi.useRealTimers());

it('memory is in bytes, and unknown where the kernel does not say', async () => {
  put(
    '/proc/meminfo',
    'MemTotal:  16 kB\nMemFree: 8 kB\nMemAvailable: 12 kB\nBuffers: 1 kB\nCached: 2 kB\nSwapCached: 3 kB\nActive: 4 kB\nInactive: 5 kB\nSwapTotal: 0 kB\n',
  );
  expect(await rows('memory_info')).toEqual([
    {
      memory_total: 16_384,
      memory_free: 8_192,
      memory_available: 12_288,
      buffers: 1_024,
      cached: 2_048,
      swap_cached: 3_072,
      active: 4_096,
      inactive: 5_120,
      swap_total: 0,
      swap_free: undefined,
    },
  ]);
});

it('the time of CPUs is by core, without that of all together', async () => {
  put('/proc/stat', 'cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu12 11 12\nintr 5\n');
  const [first, second, ...more] = await rows('cpu_time');
  expect(first).toEqual({
    core: 0,
    user: 1,
    nice: 2,
    system: 3,
    idle: 4,
    iowait: 5,
    irq: 6,
    softirq: 7,
    steal: 8,
    guest: 9,
    guest_nice: 10,
  });
  expect(second).toMatchObject({ core: 12, user: 11, nice: 12, system: undefined });
  expect(more).toEqual([]);
});

it('the load is as the kernel prints it, of one, five and fifteen minutes', async () => {
  const none = ['1m', '5m', '15m'].map((period) => ({ period, average: undefined }));
  expect(await rows('load_average')).toEqual(none);
  put('/proc/loadavg', '0.50 1.25 2.00 1/99 4321\n');
  expect((await rows('load_average')).map(({ average }) => average)).toEqual(['0.50', '1.25', '2.00']);
});

it('mounts have their sizes, and those that cannot be looked at have none', async () => {
  put('/proc/self/mounts', '/dev/sda1 / ext4 rw,relatime 0 0\nserver:/x /gone nfs4 ro 0 0\n');
  const [first, second] = await rows('mounts');
  expect(second).toEqual({ device: 'server:/x', device_alias: 'server:/x', path: '/gone', type: 'nfs4', flags: 'ro' });
  expect(first).toMatchObject({ device: '/dev/sda1', device_alias: '/dev/sda1', path: '/', type: 'ext4', flags: 'rw,relatime' });
  const { blocks, blocks_size, blocks_available, blocks_free, size, available, inodes, inodes_free } = first ?? {};
  expect(size).toBe(Number(blocks) * Number(blocks_size));
  expect(available).toBe(Number(blocks_available) * Number(blocks_size));
  expect(Number(blocks_free)).toBeGreaterThanOrEqual(Number(blocks_available));
  expect(Number(blocks)).toBeGreaterThan(Number(blocks_free) - 1);
  expect(Number(inodes)).toBeGreaterThanOrEqual(Number(inodes_free));
});

it('block devices have what their disk is', async () => {
  put('/sys/devices/pci0/block/sda/size', '16\n');
  put('/sys/devices/pci0/block/sda/device/vendor', 'ATA \n');
  put('/sys/devices/pci0/block/sda/device/model', 'Fast disk\n');
  put('/sys/devices/pci0/block/sda/sda1/size', '8\n');
  put('/sys/devices/pci0/block/sda/sda1/partition', '1\n');
  put('/sys/block/sda/queue/logical_block_size', '512\n');
  put('/sys/block/sda/queue/rotational', '1\n');
  link('/sys/class/block/sda', '../../devices/pci0/block/sda');
  link('/sys/class/block/sda1', '../../devices/pci0/block/sda/sda1');
  put('/sys/class/block/new/uevent', '');
  const found = Object.fromEntries((await rows('block_devices')).map(({ name, ...row }) => [name, row]));
  expect(found).toEqual({
    '/dev/sda': {
      parent: '',
      vendor: 'ATA',
      model: 'Fast disk',
      size: 16,
      size_bytes: 8_192,
      block_size: 512,
      rotational: 1,
      type: 'disk',
    },
    '/dev/sda1': {
      parent: '/dev/sda',
      vendor: '',
      model: '',
      size: 8,
      size_bytes: 4_096,
      block_size: 512,
      rotational: 1,
      type: 'partition',
    },
    '/dev/new': {
      parent: '',
      vendor: '',
      model: '',
      size: undefined,
      size_bytes: undefined,
      block_size: undefined,
      rotational: undefined,
      type: 'disk',
    },
  });
});

it('kernel modules have who uses them', async () => {
  put('/proc/modules', 'tls 16384 2 nfs,web, Live 0xffff\nloop 4096 0 - Loading 0x0000\nbare\n');
  expect(await rows('kernel_modules')).toEqual([
    { name: 'tls', size: 16_384, used_by: 'nfs,web', status: 'Live', address: '0xffff' },
    { name: 'loop', size: 4_096, used_by: '-', status: 'Loading', address: '0x0000' },
    { name: 'bare', size: undefined, used_by: '-', status: undefined, address: undefined },
  ]);
});

it('the kernel has its version, and how it was started', async () => {
  expect(await rows('kernel_info')).toEqual([{ version: undefined, arguments: '', path: '', device: '' }]);
  put('/proc/sys/kernel/osrelease', '6.12.1\n');
  put('/proc/cmdline', 'BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet\n');
  expect(await rows('kernel_info')).toEqual([
    { version: '6.12.1', arguments: 'BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet', path: '/vmlinuz', device: '/dev/sda1' },
  ]);
});

it('os-release(5) has a whole row', async () => {
  put(
    '/etc/os-release',
    'NAME=Some\nVERSION="12.4.1 (six)"\nVERSION_ID=12.4.1\nBUILD_ID=b\nID=some\nID_LIKE="debian other"\nVERSION_CODENAME=six\n#ID=no\nlower=no\n',
  );
  expect(await rows('os_version')).toEqual([
    {
      name: 'Some',
      version: '12.4.1 (six)',
      major: 12,
      minor: 4,
      patch: 1,
      build: 'b',
      platform: 'some',
      platform_like: 'debian other',
      codename: 'six',
      arch: expect.stringMatching(/\w/),
    },
  ]);
  put('/etc/os-release', "ID=some\nVERSION_ID=3\nNAME='a\"b'\n");
  expect((await rows('os_version'))[0]).toMatchObject({ name: 'a"b', version: '3', platform_like: 'some', codename: '' });
});

describe('the system', () => {
  const cpu = (name: string, socket: string, core: string | undefined): void => {
    put(`/sys/devices/system/cpu/${name}/topology/physical_package_id`, socket);
    if (core !== undefined) put(`/sys/devices/system/cpu/${name}/topology/core_id`, core);
  };

  it('has its hardware, and cores by socket', async () => {
    for (const [name, socket, core] of [
      ['cpu0', '0', '0'],
      ['cpu1', '0', '0'],
      ['cpu2', '0', '1'],
      ['cpu3', '1', '0'],
    ] as const)
      cpu(name, socket, core);
    put('/sys/devices/system/cpu/cpufreq/topology/core_id', '7');
    put('/proc/cpuinfo', 'processor: 0\nmicrocode\t: 0xb6\n\nprocessor: 1\nmicrocode\t: 0xff\n');
    const dmi =
      'product_uuid sys_vendor product_name product_version product_serial board_vendor board_name board_version board_serial';
    for (const file of dmi.split(' ')) put(`/sys/class/dmi/id/${file}`, `of ${file}\n`);
    const machine = { x64: 'x86_64', arm64: 'aarch64' }[arch() as string] ?? arch();
    expect(await rows('system_info')).toEqual([
      {
        hostname: hostname(),
        uuid: 'of product_uuid',
        cpu_type: machine,
        cpu_subtype: '',
        cpu_brand: cpus()[0]?.model,
        cpu_physical_cores: 3,
        cpu_logical_cores: 4,
        cpu_sockets: 2,
        cpu_microcode: '0xb6',
        physical_memory: totalmem(),
        hardware_vendor: 'of sys_vendor',
        hardware_model: 'of product_name',
        hardware_version: 'of product_version',
        hardware_serial: 'of product_serial',
        board_vendor: 'of board_vendor',
        board_model: 'of board_name',
        board_version: 'of board_version',
        board_serial: 'of board_serial',
        computer_name: hostname(),
        local_hostname: hostname(),
      },
    ]);
  });

  it('has no count of cores where the kernel does not say of each', async () => {
    const counts = async () => {
      const { cpu_physical_cores, cpu_logical_cores, cpu_sockets, cpu_microcode, uuid } = (await rows('system_info'))[0] ?? {};
      return [cpu_physical_cores, cpu_logical_cores, cpu_sockets, cpu_microcode, uuid];
    };
    expect(await counts()).toEqual([undefined, undefined, undefined, '', '']);
    cpu('cpu0', '0', '0');
    cpu('cpu1', '0', undefined);
    expect(await counts()).toEqual([undefined, 2, 1, '', '']);
  });
});

it('the time since boot is in whole days, hours, minutes and seconds', async () => {
  expect(await rows('uptime')).toEqual([]);
  const [days, hours, minutes, seconds] = [2, 5, 40, 58];
  const total_seconds = ((days * 24 + hours) * 60 + minutes) * 60 + seconds;
  put('/proc/uptime', `${total_seconds}.99 12.5\n`);
  expect(await rows('uptime')).toEqual([{ days, hours, minutes, seconds, total_seconds }]);
});

it('the time is that of UTC', async () => {
  vi.useFakeTimers({ now: Date.UTC(2026, 10, 29, 23, 58, 57, 999), toFake: ['Date'] });
  expect(await rows('time')).toEqual([
    {
      weekday: 'Sunday',
      year: 2_026,
      month: 11,
      day: 29,
      hour: 23,
      minutes: 58,
      seconds: 57,
      timezone: 'UTC',
      local_timezone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
      unix_time: Date.UTC(2026, 10, 29, 23, 58, 57) / 1_000,
      timestamp: 'Sun, 29 Nov 2026 23:58:57 GMT',
      datetime: '2026-11-29T23:58:57Z',
      iso_8601: '2026-11-29T23:58:57Z',
    },
  ]);
});

it('pressure has a row for some and for all of each resource', async () => {
  put('/proc/pressure/cpu', 'some avg10=1.50 avg60=2.00 avg300=3.00 total=44\n');
  put('/proc/pressure/io', 'some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=9.00 total=2\n');
  expect(await rows('psi')).toEqual([
    { resource: 'cpu', kind: 'some', avg10: 1.5, avg60: 2, avg300: 3, total_us: 44 },
    { resource: 'io', kind: 'some', avg10: 0, avg60: 0, avg300: 0, total_us: 1 },
    { resource: 'io', kind: 'full', avg10: 9, avg60: undefined, avg300: undefined, total_us: 2 },
  ]);
});

describe('what sysctl(8) sets', () => {
  it('is listed of four subsystems, as far as it is short', async () => {
    put('/proc/sys/kernel/ostype', ' Linux \n');
    put('/proc/sys/fs/long', 'x'.repeat(1_000));
    put('/proc/sys/fs/nearly', 'x'.repeat(999));
    put('/proc/sys/dev/cdrom/info', 'no');
    const found = await rows('system_controls');
    expect(found.map(({ name }) => name)).toEqual(['kernel.ostype', 'fs.nearly']);
    expect(found[0]).toEqual({
      name: 'kernel.ostype',
      oid: '',
      subsystem: 'kernel',
      current_value: 'Linux',
      config_value: '',
      type: '',
      field_name: '',
    });
  });
});
