// The kernel's text files: read as they are printed, unknown with a reason where they are missing, and never zero for that.
import { describe, expect, it } from 'vitest';
import { HostReader } from '../../node/telemetry/adapters/host-reader.ts';
import { HOST_SOURCES, readFigures } from '../../node/telemetry/host-figures.ts';
import { METRICS, readMetrics, unknownBecause } from '../../node/telemetry/metrics.ts';
import { describeSuspects, suspectsOf } from '../../node/telemetry/suspects.ts';
import { usageByProcess } from '../../node/telemetry/usage.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';

/** As kernel 6.18 printed them. */
const FILES: Record<string, string> = {
  '/proc/stat': 'cpu  1 2 3 4\nintr 5\nctxt 81234\nbtime 1\nprocesses 4321\nprocs_running 3\nprocs_blocked 1\n',
  '/proc/vmstat': 'nr_free_pages 1\npgmajfault 77\noom_kill 2\npswpin 0\npswpout 9\n',
  '/proc/sys/fs/file-nr': '322\t0\t9223372036854775807\n',
  '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
  '/proc/net/sockstat': 'sockets: used 8\nTCP: inuse 1 orphan 0 tw 4 alloc 1 mem 0\nUDP: inuse 2 mem 0\nUDPLITE: inuse 0\n',
  '/proc/net/snmp':
    'Tcp: RtoAlgorithm MaxConn ActiveOpens CurrEstab OutSegs RetransSegs\nTcp: 1 -1 360 5 55142 72\nUdp: InDatagrams\nUdp: 150\n',
  '/proc/net/netstat': 'TcpExt: SyncookiesSent ListenDrops\nTcpExt: 0 6\nIpExt: InOctets\nIpExt: 1\n',
  '/proc/net/dev':
    'Inter-|   Receive  | Transmit\n face |bytes packets\n    lo: 999 9 9 9 0 0 0 0 999 9 9 9 0 0 0 0\n  eth0: 1000 10 1 2 0 0 0 0 500 5 3 4 0 0 0 0\n  eth1:5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0\n',
  '/proc/mdstat':
    'md0 : active raid1 sda1[0] sdb1[1](F)\n      1 blocks [2/1] [U_]\nmd1 : active raid1 sdc1[0] sdd1[1]\n      1 blocks [2/2] [UU]\n',
  '/sys/class/thermal/thermal_zone0/temp': '48500\n',
};

const read = (file: string): string => {
  const text = FILES[file];
  if (text === undefined) throw new Error(`no ${file}`);
  return text;
};

describe('the figures of the host', () => {
  it('are read from what the kernel prints', () => {
    const { values } = readFigures(HOST_SOURCES, read);
    expect(values.get('network.receive|eth0')).toBe(1000);
    expect(Object.fromEntries([...values].filter(([name]) => !name.includes('|')))).toEqual({
      context_switches: 81_234,
      forks: 4_321,
      running: 3,
      blocked: 1,
      major_faults: 77,
      oom_kills: 2,
      swap_in: 0,
      swap_out: 9,
      'files.open': 322,
      'files.max': 2 ** 63,
      'ports.first': 32_768,
      'ports.last': 60_999,
      'sockets.used': 8,
      'tcp.in_use': 1,
      'tcp.orphans': 0,
      'tcp.time_wait': 4,
      'udp.in_use': 2,
      'tcp.opens': 360,
      'tcp.established': 5,
      'tcp.sent': 55_142,
      'tcp.retransmitted': 72,
      'tcp.listen_drops': 6,
      'network.receive': 1_005,
      'network.transmit': 506,
      'network.errors': 4,
      'network.dropped': 6,
      'raid.degraded': 1,
      'temperature.milli': 48_500,
    });
  });

  it('say why they are not known, and are never zero for it', () => {
    const { values, lacks } = readFigures(HOST_SOURCES, (file) => (file === '/proc/vmstat' ? 'nr_free_pages 1\n' : read(file)));
    expect(values.has('oom_kills')).toBe(false);
    expect(lacks.get('oom_kills')).toBe('/proc/vmstat has no value');
    expect(lacks.get('conntrack.count')).toBe('no /proc/sys/net/netfilter/nf_conntrack_count');
    const named = HOST_SOURCES.flatMap(({ figures }) => figures);
    expect(named.every((name) => values.has(name) !== lacks.has(name))).toBe(true);
  });

  it('survive whatever a file holds', () => {
    for (const text of ['', '\n', 'garbage', 'Tcp: \nTcp: ', 'x'.repeat(100_000), '\0\0'])
      expect([...readFigures(HOST_SOURCES, () => text).values.values()].every(Number.isFinite)).toBe(true);
  });

  it('come from this machine, quickly', () => {
    const { values } = new HostReader().read(0);
    for (const name of ['context_switches', 'forks', 'files.open', 'uptime', 'sockets.used'])
      expect(values.get(name)).toBeGreaterThan(0);
  });
});

