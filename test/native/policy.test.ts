// From the side of an agent that was taken over, with a policy that is wide: nothing through which it would become root or cut the machine off;
// single files, and what may only be read; and what the linter says of a policy before it is in force. Nothing outside its directory is touched.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import type { Primitive } from '../../swarm/ports/actuator.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { kalos } from '../support/agents.ts';

const REFUSED = { ok: false, code: 'refused' };
const tests: TestActuator[] = [];
afterEach(async () => {
  for (const test of tests.splice(0)) await test.stop();
});
beforeAll(buildSanitized);

/** `DATA` in the policy is a directory of the test's own. */
async function make(policy: string): Promise<{ test: TestActuator; data: string; client: ActuatorClient }> {
  const test = new TestActuator();
  tests.push(test);
  const data = join(test.directory, 'data');
  mkdirSync(data);
  await test.start({ policy: policy.replaceAll('DATA', data) });
  return { test, data, client: await test.client() };
}

/** Whether it would be done: nothing is. */
const would = (client: ActuatorClient, primitive: Primitive) => client.check([{ do: primitive, undo: undefined }]);
const write = (path: string): Primitive => ['file.replace', path, utf8('evil'), -1];

/** By class: what makes root of who writes it, and what cuts the machine off. */
const MAKES_ROOT = {
  programs: [
    '/usr/local/bin/x',
    '/usr/local/sbin/x',
    '/usr/bin/env',
    '/opt/kalos/x',
    '/usr/libexec/x',
    '/etc/alternatives/editor',
  ],
  loaders: [
    '/etc/ld.so.conf.d/x.conf',
    '/etc/ld.so.preload',
    '/etc/modules-load.d/x.conf',
    '/etc/modprobe.d/x.conf',
    '/etc/binfmt.d/x.conf',
    '/etc/initramfs-tools/hooks/x',
  ],
  accounts: [
    '/etc/passwd',
    '/etc/passwd-',
    '/etc/shadow-',
    '/etc/gshadow-',
    '/etc/group-',
    '/etc/subuid',
    '/etc/nsswitch.conf',
    '/etc/login.defs',
  ],
  sudo: [
    '/etc/sudo.conf',
    '/etc/sudoers',
    '/etc/sudoers.d/x',
    '/etc/sudo_logsrvd.conf',
    '/etc/doas.conf',
    '/etc/polkit-1/rules.d/x.rules',
    '/etc/pam.conf',
    '/etc/pam.d/sshd',
    '/etc/security/limits.conf',
  ],
  units: [
    '/etc/systemd/system/x.service',
    '/run/systemd/system/x.service',
    '/etc/init.d/x',
    '/etc/rc.local',
    '/etc/rc3.d/S01x',
    '/etc/inittab',
    '/etc/udev/rules.d/x.rules',
    '/etc/tmpfiles.d/x.conf',
    '/etc/dbus-1/system.d/x.conf',
  ],
  cron: [
    '/etc/crontab',
    '/etc/cron.d/x',
    '/etc/cron.hourly/x',
    '/etc/anacrontab',
    '/var/spool/cron/crontabs/root',
    '/var/spool/at/x',
    '/etc/logrotate.d/x',
    '/etc/logrotate.conf',
  ],
  profiles: [
    '/etc/profile',
    '/etc/profile.d/x.sh',
    '/etc/bash.bashrc',
    '/etc/environment',
    '/etc/zsh/zshenv',
    '/etc/skel/.bashrc',
    '/etc/default/cron',
    '/etc/update-motd.d/00-x',
    '/etc/bash_completion.d/x',
  ],
  packages: [
    '/etc/apt/apt.conf.d/x',
    '/etc/apt/sources.list',
    '/etc/dpkg/dpkg.cfg.d/x',
    '/var/lib/dpkg/info/x.postinst',
    '/etc/yum.repos.d/x.repo',
    '/etc/needrestart/x',
  ],
  keys: [
    '/root/.ssh/authorized_keys',
    '/root/.bashrc',
    '/home/a/.ssh/authorized_keys',
    '/home/a/.gnupg/x',
    '/home/a/.profile',
    '/home/a/.config/systemd/user/x.service',
    '/root/.config/x',
    '/etc/ssh/sshd_config',
    '/etc/ssl/private/x.key',
    '/usr/local/share/ca-certificates/x.crt',
    '/etc/kalos/kalos.toml',
    '/var/lib/kalos/kalos.toml',
  ],
  reach: [
    '/etc/network/interfaces',
    '/etc/netplan/x.yaml',
    '/etc/NetworkManager/x',
    '/etc/nftables.conf',
    '/etc/ufw/x',
    '/etc/hosts.deny',
    '/etc/fstab',
    '/etc/machine-id',
  ],
};

