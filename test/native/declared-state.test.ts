// Whatever ends, and however: what is declared runs again, and only what a person stopped stays down, and is shown as such.
// The whole matrix of {reboot, upgrade, crash, stop in order} × {agent, actuator, both} × the ways in which they run, the ways side
// by side: they wait more than they compute.
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { kalos } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { ReleaseMaker } from '../support/releases.ts';
import { Setting, WAYS, type Way, type Who } from '../support/settings.ts';

const able = process.getuid?.() === 0;
const CONFIG = `
mode = "observe"
upgrades = true
[[service]]
name = "web"
command = ["sleep", "6000"]
[[service]]
name = "api"
after = ["web"]
command = ["sleep", "6001"]
[[service]]
name = "down"
command = ["sleep", "6002"]
[[service]]
name = "job"
task = true
command = ["true"]
`;

async function make({ onTestFinished }: TestContext, way: Way, config = CONFIG): Promise<Setting> {
  const setting = new Setting(way, config);
  onTestFinished(() => setting.close());
  await setting.up();
  return setting;
}

const releases = new ReleaseMaker();
const release = { version: '0.9.0', file: '' };
beforeAll(async () => {
  if (!able) return;
  await releases.open();
  release.file = await releases.make(release.version);
});
afterAll(() => releases.close());

/** As 0.3.0 wrote it on every stop: its reader cannot tell who stopped it. */
const OLD_ON_PURPOSE = 1;
const ON_PURPOSE_AT = 5;

type Event = readonly [what: string, who: Who, happens: (setting: Setting) => Promise<void>];
const EVENTS: readonly Event[] = [
  ...(['agent', 'actuator', 'both'] as const).flatMap((who): Event[] => [
    ['stop in order', who, (setting) => setting.end(who, 'SIGTERM')],
    ['crash', who, (setting) => setting.end(who, 'SIGKILL')],
  ]),
  ['reboot', 'both', (setting) => setting.reboot()],
  // The last: from then on the launcher watches over the agent.
  ['upgrade', 'agent', upgrade],
];

/** To another release's files over the same state; one service dies while nobody looks after it. */
async function upgrade(setting: Setting): Promise<void> {
  const { services } = await setting.status();
  const dies = services.find(({ name }) => name === 'api')?.pid ?? Number.NaN;
  await setting.upgrade(release, () => setting.kill(dies));
}

/**
 * Cells that are another cell: the first process's end is everybody's, and so is that of an agent with an actuator of its own; which the
 * agent leaves to go on at an upgrade, like one that is not its own.
 */
const isOther = (way: Way, what: string, who: Who): boolean =>
  (way === 'units' && what === 'upgrade') ||
  (way === 'init' && who === 'both') ||
  (way === 'own' && what === 'stop in order' && who === 'both');

async function declaredState(setting: Setting, what: string): Promise<void> {
  const status = await eventually(`web and api to run after: ${what}`, async () => {
    const now = await setting.status();
    const running = now.services.filter(({ state }) => state === 'running').map(({ name }) => name);
    return running.join() === 'web,api' ? now : undefined;
  });
  expect([what, status.services.find(({ name }) => name === 'down')]).toEqual([
    what,
    { name: 'down', state: 'stopped', pid: null, health: 'unknown', why: 'stopped by a person' },
  ]);
  expect([what, status.services.find(({ name }) => name === 'job')?.why]).toEqual([what, '']);
  // The machine may have incidents of its own: it is busy with other tests.
  const ofServices = status.openIncidents.filter(({ target }) => status.services.some(({ name }) => name === target));
  expect([what, ofServices]).toEqual([what, []]);
}

describe.skipIf(!able).concurrent('what is declared', () => {
  it.for(WAYS)('runs again whatever ends, and however (%s)', async (way, context) => {
    const setting = await make(context, way);
    const stopped = await kalos('act', 'service.stop', 'service=down', '--dir', setting.directory);
    expect([stopped.code, stopped.stdout]).toEqual([0, expect.stringContaining('confirmed')]);
    for (const [what, who, happens] of EVENTS) {
      if (isOther(way, what, who)) continue;
      const before = await setting.status();
      await happens(setting);
      await setting.up();
      await declaredState(setting, `${what} of ${who}`);
      // What nothing had ended is the same process.
      const survives = what === 'crash' && (who === 'agent' || way !== 'init');
      const pids = ({ services }: typeof before) => services.map(({ pid }) => pid);
      if (survives) expect([what, who, pids(await setting.status())]).toEqual([what, who, pids(before)]);
    }
  });

  it('runs again after an upgrade from 0.3.0, whose records cannot tell who stopped a service', async (context) => {
    const setting = await make(context, 'own');
    await setting.end('both', 'SIGTERM');
    setting.rewrite((record) => record.with(ON_PURPOSE_AT, OLD_ON_PURPOSE));
    await setting.up();
    const running = await eventually('all to run', async () => {
      const now = (await setting.status()).services.filter(({ state }) => state === 'running');
      return now.length === 3 ? now : undefined;
    });
    expect(running.map(({ name }) => name).sort()).toEqual(['api', 'down', 'web']);
  });

  it('and cannot run is reported, also where nobody may repair it', async (context) => {
    const strange = '[[service]]\nname = "strange"\nuser = "nobody-at-all"\ncommand = ["true"]\n';
    const setting = await make(context, 'own', `${CONFIG}${strange}`);
    const status = await eventually('it to be reported', async () => {
      const now = await setting.status();
      return now.conditions.ServicesReady === 'False' ? now : undefined;
    });
    expect(status.services.find(({ name }) => name === 'strange')).toMatchObject({ state: 'stopped', why: 'not started' });
    expect(status.openIncidents).toMatchObject([
      { target: 'strange', summary: expect.stringContaining('is down, and nobody stopped it') },
    ]);
  });
});
