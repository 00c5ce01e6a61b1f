// The disk of an agent's state is full, short of inodes, or read-only: the agent goes on observing, says so, keeps its services running, and
// records what waited once there is room. Each on a disk of the test's own; skipped by name where this user cannot mount one.
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { eventually } from '../support/clock.ts';
import { canMount, type DiskAgent, SmallDisk } from '../support/small-disk.ts';

const disks: SmallDisk[] = [];
afterEach(async () => {
  for (const disk of disks.splice(0)) await disk.end();
});

async function mounted(options: string): Promise<SmallDisk> {
  const disk = await SmallDisk.mount(options);
  disks.push(disk);
  return disk;
}

const says = (agent: DiskAgent, words: RegExp): Promise<string> =>
  eventually(`the agent to say ${words}`, () => agent.output.join('').match(words)?.[0]);

const WEB = `mode = "act"
[[service]]
name = "web"
command = ["/bin/sleep", "1000"]
`;

interface Status {
  refusal: string | null;
  conditions: Record<string, string>;
  services: { pid: number | null }[];
  auditRecords: number;
}

describe.skipIf(!canMount())('an agent whose disk is full', () => {
  it('observes, keeps its services, refuses what it cannot record, and goes on by itself', async () => {
    const disk = await mounted('size=24m');
    const state = join(disk.path, 'state');
    const status = async (): Promise<Status> =>
      JSON.parse((await disk.kalos('status', '--dir', state, '-o', 'json')).stdout) as Status;
    const agent = await disk.start(WEB);
    await says(agent, /Then query any agent/);
    const before = await status();
    disk.fill();
    await says(agent, /refuses writes: No space left on device/);
    await eventually('the condition', async () => ((await status()).conditions.DiskPressure === 'True' ? true : undefined));
    const doctor = await disk.kalos('doctor', '--dir', state);
    expect([doctor.code, doctor.stdout]).toEqual([
      3,
      expect.stringContaining(`${state} refuses writes: No space left on device`),
    ]);
    const first = before.services[0]?.pid ?? 0;
    process.kill(first, 'SIGKILL');
    const second = await eventually('the service to run again', async () => {
      const pid = (await status()).services[0]?.pid ?? null;
      return pid !== null && pid !== first ? pid : undefined;
    });
    const refused = await disk.kalos('silence', '--policy', 'service-exited', '--for', '1h', '--dir', state);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('refuses writes (No space left on device)')]);
    const halted = await disk.kalos('stop-all', '--reason', 'a test', '--dir', state);
    expect(halted.code).toBe(0);
    disk.free();
    await says(agent, /accepts writes again/);
    const after = await eventually('what waited to be recorded', async () => {
      const now = await status();
      return now.auditRecords > before.auditRecords ? now : undefined;
    });
    expect([after.refusal, after.services[0]?.pid]).toEqual([null, second]);
    expect((await disk.kalos('audit', 'verify', '--dir', state)).code).toBe(0);
    expect((await disk.kalos('resume', '--dir', state)).code).toBe(0);
    agent.process.kill('SIGTERM');
    expect(await agent.ended).toBe(0);
  });
});
