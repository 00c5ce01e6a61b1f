// Five real agents, a service that each declares and one runs, and a resource that it writes to.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { kalos, RealSwarm } from '../support/agents.ts';
import { FailOverRange } from '../support/fail-over.ts';

const range = new FailOverRange();
beforeAll(() => range.start(), 120_000);
beforeEach(({ onTestFailed }) => {
  onTestFailed(() => console.log(range.swarm.agents.map((agent) => `== ${agent.name}\n${RealSwarm.outputOf(agent)}`).join('\n')));
});
afterAll(() => range.stop());

describe('a service for fail-over', () => {
  it('that cannot run where it was runs on another member, and any other tells why', async () => {
    const { from, to, story } = await range.failOver(false);
    expect([range.wrong, from === to]).toEqual([[], false]);
    expect(story?.outcome).toBe(`db runs on ${to} now`);
    const told = story?.steps.map(({ stage, text }) => `${stage}: ${text}`).join('\n') ?? '';
    expect(told).toMatch(/undo: failed: did not help/);
    expect(told).toMatch(new RegExp(`act: db was given up at decision \\d+: service.restart did not help on ${from}`));
    expect(told).toMatch(new RegExp(`act: ${to} has it, under fence \\d+`));
    const { stdout } = await kalos('nova', 'status', '--dir', range.agent(from).directory);
    expect(stdout).toMatch(new RegExp(`db +${to} `));
  });

  it('does so though the coordinator is killed meanwhile', async () => {
    const { from, to, killed } = await range.failOver(true);
    expect([range.wrong, from === to, killed === undefined]).toEqual([[], false, false]);
  });

  it('is moved when a person wants it', async () => {
    const before = (await range.nova()).placements[0]?.node;
    const { code, stdout } = await kalos('failover', 'db', '--dir', range.agent('anna').directory, '--reason', 'maintenance');
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^decision \d+: whoever runs db gives it up/)]);
    await range.settledElsewhere(before ?? '');
    expect([range.wrong, (await range.nova()).placements[0]?.reason]).toEqual([[], 'maintenance']);
  });
});
