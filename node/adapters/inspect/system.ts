// The machine itself: its kernel, memory, processors, file systems, devices and clock.
import { statfsSync } from 'node:fs';
import { arch, cpus, hostname, totalmem } from 'node:os';
import { integer, line, lines, list, number, pairs, type Reader, type Row, read, whole } from './read.ts';

const SECTOR_BYTES = 512;
const DMI = '/sys/class/dmi/id';
const MAX_SYSCTLS = 5_000;

export const memoryInfo: Reader = () => {
  const values = pairs(read('/proc/meminfo'), ':');
  const bytes = (key: string): number | undefined => {
    const kilobytes = number(values.get(key)?.replace(/ kB$/, ''));
    return kilobytes === undefined ? undefined : kilobytes * 1_024;
  };
  return [
    {
      memory_total: bytes('MemTotal'),
      memory_free: bytes('MemFree'),
      memory_available: bytes('MemAvailable'),
      buffers: bytes('Buffers'),
      cached: bytes('Cached'),
      swap_cached: bytes('SwapCached'),
      active: bytes('Active'),
      inactive: bytes('Inactive'),
      swap_total: bytes('SwapTotal'),
      swap_free: bytes('SwapFree'),
    },
  ];
};

export const cpuTime: Reader = () =>
  lines('/proc/stat').flatMap((one): Row[] => {
    const [name = '', ...ticks] = one.split(/\s+/);
    const core = name.match(/^cpu(\d+)$/)?.[1];
    if (core === undefined) return [];
    const keys = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal', 'guest', 'guest_nice'];
    return [{ core: Number(core), ...Object.fromEntries(keys.map((key, i) => [key, integer(ticks[i])])) }];
  });

export const loadAverage: Reader = () => {
  const averages = (line('/proc/loadavg') ?? '').split(' ');
  return ['1m', '5m', '15m'].map((period, i) => ({ period, average: averages[i] }));
};

/** proc(5): blanks and the like in paths are octal. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

export const mounts: Reader = () =>
  lines('/proc/self/mounts').map((one) => {
    const [device = '', escaped = '', type = '', flags = ''] = one.split(' ');
    const path = unescaped(escaped);
    const base: Row = { device: unescaped(device), device_alias: unescaped(device), path, type, flags };
    try {
      const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(path, { bigint: true });
      const sizes = {
        blocks_size: whole(bsize),
        blocks: whole(blocks),
        blocks_free: whole(bfree),
        blocks_available: whole(bavail),
        inodes: whole(files),
        inodes_free: whole(ffree),
      };
      return { ...base, ...sizes, size: whole(blocks * bsize), available: whole(bavail * bsize) };
    } catch {
      return base; // not ours to look at
    }
  });

export const blockDevices: Reader = () =>
  list('/sys/class/block').map((name) => {
    const at = `/sys/class/block/${name}`;
    const isPartition = line(`${at}/partition`) !== undefined;
    const parent = isPartition ? (list('/sys/block').find((disk) => name.startsWith(disk)) ?? '') : '';
    const size = number(line(`${at}/size`));
    return {
      name: `/dev/${name}`,
      parent: parent === '' ? '' : `/dev/${parent}`,
      vendor: line(`${at}/device/vendor`) ?? '',
      model: line(`${at}/device/model`) ?? '',
      size,
      size_bytes: size === undefined ? undefined : size * SECTOR_BYTES,
      block_size: number(line(`/sys/block/${parent || name}/queue/logical_block_size`)),
      rotational: number(line(`/sys/block/${parent || name}/queue/rotational`)),
      type: isPartition ? 'partition' : 'disk',
    };
  });

export const kernelModules: Reader = () =>
  lines('/proc/modules').map((one) => {
    const [name, size, , usedBy, status, address] = one.split(' ');
    return { name, size: number(size), used_by: usedBy?.replace(/,$/, '') ?? '-', status, address };
  });

export const kernelInfo: Reader = () => {
  const parameters = line('/proc/cmdline') ?? '';
  return [
    {
      version: line('/proc/sys/kernel/osrelease'),
      arguments: parameters,
      path: parameters.match(/BOOT_IMAGE=(\S+)/)?.[1] ?? '',
      device: parameters.match(/root=(\S+)/)?.[1] ?? '',
    },
  ];
};

const release = (): Map<string, string> =>
  new Map(
    [...pairs(read('/etc/os-release') ?? read('/usr/lib/os-release'), '=')].map(([key, value]) => [
      key,
      value.replace(/^"|"$/g, ''),
    ]),
  );

export const osVersion: Reader = () => {
  const of = release();
  const [major = '', minor = '', patch = ''] = (of.get('VERSION_ID') ?? '').split('.');
  return [
    {
      name: of.get('NAME') ?? '',
      version: of.get('VERSION') ?? of.get('VERSION_ID') ?? '',
      major: number(major) ?? 0,
      minor: number(minor) ?? 0,
      patch: number(patch) ?? 0,
      build: of.get('BUILD_ID') ?? '',
      platform: of.get('ID') ?? '',
      platform_like: of.get('ID_LIKE') ?? of.get('ID') ?? '',
      codename: of.get('VERSION_CODENAME') ?? '',
      arch: MACHINES[arch()] ?? arch(),
    },
  ];
};

/** As uname(1) has it. */
const MACHINES: Record<string, string> = { x64: 'x86_64', arm64: 'aarch64', ia32: 'i686', riscv64: 'riscv64', ppc64: 'ppc64le' };

