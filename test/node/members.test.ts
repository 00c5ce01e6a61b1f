// Who belongs, as a person has it: tokens, names, operators, revocation and leaving, with three real agents on loopback.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MemberRow } from '../../node/link/membership-admin.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const swarm = new RealSwarm();
let one: RealAgent;
let two: RealAgent;
let three: RealAgent;

const on = (agent: RealAgent, ...args: string[]) => kalos(...args, '--dir', agent.directory);
const statesOf = (members: readonly MemberRow[]) => Object.fromEntries(members.map(({ name, state }) => [name, state]));
const states = async (agent: RealAgent) => statesOf(await swarm.members(agent));
/** Those too that were removed, by the command line. */
const allStates = async (agent: RealAgent) =>
  statesOf((await swarm.json<{ members: MemberRow[] }>(agent, 'members', 'list', '--all')).members);

beforeAll(async () => {
  one = await swarm.start('one', 'issuers = 1\n'); // what deputies may is in deputies.test.ts
  [two, three] = await Promise.all([swarm.start('two', ''), swarm.start('three', '')]);
  await eventually('all to see all', async () => {
    const seen = await Promise.all(swarm.agents.map((agent) => states(agent)));
    return seen.every((view) => Object.values(view).join() === 'alive,alive,alive') || undefined;
  });
});
afterAll(() => swarm.stop());

describe('a private swarm', () => {
  const closed = new RealSwarm({}, undefined, ['--private']);
  afterAll(() => closed.stop());

  let first: RealAgent;
  let second: RealAgent;

  it('has its newcomer back that was killed as soon as it was let in', async () => {
    first = await closed.start('first', '');
    second = await closed.start('second', '');
    second.process.kill('SIGKILL');
    second = await closed.start('second', '', second);
    await eventually('it to be back', async () => (await states(first)).second === 'alive' || undefined);
  });

  it('gets a new network key, which all have, and in which they meet again', async () => {
    const keys = (agent: RealAgent) => closed.read(agent, 'network.key').trim().split('\n');
    expect(keys(second)).toEqual(keys(first));
    expect((await on(second, 'network-key', 'rotate')).stderr).toMatch(/not an issuer/);
    const rotated = await on(first, 'network-key', 'rotate', '--keep', '1d');
    expect([rotated.code, rotated.stdout]).toEqual([0, expect.stringMatching(/new network key[\s\S]*older keys stay valid/)]);
    await eventually('the other to have it', () => keys(second).length === 2 || undefined);
    expect(keys(second)).toEqual(keys(first));
    second.process.kill('SIGKILL');
    second = await closed.start('second', '', second);
    await eventually('it to be back', async () => (await states(first)).second === 'alive' || undefined);
    await closed.start('third', '');
    expect((await on(one, 'network-key', 'rotate')).stderr).toMatch(/no network key.*--private/);
  });
});

describe('joining', () => {
  it('keeps keys to itself, and a token for the one machine that it was for', async () => {
    const root = join(one.directory, 'root', '1.key');
    expect([statSync(root).mode & 0o777, existsSync(join(two.directory, 'root'))]).toEqual([0o600, false]);
    const token = await swarm.token(one);
    const made = JSON.parse((await on(one, 'token', 'list', '-o', 'json')).stdout) as { tokens: { usesLeft: number }[] };
    expect(made.tokens.map(({ usesLeft }) => usesLeft).sort()).toEqual([0, 0, 1]);
    const elsewhere = await kalos('up', '--dir', join(one.directory, '..', 'cut'), '--join', token.slice(0, -2));
    expect([elsewhere.code, elsewhere.stderr]).toEqual([2, expect.stringMatching(/cut short or mistyped/)]);
    const bare = await kalos('up', '--dir', join(one.directory, '..', 'bare'), '--join', one.address);
    expect([bare.code, bare.stderr]).toEqual([2, expect.stringMatching(/joining needs a token[\s\S]*kalos token create/)]);
    const used = await swarm.token(one, '--ttl', '1s');
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const late = await kalos('up', '--dir', join(one.directory, '..', 'late'), '--listen', '127.0.0.1:0', '--join', used);
    expect([late.code, late.stderr]).toEqual([5, expect.stringMatching(/the token has expired/)]);
    expect(existsSync(join(one.directory, '..', 'late', 'actuator', 'sock'))).toBe(false);
  });

  it('is an issuer’s to allow', async () => {
    const refused = await on(two, 'token', 'create');
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringMatching(/not an issuer.*use one/)]);
  });
});

