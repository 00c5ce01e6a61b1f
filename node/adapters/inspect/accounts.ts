// Who may use the machine, who does, and what runs by itself: accounts, sessions, cron, systemd units, packages.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { lines, list, number, type Reader, type Row, read } from './read.ts';

const SYSTEMCTL_MS = 4_000;
const MAX_UNITS_BYTES = 16 * 1024 * 1024;

export const users: Reader = () =>
  lines('/etc/passwd').map((one) => {
    const [username, , uid, gid, description, directory, shell] = one.split(':');
    const signed = (text: string | undefined): number => (number(text) ?? 0) | 0;
    return {
      uid: number(uid),
      gid: number(gid),
      uid_signed: signed(uid),
      gid_signed: signed(gid),
      username,
      description,
      directory,
      shell,
      uuid: '',
    };
  });

export const groups: Reader = () =>
  lines('/etc/group').map((one) => {
    const [groupname, , gid] = one.split(':');
    return { gid: number(gid), gid_signed: (number(gid) ?? 0) | 0, groupname };
  });

export const userGroups: Reader = () => {
  const members = lines('/etc/group').map((one) => one.split(':'));
  return lines('/etc/passwd').flatMap((one) => {
    const [username = '', , uid, gid] = one.split(':');
    const others = members.filter(([, , , names]) => names?.split(',').includes(username)).map(([, , other]) => other);
    return [...new Set([gid, ...others])].map((each) => ({ uid: number(uid), gid: number(each) }));
  });
};

/** utmp(5), as on every 64-bit machine of today: records of 384 bytes. */
const UTMP = { size: 384, pid: 4, line: 8, user: 44, host: 76, seconds: 340 } as const;
const UTMP_TYPES = ['empty', 'runlevel', 'boot_time', 'new_time', 'old_time', 'init', 'login', 'user', 'dead'];

export const loggedInUsers: Reader = () => {
  let bytes: Buffer;
  try {
    bytes = readFileSync('/var/run/utmp');
  } catch {
    return []; // nobody writes it here
  }
  const rows: Row[] = [];
  for (let at = 0; at + UTMP.size <= bytes.length; at += UTMP.size) {
    const text = (offset: number, length: number): string =>
      bytes.toString('utf8', at + offset, at + offset + length).replace(/\0.*$/s, '');
    const type = UTMP_TYPES[bytes.readInt16LE(at)] ?? 'unknown';
    if (type === 'empty') continue;
    rows.push({
      type,
      user: text(UTMP.user, 32),
      tty: text(UTMP.line, 32),
      host: text(UTMP.host, 256),
      time: bytes.readInt32LE(at + UTMP.seconds),
      pid: bytes.readInt32LE(at + UTMP.pid),
    });
  }
  return rows;
};

/** Tables of the system name a user in each line, those of users do not. */
function cronTable(path: string, isSystem: boolean): Row[] {
  return lines(path).flatMap((one): Row[] => {
    const text = one.trim();
    if (text.startsWith('#') || /^\w+\s*=/.test(text)) return [];
    const words = text.split(/\s+/);
    const isEvent = words[0]?.startsWith('@') === true;
    const [minute = '', hour = '', day = '', month = '', weekday = ''] = isEvent ? [] : words;
    const rest = words.slice((isEvent ? 1 : 5) + (isSystem ? 1 : 0)).join(' ');
    if (rest === '') return [];
    return [
      { event: isEvent ? words[0] : '', minute, hour, day_of_month: day, month, day_of_week: weekday, command: rest, path },
    ];
  });
}

export const crontab: Reader = () => [
  ...cronTable('/etc/crontab', true),
  ...list('/etc/cron.d').flatMap((name) => cronTable(`/etc/cron.d/${name}`, true)),
  ...list('/var/spool/cron/crontabs').flatMap((name) => cronTable(`/var/spool/cron/crontabs/${name}`, false)),
];

interface Unit {
  unit: string;
  description: string;
  load: string;
  active: string;
  sub: string;
}

/** None where systemd does not run. */
export const systemdUnits: Reader = async () => {
  const text = await new Promise<string>((resolve) => {
    const options = { timeout: SYSTEMCTL_MS, maxBuffer: MAX_UNITS_BYTES };
    execFile('systemctl', ['list-units', '--all', '--no-pager', '-o', 'json'], options, (_error, out) => resolve(out));
  });
  let units: Unit[];
  try {
    units = JSON.parse(text) as Unit[];
  } catch {
    return [];
  }
  return units.map(({ unit, description, load, active, sub }) => ({
    id: unit,
    description,
    load_state: load,
    active_state: active,
    sub_state: sub,
  }));
};

export const debPackages: Reader = () =>
  (read('/var/lib/dpkg/status') ?? '').split('\n\n').flatMap((paragraph): Row[] => {
    const field = (name: string): string => paragraph.match(new RegExp(`^${name}: (.*)$`, 'm'))?.[1] ?? '';
    const name = field('Package');
    if (name === '') return [];
    const version = field('Version');
    return [
      {
        name,
        version,
        source: field('Source'),
        size: number(field('Installed-Size')),
        arch: field('Architecture'),
        revision: version.includes('-') ? version.split('-').at(-1) : '',
        status: field('Status'),
        maintainer: field('Maintainer'),
        section: field('Section'),
        priority: field('Priority'),
      },
    ];
  });
