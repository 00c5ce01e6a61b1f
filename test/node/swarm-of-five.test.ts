// Five real agents: a service that each declares and one runs, with a resource that it writes to; and policies for all of them.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { KnownPolicy } from '../../node/agent/policies.ts';
import type { BundlesAnswer } from '../../node/api/bundle-routes.ts';
import type { NovaAnswer } from '../../node/api/decision-routes.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { ask } from '../support/ask.ts';
import { eventually } from '../support/clock.ts';
import { FailOverRange } from '../support/fail-over.ts';

const range = new FailOverRange();
beforeAll(() => range.start());
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
    expect(told).toMatch(new RegExp(`act: db was released at decision \\d+: service.restart did not help on ${from}`));
    expect(told).toMatch(new RegExp(`act: placed on ${to}, fence \\d+`));
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
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^decision \d+: db moves to another member/)]);
    await range.settledElsewhere(before ?? '');
    expect([range.wrong, (await range.nova()).placements[0]?.reason]).toEqual([[], 'maintenance']);
  });

  it('leaves a member that a person drains, which takes nothing until that ends', async () => {
    const before = (await range.nova()).placements[0]?.node ?? '';
    const anna = ['--dir', range.agent('anna').directory];
    const { code, stdout } = await kalos('drain', before, '--reason', 'new memory', ...anna);
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^decision \d+: \w+ is drained for 1 h; end it with: kalos undrain/),
    ]);
    await range.settledElsewhere(before);
    expect([range.wrong, (await range.nova()).drained]).toEqual([
      [],
      [expect.objectContaining({ node: before, reason: 'new memory' })],
    ]);
    const shown = await kalos('nova', 'status', ...anna);
    expect(shown.stdout).toMatch(new RegExp(`DRAINED +UNTIL +REASON\n${before} +\\S+ \\S+ +new memory`));
    const moved = await kalos('failover', 'db', ...anna);
    expect(moved.code).toBe(0);
    await range.settledElsewhere((await range.nova()).placements[0]?.node ?? '');
    expect((await range.nova()).placements[0]?.node).not.toBe(before);
    expect((await kalos('undrain', before, ...anna)).stdout).toMatch(/^decision \d+: \w+ is undrained\n$/);
    expect((await range.nova()).drained).toEqual([]);
  });
});

describe('policies for all machines', () => {
  const policy = (name: string, when: string) =>
    `[[policy]]\nname = "${name}"\nscope = "machine"\nseverity = "warning"\nsummary = "too much"\nwhen = "${when}"\n`;
  const push = (toml: string, ...more: string[]) => {
    const file = join(range.agent('anna').directory, 'bundle.toml');
    writeFileSync(file, toml);
    return kalos('policy', 'push', file, '--soak', '5', '--dir', range.agent('anna').directory, ...more);
  };
  const originsOf = async (agent: RealAgent) => {
    const policies = await ask<KnownPolicy[]>(agent.directory, '/v1/policies');
    return policies.filter(({ origin }) => origin === 'swarm').map(({ policy }) => policy.name);
  };
  const everywhere = (names: string[]) =>
    eventually('all to have them', async () => {
      const all = await Promise.all(range.swarm.agents.map(originsOf));
      return all.every((some) => some.join() === names.join()) || undefined;
    });

  it('are tried on one, then in force on all', async () => {
    const { code, stdout, stderr } = await push(policy('swamped', "metrics['system.load.1m'] > 9999.0"));
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      /^decision \d+: canaries \w+ for 5 s\n(\d members? (is|are) healthy; next \w+\n)+active on all members\n$/,
    );
    await everywhere(['swamped']);
  });

  it('are taken back from the canary where they do harm, and the last good ones are in force everywhere', async () => {
    const { code, stderr } = await push(policy('nervous', "metrics['system.load.1m'] >= 0.0"), '--canary', 'dora');
    expect([code, stderr]).toEqual([5, expect.stringMatching(/rolled back.*dora: nervous found "too much"/)]);
    await everywhere(['swamped']);
    // A member that is not a canary has had the good ones all the while: the decision reaches it a moment later.
    const { outcome } = await eventually('another member to know that they were taken back', async () => {
      const { ended } = await range.swarm.json<BundlesAnswer>(range.agent('emil'), 'policy', 'bundle');
      return ended ?? undefined;
    });
    expect(outcome).toBe('back');
    const [row] = await range.swarm.rows(
      range.agent('bert'),
      "select count(distinct node) as n from incidents where policy = 'nervous'",
    );
    expect(row?.n).toBe(1);
  });

  it('that are none are refused before anything is tried', async () => {
    const { code, stderr } = await push(policy('wrong', "metrics['system.load.1m' > 1"));
    expect([code, stderr]).toEqual([2, expect.stringContaining('policy wrong')]);
  });
});

describe('a committee that is lost', () => {
  it('begins again by one command, and goes on with what it had decided', async () => {
    const { committee } = await range.swarm.json<NovaAnswer>(range.agent('anna'), 'nova', 'status');
    const voters = committee.filter(({ seat }) => seat === 'voter').map(({ node }) => node);
    expect(voters.length).toBeGreaterThanOrEqual(3);
    // Most of it, and its machines, for good; the founder, where the root key is, stays. Those that do not vote come last.
    const others = range.swarm.agents
      .filter(({ name }) => name !== 'anna')
      .sort((a, b) => Number(voters.includes(b.name)) - Number(voters.includes(a.name)))
      .slice(0, 3);
    await Promise.all(others.map((agent) => range.swarm.kill(agent)));
    const anna = range.agent('anna').directory;
    await eventually('nobody to coordinate', async () => ((await range.nova()).coordinator === null ? true : undefined), 60_000);
    const asked = await kalos('recover', '--dir', anna);
    expect([asked.code, asked.stdout]).toEqual([4, expect.stringContaining('Then repeat the command with --yes')]);
    const done = await kalos('recover', '--yes', '--dir', anna);
    expect([done.code, done.stdout + done.stderr]).toEqual([0, expect.stringMatching(/leader \w+, term \d+/)]);
    const bundles = await range.swarm.json<BundlesAnswer>(range.agent('anna'), 'policy', 'bundle');
    expect(bundles.good?.policies).toEqual(['swamped']);
    const again = await kalos('recover', '--yes', '--dir', anna);
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining(': nothing to recover')]);
    // The service runs again, on one that is left.
    await range.settled();
    expect(range.wrong).toEqual([]);
  });
});
