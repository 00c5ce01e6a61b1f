// A state directory that was copied, and both started, for real: both are told within seconds, and neither acts.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import type { MemberRow } from '../../node/link/membership-admin.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const WITHIN_MS = 20_000;

describe('a state directory of three that was copied, and both started', () => {
  const swarm = new RealSwarm();
  let [one, two]: RealAgent[] = [];
  let copy: RealAgent | undefined;
  const twinOf = async (agent: RealAgent | undefined): Promise<string | undefined> =>
    agent && ((await swarm.status(agent)).twin ?? undefined);

  beforeAll(async () => {
    one = await swarm.start('one', '');
    two = await swarm.start('two', '');
    const three = await swarm.start('three', '');
    await eventually('three members that see each other', async () => {
      const { members } = await swarm.status(three);
      return members.filter(({ state }) => state === 'alive').length === 3 || undefined;
    });
  });
  afterAll(() => swarm.stop());

  it('is found by the others, told on both, by status, members and doctor, and over when one stops', async () => {
    if (one === undefined || two === undefined) throw new Error('nobody is there');
    const place = `${two.directory}-copy`;
    execFileSync('cp', ['-a', two.directory, place]);
    copy = await swarm.start('copy', '', undefined, place);
    for (const agent of [two, copy])
      expect(await eventually('it to be told', () => twinOf(agent), WITHIN_MS)).toMatch(
        /^two agents have this key: another one runs on .*, process \d+, so neither of them acts; stop one of them/,
      );
    expect((await kalos('status', '--dir', copy.directory)).stdout).toMatch(/two agents have this key/);
    expect((await kalos('doctor', '--dir', two.directory)).stdout).toMatch(/failed {3}key +two agents have this key/);
    const at = one.directory;
    const members = await eventually('the first to tell of it', async () => {
      const ran = await kalos('members', '--dir', at);
      return ran.stderr.includes('two agents have the key of two, on ') ? ran : undefined;
    });
    expect(members.code).toBe(3);
    const rows = (await swarm.json<{ members: MemberRow[] }>(one, 'members')).members;
    expect(rows.map(({ name, state }) => `${name} ${state}`)).toEqual(['one alive', 'three alive', 'two alive']);
    await swarm.kill(copy);
    await eventually('it to be alone again', async () => ((await twinOf(two)) === undefined ? true : undefined), 90_000);
  });

  it('is no finding where an agent starts again, at another port too', async () => {
    if (one === undefined || two === undefined) throw new Error('nobody is there');
    for (const how of ['killed', 'killed', 'stopped'] as const) {
      if (how === 'killed') await swarm.kill(two);
      else {
        await kalos('down', '--dir', two.directory);
        await eventually('its end', () => two?.process.exitCode ?? undefined);
      }
      const moved: RealAgent = { ...two, port: two.port + 1 };
      swarm.agents[swarm.agents.indexOf(two)] = moved;
      two = await swarm.start('two', '', moved);
      const again = two;
      await eventually('it to be seen', async () => {
        const { members } = await swarm.status(again);
        return members.filter(({ state }) => state === 'alive').length === 3 || undefined;
      });
      expect((await swarm.json<AgentStatus>(two, 'status')).twin).toBeNull();
      const rows = (await swarm.json<{ members: MemberRow[] }>(one, 'members')).members;
      expect(rows.filter(({ twin }) => twin !== null)).toEqual([]);
    }
  });
});
