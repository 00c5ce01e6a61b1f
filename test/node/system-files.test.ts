// Files of the system, in all forms that their manual pages allow, and in some that they do not.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sysctlName } from '../../node/action/tool.ts';
import { READERS } from '../../node/adapters/inspect/inspect.ts';
import { type Row, readBelow } from '../../node/adapters/inspect/read.ts';
import { configSchema } from '../../node/config/config.ts';
import { sysctlKey, sysctlPath } from '../../node/sysctl-key.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kalos-system-'));
  readBelow(root);
});
afterEach(() => {
  readBelow('');
  rmSync(root, { recursive: true });
});

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

async function rows(table: string, where: [string, string[]][] = []): Promise<Row[]> {
  return (await READERS[table]?.(new Map(where))) ?? [];
}
const column = async (table: string, name: string): Promise<unknown[]> => (await rows(table)).map((row) => row[name]);

describe('passwd(5) and group(5)', () => {
  it('have users, and lines that are none', async () => {
    put(
      '/etc/passwd',
      [
        '# a comment',
        'root:x:0:0:root:/root:/bin/sh',
        '',
        '   ',
        '+::::::',
        '+@admins',
        '-nobody::::::',
        ':x:5:5::/:/bin/sh',
        'broken',
        'nonumber:x:a:b::/:',
        'short:x:7:8',
        'nobody:*:4294967294:65534:a, b & c:/nonexistent:',
        '',
      ].join('\n'),
    );
    put('/etc/group', 'root:x:0:\n# comment\n+:::\nwheel:x:10:short,nobody\nodd:x::a\n');
    expect(await rows('users')).toMatchObject([
      { username: 'root', uid: 0, directory: '/root', shell: '/bin/sh' },
      { username: 'short', uid: 7, gid: 8, directory: '', shell: '' },
      { username: 'nobody', uid: 4_294_967_294, uid_signed: -2, description: 'a, b & c' },
    ]);
    expect(await column('groups', 'groupname')).toEqual(['root', 'wheel']);
    expect(await rows('user_groups')).toEqual([
      { uid: 0, gid: 0 },
      { uid: 7, gid: 8 },
      { uid: 7, gid: 10 },
      { uid: 4_294_967_294, gid: 65_534 },
      { uid: 4_294_967_294, gid: 10 },
    ]);
  });

  it('may be missing, or empty', async () => {
    expect(await rows('users')).toEqual([]);
    put('/etc/passwd', '');
    expect(await rows('users')).toEqual([]);
  });
});

describe('crontab(5)', () => {
  it('of the system has a user, of a user has none; and what is set, comments and left-overs are no lines', async () => {
    put(
      '/etc/crontab',
      [
        'SHELL=/bin/sh',
        '  PATH = "/usr/bin:/bin"',
        "'MAILTO'='root'",
        '# 1 2 3 4 5 root comment',
        '\t17 *\t* * *\troot    cd / && run-parts  --report /etc/cron.hourly',
        '-*/15 0-23/2 1,15 jan-mar mon-fri daemon echo "a  b" % stdin',
        '@reboot root /bin/start --once',
        '@daily',
        '1 2 3 4 5 root',
        '1 2 3',
        '',
      ].join('\n'),
    );
    put('/etc/cron.d/job', '0 0 * * 7 root A=b command');
    for (const name of ['.placeholder', 'job~', 'job.rpmsave', 'job.dpkg-old']) put(`/etc/cron.d/${name}`, '0 0 * * * root no');
    put('/var/spool/cron/crontabs/web', '5 4 * * sun echo user\n@weekly backup now\n');
    put('/var/spool/cron/other', '0 1 * * * red hat');
    expect(await rows('crontab')).toMatchObject([
      { minute: '17', hour: '*', command: 'cd / && run-parts  --report /etc/cron.hourly', event: '', path: '/etc/crontab' },
      {
        minute: '*/15',
        hour: '0-23/2',
        day_of_month: '1,15',
        month: 'jan-mar',
        day_of_week: 'mon-fri',
        command: 'echo "a  b" % stdin',
      },
      { event: '@reboot', minute: '', command: '/bin/start --once' },
      { day_of_week: '7', command: 'A=b command' },
      { command: 'echo user', path: '/var/spool/cron/crontabs/web' },
      { event: '@weekly', command: 'backup now' },
      { command: 'red hat', path: '/var/spool/cron/other' },
    ]);
  });
});