describe('a policy that allows whole trees', () => {
  it.each(Object.entries(MAKES_ROOT))('lets no agent write %s', async (_, paths) => {
    const { client } = await make(
      'allow path /etc\nallow path /usr\nallow path /var\nallow path /run\nallow path /root\nallow path /home\nallow path /opt\n',
    );
    for (const path of paths) {
      expect([path, await would(client, write(path))]).toEqual([path, expect.objectContaining(REFUSED)]);
      expect([path, await would(client, ['file.remove', path])]).toEqual([path, expect.objectContaining(REFUSED)]);
    }
    // The same by single files.
    const { client: single } = await make(paths.map((path) => `allow file ${path}\n`).join(''));
    for (const path of paths) expect([path, await would(single, write(path))]).toEqual([path, expect.objectContaining(REFUSED)]);
  });

  it('lets it write what is neither', async () => {
    const { client } = await make('allow path /etc\nallow path /var\nallow path /root/photos\nallow path /home/a\n');
    for (const path of [
      '/etc/nginx/nginx.conf',
      '/etc/hosts',
      '/var/log/app/x.log',
      '/root/photos/x',
      '/home/a/x',
      '/var/lib/app/x',
    ])
      expect([path, await would(client, write(path))]).toEqual([path, { ok: true }]);
  });
});

describe('a single file', () => {
  it('is allowed by its name, and nothing beside it', async () => {
    const { client, data } = await make('allow file DATA/app.conf\n');
    writeFileSync(join(data, 'app.conf'), 'before');
    writeFileSync(join(data, 'other.conf'), 'before');
    await client.arm('one', 60_000, [{ do: write(join(data, 'app.conf')), undo: undefined }]);
    expect(await client.apply('one', 0)).toEqual({ ok: true });
    expect(readFileSync(join(data, 'app.conf'), 'utf8')).toBe('evil');
    for (const name of ['other.conf', 'app.conf.bak', 'app.conf/x'])
      expect(await would(client, write(join(data, name)))).toMatchObject(REFUSED);
    expect(await client.read(['file.list', data])).toMatchObject(REFUSED);
    expect(await client.read(['file.read', join(data, 'app.conf')])).toMatchObject({ ok: true });
    expect(await client.read(['file.read', join(data, 'other.conf')])).toMatchObject(REFUSED);
  });

  it('that is denied stays so beneath a directory that is allowed', async () => {
    const { client, data } = await make('allow path DATA\ndeny file DATA/kept\n');
    expect(await would(client, write(join(data, 'kept')))).toMatchObject(REFUSED);
    expect(await would(client, write(join(data, 'free')))).toEqual({ ok: true });
  });
});

