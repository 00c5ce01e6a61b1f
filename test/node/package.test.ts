// The package as `npm pack` makes it, installed: the command runs from its bundle, with no sources beside it.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';

const { root, version } = findPackage();
const place = mkdtempSync(join(tmpdir(), 'kalos-package-'));
const installed = join(place, 'node_modules', 'kalos');
const command = join(place, 'node_modules', '.bin', 'kalos');

beforeAll(() => {
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', place], { cwd: root }); // pretest has built the bundle
  mkdirSync(join(place, 'node_modules', '.bin'), { recursive: true });
  execFileSync('tar', ['xzf', join(place, `kalos-${version}.tgz`), '-C', join(place, 'node_modules')]);
  execFileSync('mv', [join(place, 'node_modules', 'package'), installed]);
  // What the package itself asks for, with what that asks for: all else is in its bundle.
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean }>;
  };
  for (const [path, { dev = false }] of Object.entries(packages)) {
    const [, name] = path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)$/) ?? [];
    if (name === undefined || dev || !existsSync(join(root, path))) continue;
    mkdirSync(dirname(join(place, path)), { recursive: true });
    symlinkSync(join(root, path), join(place, path));
  }
  symlinkSync('../kalos/bin/kalos', command);
  execFileSync(process.execPath, ['scripts/build-native.mjs'], { cwd: installed }); // what its install script does
});

afterAll(() => rmSync(place, { recursive: true, force: true }));

const run = (...args: string[]): string => execFileSync(command, args, { cwd: place, encoding: 'utf8' });

describe('the installed package', () => {
  it('holds no TypeScript and no test, and the licences', () => {
    const files = readdirSync(installed, { recursive: true }).map(String);
    expect(files.filter((file) => /(?<!\.d)\.ts$/.test(file) || file.startsWith('test'))).toEqual([]);
    expect(files).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'kmod/LICENSE',
        'models/artifacts/incident.onnx',
        'node/detection/policies/services.toml',
        'dist/kalos.mjs',
      ]),
    );
  });

  it('asks for nothing that Node 20 warns of: what runs is in its bundle, and Node 24 comes with it', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { dev?: boolean; engines?: { node?: string } }>;
    };
    const installs = Object.entries(packages).filter(([path, { dev = false }]) => path.startsWith('node_modules/') && !dev);
    const tooNew = installs.filter(([, { engines }]) => /^(>=|\^)\s*2[1-9]/.test(engines?.node ?? ''));
    expect(tooNew.map(([path]) => path)).toEqual([]);
    expect(installs.length).toBeLessThan(60);
    // A key of another program in it is warned of by every command of npm.
    const known = ['omit-lockfile-registry-resolved', 'save-exact', 'fund', 'audit'];
    const keys = readFileSync(join(root, '.npmrc'), 'utf8')
      .split('\n')
      .filter((line) => line !== '');
    expect(keys.map((line) => line.split('=')[0]).filter((key) => !known.includes(key ?? ''))).toEqual([]);
  });

  it('is a library: kalos/client, with its types', () => {
    const script =
      "import('kalos/client').then(({ KalosClient }) => new KalosClient({ directory: '/nowhere' }).status()).catch(({ code }) => console.log(code))";
    expect(execFileSync(process.execPath, ['-e', script], { cwd: place, encoding: 'utf8' }).trim()).toBe('not-running');
    const onNode20 =
      "URL.parse = process.getBuiltinModule = undefined; import('kalos/client').then(({ KalosClient }) => new KalosClient({ address: 'no address', token: 't' }).status()).catch(({ code }) => console.log(code))";
    expect(execFileSync(process.execPath, ['-e', onNode20], { cwd: place, encoding: 'utf8' }).trim()).toBe('usage');
    expect(existsSync(join(installed, 'dist/types/node/sdk/client.d.ts'))).toBe(true);
  });

  it('runs the command, the simulator, and finds its addon and model', () => {
    expect(run('--version').trim()).toBe(version);
    expect(JSON.parse(run('sim', 'run', '--nodes', '5', '-o', 'json'))).toMatchObject({ violations: [] });
    const { findings } = JSON.parse(run('doctor', '--dir', join(place, 'state'), '-o', 'json')) as {
      findings: { check: string; result: string; detail: string }[];
    };
    expect(findings.find(({ check }) => check === 'sensors')).toMatchObject({
      result: 'ok',
      detail: expect.stringContaining('native'),
    });
    expect(findings.find(({ check }) => check === 'incident model')).toMatchObject({ result: 'ok' });
    expect(existsSync(join(place, 'state'))).toBe(false);
  });
});
