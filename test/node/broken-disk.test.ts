// The disk of an agent's state, and of its actuator's, answers every write with an error, as a failing one does: what full-disk.test.ts says of one
// that is full, by errors that no mounted disk of a test's own gives.
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import { kalos } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { RefusedDisk } from '../support/refused-disk.ts';
import { Setting, type Way } from '../support/settings.ts';

const WEB = 'mode = "act"\n[[service]]\nname = "web"\ncommand = ["sleep", "1000"]\n';

const KALOS = join(findPackage().root, 'bin', 'kalos');
let disk: RefusedDisk;
let setting: Setting;
const begin = async (way: Way): Promise<void> => {
  setting = new Setting(way, WEB, { environment: disk.environment });
  await setting.up();
};
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.log(setting.said));
});
beforeAll(() => {
  disk = new RefusedDisk();
});
afterEach(async () => {
  disk.heal();
  await setting.close();
});
afterAll(() => disk.close());

const ask = (...args: string[]) => kalos(...args, '--dir', setting.directory);
const said = (words: RegExp): Promise<string> => eventually(`it to say ${words}`, () => setting.said.match(words)?.[0]);
const silences = async (): Promise<string> => (await ask('silence')).stdout;

describe('an agent whose disk fails', () => {
  it('observes, keeps its services, says what the disk says and the way out, and loses nothing that it acknowledged', async () => {
    await begin('units');
    const pidOf = async (): Promise<number> => (await setting.status()).services[0]?.pid ?? 0;
    const first = await eventually('the service to run', async () => (await pidOf()) || undefined);
    const before = await setting.status();
    const acknowledged = await ask('silence', '--policy', 'zombies', '--for', '1h');
    expect(acknowledged.code).toBe(0);

    disk.refuse(constants.errno.EIO, setting.place);
    const refused = await ask('silence', '--policy', 'raid-degraded', '--for', '1h');
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringMatching(/refuses writes \(Input\/output error\).*smartctl/),
    ]);
    await said(/refuses writes: Input\/output error\. .*smartctl/);
    await eventually('the condition', async () => (await setting.status()).conditions.DiskPressure === 'True' || undefined);
    process.kill(first, 'SIGKILL');
    const second = await eventually('the service to run again', async () => {
      const pid = await pidOf();
      return pid !== 0 && pid !== first ? pid : undefined;
    });
    const { samples } = await setting.status();
    await eventually('it to go on observing', async () => (await setting.status()).samples > samples || undefined);

    disk.heal();
    await said(/accepts writes again/);
    await eventually(
      'what waited to be recorded',
      async () => (await setting.status()).auditRecords > before.auditRecords || undefined,
    );
    expect([(await setting.status()).refusal, await pidOf()]).toEqual([null, second]);
    expect(setting.said.match(/refuses writes: Input/g)).toHaveLength(1);
    await setting.end('agent', 'SIGKILL');
    await setting.up();
    expect(await silences()).toContain(acknowledged.stdout.split(' ')[0]);
    expect((await ask('audit', 'verify')).code).toBe(0);
    expect(await pidOf()).toBe(second);
  });

  it('starts its actuator again, which goes on with the services', async () => {
    await begin('own');
    const pid = await eventually('the service to run', async () => (await setting.status()).services[0]?.pid ?? undefined);
    disk.refuse(constants.errno.EIO, setting.place);
    expect((await ask('silence', '--policy', 'zombies', '--for', '1h')).code).toBe(1);
    await said(/refuses writes: Input\/output error/);
    process.kill(setting.pidOf('actuator'), 'SIGKILL');
    await said(/the actuator answers again/);
    process.kill(pid, 'SIGKILL');
    await eventually('the service to run again', async () => {
      const now = (await setting.status()).services[0];
      return (now?.state === 'running' && now.pid !== pid) || undefined;
    });
  });

  it('is started from what is there where a release on trial cannot be recorded', async () => {
    await begin('own');
    await setting.end('both', 'SIGTERM');
    const releases = join(setting.directory, 'releases');
    mkdirSync(join(releases, 'new', 'package', 'dist'), { recursive: true });
    writeFileSync(join(releases, 'new', 'package', 'dist', 'kalos.mjs'), 'process.exit(9);');
    writeFileSync(join(releases, 'trial'), 'new');
    disk.refuse(constants.errno.EIO, setting.place);
    const env = { ...process.env, ...disk.environment };
    const { stderr } = await promisify(execFile)(KALOS, ['up', '--dir', setting.directory], { env }).catch((error) => error);
    expect(stderr).toMatch(/release new is abandoned: .*cannot be (used|written): Input\/output error/s);
    disk.heal();
    await setting.up();
    expect(setting.said).toContain('release new is abandoned: it exited (exit code 9)');
  });
});
