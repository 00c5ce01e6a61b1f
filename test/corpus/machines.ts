// Odd machines, as text: what their kernels and their owners wrote, in the formats of proc(5), sysfs, cgroups(7), fstab(5), passwd(5)
// and the like, by path. Each is put below a directory, and read there in the place of this machine (corpus.test.ts).

export interface Machine {
  name: string;
  files: Readonly<Record<string, string>>;
  links?: Readonly<Record<string, string>>;
  /** What is otherwise a second later; undefined: it is gone. */
  later?: Readonly<Record<string, string | undefined>>;
  /** Figures of which this machine says nothing: no metric of these may have a value. */
  unknown?: readonly string[];
}

const stat = (ticks: string, more = ''): string =>
  `cpu  ${ticks}\ncpu0 ${ticks}\nintr 1 2 3\nctxt 100\nbtime 1700000000\nprocesses 50\nprocs_running 1\nprocs_blocked 0\n${more}`;
const meminfo = (total: number, available: number | undefined, rest = ''): string =>
  `MemTotal:       ${total} kB\nMemFree:        ${Math.floor(total / 4)} kB\n${available === undefined ? '' : `MemAvailable:   ${available} kB\n`}Buffers:  10 kB\nCached:  20 kB\nSwapTotal: 1000 kB\nSwapFree: 900 kB\n${rest}`;
const pressure = (some: string, full?: string): string =>
  `some avg10=${some} avg60=0.00 avg300=0.00 total=1\n${full === undefined ? '' : `full avg10=${full} avg60=0.00 avg300=0.00 total=1\n`}`;
/** Major, minor, name, and so many counters. */
const disk = (name: string, first: number, fields = 17): string =>
  `   8       0 ${name} ${Array.from({ length: fields }, (_, i) => first + i).join(' ')}\n`;
const process = (pid: number, name: string, state = 'S', cpu = 5, rss = 100): Record<string, string> => ({
  [`/proc/${pid}/stat`]: `${pid} (${name}) ${state} 1 ${pid} ${pid} 0 -1 4194560 0 0 0 0 ${cpu} ${cpu} 0 0 20 0 3 0 200 8388608 ${rss} ${'0 '.repeat(27)}0\n`,
  [`/proc/${pid}/status`]: `Name:\t${name.replaceAll('\n', '\\n')}\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n`,
  [`/proc/${pid}/cmdline`]: `${name}\0--option\0`,
  [`/proc/${pid}/cgroup`]: '0::/system.slice\n',
});
const NET_HEAD =
  'Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n';
const net = (name: string, received: number | string, sent: number | string): string =>
  `${name}:${received} 1 0 0 0 0 0 0 ${sent} 1 0 0 0 0 0 0\n`;