describe('the metrics of the host', () => {
  const sampleWith = (figures: Record<string, number>, monotonicMs: number) => ({
    ...new FakeLinux(new Scheduler(), new SeededRandom(1, 'linux'), [], { cpus: 2, memoryBytes: 2 ** 32 }, 0).sample(),
    monotonicMs,
    host: { values: new Map(Object.entries(figures)), lacks: new Map([['conntrack.count', 'no conntrack here']]) },
  });

  it('are rates of counters, shares of limits, and unknown after a counter was reset', () => {
    const before = sampleWith({ 'network.receive': 1_000, forks: 50 }, 0);
    const after = sampleWith({ 'network.receive': 3_000, forks: 10, 'files.open': 5, 'files.max': 10 }, 2_000);
    const metrics = readMetrics(after, before);
    expect(metrics.get('system.network.io.receive')).toBe(1_000);
    expect(metrics.has('system.processes.created')).toBe(false);
    expect(metrics.get('system.filesystem.files.utilization')).toBe(0.5);
    const conntrack = METRICS.find(({ name }) => name === 'system.network.conntrack.utilization');
    expect(conntrack && unknownBecause(conntrack, after)).toBe('no conntrack here');
  });

  it('have names of their own', () => {
    expect(new Set(METRICS.map(({ name }) => name)).size).toBe(METRICS.length);
    expect(METRICS.length).toBeGreaterThanOrEqual(45);
  });
});

describe('attribution', () => {
  it('names the busiest, the largest and the blocked, and since when they run', () => {
    const scheduler = new Scheduler();
    const linux = new FakeLinux(scheduler, new SeededRandom(1, 'linux'), [], { cpus: 2, memoryBytes: 2 ** 32 }, 0);
    linux.processes.spawn('hog', {
      cpu: 1.5,
      rssBytes: 1e6,
      rssGrowthBytesPerS: 0,
      writeBytesPerS: 0,
      filesPerS: 0,
      forksPerS: 0,
    });
    linux.processes.spawn('fat', {
      cpu: 0.01,
      rssBytes: 2 ** 30,
      rssGrowthBytesPerS: 0,
      writeBytesPerS: 0,
      filesPerS: 0,
      forksPerS: 0,
    });
    const first = linux.sample();
    scheduler.step(10_000);
    const text = describeSuspects(suspectsOf(linux.sample(), first));
    expect(text).toMatch(/^busiest: hog \(pid \d+, for 10 s\) 1\.[2-9] CPUs; largest: fat \(pid \d+, for 10 s\) 1024 MiB$/);
    expect(describeSuspects(suspectsOf({ ...first, processes: [] }, undefined))).toBe('');
  });
});

describe('the use of a process and all that descend from it', () => {
  it('is counted once each, even where a reused pid closes a circle', () => {
    const process = { name: 'x', state: 'S', threads: 1, cpuTicks: 0, rssBytes: 10, startTicks: 1 };
    const sample = {
      ...new FakeLinux(new Scheduler(), new SeededRandom(1, 'linux'), [], { cpus: 2, memoryBytes: 2 ** 32 }, 0).sample(),
      processes: [
        { ...process, pid: 5, parent: 7 },
        { ...process, pid: 6, parent: 5 },
        { ...process, pid: 7, parent: 6 },
        { ...process, pid: 9, parent: 1 },
      ],
    };
    const usage = usageByProcess(sample, undefined);
    expect(usage(5)).toMatchObject({ memoryBytes: 30, cpus: 0, processes: 3 });
    expect(usage(undefined)).toMatchObject({ memoryBytes: 0, cpus: 0, processes: 0 });
  });
});
