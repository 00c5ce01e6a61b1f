// A running agent whose configuration changes: SIGHUP and `kalos config reload` take what can be changed under way, say what needs a restart, and
// leave what was in force where the new one is wrong. `kalos config show` is of the agent that runs. The page goes where there is room.
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const OWN = `[[policy]]
name = "mine"
when = "metrics['system.load.1m'] > 1000.0"
summary = "load"
`;

describe('a running agent', () => {
  const taken = createServer();
  let swarm: RealSwarm;
  let agent: RealAgent;
  let port = 0;
  const write = (text: string): void => writeFileSync(`${agent.directory}.toml`, text);
  const says = (words: RegExp): Promise<string> =>
    eventually(`the agent to say ${words}`, () => RealSwarm.outputOf(agent).match(words)?.[0]);

  beforeAll(async () => {
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    port = (taken.address() as { port: number }).port;
    swarm = new RealSwarm({ KALOS_API_LISTEN: `127.0.0.1:${port}` });
    agent = await swarm.start('ada', 'mode = "observe"\n');
  });
  afterAll(async () => {
    await swarm.stop();
    taken.close();
  });

  it('has its page on the next port that is free, and says so', async () => {
    await says(new RegExp(`port ${port} is in use by another program: the web UI is at http://127\\.0\\.0\\.1:\\d+`));
    const { page } = await swarm.json<AgentStatus>(agent, 'status');
    expect(page).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(page).not.toContain(`:${port}`);
    expect((await fetch(`${page}/metrics`)).status).toBe(200);
  });

  it('shows the configuration that it has in force, not that of the files and of the shell', async () => {
    const shown = await kalos('config', 'show', '--origin', '--dir', agent.directory);
    expect(shown.stdout).toMatch(new RegExp(`api\\.listen +"127\\.0\\.0\\.1:${port}" +environment`));
    expect(shown.stdout).toMatch(new RegExp(`mode +"observe" +${agent.directory}.toml`));
    expect(shown.stdout).toMatch(/name +"ada" +flags/);
  });

  it('takes what it can on SIGHUP, and names what needs a restart', async () => {
    write(`mode = "act"\nmdns = false\n${OWN}`);
    agent.process.kill('SIGHUP');
    await says(/applied: mode: "observe" → "act"/);
    await says(/applied: policy\.mine added/);
    await says(/needs a restart of the agent: mdns: true → false/);
    const policies = await kalos('policy', 'list', '--dir', agent.directory);
    expect(policies.stdout).toContain('mine');
    expect((await swarm.json<AgentStatus>(agent, 'status')).mode).toBe('act');
    const audit = await kalos('audit', 'list', '--dir', agent.directory);
    expect(audit.stdout).toContain('configuration: applied: mode');
  });

  it('keeps what was in force where the new one is wrong', async () => {
    write('mode = "destroy"\n');
    agent.process.kill('SIGHUP');
    await says(/invalid; the old one stays active: .*mode = "destroy": must be "observe" or "advise" or "act"/);
    write(`[[policy]]\nname = "bad"\nwhen = "metrics["\nsummary = "x"\n`);
    const refused = await kalos('config', 'reload', '--dir', agent.directory);
    expect([refused.code, refused.stdout]).toEqual([2, expect.stringContaining('the old one stays active')]);
    expect((await swarm.json<AgentStatus>(agent, 'status')).mode).toBe('act');
    write(`mode = "act"\nmdns = false\n${OWN}`);
    const again = await kalos('config', 'reload', '--dir', agent.directory);
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('needs a restart of the agent: mdns')]);
  });

  it('keeps the newest of its own log, as it wrote it, and takes another level at once', async () => {
    const log = (...more: string[]) => kalos('log', 'agent', '--dir', agent.directory, ...more);
    const shown = (await log('-n', '1000')).stdout;
    const written = RealSwarm.outputOf(agent);
    for (const line of shown.split('\n')) expect(written).toContain(line);
    expect(shown).toMatch(/^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d info {2}applied: mode: "observe" → "act"$/m);
    expect((await log('--level', 'warn')).stdout).not.toMatch(/ info /);
    write(`mode = "act"\nmdns = false\nagent_log = { level = "debug", format = "json" }\n${OWN}`);
    const reloaded = await kalos('reload', '--dir', agent.directory);
    expect([reloaded.code, reloaded.stdout]).toEqual([0, expect.stringContaining('applied: agent_log.level: "info" → "debug"')]);
    await kalos('status', '--dir', agent.directory);
    await says(/^\{"time":"20[^"]*Z","level":"debug","text":"GET \/v1\/status by this machine"\}$/m);
    expect((await log('--since', '1h', '-n', '1', '-o', 'json')).stdout).toContain('"text": "GET /v1/status by this machine"');
  });
});
