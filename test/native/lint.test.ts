// What the actuator says that each rule of a policy makes possible, word for word: its owner goes by it before it is in force.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildPlain, runActuator, TestActuator } from '../support/actuator.ts';

const test = new TestActuator(true);
const data = join(test.directory, 'data');
beforeAll(() => {
  buildPlain();
  mkdirSync(data);
  writeFileSync(join(data, 'plain'), '');
  writeFileSync(join(data, 'tool'), '');
  chmodSync(join(data, 'tool'), 0o701);
});
afterAll(() => test.stop());

/** The lines about it, without their indentation. */
function said(policy: string): string[] {
  writeFileSync(test.policyFile, policy.replaceAll('DATA', data), { mode: 0o600 });
  const { code, said } = runActuator('--check-policy', test.policyFile);
  expect(code).toBe(0);
  const [first, ...lines] = said.trimEnd().split('\n');
  expect(first).toBe(`${test.policyFile}: good`);
  return lines.map((line) => line.replaceAll(data, 'DATA').replace(/^ {2}/, ''));
}

const ROOT = 'with this the agent can become root';
const PLACE = 'the agent can replace, rotate and remove all files in it';
const WIDE = `${PLACE}; ${ROOT}, through a file that something of root's runs or believes: name the directory of one program, or single files`;
const kept = (path: string, how = 'protected'): string => `allows nothing: ${path} is ${how}: no rule can allow it`;
const ONE = 'the agent can replace, rotate and remove this file';
const READ = 'the agent can read it, and what lies in it';
const PROGRAM = 'the agent can run it, with arguments of its choice';
const ANY_PROGRAM = `the agent can run any program by it: ${ROOT} where it may run as root (allow user root)`;
const UNIT = 'the agent can start, stop and restart it';
const WAY_IN = `${UNIT}; stopped, it shuts people out or cuts the machine off`;
const TREE = 'the agent can set all keys of the tree';
const WEAKENS = `${TREE}; it can weaken the whole machine by some of them: name the keys`;
const PROTECTED = 'allows nothing: it is protected: no rule can allow it';

describe('a rule', () => {
  it.each([
    ['path DATA', PLACE],
    ['path /srv/app', PLACE],
    ...['/etc', '/usr', '/opt', '/var', '/var/lib', '/home', '/root', '/srv', '/top'].map((path) => [`path ${path}`, WIDE]),
    ['path /etc/cron.d', kept('/etc/cron.d')],
    ['path DATA/plain', 'allows nothing: it is no directory; for a single file: allow file DATA/plain'],
    ['path DATA/none', PLACE],
    ['file DATA/plain', ONE],
    ['file DATA/none', ONE],
    ['file DATA/tool', `${ONE}; ${ROOT} where root runs it`],
    ['file DATA', 'allows nothing: it is a directory; for what lies in it: allow path DATA'],
    ['file /etc/shadow', kept('/etc/shadow')],
    ['read DATA', READ],
    ['read DATA/plain', READ],
    ['read /etc', READ],
    ['read /etc/passwd', READ],
    ['read /etc/shadow', kept('/etc/shadow', 'not shown')],
    ['read /etc/ssh', kept('/etc/ssh', 'not shown')],
    ['program /usr/bin/uptime', PROGRAM],
    ['program /usr/bin/nice', ANY_PROGRAM],
    ['program /usr/bin/python3', ANY_PROGRAM],
    ['program /usr/bin/python3.11', ANY_PROGRAM],
    ['program /usr/bin/lua5.4', ANY_PROGRAM],
    ['program /usr/bin/niceness', PROGRAM],
    ['user root', `services and programs run as it; ${ROOT}`],
    ['user web', 'services and programs run as it'],
    ['process web', 'the agent can signal, end, limit and renice processes of this name'],
    ['process sshd', PROTECTED],
    ['process-user web', "the agent can signal, end, limit and renice this user's processes"],
    ['unit web.service', UNIT],
    ['unit ssh.service', WAY_IN],
    ['unit getty@tty1.service', WAY_IN],
    ['unit sshx.service', UNIT],
    ['block sda', 'the agent can set its queue'],
    ['sysctl vm.swappiness', 'the agent can set it'],
    ['sysctl vm.', TREE],
    ['sysctl kernel.', WEAKENS],
    ['sysctl fs.', WEAKENS],
    ['sysctl kernel.core_pattern', 'allows nothing: the kernel would run code by it, or end a protection'],
  ])('allow %s: %s', (rule, words) => {
    expect(said(`allow ${rule}\n`)).toEqual([`allow ${rule}: ${words}`]);
  });

  it('that is denied too allows nothing', () => {
    expect(said('allow unit web.service\ndeny unit web.service\n')).toEqual([
      'allow unit web.service: allows nothing: it is denied too',
    ]);
  });

  it('of the network, and what is certified without a swarm, have lines of their own', () => {
    const net = "allow net: the agent can block traffic from any network but this machine's own, peers and administrators too";
    const certify =
      'certify without swarm ID: the first authorization that is shown decides which swarm may authorize: add a line swarm ID';
    expect(said('allow net\ncertify net\n')).toEqual([net, certify]);
    expect(said('certify service web\nswarm abc\n')).toEqual([]);
    expect(said('allow user b\nallow user a\n').map((line) => line.split(':')[0])).toEqual(['allow user a', 'allow user b']);
    expect(said('swarm abc\n')).toEqual([]);
  });
});
