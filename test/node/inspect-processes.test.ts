// The tables of processes, their sockets and files, and of control groups: each column from the field of proc(5) that it is about.
import { mkdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ipv6, socketAddress } from '../../node/adapters/inspect/processes.ts';
import type { Row } from '../../node/adapters/inspect/read.ts';
import { machineFiles } from '../support/machine-files.ts';

const { at, put, link, rows } = machineFiles();
/** In whatever sequence a directory names its files. */
const byDescriptor = (found: Row[]): Row[] => found.sort((a, b) => Number(a.fd) - Number(b.fd));
const byPath = (found: Row[]): Row[] => found.sort((a, b) => String(a.path).localeCompare(String(b.path)));

/** The fields of /proc/PID/stat from the third on, each with a value of its own. */
const STAT = 'S 101 102 103 104 105 106 107 108 109 110 1200 1300 113 114 115 5 8 118 4500 1200000 300 122';

function putProcess(pid: number): void {
  put('/proc/stat', 'cpu  1 2 3 4\nbtime 1700000000\n');
  put(`/proc/${pid}/stat`, `${pid} (web) ${STAT}\n`);
  put(`/proc/${pid}/status`, 'Name:\tweb\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n');
  put(`/proc/${pid}/io`, 'rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\n');
  put(`/proc/${pid}/cmdline`, 'web\0--port\x0080\0\0');
  put(`/proc/${pid}/cgroup`, '1:cpu:/old\n0::/system.slice/web:1.service\n');
  link(`/proc/${pid}/exe`, '/usr/bin/web');
  link(`/proc/${pid}/cwd`, '/srv');
  link(`/proc/${pid}/root`, '/');
}

describe('a process', () => {
  it('has each column from its field', async () => {
    putProcess(7);
    expect(await rows('process_details')).toEqual([
      {
        pid: 7,
        name: 'web',
        path: '/usr/bin/web',
        cmdline: 'web --port 80',
        state: 'S',
        cwd: '/srv',
        root: '/',
        uid: 1,
        gid: 5,
        euid: 2,
        egid: 6,
        suid: 3,
        sgid: 7,
        on_disk: 1,
        wired_size: 0,
        resident_size: 300 * 4_096,
        total_size: 1_200_000,
        user_time: 12_000,
        system_time: 13_000,
        disk_bytes_read: 4_096,
        disk_bytes_written: 8_192,
        start_time: 1_700_000_045,
        parent: 101,
        pgroup: 102,
        threads: 8,
        nice: 5,
        cgroup_path: '/system.slice/web:1.service',
      },
    ]);
  });

  it('that tells little has what it tells, and the others are unknown', async () => {
    put('/proc/8/stat', '8 (kthread) R');
    put('/proc/9/stat', '9 no parentheses');
    put('/proc/10/stat', '10 )wrong way( S 1');
    put('/proc/self/stat', '7 (not a pid) S 1');
    const [only, ...more] = await rows('process_details');
    expect(more).toEqual([]);
    expect(only).toMatchObject({ pid: 8, name: 'kthread', state: 'R', path: '', cmdline: '', cwd: '', root: '', on_disk: -1 });
    for (const column of ['uid', 'resident_size', 'user_time', 'disk_bytes_read', 'start_time', 'parent', 'cgroup_path'])
      expect(only?.[column], column).toBeUndefined();
  });

  it('is not dated where the machine does not say when it was started', async () => {
    putProcess(7);
    put('/proc/stat', 'cpu  1 2 3 4\n');
    expect((await rows('process_details'))[0]?.start_time).toBeUndefined();
  });

  it('is read alone where its pid is asked for', async () => {
    for (const pid of [7, 8, 9]) putProcess(pid);
    const asked = async (...pids: (number | string)[]) => (await rows('process_details', [['pid', pids]])).map(({ pid }) => pid);
    expect(await asked(8)).toEqual([8]);
    expect(await asked('9', 7)).toEqual([9, 7]);
    expect(await asked(0, -7, 7.5, 'x', 1)).toEqual([]);
  });

  it('has open what its descriptors lead to, files apart from sockets', async () => {
    link('/proc/7/fd/0', '/dev/null');
    link('/proc/7/fd/12', 'socket:[44]');
    link('/proc/7/fd/13', '/var/log/a b.log');
    put('/proc/7/fd/14', 'no link');
    expect(byDescriptor(await rows('process_open_files'))).toEqual([
      { pid: 7, fd: 0, path: '/dev/null' },
      { pid: 7, fd: 13, path: '/var/log/a b.log' },
    ]);
  });
});

const HEAD = 'sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode\n';
const entry = (local: string, remote: string, state: string, inode: number): string =>
  ` 0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 0 0 ${inode} 1 0 20 4 30 10 -1\n`;
const NOBODY = '00000000:0000';
const NOBODY_6 = `${'0'.repeat(32)}:0000`;