/** What an ordinary machine has; the odd ones differ. */
const PLAIN: Record<string, string> = {
  '/proc/stat': stat('1000 10 500 9000 100 5 5 0 0 0'),
  '/proc/meminfo': meminfo(8_000_000, 4_000_000),
  '/proc/loadavg': '0.50 0.40 0.30 1/200 4242\n',
  '/proc/uptime': '12345.67 54321.00\n',
  '/proc/vmstat': 'pgmajfault 5\noom_kill 0\npswpin 1\npswpout 2\n',
  '/proc/diskstats': disk('sda', 100) + disk('sda1', 50),
  '/proc/self/mounts': '/dev/sda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n',
  '/proc/net/dev': NET_HEAD + net('    lo', 9, 9) + net('  eth0', 1_000, 500),
  '/proc/net/snmp': 'Tcp: RtoAlgorithm ActiveOpens CurrEstab OutSegs RetransSegs\nTcp: 1 3 5 100 2\n',
  '/proc/net/netstat': 'TcpExt: SyncookiesSent ListenDrops\nTcpExt: 0 6\n',
  '/proc/net/sockstat': 'sockets: used 8\nTCP: inuse 1 orphan 0 tw 4 alloc 1 mem 0\nUDP: inuse 2 mem 0\n',
  '/proc/sys/fs/file-nr': '322\t0\t100000\n',
  '/proc/sys/net/ipv4/ip_local_port_range': '32768\t60999\n',
  '/proc/sys/kernel/random/entropy_avail': '256\n',
  '/proc/sys/kernel/osrelease': '6.1.0\n',
  '/proc/sys/vm/swappiness': '60\n',
  '/proc/cmdline': 'BOOT_IMAGE=/vmlinuz root=/dev/sda1 quiet\n',
  '/proc/modules': 'ext4 1000 1 - Live 0x0\n',
  '/proc/pressure/cpu': pressure('1.50'),
  '/proc/pressure/memory': pressure('0.10', '0.05'),
  '/proc/pressure/io': pressure('2.00', '1.00'),
  '/proc/mdstat': 'Personalities : \nunused devices: <none>\n',
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
  '/etc/group': 'root:x:0:\n',
  '/etc/os-release': 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n',
  '/etc/resolv.conf': 'nameserver 192.0.2.1\n',
  '/etc/hosts': '127.0.0.1 localhost\n',
  ...process(1, 'init'),
};

const V2: Record<string, string> = {
  '/sys/fs/cgroup/cgroup.controllers': 'cpu io memory pids\n',
  '/sys/fs/cgroup/system.slice/cpu.stat': 'usage_usec 1000000\nuser_usec 1\nsystem_usec 1\nnr_periods 10\nnr_throttled 2\n',
  '/sys/fs/cgroup/system.slice/memory.current': '4096\n',
  '/sys/fs/cgroup/system.slice/memory.max': 'max\n',
  '/sys/fs/cgroup/system.slice/memory.events': 'low 0\noom_kill 1\n',
  '/sys/fs/cgroup/system.slice/cgroup.procs': '1\n2\n',
};
const V1: Record<string, string> = {
  '/sys/fs/cgroup/cpu,cpuacct/web/cpuacct.usage': '123456789\n',
  '/sys/fs/cgroup/cpu,cpuacct/web/cpu.stat': 'nr_periods 5\nnr_throttled 1\nthrottled_time 9\n',
  '/sys/fs/cgroup/memory/memory.usage_in_bytes': '100\n',
  '/sys/fs/cgroup/memory/web/memory.usage_in_bytes': '8192\n',
  '/sys/fs/cgroup/memory/web/memory.limit_in_bytes': '9223372036854771712\n',
  '/sys/fs/cgroup/memory/web/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n',
  '/sys/fs/cgroup/memory/web/cgroup.procs': '1\n',
};

const link = (name: string, more: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries({
      ifindex: '2',
      address: '02:00:00:00:00:01',
      type: '1',
      mtu: '1500',
      flags: '0x1003',
      operstate: 'up',
      speed: '1000',
      'statistics/rx_bytes': '1000',
      'statistics/tx_bytes': '500',
      ...more,
    }).map(([file, text]) => [`/sys/class/net/${name}/${file}`, `${text}\n`]),
  );

/** Names as nobody should give them, and some do. */
export const ODD_NAMES = [
  'a b',
  'a) R (b',
  'tab\there',
  'new\nline',
  '<script>alert(1)</script>',
  '"quoted" \\ back',
  '\u001b[31mred\u001b[0m',
  '\u202egpj.exe',
  'zero\u200ewidth\u2066x\u2069',
  '{label="x"} 1',
  'über-ñ-漢字-🚀',
  '%s%n$(reboot)`x`',
  "'; drop table processes; --",
  'a|b|c',
  '-rf',
  'x'.repeat(200),
];
const octal = (path: string): string =>
  path.replace(/[ \t\n\\#]/g, (mark) => `\\${mark.charCodeAt(0).toString(8).padStart(3, '0')}`);
const file = (name: string): string => name.replaceAll('/', '_');

const everywhere = (text: (path: string, plain: string) => string): Record<string, string> =>
  Object.fromEntries(Object.entries({ ...PLAIN, ...V2, ...link('eth0') }).map(([path, plain]) => [path, text(path, plain)]));
const without = (...paths: string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(PLAIN).filter(([path]) => !paths.includes(path)));

/** The same each time, and nothing that anybody wrote. */
function noise(seed: number, length: number): string {
  let state = seed;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return String.fromCharCode(state >>> 24);
  }).join('');
}

