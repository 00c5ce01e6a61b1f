// Tables of the machine, with osquery's names and columns where osquery has them. They are read on request.
import { processCpu } from '../../telemetry/metrics.ts';
import { columns, inspected, type Row, type Table, type TableSources, withNode } from './table.ts';

/** Columns that come from the agent's newest sample: they need no read. */
const SAMPLED = new Set(['node', 'pid', 'name', 'parent', 'state', 'threads', 'resident_size', 'cpu']);

function sampled({ machine }: TableSources): Row[] {
  const { sample, previous } = machine.lastSample();
  return (sample?.processes ?? []).map((process) => ({
    pid: process.pid,
    name: process.name,
    parent: process.parent,
    state: process.state,
    threads: process.threads,
    resident_size: process.rssBytes,
    cpu: sample && processCpu(process, sample, previous),
  }));
}

const processes: Table = {
  name: 'processes',
  scope: 'machine',
  description: 'Every process of the machine',
  columns: columns(`
    node TEXT machine of this row
    pid INTEGER process id
    name TEXT name in the kernel
    path TEXT path of the program
    cmdline TEXT arguments, separated by blanks
    state TEXT R running, S asleep, D in disk sleep, T stopped, Z zombie
    cwd TEXT working directory
    root TEXT root directory
    uid INTEGER user id
    gid INTEGER group id
    euid INTEGER effective user id
    egid INTEGER effective group id
    suid INTEGER saved user id
    sgid INTEGER saved group id
    on_disk INTEGER 1: its program is on disk; 0: it was deleted or replaced; -1: not known
    wired_size INTEGER always 0, as in osquery on Linux
    resident_size INTEGER bytes of memory in use
    total_size INTEGER bytes of address space
    user_time INTEGER ms of CPU in user space
    system_time INTEGER ms of CPU in the kernel
    disk_bytes_read INTEGER bytes read from disks
    disk_bytes_written INTEGER bytes written to disks
    start_time INTEGER Unix time in s at which it started
    parent INTEGER parent's process id
    pgroup INTEGER process group
    threads INTEGER threads
    nice INTEGER nice value, -20 to 19
    cgroup_path TEXT control group
    cpu REAL CPUs in use over the last second; 1 is one core`),
  examples: [
    'select node, pid, name, cpu from processes order by cpu desc limit 10',
    'select node, pid, name, path from processes where on_disk = 0',
    "select node, name, count(*) from processes where state = 'Z' group by node, name",
  ],
  isGuarded: (wanted) => !wanted.every((name) => SAMPLED.has(name)),
  rows: async (sources, wanted, where) => {
    const quick = sampled(sources);
    if (wanted.every((name) => SAMPLED.has(name))) return withNode(sources, quick);
    const cpu = new Map(quick.map((row) => [row.pid, row.cpu]));
    const rows = await sources.inspect('process_details', where);
    return withNode(
      sources,
      rows.map((row) => ({ ...row, cpu: cpu.get(row.pid) })),
    );
  },
};

