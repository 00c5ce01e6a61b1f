// An agent that cannot go on is started again in its own place, and not for ever.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { afterFailure } from '../../node/cli/again.ts';
import { RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

/** Thrown from a timer that nobody waits for, in each life of the agent. */
const PLANTED = `if (process.argv[2] === 'up') setTimeout(() => { throw new Error('planted'); }, 5_000);`;

/** While it ends, as somebody wants. */
const PLANTED_AT_THE_END = `if (process.argv[2] === 'up') process.on('SIGTERM', () => setTimeout(() => Promise.reject(new Error('planted')), 50));`;

describe('an agent that is ended', () => {
  const place = mkdtempSync(join(tmpdir(), 'kalos-again-'));
  const planted = join(place, 'planted.cjs');
  writeFileSync(planted, PLANTED_AT_THE_END);
  const swarm = new RealSwarm({ NODE_OPTIONS: `--require=${planted}` });
  afterAll(async () => {
    await swarm.stop();
    rmSync(place, { recursive: true });
  });

  it('stays so, whatever fails meanwhile', async () => {
    const stubborn = "command = ['/bin/sh', '-c', 'trap : TERM; while :; do sleep 1; done']\nstop = { grace_s = 2 }";
    const agent = await swarm.start('one', `[[service]]\nname = 'stubborn'\n${stubborn}\n`);
    agent.process.kill('SIGTERM');
    expect(await eventually('its end', () => agent.process.exitCode ?? undefined, 60_000)).toBe(0);
    expect(RealSwarm.outputOf(agent)).toContain('while stopping: ');
  });
});

describe('an agent that cannot go on', () => {
  const place = mkdtempSync(join(tmpdir(), 'kalos-again-'));
  const planted = join(place, 'planted.cjs');
  writeFileSync(planted, PLANTED);
  const swarm = new RealSwarm({ NODE_OPTIONS: `--require=${planted}` });
  afterAll(async () => {
    await swarm.stop();
    rmSync(place, { recursive: true });
  });

  it('is started again as the same process, three times, and then ends', async () => {
    const agent = await swarm.start('one', '');
    const ended = await eventually('its end', () => agent.process.exitCode ?? undefined, 80_000);
    const output = RealSwarm.outputOf(agent);
    expect(output.match(/the agent failed: Planted/g)).toHaveLength(4);
    expect(output.match(/the agent restarts; its services keep running/g)).toHaveLength(3);
    expect(output).toContain('failed 4 times in 10 minutes and is not restarted');
    expect(ended).toBe(1);
  });

  it('counts what happened of late only', () => {
    expect(afterFailure(undefined, 5_000_000)).toBe('5000000');
    expect(afterFailure('1000 4900000 nonsense', 5_000_000)).toBe('4900000 5000000');
    expect(afterFailure('4700000 4800000 4900000', 5_000_000)).toBeUndefined();
    expect(afterFailure('4700000 4800000 4900000', 5_300_000)).toBe('4800000 4900000 5300000');
  });
});
