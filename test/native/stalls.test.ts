// Who heals the healer: an agent whose loop stands still is ended and started again, and told of; an actuator that stands still
// is noticed by systemd, by a hardware watchdog, and by its agent. All real processes, with a limit of seconds for the tests; the cases
// wait more than they compute, so they run side by side, each in places of its own.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { encodeCbor } from '../../swarm/dissemination/cbor.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { kalos } from '../support/agents.ts';
import { askRows } from '../support/ask.ts';
import { eventually } from '../support/clock.ts';
import { buildVictim } from '../support/faults/place.ts';
import { lives, Setting } from '../support/settings.ts';

const able = process.getuid?.() === 0;
const LIMIT_MS = 5_000;
const LIMIT = ['--stall-limit', String(LIMIT_MS)];
const CONFIG = 'mode = "observe"\n[[service]]\nname = "web"\ncommand = ["sleep", "6000"]\n';
/** JavaScript that never comes back to the loop, in an agent of the test's own. */
const HANGS = { NODE_OPTIONS: '--import=data:text/javascript,process.on(%22SIGPWR%22,()=%3E{for(;;);})' };
/** As an agent under systemd's watchdog has it. */
const SUPERVISED = { WATCHDOG_USEC: '75000000' };
const HOUR_MS = 3_600_000;
type Told = Record<'id' | 'state' | 'outcome' | 'summary', string>;

beforeAll(buildSanitized);

function prepare({ onTestFinished }: TestContext, ...given: ConstructorParameters<typeof Setting>): Setting {
  const setting = new Setting(...given);
  onTestFinished(() => setting.close());
  return setting;
}

async function make(context: TestContext, ...given: ConstructorParameters<typeof Setting>): Promise<Setting> {
  const setting = prepare(context, ...given);
  await setting.up();
  return setting;
}

function makeActuator({ onTestFinished }: TestContext): TestActuator {
  const test = new TestActuator();
  onTestFinished(() => test.stop());
  return test;
}

/** The first of these that an agent tells of. */
const incident = (setting: Setting, policy: string, withinMs = 40_000): Promise<Told> =>
  eventually(
    `an incident of ${policy}`,
    async () => {
      const sql = `select id, state, outcome, summary from incidents where policy = '${policy}'`;
      return (await askRows(setting.directory, sql))[0] as Told | undefined;
    },
    withinMs,
  );
const explained = async (setting: Setting, { id }: Told): Promise<string> =>
  (await kalos('explain', id, '--dir', setting.directory)).stdout;
const left = (setting: Setting, why: string) =>
  eventually(`it to be left: ${why}`, () => setting.log().includes(`not killed: ${why}`) || undefined);

