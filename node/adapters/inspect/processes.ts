// Tables of processes, their open files and sockets, and listening ports, from proc(5).
import { readdirSync } from 'node:fs';
import { below, integer, line, lines, link, list, number, pairs, pids, type Reader, type Row, read } from './read.ts';

const TICKS_PER_SECOND = 100; // USER_HZ, fixed in the kernel's ABI
const PAGE_BYTES = 4096;
const DELETED = ' (deleted)';

const bootS = (): number | undefined => number(pairs(read('/proc/stat'), ' ').get('btime'));

/** The fields of /proc/PID/stat from the third on: its name may contain any character. */
function statOf(pid: number): { name: string; fields: string[] } | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  const [open, close] = [text.indexOf('('), text.lastIndexOf(')')];
  if (open < 0 || close < open) return undefined;
  return {
    name: text.slice(open + 1, close),
    fields: text
      .slice(close + 2)
      .trim()
      .split(' '),
  };
}

export const processes: Reader = (where) => {
  const boot = bootS();
  return pids(where).flatMap((pid): Row[] => {
    const stat = statOf(pid);
    if (stat === undefined) return [];
    const field = (index: number): number | undefined => number(stat.fields[index]);
    const status = pairs(read(`/proc/${pid}/status`), ':');
    const ids = (key: string): (number | undefined)[] => (status.get(key) ?? '').split(/\s+/).map(number);
    const [uids, gids, io] = [ids('Uid'), ids('Gid'), pairs(read(`/proc/${pid}/io`), ':')];
    const exe = link(`/proc/${pid}/exe`);
    const scaled = (index: number, factor: number): number | undefined => {
      const value = field(index);
      return value === undefined ? undefined : value * factor;
    };
    const startS = scaled(19, 1 / TICKS_PER_SECOND);
    return [
      {
        pid,
        name: stat.name,
        path: exe?.endsWith(DELETED) ? exe.slice(0, -DELETED.length) : (exe ?? ''),
        cmdline: (read(`/proc/${pid}/cmdline`) ?? '').replace(/\0+$/, '').replaceAll('\0', ' '),
        state: stat.fields[0],
        cwd: link(`/proc/${pid}/cwd`) ?? '',
        root: link(`/proc/${pid}/root`) ?? '',
        uid: uids[0],
        gid: gids[0],
        euid: uids[1],
        egid: gids[1],
        suid: uids[2],
        sgid: gids[2],
        on_disk: exe === undefined ? -1 : exe.endsWith(DELETED) ? 0 : 1,
        wired_size: 0,
        resident_size: scaled(21, PAGE_BYTES),
        total_size: field(20),
        user_time: scaled(11, 1_000 / TICKS_PER_SECOND),
        system_time: scaled(12, 1_000 / TICKS_PER_SECOND),
        disk_bytes_read: integer(io.get('read_bytes')),
        disk_bytes_written: integer(io.get('write_bytes')),
        start_time: boot === undefined || startS === undefined ? undefined : boot + Math.floor(startS),
        parent: field(1),
        pgroup: field(2),
        threads: field(17),
        nice: field(16),
        cgroup_path: lines(`/proc/${pid}/cgroup`).at(-1)?.split(':').slice(2).join(':'),
      },
    ];
  });
};

/** The descriptors of a process with their targets. */
function descriptors(pid: number): { fd: number; target: string }[] {
  return list(`/proc/${pid}/fd`).flatMap((fd) => {
    const target = link(`/proc/${pid}/fd/${fd}`);
    return target === undefined ? [] : [{ fd: Number(fd), target }];
  });
}

export const openFiles: Reader = (where) =>
  pids(where).flatMap((pid) =>
    descriptors(pid).flatMap(({ fd, target: path }): Row[] => (path.startsWith('/') ? [{ pid, fd, path }] : [])),
  );

interface SocketInfo {
  family: number;
  protocol: number;
  local: { address: string; port: number };
  remote: { address: string; port: number };
  state: string;
  path: string;
  inode: string;
}

