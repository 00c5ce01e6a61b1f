// Detection: policies with duration and hysteresis, three-valued conditions, baselines that learn only what is normal.
import { describe, expect, it } from 'vitest';
import { RobustBaseline } from '../../models/robust-baseline.ts';
import { BINS, SeasonalProfile, type SeasonalState } from '../../models/seasonal-profile.ts';
import { shippedPolicies } from '../../node/detection/adapters/shipped-policies.ts';
import { BaselineDetector } from '../../node/detection/baseline-detector.ts';
import { conditionsOf } from '../../node/detection/conditions.ts';
import type { Observation } from '../../node/detection/detector.ts';
import { type PolicyInput, policySchema } from '../../node/detection/policy.ts';
import { checkNames } from '../../node/detection/policy-check.ts';
import { PolicyDetector, PolicyError } from '../../node/detection/policy-detector.ts';
import type { ServiceView } from '../../node/detection/targets.ts';
import { FIELDS, targetsOf } from '../../node/detection/targets.ts';
import { incidentSchema } from '../../node/memory/memory.ts';
import { stoppedService } from '../../node/ports/actuator.ts';
import { NO_FACTS } from '../../node/telemetry/service-facts.ts';
import { NO_USAGE } from '../../node/telemetry/usage.ts';
import { FakeLinux } from '../../sim/machine/linux.ts';
import { SeededRandom } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { decodeCbor, encodeCbor } from '../../swarm/dissemination/cbor.ts';

const sample = new FakeLinux(new Scheduler(), new SeededRandom(1, 'linux'), [], { cpus: 4, memoryBytes: 2 ** 33 }, 0).sample();

const web: ServiceView = {
  ...stoppedService({ name: 'web', command: [], port: 80 }, 0),
  state: 'running',
  pid: 10,
  startTicks: 1,
  starts: 1,
  usage: { ...NO_USAGE, processes: 1 },
  facts: NO_FACTS,
  check: 'open',
  processState: 'S',
  ageMs: 60_000,
};

const observe = (nowMs: number, metrics: Record<string, number>, services: ServiceView[] = []): Observation => ({
  nowMs,
  wallMs: nowMs,
  metrics: new Map(Object.entries(metrics)),
  targets: targetsOf(sample, services, []),
});

const detector = (policy: PolicyInput) => new PolicyDetector([policySchema.parse(policy)]);
const kinds = (changes: ReturnType<PolicyDetector['observe']>) =>
  changes.map(({ kind, finding }) => `${kind} ${finding.policy} ${finding.target}`);

