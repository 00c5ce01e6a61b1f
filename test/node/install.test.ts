// What `kalos install` and `uninstall` write and remove below a root, and what they say; nothing of this machine.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { EXIT } from '../../node/cli/exit-codes.ts';
import { install, POLICY, uninstall } from '../../node/cli/install.ts';
import { fakeAgent } from '../support/fake-agent.ts';

const agent = fakeAgent();
const place = mkdtempSync(join(tmpdir(), 'kalos-install-'));
beforeAll(() => void vi.spyOn(process, 'execPath', 'get').mockReturnValue('/usr/bin/node'));
afterAll(() => {
  vi.restoreAllMocks();
  rmSync(place, { recursive: true, force: true });
});

// Where this package lies is no matter here: test/node/trust.test.ts has who may write there.
vi.mock('../../node/config/adapters/trust.ts', () => ({ checkTrust: () => undefined }));
vi.mock('../../node/adapters/package.ts', () => ({
  findPackage: () => ({
    ...{ root: '/opt/kalos', home: '/opt/kalos', actuatorPath: '/opt/kalos/actuator', launcherPath: '/opt/kalos/bin/kalos' },
  }),
}));

const UNITS = ['/etc/systemd/system/kalos-actuator.service', '/etc/systemd/system/kalos.service', '/etc/sysusers.d/kalos.conf'];
const KEPT = ['/etc/kalos/actuator.policy', '/etc/kalos/kalos.toml'];
const root = join(place, 'root');
const at = (path: string): string => join(root, path);
const installed = (given: Partial<Parameters<typeof install>[0]> = {}) =>
  agent.run(() => install({ user: 'kalos', root, dryRun: false, ...given }));
const uninstalled = (dryRun: boolean) => agent.run(() => uninstall({ root, dryRun }));

describe('below another root', () => {
  it('nothing is written where it is only said', async () => {
    const { code, out } = await installed({ dryRun: true, user: 'keeper' });
    expect([code, existsSync(root)]).toEqual([EXIT.ok, false]);
    expect(out.match(/^# \/.*$/gm)?.filter((line) => line.startsWith(`# ${place}`))).toEqual(
      [...UNITS, ...KEPT].map((path) => `# ${at(path)}`),
    );
    for (const line of [
      'ExecStart=/opt/kalos/actuator --state /var/lib/kalos-actuator --socket /run/kalos-actuator/sock --policy /etc/kalos/actuator.policy --judge /opt/kalos/bin/kalos --agent keeper',
      'ExecStart=/opt/kalos/bin/kalos up --dir /var/lib/kalos',
      'User=keeper',
      'u keeper - "KALOS agent" /var/lib/kalos',
    ])
      expect(out.split('\n')).toContain(line);
  });

  it('all is written, and what a person keeps only once', async () => {
    expect(await installed()).toEqual({
      code: EXIT.ok,
      out: [...UNITS, ...KEPT].map((path) => `wrote ${at(path)}\n`).join(''),
      err: '',
    });
    expect([...UNITS, ...KEPT].map((path) => (statSync(at(path)).mode & 0o777).toString(8))).toEqual([
      ...['644', '644', '644', '600', '644'],
    ]);
    expect(readFileSync(at('/etc/kalos/actuator.policy'), 'utf8')).toBe(POLICY);
    writeFileSync(at('/etc/kalos/kalos.toml'), 'mode = "act"\n');
    writeFileSync(at('/etc/systemd/system/kalos.service'), 'changed');
    expect((await installed()).out).toBe(UNITS.map((path) => `wrote ${at(path)}\n`).join(''));
    expect(readFileSync(at('/etc/kalos/kalos.toml'), 'utf8')).toBe('mode = "act"\n');
    expect(readFileSync(at('/etc/systemd/system/kalos.service'), 'utf8')).toContain('User=kalos');
  });

  it('what it wrote is removed, and what a person keeps stays', async () => {
    expect((await uninstalled(true)).out).toBe(UNITS.map((path) => `would remove ${at(path)}\n`).join(''));
    expect(UNITS.every((path) => existsSync(at(path)))).toBe(true);
    expect(await uninstalled(false)).toEqual({
      code: EXIT.ok,
      out: UNITS.map((path) => `removed ${at(path)}\n`).join(''),
      err: '',
    });
    expect([UNITS.some((path) => existsSync(at(path))), KEPT.every((path) => existsSync(at(path)))]).toEqual([false, true]);
    for (const dryRun of [true, false]) expect((await uninstalled(dryRun)).out).toBe('KALOS is not installed\n');
  });
});

it.each(['', 'Kalos', '1kalos', 'a b', '-kalos', `k${'a'.repeat(31)}`])('"%s" is no user’s name', (user) => {
  expect(() => install({ user, root, dryRun: true })).toThrow(`"${user}" is not a valid user name`);
});

it.each(['_k', `k${'a'.repeat(30)}`, 'k-1_2'])('"%s" may be a user’s', async (user) => {
  expect((await installed({ user, dryRun: true })).code).toBe(EXIT.ok);
});
