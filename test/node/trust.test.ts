// From the side of another local user: what that one could have written is neither run nor read as configuration, whoever starts the agent.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { install, mustStart, uninstall } from '../../node/cli/install.ts';
import { checkTrust, distrusted } from '../../node/config/adapters/trust.ts';
import { eventually } from '../support/clock.ts';

const KALOS = join(import.meta.dirname, '..', '..', 'bin', 'kalos');
const ROOT = process.getuid?.() ?? 0;
const OTHER = 65_534;
const TRUST = join(import.meta.dirname, '..', '..', 'node', 'config', 'adapters', 'trust.ts');
const canMount = spawnSync('unshare', ['--mount', 'true']).status === 0;
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kalos-trust-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
});

function make(path: string, mode = 0o700): string {
  const whole = join(root, path);
  mkdirSync(whole, { recursive: true });
  chmodSync(whole, mode);
  return whole;
}

/** A release in a state directory, which says that it ran. */
function release(state: string): string {
  const digest = 'ab'.repeat(32);
  const dist = make(`${state}/releases/${digest}/package/dist`);
  writeFileSync(
    join(dist, 'kalos.mjs'),
    `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(join(root, 'ran'))}, '');`,
  );
  writeFileSync(join(root, state, 'releases', 'current'), digest);
  return join(dist, 'kalos.mjs');
}

const up = (...args: string[]) => spawnSync(KALOS, ['up', ...args], { encoding: 'utf8' });

describe('a place that decides what is run', () => {
  it('is trusted where only its user and root could have written it, below a directory such as /tmp too', () => {
    expect(distrusted(make('state'), ROOT)).toBeUndefined();
    expect(distrusted(join(make('shared', 0o1777), 'not-there-yet'), ROOT)).toBeUndefined();
    expect(distrusted('/usr/bin/env', ROOT)).toBeUndefined();
  });

  it.each([
    ['is writable by all', (at: string) => chmodSync(at, 0o777), /may be written by others \(mode 777\)/],
    ['is writable by all, and sticky', (at: string) => chmodSync(at, 0o1777), /may be written by others \(mode 1777\)/],
  ])('is not where it %s', (_, spoil, message) => {
    const state = make('state');
    spoil(state);
    expect(() => checkTrust(state)).toThrow(message);
  });

  it.runIf(ROOT === 0)('is not where a group with others in it may write, as it is where the user is alone in it', () => {
    const state = make('state', 0o770);
    expect(distrusted(state, ROOT)).toBeUndefined();
    chownSync(state, 0, OTHER);
    expect(() => checkTrust(state)).toThrow(/may be written by others \(mode 770\)/);
    chownSync(state, 0, 54_321); // nobody knows who is in it
    expect(() => checkTrust(state)).toThrow(/may be written by others \(mode 770\)/);
  });

  it.runIf(ROOT === 0)('is not behind a link that somebody else could have made, or could move', () => {
    const [theirs, good] = [make('theirs'), make('good')];
    symlinkSync(good, join(theirs, 'link'));
    expect(distrusted(join(theirs, 'link'), ROOT)).toBeUndefined();
    symlinkSync(join(theirs, 'link'), join(root, 'through'));
    chownSync(theirs, OTHER, OTHER);
    for (const path of [join(theirs, 'link'), join(root, 'through'), join(root, 'through', 'state')])
      expect(distrusted(path, ROOT)).toMatchObject({ path: theirs, what: 'belongs to user 65534' });
    expect(distrusted(join(theirs, 'link'), ROOT)?.remedy).not.toContain('chown');
  });

  it.runIf(canMount)('is trusted where it is mounted read-only, as a container’s configuration is, whatever its mode', () => {
    const place = make('config', 0o777);
    const code = `const { distrusted } = await import(${JSON.stringify(TRUST)}); console.log(distrusted(${JSON.stringify(place)}, 0)?.what);`;
    const script = `mount --bind ${place} ${place}; "$0" -e '${code}'; mount -o remount,ro,bind ${place}; "$0" -e '${code}'`;
    const told = execFileSync('unshare', ['--mount', 'sh', '-c', script, process.execPath], { encoding: 'utf8' });
    expect(told.trim().split('\n')).toEqual(['may be written by others (mode 777)', 'undefined']);
  });

  it('is not where a directory above it can be written by others, also before it is made, and behind a link', () => {
    make('open', 0o777);
    expect(() => checkTrust(join(root, 'open', 'state'))).toThrow(/is in .*open, which may be written by others \(mode 777\)/);
    symlinkSync(make('open/state'), join(root, 'link'));
    expect(distrusted(join(root, 'link'), ROOT)).toMatchObject({ path: join(root, 'open') });
  });

  it.runIf(ROOT === 0)('is not where it, or a directory above it, belongs to somebody else', () => {
    const state = make('theirs/state');
    chownSync(dirname(state), OTHER, OTHER);
    expect(() => checkTrust(state)).toThrow(/which belongs to user 65534, so others could change what user 0 runs/);
    expect(distrusted(state, OTHER)).toBeUndefined();
    chownSync(dirname(state), 0, 0);
    chownSync(state, OTHER, OTHER);
    expect(() => checkTrust(state)).toThrow(/^.*\/state belongs to user 65534/);
  });
});