const ofProcesses: readonly Table[] = [
  processes,
  inspected(
    'process_open_sockets',
    'Open sockets of processes, in all network namespaces',
    `pid INTEGER process id
    fd INTEGER file descriptor
    socket INTEGER socket's inode
    family INTEGER 2 IPv4, 10 IPv6, 1 Unix
    protocol INTEGER 6 TCP, 17 UDP, 0 none
    local_address TEXT local address
    remote_address TEXT remote address
    local_port INTEGER local port
    remote_port INTEGER remote port
    path TEXT path of a Unix socket
    state TEXT state of a TCP connection
    net_namespace TEXT inode of the network namespace`,
    ["select node, pid, remote_address, remote_port from process_open_sockets where state = 'ESTABLISHED'"],
  ),
  inspected(
    'process_open_files',
    'Open files of processes',
    `pid INTEGER process id
    fd INTEGER file descriptor
    path TEXT path; ends in "(deleted)" if the file was deleted`,
    ["select node, pid, path from process_open_files where path like '%(deleted)'"],
  ),
  inspected(
    'listening_ports',
    'Listening TCP, UDP and Unix sockets',
    `pid INTEGER process id
    port INTEGER port
    protocol INTEGER 6 TCP, 17 UDP
    family INTEGER 2 IPv4, 10 IPv6, 1 Unix
    address TEXT address that it is bound to
    fd INTEGER file descriptor
    socket INTEGER socket's inode
    path TEXT path of a Unix socket
    net_namespace TEXT inode of the network namespace`,
    ["select l.node, l.port, p.name from listening_ports l join processes p using (node, pid) where l.address = '0.0.0.0'"],
  ),
  inspected(
    'cgroups',
    'Control groups and their resource usage',
    `path TEXT path below the root
    memory INTEGER bytes in use
    memory_limit INTEGER bytes that it may use; NULL without a limit
    processes INTEGER processes directly in it
    cpu_usage_us INTEGER CPU time since it was created, in microseconds
    throttled_periods INTEGER periods in which it was throttled
    oom_kills INTEGER processes killed by the OOM killer`,
    ['select node, path, memory from cgroups order by memory desc limit 10'],
  ),
];

