// Tables of accounts, sessions, cron jobs, systemd units and packages.
import { execFile } from 'node:child_process';
import { readRegular } from '../regular-file.ts';
import { below, list, number, type Reader, type Row, read, written } from './read.ts';

const SYSTEMCTL_MS = 4_000;
const MAX_UNITS_BYTES = 16 * 1024 * 1024;

/**
 * The entries of passwd(5) and group(5): without comments and lines for NIS (`+`, `-name`).
 * @param ids the positions of fields that must be numbers.
 */
function entries(path: string, ids: readonly number[]): string[][] {
  return written(path)
    .filter((one) => !/^[+-]/.test(one))
    .map((one) => one.split(':'))
    .filter((fields) => fields[0] !== '' && ids.every((at) => /^\d+$/.test(fields[at] ?? '')));
}

const signed = (text: string | undefined): number => Number(text) | 0;

export const users: Reader = () =>
  entries('/etc/passwd', [2, 3]).map(([username, , uid, gid, description = '', directory = '', shell = '']) => ({
    uid: number(uid),
    gid: number(gid),
    uid_signed: signed(uid),
    gid_signed: signed(gid),
    username,
    description,
    directory,
    shell,
    uuid: '',
  }));

export const groups: Reader = () =>
  entries('/etc/group', [2]).map(([groupname, , gid]) => ({ gid: number(gid), gid_signed: signed(gid), groupname }));

export const userGroups: Reader = () => {
  const members = entries('/etc/group', [2]).map(([, , gid, names = '']) => ({ gid, names: names.split(',') }));
  return entries('/etc/passwd', [2, 3]).flatMap(([username = '', , uid, gid]) => {
    const others = members.filter(({ names }) => names.includes(username)).map((group) => group.gid);
    return [...new Set([gid, ...others])].map((each) => ({ uid: number(uid), gid: number(each) }));
  });
};

/** utmp(5), as on every 64-bit machine of today: records of 384 bytes. */
const UTMP = { size: 384, pid: 4, line: 8, user: 44, host: 76, seconds: 340 } as const;
const UTMP_TYPES = ['empty', 'runlevel', 'boot_time', 'new_time', 'old_time', 'init', 'login', 'user', 'dead'];

export const loggedInUsers: Reader = () => {
  let bytes: Buffer;
  try {
    bytes = readRegular(below('/var/run/utmp'));
  } catch {
    return []; // this machine has none
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

/** crontab(5): a name, perhaps quoted, and its value. */
const SETS = /^(["']?)\w+\1\s*=/;
const EVENT = /^(@\w+)\s+(.*)$/;
/** Five fields; cronie accepts a dash before them, for no output. */
const TIMES = /^-?(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(.*)$/;
const USER = /^\S+\s+(.*)$/;

/** System tables have a user in each line, tables of users do not. The command is unchanged, with its `%`. */
function cronTable(path: string, isSystem: boolean): Row[] {
  return written(path).flatMap((text): Row[] => {
    if (SETS.test(text)) return [];
    const event = text.match(EVENT);
    const [minute = '', hour = '', day = '', month = '', weekday = '', rest = ''] =
      event === null ? (text.match(TIMES)?.slice(1) ?? []) : ['', '', '', '', '', event[2] ?? ''];
    const command = isSystem ? (rest.match(USER)?.[1] ?? '') : rest;
    if (command === '') return [];
    return [{ event: event?.[1] ?? '', minute, hour, day_of_month: day, month, day_of_week: weekday, command, path }];
  });
}

/** Files that cron ignores: hidden files, and files left by editors and packages. */
const LEFT_OVER = /^[.#]|~$|\.(rpmnew|rpmsave|rpmorig|dpkg-\w+|bak|disabled)$/;
/** Directories of users' tables, by distribution. */
const SPOOLS = ['/var/spool/cron/crontabs', '/var/spool/cron/tabs', '/var/spool/cron'];

export const crontab: Reader = () => {
  const tables = (directory: string, isSystem: boolean): Row[] =>
    list(directory)
      .filter((name) => !LEFT_OVER.test(name))
      .flatMap((name) => cronTable(`${directory}/${name}`, isSystem));
  return [
    ...cronTable('/etc/crontab', true),
    ...tables('/etc/cron.d', true),
    ...SPOOLS.flatMap((directory) => tables(directory, false)),
  ];
};

interface Unit {
  unit: string;
  description: string;
  load: string;
  active: string;
  sub: string;
}

/** Empty if systemd does not run. */
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

/** deb822(5): paragraphs of fields with case-insensitive names; continuation lines are indented. */
function paragraphs(text: string): Map<string, string>[] {
  return text.split(/\n[ \t]*\n/).map((paragraph) => {
    const fields = new Map<string, string>();
    for (const one of paragraph.split('\n')) {
      const at = /^[ \t#]/.test(one) ? -1 : one.indexOf(':');
      if (at > 0) fields.set(one.slice(0, at).toLowerCase(), one.slice(at + 1).trim());
    }
    return fields;
  });
}

export const debPackages: Reader = () =>
  paragraphs(read('/var/lib/dpkg/status') ?? '').flatMap((fields): Row[] => {
    const of = (name: string): string => fields.get(name) ?? '';
    const version = of('version');
    if (of('package') === '') return [];
    return [
      {
        name: of('package'),
        version,
        source: of('source'),
        size: number(of('installed-size')),
        arch: of('architecture'),
        revision: version.includes('-') ? version.split('-').at(-1) : '',
        status: of('status'),
        maintainer: of('maintainer'),
        section: of('section'),
        priority: of('priority'),
      },
    ];
  });