describe('os-release(5)', () => {
  it.each<[string, object]>([
    [
      '# comment\nNAME="A \\"quoted\\" \\$name"\nVERSION_ID=\'12.4\'\nID=debian\nBOGUS\nVERSION_CODENAME=book\\ worm\n',
      { name: 'A "quoted" $name', major: 12, minor: 4, patch: undefined, platform: 'debian', codename: 'book worm' },
    ],
    [
      'NAME=Arch\nID=arch\nBUILD_ID=rolling\n',
      { name: 'Arch', major: undefined, minor: undefined, build: 'rolling', version: '' },
    ],
    ['', { name: 'Linux', platform: 'linux', platform_like: 'linux', major: undefined }],
  ])('%j', async (text, row) => {
    put('/etc/os-release', text);
    expect((await rows('os_version'))[0]).toMatchObject(row);
  });

  it('is in /usr/lib where /etc has none', async () => {
    put('/usr/lib/os-release', 'NAME=Other\n');
    expect(await column('os_version', 'name')).toEqual(['Other']);
  });
});

it('resolv.conf(5): comments, scopes, what counts last', async () => {
  put(
    '/etc/resolv.conf',
    [
      '; a comment',
      '#nameserver 192.0.2.9',
      'nameserver 192.0.2.1 # the first',
      'nameserver\tfe80::1%eth0',
      ' nameserver 192.0.2.3',
      'domain old.example',
      'search a.example b.example ; c',
      'options ndots:2 rotate',
      'options edns0',
      'nameserver',
      'sortlist 192.0.2.0/255.255.255.0',
    ].join('\n'),
  );
  expect((await rows('dns_resolvers')).map(({ id, type, address }) => [id, type, address])).toEqual([
    [0, 'nameserver', '192.0.2.1'],
    [1, 'nameserver', 'fe80::1%eth0'],
    [0, 'search', 'a.example'],
    [1, 'search', 'b.example'],
    [0, 'options', 'ndots:2'],
    [1, 'options', 'rotate'],
    [2, 'options', 'edns0'],
  ]);
});

it('hosts(5) and services(5)', async () => {
  put('/etc/hosts', '# c\n127.0.0.1\tlocalhost  lo # mine\n::1%lo ip6\n\n192.0.2.1\n');
  put('/etc/services', 'ssh 22/tcp # x\ndomain\t53/udp nameserver dns\nbad\nworse x/tcp\n');
  expect(await rows('etc_hosts')).toEqual([
    { address: '127.0.0.1', hostnames: 'localhost lo' },
    { address: '::1%lo', hostnames: 'ip6' },
  ]);
  expect((await rows('etc_services')).map(({ name, port, aliases }) => [name, port, aliases])).toEqual([
    ['ssh', 22, ''],
    ['domain', 53, 'nameserver dns'],
  ]);
});

it('the mounts have blanks, backslashes and hashes as octal', async () => {
  put('/proc/self/mounts', `/dev/a\\040b / ext4 rw 0 0\nx /a\\040b\\011c\\134d\\043e tmpfs rw 0 0\nauto /net autofs rw 0 0\n`);
  mkdirSync(join(root, 'a b\tc\\d#e'));
  const found = await rows('mounts');
  expect(found.map(({ device, path, type }) => [device, path, type])).toEqual([
    ['/dev/a b', '/', 'ext4'],
    ['x', '/a b\tc\\d#e', 'tmpfs'],
    ['auto', '/net', 'autofs'],
  ]);
  expect(found.map(({ size }) => typeof size)).toEqual(['number', 'number', 'undefined']);
});

it('dpkg’s status: continuation lines, any case, what is not installed', async () => {
  put(
    '/var/lib/dpkg/status',
    'Package: a\nstatus: install ok installed\nInstalled-Size: 12\nVersion:1:2.0-3\nDescription: x\n Package: not this\n .\n\nPackage: b\nVersion: 1\n \nSection: none\n',
  );
  expect(
    (await rows('deb_packages')).map(({ name, version, revision, size, status }) => [name, version, revision, size, status]),
  ).toEqual([
    ['a', '1:2.0-3', '3', 12, 'install ok installed'],
    ['b', '1', '', undefined, ''],
  ]);
});

it('processes: names with blanks, newlines and parentheses, paths with blanks, what the kernel cut', async () => {
  const rest = `S 1 2 3 0 -1 0 0 0 0 0 7 5 0 0 20 0 3 0 200 4096 2 ${'0 '.repeat(20)}`;
  put('/proc/stat', 'cpu  1 2 3 4\nbtime 1000\n');
  put('/proc/7/stat', `7 (a b) (c\nd) ${rest}`);
  put('/proc/7/status', 'Name:\ta:b\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n');
  put('/proc/7/cmdline', 'a\0b c\0');
  put('/proc/8/stat', '8 (cut) S 1');
  put('/proc/9/stat', 'garbage');
  symlinkSync('/usr/bin/my (deleted) tool (deleted)', join(root, 'proc/7/exe'));
  const found = await rows('process_details');
  expect(found).toMatchObject([
    {
      pid: 7,
      name: 'a b) (c\nd',
      path: '/usr/bin/my (deleted) tool',
      on_disk: 0,
      cmdline: 'a b c',
      uid: 1,
      euid: 2,
      start_time: 1_002,
    },
    { pid: 8, name: 'cut', resident_size: undefined, user_time: undefined, start_time: undefined },
  ]);
  expect(found[0]).toMatchObject({ user_time: 70, system_time: 50, resident_size: 8_192, threads: 3 });
});