const [AF_UNIX, AF_INET, AF_INET6] = [1, 2, 10];
const PROTOCOLS = { tcp: 6, udp: 17, udplite: 136, raw: 255 } as const;
const TCP_STATES = [
  '',
  'ESTABLISHED',
  'SYN_SENT',
  'SYN_RECV',
  'FIN_WAIT1',
  'FIN_WAIT2',
  'TIME_WAIT',
  'CLOSED',
  'CLOSE_WAIT',
  'LAST_ACK',
  'LISTEN',
  'CLOSING',
];

/** `0100007F:1F90`: words of the machine's own byte order, and the port in hexadecimal. */
export function socketAddress(text: string): { address: string; port: number } {
  const [hex = '', port = '0'] = text.split(':');
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).reverse().map((byte) => Number.parseInt(byte, 16)));
  return { address: bytes.length === 4 ? bytes.join('.') : ipv6(bytes), port: Number.parseInt(port, 16) };
}

/** RFC 5952: the longest run of zeros is left out; IPv4 within IPv6 as such. */
export function ipv6(bytes: readonly number[]): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return `::ffff:${bytes.slice(12).join('.')}`;
  const text = groups.map((group) => group.toString(16)).join(':');
  const runs = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const longest = runs[0];
  if (longest === undefined) return text;
  return `${text.slice(0, longest.index)}::${text.slice(longest.index + longest[0].length).replace(/^:/, '')}`;
}

/** All sockets of a network namespace, read through one process in it. */
function socketsOf(pid: number): SocketInfo[] {
  const found: SocketInfo[] = [];
  for (const [name, protocol] of Object.entries(PROTOCOLS))
    for (const [suffix, family] of [
      ['', AF_INET],
      ['6', AF_INET6],
    ] as const)
      for (const one of lines(`/proc/${pid}/net/${name}${suffix}`).slice(1)) {
        const [, local = '', remote = '', state = '', , , , , , inode = ''] = one.trim().split(/\s+/);
        found.push({
          family,
          protocol,
          local: socketAddress(local),
          remote: socketAddress(remote),
          state: name === 'tcp' ? (TCP_STATES[Number.parseInt(state, 16)] ?? '') : '',
          path: '',
          inode,
        });
      }
  const none = { address: '', port: 0 };
  for (const one of lines(`/proc/${pid}/net/unix`).slice(1)) {
    // Num RefCount Protocol Flags Type St Inode Path: the path is the rest, blanks and all.
    const [, flags, inode = '', path = ''] = one.match(/^\S+:\s+\S+\s+\S+\s+(\S+)\s+\S+\s+\S+\s+(\d+) ?(.*)$/) ?? [];
    if (flags === undefined) continue; // the rest of a path with a newline
    const isListening = (Number.parseInt(flags, 16) & 0x10000) !== 0;
    found.push({ family: AF_UNIX, protocol: 0, local: none, remote: none, state: isListening ? 'LISTEN' : '', path, inode });
  }
  return found;
}

/** The open sockets of processes, in all network namespaces. */
function heldSockets(of: readonly number[]): { pid: number; fd: number; namespace: string; socket: SocketInfo }[] {
  const byNamespace = new Map<string, Map<string, SocketInfo>>();
  return of.flatMap((pid) => {
    const namespace = link(`/proc/${pid}/ns/net`)?.match(/\d+/)?.[0];
    if (namespace === undefined) return [];
    const known = byNamespace.get(namespace) ?? new Map(socketsOf(pid).map((socket) => [socket.inode, socket]));
    byNamespace.set(namespace, known);
    return descriptors(pid).flatMap(({ fd, target }) => {
      const socket = known.get(target.match(/^socket:\[(\d+)\]$/)?.[1] ?? '');
      return socket === undefined ? [] : [{ pid, fd, namespace, socket }];
    });
  });
}

