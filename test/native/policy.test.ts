// From the side of an agent that was taken over, with a policy that is wide: nothing through which it would become root or cut the machine off;
// single files, and what may only be read; and what the linter says of a policy before it is in force. Nothing outside its directory is touched.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ActuatorClient } from '../../node/action/adapters/actuator-client.ts';
import type { Primitive } from '../../node/ports/actuator.ts';
import { utf8 } from '../../swarm/dissemination/cbor.ts';
import { buildPlain, type RawClient, runActuator, TestActuator } from '../support/actuator.ts';
import { kalos } from '../support/agents.ts';

const REFUSED = { ok: false, code: 'refused' };
const tests: TestActuator[] = [];
afterEach(async () => {
  for (const test of tests.splice(0)) await test.stop();
});
beforeAll(buildPlain);

/** `DATA` in the policy is a directory of the test's own. */
async function make(policy: string): Promise<{ test: TestActuator; data: string; client: ActuatorClient }> {
  const test = new TestActuator(true);
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
  it('says by doctor of each rule what it makes possible', async () => {
    const test = new TestActuator(true);
    tests.push(test);
    const file = join(test.directory, 'policy');
    writeFileSync(file, 'allow unit nginx.service\nallow user root\n', { mode: 0o600 });
    const { stdout, code } = await kalos('doctor', '--policy', file, '-o', 'json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      rules: [
        { rule: 'allow unit nginx.service', allows: 'the agent can start, stop and restart it' },
        { rule: 'allow user root', allows: expect.stringContaining('with this the agent can become root') },
      ],
    });
  });

  it('names the line that is wrong, and doctor says what is as good as root', async () => {
    const test = new TestActuator(true);
    tests.push(test);
    const file = join(test.directory, 'actuator.policy');
    writeFileSync(file, 'allow path /srv/x\nallow everything\n', { mode: 0o600 });
    const bad = await kalos('doctor', '--policy', file);
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining('line 2')]);
    writeFileSync(file, 'allow user root\n', { mode: 0o600 });
    expect((await kalos('doctor', '--dir', test.directory)).stdout).toContain('the agent can become root by allow user root');
  });
});