const PSI = ['system.psi.'];

export const MACHINES: readonly Machine[] = [
  { name: 'an ordinary one', files: PLAIN },
  { name: 'control groups v1, two controllers in one hierarchy', files: { ...PLAIN, ...V1 } },
  { name: 'control groups v2', files: { ...PLAIN, ...V2 } },
  {
    name: 'control groups, hybrid',
    files: { ...PLAIN, ...V1, '/sys/fs/cgroup/unified/cgroup.controllers': '', '/sys/fs/cgroup/unified/web/cgroup.procs': '1\n' },
  },
  {
    name: 'control groups whose files are empty',
    files: { ...PLAIN, ...Object.fromEntries(Object.keys(V2).map((path) => [path, ''])) },
    unknown: ['container.'],
  },
  {
    name: 'a container: more available than there is, overlay with long options, no /sys, no pressure',
    files: {
      ...without('/proc/pressure/cpu', '/proc/pressure/memory', '/proc/pressure/io'),
      '/proc/meminfo': meminfo(1_000_000, 4_050_000),
      '/proc/self/mounts': `overlay / overlay rw,lowerdir=${'/var/lib/layers/a:'.repeat(400)}x,upperdir=/u 0 0\ntmpfs /dev/shm tmpfs rw 0 0\nshm /ro tmpfs ro 0 0\n`,
    },
    unknown: PSI,
  },
  {
    name: 'a container that may read nothing of the host',
    files: { '/proc/self/mounts': 'overlay / overlay rw 0 0\n', ...process(1, 'sh') },
    unknown: [
      'system.cpu.',
      'system.load.',
      'system.memory.',
      'system.swap.',
      'system.network.',
      'system.uptime',
      'system.disk.',
      ...PSI,
    ],
  },
  {
    name: 'RAID: arrays over disks, one degraded; diskstats of 11, 15, 17 and 20 counters',
    files: {
      ...PLAIN,
      '/proc/diskstats':
        disk('sda', 10, 11) +
        disk('sdb', 20, 15) +
        disk('nvme0n1', 30, 17) +
        disk('vda', 40, 20) +
        disk('md0', 50) +
        disk('sdc', 5, 4) +
        disk('loop0', 1),
      '/proc/mdstat':
        'Personalities : [raid1] [raid6]\nmd0 : active raid1 sdb1[1](F) sda1[0]\n      1 blocks [2/1] [U_]\n      [==>..]  recovery = 12.6%\nmd1 : active raid1 sdc1[0] sdd1[1]\n      1 blocks [2/2] [UU]\n',
    },
  },
  {
    name: 'VLAN, bond, alias and no blank after the colon',
    files: {
      ...PLAIN,
      '/proc/net/dev': `${NET_HEAD}${net('eth0', 10, 5)}${net('eth0.100', 4, 2)}${net(' bond0', 20, 10)}${net('eth0:1', 1, 1)}cut: 1 2\n`,
      ...link('eth0'),
      ...link('eth0.100', { speed: '-1' }),
      ...link('bond0', { operstate: 'lowerlayerdown', 'statistics/rx_bytes': '' }),
      '/sys/class/net/bonding_masters': 'bond0\n',
      '/proc/sys/net/ipv4/conf/eth0.100/rp_filter': '2\n',
    },
  },
  {
    name: 'counters that fall',
    files: PLAIN,
    later: {
      '/proc/stat': stat('1150 10 500 8900 90 5 5 0 0 0'),
      '/proc/diskstats': disk('sda', 10),
      '/proc/net/dev': NET_HEAD + net('eth0', 1, 1),
      '/proc/vmstat': 'pgmajfault 0\noom_kill 0\npswpin 0\npswpout 0\n',
      ...process(1, 'init', 'S', 1),
    },
  },
  {
    name: 'steal that falls, and counters that wrap',
    files: { ...PLAIN, '/proc/stat': stat('1000 10 500 9000 100 5 5 700 0 0'), '/proc/diskstats': disk('sda', 4_294_967_290) },
    later: { '/proc/stat': stat('1010 10 510 9050 100 5 5 100 0 0'), '/proc/diskstats': disk('sda', 3) },
  },
  {
    name: 'counters beyond 2^53, and at the end of 64 bits',
    files: {
      ...PLAIN,
      '/proc/stat': stat('18446744073709551615 10 500 9000 100 5 5 0'),
      '/proc/net/dev': NET_HEAD + net('eth0', '18446744073709551615', '9007199254740993'),
      '/proc/sys/fs/file-nr': '322\t0\t9223372036854775807\n',
    },
    later: { '/proc/stat': stat('100 10 500 9000 100 5 5 0') },
  },
  {
    name: 'devices that are plugged out and in',
    files: { ...PLAIN, '/proc/diskstats': disk('sda', 100) + disk('sdb', 7), ...link('usb0') },
    later: {
      '/proc/diskstats': disk('sda', 110) + disk('sdc', 900),
      '/proc/net/dev': NET_HEAD + net('eth0', 1_010, 505) + net('wlan0', 5_000_000, 1),
      '/proc/1/stat': undefined,
      '/proc/pressure/io': undefined,
      ...process(77, 'new'),
    },
  },
  {
    name: 'everything vanishes',
    files: { ...PLAIN, ...V2 },
    later: Object.fromEntries(Object.keys({ ...PLAIN, ...V2 }).map((path) => [path, undefined])),
  },
  { name: 'nothing at all', files: {}, unknown: ['system.', 'hw.'] },
  { name: 'every file is empty', files: everywhere(() => ''), unknown: ['system.', 'hw.'] },
  { name: 'every file is a line end', files: everywhere(() => '\n'), unknown: ['system.', 'hw.'] },
  { name: 'every file is cut in the middle', files: everywhere((_, plain) => plain.slice(0, Math.floor(plain.length / 2))) },
  { name: 'every file ends after its first line', files: everywhere((_, plain) => plain.split('\n', 1)[0] ?? '') },
  { name: 'every file has no numbers', files: everywhere((_, plain) => plain.replace(/\d+/g, 'x')) },
  { name: 'every number is negative', files: everywhere((_, plain) => plain.replace(/\b\d+\b/g, '-1')) },
  { name: 'every file is noise', files: everywhere((path, plain) => noise(path.length, plain.length + 200)) },
  {
    name: 'a thousand mounts, with everything in their names',
    files: {
      ...PLAIN,
      '/proc/self/mounts': [
        ...ODD_NAMES.map((name, i) => `/dev/odd${i} /mnt/${octal(file(name))} ext4 rw 0 0`),
        ...Array.from({ length: 1_000 }, (_, i) => `/dev/vg/lv${i} /srv/volume${i} ext4 rw,noatime 0 0`),
        ...Array.from({ length: 200 }, (_, i) => `server:/export${i} /net/${i} nfs4 rw,hard 0 0`),
        'short',
        'x /y ext4',
      ].join('\n'),
    },
  },
  {
    name: 'names with blanks, newlines, markup, control and bidirectional characters',
    files: {
      ...PLAIN,
      ...V2,
      ...Object.assign({}, ...ODD_NAMES.map((name, i) => process(100 + i, name))),
      ...Object.fromEntries(ODD_NAMES.map((name) => [`/sys/fs/cgroup/${file(name)}/memory.current`, '4096\n'])),
      ...Object.fromEntries(ODD_NAMES.map((name) => [`/etc/cron.d/${file(name)}`, `* * * * * root echo ${name}\n`])),
      ...Object.fromEntries(ODD_NAMES.map((name) => [`/srv/${file(name)}`, name])),
      '/etc/passwd': ODD_NAMES.map((name, i) => `${name}:x:${i}:${i}:${name}:/:${name}\n`).join(''),
      '/etc/group': ODD_NAMES.map((name, i) => `${name}:x:${i}:${name}\n`).join(''),
      '/etc/hosts': ODD_NAMES.map((name) => `192.0.2.1 ${name}\n`).join(''),
      '/etc/os-release': ODD_NAMES.map((name) => `NAME="${name}"\n`).join(''),
      '/var/lib/dpkg/status': ODD_NAMES.map((name) => `Package: ${name}\nVersion: ${name}\n\n`).join(''),
    },
  },
  {
    name: 'a kernel of long ago: four figures of CPU, no MemAvailable, no pressure',
    files: {
      ...without('/proc/pressure/cpu', '/proc/pressure/memory', '/proc/pressure/io', '/proc/vmstat'),
      '/proc/stat': stat('1000 10 500 9000'),
      '/proc/meminfo': meminfo(8_000_000, undefined),
      '/proc/diskstats': disk('sda', 100, 11),
    },
    later: { '/proc/stat': stat('1010 10 510 9080') },
    unknown: [...PSI, 'system.memory.utilization', 'system.memory.available'],
  },
  {
    name: 'a large one: 512 CPUs, 300 disks, 2,000 interrupts',
    files: {
      ...PLAIN,
      '/proc/stat': `${stat('1000 10 500 9000 100 5 5 0 0 0')}${Array.from({ length: 512 }, (_, i) => `cpu${i} 1 2 3 4 5 6 7 8 9 10\n`).join('')}intr ${'9 '.repeat(20_000)}\n`,
      '/proc/diskstats': Array.from({ length: 300 }, (_, i) => disk(`nvme${i}n1`, i)).join(''),
      '/proc/net/dev': NET_HEAD + Array.from({ length: 200 }, (_, i) => net(`veth${i}`, i, i)).join(''),
    },
  },
  {
    name: 'a laptop: below zero, on battery',
    files: {
      ...PLAIN,
      '/sys/class/thermal/thermal_zone0/temp': '-5000\n',
      '/sys/class/power_supply/AC/online': '0\n',
      '/sys/class/power_supply/BAT0/capacity': '87\n',
    },
  },
  {
    name: 'a small one: BusyBox, what its files look like',
    files: {
      ...PLAIN,
      '/etc/passwd': '# made by hand\nroot:x:0:0:root:/root:/bin/ash\n\n+::::::\n',
      '/etc/os-release': 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.1\nPRETTY_NAME=\'Alpine\'\n',
      '/var/spool/cron/crontabs/root': '# do daily\n0 2 * * * run-parts /etc/periodic/daily\n@reboot echo % up\n',
      '/etc/resolv.conf': '; generated\nsearch lan\nnameserver fe80::1%eth0\n',
    },
  },
  {
    name: 'more free than there is, everywhere',
    files: {
      ...PLAIN,
      '/proc/meminfo': 'MemTotal: 100 kB\nMemAvailable: 900 kB\nSwapTotal: 10 kB\nSwapFree: 90 kB\n',
      '/proc/sys/fs/file-nr': '500\t0\t100\n',
      '/proc/sys/net/netfilter/nf_conntrack_count': '900\n',
      '/proc/sys/net/netfilter/nf_conntrack_max': '100\n',
      '/proc/sys/net/ipv4/ip_local_port_range': '60999\t32768\n',
    },
  },
];
