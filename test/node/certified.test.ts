// Five real agents, and a service that the actuator of one of them touches by leave only: the witnesses' certificate over the very steps is
// judged where the privileges are, and neither a person's word to the agent nor what it says by itself does instead.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { AS_AGENT, freePort, kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const FAR_MS = 90_000;
const NAMES = ['anna', 'bert', 'cleo', 'dora', 'emil'];
const swarm = new RealSwarm();
const work = mkdtempSync(join(tmpdir(), 'kalos-certified-'));
let agent: RealAgent;

beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.log(swarm.agents.map((one) => `== ${one.name}\n${RealSwarm.outputOf(one)}`).join('\n')));
});
beforeAll(async () => {
  const place = join(work, 'anna');
  mkdirSync(place);
  writeFileSync(join(place, 'actuator.policy'), 'certify service shop\n', { mode: 0o600 });
  const port = await freePort();
  const command = [process.execPath, '-e', `require("node:http").createServer((_, a) => a.end()).listen(${port}, "127.0.0.1")`];
  const shop = `[[service]]\nname = "shop"\n${AS_AGENT}critical = true\nport = ${port}\ncommand = ${JSON.stringify(command)}\n`;
  for (const name of NAMES)
    await swarm.start(name, `mode = "act"\n${name === 'anna' ? shop : ''}`, undefined, name === 'anna' ? place : undefined);
  agent = swarm.agents[0] as RealAgent;
  await eventually(
    'a committee of three or more, and somebody to coordinate',
    async () => {
      const { coordinator, committee } = await swarm.nova(agent);
      return (coordinator !== null && committee.filter(({ seat }) => seat === 'voter').length >= 3) || undefined;
    },
    FAR_MS,
  );
});
afterAll(async () => {
  await swarm.stop();
  rmSync(work, { recursive: true, force: true });
});

const shopRow = async () => (await swarm.rows(agent, "select pid, state from services where name = 'shop' and node = 'anna'"))[0];
const running = (but = 0) =>
  eventually(
    'the shop to run',
    async () => {
      const row = await shopRow();
      return row?.state === 'running' && row.pid !== but ? Number(row.pid) : undefined;
    },
    FAR_MS,
  );
const resolved = () =>
  eventually('the incident to be over', async () => {
    const rows = await swarm.rows(agent, "select state from incidents where node = 'anna' and target = 'shop'");
    return (rows.length > 0 && rows.every(({ state }) => state === 'resolved')) || undefined;
  });
const actuatorLog = () => swarm.read(agent, join('actuator', 'actuator.log'));

describe('a service that is certified', () => {
  it('is started again by leave of its witnesses, which the actuator has judged', async () => {
    const before = await running();
    process.kill(before, 'SIGKILL');
    await running(before);
    await resolved();
    expect(actuatorLog()).toMatch(/ arm inc-\S+ .* bytes: ok\n/);
    expect(existsSync(join(agent.directory, 'actuator', 'leave'))).toBe(true);
    const [incident] = await swarm.rows(agent, "select id from incidents where node = 'anna' and target = 'shop'");
    const { stdout } = await kalos('explain', String(incident?.id), '--dir', (swarm.agents[3] as RealAgent).directory);
    expect(stdout).toContain('its witnesses and the swarm allow it');
  });

  it('is not touched at a person’s word to the agent, but by two operators’ signatures, once', async () => {
    const before = await running();
    const act = await kalos('act', 'service.restart', 'service=shop', '--dir', agent.directory);
    expect([act.code === 0, act.stdout + act.stderr]).toEqual([
      false,
      expect.stringContaining('it takes leave (certify service shop)'),
    ]);
    expect(await running()).toBe(before);
    const key = (name: string): string => join(work, `${name}.key`);
    for (const name of ['alice', 'bob']) await kalos('operator', 'add', name, '--key-file', key(name), '--dir', agent.directory);
    const file = join(work, 'order.json');
    const drafted = await kalos('change', 'draft', 'service.restart', 'service=shop', '--out', file, '--dir', agent.directory);
    expect([drafted.code, drafted.stderr]).toEqual([0, '']);
    for (const name of ['alice', 'bob']) await kalos('change', 'sign', file, '--operator-key', key(name));
    const done = await kalos('change', 'commit', file, '--dir', agent.directory);
    expect([done.code, done.stderr]).toEqual([0, '']);
    expect(await running(before)).not.toBe(before);
    expect(readFileSync(file, 'utf8')).toContain('"signatures"');
  });
});
