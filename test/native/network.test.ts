// A change that cuts the network, in a namespace of the test's own, is undone by the actuator when the agent dies.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { kalos, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';
import { patient } from '../support/patience.ts';

const ADDRESS = '10.9.0.1';
const UNDONE_WITHIN_MS = 10_000;
const TIMES = 20;
/** They wait more than they compute, and the machine has two cores. */
const AT_A_TIME = 10;
const able = process.getuid?.() === 0 && existsSync('/usr/sbin/nft');

beforeAll(buildSanitized);

interface Namespace {
  enter: string[];
  /** A refusal is an answer, and comes at once: the packets went through. */
  reachable(): Promise<boolean>;
}

async function makeNamespace({ onTestFinished }: TestContext): Promise<Namespace> {
  const setUp = `ip link set lo up && ip addr add ${ADDRESS}/32 dev lo && exec sleep 600`;
  const holder = spawn('unshare', ['--net', 'sh', '-c', setUp], { stdio: 'ignore' });
  onTestFinished(() => void holder.kill('SIGKILL'));
  const enter = ['nsenter', '--target', String(holder.pid), '--net', '--'];
  const run = async (...command: string[]): Promise<string> => {
    const [program = '', ...args] = [...enter, ...command];
    return (await promisify(execFile)(program, args)).stdout;
  };
  await eventually('the namespace', async () => (await run('ip', 'addr', 'show', 'lo')).includes(ADDRESS) || undefined);
  const reachable = async (): Promise<boolean> =>
    (await run('bash', '-c', `timeout 1 bash -c '</dev/tcp/${ADDRESS}/9' 2>/dev/null; echo $?`)).trim() !== '124';
  return { enter, reachable };
}

describe.skipIf(!able).concurrent('a change that cuts the network', () => {
  it(`is undone at most 10 s after the agent was killed, ${TIMES} of ${TIMES} times`, async (context) => {
    const one = async (): Promise<number> => {
      const { enter, reachable } = await makeNamespace(context);
      const test = new TestActuator();
      context.onTestFinished(() => test.stop());
      await test.start({ policy: 'allow net\n', under: enter });
      expect(await reachable()).toBe(true);
      const client = join(findPackage().root, 'test', 'support', 'armed-client.ts');
      const agent: ChildProcess = spawn(process.execPath, [client, test.socket, 'cut', ADDRESS], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      context.onTestFinished(() => void agent.kill('SIGKILL'));
      let said = '';
      agent.stdout?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      await eventually('the cut', () => said === 'applied\n' || undefined);
      expect(await reachable()).toBe(false);
      const killedMs = performance.now();
      agent.kill('SIGKILL');
      // The log is looked at until then: each look at the network takes four processes.
      await eventually('the change to be undone', () => test.log().includes(' undone: ') || undefined, UNDONE_WITHIN_MS * 2);
      await eventually('the network to be back', async () => (await reachable()) || undefined, UNDONE_WITHIN_MS * 2);
      return performance.now() - killedMs;
    };
    const took: number[] = [];
    for (let i = 0; i < TIMES; i += AT_A_TIME) took.push(...(await Promise.all(Array.from({ length: AT_A_TIME }, one))));
    expect(took.length).toBe(TIMES);
    expect(Math.max(...took)).toBeLessThan(patient(UNDONE_WITHIN_MS));
  });

  it('by hand is R2, holds while peers are kept, and is rolled back', async (context) => {
    const { enter, reachable } = await makeNamespace(context);
    const test = new TestActuator();
    context.onTestFinished(() => test.stop());
    await test.start({ policy: 'allow net\n', under: enter });
    const swarm = new RealSwarm({ KALOS_ACTUATOR: test.socket });
    context.onTestFinished(() => swarm.stop());
    const agent = await swarm.start('solo', 'mode = "act"\n');
    const act = (...words: string[]) => kalos(...words, '--dir', agent.directory);
    expect((await act('act', 'net.block', 'address=0.0.0.0/0')).code).toBe(5);
    const blocked = await act('act', 'net.block', `address=${ADDRESS}`);
    expect([blocked.code, blocked.stdout]).toEqual([0, expect.stringContaining('risk R2')]);
    expect(await reachable()).toBe(false);
    const plan = blocked.stdout.match(/act-[0-9a-f]+/)?.[0] ?? '';
    expect((await act('rollback', plan)).code).toBe(0);
    expect(await reachable()).toBe(true);
  });
});
