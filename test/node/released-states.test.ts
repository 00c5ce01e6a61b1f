// State directories of earlier releases, recorded by them (test/fixtures/states): today's agent goes on with each. Of version 0.1.0 there are two: the
// first had no log of decisions yet. Each was recorded by an agent called ada with one service, which was killed once, a silence, a token, and a stop in
// order. Their keys are good for nothing else.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPackage } from '../../node/adapters/package.ts';
import type { AgentStatus } from '../../node/agent/agent-status.ts';
import { Cluster } from '../../sim/cluster.ts';
import { kalos, type RealAgent, RealSwarm } from '../support/agents.ts';
import { eventually } from '../support/clock.ts';

const STATES = join(findPackage().root, 'test', 'fixtures', 'states');
const VERSIONS = readdirSync(STATES).map((file) => file.replace('.tar.gz', ''));

describe('a state directory of an earlier release', () => {
  const place = mkdtempSync(join(tmpdir(), 'kalos-states-'));
  const swarms: RealSwarm[] = [];
  const agents = new Map<string, RealAgent>();

  beforeAll(async () => {
    await Promise.all(
      VERSIONS.map(async (version) => {
        const directory = join(place, version);
        execFileSync('mkdir', ['-p', directory]);
        execFileSync('tar', ['-C', directory, '-xzf', join(STATES, `${version}.tar.gz`)]);
        const swarm = new RealSwarm();
        swarms.push(swarm);
        const config = 'mode = "act"\n[[service]]\nname = "web"\ncommand = ["/bin/sleep", "100000"]\n';
        agents.set(version, await swarm.start('ada', config, undefined, directory));
      }),
    );
  });
  afterAll(async () => {
    for (const swarm of swarms) await swarm.stop();
    rmSync(place, { recursive: true, force: true });
  });

  it('is there of each', () => {
    expect(VERSIONS).toEqual(expect.arrayContaining(['0.1.0-early', '0.1.0', '0.2.0', '0.3.0']));
  });

  it.each(VERSIONS)('%s is gone on with: its swarm, its audit, what it remembers', async (version) => {
    const directory = agents.get(version)?.directory ?? '';
    const json = async <T>(...args: string[]): Promise<T> =>
      JSON.parse((await kalos(...args, '--dir', directory, '-o', 'json')).stdout) as T;
    const status = await eventually('ada to coordinate', async () => {
      const now = await json<AgentStatus>('status');
      return now.coordinator === 'ada' ? now : undefined;
    });
    expect(status.members.map(({ name }) => name)).toEqual(['ada']);
    expect(status.uncoordinated).toBeNull();
    expect((await kalos('audit', 'list', '--dir', directory)).stdout).toContain('silenced fd-usage for 2592000 s: recorded');
    expect((await kalos('incidents', '--dir', directory)).stdout).toMatch(/service-exited +web +resolved/);
    const audit = await kalos('audit', 'verify', '--dir', directory);
    expect([audit.code, audit.stdout]).toEqual([0, expect.stringMatching(/intact +[6-9] records/)]);
    const paused = await kalos('drain', 'ada', '--for', '1', '--reason', 'a decision can be made', '--dir', directory);
    expect([paused.code, paused.stderr]).toEqual([0, '']);
  });
});

describe('a swarm that has no leader', () => {
  it('says why, and what to do', async () => {
    const cluster = Cluster.of({ nodes: 3, seed: 7, protocolsOnly: true });
    cluster.start();
    await cluster.runUntil(60_000);
    const [first, ...others] = cluster.nodes;
    const lacking = () => first?.running?.swarm.consensus.committee.lacking;
    expect(lacking()).toBeUndefined();
    for (const node of others) node.crash();
    await cluster.runUntil(120_000);
    expect(lacking()).toMatch(/^1 of 3 voters is reachable, .* unreachable: .*node-\d.*kalos recover$/);
  });
});