describe('what may be read', () => {
  it('is not written, also where a file is protected from that; what opens an account is not read either', async () => {
    const { client, data } = await make('allow read DATA\nallow read /etc/profile\nallow read /etc\nallow path /etc\n');
    writeFileSync(join(data, 'f'), 'text');
    expect(await client.read(['file.read', join(data, 'f')])).toMatchObject({ ok: true });
    expect(await client.read(['file.list', data])).toMatchObject({ ok: true });
    for (const change of [
      write(join(data, 'f')),
      ['file.remove', join(data, 'f')],
      ['file.rotate', join(data, 'f'), 3],
    ] as Primitive[])
      expect(await would(client, change)).toMatchObject(REFUSED);
    expect(await client.read(['file.stat', '/etc/profile'])).toMatchObject({ ok: true });
    for (const path of [
      '/etc/shadow',
      '/etc/shadow-',
      '/etc/ssh/ssh_host_ed25519_key',
      '/etc/sudoers',
      '/root/.ssh/id_ed25519',
      '/proc/1/environ',
    ])
      expect([path, await client.read(['file.read', path])]).toEqual([path, expect.objectContaining(REFUSED)]);
    expect(existsSync(join(data, 'f'))).toBe(true);
  });
});

describe('the linter', () => {
  const judged = async (policy: string): Promise<Record<string, string>> => {
    const test = new TestActuator();
    tests.push(test);
    const [file, data] = [join(test.directory, 'policy'), join(test.directory, 'app')];
    mkdirSync(data);
    writeFileSync(join(data, 'tool'), '');
    chmodSync(join(data, 'tool'), 0o755);
    writeFileSync(file, policy.replaceAll('DATA', data), { mode: 0o600 });
    const { stdout, code } = await kalos('doctor', '--policy', file, '-o', 'json');
    expect(code).toBe(0);
    const { rules } = JSON.parse(stdout) as { rules: { rule: string; allows: string }[] };
    return Object.fromEntries(rules.map(({ rule, allows }) => [rule.replaceAll(data, 'DATA'), allows.replaceAll(data, 'DATA')]));
  };

  it.each([
    ['allow path /etc', /^the agent can replace.*; with this the agent can become root, through a file/],
    ['allow path /etc/cron.d', /^allows nothing: \/etc\/cron.d is protected/],
    ['allow path DATA', /^the agent can replace, rotate and remove whatever lies in it$/],
    ['allow path DATA/tool', /^allows nothing: it is no directory; for a single file: allow file DATA\/tool$/],
    [
      'allow file DATA/tool',
      /^the agent can replace, rotate and remove this file; with this the agent can become root where root runs it$/,
    ],
    ['allow file DATA', /^allows nothing: it is a directory/],
    ['allow file /etc/shadow', /^allows nothing: \/etc\/shadow is protected/],
    ['allow read /etc', /^the agent can read it/],
    ['allow program /usr/bin/ionice', /^the agent can run any program by it: with this the agent can become root/],
    ['allow program /usr/bin/python3.11', /any program by it/],
    ['allow program /usr/bin/uptime', /^the agent can run it, with arguments of its choice$/],
    ['allow user root', /with this the agent can become root/],
    ['allow sysctl kernel.', /weaken the whole machine.*name the keys/],
    ['allow sysctl kernel.core_pattern', /^allows nothing/],
    ['allow process sshd', /^allows nothing: it is protected/],
    ['allow unit nginx.service', /^the agent can start, stop and restart it$/],
    ['allow unit ssh.service', /; stopped, it shuts people out or cuts the machine off$/],
    ['allow unit getty@tty1.service', /; stopped, it shuts people out/],
    ['allow net', /^the agent can block traffic/],
  ])('says of %s what it makes possible', async (rule, words) => {
    expect((await judged(`${rule}\n`))[rule]).toMatch(words);
  });

  it('names the line that is wrong, and doctor says what is as good as root', async () => {
    const test = new TestActuator();
    tests.push(test);
    const file = join(test.directory, 'actuator.policy');
    writeFileSync(file, 'allow path /srv/x\nallow everything\n', { mode: 0o600 });
    const bad = await kalos('doctor', '--policy', file);
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining('line 2')]);
    writeFileSync(file, 'allow user root\n', { mode: 0o600 });
    expect((await kalos('doctor', '--dir', test.directory)).stdout).toContain('the agent can become root by allow user root');
  });
});
