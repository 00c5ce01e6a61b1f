// Policies that come and go while an agent runs: at once, whole or not at all, and kept over a restart.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const swarm = new RealSwarm();
const place = mkdtempSync(join(tmpdir(), 'kalos-live-'));
let agent: RealAgent;
beforeAll(async () => {
  agent = await swarm.start('live', '');
});
afterAll(async () => {
  await swarm.stop();
  rmSync(place, { recursive: true });
});

const policy = (...args: string[]) => kalos('policy', ...args, '--dir', agent.directory);
/** Holds on every machine. */
const LIVES = (name: string, when: string, more = ''): string =>
  `[[policy]]\nname = "${name}"\nwhen = "${when}"\nsummary = "${name} holds"\n${more}\n`;
const ALWAYS = "metrics['system.process.count'] > 0.0";

function apply(text: string) {
  const file = join(place, 'bundle.toml');
  writeFileSync(file, text);
  return policy('apply', file);
}
const open = async (): Promise<string[]> => (await swarm.status(agent)).openIncidents.map(({ summary }) => summary).sort();

describe('a live policy', () => {
  it('is in force within a second, and so are its edit and its end', async () => {
    expect(await apply(LIVES('here', ALWAYS))).toMatchObject({ code: 0, stdout: 'here is active\n' });
    await eventually('the finding', async () => (await open()).includes('here holds') || undefined, 1_500);
    await apply(LIVES('here', "metrics['system.process.count'] < 0.0"));
    await eventually('its end', async () => !(await open()).includes('here holds') || undefined, 1_500);
    await apply(LIVES('here', ALWAYS));
    await eventually('the finding again', async () => (await open()).includes('here holds') || undefined, 1_500);
    expect((await policy('delete', 'here')).stdout).toBe('here is deleted\n');
    await eventually('its end', async () => !(await open()).includes('here holds') || undefined, 1_500);
    expect(await policy('delete', 'here')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no live policy here'),
    });
  });

  it('comes whole with its bundle or not at all; what is wrong is shown with its position and what was meant', async () => {
    await apply(LIVES('good', ALWAYS));
    const wrong = await apply(
      LIVES('good', "metrics['system.process.count'] < 0.0") + LIVES('bad', "metrics['system.memory.utilisation'] > 0.5"),
    );
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('no metric "system.memory.utilisation"; did you mean "system.memory.utilization"?');
    expect(wrong.stderr).toMatch(/ in column 10 of metrics\['system/);
    for (const [text, why] of [
      [LIVES('bad', '1 +'), /policy bad/],
      [LIVES('bad', 'service.memory > 1', 'scope = "service"'), /no field "memory"; did you mean "memory_bytes"/],
      [LIVES('bad', ALWAYS, 'remedy = { tool = "service.restrat" }'), /did you mean "service.restart"/],
      [
        LIVES('bad', ALWAYS, '[[policy.test]]\nname = "none"\nmetrics = { "system.process.count" = 3 }\nfires = false'),
        /its own test "none": it fires/,
      ],
      [LIVES('bad', ALWAYS, 'cooldwon_s = 3'), /cooldwon_s/],
      ['name = "x"', /only \[\[policy\]\] tables/],
    ] as const) {
      const refused = await apply(text);
      expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(why)]);
    }
    expect(await open()).toContain('good holds');
    expect((await policy('show', 'bad')).code).toBe(2);
  });

  it('can switch a shipped one off and on', async () => {
    expect((await policy('disable', 'zombies')).stdout).toBe('zombies is disabled\n');
    expect((await policy('list')).stdout).toMatch(/zombies +machine +disabled/);
    await policy('enable', 'zombies');
    expect((await policy('list')).stdout).toMatch(/zombies +machine +warning/);
  });

  it('outlives its agent', async () => {
    await apply(LIVES('kept', ALWAYS));
    agent.process.kill('SIGTERM');
    await eventually('its end', () => agent.process.exitCode !== null || undefined);
    agent = await swarm.start('live', '', agent);
    expect((await policy('show', 'kept')).stdout).toContain('origin: live');
    await eventually('the finding', async () => (await open()).includes('kept holds') || undefined, 5_000);
  });
});

describe('a threshold that learns', () => {
  it('is explained, and can be made to learn again', async () => {
    const shown = (await policy('show', 'cpu-pressure', '-o', 'json')).stdout;
    expect(JSON.parse(shown)).toMatchObject({ thresholds: { busy: { value: expect.any(Number), low: 60, high: 85 } } });
    expect((await policy('reset', 'cpu-pressure')).stdout).toBe('cpu-pressure relearns busy\n');
    expect((await policy('reset', 'disk-full')).code).toBe(2);
  });
});
