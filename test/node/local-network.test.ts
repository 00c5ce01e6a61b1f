// Members on one local network whose addresses have all changed find each other by multicast DNS. In a network namespace of its own.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const NAMESPACE = `kalos-mdns-${process.pid}`;
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' });

function canNamespaces(): boolean {
  try {
    ip('netns', 'add', NAMESPACE);
    return true;
  } catch {
    return false;
  }
}

describe.runIf(canNamespaces())('on a local network (root, iproute2)', () => {
  let swarm: RealSwarm;

  beforeAll(() => {
    const inside = (...args: string[]) => ip('-n', NAMESPACE, ...args);
    inside('link', 'set', 'lo', 'up');
    inside('link', 'add', 'lan', 'type', 'veth', 'peer', 'name', 'switch');
    inside('link', 'set', 'switch', 'up');
    inside('address', 'add', '192.0.2.1/24', 'dev', 'lan');
    inside('link', 'set', 'lan', 'up', 'multicast', 'on');
    inside('route', 'add', '224.0.0.0/4', 'dev', 'lan');
    swarm = new RealSwarm({}, NAMESPACE);
  });
  afterAll(async () => {
    await swarm.stop();
    ip('netns', 'delete', NAMESPACE);
  });

  const sees = async (agent: RealAgent) => (await swarm.members(agent)).map(({ name, state }) => `${name} ${state}`).sort();

  it('finds members whose addresses have changed while all of them were off', async () => {
    const one = await swarm.start('one', '');
    const two = await swarm.start('two', '');
    await eventually('both to see both', async () => (await sees(one)).join() === 'one alive,two alive' || undefined);
    const before = [one.address, two.address];
    for (const agent of [one, two]) await new Promise((resolve) => agent.process.once('exit', resolve).kill('SIGKILL'));
    const [first, second] = [await swarm.start('one', '', one), await swarm.start('two', '', two)];
    expect(before).not.toContain(first.address);
    expect(before).not.toContain(second.address);
    await eventually('both to see both again', async () => (await sees(first)).join() === 'one alive,two alive' || undefined);
  });

  it('leaves them alone where it is told not to look', async () => {
    const [one, two] = swarm.agents as [RealAgent, RealAgent];
    for (const agent of [one, two]) await new Promise((resolve) => agent.process.once('exit', resolve).kill('SIGKILL'));
    const first = await swarm.start('one', 'mdns = false', one);
    await swarm.start('two', '', two);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(await sees(first)).toEqual(['one alive', expect.stringMatching(/two (unreachable|down)/)]);
  });
});