const ofSystem: readonly Table[] = [
  inspected(
    'memory_info',
    'Main memory, in bytes',
    `memory_total INTEGER total memory
    memory_free INTEGER unused memory
    memory_available INTEGER available without swapping
    buffers INTEGER buffers of block devices
    cached INTEGER page cache
    swap_cached INTEGER swapped out once, and in memory again
    active INTEGER used recently
    inactive INTEGER not used recently
    swap_total INTEGER swap
    swap_free INTEGER free swap`,
    ['select node, memory_available * 100 / memory_total as percent from memory_info order by percent'],
  ),
  inspected(
    'cpu_time',
    'CPU time by state since boot, in hundredths of a second',
    `core INTEGER number of the CPU
    user INTEGER in user space
    nice INTEGER in user space, niced
    system INTEGER in the kernel
    idle INTEGER idle
    iowait INTEGER idle, with I/O pending
    irq INTEGER interrupts
    softirq INTEGER soft interrupts
    steal INTEGER used by other guests of the hypervisor
    guest INTEGER running virtual CPUs
    guest_nice INTEGER running virtual CPUs, niced`,
    ['select node, core, steal from cpu_time where steal > 0'],
  ),
  inspected(
    'load_average',
    'Load averages',
    `period TEXT 1m, 5m or 15m
    average TEXT the average; a text, as in osquery`,
    ["select node, average from load_average where period = '1m' order by cast(average as real) desc"],
  ),
  inspected(
    'mounts',
    'Mounted file systems',
    `device TEXT device
    device_alias TEXT same as device
    path TEXT mount point
    type TEXT file system
    blocks_size INTEGER bytes of a block
    blocks INTEGER blocks
    blocks_free INTEGER free blocks
    blocks_available INTEGER free blocks for users other than root
    inodes INTEGER inodes
    inodes_free INTEGER free inodes
    flags TEXT options
    size INTEGER bytes
    available INTEGER free bytes for users other than root`,
    [
      "select node, path, available * 100 / size as percent from mounts where size > 0 and type not in ('tmpfs', 'overlay') order by percent",
    ],
  ),
  inspected(
    'block_devices',
    'Disks and partitions',
    `name TEXT device
    parent TEXT the disk of a partition
    vendor TEXT manufacturer
    model TEXT model
    size INTEGER sectors of 512 bytes
    size_bytes INTEGER bytes
    block_size INTEGER bytes of a block
    rotational INTEGER 1: a rotating disk
    type TEXT disk or partition`,
    ["select node, name, size_bytes from block_devices where type = 'disk'"],
  ),
  inspected(
    'kernel_modules',
    'Loaded kernel modules',
    `name TEXT name
    size INTEGER bytes
    used_by TEXT modules that need it
    status TEXT Live, Loading or Unloading
    address TEXT address in memory; zeros if hidden`,
    ["select node, name, size from kernel_modules where name like 'nf%'"],
  ),
  inspected(
    'kernel_info',
    'The running kernel',
    `version TEXT release
    arguments TEXT command line
    path TEXT image
    device TEXT root device`,
    ['select version, count(*) as machines from kernel_info group by version'],
  ),
  inspected(
    'os_version',
    'The distribution',
    `name TEXT name
    version TEXT version
    major INTEGER major version
    minor INTEGER minor version
    patch INTEGER patch
    build TEXT build
    platform TEXT such as debian
    platform_like TEXT parent distributions
    codename TEXT code name
    arch TEXT as in uname -m`,
    ['select platform, version, count(*) from os_version group by platform, version'],
  ),
  inspected(
    'system_info',
    'The hardware',
    `hostname TEXT host name
    uuid TEXT UUID of the machine, if readable
    cpu_type TEXT architecture
    cpu_subtype TEXT empty on Linux
    cpu_brand TEXT model of the processor
    cpu_physical_cores INTEGER cores
    cpu_logical_cores INTEGER CPUs
    cpu_sockets INTEGER processors
    cpu_microcode TEXT version of the microcode
    physical_memory INTEGER bytes
    hardware_vendor TEXT manufacturer
    hardware_model TEXT model
    hardware_version TEXT version
    hardware_serial TEXT serial number, if readable
    board_vendor TEXT manufacturer of the board
    board_model TEXT model of the board
    board_version TEXT version of the board
    board_serial TEXT serial number of the board
    computer_name TEXT host name
    local_hostname TEXT host name`,
    ['select node, cpu_brand, cpu_logical_cores, physical_memory from system_info'],
  ),
  inspected(
    'uptime',
    'Uptime of the machine',
    `days INTEGER days
    hours INTEGER hours
    minutes INTEGER minutes
    seconds INTEGER seconds
    total_seconds INTEGER total uptime in seconds`,
    ['select node, days, hours from uptime order by total_seconds'],
  ),
  inspected(
    'time',
    'The machine’s clock',
    `weekday TEXT day of the week
    year INTEGER year
    month INTEGER month
    day INTEGER day
    hour INTEGER hour
    minutes INTEGER minutes
    seconds INTEGER seconds
    timezone TEXT always UTC
    local_timezone TEXT time zone of the machine
    unix_time INTEGER Unix time in s
    timestamp TEXT as text
    datetime TEXT ISO 8601
    iso_8601 TEXT ISO 8601`,
    ['select max(unix_time) - min(unix_time) as apart from time'],
  ),
  inspected(
    'psi',
    'Pressure (PSI): the share of time in which tasks waited for a resource',
    `resource TEXT cpu, memory or io
    kind TEXT some: at least one task waited; full: all waited
    avg10 REAL percent over 10 s
    avg60 REAL percent over a minute
    avg300 REAL percent over five minutes
    total_us INTEGER waiting time since boot, in microseconds`,
    ["select node, avg10 from psi where resource = 'memory' and kind = 'some' and avg10 > 20"],
  ),
  inspected(
    'system_controls',
    'Kernel settings under kernel, vm, net and fs',
    `name TEXT such as vm.swappiness
    oid TEXT empty on Linux
    subsystem TEXT the first part of the name
    current_value TEXT value
    config_value TEXT not read
    type TEXT not known
    field_name TEXT not known`,
    ["select node, current_value from system_controls where name = 'vm.swappiness'"],
  ),
];