describe('the sockets of a process', () => {
  const putSockets = (): void => {
    for (const [fd, inode] of [11, 12, 13, 14, 15, 16, 17, 18].entries()) link(`/proc/7/fd/${fd}`, `socket:[${inode}]`);
    link('/proc/7/fd/20', 'socket:[99]');
    link('/proc/7/fd/21', 'pipe:[11]');
    link('/proc/7/ns/net', 'net:[4026531840]');
    put('/proc/7/net/tcp', HEAD + entry('0100007F:1F90', NOBODY, '0A', 11) + entry('0100007F:0016', '0200000A:C350', '01', 12));
    put('/proc/7/net/tcp6', HEAD + entry('00000000000000000000000001000000:01BB', NOBODY_6, '0A', 13));
    put('/proc/7/net/udp', HEAD + entry('00000000:0035', NOBODY, '07', 14) + entry('0100007F:0044', '0200000A:0043', '01', 15));
    put('/proc/7/net/udplite6', HEAD + entry(`${'0'.repeat(32)}:0007`, NOBODY_6, '07', 16));
    put('/proc/7/net/raw', HEAD + entry('00000000:0001', NOBODY, '07', 17));
    put(
      '/proc/7/net/unix',
      'Num RefCount Protocol Flags Type St Inode Path\n0000: 00000002 00000000 00000000 0001 03    18\n0000: 00000002 00000000 00010000 0001 01    19 /run/not-ours\n',
    );
  };
  const unix = { local_address: '', remote_address: '', local_port: 0, remote_port: 0 };

  it('are those of its network namespace that it holds', async () => {
    putSockets();
    const found = byDescriptor(await rows('process_open_sockets'));
    expect(found[0]).toEqual({
      pid: 7,
      fd: 0,
      socket: 11,
      family: 2,
      protocol: 6,
      local_address: '127.0.0.1',
      remote_address: '0.0.0.0',
      local_port: 8_080,
      remote_port: 0,
      path: '',
      state: 'LISTEN',
      net_namespace: '4026531840',
    });
    expect(found[7]).toMatchObject({ socket: 18, family: 1, protocol: 0, path: '', state: '', ...unix });
    const short = ({ family, protocol, local_address, local_port, remote_port, state }: Row) =>
      [family, protocol, local_address, local_port, remote_port, state].join(' ');
    expect(found.slice(1, 7).map(short)).toEqual([
      '2 6 127.0.0.1 22 50000 ESTABLISHED',
      '10 6 ::1 443 0 LISTEN',
      '2 17 0.0.0.0 53 0 ',
      '2 17 127.0.0.1 68 67 ',
      '10 136 :: 7 0 ',
      '2 255 0.0.0.0 1 0 ',
    ]);
    expect(found).toHaveLength(8);
  });

  it('are unknown without its namespace', async () => {
    put('/proc/7/net/tcp', HEAD + entry('0100007F:1F90', NOBODY, '0A', 11));
    link('/proc/7/fd/0', 'socket:[11]');
    expect(await rows('process_open_sockets')).toEqual([]);
  });

  it('are read once for all processes of a namespace', async () => {
    putSockets();
    link('/proc/9/ns/net', 'net:[4026531840]');
    link('/proc/9/fd/5', 'socket:[11]');
    link('/proc/11/ns/net', 'net:[1]');
    link('/proc/11/fd/5', 'socket:[11]');
    const of9 = (await rows('process_open_sockets', [['pid', [7, 9, 11]]])).filter(({ pid }) => pid !== 7);
    expect(of9.map(({ pid, local_port }) => [pid, local_port])).toEqual([[9, 8_080]]);
  });

  it('that listen, or are bound to UDP and not connected, are its ports', async () => {
    putSockets();
    link('/proc/7/fd/22', 'socket:[19]');
    const found = byDescriptor(await rows('listening_ports'));
    expect(found[0]).toEqual({
      pid: 7,
      port: 8_080,
      protocol: 6,
      family: 2,
      address: '127.0.0.1',
      fd: 0,
      socket: 11,
      path: '',
      net_namespace: '4026531840',
    });
    expect(found.map(({ protocol, port, path }) => [protocol, port, path])).toEqual([
      [6, 8_080, ''],
      [6, 443, ''],
      [17, 53, ''],
      [136, 7, ''],
      [0, 0, '/run/not-ours'],
    ]);
  });

  it.each([
    ['01', 'ESTABLISHED'],
    ['02', 'SYN_SENT'],
    ['03', 'SYN_RECV'],
    ['04', 'FIN_WAIT1'],
    ['05', 'FIN_WAIT2'],
    ['06', 'TIME_WAIT'],
    ['07', 'CLOSED'],
    ['08', 'CLOSE_WAIT'],
    ['09', 'LAST_ACK'],
    ['0A', 'LISTEN'],
    ['0B', 'CLOSING'],
    ['FF', ''],
  ])('in state %s are %s', async (state, name) => {
    link('/proc/7/ns/net', 'net:[1]');
    link('/proc/7/fd/0', 'socket:[11]');
    put('/proc/7/net/tcp', HEAD + entry('0100007F:1F90', NOBODY, state, 11));
    expect((await rows('process_open_sockets'))[0]?.state).toBe(name);
  });
});

