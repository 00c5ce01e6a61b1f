// The tables of accounts: who there is, who is logged in, what runs by itself, and what is installed.
import { chmodSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { machineFiles } from '../support/machine-files.ts';

const { at, put, rows } = machineFiles();
afterEach(() => void vi.unstubAllEnvs());

it('users and groups have whole rows', async () => {
  put('/etc/passwd', 'web:x:4294967295:100:The web:/srv:/bin/sh\nhalf:x:5:bad::/:\nother:x:bad:5::/:\n');
  put('/etc/group', 'web:x:100:\n+nis:x:5:\n');
  expect(await rows('users')).toEqual([
    {
      uid: 4_294_967_295,
      gid: 100,
      uid_signed: -1,
      gid_signed: 100,
      username: 'web',
      description: 'The web',
      directory: '/srv',
      shell: '/bin/sh',
      uuid: '',
    },
  ]);
  expect(await rows('groups')).toEqual([{ gid: 100, gid_signed: 100, groupname: 'web' }]);
});

it('who is logged in is in records of utmp(5), the last of which may be cut', async () => {
  const record = (type: number, pid: number, texts: Record<number, string>, seconds: number): Buffer => {
    const bytes = Buffer.alloc(384);
    bytes.writeInt16LE(type, 0);
    bytes.writeInt32LE(pid, 4);
    for (const [offset, text] of Object.entries(texts)) bytes.write(text, Number(offset));
    bytes.writeInt32LE(seconds, 340);
    return bytes;
  };
  expect(await rows('logged_in_users')).toEqual([]);
  const long = { 8: 't'.repeat(32), 40: 'ts/0', 44: 'u'.repeat(32), 76: 'h'.repeat(256), 332: 'exit' };
  put(
    '/var/run/utmp',
    Buffer.concat([
      record(7, 123, { 8: 'pts/0', 44: 'alice', 76: '192.0.2.1\0rest' }, 1_700_000_000),
      record(0, 5, {}, 0),
      record(2, 0, long, 17),
      record(42, 1, {}, 1),
      Buffer.alloc(383),
    ]),
  );
  expect(await rows('logged_in_users')).toEqual([
    { type: 'user', user: 'alice', tty: 'pts/0', host: '192.0.2.1', time: 1_700_000_000, pid: 123 },
    { type: 'boot_time', user: 'u'.repeat(32), tty: 't'.repeat(32), host: 'h'.repeat(256), time: 17, pid: 0 },
    { type: 'unknown', user: '', tty: '', host: '', time: 1, pid: 1 },
  ]);
});

it.each([
  [1, 'runlevel'],
  [3, 'new_time'],
  [4, 'old_time'],
  [5, 'init'],
  [6, 'login'],
  [8, 'dead'],
])('a record of type %i is of %s', async (type, name) => {
  const bytes = Buffer.alloc(384);
  bytes.writeInt16LE(type, 0);
  put('/var/run/utmp', bytes);
  expect((await rows('logged_in_users')).map((row) => row.type)).toEqual([name]);
});

it('a line of cron has a whole row', async () => {
  put('/etc/crontab', 'MAILTO = a b c d e f g\n1 2 3 4 5 root run me\n@reboot web start\n');
  const times = { minute: '', hour: '', day_of_month: '', month: '', day_of_week: '', path: '/etc/crontab' };
  expect(await rows('crontab')).toEqual([
    { ...times, event: '', minute: '1', hour: '2', day_of_month: '3', month: '4', day_of_week: '5', command: 'run me' },
    { ...times, event: '@reboot', command: 'start' },
  ]);
});

it.each(['#saved#', 'job.rpmnew', 'job.rpmorig', 'job.dpkg-dist', 'job.bak', 'job.disabled', 'job~', '.job'])(
  'what editors and packages leave is no table of cron: %s',
  async (name) => {
    put(`/etc/cron.d/${name}`, '0 0 * * * root no\n');
    put('/var/spool/cron/tabs/web', '0 0 * * * yes\n');
    expect((await rows('crontab')).map(({ command }) => command)).toEqual(['yes']);
  },
);

it('packages have whole rows', async () => {
  put(
    '/var/lib/dpkg/status',
    [
      'Package: web',
      'Status: install ok installed',
      'Priority: optional',
      'Section: net',
      'Installed-Size: 12',
      'Maintainer: A <a@example.org>',
      'Architecture: amd64',
      'Source: web-src (2.0)',
      'Version: 1:2.0-3-4',
      '#Package: none',
      ': nothing',
      '',
      'Status: of nothing',
      '',
    ].join('\n'),
  );
  expect(await rows('deb_packages')).toEqual([
    {
      name: 'web',
      version: '1:2.0-3-4',
      source: 'web-src (2.0)',
      size: 12,
      arch: 'amd64',
      revision: '4',
      status: 'install ok installed',
      maintainer: 'A <a@example.org>',
      section: 'net',
      priority: 'optional',
    },
  ]);
  put('/var/lib/dpkg/status', '');
  expect(await rows('deb_packages')).toEqual([]);
});

describe('units', () => {
  /** A stand-in for systemctl that prints a text, and what it was asked for. */
  const systemctl = (text: string): void => {
    put('/bin/systemctl', `#!/bin/sh\n[ "$*" = "list-units --all --no-pager -o json" ] && printf '%s' '${text}'\n`);
    chmodSync(at('/bin/systemctl'), 0o755);
    vi.stubEnv('PATH', at('/bin'));
  };

  it('are as systemctl lists them, those that are not loaded too', async () => {
    systemctl('[{"unit":"web.service","load":"loaded","active":"active","sub":"running","description":"The web"}]');
    expect(await rows('systemd_units')).toEqual([
      { id: 'web.service', description: 'The web', load_state: 'loaded', active_state: 'active', sub_state: 'running' },
    ]);
  });

  it('are none where systemd does not run', async () => {
    systemctl('');
    expect(await rows('systemd_units')).toEqual([]);
    vi.stubEnv('PATH', at('/nowhere'));
    expect(await rows('systemd_units')).toEqual([]);
  });
});
