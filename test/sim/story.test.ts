// The simulator: the same seed gives the same hash, another seed another; every checker finds what it is there for.
import { describe, expect, it } from 'vitest';
import { SafetyChecker } from '../../sim/checkers.ts';
import { Cluster } from '../../sim/cluster.ts';
import { makeDataset } from '../../sim/dataset.ts';
import { SeededRandom } from '../../sim/random.ts';
import { runScenario } from '../../sim/run.ts';
import { clockSkew } from '../../sim/scenarios/clock-skew.ts';
import { crashAndPartition } from '../../sim/scenarios/crash-and-partition.ts';
import { crashLoop } from '../../sim/scenarios/crash-loop.ts';
import { drift } from '../../sim/scenarios/drift.ts';
import { outOfBounds } from '../../sim/scenarios/out-of-bounds.ts';
import { slowJoin } from '../../sim/scenarios/slow-join.ts';
import { Scheduler } from '../../sim/scheduler.ts';

const run = (seed: number, nodes = 10) => runScenario(crashAndPartition, nodes, seed, () => undefined);

describe('crash-and-partition with ten agents', () => {
  it('heals every fault, and two runs of a seed have equal hashes', async () => {
    const [first, second] = [await run(7), await run(7)];
    expect(first.violations).toEqual([]);
    expect(second.traceHash).toBe(first.traceHash);
    expect(first.incidents.map(({ outcome, certified }) => `${outcome}, ${certified ? 'certified' : 'not'}`)).toEqual([
      'service.signal helped, certified',
      'service.restart helped, certified',
      'service.restart helped, certified',
    ]);
    expect((await run(8)).traceHash).not.toBe(first.traceHash);
  });

  it.each(Array.from({ length: 30 }, (_, seed) => [seed + 100]))(
    'holds with seed %i and a swarm of another size',
    async (seed) => {
      expect((await run(seed, 4 + (seed % 12))).violations).toEqual([]);
    },
  );
});

describe('clock-skew', () => {
  it.each([1, 2, 3])('is told of by the machine that is off, and by no other, with seed %i', async (seed) => {
    expect((await runScenario(clockSkew, 6, seed, () => undefined)).violations).toEqual([]);
  });
});

describe('crash-loop', () => {
  it.each([1, 2, 3])('is tried three times and then escalated, with seed %i', async (seed) => {
    expect((await runScenario(crashLoop, 5, seed, () => undefined)).violations).toEqual([]);
  });
});

describe('a silence', () => {
  it('holds back the next attempt of a repair that is under way', async () => {
    let starts: number | undefined;
    const silenced = {
      ...crashLoop,
      durationMs: 110_000,
      schedule: (cluster: Cluster) => {
        const node = cluster.node(1);
        cluster.scheduler.at(10_000, () => {
          node.linux.curse('hasty', 200);
          node.linux.kill('hasty');
        });
        const silence = { policy: 'service-exited', forMs: 3_600_000, reason: 'enough' };
        cluster.scheduler.at(12_000, () => void node.agent?.executor.silence(silence));
      },
      expect: (cluster: Cluster) => {
        starts = cluster.node(1).linux.services()[0]?.starts;
        return [];
      },
    };
    await runScenario(silenced, 4, 1, () => undefined);
    expect(starts).toBe(2); // the first, and the attempt that came before the silence
  });
});

describe('drift', () => {
  it.each([1, 2, 3, 4, 5, 6])('is put right where something was declared, and nowhere else, with seed %i', async (seed) => {
    const first = await runScenario(drift, 4 + (seed % 3), seed, () => undefined);
    expect(first.violations).toEqual([]);
    expect((await runScenario(drift, 4 + (seed % 3), seed, () => undefined)).traceHash).toBe(first.traceHash);
    expect(first.incidents.map(({ policy }) => policy).sort()).toEqual([
      'file-drift',
      'file-drift',
      'log-growth',
      'sysctl-drift',
    ]);
  });
});

describe('out-of-bounds', () => {
  it.each([1, 2, 3, 4])('restarts what leaks or runs away, once, and nothing else, with seed %i', async (seed) => {
    const { violations, incidents } = await runScenario(outOfBounds, 4 + seed, seed, () => undefined);
    expect(violations).toEqual([]);
    expect(
      incidents
        .filter(({ policy }) => policy === 'service-out-of-bounds')
        .map(({ target }) => target)
        .sort(),
    ).toEqual(['hoarder', 'leaky', 'wild']);
  });
});

describe('slow-join', () => {
  it.each([1, 2, 3, 4, 5])('has one coordinator a term, with seed %i', async (seed) => {
    expect((await runScenario(slowJoin, 3 + seed, seed, () => undefined)).violations).toEqual([]);
  });
});

describe('the checkers', () => {
  it('find two coordinators in one term', () => {
    const cluster = new Cluster({ nodes: 2, seed: 1, services: [] });
    const liar = (name: string) => ({ node: { name }, agent: { status: () => ({ coordinator: name, term: 3 }) } });
    cluster.running = () => [liar('node-0'), liar('node-1')] as unknown as ReturnType<Cluster['running']>;
    new SafetyChecker().check(cluster);
    expect(cluster.violations).toEqual(['two coordinators in term 3: node-0 and node-1']);
  });

  it('find a fault that nobody heals', async () => {
    const broken = {
      ...crashAndPartition,
      durationMs: 20_000,
      schedule: (cluster: Cluster) => void cluster.scheduler.at(19_999, () => cluster.node(1).linux.kill('web')),
      expect: () => [],
    };
    const { violations } = await runScenario(broken, 4, 1, () => undefined);
    expect(violations.join('\n')).toMatch(/node-1: service web is exited/);
    expect(violations.join('\n')).toMatch(/neither closed nor escalated/);
  });

  it('find a swarm that is still cut in two', async () => {
    const cut = {
      ...crashAndPartition,
      durationMs: 30_000,
      expect: () => [],
      schedule: (cluster: Cluster) =>
        void cluster.scheduler.at(5_000, () => cluster.network.partition([[], [cluster.node(3).peer]])),
    };
    const { violations } = await runScenario(cut, 5, 1, () => undefined);
    expect(violations.join('\n')).toMatch(/no single coordinator/);
    expect(violations.join('\n')).toMatch(/node-3 sees node-3 alive/);
  });
});

describe('the parts', () => {
  it('the scheduler runs events by time, then by order of scheduling', () => {
    const scheduler = new Scheduler();
    const random = new SeededRandom(5, 'order');
    const planned = Array.from({ length: 500 }, (_, i) => ({ atMs: Math.floor(random.between(0, 50)), i }));
    const seen: { atMs: number; i: number }[] = [];
    for (const event of planned) scheduler.at(event.atMs, () => seen.push(event));
    while (scheduler.step(100));
    expect(seen).toEqual([...planned].sort((a, b) => a.atMs - b.atMs || a.i - b.i));
  });

  it('streams of one seed are independent of each other', () => {
    const draw = (purpose: string, seed = 1) =>
      Array.from(
        { length: 4 },
        (
          (random) => () =>
            random.uint32()
        )(new SeededRandom(seed, purpose)),
      );
    expect(draw('a')).toEqual(draw('a'));
    expect(draw('a')).not.toEqual(draw('b'));
    expect(draw('a', 1)).not.toEqual(draw('a', 2));
  });

  it('the training data is the same for the same seed', () => {
    const data = (seed: number) => JSON.stringify([...makeDataset(12, seed)]);
    expect(data(1)).toBe(data(1));
    expect(data(1)).not.toBe(data(2));
  });
});