it('Unix sockets keep the blanks of their paths', async () => {
  mkdirSync(join(root, 'proc/7/fd'), { recursive: true });
  mkdirSync(join(root, 'proc/7/ns'));
  symlinkSync('socket:[44]', join(root, 'proc/7/fd/3'));
  symlinkSync('net:[1]', join(root, 'proc/7/ns/net'));
  put(
    '/proc/7/net/unix',
    'Num RefCount Protocol Flags Type St Inode Path\n0000: 00000002 00000000 00010000 0001 01    44 /run/a b/c\nrest of a path\n',
  );
  expect(await rows('process_open_sockets')).toMatchObject([{ pid: 7, fd: 3, path: '/run/a b/c', state: 'LISTEN' }]);
});

it('block devices: a partition is of the disk that it lies on, and names have slashes', async () => {
  for (const [at, name] of [
    ['devices/pci0/block/sda', 'sda'],
    ['devices/pci0/block/sdaa', 'sdaa'],
    ['devices/pci0/block/sdaa/sdaa1', 'sdaa1'],
    ['devices/pci0/block/cciss!c0d0', 'cciss!c0d0'],
  ]) {
    put(`/sys/${at}/size`, '8\n');
    mkdirSync(join(root, 'sys/class/block'), { recursive: true });
    symlinkSync(`../../${at}`, join(root, 'sys/class/block', name ?? ''));
  }
  put('/sys/devices/pci0/block/sdaa/sdaa1/partition', '1\n');
  expect((await rows('block_devices')).map(({ name, parent, type }) => [name, parent, type]).sort()).toEqual([
    ['/dev/cciss/c0d0', '', 'disk'],
    ['/dev/sda', '', 'disk'],
    ['/dev/sdaa', '', 'disk'],
    ['/dev/sdaa1', '/dev/sdaa', 'partition'],
  ]);
});

it('interfaces: bonding’s file is none, and a speed that is not known is none', async () => {
  put('/sys/class/net/bonding_masters', 'bond0\n');
  put('/sys/class/net/bond0/ifindex', '3\n');
  put('/sys/class/net/bond0/speed', '-1\n');
  put('/sys/class/net/eth0.100/ifindex', '4\n');
  put('/sys/class/net/eth0.100/speed', '1000\n');
  expect((await rows('interface_details')).map((row) => [row.interface, row.link_speed])).toEqual([
    ['bond0', undefined],
    ['eth0.100', 1_000],
  ]);
});

describe('keys of sysctl(8)', () => {
  it('part at dots, and a slash stands for a dot within a part; a path stays one', () => {
    expect(sysctlPath('net.ipv4.conf.eth0/100.rp_filter')).toBe('net/ipv4/conf/eth0.100/rp_filter');
    expect(sysctlPath('net/ipv4/conf/eth0.100/rp_filter')).toBe('net/ipv4/conf/eth0.100/rp_filter');
    expect(sysctlKey('net/ipv4/conf/eth0.100/rp_filter')).toBe('net.ipv4.conf.eth0/100.rp_filter');
    for (const wrong of ['', '.', 'vm.', '.vm', 'vm..x', 'vm.//.x', 'a./.b', '../x', 'a/../b'])
      expect(sysctlPath(wrong), wrong).toBeUndefined();
  });

  it('are listed, read and declared, also of a VLAN', async () => {
    const key = 'net.ipv4.conf.eth0/100.rp_filter';
    put('/proc/sys/net/ipv4/conf/eth0.100/rp_filter', '2\n');
    put('/proc/sys/vm/swappiness', '60\n');
    expect((await rows('system_controls')).map(({ name, subsystem }) => [name, subsystem])).toEqual([
      ['vm.swappiness', 'vm'],
      [key, 'net'],
    ]);
    for (const name of [key, 'net/ipv4/conf/eth0.100/rp_filter'])
      expect(await rows('system_controls', [['name', [name]]])).toMatchObject([{ name, current_value: '2' }]);
    expect(await rows('system_controls', [['name', ['../../etc/passwd', 'vm..', '/etc/passwd']]])).toEqual([]);
    expect(configSchema.safeParse({ sysctl: [{ key, value: 1 }] }).success).toBe(true);
    // One form only: rules of the actuator are compared with it.
    for (const wrong of ['net/ipv4/conf/eth0.100/rp_filter', 'vm.', 'vm./.x', '-a', 'a b', 'vm.*'])
      expect(sysctlName.safeParse(wrong).success, wrong).toBe(false);
  });
});
