// What `kalos up` says once the agent is up: for people how to go on from there, for programs one line; and how the program is called.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { commandName, up, upLine, welcome } from '../../node/cli/up.ts';
import type { RunningNode } from '../../node/main.ts';

const STATUS = {
  ...{ name: 'ada', version: '9.9.9', swarmId: 'abcdef0123456789', mode: 'observe', sensors: 'native' },
  ...{ addresses: ['/ip4/10.0.0.1/tcp/7700', '/ip4/10.0.0.2/tcp/7700'], metrics: {}, services: [] },
};
const node = (status: Record<string, unknown> = {}, given: Record<string, unknown> = {}) =>
  ({
    agent: { status: () => ({ ...STATUS, ...status }) },
    directory: { path: '/state', rootKeys: '/state/root', configFile: '/state/kalos.toml' },
    ...{ page: undefined, founded: false, sensorFallback: undefined, ...given },
  }) as unknown as RunningNode;

afterEach(() => vi.unstubAllEnvs());

describe('the welcome', () => {
  it('is short where the agent belongs to a swarm, and names its directory where that is not the usual one', () => {
    vi.stubEnv('KALOS_COMMAND', undefined);
    expect(welcome(node()).split('\n')).toEqual([
      'KALOS 9.9.9  agent ada is up, swarm abcdef01',
      '  state      /state',
      '  sees       0 metrics, native sensors',
      '  services   none; declare some as [[service]] in /state/kalos.toml',
      '  mode       observe: proposes only; --mode act lets it repair',
      '  listens    /ip4/10.0.0.1/tcp/7700',
      '',
      'Then query any agent:',
      '  kalos status --dir /state',
      '  kalos query --dir /state "select node, state, cpu, memory from nodes"',
      '',
    ]);
    vi.stubEnv('KALOS_DIR', '/state');
    expect(welcome(node()).split('\n').slice(-3)).toEqual([
      '  kalos status',
      '  kalos query "select node, state, cpu, memory from nodes"',
      '',
    ]);
  });

  it('says what is seen, which services run, and where the page is', () => {
    const metrics = {
      ...{ 'system.load.1m': 1.236, 'system.memory.available': 2 * 1_024 ** 3, 'system.process.count': 7 },
      ...{ 'system.filesystem.utilization': 0.456, 'system.psi.cpu.some': 0 },
    };
    const services = [
      { name: 'web', state: 'running', pid: 7 },
      { name: 'db', state: 'exited', pid: null },
    ];
    const lines = welcome(
      node({ metrics, services, mode: 'act', addresses: [] }, { page: 'http://x', sensorFallback: 'no g++' }),
    ).split('\n');
    expect(lines.slice(2, 8)).toEqual([
      '  sees       load 1.24, 2.0 GiB memory available, 7 processes, fullest file system 46 %, PSI, 5 metrics, native sensors (plain reader: no g++)',
      '  services   web (running, pid 7), db (exited)',
      '  mode       act: makes reversible repairs by itself',
      '  listens    (no address)',
      '  web UI     http://x',
      '',
    ]);
    expect(welcome(node({ mode: 'advise' })).split('\n')[4]).toBe('  mode       advise: asks before it repairs (kalos approve)');
  });

  it('shows how to join a second agent where a swarm begins here', () => {
    const founded = (address: string): string[] =>
      welcome(node({ addresses: [address] }, { founded: true }))
        .split('\n')
        .slice(6, -4);
    const begins = [
      '',
      'Created a new swarm. Its root key is in /state/root: keep a copy elsewhere.',
      'Join a second agent to it, from another terminal:',
      '  kalos up --name second --dir /state-second --join "$(kalos token create -q --dir /state)"',
    ];
    const alone = '  (for other machines start this one with --listen 0.0.0.0:7700)';
    expect(founded('/ip4/10.0.0.1/tcp/7700')).toEqual(begins);
    expect(founded('/ip4/127.0.0.1/tcp/7700')).toEqual([...begins, alone]);
    expect(founded('/ip6/::1/tcp/7700')).toEqual([...begins, alone]);
  });

  it('is one line for programs', () => {
    expect([upLine(node()), upLine(node({ addresses: [] }, { page: 'http://x' }))]).toEqual([
      'KALOS 9.9.9: agent ada is up in /state, swarm abcdef01, mode observe, listens /ip4/10.0.0.1/tcp/7700',
      'KALOS 9.9.9: agent ada is up in /state, swarm abcdef01, mode observe, listens on no address, web UI http://x',
    ]);
  });
});

it.each([
  [undefined, 'kalos'],
  ['kalos', 'kalos'],
  [`${process.cwd()}/bin/kalos`, 'bin/kalos'],
  ['/somewhere/else/kalos', 'kalos'],
])('the program called as %s is shown as %s', (called, shown) => {
  vi.stubEnv('KALOS_COMMAND', called);
  expect(commandName()).toBe(shown);
});

it('what goes with --init is refused without it, and --init where there is no actuator', async () => {
  const options = { rootKeys: 1, private: false, mdns: true };
  await expect(up({ ...options, init: true })).rejects.toMatchObject({ code: 'io', message: 'the actuator is not built' });
  for (const flag of ['user', 'watchdog'])
    await expect(up({ ...options, [flag]: 'x' })).rejects.toMatchObject({ code: 'usage', message: `--${flag} needs --init` });
});