describe('addresses', () => {
  it.each([
    ['0100007F:1F90', '127.0.0.1', 8_080],
    ['B80D0120000000000000000001000000:0050', '2001:db8::1', 80],
    ['0000000000000000FFFF00000100007F:0050', '::ffff:127.0.0.1', 80],
    ['', '::', 0],
  ])('%s is %s, port %i', (text, address, port) => {
    expect(socketAddress(text)).toEqual({ address, port });
  });

  it.each([
    [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1], '2001:db8::1:0:0:1'],
    [[0x20, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], '2001:0:0:1::1'],
    [[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 'fe80::'],
    [[0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 0], '1:2:3:4:5:6:7:0'],
    [[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 1, 2, 3, 4], '::1:ffff:102:304'],
  ])('%j is %s', (bytes, text) => {
    expect(ipv6(bytes)).toBe(text);
  });
});

describe('control groups', () => {
  const ROOT = '/sys/fs/cgroup';

  it('of version 2 have their figures, the limits that they have, and what is below them', async () => {
    put(`${ROOT}/cgroup.controllers`, 'cpu memory\n');
    put(`${ROOT}/cgroup.procs`, '1\n2\n');
    put(`${ROOT}/web/memory.current`, '4096\n');
    put(`${ROOT}/web/memory.max`, '8192\n');
    put(`${ROOT}/web/cgroup.procs`, '7\n8\n9\n');
    put(`${ROOT}/web/cpu.stat`, 'usage_usec 123\nnr_throttled 4\n');
    put(`${ROOT}/web/memory.events`, 'oom 1\noom_kill 2\n');
    put(`${ROOT}/web/inner/memory.max`, 'max\n');
    const [top, ...inner] = byPath(await rows('cgroups'));
    expect(top).toMatchObject({ path: '/', processes: 2, memory: undefined });
    expect(inner).toEqual([
      {
        path: '/web',
        memory: 4_096,
        memory_limit: 8_192,
        processes: 3,
        cpu_usage_us: 123,
        throttled_periods: 4,
        oom_kills: 2,
      },
      {
        path: '/web/inner',
        memory: undefined,
        memory_limit: undefined,
        processes: undefined,
        cpu_usage_us: undefined,
        throttled_periods: undefined,
        oom_kills: undefined,
      },
    ]);
  });

  it('of version 1 are of several hierarchies, whose controllers may be together', async () => {
    put(`${ROOT}/memory/web/memory.usage_in_bytes`, '4096\n');
    put(`${ROOT}/memory/web/memory.limit_in_bytes`, '9223372036854771712\n');
    put(`${ROOT}/memory/web/memory.oom_control`, 'oom_kill_disable 0\noom_kill 3\n');
    put(`${ROOT}/memory/web/cgroup.procs`, '7\n');
    put(`${ROOT}/cpu,cpuacct/web/cpuacct.usage`, '1999600\n');
    put(`${ROOT}/cpu,cpuacct/web/cpu.stat`, 'nr_throttled 5\n');
    put(`${ROOT}/memory/large/memory.limit_in_bytes`, '4611686018427387903\n');
    put(`${ROOT}/cpu,cpuacct/large/cpuacct.usage`, '18446744073709551615\n');
    const found = Object.fromEntries((await rows('cgroups')).map(({ path, ...row }) => [path, row]));
    expect(found['/web']).toEqual({
      memory: 4_096,
      memory_limit: undefined,
      processes: 1,
      cpu_usage_us: 2_000,
      throttled_periods: 5,
      oom_kills: 3,
    });
    expect(found['/large']).toMatchObject({ memory_limit: 2n ** 62n - 1n, cpu_usage_us: 18_446_744_073_709_551n });
  });

  it('of version 1 without memory are those of another hierarchy', async () => {
    put(`${ROOT}/pids/web/cgroup.procs`, '7\n8\n');
    expect((await rows('cgroups')).map(({ path, processes }) => [path, processes])).toEqual([
      ['/', undefined],
      ['/web', 2],
    ]);
  });

  it('are followed 13 directories deep', async () => {
    put(`${ROOT}/cgroup.controllers`, '\n');
    mkdirSync(at(`${ROOT}${'/a'.repeat(15)}`), { recursive: true });
    expect((await rows('cgroups')).at(-1)?.path).toBe('/a'.repeat(13));
  });
});