describe.skipIf(!able).concurrent('an agent whose loop stands still', () => {
  it('is ended and started again by the first process, and what was seen of it is kept; its services go on', async (context) => {
    const setting = await make(context, 'init', CONFIG, { actuator: LIMIT, environment: HANGS });
    const [agent, before] = [setting.pidOf('agent'), await setting.status()];
    process.kill(agent, 'SIGPWR');
    const beganMs = performance.now();
    await eventually('its end', () => !lives(agent) || undefined);
    expect(performance.now() - beganMs).toBeGreaterThan(LIMIT_MS - 2_500); // it may have sent its last beat that long before
    const told = await incident(setting, 'agent-stalled');
    expect(told).toMatchObject({ state: 'resolved', outcome: 'the agent was restarted' });
    expect(told.summary).toMatch(/^the agent was restarted: it did not respond for \d+ s$/);
    expect(await explained(setting, told)).toMatch(/it ran for \d{4,} ms, .*state R/);
    expect((await setting.status()).services).toEqual(before.services);
    expect(setting.pidOf('agent')).not.toBe(agent);
  });

  it('is ended where a supervisor starts it again, also where it is stopped by a signal', async (context) => {
    const setting = await make(context, 'units', CONFIG, { actuator: LIMIT, environment: SUPERVISED });
    const agent = setting.pidOf('agent');
    process.kill(agent, 'SIGSTOP');
    await eventually('its end', () => !lives(agent) || undefined);
    await eventually('the supervisor to know', async () => {
      await setting.up();
      return setting.pidOf('agent') !== agent || undefined;
    });
    expect(await explained(setting, await incident(setting, 'agent-stalled'))).toContain('state T');
  });

  it('is left where nobody would start it again, a debugger is at it, or it was ended five times within the hour; and told of', async (context) => {
    const alone = await make(context, 'own', CONFIG); // whose actuator has the ordinary limit
    const environment = { ...SUPERVISED, NODE_OPTIONS: '--inspect-port=0' };
    const [supervised, braked] = ['debugged', 'braked'].map(() =>
      prepare(context, 'units', CONFIG, { actuator: LIMIT, environment }),
    ) as [Setting, Setting];
    mkdirSync(braked.state, { mode: 0o711 });
    const earlier = [1, 2, 3, 4, 5].map((i) => [Date.now() - HOUR_MS + i * 100_000, 31_000, 1, 'before']);
    writeFileSync(join(braked.state, 'stalls'), encodeCbor(earlier), { mode: 0o600 });
    for (const setting of [supervised, braked]) await setting.up();
    process.kill(supervised.pidOf('agent'), 'SIGUSR1'); // opens Node's inspector
    await eventually('the inspector', () => supervised.said.includes('Debugger listening') || undefined);
    await new Promise((resolve) => setTimeout(resolve, 2_500)); // a beat, to say so
    const pids = [alone, supervised, braked].map((setting) => setting.pidOf('agent'));
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    await Promise.all([
      left(supervised, 'a debugger is attached'),
      left(braked, 'it was already killed 5 times within an hour'),
      eventually('it to be left', () => alone.log().includes('nothing would restart it') || undefined, 45_000),
    ]);
    expect(pids.map(lives)).toEqual([true, true, true]);
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    const told = await incident(alone, 'agent-stalled');
    expect(told).toMatchObject({
      outcome: 'the agent responds again',
      summary: expect.stringMatching(/did not respond for 3\d s$/),
    });
  });

  it('is none that waits for its services to end', async (context) => {
    const test = makeActuator(context);
    await test.start({ arguments: ['--owned', ...LIMIT] });
    const deaf = ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done'];
    const client = await test.client([{ name: 'deaf', command: deaf, stop: { graceMs: LIMIT_MS + 3_000 } }]);
    await client.bringUp('deaf');
    const log = join(test.state, 'services', 'deaf.log');
    await eventually('it to be deaf', () => readFileSync(log, 'utf8').includes('ready') || undefined);
    await client.close();
    expect(test.log()).toMatch(/shutting down\n(?:(?!no heartbeat)[\s\S])*ended\n$/);
  });

  it('of an earlier version, which sends no heartbeat, is not judged', async (context) => {
    const test = makeActuator(context);
    await test.start({ arguments: LIMIT });
    const raw = await test.raw();
    expect(await raw.ask('hello')).toMatchObject({ code: 0 });
    await new Promise((resolve) => setTimeout(resolve, LIMIT_MS + 2_000));
    expect(test.log()).not.toContain('no heartbeat');
    expect(await raw.ask('services')).toMatchObject({ code: 0 });
  });
});

describe.concurrent('an actuator that stands still', () => {
  it('no longer tells systemd nor a hardware watchdog that it lives; one that ends in order tells both', async (context) => {
    const place = mkdtempSync(join(tmpdir(), 'kalos-alive-'));
    context.onTestFinished(() => rmSync(place, { recursive: true }));
    const [device, socket] = [join(place, 'watchdog'), join(place, 'notify')];
    writeFileSync(device, '');
    const systemd = spawn(buildVictim(place), ['notify', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
    context.onTestFinished(() => void systemd.kill('SIGKILL'));
    let said = '';
    systemd.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    await eventually('the socket', () => said.includes('listening') || undefined);
    const test = makeActuator(context);
    const environment = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '400000' };
    const env = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    await test.start({ under: ['env', ...env], arguments: ['--watchdog', device] });
    await eventually('signs of life', () => /READY=1\n(WATCHDOG=1\n){3}/.test(said) || undefined);
    const pings = () => readFileSync(device, 'latin1');
    await eventually('pings', () => pings().length >= 2 || undefined);
    test.process?.kill('SIGSTOP');
    await new Promise((resolve) => setTimeout(resolve, 300)); // what was on its way
    const [before, count] = [said, pings().length];
    await new Promise((resolve) => setTimeout(resolve, 5_500));
    expect([said, pings().length]).toEqual([before, count]);
    test.process?.kill('SIGCONT');
    await test.kill('SIGTERM');
    await eventually('the end to be told', () => said.includes('STOPPING=1') || undefined);
    expect(pings()).toMatch(/^\0+V$/);
  });

  it('is told of by its agent, until it answers again', async (context) => {
    if (!able) return;
    const setting = await make(context, 'units', CONFIG);
    process.kill(setting.pidOf('actuator'), 'SIGSTOP');
    const told = await incident(setting, 'actuator-silent');
    expect(told.summary).toContain('the actuator of this machine does not answer');
    expect((await setting.status()).conditions.Ready).toBe('False');
    process.kill(setting.pidOf('actuator'), 'SIGCONT');
    await eventually('it to clear', async () => (await setting.status()).conditions.Ready === 'True' || undefined);
  });
});
