// Five real agents, and releases of KALOS for all of them: a good one that reaches all, and bad ones that do not get past the canary.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { UpgradesAnswer } from '../../node/api/upgrade-routes.ts';
import { kalos, RealSwarm } from '../support/agents.ts';
import { ask } from '../support/ask.ts';
import { eventually } from '../support/clock.ts';
import { patient } from '../support/patience.ts';
import { ReleaseMaker } from '../support/releases.ts';

const NAMES = ['anna', 'bert', 'cleo', 'dora', 'emil'];
const SILENCE_S = Math.ceil(patient(8_000) / 1_000);
const FAR_MS = 60_000;
const CONFIG = `upgrades = true
[[service]]
name = "web"
command = ["sleep", "100000"]
`;

const swarm = new RealSwarm({ KALOS_TRIAL_SILENCE: String(SILENCE_S) });
const releases = new ReleaseMaker();
const agent = (name: string) => swarm.agents.find((one) => one.name === name) ?? expect.fail(`no ${name}`);
const directory = (name: string): string => agent(name).directory;
const push = (file: string, ...more: string[]) =>
  kalos('upgrade', 'push', file, '--soak', '5', '--canary', 'dora', '--dir', directory('anna'), ...more);
const versions = async () => {
  const { versions: all } = await ask<UpgradesAnswer>(directory('bert'), '/v1/upgrades');
  return Object.fromEntries(all.map(({ node, version }) => [node, version]).sort());
};
const allRun = (version: string) =>
  eventually(
    `all to run ${version}`,
    async () => {
      const all = await versions().catch(() => ({}));
      return (Object.keys(all).length === NAMES.length && Object.values(all).every((one) => one === version)) || undefined;
    },
    FAR_MS,
  );
const pids = () =>
  Promise.all(
    NAMES.map(async (name) => {
      const { services } = await swarm.status(agent(name));
      return services[0]?.pid;
    }),
  );

beforeAll(async () => {
  await releases.open();
  await swarm.startAll(NAMES, () => CONFIG);
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.log(swarm.agents.map((one) => `== ${one.name}\n${RealSwarm.outputOf(one)}`).join('\n')));
});
afterAll(async () => {
  await swarm.stop();
  releases.close();
});

describe('a release', () => {
  it('that does well is on the canary, then on all, wave after wave, and services go on', async () => {
    const before = await pids();
    const { code, stdout, stderr } = await push(await releases.make('0.9.0'));
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^decision \d+: KALOS 0\.9\.0, canaries dora for 5 s\n1 member is healthy; next \w+\n/);
    expect([stdout.trim().split('\n').at(-1), code]).toEqual(['0.9.0 runs on all members', 0]);
    await allRun('0.9.0');
    expect(await pids()).toEqual(before);
    const { stdout: shown } = await kalos('upgrade', 'status', '--dir', directory('cleo'));
    expect(shown).toMatch(/^active {4}0\.9\.0 \(\w{8} of anna\)\nlast {6}\w{8} is on all members\nruns 0\.9\.0: /);
  });

  it.each([
    ['ends', 'setTimeout(() => process.exit(9), 6_000);', /dora: it exited \(exit code 9\)/],
    ['does not start', 'throw new Error("broken");', /dora: it exited \(exit code 1\)/],
    ['hangs', 'setTimeout(() => { for (;;); }, 4_000);', /dora: (it was out of the swarm for \d+ s|.*down)/],
  ])('that %s is seen on the canary, and all are on the last good one again', async (_what, first, reason) => {
    const before = await pids();
    const { code, stderr } = await push(await releases.make('0.9.1', first), '--soak', '20');
    expect([code, stderr]).toEqual([5, expect.stringMatching(/^kalos: rolled back to the last good release: /)]);
    expect(stderr).toMatch(reason);
    await allRun('0.9.0');
    expect(await pids()).toEqual(before);
    const others = NAMES.filter((name) => name !== 'dora').map((name) => RealSwarm.outputOf(agent(name)));
    for (const output of others) expect(output).not.toContain('restarting as release 0.9.1');
  });

  it('is an archive of KALOS, and nothing else', async () => {
    const file = join(releases.directory, 'no-release.tgz');
    writeFileSync(file, 'hello');
    const wrong = await push(file);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('not a tar.gz archive')]);
    const missing = await push(join(releases.directory, 'missing.tgz'));
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('create an archive of KALOS with: npm pack')]);
  });

  it('is kept when an agent starts again, and can be taken back', async () => {
    const emil = agent('emil');
    emil.process.kill('SIGTERM');
    await new Promise((resolve) => emil.process.once('exit', resolve));
    await swarm.start('emil', CONFIG, emil);
    await allRun('0.9.0');
    const before = await pids();
    const { stdout } = await kalos('upgrade', 'withdraw', '--reason', 'enough', '--dir', directory('anna'));
    expect(stdout).toMatch(/^decision \d+: the release is rolled back\n$/);
    await eventually(
      'all to run their own package',
      async () => {
        const all = Object.values(await versions().catch(() => ({})));
        return (all.length === NAMES.length && all.every((one) => one !== '0.9.0')) || undefined;
      },
      FAR_MS,
    );
    expect(await pids()).toEqual(before);
  });
});
