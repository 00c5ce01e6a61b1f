// A change that cuts the network, in a namespace of the test's own, is undone by the actuator when the agent dies.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { kalos, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const ADDRESS = '10.9.0.1';
const UNDONE_WITHIN_MS = 10_000;
const TIMES = 20;
const able = process.getuid?.() === 0 && existsSync('/usr/sbin/nft');

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
beforeAll(buildSanitized, 120_000);

interface Namespace {
  enter: string[];
  /** A refusal is an answer: the packets went through. */
  reachable(): boolean;
}

async function makeNamespace(): Promise<Namespace> {
  const setUp = `ip link set lo up && ip addr add ${ADDRESS}/32 dev lo && exec sleep 600`;
  const holder = spawn('unshare', ['--net', 'sh', '-c', setUp], { stdio: 'ignore' });
  cleanups.push(() => holder.kill('SIGKILL'));
  const enter = ['nsenter', '--target', String(holder.pid), '--net', '--'];
  const run = (...command: string[]): string => {
    const [program = '', ...args] = [...enter, ...command];
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  };
  await eventually('the namespace', () => run('ip', 'addr', 'show', 'lo').includes(ADDRESS) || undefined);
  const reachable = (): boolean =>
    run('bash', '-c', `timeout 0.2 bash -c '</dev/tcp/${ADDRESS}/9' 2>/dev/null; echo $?`).trim() !== '124';
  return { enter, reachable };
}

describe.skipIf(!able)('a change that cuts the network', () => {
  it(`is undone at most 10 s after the agent was killed, ${TIMES} of ${TIMES} times`, async () => {
    const one = async (): Promise<number> => {
      const { enter, reachable } = await makeNamespace();
      const test = new TestActuator();
      cleanups.push(() => test.stop());
      await test.start({ policy: 'allow net\n', under: enter });
      expect(reachable()).toBe(true);
      const client = join(findPackage().root, 'test', 'support', 'armed-client.ts');
      const agent: ChildProcess = spawn(process.execPath, [client, test.socket, 'cut', ADDRESS], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      cleanups.push(() => agent.kill('SIGKILL'));
      let said = '';
      agent.stdout?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      await eventually('the cut', () => said === 'applied\n' || undefined);
      expect(reachable()).toBe(false);
      const killedMs = performance.now();
      agent.kill('SIGKILL');
      await eventually('the network to be back', () => reachable() || undefined, UNDONE_WITHIN_MS * 2);
      return performance.now() - killedMs;
    };
    const took: number[] = [];
    // A few at a time: the machine has two cores.
    for (let i = 0; i < TIMES; i += 5) took.push(...(await Promise.all(Array.from({ length: 5 }, one))));
    expect(took.length).toBe(TIMES);
    expect(Math.max(...took)).toBeLessThan(UNDONE_WITHIN_MS);
  }, 120_000);

  it('by hand is R2, holds while peers are kept, and is rolled back', async () => {
    const { enter, reachable } = await makeNamespace();
    const test = new TestActuator();
    cleanups.push(() => test.stop());
    await test.start({ policy: 'allow net\n', under: enter });
    const swarm = new RealSwarm({ KALOS_ACTUATOR: test.socket });
    cleanups.push(() => swarm.stop());
    const agent = await swarm.start('solo', 'mode = "act"\n');
    const act = (...words: string[]) => kalos(...words, '--dir', agent.directory);
    expect((await act('act', 'net.block', 'address=0.0.0.0/0')).code).toBe(5);
    const blocked = await act('act', 'net.block', `address=${ADDRESS}`);
    expect([blocked.code, blocked.stdout]).toEqual([0, expect.stringContaining('risk R2')]);
    expect(reachable()).toBe(false);
    const plan = blocked.stdout.match(/act-[0-9a-f]+/)?.[0] ?? '';
    expect((await act('rollback', plan)).code).toBe(0);
    expect(reachable()).toBe(true);
  }, 60_000);
});
