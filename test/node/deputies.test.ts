// The first issuer is gone, for real: others let machines in, with its tokens and with their own.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MemberRow } from '../../node/link/membership-admin.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

describe('a swarm of three whose founder is gone', () => {
  const swarm = new RealSwarm();
  let [one, two, three]: RealAgent[] = [];
  let token = '';
  const members = async (agent: RealAgent | undefined): Promise<MemberRow[]> =>
    agent === undefined ? [] : await swarm.members(agent);

  beforeAll(async () => {
    one = await swarm.start('one', '');
    two = await swarm.start('two', '');
    three = await swarm.start('three', '');
    await eventually(
      'three issuers',
      async () => (await members(three)).filter(({ issuer, state }) => issuer && state === 'alive').length === 3 || undefined,
      90_000,
    );
    token = await swarm.token(one);
    await swarm.kill(one);
  });
  afterAll(() => swarm.stop());

  it('has two deputies, which members and the log show', async () => {
    expect((await members(two)).map(({ name, issuer, deputy }) => [name, issuer, deputy])).toEqual([
      ['one', true, false],
      ['three', true, true],
      ['two', true, true],
    ]);
    if (one === undefined) throw new Error('nobody is there');
    expect(RealSwarm.outputOf(one).match(/is now a deputy issuer: it admits members/g)).toHaveLength(2);
  });

  it('lets a machine in with a token of the founder’s, once, and with one of a deputy’s', async () => {
    if (two === undefined || three === undefined) throw new Error('nobody is there');
    await eventually(
      'the founder to be known as gone',
      async () => (await members(two)).some(({ name, state }) => name === 'one' && state !== 'alive') || undefined,
    );
    // Each joins with the token that its configuration has.
    const others = swarm.agents.splice(0);
    const withToken = (text: string): string => `join = ["${text}"]\n`;
    const tokens = { four: token, five: await swarm.token(three) };
    for (const [name, text] of Object.entries(tokens)) {
      others.push(await swarm.start(name, withToken(text)));
      swarm.agents.splice(0);
    }
    swarm.agents.push(...others);
    await eventually(
      'all to be seen',
      async () => (await members(two)).filter(({ state }) => state === 'alive').length === 4 || undefined,
    );
    const place = `${two.directory}-other`;
    const again = await kalos('up', '--dir', place, '--name', 'six', '--listen', '127.0.0.1:0', '--join', token);
    expect(again.stderr).toMatch(/cannot join: .*the token was used already/);
    expect(again.code).toBe(5);
  });

  it('revokes nobody by a deputy', async () => {
    if (two === undefined) throw new Error('nobody is there');
    const refused = await kalos('members', 'revoke', 'three', '--dir', two.directory);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/only a deputy issuer and cannot revoke a membership: use one/);
  });
});
