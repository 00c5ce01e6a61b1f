// The simulator: the same seed gives the same hash, another seed another; every scenario holds; every checker finds what it is there for.
import { describe, expect, it } from 'vitest';
import { loadScenario, shippedScenarios } from '../../sim/adapters/library.ts';
import { makeDataset } from '../../sim/dataset.ts';
import { SeededRandom } from '../../sim/random.ts';
import { type RunReport, runScenario, windowOf } from '../../sim/run.ts';
import { parseScenario } from '../../sim/scenario/schema.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { shrink } from '../../sim/shrink.ts';

const run = (name: string, seed: number, nodes?: number): Promise<RunReport> => {
  const scenario = loadScenario(name);
  return runScenario({ scenario, seed, nodes: Math.max(scenario.min_nodes, nodes ?? scenario.nodes) });
};

const outcomes = ({ incidents }: RunReport): string[] => incidents.map(({ policy, target }) => `${policy} ${target}`).sort();

describe('every shipped scenario', () => {
  it.each(shippedScenarios())('%s holds with two seeds, and two runs of one have equal hashes', async (name) => {
    const [first, second] = [await run(name, 7), await run(name, 7)];
    expect(first.violations).toEqual([]);
    expect(second.traceHash).toBe(first.traceHash);
    const other = await run(name, 8);
    expect(other.violations).toEqual([]);
    expect(other.traceHash).not.toBe(first.traceHash);
  });

  it.each(shippedScenarios().flatMap((name) => [11, 12].map((seed) => ({ name, seed }))))(
    '$name holds with seed $seed and a swarm of another size',
    async ({ name, seed }) => {
      expect((await run(name, seed, 4 + (seed % 12))).violations).toEqual([]);
    },
  );
});

describe('what they tell', () => {
  it('crash-and-partition heals every fault', async () => {
    expect((await run('crash-and-partition', 7)).incidents.map(({ outcome, certified }) => `${outcome}, ${certified}`)).toEqual([
      'service.signal helped, true',
      'service.restart helped, true',
      'service.restart helped, true',
    ]);
  });

  it('drift puts right what was declared, and nothing else', async () => {
    expect(outcomes(await run('drift', 3, 5)).map((text) => text.split(' ')[0])).toEqual([
      'file-drift',
      'file-drift',
      'log-growth',
      'sysctl-drift',
    ]);
  });

  it('out-of-bounds restarts what leaks or runs away', async () => {
    expect(outcomes(await run('out-of-bounds', 2, 5))).toEqual([
      'service-out-of-bounds hoarder',
      'service-out-of-bounds leaky',
      'service-out-of-bounds wild',
    ]);
  });

  it('rollout-gone-bad is told to a person on every machine that it reached', async () => {
    const { incidents, faults } = await run('rollout-gone-bad', 2, 10);
    const told = incidents.filter(({ outcome }) => outcome === 'cleared after it was escalated').map(({ node }) => node);
    expect(new Set(told).size).toBe(faults[0]?.nodes.length);
  });

  it('liars certify nothing that is not, and stop no repair', async () => {
    const { incidents, faults } = await run('liars', 3, 10);
    expect(incidents.length).toBeGreaterThan(0);
    expect(faults.length).toBeGreaterThan(0);
  });
});

describe('cryptography', () => {
  it('real signatures hold as well as modelled ones', async () => {
    const scenario = loadScenario('crash-and-partition');
    expect((await runScenario({ scenario, nodes: 4, seed: 1, realCrypto: true })).violations).toEqual([]);
  });
});

describe('protocols alone', () => {
  it('hold through crashes and partitions', async () => {
    const scenario = loadScenario('crash-storm');
    expect((await runScenario({ scenario, nodes: 12, seed: 1, protocolsOnly: true })).violations).toEqual([]);
  });
});

const MACHINE = { service: [{ name: 'web', command: ['web'], port: 8080 }] };

describe('a silence', () => {
  it('holds back the next attempt of a repair that is under way', async () => {
    const scenario = parseScenario(
      {
        name: 'silenced',
        description: 'a person has had enough',
        duration: '110s',
        calm: '20s',
        machine: MACHINE,
        fault: [
          { at: '10s', kind: 'service-curse', on: 1, service: 'web', lives_ms: 200 },
          { at: '12s', kind: 'silence', on: 1, policy: 'service-exited' },
        ],
        expect: [{ node: 1, service: 'web', starts: 2 }], // the first, and the attempt that came before the silence
      },
      'test',
    );
    const { violations } = await runScenario({ scenario, nodes: 4, seed: 1 });
    expect(violations.filter((text) => text.includes('was started'))).toEqual([]);
  });
});

describe('the checkers', () => {
  const broken = (extra: object) =>
    parseScenario({ name: 'broken', description: 'x', duration: '60s', calm: '1ms', machine: MACHINE, ...extra }, 'test');

  it('find a fault that nobody heals', async () => {
    const scenario = broken({ fault: [{ at: '59.99s', kind: 'service-kill', on: 1, service: 'web' }] });
    const { violations } = await runScenario({ scenario, nodes: 4, seed: 1 });
    expect(violations.join('\n')).toMatch(/node-1: service web is exited, and no incident reports it/);
    expect(violations.join('\n')).toMatch(/is still open/);
  });

  it('find a swarm that is still cut in two', async () => {
    const scenario = broken({ fault: [{ at: '20s', kind: 'partition', on: 3, for: '39.9s' }] });
    const { violations } = await runScenario({ scenario, nodes: 5, seed: 1 });
    expect(violations.join('\n')).toMatch(/not one leader/);
    expect(violations.join('\n')).toMatch(/node-3 sees node-3 alive/);
  });

  it('a violation is told with the fewest faults that it takes, and the events before it', async () => {
    const kill = (at: string, on: number) => ({ at, kind: 'service-kill', on, service: 'web' });
    const scenario = broken({
      fault: [kill('20s', 2), kill('25s', 3), { at: '30s', kind: 'pause', on: 0, for: '2s' }, kill('59.99s', 1)],
    });
    const options = { scenario, nodes: 4, seed: 1 };
    const report = await runScenario(options);
    const { faults, report: least } = await shrink(options, report, () => undefined);
    expect(faults.map(({ kind, on }) => `${kind} ${on}`)).toEqual(['service-kill 1']);
    expect(
      windowOf(least)
        .map(({ text }) => text)
        .join('\n'),
    ).toMatch(/service-kill on 1/);
  });
});

describe('scenario files', () => {
  const parse = (extra: object) => () =>
    parseScenario({ name: 'x', description: 'x', duration: '90s', calm: '60s', ...extra }, 'x.toml');

  it.each([
    [{ durations: '3s' }, /durations: unknown key; did you mean "duration"/],
    [{ duration: 'soon' }, /duration = "soon": must be a duration such as/],
    [{ fault: [{ at: '1s', kind: 'crush' }] }, /fault\.\[1\]\.kind/],
    [{ fault: [{ at: '1s', kind: 'service-kill', on: 1 }] }, /fault\.\[1\]\.service: /],
    [{ fault: [{ at: '1s', kind: 'pause', lenght: 3 }] }, /fault\.\[1\]\.lenght: unknown key/],
    [{ fault: [{ at: '25s', for: '20s', kind: 'pause' }] }, /must end by 30 s, when the recovery phase \(calm\) begins/],
    [{ expect: [{ node: 1 }] }, /expect\.\[1\]/],
    [{ network: { regions: ['mars'] } }, /network\.regions\.\[1\]/],
  ])('%j is refused with its place', (extra, message) => {
    expect(parse(extra)).toThrow(message);
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