describe('kalos up', () => {
  it('runs no release that somebody else could have written', () => {
    const entry = release('state');
    chmodSync(dirname(entry), 0o777);
    const { status, stderr } = up('--dir', join(root, 'state'));
    expect([status, stderr.trim().split('\n')]).toEqual([
      1,
      [
        expect.stringMatching(
          /^kalos: .*kalos.mjs is in .*dist, which may be written by others \(mode 777\), so others could change what user \d+ runs$/,
        ),
        expect.stringMatching(/^ {2}chmod go-w .*dist$/),
      ],
    ]);
    expect(existsSync(join(root, 'ran'))).toBe(false);
    chmodSync(dirname(entry), 0o700);
    up('--dir', join(root, 'state'));
    expect(existsSync(join(root, 'ran'))).toBe(true);
  });

  it.runIf(ROOT === 0)('runs no release of somebody else’s directory', () => {
    release('state');
    execFileSync('chown', ['-R', String(OTHER), join(root, 'state')]);
    const { status, stderr } = up('--dir', join(root, 'state'));
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^kalos: .* belongs to user 65534, so others could change what user 0 runs\n/),
    ]);
    expect(existsSync(join(root, 'ran'))).toBe(false);
  });

  it.runIf(ROOT === 0)('writes nothing through what is in somebody else’s directory', () => {
    const releases = make('state/releases');
    writeFileSync(join(root, 'precious'), 'as it was');
    for (const name of ['trial', 'tried']) writeFileSync(join(releases, name), 'abc');
    symlinkSync(join(root, 'precious'), join(releases, 'failed'));
    execFileSync('chown', ['-hR', String(OTHER), join(root, 'state')]);
    expect(up('--dir', join(root, 'state')).status).toBe(1);
    expect(readFileSync(join(root, 'precious'), 'utf8')).toBe('as it was');
  });

  it('keeps compiled code in a directory of its user’s own, or not at all', () => {
    const cacheOf = (environment: Record<string, string>): string => {
      const script = join(make('package/bin'), 'kalos');
      copyFileSync(KALOS, script);
      writeFileSync(join(make('package/dist'), 'kalos.mjs'), 'console.log(process.env.NODE_COMPILE_CACHE);');
      return execFileSync(script, ['status'], { env: { PATH: process.env.PATH, ...environment }, encoding: 'utf8' }).trim();
    };
    const home = make('home');
    expect(cacheOf({ HOME: home })).toBe(join(home, '.cache', 'kalos'));
    expect(cacheOf({ XDG_CACHE_HOME: home })).toBe(join(home, 'kalos'));
    expect(cacheOf({})).toBe('undefined');
    if (ROOT !== 0) return;
    chownSync(home, OTHER, OTHER);
    expect(cacheOf({ HOME: home })).toBe('undefined');
  });

  it('reads no configuration that somebody else could have written', () => {
    const config = join(make('etc'), 'mine.toml');
    writeFileSync(config, '');
    chmodSync(config, 0o666);
    const { status, stderr } = up('--dir', join(root, 'state'), '--config', config);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(
        /mine.toml may be written by others \(mode 666\), so others could change what user \d+ runs.*chmod go-w/s,
      ),
    ]);
  });

  it('makes no state directory where somebody else could put another in its place', () => {
    make('open', 0o777);
    const { status, stderr } = up('--dir', join(root, 'open', 'state'));
    expect([status, stderr]).toEqual([1, expect.stringMatching(/open, which may be written by others/)]);
    expect(existsSync(join(root, 'open', 'state'))).toBe(false);
  });

  it.each([[[]], [['--init']]])('leaves no join token in the arguments that all users of the machine see (%j)', async (flags) => {
    const token = `kalos1.${'Ab_-9'.repeat(30)}`;
    const state = make('state');
    // One on trial: then the launcher stays, and watches over it. It says what it was told.
    const dist = make('state/releases/abc/package/dist');
    writeFileSync(join(root, 'state', 'releases', 'trial'), 'abc');
    const told = `[...process.argv.slice(2), process.env.KALOS_JOIN].join(' ')`;
    const [half, ran] = ['half', 'ran'].map((name) => JSON.stringify(join(root, name)));
    // In its place once it is whole.
    const script = `const fs = require('node:fs'); fs.writeFileSync(${half}, ${told}); fs.renameSync(${half}, ${ran}); setInterval(() => undefined, 1000);`;
    writeFileSync(
      join(dist, 'kalos.mjs'),
      `import { createRequire } from 'node:module'; const require = createRequire('/'); ${script}`,
    );
    const arguments_ = ['up', ...flags, '--join', token, '/ip4/192.0.2.1/tcp/1', '--dir', state, `--join=${token}`];
    const environment = { ...process.env, KALOS_ACTUATOR_POLICY: join(root, 'policy') };
    spawn(KALOS, arguments_, { stdio: 'ignore', env: environment });
    const lines = (): [pid: number, line: string][] =>
      readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => [Number(pid), spawnSync('cat', [`/proc/${pid}/cmdline`], { encoding: 'utf8' }).stdout]);
    const ours = () => lines().filter(([, line]) => line.includes(state));
    onTestFinished(() => {
      for (const [pid] of ours()) process.kill(pid, 'SIGKILL');
    });
    await eventually('the release to run', () => existsSync(join(root, 'ran')) || undefined);
    expect(readFileSync(join(root, 'ran'), 'utf8')).toBe(`up --dir ${state} ${token},/ip4/192.0.2.1/tcp/1,${token}`);
    expect(ours().length).toBeGreaterThanOrEqual(2);
    expect(lines().filter(([, line]) => line.includes('Ab_-9'))).toEqual([]);
  });
});

