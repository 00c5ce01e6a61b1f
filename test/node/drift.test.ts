// Declared things on the real machine: what somebody changes is put right through the actuator, by a real agent.
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import { type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const place = mkdtempSync(join(tmpdir(), 'kalos-drift-'));
const data = join(place, 'data');
const [config, log] = [join(data, 'app.conf'), join(data, 'app.log')];
const state = join(place, 'state');
const swarm = new RealSwarm();
let agent: RealAgent;

const CONFIG = `
mode = "act"
[[service]]
name = "app"
command = ["sh", "-c", "trap 'echo reloaded' HUP; while :; do sleep 0.05; done"]
[[file]]
path = "${config}"
content = "port = 80\\n"
mode = "640"
reload = "app"
[[log]]
path = "${log}"
max_bytes = 5000
keep = 2
[[file]]
path = "/etc/kalos-not-allowed.conf"
content = ""
`;

beforeAll(async () => {
  mkdirSync(data);
  mkdirSync(state);
  writeFileSync(log, '');
  writeFileSync(config, 'port = 80\n');
  chmodSync(config, 0o640);
  writeFileSync(join(state, 'actuator.policy'), `allow path ${data}\n`, { mode: 0o600 });
  agent = await swarm.start('solo', CONFIG, undefined, state);
});
afterAll(async () => {
  await swarm.stop();
  rmSync(place, { recursive: true, force: true });
});

const outcome = (policy: string, count: number) =>
  eventually(`${count} × ${policy}`, async () => {
    const rows = await swarm.rows(agent, `select outcome from incidents where policy = '${policy}' and outcome != ''`);
    return rows.length >= count ? rows.map((row) => row.outcome) : undefined;
  });

describe('a declared file', () => {
  it('that was changed is as declared again, and its service reloaded', async () => {
    writeFileSync(config, 'port = 666\n');
    expect(await outcome('file-drift', 1)).toEqual(['fs.write, service.reload helped']);
    expect(readFileSync(config, 'utf8')).toBe('port = 80\n');
    expect(readFileSync(join(state, 'actuator', 'services', 'app.log'), 'utf8')).toContain('reloaded');
  });

  it('that was deleted, or whose mode was changed, is too', async () => {
    rmSync(config);
    expect((await outcome('file-drift', 2)).length).toBe(2);
    chmodSync(config, 0o666);
    expect((await outcome('file-drift', 3)).length).toBe(3);
    expect([readFileSync(config, 'utf8'), statSync(config).mode & 0o777]).toEqual(['port = 80\n', 0o640]);
  });
});

describe('a declared log', () => {
  it('that grew too large is rotated', async () => {
    appendFileSync(log, 'line\n'.repeat(2_000));
    expect(await outcome('log-growth', 1)).toEqual(['fs.rotate helped']);
    expect(
      readdirSync(data)
        .filter((name) => name.startsWith('app.log'))
        .sort(),
    ).toEqual(['app.log', 'app.log.1']);
  });
});

describe('a declared thing that the actuator’s policy keeps from view', () => {
  it('is told as unseen, never as well', async () => {
    const { unseen } = await swarm.json<AgentStatus>(agent, 'status');
    expect(unseen).toEqual([{ name: '/etc/kalos-not-allowed.conf', reason: expect.stringContaining('does not allow') }]);
  });
});