describe('a rule', () => {
  const test = new TestActuator(true);
  afterAll(() => test.stop());
  const judged = (text: string) => {
    writeFileSync(test.policyFile, text, { mode: 0o600 });
    const { code, said } = runActuator('--check-policy', test.policyFile);
    return [code, said.split('\n')[0]?.replaceAll(test.policyFile, 'FILE')];
  };
  const NO_RULE = 'no such rule: allow|deny|protect|certify KIND NAME, or swarm ID';
  const NO_NAME = 'a rule needs a name: an empty one never means all';
  const NO_PATH = 'not an absolute path without . and ..';

  it.each([
    'allow net',
    'swarm 0a-b',
    'certify net',
    'certify service web',
    'certify unit web.service',
    'certify program /bin/x',
    'certify process x',
    'certify sysctl vm.x',
    'certify block sda',
    'certify path /srv/x',
    'protect process x',
    'protect path /srv/x',
    'deny path /srv/x',
    'deny file /srv/x',
    'allow read /srv/x',
    'allow block sda',
    'allow program /bin/x',
    'allow user x',
    'allow process x',
    'allow process-user x',
    'allow unit a_b-c.d@e:f9',
    'allow sysctl vm.',
    'allow sysctl net.ipv4.conf.x/1.mtu',
    `allow unit ${'x'.repeat(64)}`,
    `allow path /${'x'.repeat(255)}`,
    `allow path /${'a'.repeat(254)}/${'b'.repeat(254)}/${'c'.repeat(254)}/${'d'.repeat(255)}/${'e'.repeat(2)}`,
    'allow path /a/.b/..c',
    'allow path /a',
    '# comment',
    '  \t\r# comment',
    ' \t\r',
    '',
  ])('%s is one', (rule) => {
    expect(judged(`${rule}\n`)).toEqual([0, 'FILE: good']);
  });

  it.each([
    ['allow path /srv x', 'too many words'],
    ['allow net x', NO_RULE],
    ['deny net', NO_NAME],
    ['allow', NO_NAME],
    ['allow path', NO_NAME],
    ['swarm', NO_NAME],
    ['swarm -x', NO_NAME],
    ['swarm a b', NO_RULE],
    ['certify file /srv/x', NO_RULE],
    ['certify read /srv/x', NO_RULE],
    ['protect unit x', NO_RULE],
    ['allow service x', NO_RULE],
    ['permit path /srv/x', NO_RULE],
    ['protect net', NO_NAME],
    ['certify swarm', NO_NAME],
    ['allow path /a/*', 'names are exact: no wildcards'],
    ['allow path /a/?', 'names are exact: no wildcards'],
    ['allow path /a/[b', 'names are exact: no wildcards'],
    ['allow unit a/b', 'not a plain name'],
    ['allow unit -a', 'not a plain name'],
    ['allow unit .a', 'not a plain name'],
    ['allow unit a+b', 'not a plain name'],
    [`allow unit ${'x'.repeat(65)}`, 'not a plain name'],
    ['allow sysctl a/b.c', 'not a plain name'],
    ['allow sysctl a.b/../c', 'not a plain name'],
    ['allow block a.b/c.d', 'not a plain name'],
    ['allow path a', NO_PATH],
    ['allow path /', NO_PATH],
    ['allow path /a/', NO_PATH],
    ['allow path /a//b', NO_PATH],
    ['allow path /a/./b', NO_PATH],
    ['allow path /a/..', NO_PATH],
    ['allow file a', NO_PATH],
    ['allow read a', NO_PATH],
    ['allow program a', NO_PATH],
    ['allow path /a\x01', NO_PATH],
    ['allow path /a\x7f', NO_PATH],
    [`allow path /${'x'.repeat(256)}`, NO_PATH],
    [`allow path ${`/${'x'.repeat(204)}`.repeat(5)}`, NO_PATH],
  ])('%s is none', (rule, why) => {
    expect(judged(`# first\n${rule}\n`)).toEqual([1, `kalos-actuator: FILE: line 2: ${why}`]);
  });

  it('stands in a file of at most 64 KiB', () => {
    expect(judged(`#${'x'.repeat(65_534)}\n`)).toEqual([0, 'FILE: good']);
    const why = 'kalos-actuator: FILE: cannot be read, or is larger than 64 KiB';
    expect(judged(`#${'x'.repeat(65_535)}\n`)).toEqual([1, why]);
    expect(judged(`allow path ${`/${'x'.repeat(203)}`.repeat(5)}/xxx\n`)).toEqual([0, 'FILE: good']); // 1,024 bytes
    expect(judged(`allow path ${`/${'x'.repeat(203)}`.repeat(5)}/xxxx\n`)).toEqual([1, expect.stringContaining(NO_PATH)]);
    const none = runActuator('--check-policy', '/no/such/policy');
    expect(none).toEqual({ code: 1, said: 'kalos-actuator: /no/such/policy: No such file or directory\n' });
  });
});