export const systemInfo: Reader = () => {
  const topology = list('/sys/devices/system/cpu')
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => ['physical_package_id', 'core_id'].map((file) => line(`/sys/devices/system/cpu/${name}/topology/${file}`)));
  const microcode = pairs(read('/proc/cpuinfo')?.split('\n\n', 1)[0], ':').get('microcode');
  const dmi = (file: string): string => line(`${DMI}/${file}`) ?? '';
  return [
    {
      hostname: hostname(),
      uuid: dmi('product_uuid'),
      cpu_type: MACHINES[arch()] ?? arch(),
      cpu_subtype: '',
      cpu_brand: cpus()[0]?.model ?? '',
      cpu_physical_cores: new Set(topology.map((ids) => ids.join())).size,
      cpu_logical_cores: topology.length,
      cpu_sockets: new Set(topology.map(([socket]) => socket)).size,
      cpu_microcode: microcode ?? '',
      physical_memory: totalmem(),
      hardware_vendor: dmi('sys_vendor'),
      hardware_model: dmi('product_name'),
      hardware_version: dmi('product_version'),
      hardware_serial: dmi('product_serial'),
      board_vendor: dmi('board_vendor'),
      board_model: dmi('board_name'),
      board_version: dmi('board_version'),
      board_serial: dmi('board_serial'),
      computer_name: hostname(),
      local_hostname: hostname(),
    },
  ];
};

export const uptime: Reader = () => {
  const total = Math.floor(number(line('/proc/uptime')?.split(' ')[0]) ?? 0);
  return [
    {
      days: Math.floor(total / 86_400),
      hours: Math.floor(total / 3_600) % 24,
      minutes: Math.floor(total / 60) % 60,
      seconds: total % 60,
      total_seconds: total,
    },
  ];
};

const WEEKDAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];

export const time: Reader = () => {
  const now = new Date();
  const unix = Math.floor(now.getTime() / 1_000);
  const iso = `${now.toISOString().slice(0, 19)}Z`;
  return [
    {
      weekday: WEEKDAYS[now.getUTCDay()],
      year: now.getUTCFullYear(),
      month: now.getUTCMonth() + 1,
      day: now.getUTCDate(),
      hour: now.getUTCHours(),
      minutes: now.getUTCMinutes(),
      seconds: now.getUTCSeconds(),
      timezone: 'UTC',
      local_timezone: new Intl.DateTimeFormat().resolvedOptions().timeZone,
      unix_time: unix,
      timestamp: now.toUTCString(),
      datetime: iso,
      iso_8601: iso,
    },
  ];
};

export const pressure: Reader = () =>
  ['cpu', 'memory', 'io'].flatMap((resource) =>
    lines(`/proc/pressure/${resource}`).map((one) => {
      const [kind, ...figures] = one.split(' ');
      const values = Object.fromEntries(figures.map((figure) => figure.split('=')));
      const of = (key: string): number | undefined => number(values[key]);
      return { resource, kind, avg10: of('avg10'), avg60: of('avg60'), avg300: of('avg300'), total_us: of('total') };
    }),
  );

/** Of /proc/sys: those that may be read, and are short. */
export const systemControls: Reader = (where) => {
  const rows: Row[] = [];
  const asked = where.get('name')?.map(String);
  const add = (name: string): void => {
    const value = read(`/proc/sys/${name.replaceAll('.', '/')}`)?.trim();
    if (value !== undefined && value.length < 1_000)
      rows.push({
        name,
        oid: '',
        subsystem: name.split('.')[0],
        current_value: value,
        config_value: '',
        type: '',
        field_name: '',
      });
  };
  if (asked !== undefined) {
    for (const name of asked) if (/^[\w.-]+$/.test(name) && !name.includes('..')) add(name);
    return rows;
  }
  const walk = (path: string): void => {
    for (const entry of list(`/proc/sys${path}`)) {
      if (rows.length >= MAX_SYSCTLS) return;
      const inner = `${path}/${entry}`;
      if (list(`/proc/sys${inner}`).length > 0) walk(inner);
      else add(inner.slice(1).replaceAll('/', '.'));
    }
  };
  for (const subsystem of ['/kernel', '/vm', '/net', '/fs']) walk(subsystem);
  return rows;
};
