// What cannot be taken back takes two operators: their signatures under just this, on this machine, once, while all is as it was.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';

const swarm = new RealSwarm();
const work = mkdtempSync(join(tmpdir(), 'kalos-change-'));
/** Outside of what can be made again by its name, such as /tmp. */
const photos = mkdtempSync(join(homedir(), 'kalos-photos-'));
const file = join(work, 'change.json');
let agent: RealAgent;

const change = (...args: string[]) => kalos('change', ...args);
const draft = (...more: string[]) =>
  change(
    'draft',
    'fs.clean',
    `directory=${photos}`,
    'suffix=.raw',
    'older_than_s=0',
    '--out',
    file,
    '--dir',
    agent.directory,
    ...more,
  );
const sign = (name: string, of = file) => change('sign', of, '--operator-key', join(work, `${name}.key`));
const commit = (of = file) => change('commit', of, '--dir', agent.directory);
const put = (...names: string[]): void => {
  for (const name of names) writeFileSync(join(photos, name), name);
};

beforeAll(async () => {
  const place = join(work, 'state');
  mkdirSync(place);
  writeFileSync(join(place, 'actuator.policy'), `allow path ${photos}\n`, { mode: 0o600 });
  agent = await swarm.start('alpha', 'mode = "act"\n', undefined, place);
  for (const name of ['alice', 'bob', 'carol']) {
    const { code, stderr } = await kalos(
      'operator',
      'add',
      name,
      '--key-file',
      join(work, `${name}.key`),
      '--dir',
      agent.directory,
    );
    expect([code, stderr]).toEqual([0, '']);
  }
});

afterAll(async () => {
  await swarm.stop();
  for (const directory of [work, photos]) rmSync(directory, { recursive: true, force: true });
});

describe('a change that cannot be taken back', () => {
  it('is refused to one person, who is told how', async () => {
    put('a.raw', 'keep.jpg');
    const { code, stdout } = await kalos(
      'act',
      'fs.clean',
      `directory=${photos}`,
      'suffix=.raw',
      'older_than_s=0',
      '--dir',
      agent.directory,
    );
    expect([code, stdout]).toEqual([5, expect.stringContaining('needs two operators (kalos change draft)')]);
    expect(existsSync(join(photos, 'a.raw'))).toBe(true);
  });

  it('is made once two operators have signed it, and not twice', async () => {
    const drafted = await draft('--reason', 'the disk is full');
    expect([drafted.code, drafted.stdout]).toEqual([0, expect.stringContaining(`-${photos}/a.raw`)]);
    expect(await commit()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('2 operators must sign the change, and 0 have'),
    });
    expect(await sign('alice')).toMatchObject({ code: 0 });
    expect(await sign('alice')).toMatchObject({ code: 0 }); // twice is once
    expect(await commit()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('2 operators must sign the change, and 1 has'),
    });
    expect(await sign('bob')).toMatchObject({ code: 0, stdout: expect.stringContaining('kalos change commit') });
    expect(await commit()).toMatchObject({ code: 0, stdout: expect.stringContaining('confirmed') });
    expect([existsSync(join(photos, 'a.raw')), existsSync(join(photos, 'keep.jpg'))]).toEqual([false, true]);
    put('a.raw');
    expect(await commit()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('the change was already executed or started'),
    });
    expect(existsSync(join(photos, 'a.raw'))).toBe(true);
    const { stdout } = await kalos('audit', 'list', '--dir', agent.directory);
    expect(stdout).toMatch(/the disk is full; signed by alice and bob/);
  });

  it('is not made where a file of it was changed, something else was, or an operator is none any more', async () => {
    await draft();
    await sign('alice');
    await sign('bob');
    const bent = join(work, 'bent.json');
    const signed = JSON.parse(readFileSync(file, 'utf8')) as { calls: { suffix: string }[]; diff: string[]; untilMs: number };
    for (const change of [
      { calls: [{ ...signed.calls[0], suffix: '.jpg' }] },
      { diff: ['nothing'] },
      { untilMs: signed.untilMs + 1 },
    ]) {
      writeFileSync(bent, JSON.stringify({ ...signed, ...change }));
      expect(await commit(bent)).toMatchObject({ code: 2, stderr: expect.stringContaining('and 0 have') });
    }
    put('b.raw');
    expect(await commit()).toMatchObject({ code: 2, stderr: expect.stringContaining('has changed since the draft') });
    await draft();
    await sign('alice');
    await sign('carol');
    await kalos('operator', 'revoke', 'carol', '--dir', agent.directory);
    expect(await commit()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('2 operators must sign the change, and 1 has'),
    });
    expect(existsSync(join(photos, 'b.raw'))).toBe(true);
    writeFileSync(bent, '{}');
    expect(await commit(bent)).toMatchObject({ code: 2, stderr: expect.stringContaining('is not a change') });
  });
});