const ofNetwork: readonly Table[] = [
  inspected(
    'interface_addresses',
    'Addresses of network interfaces',
    `interface TEXT interface
    address TEXT address
    mask TEXT netmask
    broadcast TEXT broadcast address
    point_to_point TEXT not read
    type TEXT loopback or unknown
    friendly_name TEXT interface`,
    ["select node, interface, address from interface_addresses where interface <> 'lo'"],
  ),
  inspected(
    'interface_details',
    'Network interfaces and their traffic',
    `interface TEXT interface
    mac TEXT hardware address
    type INTEGER kind, as in if_arp.h
    mtu INTEGER largest packet
    metric INTEGER always 0
    flags INTEGER flags, as in if.h
    state TEXT up, down or unknown
    ipackets INTEGER packets in
    opackets INTEGER packets out
    ibytes INTEGER bytes in
    obytes INTEGER bytes out
    ierrors INTEGER errors in
    oerrors INTEGER errors out
    idrops INTEGER drops in
    odrops INTEGER drops out
    collisions INTEGER collisions
    last_change INTEGER not known: -1
    link_speed INTEGER Mbit/s
    pci_slot TEXT PCI slot`,
    ['select node, interface, ierrors + oerrors as errors from interface_details where errors > 0'],
  ),
  inspected(
    'routes',
    'Routes',
    `destination TEXT network
    netmask INTEGER bits of its prefix
    gateway TEXT next hop
    source TEXT source
    flags INTEGER flags
    interface TEXT interface
    mtu INTEGER largest packet
    metric INTEGER metric
    type TEXT gateway or local
    hopcount INTEGER always 0`,
    ["select node, gateway, interface from routes where destination = '0.0.0.0'"],
  ),
  inspected(
    'arp_cache',
    'Neighbours on the local network',
    `address TEXT IPv4 address
    mac TEXT hardware address
    interface TEXT interface
    permanent TEXT 1: static entry`,
    ['select node, address, mac from arp_cache'],
  ),
  inspected(
    'etc_hosts',
    '/etc/hosts',
    `address TEXT address
    hostnames TEXT names, separated by blanks`,
    ["select node, address from etc_hosts where hostnames like '%localhost%'"],
  ),
  inspected(
    'etc_services',
    '/etc/services',
    `name TEXT service
    port INTEGER port
    protocol TEXT tcp or udp
    aliases TEXT other names
    comment TEXT not read`,
    ['select name from etc_services where port = 443'],
  ),
  inspected(
    'dns_resolvers',
    '/etc/resolv.conf',
    `id INTEGER position within its type
    type TEXT nameserver, search or options
    address TEXT value
    netmask TEXT not used on Linux
    options INTEGER not used on Linux`,
    ["select node, address from dns_resolvers where type = 'nameserver'"],
  ),
  inspected(
    'docker_containers',
    'Docker containers; empty if Docker does not run',
    `id TEXT id
    name TEXT name
    image TEXT image
    image_id TEXT image's id
    command TEXT command
    created INTEGER Unix time in s
    state TEXT running, exited …
    status TEXT status as text`,
    ["select node, name, image from docker_containers where state = 'running'"],
  ),
];

