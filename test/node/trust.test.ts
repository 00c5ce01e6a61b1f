// From the side of another local user: what that one could have written is neither run nor read as configuration, whoever starts the agent.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { checkTrust, distrusted } from '../../node/config/adapters/trust.ts';
import { eventually } from '../support/clock.ts';

const KALOS = join(import.meta.dirname, '..', '..', 'bin', 'kalos');
const ROOT = process.getuid?.() ?? 0;
const OTHER = 65_534;
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
    ['is group-writable', (at: string) => chmodSync(at, 0o770), /may be written by others \(mode 770\)/],
    ['is writable by all', (at: string) => chmodSync(at, 0o777), /may be written by others \(mode 777\)/],
    ['is writable by all, and sticky', (at: string) => chmodSync(at, 0o1777), /may be written by others \(mode 1777\)/],
  ])('is not where it %s', (_, spoil, message) => {
    const state = make('state');
    spoil(state);
    expect(() => checkTrust(state)).toThrow(message);
  });

  it('is not where a directory above it can be written by others, also before it is made, and behind a link', () => {
    make('open', 0o777);
    expect(() => checkTrust(join(root, 'open', 'state'))).toThrow(/lies in .*open, which may be written by others \(mode 777\)/);
    symlinkSync(make('open/state'), join(root, 'link'));
    expect(distrusted(join(root, 'link'), ROOT)).toMatchObject({ path: join(root, 'open') });
  });

  it.runIf(ROOT === 0)('is not where it, or a directory above it, belongs to somebody else', () => {
    const state = make('theirs/state');
    chownSync(dirname(state), OTHER, OTHER);
    expect(() => checkTrust(state)).toThrow(/which belongs to user 65534, and what is there decides what user 0 runs/);
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
          /^kalos: .*kalos.mjs lies in .*dist, which may be written by others \(mode 777\), and would run as user \d+: chmod go-w /,
        ),
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
      expect.stringMatching(/^kalos: .* belongs to user 65534, and would run as user 0: chown it, or start it as its owner\n$/),
    ]);
    expect(existsSync(join(root, 'ran'))).toBe(false);
  });

  it('reads no configuration that somebody else could have written', () => {
    const config = join(make('etc'), 'mine.toml');
    writeFileSync(config, '');
    chmodSync(config, 0o666);
    const { status, stderr } = up('--dir', join(root, 'state'), '--config', config);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(
        /mine.toml may be written by others \(mode 666\), and what is there decides what user \d+ runs.*chmod go-w/s,
      ),
    ]);
  });

  it('makes no state directory where somebody else could put another in its place', () => {
    make('open', 0o777);
    const { status, stderr } = up('--dir', join(root, 'open', 'state'));
    expect([status, stderr]).toEqual([1, expect.stringMatching(/open, which may be written by others/)]);
    expect(existsSync(join(root, 'open', 'state'))).toBe(false);
  });

  it('leaves no join token in its arguments, where all users of the machine see them', async () => {
    const secret = `kalos1.${'Ab_-9'.repeat(30)}`;
    const child = spawn(KALOS, ['up', '--dir', join(root, 'state'), '--join', secret, `--join=${secret}`], { stdio: 'ignore' });
    onTestFinished(() => void child.kill('SIGKILL'));
    const line = () => readFileSync(`/proc/${child.pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    const hidden = await eventually('the token to be hidden', () => (line().includes('(hidden)') ? line() : undefined));
    expect(hidden).not.toContain('Ab_');
    expect(hidden).toContain(`kalos up --dir ${join(root, 'state')} --join kalos1.(hidden) --join=kalos1.(hidden)`);
  });
});