describe('kalos install', () => {
  it('writes no unit below a directory in which others could lead it elsewhere, and removes none there', () => {
    const [victim, units] = [join(root, 'victim'), join(root, 'image', 'etc', 'systemd')];
    mkdirSync(victim);
    mkdirSync(units, { recursive: true });
    symlinkSync(victim, join(units, 'system'));
    writeFileSync(join(victim, 'kalos.service'), 'of another');
    chmodSync(units, 0o777);
    const image = { root: join(root, 'image'), dryRun: false };
    expect(() => install({ ...image, user: 'kalos' })).toThrow('may be written by others');
    expect(() => uninstall(image)).toThrow('may be written by others');
    expect(readFileSync(join(victim, 'kalos.service'), 'utf8')).toBe('of another');
  });

  it('has root run nothing that others could have written', () => {
    const place = join(root, 'shared-package');
    mkdirSync(place);
    chmodSync(place, 0o777);
    const [own, shared] = ['/bin/sh', join(place, 'program')];
    const all = { home: '/opt/kalos', actuatorPath: own, launcherPath: own };
    expect(() => mustStart('/', all, own)).not.toThrow();
    for (const given of [{ actuatorPath: shared }, { launcherPath: shared }])
      expect(() => mustStart('/', { ...all, ...given }, own)).toThrow(/may be written by others|belongs to/);
    // Of an image, who may write is the image's.
    expect(() => mustStart('/image', { ...all, actuatorPath: shared }, own)).not.toThrow();
  });
});