describe('a policy', () => {
  const hot: PolicyInput = {
    name: 'hot',
    when: `metrics['t'] > 90.0`,
    for_s: 3,
    clear_s: 2,
    summary: 'too hot',
    condition: 'CpuPressure',
  };

  it('fires after it has held for its time, clears after it has not for its own', () => {
    const policies = detector(hot);
    expect(kinds(policies.observe(observe(0, { t: 95 })))).toEqual([]);
    expect(kinds(policies.observe(observe(2_999, { t: 95 })))).toEqual([]);
    expect(kinds(policies.observe(observe(3_000, { t: 95 })))).toEqual(['fired hot machine']);
    expect(policies.firing()).toMatchObject([{ evidence: { t: 95 } }]);
    expect(kinds(policies.observe(observe(4_000, { t: 10 })))).toEqual([]);
    expect(kinds(policies.observe(observe(5_000, { t: 95 })))).toEqual([]);
    expect(kinds(policies.observe(observe(6_000, { t: 10 })))).toEqual([]);
    expect(kinds(policies.observe(observe(8_000, { t: 10 })))).toEqual(['cleared hot machine']);
  });

  it('has its remedies on what was found: by its fields, by expressions, with the reload of what reads it', () => {
    const remediesOf = (remedy: unknown, given: Partial<ServiceView> = {}): unknown => {
      const policy = { name: 'p', scope: 'service', when: 'true', summary: 's', remedy } as PolicyInput;
      const policies = detector(policy);
      policies.observe(observe(0, {}, [{ ...web, ...given }]));
      return policies.firing()[0]?.remedies;
    };
    expect(remediesOf({ tool: 'service.restart' })).toEqual([[{ tool: 'service.restart', service: 'web' }]]);
    expect(remediesOf({ tool: 'service.restart', service: 'db' })).toEqual([[{ tool: 'service.restart', service: 'db' }]]);
    expect(remediesOf({ tool: 'process.renice', pid: '$pid', nice: 5 })).toEqual([
      [{ tool: 'process.renice', pid: 10, nice: 5 }],
    ]);
    expect(remediesOf({ tool: 'cgroup.limit', service: '$name', cpus: '=service.max_cpus < 2.0 ? 1.0 : 2.0' })).toEqual([
      [{ tool: 'cgroup.limit', service: 'web', cpus: 2 }],
    ]);
    const alternatives = [
      { when: 'service.exits >= 2', do: { tool: 'service.stop' } },
      { do: [{ tool: 'service.start' }, { tool: 'service.reload' }] },
    ];
    expect(remediesOf(alternatives)).toEqual([
      [
        { tool: 'service.start', service: 'web' },
        { tool: 'service.reload', service: 'web' },
      ],
    ]);
  });

  it('begins again when the expression failed in between', () => {
    const policies = detector(hot);
    policies.observe(observe(0, { t: 95 }));
    policies.observe(observe(2_000, { t: 10 }));
    policies.observe(observe(2_500, { t: 95 }));
    expect(kinds(policies.observe(observe(4_000, { t: 95 })))).toEqual([]);
    expect(kinds(policies.observe(observe(5_500, { t: 95 })))).toEqual(['fired hot machine']);
  });

  it('over a metric that the machine lacks is neither true nor false: its condition is Unknown', () => {
    const policies = detector(hot);
    policies.observe(observe(0, {}));
    expect(conditionsOf(policies.firing(), policies.unknownConditions(), 1).CpuPressure).toBe('Unknown');
    policies.observe(observe(1, { t: 1 }));
    expect(conditionsOf(policies.firing(), policies.unknownConditions(), 2).CpuPressure).toBe('False');
  });

  it('with an error is refused with its place', () => {
    expect(() => detector({ ...hot, when: 'metrics[' })).toThrow(/^policy hot: Unexpected token: EOF, in column 9 of metrics\[$/);
    expect(() => detector({ ...hot, when: 'temperature > 3' })).toThrow(/Unknown variable: temperature/);
    expect(() => detector({ ...hot, when: '1 + 2' })).toThrow(/must be bool/);
    expect(() => policySchema.parse({ ...hot, remedy: { tool: 'rm -rf' } })).toThrow();
  });
});

describe('the shipped policies', () => {
  it('are quiet on a healthy machine', () => {
    const policies = new PolicyDetector(shippedPolicies());
    const calm = {
      'system.psi.cpu.some': 5,
      'system.psi.memory.full': 0,
      'system.memory.utilization': 0.6,
      'system.psi.io.full': 3,
    };
    for (let second = 0; second < 200; second++) expect(policies.observe(observe(second * 1_000, calm, [web]))).toEqual([]);
    expect(conditionsOf(policies.firing(), policies.unknownConditions(), 200)).toMatchObject({
      Ready: 'True',
      ServicesReady: 'True',
    });
  });

  it('notice an ended service at once, but not one that was stopped on purpose', () => {
    const policies = new PolicyDetector(shippedPolicies());
    expect(kinds(policies.observe(observe(0, {}, [{ ...web, state: 'stopped', check: 'unknown' }])))).toEqual([]);
    expect(kinds(policies.observe(observe(1, {}, [{ ...web, state: 'exited', check: 'unknown' }])))).toEqual([
      'fired service-exited web',
    ]);
    expect(conditionsOf(policies.firing(), policies.unknownConditions(), 2)).toMatchObject({
      Ready: 'False',
      ServicesReady: 'False',
    });
  });

  it('notice a frozen and an unresponsive service after their time', () => {
    const policies = new PolicyDetector(shippedPolicies());
    const frozen: ServiceView = { ...web, processState: 'T' };
    const deaf: ServiceView = { ...web, name: 'api', check: 'refused' };
    policies.observe(observe(0, {}, [frozen, deaf]));
    expect(kinds(policies.observe(observe(2_000, {}, [frozen, deaf])))).toEqual(['fired service-frozen web']);
    expect(kinds(policies.observe(observe(5_000, {}, [frozen, deaf])))).toEqual(['fired service-unresponsive api']);
  });

  it('let a service go that is declared no more', () => {
    const policies = new PolicyDetector(shippedPolicies());
    policies.observe(observe(0, {}, [{ ...web, state: 'exited' }]));
    expect(kinds(policies.observe(observe(1, {}, [])))).toEqual(['cleared service-exited web']);
  });
});

describe('a robust baseline', () => {
  const random = new SeededRandom(3, 'baseline');
  const normal = () => 0.3 + random.between(-0.02, 0.02);
  const trained = (): RobustBaseline => {
    const baseline = new RobustBaseline(0.01);
    for (let i = 0; i < 120; i++) baseline.score(normal());
    return baseline;
  };

  it('says nothing until it has learned enough', () => {
    const baseline = new RobustBaseline(0.01);
    for (let i = 0; i < 59; i++) expect(baseline.score(i % 2 === 0 ? 0 : 100).z).toBe(0);
  });

  it('finds normal values normal and a jump abnormal', () => {
    const baseline = trained();
    for (let i = 0; i < 50; i++) expect(Math.abs(baseline.score(normal()).z)).toBeLessThan(4);
    expect(baseline.score(0.9).z).toBeGreaterThan(8);
  });

  it('does not learn an anomaly as normal, but accepts a shift that lasts', () => {
    const baseline = trained();
    for (let i = 0; i < 250; i++) expect(baseline.score(0.9).z).toBeGreaterThan(8);
    for (let i = 0; i < 250; i++) baseline.score(0.9);
    expect(Math.abs(baseline.score(0.9).z)).toBeLessThan(4);
  });
});

describe('a threshold that learns', () => {
  const busy: PolicyInput = {
    name: 'busy',
    when: `metrics['t'] > threshold.much`,
    threshold: { much: { metric: 't', times: 5, low: 20, high: 90 } },
    summary: 'busier than ever',
  };
  const second = (policies: PolicyDetector, at: number, t: number) => kinds(policies.observe(observe(at * 1_000, { t })));

  it('is its upper bound at first, then what is normal here, never below its lower bound, and learns no fault', () => {
    const policies = detector(busy);
    const value = () => policies.thresholds('busy').much?.value ?? 0;
    expect(value()).toBe(90);
    for (let at = 0; at < 100; at++) second(policies, at, 40 + (at % 5));
    expect(value()).toBeGreaterThan(45);
    expect(value()).toBeLessThan(70);
    expect(policies.thresholds('busy').much).toMatchObject({ median: 42, low: 20, high: 90 });
    const learned = value();
    expect(second(policies, 100, 80)).toEqual(['fired busy machine']);
    for (let at = 101; at < 1_000; at++) second(policies, at, 80);
    expect(value()).toBe(learned);
    policies.resetThresholds('busy');
    expect(value()).toBe(90);
    for (let at = 1_000; at < 1_200; at++) second(policies, at, 1);
    expect(value()).toBe(20);
  });
});

describe('a profile of the hours', () => {
  const HOUR_MS = 3_600_000;
  /** Busy from 2 to 3 o'clock, on working days. Day 0 is a Thursday. */
  function learned(days: number): SeasonalProfile {
    const profile = new SeasonalProfile(0.01);
    for (let hour = 0; hour < days * 24; hour++)
      for (let minute = 0; minute < 60; minute++) profile.learn(hour % 24 === 2 ? 0.9 : 0.1, hour * HOUR_MS + minute * 60_000);
    return profile;
  }

  it('knows what is normal at an hour once it has seen it on some days, and keeps that over a restart', () => {
    const at = (day: number, hour: number): number => (day * 24 + hour) * HOUR_MS;
    expect(learned(2).z(0.9, at(7, 2))).toBeUndefined();
    for (const profile of [learned(14), new SeasonalProfile(0.01, learned(14).state())]) {
      expect(Math.abs(profile.z(0.9, at(14, 2)) ?? 99)).toBeLessThan(1);
      expect(profile.z(0.9, at(14, 3))).toBeGreaterThan(8);
      expect(profile.z(0.1, at(14, 2))).toBeLessThan(-8);
    }
    expect(learned(5).z(0.9, at(2, 2))).toBeUndefined(); // one weekend is too few
  });

  it('keeps a metric that is high every day at this hour from being an anomaly', () => {
    const run = (profiled: boolean): number => {
      const detector = new BaselineDetector();
      const hour = (day: number) => (day * 24 + 2) * HOUR_MS;
      const state: SeasonalState = Array.from({ length: BINS }, () => [0.95, 0.01, 10]);
      if (profiled) detector.recall({ 'system.cpu.utilization': state });
      let fired = 0;
      for (let second = 0; second < 400; second++) {
        const metrics = new Map([['system.cpu.utilization', second < 200 ? 0.1 : 0.95]]);
        fired += detector.observe({
          nowMs: second * 1_000,
          wallMs: hour(20) + second * 1_000,
          metrics,
          targets: new Map(),
        }).length;
      }
      return fired;
    };
    expect([run(false) > 0, run(true)]).toEqual([true, 0]);
  });
});

describe('policies that are replaced', () => {
  const hot: PolicyInput = { name: 'hot', when: `metrics['t'] > 90.0`, summary: 'hot', for_s: 3 };
  const cold: PolicyInput = { name: 'cold', when: `metrics['t'] < 0.0`, summary: 'cold' };
  const parse = (...inputs: PolicyInput[]) => inputs.map((input) => policySchema.parse(input));

  it('keep what they knew where they stay as they were; a finding of one that is gone is cleared', () => {
    const policies = new PolicyDetector(parse(hot));
    policies.observe(observe(0, { t: 95 }));
    expect(policies.replace(parse(hot, cold))).toEqual([]);
    expect(kinds(policies.observe(observe(3_000, { t: 95 })))).toEqual(['fired hot machine']);
    expect(kinds(policies.replace(parse(cold)))).toEqual(['cleared hot machine']);
    expect(policies.firing()).toEqual([]);
  });

  it('stay as they were where one is wrong', () => {
    const policies = new PolicyDetector(parse(hot));
    expect(() => policies.replace(parse(cold, { ...hot, when: '1 +' }))).toThrow(PolicyError);
    policies.observe(observe(0, { t: 95 }));
    expect(kinds(policies.observe(observe(3_000, { t: 95 })))).toEqual(['fired hot machine']);
  });

  it('are quiet for their cooldown after they cleared, and are not judged where they are disabled', () => {
    const policies = new PolicyDetector(parse({ ...hot, for_s: 0, clear_s: 0, cooldown_s: 10 }, { ...cold, enabled: false }));
    expect(kinds(policies.observe(observe(0, { t: 95 })))).toEqual(['fired hot machine']);
    expect(kinds(policies.observe(observe(1_000, { t: -5 })))).toEqual(['cleared hot machine']);
    expect(kinds(policies.observe(observe(5_000, { t: 95 })))).toEqual([]);
    expect(kinds(policies.observe(observe(11_000, { t: 95 })))).toEqual(['fired hot machine']);
  });
});

describe('the names in a policy', () => {
  it('of the shipped ones are all there', () => {
    for (const policy of shippedPolicies()) expect(() => checkNames(policy)).not.toThrow();
  });

  it('are those that a target has', () => {
    const targets = targetsOf(sample, [web], []);
    expect(Object.keys(targets.get('service')?.[0]?.fields ?? {}).filter((name) => !FIELDS.service.includes(name))).toEqual([]);
  });
});

describe('the evidence of a finding', () => {
  it('is never what is in a file, however short: it may be a secret', () => {
    const policies = shippedPolicies().filter(({ name }) => ['service-exited', 'file-drift'].includes(name));
    const facts = { ...NO_FACTS, changedConfig: { path: '/c', good: 'password = x' } };
    const fields = { path: '/f', content: 'a', wanted: 'b', mode: '644', wanted_mode: '644', text: 'password = y' };
    const seen = new PolicyDetector(policies.map((policy) => ({ ...policy, for_s: 0 }))).observe({
      ...observe(0, {}),
      targets: targetsOf(sample, [{ ...web, state: 'exited', facts }], [{ kind: 'file', name: '/f', fields }]),
    });
    expect(seen.map(({ finding }) => finding.policy)).toEqual(['service-exited', 'file-drift']);
    expect(JSON.stringify(seen.map(({ finding }) => finding.evidence))).not.toContain('password');
  });

  it('is what can be sent and kept: finite figures, short texts, of its own scope', () => {
    const drifted = {
      kind: 'file' as const,
      name: '/f',
      fields: { path: '/f', content: 'a', wanted: 'b', mode: '644', wanted_mode: '644', text: 'x'.repeat(5_000) },
    };
    const policies = shippedPolicies()
      .filter(({ name }) => ['service-exited', 'file-drift'].includes(name))
      .map((policy) => ({
        ...policy,
        for_s: 0,
      }));
    const changes = new PolicyDetector(policies).observe({
      ...observe(0, { other: 1 }),
      targets: targetsOf(sample, [{ ...web, state: 'exited', exitCode: 1 }], [drifted]),
    });
    expect(changes.map(({ finding }) => finding.policy)).toEqual(['service-exited', 'file-drift']);
    for (const { finding } of changes) {
      const values = Object.values(finding.evidence);
      expect(values.length).toBeGreaterThan(3);
      expect(values.every((value) => typeof value !== 'number' || Number.isFinite(value))).toBe(true);
      expect(JSON.stringify(finding.evidence).length).toBeLessThan(1_000);
      expect(incidentSchema.shape.steps.element.shape.data.safeParse(decodeCbor(encodeCbor(finding.evidence))).success).toBe(
        true,
      );
    }
  });
});