export const openSockets: Reader = (where) =>
  heldSockets(pids(where)).map(({ pid, fd, namespace, socket }) => ({
    pid,
    fd,
    socket: integer(socket.inode),
    family: socket.family,
    protocol: socket.protocol,
    local_address: socket.local.address,
    remote_address: socket.remote.address,
    local_port: socket.local.port,
    remote_port: socket.remote.port,
    path: socket.path,
    state: socket.state,
    net_namespace: namespace,
  }));

/** TCP and Unix sockets that listen, and UDP sockets that are bound and not connected. */
export const listeningPorts: Reader = (where) =>
  heldSockets(pids(where))
    .filter(
      ({ socket: { protocol, state, remote } }) =>
        state === 'LISTEN' || ((protocol === 17 || protocol === 136) && remote.port === 0),
    )
    .map(({ pid, fd, namespace, socket }) => ({
      pid,
      port: socket.local.port,
      protocol: socket.protocol,
      family: socket.family,
      address: socket.local.address,
      fd,
      socket: integer(socket.inode),
      path: socket.path,
      net_namespace: namespace,
    }));

const HIERARCHIES = ['memory', 'cpu', 'cpuacct', 'pids'];

/** The directory of a v1 controller: alone, or with others under joined names. */
function hierarchy(root: string, controller: string): string {
  const name = list(root).find((one) => one.split(',').includes(controller));
  return `${root}/${name ?? controller}`;
}

export const cgroups: Reader = () => {
  const root = '/sys/fs/cgroup';
  const isV2 = read(`${root}/cgroup.controllers`) !== undefined;
  // v1, and hybrid, where the tree beside the hierarchies has no controllers. CPU's two share one, under either name.
  const [memory = '', cpu = '', cpuacct = ''] = ['memory', 'cpu', 'cpuacct'].map((name) => hierarchy(root, name));
  const base = isV2 ? root : (HIERARCHIES.map((name) => hierarchy(root, name)).find((path) => list(path).length > 0) ?? memory);
  const rows: Row[] = [];
  const walk = (path: string, depth: number): void => {
    const at = `${base}${path}`;
    const stat = pairs(read(isV2 ? `${at}/cpu.stat` : `${cpu}${path}/cpu.stat`), ' ');
    const inMemory = isV2 ? at : `${memory}${path}`;
    rows.push({
      path: path === '' ? '/' : path,
      memory: integer(line(`${inMemory}/${isV2 ? 'memory.current' : 'memory.usage_in_bytes'}`)),
      memory_limit: limit(line(`${inMemory}/${isV2 ? 'memory.max' : 'memory.limit_in_bytes'}`)),
      processes: count(read(`${at}/cgroup.procs`)),
      cpu_usage_us: integer(stat.get('usage_usec')) ?? nanos(line(`${cpuacct}${path}/cpuacct.usage`)),
      throttled_periods: integer(stat.get('nr_throttled')),
      oom_kills: number(pairs(read(`${inMemory}/${isV2 ? 'memory.events' : 'memory.oom_control'}`), ' ').get('oom_kill')),
    });
    if (depth > 12) return;
    try {
      for (const entry of readdirSync(below(at), { withFileTypes: true }))
        if (entry.isDirectory()) walk(`${path}/${entry.name}`, depth + 1);
    } catch {
      // removed since
    }
  };
  walk('', 0);
  return rows;
};

const count = (text: string | undefined): number | undefined => text?.split('\n').filter((one) => one !== '').length;

/** The value of v1 for no limit: the largest number of whole pages, which depends on the page size. */
const NO_LIMIT = 2n ** 62n;

/** Undefined without a limit: `max`, with control groups v2. */
const limit = (text: string | undefined): number | bigint | undefined => {
  const value = integer(text);
  return value === undefined || value >= NO_LIMIT ? undefined : value;
};

const nanos = (text: string | undefined): number | bigint | undefined => {
  const value = integer(text);
  return typeof value === 'bigint' ? value / 1_000n : value === undefined ? undefined : Math.round(value / 1_000);
};