const ofAccounts: readonly Table[] = [
  inspected(
    'users',
    'Local accounts',
    `uid INTEGER user id
    gid INTEGER group id
    uid_signed INTEGER user id, signed
    gid_signed INTEGER group id, signed
    username TEXT name
    description TEXT description
    directory TEXT home directory
    shell TEXT shell
    uuid TEXT empty on Linux`,
    ["select node, username from users where uid = 0 and username <> 'root'"],
  ),
  inspected(
    'groups',
    'Local groups',
    `gid INTEGER group id
    gid_signed INTEGER group id, signed
    groupname TEXT name`,
    ["select node, gid from groups where groupname = 'docker'"],
  ),
  inspected(
    'user_groups',
    'Group memberships',
    `uid INTEGER user id
    gid INTEGER group id`,
    [
      "select u.username from user_groups g join users u using (node, uid) join groups n on n.node = g.node and n.gid = g.gid where n.groupname = 'sudo'",
    ],
  ),
  inspected(
    'logged_in_users',
    'Sessions, from utmp',
    `type TEXT user, boot_time, dead …
    user TEXT name
    tty TEXT terminal
    host TEXT remote host
    time INTEGER Unix time in s
    pid INTEGER process id`,
    ["select node, user, host, time from logged_in_users where type = 'user'"],
  ),
  inspected(
    'crontab',
    'Lines of crontabs',
    `event TEXT @daily and the like
    minute TEXT minute
    hour TEXT hour
    day_of_month TEXT day of the month
    month TEXT month
    day_of_week TEXT day of the week
    command TEXT command
    path TEXT file`,
    ['select node, path, command from crontab'],
  ),
  inspected(
    'systemd_units',
    'systemd units; empty if systemd does not run',
    `id TEXT unit
    description TEXT description
    load_state TEXT loaded, not-found …
    active_state TEXT active, failed …
    sub_state TEXT running, dead …`,
    ["select node, id from systemd_units where active_state = 'failed'"],
  ),
  inspected(
    'deb_packages',
    'Debian packages',
    `name TEXT package
    version TEXT version
    source TEXT source package
    size INTEGER KiB when installed
    arch TEXT architecture
    revision TEXT Debian's revision
    status TEXT such as install ok installed
    maintainer TEXT maintainer
    section TEXT section
    priority TEXT priority`,
    ["select version, group_concat(node) from deb_packages where name = 'openssl' group by version"],
  ),
  inspected(
    'file',
    'Files by path or directory: with =, LIKE (% within one directory, %% below it too), or JOIN',
    `path TEXT path
    directory TEXT directory
    filename TEXT name
    inode INTEGER inode
    uid INTEGER owner
    gid INTEGER group
    mode TEXT permissions, octal
    device INTEGER device number of a device file
    size INTEGER bytes
    block_size INTEGER bytes of a block
    atime INTEGER last read, Unix time in s
    mtime INTEGER last written, Unix time in s
    ctime INTEGER last changed, Unix time in s
    btime INTEGER created, Unix time in s
    hard_links INTEGER number of hard links
    symlink INTEGER 1: a symbolic link
    symlink_target_path TEXT target of the link
    type TEXT regular, directory, symlink …`,
    [
      "select node, path, mode from file where directory = '/etc/ssh'",
      "select node, path, size from file where path like '/var/log/%.log'",
    ],
    ['path', 'directory'],
  ),
  inspected(
    'hash',
    'Digests of files by path or directory: with =, LIKE, or JOIN',
    `path TEXT path
    directory TEXT directory
    md5 TEXT MD5
    sha1 TEXT SHA-1
    sha256 TEXT SHA-256`,
    [
      "select sha256, group_concat(node) from hash where path = '/etc/ssh/sshd_config' group by sha256",
      "select f.node, path, sha256 from file f join hash h using (node, path) where path like '/etc/cron.d/%'",
    ],
    ['path', 'directory'],
  ),
  inspected(
    'certificates',
    'Certificates in PEM files: of a path, a directory, or /etc/ssl/certs',
    `common_name TEXT subject's common name
    subject TEXT subject
    issuer TEXT issuer
    ca INTEGER 1: CA certificate
    self_signed INTEGER 1: self-signed
    not_valid_before INTEGER Unix time in s
    not_valid_after INTEGER Unix time in s
    key_algorithm TEXT rsa, ec, ed25519 …
    serial TEXT serial number
    sha1 TEXT SHA-1
    sha256 TEXT SHA-256
    path TEXT file
    directory TEXT directory`,
    ["select node, common_name, not_valid_after from certificates where not_valid_after < strftime('%s', 'now') + 30 * 86400"],
  ),
];

/** Columns or tables that an ordinary user of a machine cannot see of other users. */
const PRIVATE: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    processes: ['path', 'cmdline', 'cwd', 'root', 'on_disk', 'disk_bytes_read', 'disk_bytes_written'],
    listening_ports: ['pid', 'fd'],
    system_info: ['hardware_serial', 'board_serial'],
    process_open_sockets: [],
    process_open_files: [],
    docker_containers: [],
    system_controls: [],
    crontab: [],
    file: [],
    hash: [],
    certificates: [],
  }),
);

export const LINUX_TABLES: readonly Table[] = [...ofProcesses, ...ofSystem, ...ofNetwork, ...ofAccounts].map((table) => {
  const only = PRIVATE.get(table.name);
  if (only === undefined) return table;
  return { ...table, isPrivate: (wanted) => only.length === 0 || wanted.some((column) => only.includes(column)) };
});
