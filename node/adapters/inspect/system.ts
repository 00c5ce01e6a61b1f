// The machine itself: its kernel, memory, processors, file systems, devices and clock.
import { statfs } from 'node:fs/promises';
import { arch, cpus, hostname, totalmem } from 'node:os';
import { sysctlKey, sysctlPath } from '../../sysctl-key.ts';
import {
  below,
  integer,
  line,
  lines,
  link,
  list,
  number,
  pairs,
  type Reader,
  type Row,
  read,
  unescaped,
  whole,
  written,
} from './read.ts';

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
  const averages = line('/proc/loadavg')?.split(' ') ?? [];
  return ['1m', '5m', '15m'].map((period, i) => ({ period, average: averages[i] }));
};

/** Network and FUSE file systems may hang: they are read last, with this time limit for all. */
const REMOTE = /^(nfs|cifs|smb|fuse|9p|ceph|afs|glusterfs|lustre|gfs|ocfs|virtiofs|autofs)/;
const STATFS_MS = 1_500;

export const mounts: Reader = async () => {
  const all = lines('/proc/self/mounts').map((one): Row => {
    const [source = '', escaped = '', type = '', flags = ''] = one.split(' ');
    const name = unescaped(source);
    return { device: name, device_alias: name, path: unescaped(escaped), type, flags };
  });
  const isRemote = (row: Row): number => (REMOTE.test(String(row.type)) ? 1 : 0);
  // A file system without an answer by then stays NULL: this process is killed with its hung reads.
  const late = new Promise((resolve) => setTimeout(resolve, STATFS_MS).unref());
  const asked = [...all].sort((a, b) => isRemote(a) - isRemote(b)).map((row) => sized(row));
  await Promise.race([Promise.all(asked), late]);
  return all;
};

/** Reading an automount point would mount it. */
async function sized(row: Row): Promise<void> {
  if (row.type === 'autofs') return;
  try {
    const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(below(String(row.path)), { bigint: true });
    const sizes = {
      blocks_size: whole(bsize),
      blocks: whole(blocks),
      blocks_free: whole(bfree),
      blocks_available: whole(bavail),
      inodes: whole(files),
      inodes_free: whole(ffree),
    };
    Object.assign(row, sizes, { size: whole(blocks * bsize), available: whole(bavail * bsize) });
  } catch {
    // not readable
  }
}

/** sysfs replaces a slash in a device's name by `!`: cciss!c0d0. */
const device = (name: string): string => `/dev/${name.replaceAll('!', '/')}`;

export const blockDevices: Reader = () =>
  list('/sys/class/block').map((name) => {
    const at = `/sys/class/block/${name}`;
    const isPartition = line(`${at}/partition`) !== undefined;
    // …/block/sda/sda1
    const parent = isPartition ? (link(at)?.split('/').at(-2) ?? '') : '';
    const size = number(line(`${at}/size`));
    return {
      name: device(name),
      parent: parent === '' ? '' : device(parent),
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

/** os-release(5): assignments as a shell reads them, with either quotes, and comments. */
function release(): Map<string, string> {
  const path = read('/etc/os-release') === undefined ? '/usr/lib/os-release' : '/etc/os-release';
  const sets = written(path).flatMap((one): [string, string][] => {
    const [, key, value = ''] = one.match(/^([A-Z0-9_]+)=(.*)$/) ?? [];
    return key === undefined ? [] : [[key, unquoted(value)]];
  });
  return new Map(sets);
}

function unquoted(value: string): string {
  if (/^'[^']*'$/.test(value)) return value.slice(1, -1);
  const inner = /^".*"$/.test(value) ? value.slice(1, -1) : value;
  return inner.replace(/\\(.)/g, '$1');
}

export const osVersion: Reader = () => {
  const of = release();
  const [major = '', minor = '', patch = ''] = (of.get('VERSION_ID') ?? '').split('.');
  return [
    {
      name: of.get('NAME') ?? 'Linux', // the default of os-release(5)
      version: of.get('VERSION') ?? of.get('VERSION_ID') ?? '',
      major: number(major),
      minor: number(minor),
      patch: number(patch),
      build: of.get('BUILD_ID') ?? '',
      platform: of.get('ID') ?? 'linux',
      platform_like: of.get('ID_LIKE') ?? of.get('ID') ?? 'linux',
      codename: of.get('VERSION_CODENAME') ?? '',
      arch: MACHINES[arch()] ?? arch(),
    },
  ];
};

/** As in uname(1). */
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
      cpu_physical_cores: different(topology.map(([socket, core]) => (core === undefined ? undefined : `${socket},${core}`))),
      cpu_logical_cores: topology.length === 0 ? undefined : topology.length,
      cpu_sockets: different(topology.map(([socket]) => socket)),
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

/** The number of distinct values; undefined if the kernel has none for a CPU. */
function different(ids: readonly (string | undefined)[]): number | undefined {
  return ids.length === 0 || ids.includes(undefined) ? undefined : new Set(ids).size;
}

export const uptime: Reader = () => {
  const seconds = number(line('/proc/uptime')?.split(' ')[0]);
  if (seconds === undefined) return [];
  const total = Math.floor(seconds);
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

const SYSCTLS = '/proc/sys';
const MAX_SYSCTL_LENGTH = 1_000;

/** Settings of /proc/sys that are readable and short. */
export const systemControls: Reader = (where) => {
  const rows: Row[] = [];
  const add = (name: string, path: string): void => {
    const value = read(`${SYSCTLS}/${path}`)?.trim();
    if (value !== undefined && value.length < MAX_SYSCTL_LENGTH)
      rows.push({
        name,
        oid: '',
        subsystem: path.split('/')[0],
        current_value: value,
        config_value: '',
        type: '',
        field_name: '',
      });
  };
  const asked = where.get('name')?.map(String);
  if (asked !== undefined) {
    for (const name of asked) {
      const path = sysctlPath(name);
      if (path !== undefined) add(name, path);
    }
    return rows;
  }
  const walk = (path: string): void => {
    for (const entry of list(`${SYSCTLS}/${path}`)) {
      if (rows.length >= MAX_SYSCTLS) return;
      const inner = `${path}/${entry}`;
      if (list(`${SYSCTLS}/${inner}`).length > 0) walk(inner);
      else add(sysctlKey(inner), inner);
    }
  };
  for (const subsystem of ['kernel', 'vm', 'net', 'fs']) walk(subsystem);
  return rows;
};