describe('a member', () => {
  it('is shown, renamed, and found by its new name everywhere', async () => {
    expect((await on(one, 'members', 'show', 'two')).stdout).toMatch(/two {2}alive[\s\S]*certificate {2}until/);
    expect((await on(one, 'members', 'show', 'nobody')).stderr).toMatch(/no member is called nobody/);
    expect((await on(one, 'members', 'rename', 'two', 'zwei')).code).toBe(0);
    expect((await on(one, 'members', 'rename', 'three', 'zwei')).stderr).toMatch(/the name zwei is already taken/);
    await eventually('all to know the name', async () => {
      const seen = await Promise.all(swarm.agents.map((agent) => states(agent)));
      return seen.every((view) => view.zwei === 'alive' && view.two === undefined) || undefined;
    });
    expect((await swarm.json<{ name: string }>(two, 'status')).name).toBe('zwei');
  });

  it('that is killed is down within seconds, and back without a token', async () => {
    three.process.kill('SIGKILL');
    await eventually('both to hold it for down', async () => {
      const seen = await Promise.all([one, two].map((agent) => states(agent)));
      return seen.every((view) => view.three === 'down') || undefined;
    });
    expect((await on(one, 'members')).code).toBe(3);
    three = await swarm.start('three', '', three);
    await eventually('it to be back', async () => (await states(one)).three === 'alive' || undefined);
  });

  it('that is revoked is cut off everywhere, is told why, and is not let in again', async () => {
    expect((await on(three, 'members', 'revoke', 'zwei')).stderr).toMatch(/not an issuer/);
    expect((await on(one, 'members', 'revoke', '')).stderr).toMatch(/no member is called ""/);
    expect((await on(one, 'members', 'revoke', 'zwei', '--reason', 'a test')).code).toBe(0);
    await eventually('three to know', async () => (await allStates(three)).zwei === 'removed' || undefined);
    await eventually('it to be told', () => /rejected by a member: its membership was revoked/.test(RealSwarm.outputOf(two)));
    expect((await states(one)).zwei).toBeUndefined();
  });
});

describe('an operator', () => {
  it('gets a key of their own, which the swarm knows; root keys that are elsewhere must be named', async () => {
    const key = join(one.directory, 'anna.key');
    expect((await on(one, 'operator', 'add', 'anna', '--key-file', key)).code).toBe(0);
    expect(statSync(key).mode & 0o777).toBe(0o600);
    await eventually('three to know', async () => /anna/.test((await on(three, 'operator', 'list')).stdout) || undefined);
    const away = join(one.directory, '..', 'vault');
    expect((await on(three, 'operator', 'add', 'bob', '--key-file', join(three.directory, 'bob.key'))).stderr).toMatch(
      /1 root keys must sign, 0 available/,
    );
    expect(existsSync(join(three.directory, 'bob.key'))).toBe(false);
    expect((await on(one, 'root', 'export', away)).stdout).toMatch(/1 root key copied/);
    const named = await on(
      three,
      'operator',
      'add',
      'bob',
      '--key-file',
      join(three.directory, 'bob.key'),
      '--root-key',
      join(away, '1.key'),
    );
    expect([named.code, named.stderr]).toEqual([0, '']);
    expect((await on(three, 'operator', 'revoke', 'anna', '--root-key', join(away, '1.key'))).code).toBe(0);
    await eventually('one to know', async () => !/anna/.test((await on(one, 'operator', 'list')).stdout) || undefined);
  });
});

describe('leaving', () => {
  it('is not for the only issuer, unless another was made', async () => {
    expect((await on(one, 'leave')).stderr).toMatch(/the only issuer/);
    expect((await on(one, 'members', 'promote', 'three')).code).toBe(0);
    await eventually('three to issue', async () => (await on(three, 'token', 'create', '-q')).code === 0 || undefined);
    expect((await on(one, 'leave')).stdout).toMatch(/left the swarm for good/);
    await eventually('three to be alone', async () => (await allStates(three)).one === 'removed' || undefined);
    await eventually('it to end', () => one.process.exitCode === 0 || undefined);
    const again = await kalos('up', '--dir', one.directory, '--join', '/ip4/127.0.0.1/tcp/1');
    expect(again.stderr).toMatch(/joining needs a token/);
  });
});
