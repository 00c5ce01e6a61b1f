// Where a configuration comes from, and what is said of it: layers, their origins, and what is made of the tree of commands.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import { hiddenFromUnits, install } from '../../node/cli/install.ts';
import { readLayers } from '../../node/config/adapters/read-layers.ts';
import { resolveConfig } from '../../node/config/config.ts';
import { mergeLayers, originOf } from '../../node/config/layers.ts';
import { kalos } from '../support/agents.ts';

const place = mkdtempSync(join(tmpdir(), 'kalos-layers-'));
afterAll(() => rmSync(place, { recursive: true }));
const system = join(place, 'etc');
const write = (path: string, text: string): void => {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
};
const SERVICE = (name: string, more = ''): string => `[[service]]\nname = "${name}"\ncommand = ["${name}"]\n${more}\n`;

describe('the layers of a configuration', () => {
  it('go from the system’s files to flags, the later over the earlier, each key by itself', () => {
    write(
      join(system, 'kalos.toml'),
      `mode = "advise"\nname = "system"\n[policy_engine]\nmax_rules = 100\nmax_concurrent_executions = 2\n`,
    );
    write(join(system, 'conf.d', '10-web.toml'), `name = "ten"\n${SERVICE('web', 'port = 80')}`);
    write(
      join(system, 'conf.d', '20-db.toml'),
      `[policy_engine]\nmax_rules = 200\n${SERVICE('db')}${SERVICE('web', 'port = 81')}`,
    );
    write(join(system, 'conf.d', 'note.txt'), 'not TOML = [');
    write(join(place, 'kalos.toml'), 'listen = "127.0.0.1:1"\n');
    const layers = readLayers({
      dir: place,
      system,
      flags: { listen: '127.0.0.1:3' },
      environment: {
        KALOS_LISTEN: '127.0.0.1:2',
        KALOS_JOIN: '/a,/b',
        KALOS_AI_ENGINE_ANOMALY_THRESHOLD: '9',
        KALOS_DIR: 'x',
        PATH: 'x',
      },
    });
    const config = resolveConfig(layers);
    expect(config).toMatchObject({ mode: 'advise', name: 'ten', listen: '127.0.0.1:3', join: ['/a', '/b'] });
    expect(config.policy_engine).toEqual({ max_rules: 200, max_concurrent_executions: 2 });
    expect(config.ai_engine).toEqual({ anomaly_threshold: 9 });
    expect(config.service.map(({ name, port }) => [name, port])).toEqual([
      ['db', undefined],
      ['web', 81],
    ]);
    const merged = mergeLayers(layers);
    const origin = (...path: PropertyKey[]) => originOf(merged, path)?.replace(`${place}/`, '');
    expect([origin('mode'), origin('name'), origin('listen'), origin('join')]).toEqual([
      'etc/kalos.toml',
      'etc/conf.d/10-web.toml',
      'flags',
      'environment',
    ]);
    expect([
      origin('policy_engine', 'max_rules'),
      origin('policy_engine', 'max_concurrent_executions'),
      origin('service', 1),
    ]).toEqual(['etc/conf.d/20-db.toml', 'etc/kalos.toml', 'etc/conf.d/20-db.toml']);
  });

  it('are named where something in them is wrong', () => {
    const wrong = (environment: Record<string, string>, own = '') => {
      write(join(place, 'kalos.toml'), own);
      return () => resolveConfig(readLayers({ dir: place, system: join(place, 'none'), environment }));
    };
    expect(wrong({ KALOS_MODE: 'destroy' })).toThrow(/KALOS_MODE = "destroy": must be "observe" or "advise" or "act"/);
    expect(wrong({ KALOS_MOD: 'act' })).toThrow(/unknown variable KALOS_MOD; did you mean KALOS_MODE/);
    expect(wrong({ KALOS_SERVICE_HOST: '10.0.0.1' })).not.toThrow();
    expect(wrong({}, 'mode = "destroy"')).toThrow(/kalos.toml:1: mode = "destroy": must be/);
    expect(wrong({}, `${SERVICE('a')}${SERVICE('a')}`)).toThrow(/declared twice/);
  });
});

describe('kalos config show', () => {
  it('prints what is in force and where it comes from, as a table, for programs and for spreadsheets', async () => {
    write(join(place, 'kalos.toml'), `mode = "act"\n${SERVICE('web', 'port = 80')}`);
    const shown = await kalos('config', 'show', '--origin', '--dir', place, '-o', 'json');
    const { config } = JSON.parse(shown.stdout) as { config: { key: string; value: unknown; origin: string }[] };
    expect(config).toContainEqual({ key: 'mode', value: 'act', origin: join(place, 'kalos.toml') });
    expect(config).toContainEqual({ key: 'service.web.port', value: 80, origin: join(place, 'kalos.toml') });
    expect((await kalos('config', 'show', '--dir', place)).stdout).toMatch(/service.web.command +\["web"\]/);
    expect((await kalos('config', 'show', '--dir', place, '-o', 'csv')).stdout).toContain('service.web.command,"[""web""]"\n');
    write(join(place, 'kalos.toml'), 'moed = "act"');
    expect(await kalos('config', 'show', '--dir', place)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('did you mean "mode"'),
    });
  });
});

