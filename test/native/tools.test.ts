// The tools on this machine, through a real agent and a real actuator: on files, processes, services, a loop device and a
// network namespace of the test's own. What was done is seen on the machine, and rolled back.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import type { ActAnswer } from '../../node/api/routes.ts';
import { buildSanitized, TestActuator } from '../support/actuator.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const ROOT = process.getuid?.() === 0;
const test = new TestActuator();
const swarm = new RealSwarm({ KALOS_ACTUATOR: test.socket });
const data = join(test.directory, 'data');
const cache = join(test.directory, 'cache');
const file = join(data, 'app.conf');
let agent: RealAgent;
let sleeper: ChildProcess;
let loop: string | undefined;

beforeAll(async () => {
  buildSanitized();
  mkdirSync(data);
  mkdirSync(cache);
  sleeper = spawn('sleep', ['600']);
  loop = makeLoopDevice();
  const policy = [
    `path ${data}`,
    `path ${cache}`,
    'process sleep',
    'sysctl net.ipv4.tcp_fin_timeout',
    'program /bin/echo',
    ...(loop ? [`block ${loop}`] : []),
  ];
  await test.start({ policy: policy.map((rule) => `allow ${rule}\n`).join(''), under: ROOT ? ['unshare', '--net'] : [] });
  const script = `trap 'echo reloaded' HUP; while :; do sleep 0.05; done`;
  agent = await swarm.start('solo', `mode = "act"\n[[service]]\nname = "app"\ncommand = ["sh", "-c", "${script}"]\n`);
});

afterAll(async () => {
  await swarm.stop();
  await test.stop();
  sleeper.kill('SIGKILL');
  if (loop !== undefined) execFileSync('losetup', ['--detach', `/dev/${loop}`]);
});

/** A block device on a file of the test's own; undefined where the machine gives none. */
function makeLoopDevice(): string | undefined {
  const image = join(test.directory, 'image');
  writeFileSync(image, '');
  truncateSync(image, 8 * 1024 * 1024);
  try {
    return execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .replace('/dev/', '');
  } catch {
    return undefined;
  }
}

const act = (...words: string[]) => swarm.json<ActAnswer>(agent, 'act', ...words);
const rollback = (plan: string) => swarm.json<ActAnswer>(agent, 'rollback', plan);
const value = async (...words: string[]) => (await act(...words)).value as Record<string, unknown>;

describe('files', () => {
  it('fs.write shows a diff, keeps owner and mode, and is rolled back to the very bytes', async () => {
    writeFileSync(file, 'port = 80\nname = "a"\n', { mode: 0o640 });
    const dry = await act('fs.write', `path=${file}`, 'content=port = 81\nname = "a"\n', '--dry-run');
    expect(dry).toMatchObject({ result: 'dry-run', diff: [file, '@@ line 1 @@', '-port = 80', '+port = 81'] });
    const done = await act('fs.write', `path=${file}`, 'content=port = 81\nname = "a"\n');
    expect(done.result).toBe('confirmed');
    expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['port = 81\nname = "a"\n', 0o640]);
    expect((await rollback(done.plan)).result).toBe('confirmed');
    expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual(['port = 80\nname = "a"\n', 0o640]);
    expect(readdirSync(data)).toEqual(['app.conf']);
  });

  it('fs.write of a new file is rolled back to nothing; fs.remove to the file', async () => {
    const fresh = join(data, 'fresh');
    const made = await act('fs.write', `path=${fresh}`, 'content=x', 'mode=600');
    expect([made.result, statSync(fresh).mode & 0o777]).toEqual(['confirmed', 0o600]);
    const removed = await rollback(made.plan);
    expect([removed.result, existsSync(fresh)]).toEqual(['confirmed', false]);
    expect((await rollback(removed.plan)).result).toBe('confirmed');
    expect(readFileSync(fresh, 'utf8')).toBe('x');
    expect((await value('fs.stat', `path=${fresh}`)).size).toBe(1);
  });

  it('fs.rotate and service.reload are one plan', async () => {
    const log = join(data, 'app.log');
    writeFileSync(log, 'old lines\n');
    const done = await act('fs.rotate', `path=${log}`, 'keep=2', '+', 'service.reload', 'service=app');
    expect(done.result).toBe('confirmed');
    expect([readFileSync(log, 'utf8'), readFileSync(`${log}.1`, 'utf8')]).toEqual(['', 'old lines\n']);
    await eventually(
      'the reload',
      () => readFileSync(join(test.state, 'services', 'app.log'), 'utf8').includes('reloaded') || undefined,
    );
  });

  it('fs.clean removes what is old and has the ending, and nothing else', async () => {
    for (const name of ['a.tmp', 'b.tmp', 'new.tmp', 'keep.txt']) writeFileSync(join(cache, name), name);
    for (const name of ['a.tmp', 'b.tmp', 'keep.txt']) utimesSync(join(cache, name), 1_000, 1_000);
    const done = await act('fs.clean', `directory=${cache}`, 'suffix=.tmp', 'older_than_s=3600');
    expect([done.result, done.diff[0]]).toEqual(['confirmed', '2 files, 10 bytes, are removed:']);
    expect(readdirSync(cache).sort()).toEqual(['keep.txt', 'new.tmp']);
    const listed = (await value('fs.list', `directory=${cache}`)) as unknown as { path: string }[];
    expect(listed.map(({ path }) => path)).toEqual([join(cache, 'keep.txt'), join(cache, 'new.tmp')]);
  });
});