describe('a path', () => {
  const test = new TestActuator(true);
  let agent: RawClient;
  beforeAll(async () => {
    const rules = [
      'allow path /srv/a',
      'deny path /srv/a/no',
      'deny file /srv/a/one',
      'deny read /srv/a/secret',
      'allow file /srv/f',
      'deny path /srv/g',
      'allow file /srv/g',
      'allow read /srv/r',
      'allow read /srv/r1/f',
      'allow file /top',
      'allow path /root/photos',
      'allow path /home/u',
      'allow path /home/u/.cache',
      'allow read /home/u',
      'allow read /root',
      'allow path /dev/shm/x',
      'allow path /dev/mapper',
      'allow path /etc',
      'allow path /boot/x',
      'allow path /var',
      'protect path /srv/a/kept',
      'protect path /dev/shm/x/kept',
    ];
    await test.start({ policy: `${rules.join('\n')}\n` });
    agent = await test.agent();
  });
  afterAll(() => test.stop());
  const BOTH = [true, true];
  const READ = [false, true];
  const NEITHER = [false, false];

  it.each([
    ['/srv/a/f', BOTH],
    ['/srv/a/b/c/f', BOTH],
    ['/srv/a', NEITHER],
    ['/srv/ab', NEITHER],
    ['/srv/a/no', NEITHER],
    ['/srv/a/no/f', NEITHER],
    ['/srv/a/nob', BOTH],
    ['/srv/a/one', NEITHER],
    ['/srv/a/one/f', BOTH],
    ['/srv/a/secret', [true, false]],
    ['/srv/a/secret/f', [true, false]],
    ['/srv/a/kept', NEITHER],
    ['/srv/a/kept/f', NEITHER],
    ['/srv/a/.kalos/f', NEITHER],
    ['/srv/a/.ssh', NEITHER],
    ['/srv/a/.sshd', BOTH],
    ['/srv/a/../f', NEITHER],
    ['/srv/f', BOTH],
    ['/srv/f/g', NEITHER],
    ['/srv/g', NEITHER],
    ['/srv/r/f', READ],
    ['/srv/r', READ],
    ['/srv/r1/f', READ],
    ['/srv/r1/g', NEITHER],
    ['/top', NEITHER],
    ['/root/photos/x', BOTH],
    ['/root/photos/.x', BOTH],
    ['/root/.x', NEITHER],
    ['/root/x', READ],
    ['/home/u/x', BOTH],
    ['/home/u/.x', READ],
    ['/home/u/.x/y', READ],
    ['/home/u/a/.x', BOTH],
    ['/home/.x', NEITHER],
    ['/dev/shm/x/f', BOTH],
    ['/dev/shm/x/kept', NEITHER],
    ['/dev/shm/x/kept/f', NEITHER],
    ['/dev/mapper/f', NEITHER],
    ['/etc/hosts', BOTH],
    ['/etc/shadow', NEITHER],
    ['/etc/shadow2', BOTH],
    ['/etc/passwd', READ],
    ['/boot/x/f', READ],
    ['/var/lib/kalos', NEITHER],
    ['/var/lib/kalos2', BOTH],
    ['/var/lib', NEITHER],
  ])('%s may be changed, and read: %j', async (path, [changes, reads]) => {
    const changed = await agent.ask('try', [[['file.remove', path], []]]);
    const read = await agent.ask('read', ['file.stat', path]);
    expect([changed.code !== 3, read.code !== 3 || !read.message.includes('policy')]).toEqual([changes, reads]);
  });
});

describe('a name', () => {
  it.each<[string[], unknown[], boolean]>([
    [['allow sysctl vm.'], ['sysctl.write', 'vm.a', '1'], true],
    [['allow sysctl vm.'], ['sysctl.write', 'vm.a.b', '1'], true],
    [['allow sysctl vm.'], ['sysctl.write', 'vmx', '1'], false],
    [['allow sysctl vm.a'], ['sysctl.write', 'vm.a.b', '1'], false],
    [['allow sysctl vm.', 'deny sysctl vm.a.'], ['sysctl.write', 'vm.a.b', '1'], false],
    [['allow sysctl vm.', 'deny sysctl vm.a.'], ['sysctl.write', 'vm.b', '1'], true],
    [['allow sysctl kernel.'], ['sysctl.write', 'kernel.sysrq', '1'], false],
    [['allow block a'], ['block.write', 'a', 'scheduler', 'x'], true],
    [['allow block a', 'deny block a'], ['block.write', 'a', 'scheduler', 'x'], false],
    [['deny block a'], ['block.write', 'a', 'scheduler', 'x'], false],
    [['allow program /bin/x'], ['spawn', '', ['/bin/x'], 1], true],
    [['allow program /bin/x', 'deny program /bin/x'], ['spawn', '', ['/bin/x'], 1], false],
    [['allow unit a.service'], ['unit', 'stop', 'a.service'], true],
    [['allow unit a.service', 'deny unit a.service'], ['unit', 'stop', 'a.service'], false],
    [['allow unit a.service', 'protect process a'], ['unit', 'stop', 'a.service'], false],
  ])('under %j: %j is allowed: %s', async (rules, primitive, allowed) => {
    const test = new TestActuator(true);
    tests.push(test);
    await test.start({ policy: `${rules.join('\n')}\n` });
    const agent = await test.agent();
    expect((await agent.ask('try', [[primitive, []]])).code).toBe(allowed ? 0 : 3);
  });
});