describe('what is made of the tree of commands', () => {
  it('completes commands, options and their choices in bash', async () => {
    const script = join(place, 'completion');
    write(script, (await kalos('completion', 'bash')).stdout);
    const complete = (...words: string[]): string[] =>
      execFileSync(
        'bash',
        ['-c', `source ${script}; COMP_WORDS=(kalos "$@"); COMP_CWORD=$#; _kalos; echo "\${COMPREPLY[@]}"`, 'x', ...words],
        // Nothing that this machine has bash read first.
        { encoding: 'utf8', env: { PATH: process.env.PATH } },
      )
        .trim()
        .split(' ');
    expect(complete('pol')).toEqual(['policy']);
    expect(complete('policy', '')).toEqual(expect.arrayContaining(['list', 'apply', 'reset']));
    expect(complete('status', '--output', '')).toEqual(['table', 'wide', 'json', 'yaml', 'csv']);
    expect(complete('incidents', '--o')).toEqual(expect.arrayContaining(['--open', '--output']));
    expect((await kalos('completion', 'fish')).stdout).toContain("-a apply -d 'add or replace policies");
    expect((await kalos('completion', 'tcsh')).code).toBe(2);
  });

  it('has a manual page for each command, with its exit codes', async () => {
    const { stdout } = await kalos('man', 'policy', 'apply');
    expect(stdout).toContain('.TH KALOS-POLICY-APPLY 1');
    expect(stdout).toContain('Exit codes: 0 applied');
    expect((await kalos('man', 'nothing')).code).toBe(2);
  });
});

describe('kalos doctor --fix', () => {
  it('says what it would mend, mends it, and finds it mended', async () => {
    const state = join(place, 'open');
    mkdirSync(state, { mode: 0o755 });
    const dry = await kalos('doctor', '--fix', '--dry-run', '--dir', state);
    expect(dry).toMatchObject({ code: 3, stdout: expect.stringContaining(`would fix state: chmod 700 ${state}`) });
    expect(statSync(state).mode & 0o777).toBe(0o755);
    await kalos('doctor', '--fix', '--dir', state);
    expect(statSync(state).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(state, 'actuator.policy'), 'utf8')).toContain('# allow path');
    expect((await kalos('doctor', '--dry-run', '--dir', state)).code).toBe(2);
  });
});

describe('kalos install', () => {
  it('refuses a package that its own units hide from the agent', () => {
    for (const [path, by] of [
      ['/home/ada/kalos', 'ProtectHome'],
      ['/root', 'ProtectHome'],
      ['/run/user/1000/kalos', 'ProtectHome'],
      ['/tmp/kalos', 'PrivateTmp'],
      ['/var/tmp/kalos', 'PrivateTmp'],
    ] as const)
      expect([path, hiddenFromUnits(path)]).toEqual([path, expect.stringContaining(by)]);
    for (const path of ['/opt/kalos', '/usr/lib/node_modules/kalos', '/homes/kalos', '/tmpfiles/kalos'])
      expect([path, hiddenFromUnits(path)]).toEqual([path, undefined]);
    // Through a link too.
    const hidden = mkdtempSync('/tmp/kalos-hidden-');
    const link = join(place, 'link');
    symlinkSync(hidden, link);
    expect(hiddenFromUnits(link)).toContain('PrivateTmp');
    writeFileSync(join(hidden, 'package.json'), '{ "name": "kalos", "version": "0.0.1" }');
    vi.stubEnv('KALOS_PACKAGE', hidden);
    expect(() => install({ root: '/', user: 'kalos', dryRun: true })).toThrow(/the units cannot start: .* is in \/tmp/);
    vi.unstubAllEnvs();
    rmSync(hidden, { recursive: true });
  });

  it('writes hardened units below another root, keeps what is a person’s, and removes its own', async () => {
    const root = join(place, 'root');
    const installed = await kalos('install', '--root', root);
    if ([findPackage().home, process.execPath].some((path) => hiddenFromUnits(path) !== undefined))
      return expect([installed.code, installed.stderr]).toEqual([2, expect.stringContaining('the units cannot start')]);
    expect(installed.code).toBe(0);
    const unit = readFileSync(join(root, 'etc/systemd/system/kalos.service'), 'utf8');
    for (const line of ['Type=notify', 'WatchdogSec=75', 'NoNewPrivileges=yes', 'ProtectSystem=strict', 'User=kalos'])
      expect(unit).toContain(`${line}\n`);
    write(join(root, 'etc/kalos/kalos.toml'), 'mode = "act"\n');
    await kalos('install', '--root', root);
    expect(readFileSync(join(root, 'etc/kalos/kalos.toml'), 'utf8')).toBe('mode = "act"\n');
    expect((await kalos('uninstall', '--root', root)).code).toBe(0);
    expect(existsSync(join(root, 'etc/systemd/system/kalos.service'))).toBe(false);
    expect(existsSync(join(root, 'etc/kalos/kalos.toml'))).toBe(true);
    expect((await kalos('install', '--root', root, '--user', 'x y')).code).toBe(2);
  });
});