describe('processes', () => {
  const words = (tool: string, ...more: string[]): string[] => [tool, `pid=${sleeper.pid}`, ...more];

  it('process.renice, ioprio and limit set what the kernel shows, and are rolled back', async () => {
    const renice = await act(...words('process.renice', 'nice=7'));
    expect([renice.result, getPriority(sleeper.pid ?? 0)]).toEqual(['confirmed', 7]);
    const ioprio = await act(...words('process.ioprio', 'class=idle'));
    expect([ioprio.result, execFileSync('ionice', ['-p', String(sleeper.pid)], { encoding: 'utf8' }).trim()]).toEqual([
      'confirmed',
      'idle',
    ]);
    const limit = await act(...words('process.limit', 'resource=nofile', 'soft=55'));
    const limits = (): string => readFileSync(`/proc/${sleeper.pid}/limits`, 'utf8').match(/open files\s+(\d+)/)?.[1] ?? '';
    expect([limit.result, limits()]).toEqual(['confirmed', '55']);
    for (const { plan } of [renice, ioprio, limit]) expect((await rollback(plan)).result).toBe('confirmed');
    expect([getPriority(sleeper.pid ?? 0), limits()]).not.toContain('55');
    expect(getPriority(sleeper.pid ?? 0)).toBe(0);
  });

  it('process.signal is done and undone; what is not allowed is refused', async () => {
    const state = (): string => readFileSync(`/proc/${sleeper.pid}/stat`, 'latin1').split(') ')[1]?.[0] ?? '';
    const stopped = await act(...words('process.signal', 'signal=STOP'));
    expect([stopped.result, stopped.risk, state()]).toEqual(['confirmed', 'R2', 'T']);
    expect((await rollback(stopped.plan)).result).toBe('confirmed');
    expect(state()).toBe('S');
    const refused = await act('process.signal', `pid=${process.pid}`, 'signal=CONT');
    expect([refused.result, refused.detail]).toEqual(['refused', expect.stringContaining('policy')]);
  });

  it('process.spawn runs what is allowed, and is undone where it fails', async () => {
    expect((await act('process.spawn', 'command=/bin/echo', 'command=$(id)')).result).toBe('confirmed');
    expect((await act('process.spawn', 'command=/bin/sh', 'command=-c', 'command=id')).result).toBe('refused');
  });

  it('process.list finds it', async () => {
    const found = (await value('process.list', 'name=sleep', 'top=1000')) as unknown as { pid: number }[];
    expect(found.some(({ pid }) => pid === sleeper.pid)).toBe(true);
  });
});

describe('settings', () => {
  it.skipIf(!ROOT)('sysctl.set sets, refuses what the kernel refuses, and is rolled back', async () => {
    const read = async () => (await value('sysctl.get', 'key=net.ipv4.tcp_fin_timeout')).value;
    const before = await read();
    const set = await act('sysctl.set', 'key=net.ipv4.tcp_fin_timeout', 'value=33');
    expect([set.result, await read()]).toEqual(['confirmed', '33']);
    const wrong = await act('sysctl.set', 'key=net.ipv4.tcp_fin_timeout', 'value=many');
    expect([wrong.result, wrong.detail, await read()]).toEqual(['undone', expect.stringContaining('Invalid argument'), '33']);
    expect((await rollback(set.plan)).result).toBe('confirmed');
    expect(await read()).toBe(before);
  });

  it.skipIf(!ROOT)('cgroup.limit and cgroup.freeze hold a service, where the machine has the controllers', async ({ skip }) => {
    const limited = await act('cgroup.limit', 'service=app', 'cpus=0.25');
    if (limited.detail.includes('no cgroup controller')) return skip('this machine has no cgroup controller for cpu');
    expect([limited.result, limited.diff]).toEqual(['confirmed', ['app: cpu no limit → 0.25 CPUs']]);
    expect((await rollback(limited.plan)).result).toBe('confirmed');
    const frozen = await act('cgroup.freeze', 'service=app');
    expect(frozen.result).toBe('confirmed');
    expect((await rollback(frozen.plan)).result).toBe('confirmed');
    const service = (await swarm.json<AgentStatus>(agent, 'status')).services[0];
    expect(service?.state).toBe('running');
  });

  it('io.readahead and io.scheduler set a block device, where the machine gives a loop device', async ({ skip }) => {
    if (loop === undefined) return skip('this machine gives no loop device');
    const queue = (attribute: string): string => readFileSync(`/sys/block/${loop}/queue/${attribute}`, 'utf8').trim();
    const before = queue('read_ahead_kb');
    const set = await act('io.readahead', `device=${loop}`, 'value=64');
    expect([set.result, queue('read_ahead_kb')]).toEqual(['confirmed', '64']);
    expect((await rollback(set.plan)).result).toBe('confirmed');
    expect(queue('read_ahead_kb')).toBe(before);
    const schedulers = queue('scheduler').replace(/\[|\]/g, '').split(' ');
    for (const name of schedulers.slice(0, 2)) {
      expect((await act('io.scheduler', `device=${loop}`, `value=${name}`)).result).toBe('confirmed');
      expect(queue('scheduler')).toContain(schedulers.length > 1 ? `[${name}]` : name);
    }
  });
});

describe('reads', () => {
  it.each(['monitor.cpu', 'monitor.memory', 'monitor.disks', 'monitor.pressure'])('%s answers, as a table too', async (tool) => {
    expect(Object.keys(await value(tool)).length).toBeGreaterThan(1);
    expect((await kalos('act', tool, '--dir', agent.directory)).stdout).toContain(tool);
  });

  it('of what the policy does not allow are refused', async () => {
    const answer = await kalos('act', 'fs.stat', 'path=/etc/shadow', '--dir', agent.directory);
    expect([answer.code, answer.stdout]).toEqual([5, expect.stringContaining('does not allow')]);
  });
});
